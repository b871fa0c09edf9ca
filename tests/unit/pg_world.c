/* SPDX-License-Identifier: MIT */
/*
 * Asks the PostgreSQL driver and waits.
 *
 * Owns the server and the loop of a group of tests.
 * Here: asking.  Not here: what must come (test_db_postgres.c).
 * Context: the test's thread.
 */
#include "tests/unit/pg_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/clock.h"

#define PATIENCE_NS (60 * 1000000000ULL)

uint64_t
now_ms(void)
{
	return clock_now_ns() / 1000000;
}

void
world_open(struct world *w, const char *url, int connections)
{
	struct db_args args = {.worker = 7};
	struct error err;

	/* A test that failed has left its database open, and may have left the
	 * loop from inside a callback; what it asked for lay on its stack.
	 * Nothing of that is ever called again. */
	if (w->db != NULL)
		w->base = event_base_new();
	assert_non_null(w->base);
	args.base = w->base;
	w->config = (struct config_database){
	    .name = STR("main"),
	    .url = str_of(url),
	    .connections = connections,
	    .queue = 100,
	    .timeout_ms = 5000,
	    .connect_ms = 2000,
	};
	w->db = db_new(&w->config, &args, &err);
	if (w->db == NULL)
		fail_msg("%s", err.text);
}

void
world_close(struct world *w)
{
	db_free(w->db);
	w->db = NULL;
	/* Whatever the resolver has still to call. */
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

void
world_wait(struct world *w, bool (*is_true)(void *arg), void *arg)
{
	uint64_t until = clock_now_ns() + PATIENCE_NS;
	static const struct timeval moment = {0, 10000};

	while (!is_true(arg)) {
		if (clock_now_ns() > until)
			fail_msg("waited too long");
		event_base_loopexit(w->base, &moment);
		if (event_base_loop(w->base, EVLOOP_ONCE) == -1)
			fail_msg("the loop doesn't turn");
	}
}

bool
world_is_ready(void *arg)
{
	struct world *w = arg;

	return w->db->driver->is_ready(w->db);
}

bool
world_is_out(void *arg)
{
	return !world_is_ready(arg);
}

static void
ask_done(struct db_query *q)
{
	struct ask *a = (struct ask *)((char *)q - offsetof(struct ask, q));

	assert_false(a->is_done);
	assert_null(q->driver_data);
	a->is_done = true;
}

void
ask_init(struct world *w, struct ask *a, const char *sql, unsigned timeout_ms)
{
	*a = (struct ask){
	    .q =
		{
		    .kind = DB_STATEMENT,
		    .db = w->db,
		    .sql = sql,
		    .params = a->param,
		    .deadline_ms = now_ms() + timeout_ms,
		    .done = ask_done,
		},
	};
}

void
ask_param(struct ask *a, struct lane_value v)
{
	a->param[a->q.param_count++] = v;
}

struct lane_value
int_value(int64_t i)
{
	return (struct lane_value){LANE_INT, .u.i = i};
}

struct lane_value
text_value(const char *s)
{
	return (struct lane_value){LANE_TEXT, .u.s = {s, strlen(s)}};
}

int
ask_submit(struct ask *a)
{
	return a->q.db->driver->submit(a->q.db, &a->q);
}

void
ask_start(struct world *w, struct ask *a, const char *sql)
{
	ask_init(w, a, sql, LONG_MS);
	assert_int_equal(ask_submit(a), 0);
}

static bool
ask_is_done(void *arg)
{
	return ((struct ask *)arg)->is_done;
}

void
ask_wait(struct world *w, struct ask *a)
{
	world_wait(w, ask_is_done, a);
}

void
ask_end(struct ask *a)
{
	db_rows_done(&a->q.rows);
}

int64_t
run(struct world *w, const char *sql)
{
	struct ask a;
	int64_t i = 0;

	ask_start(w, &a, sql);
	ask_wait(w, &a);
	if (a.q.rows.status != 0)
		fail_msg("%s: %s", sql, a.q.rows.error);
	if (a.q.rows.count > 0 && a.q.rows.cell[0].kind == LANE_INT)
		i = a.q.rows.cell[0].u.i;
	ask_end(&a);
	return i;
}

void
check_failed(struct ask *a, int status, const char *sqlstate)
{
	assert_true(a->is_done);
	if (a->q.rows.status != status ||
	    strcmp(a->q.rows.sqlstate, sqlstate) != 0)
		fail_msg("%s: %d %s (%s), not %d %s", a->q.sql,
		    a->q.rows.status, a->q.rows.sqlstate, a->q.rows.error,
		    status, sqlstate);
	ask_end(a);
}

void
begin(struct world *w, struct lane_tx *tx)
{
	struct ask a;

	*tx = (struct lane_tx){.db = w->db};
	ask_init(w, &a, NULL, LONG_MS);
	a.q.kind = DB_BEGIN;
	a.q.tx = tx;
	assert_int_equal(ask_submit(&a), 0);
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.status, 0);
	ask_end(&a);
}

void
ask_start_tx(struct world *w, struct ask *a, struct lane_tx *tx,
    enum db_query_kind kind, const char *sql)
{
	ask_init(w, a, sql, LONG_MS);
	a->q.kind = kind;
	a->q.tx = tx;
	assert_int_equal(ask_submit(a), 0);
}

void
run_tx(struct world *w, struct lane_tx *tx, enum db_query_kind kind,
    const char *sql)
{
	struct ask a;

	ask_start_tx(w, &a, tx, kind, sql);
	ask_wait(w, &a);
	if (a.q.rows.status != 0)
		fail_msg("%s: %s", sql != NULL ? sql : "end", a.q.rows.error);
	ask_end(&a);
}

int
world_start(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	*state = w;
	w->server = pg_server_new();
	w->base = event_base_new();
	pg_server_start(w->server);
	return 0;
}

int
world_end(void **state)
{
	struct world *w = *state;

	pg_server_free(w->server);
	event_base_free(w->base);
	free(w);
	return 0;
}

int
listener_new(int flags, char *url, size_t url_size)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(url, url_size,
	    "postgresql://lane@127.0.0.1:%u/x?sslmode=disable",
	    ntohs(sin.sin_port));
	return fd;
}
