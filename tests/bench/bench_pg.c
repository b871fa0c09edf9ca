/* SPDX-License-Identifier: MIT */
/*
 * What the PostgreSQL driver is worth: point reads a second, by a loop that
 * blocks (PQexecPrepared), and by the driver with 64 in flight, against one
 * server, which it starts, in turns.
 *
 *	bench_pg [seconds]
 *
 * Context: run by hand; the machine should have nothing else to do.
 */
#include <event2/event.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "tests/unit/pg_world.h"

#define IN_FLIGHT 64
#define ROWS 10000
#define POINT_READ "SELECT id, randomnumber FROM world WHERE id = $1"

/* One of those in flight, which asks again when it has its answer. */
struct runner {
	struct ask ask;
	struct bench *bench;
};

struct bench {
	struct world *world;
	uint64_t until_ns, count;
	unsigned running;
	struct runner runner[IN_FLIGHT];
};

static void runner_on_done(struct db_query *q);

/* Of this process, so that neither the server nor the machine's other work
 * counts. */
static double
cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What one way of asking comes to. */
struct rate {
	double per_second, cpu_us; /* of this process, each */
};

static struct rate
rate_of(uint64_t count, uint64_t since_ns, double cpu_since)
{
	return (struct rate){
	    .per_second =
		(double)count / ((double)(clock_now_ns() - since_ns) / 1e9),
	    .cpu_us = (cpu_seconds() - cpu_since) * 1e6 / (double)count,
	};
}

static void
runner_start(struct runner *r)
{
	ask_init(r->bench->world, &r->ask, POINT_READ, LONG_MS);
	ask_param(&r->ask, int_value((int64_t)(r->bench->count % ROWS) + 1));
	r->ask.q.done = runner_on_done;
	if (ask_submit(&r->ask) != 0)
		exit(1);
}

static void
runner_on_done(struct db_query *q)
{
	struct runner *r = (struct runner *)q;

	if (q->rows.status != 0 || q->rows.count != 1)
		exit(1);
	db_rows_done(&q->rows);
	r->bench->count++;
	if (r->bench->count % 64 != 0 || clock_now_ns() < r->bench->until_ns)
		runner_start(r);
	else
		r->bench->until_ns = 0;
}

static struct rate
bench_driver(struct world *w, const char *url, int connections, double seconds)
{
	struct bench *b = calloc(1, sizeof(*b));
	uint64_t since;
	struct rate rate;
	double cpu;
	int i;

	world_open(w, url, connections);
	w->config.queue = 1000;
	run(w, "SELECT 1");
	b->world = w;
	since = clock_now_ns();
	cpu = cpu_seconds();
	b->until_ns = since + (uint64_t)(seconds * 1e9);
	for (i = 0; i < IN_FLIGHT; i++) {
		b->runner[i].bench = b;
		runner_start(&b->runner[i]);
	}
	while (b->until_ns != 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	rate = rate_of(b->count, since, cpu);
	world_close(w);
	free(b);
	return rate;
}

static struct rate
bench_blocking(const char *url, double seconds)
{
	PGconn *pq = PQconnectdb(url);
	uint64_t since = clock_now_ns(), count = 0;
	double cpu = cpu_seconds();
	const char *values[1];
	char id[16];
	PGresult *res;

	PQclear(PQprepare(pq, "q", POINT_READ, 0, NULL));
	values[0] = id;
	do {
		snprintf(id, sizeof(id), "%u", (unsigned)(count % ROWS) + 1);
		res = PQexecPrepared(pq, "q", 1, values, NULL, NULL, 0);
		if (PQntuples(res) != 1)
			exit(1);
		PQclear(res);
		count++;
	} while ((double)(clock_now_ns() - since) / 1e9 < seconds);
	PQfinish(pq);
	return rate_of(count, since, cpu);
}

static void
bench_url(struct world *w, const char *name, const char *url, double seconds)
{
	static const int connections[] = {1, 2, 4, 8};
	struct rate blocking, driver;
	size_t i;

	for (i = 0; i < UNIT_COUNT(connections); i++) {
		blocking = bench_blocking(url, seconds);
		driver = bench_driver(w, url, connections[i], seconds);
		printf("%-4s blocking %6.0f/s (%4.1f us CPU), driver on %d:"
		    " %6.0f/s (%4.1f us CPU), %.1f times\n",
		    name, blocking.per_second, blocking.cpu_us, connections[i],
		    driver.per_second, driver.cpu_us,
		    driver.per_second / blocking.per_second);
	}
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	void *state;
	struct world *w;

	world_start(&state);
	w = state;
	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE world (id int PRIMARY KEY, randomnumber int)");
	run(w,
	    "INSERT INTO world SELECT g, g % 7 FROM"
	    " generate_series(1, 10000) g");
	world_close(w);
	bench_url(w, "unix", w->server->url, seconds);
	bench_url(w, "tcp", w->server->tcp_url, seconds);
	world_end(&state);
	return 0;
}
