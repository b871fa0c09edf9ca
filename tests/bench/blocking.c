/* SPDX-License-Identifier: MIT */
/*
 * A module that does what one must not: its handler asks PostgreSQL and waits
 * for the answer, on the loop, by the one connection that the worker has.  What
 * the driver is worth is measured against it (framework.py).
 *
 * Owns the connection of a worker.  Here: one route.
 * Context: a worker's loop, which stands still meanwhile.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include <corelane/corelane.h>

#define WORLD_ROWS 10000

struct blocking {
	char *url;
	PGconn *pq;
	unsigned next; /* row */
};

static int
connect_once(struct blocking *b)
{
	PGresult *res;

	if (b->pq != NULL)
		return 0;
	b->pq = PQconnectdb(b->url);
	res = PQprepare(b->pq, "world",
	    "SELECT id, randomnumber FROM world WHERE id = $1", 0, NULL);
	PQclear(res);
	return PQstatus(b->pq) == CONNECTION_OK ? 0 : -EIO;
}

static int
db(struct lane_ctx *c)
{
	struct blocking *b = lane_state(c);
	struct lane_json_writer *w;
	const char *values[1];
	char id[16];
	PGresult *res;

	if (connect_once(b) != 0)
		return -EIO;
	b->next = b->next * 7919 % WORLD_ROWS + 1;
	snprintf(id, sizeof(id), "%u", b->next);
	values[0] = id;
	res = PQexecPrepared(b->pq, "world", 1, values, NULL, NULL, 0);
	if (PQntuples(res) != 1) {
		PQclear(res);
		return -EIO;
	}
	w = lane_json_new(c);
	lane_json_object(w);
	lane_json_add_int(w, "id", atoi(PQgetvalue(res, 0, 0)));
	lane_json_add_int(w, "randomNumber", atoi(PQgetvalue(res, 0, 1)));
	lane_json_end(w);
	PQclear(res);
	return lane_json_send(w, 200);
}

static int
init(struct lane_init *in)
{
	struct blocking *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	b->url = getenv("BENCH_PG_URL");
	lane_init_state(in, b);
	return 0;
}

static void
fini(void *state)
{
	struct blocking *b = state;

	PQfinish(b->pq);
	free(b);
}

static const struct lane_route routes[] = {
	{.name = "db", .methods = "GET", .path = "/blocking/db", .run = db},
	{0},
};

LANE_MODULE(.name = "blocking", .routes = routes, .init = init, .fini = fini);
