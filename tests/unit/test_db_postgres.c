/* SPDX-License-Identifier: MIT */
/*
 * The PostgreSQL driver against a real server: pipelines, errors between,
 * prepared statements, cancelling, transactions, and servers that go.
 *
 * Here: what only this driver has.  Not here: SQL that serves both databases
 * (db_suite.c).
 */
#include <errno.h>
#include <event2/event.h>
#include <libpq-fe.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "server/db/db.h"
#include "tests/unit/db_suite.h"
#include "tests/unit/pg_world.h"
#include "tests/unit/unit.h"

static void
types_come_as_they_are(void **state)
{
	struct world *w = *state;
	const struct lane_value *cell;
	struct ask a;

	ask_init(w, &a,
	    "SELECT 1::int2, 2, 3::int8, 4.5::float4, 'NaN'::float8, true,"
	    " '\\x00ff'::bytea, 1.10::numeric, 'a'::text, NULL AS n,"
	    " $1::int4, $2::text",
	    LONG_MS);
	ask_param(&a, int_value(-7));
	ask_param(&a, text_value("x'; --"));
	world_open(w, w->server->url, 1);
	a.q.db = w->db;
	assert_int_equal(ask_submit(&a), 0);
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.status, 0);
	assert_int_equal(a.q.rows.count, 1);
	assert_int_equal(a.q.rows.columns, 12);
	cell = a.q.rows.cell;
	assert_int_equal(cell[0].u.i, 1);
	assert_int_equal(cell[2].u.i, 3);
	assert_true(cell[3].kind == LANE_FLOAT && cell[3].u.f == 4.5);
	assert_true(cell[4].u.f != cell[4].u.f);
	assert_true(cell[5].kind == LANE_BOOL && cell[5].u.b);
	assert_int_equal(cell[6].kind, LANE_BLOB);
	assert_memory_equal(cell[6].u.s.p, "\0\xff", 2);
	assert_int_equal(cell[7].kind, LANE_TEXT);
	assert_string_equal(cell[7].u.s.p, "1.10");
	assert_int_equal(cell[9].kind, LANE_NULL);
	assert_string_equal(a.q.rows.name[9].p, "n");
	assert_int_equal(cell[10].u.i, -7);
	assert_string_equal(cell[11].u.s.p, "x'; --");
	ask_end(&a);
	world_close(w);
}

static const struct {
	const char *name, *sql;
	struct lane_value param;
	const char *text; /* the parameter, as the server saw it */
} param_cases[] = {
    {"an integer for an integer", "SELECT ($1 + 0::int8)::text",
	{LANE_INT, .u.i = INT64_MIN}, "-9223372036854775808"},
    {"an integer for a float", "SELECT ($1 + 0::float8)::text",
	{LANE_INT, .u.i = 3}, "3"},
    {"a whole float for an integer", "SELECT ($1 + 0::int4)::text",
	{LANE_FLOAT, .u.f = 3}, "3"},
    {"a float", "SELECT ($1 + 0::float8)::text", {LANE_FLOAT, .u.f = 0.1},
	"0.1"},
    {"a numeric from a float", "SELECT ($1 + 0::numeric(9,2))::text",
	{LANE_FLOAT, .u.f = 1.5}, "1.50"},
    {"a boolean", "SELECT (NOT $1)::text", {LANE_BOOL, .u.b = true}, "false"},
    {"one for true", "SELECT (NOT $1)::text", {LANE_INT, .u.i = 1}, "false"},
    {"a text for a date", "SELECT (date '2024-03-01' - $1)::text",
	{LANE_TEXT, .u.s = {"2024-02-28 ", 10}}, "2"},
    {"a text for JSON", "SELECT ($1::jsonb ->> 'a')",
	{LANE_TEXT, .u.s = {"{\"a\":\"b\"}?", 9}}, "b"},
    {"a blob", "SELECT encode($1, 'hex')", {LANE_BLOB, .u.s = {"\0\1\xff", 3}},
	"0001ff"},
    {"an empty blob", "SELECT length($1::bytea)::text",
	{LANE_BLOB, .u.s = {"", 0}}, "0"},
    {"a null", "SELECT coalesce($1, 'none')", {LANE_NULL, .u.i = 0}, "none"},
    {"an empty text", "SELECT length($1::text)::text",
	{LANE_TEXT, .u.s = {"", 0}}, "0"},
};

static void
parameters_need_no_casts(void **state)
{
	struct world *w = *state;
	struct ask a;
	size_t i;

	world_open(w, w->server->url, 1);
	for (i = 0; i < UNIT_COUNT(param_cases); i++) {
		ask_init(w, &a, param_cases[i].sql, LONG_MS);
		ask_param(&a, param_cases[i].param);
		assert_int_equal(ask_submit(&a), 0);
		ask_wait(w, &a);
		if (a.q.rows.status != 0)
			fail_msg("%s: %s", param_cases[i].name, a.q.rows.error);
		unit_check_str(
		    str_from(a.q.rows.cell[0].u.s.p, a.q.rows.cell[0].u.s.len),
		    str_of(param_cases[i].text), param_cases[i].name);
		ask_end(&a);
	}
	ask_init(w, &a, "SELECT $1::text", LONG_MS);
	ask_param(&a, (struct lane_value){LANE_TEXT, .u.s = {"a\0b", 3}});
	assert_int_equal(ask_submit(&a), 0);
	ask_wait(w, &a);
	check_failed(&a, 500, "22023");
	world_close(w);
}

static const struct {
	const char *name, *sql;
	int status;
	const char *sqlstate;
} error_cases[] = {
    {"a syntax error", "SELEC 1", 500, "42601"},
    {"no such table", "SELECT * FROM nowhere", 500, "42P01"},
    {"a key that is there", "INSERT INTO t VALUES (1)", 409, "23505"},
    {"a key that is there, found at the commit", "INSERT INTO late VALUES (1)",
	409, "23505"},
    {"a division by zero", "SELECT 1/0", 500, "22012"},
    {"an error after rows", "SELECT 1/(3-g) FROM generate_series(1,4) g", 500,
	"22012"},
    {"two statements", "SELECT 1; SELECT 2", 500, "42601"},
    {"a transaction by hand", " begin", 500, "22023"},
    {"a function that says 40001", "SELECT fail('40001')", 503, "40001"},
    {"a function that says 53400", "SELECT fail('53400')", 503, "53400"},
    {"an empty statement", "", 0, ""},
};

/* 100 queries in one turn, an error among every other two: each is alone. */
static void
errors_hurt_nobody_else(void **state)
{
	struct world *w = *state;
	struct ask good[100], bad[100];
	size_t i, at;

	world_open(w, w->server->url, 2);
	w->config.queue = 1000;
	run(w, "CREATE TABLE t (a int PRIMARY KEY)");
	run(w,
	    "CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY"
	    " DEFERRED)");
	run(w, "INSERT INTO t VALUES (1)");
	run(w, "INSERT INTO late VALUES (1)");
	run(w,
	    "CREATE FUNCTION fail(state text) RETURNS int AS $$ BEGIN"
	    " RAISE EXCEPTION 'no' USING ERRCODE = state; END $$"
	    " LANGUAGE plpgsql");
	for (i = 0; i < 100; i++) {
		ask_init(w, &good[i], "SELECT $1::int8", LONG_MS);
		ask_param(&good[i], int_value((int64_t)i));
		assert_int_equal(ask_submit(&good[i]), 0);
		ask_start(
		    w, &bad[i], error_cases[i % UNIT_COUNT(error_cases)].sql);
	}
	for (i = 0; i < 100; i++) {
		at = i % UNIT_COUNT(error_cases);
		ask_wait(w, &good[i]);
		ask_wait(w, &bad[i]);
		if (good[i].q.rows.status != 0)
			fail_msg("%zu: %s", i, good[i].q.rows.error);
		assert_int_equal(good[i].q.rows.cell[0].u.i, i);
		ask_end(&good[i]);
		check_failed(
		    &bad[i], error_cases[at].status, error_cases[at].sqlstate);
	}
	run(w, "DROP TABLE t, late");
	run(w, "DROP FUNCTION fail");
	world_close(w);
}

static void
affected_rows_are_told(void **state)
{
	struct world *w = *state;
	struct ask a;

	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE t (a int)");
	ask_start(
	    w, &a, "INSERT INTO t SELECT generate_series(1,5) RETURNING a");
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.affected, 5);
	assert_int_equal(a.q.rows.count, 5);
	ask_end(&a);
	ask_start(w, &a, "SELECT * FROM t");
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.affected, 0);
	assert_int_equal(a.q.rows.count, 5);
	ask_end(&a);
	run(w, "DROP TABLE t");
	world_close(w);
}

/* More texts than are kept, twice; then tables that change under them. */
static void
statements_are_kept_and_renewed(void **state)
{
	struct world *w = *state;
	struct ask a;
	char sql[64];
	int i;

	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE t (a int)");
	run(w, "INSERT INTO t VALUES (5)");
	for (i = 0; i < 600; i++) {
		snprintf(sql, sizeof(sql), "SELECT %d", i % 300);
		assert_int_equal(run(w, sql), i % 300);
	}
	assert_in_range(
	    run(w, "SELECT count(*) FROM pg_prepared_statements"), 250, 256);
	assert_int_equal(run(w, "SELECT * FROM t"), 5);
	run(w, "ALTER TABLE t ADD b text DEFAULT 'x'");
	ask_start(w, &a, "SELECT * FROM t");
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.status, 0);
	assert_int_equal(a.q.rows.columns, 2);
	ask_end(&a);
	run(w, "DEALLOCATE ALL");
	assert_int_equal(run(w, "SELECT * FROM t"), 5);
	run(w, "DROP TABLE t");
	check_failed((ask_start(w, &a, "SELECT * FROM t"), ask_wait(w, &a), &a),
	    500, "42P01");
	world_close(w);
}

static void
a_thousand_on_four_connections(void **state)
{
	struct world *w = *state;
	struct ask *a = calloc(1000, sizeof(*a));
	int i;

	assert_non_null(a);
	world_open(w, w->server->tcp_url, 4);
	w->config.queue = 1000;
	for (i = 0; i < 1000; i++) {
		ask_init(w, &a[i], "SELECT $1::int4 + 1", LONG_MS);
		ask_param(&a[i], int_value(i));
		assert_int_equal(ask_submit(&a[i]), 0);
	}
	for (i = 0; i < 1000; i++) {
		ask_wait(w, &a[i]);
		assert_int_equal(a[i].q.rows.status, 0);
		assert_int_equal(a[i].q.rows.cell[0].u.i, i + 1);
		ask_end(&a[i]);
	}
	assert_in_range(run(w,
			    "SELECT count(*) FROM pg_stat_activity WHERE"
			    " application_name = 'corelane worker 7'"),
	    1, 4);
	world_close(w);
	free(a);
}

static void
a_full_queue_refuses(void **state)
{
	struct world *w = *state;
	struct ask a[3];

	world_open(w, w->server->url, 1);
	w->config.queue = 2;
	/* Not connected yet: there is the queue and nothing else. */
	ask_start(w, &a[0], "SELECT 1");
	ask_start(w, &a[1], "SELECT 2");
	ask_init(w, &a[2], "SELECT 3", LONG_MS);
	assert_int_equal(ask_submit(&a[2]), -EAGAIN);
	ask_wait(w, &a[1]);
	assert_int_equal(ask_submit(&a[2]), 0);
	ask_wait(w, &a[2]);
	ask_end(&a[0]);
	ask_end(&a[1]);
	ask_end(&a[2]);
	world_close(w);
}

/* The neighbours of what is cancelled get what they asked for. */
static void
too_late_is_cancelled_alone(void **state)
{
	struct world *w = *state;
	struct ask slow, queued, before, after[10];
	int i;

	world_open(w, w->server->url, 1);
	run(w, "SELECT 1");
	ask_start(w, &before, "SELECT 8");
	ask_init(w, &slow, "SELECT pg_sleep(100)", 300);
	assert_int_equal(ask_submit(&slow), 0);
	ask_init(w, &queued, "SELECT 1", 200);
	assert_int_equal(ask_submit(&queued), 0);
	for (i = 0; i < 10; i++)
		ask_start(w, &after[i], "SELECT 9");
	ask_wait(w, &slow);
	assert_true(before.is_done && queued.is_done);
	ask_end(&before);
	check_failed(&queued, 504, "57014");
	check_failed(&slow, 504, "57014");
	for (i = 0; i < 10; i++) {
		ask_wait(w, &after[i]);
		assert_int_equal(after[i].q.rows.status, 0);
		assert_int_equal(after[i].q.rows.cell[0].u.i, 9);
		ask_end(&after[i]);
	}
	world_close(w);
}

static void
a_client_that_goes_cancels(void **state)
{
	struct world *w = *state;
	struct ask running, unsent;
	uint64_t since;

	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE t (a int)");
	ask_start(w, &unsent, "INSERT INTO t VALUES (1)");
	w->db->driver->cancel(w->db, &unsent.q);
	ask_start(
	    w, &running, "INSERT INTO t SELECT 2 FROM (SELECT pg_sleep(30)) s");
	event_base_loop(w->base, EVLOOP_ONCE);
	event_base_loop(w->base, EVLOOP_ONCE);
	w->db->driver->cancel(w->db, &running.q);
	assert_null(running.q.driver_data);
	since = now_ms();
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);
	assert_in_range(now_ms() - since, 0, 25000);
	assert_false(running.is_done || unsent.is_done);
	run(w, "DROP TABLE t");
	world_close(w);
}

static void
transactions_have_a_connection(void **state)
{
	struct world *w = *state;
	struct lane_tx tx, other;
	struct ask a;

	world_open(w, w->server->url, 2);
	run(w, "CREATE TABLE t (a int)");
	begin(w, &tx);
	run_tx(w, &tx, DB_STATEMENT, "INSERT INTO t VALUES (1)");
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);
	run_tx(w, &tx, DB_COMMIT, NULL);
	assert_null(tx.driver_data);
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 1);

	begin(w, &tx);
	begin(w, &other);
	run_tx(w, &tx, DB_STATEMENT, "INSERT INTO t VALUES (2)");
	run_tx(w, &other, DB_STATEMENT, "INSERT INTO t VALUES (3)");
	run_tx(w, &tx, DB_ROLLBACK, NULL);
	run_tx(w, &other, DB_COMMIT, NULL);
	assert_int_equal(run(w, "SELECT sum(a)::int FROM t"), 4);

	begin(w, &tx);
	ask_start_tx(w, &a, &tx, DB_STATEMENT, "SELECT 1/0");
	ask_wait(w, &a);
	check_failed(&a, 500, "22012");
	ask_start_tx(w, &a, &tx, DB_COMMIT, NULL);
	ask_wait(w, &a);
	check_failed(&a, 500, "25P02");
	assert_null(tx.driver_data);
	run(w, "DROP TABLE t");
	world_close(w);
}

static void
a_transaction_that_is_abandoned_is_rolled_back(void **state)
{
	struct world *w = *state;
	struct lane_tx tx;
	struct ask a;

	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE t (a int)");
	begin(w, &tx);
	run_tx(w, &tx, DB_STATEMENT, "INSERT INTO t VALUES (1)");
	w->db->driver->abandon(w->db, &tx);
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);

	/* In the middle of a statement. */
	begin(w, &tx);
	run_tx(w, &tx, DB_STATEMENT, "INSERT INTO t VALUES (1)");
	ask_start_tx(w, &a, &tx, DB_STATEMENT, "SELECT pg_sleep(100)");
	event_base_loop(w->base, EVLOOP_ONCE);
	w->db->driver->cancel(w->db, &a.q);
	w->db->driver->abandon(w->db, &tx);
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);

	/* Before it has begun. */
	tx = (struct lane_tx){.db = w->db};
	ask_init(w, &a, NULL, LONG_MS);
	a.q.kind = DB_BEGIN;
	a.q.tx = &tx;
	assert_int_equal(ask_submit(&a), 0);
	event_base_loop(w->base, EVLOOP_ONCE);
	w->db->driver->cancel(w->db, &a.q);
	w->db->driver->abandon(w->db, &tx);
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);
	run(w, "DROP TABLE t");
	world_close(w);
}

#define SLEEPING                                                               \
	"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND"     \
	" query LIKE 'SELECT pg_sleep%'"

static void
a_connection_that_is_killed_is_made_again(void **state)
{
	struct world *w = *state, other = {0};
	struct ask a, behind;
	struct lane_tx tx;

	world_open(w, w->server->url, 1);
	other.base = w->base;
	world_open(&other, w->server->tcp_url, 1);
	run(w, "SELECT 1");
	ask_start(w, &a, "SELECT pg_sleep(100)");
	ask_start(w, &behind, "SELECT 2");
	while (run(&other, SLEEPING) == 0)
		;
	run(&other,
	    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	    " WHERE query LIKE 'SELECT pg_sleep%'");
	ask_wait(w, &behind);
	assert_true(a.q.rows.is_retryable && behind.q.rows.is_retryable);
	check_failed(&a, 503, "57P01");
	check_failed(&behind, 503, "08006");
	assert_int_equal(run(w, "SELECT 3"), 3);

	begin(w, &tx);
	run(&other,
	    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	    " WHERE state = 'idle in transaction'");
	world_wait(w, world_is_out, w);
	assert_null(tx.driver_data);
	ask_init(w, &a, "SELECT 1", LONG_MS);
	a.q.tx = &tx;
	assert_int_equal(ask_submit(&a), -EHOSTDOWN);
	assert_int_equal(run(w, "SELECT 4"), 4);
	world_close(&other);
	world_close(w);
}

static void
a_server_may_come_late_and_go(void **state)
{
	static const int signals[] = {SIGINT, SIGKILL};
	struct world *w = *state;
	struct ask a;
	size_t i;

	pg_server_stop(w->server, SIGINT);
	world_open(w, w->server->url, 2);
	ask_init(w, &a, "SELECT 1", LONG_MS);
	/* Taken while it isn't known, refused after that. */
	if (ask_submit(&a) == 0) {
		ask_wait(w, &a);
		check_failed(&a, 503, "08001");
		ask_init(w, &a, "SELECT 1", LONG_MS);
		assert_int_equal(ask_submit(&a), -EHOSTDOWN);
	}
	pg_server_start(w->server);
	world_wait(w, world_is_ready, w);
	assert_int_equal(run(w, "SELECT 1"), 1);
	for (i = 0; i < UNIT_COUNT(signals); i++) {
		ask_start(w, &a, "SELECT pg_sleep(100)");
		event_base_loop(w->base, EVLOOP_ONCE);
		event_base_loop(w->base, EVLOOP_ONCE);
		pg_server_stop(w->server, signals[i]);
		ask_wait(w, &a);
		assert_int_equal(a.q.rows.status, 503);
		assert_true(a.q.rows.is_retryable == (signals[i] == SIGINT));
		ask_end(&a);
		world_wait(w, world_is_out, w);
		pg_server_start(w->server);
		world_wait(w, world_is_ready, w);
		assert_int_equal(run(w, "SELECT 2"), 2);
	}
	world_close(w);
}

/* A server's process that hangs, with the rest of it well. */
static void
a_statement_that_can_not_be_cancelled(void **state)
{
	struct world *w = *state;
	struct ask hung, behind;
	pid_t pid;

	world_open(w, w->server->url, 1);
	pid = (pid_t)run(w, "SELECT pg_backend_pid()");
	assert_int_equal(kill(pid, SIGSTOP), 0);
	ask_init(w, &hung, "SELECT 1", 100);
	assert_int_equal(ask_submit(&hung), 0);
	ask_start(w, &behind, "SELECT 2");
	ask_wait(w, &hung);
	check_failed(&hung, 504, "57014");
	ask_wait(w, &behind);
	assert_false(behind.q.rows.is_retryable);
	check_failed(&behind, 503, "08006");
	assert_int_equal(run(w, "SELECT 3"), 3);
	kill(pid, SIGCONT);
	world_close(w);
}

static void
copy_costs_its_connection(void **state)
{
	struct world *w = *state;
	struct ask a;

	world_open(w, w->server->url, 1);
	run(w, "CREATE TABLE t (a int)");
	ask_start(w, &a, "COPY t FROM STDIN");
	ask_wait(w, &a);
	check_failed(&a, 500, "0A000");
	ask_start(w, &a, "COPY t TO STDOUT");
	ask_wait(w, &a);
	check_failed(&a, 500, "0A000");
	assert_int_equal(run(w, "SELECT count(*) FROM t"), 0);
	run(w, "DROP TABLE t");
	world_close(w);
}

/* Both sides send more than sockets hold. */
static void
large_values_go_both_ways(void **state)
{
	const size_t bytes = 1024 * 1024;
	struct world *w = *state;
	char *large = malloc(bytes + 1);
	struct ask a[40];
	size_t i;

	assert_non_null(large);
	memset(large, 'x', bytes);
	large[bytes] = '\0';
	world_open(w, w->server->tcp_url, 1);
	for (i = 0; i < UNIT_COUNT(a); i++) {
		ask_init(w, &a[i], "SELECT $1::text, $2::bytea", LONG_MS);
		ask_param(&a[i], text_value(large));
		ask_param(&a[i],
		    (struct lane_value){LANE_BLOB, .u.s = {large, bytes / 4}});
		assert_int_equal(ask_submit(&a[i]), 0);
	}
	for (i = 0; i < UNIT_COUNT(a); i++) {
		ask_wait(w, &a[i]);
		assert_int_equal(a[i].q.rows.status, 0);
		assert_int_equal(a[i].q.rows.cell[0].u.s.len, bytes);
		assert_int_equal(a[i].q.rows.cell[1].u.s.len, bytes / 4);
		assert_memory_equal(
		    a[i].q.rows.cell[1].u.s.p, large, bytes / 4);
		ask_end(&a[i]);
	}
	ask_start(w, &a[0], "SELECT repeat('x', 70000000)");
	ask_wait(w, &a[0]);
	check_failed(&a[0], 500, "54000");
	world_close(w);
	free(large);
}

/* bytea_output is the role's to choose. */
static void
bytea_comes_in_either_form(void **state)
{
	struct world *w = *state;
	struct ask a;

	world_open(w, w->server->url, 1);
	run(w, "SET bytea_output = 'escape'");
	ask_start(w, &a, "SELECT '\\x00410a5cff'::bytea");
	ask_wait(w, &a);
	assert_int_equal(a.q.rows.status, 0);
	assert_int_equal(a.q.rows.cell[0].u.s.len, 5);
	assert_memory_equal(a.q.rows.cell[0].u.s.p, "\0A\n\\\xff", 5);
	ask_end(&a);
	world_close(w);
}

/* Enough of a server to be sent to. */
struct fake {
	struct world *world;
	int listener, fd;
};

static bool
fake_is_connected(void *arg)
{
	/* AuthenticationOk, ReadyForQuery. */
	static const char hello[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I";
	struct fake *f = arg;
	char text[1024];

	if (f->fd == -1)
		f->fd = accept4(
		    f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (f->fd != -1 && !world_is_ready(f->world) &&
	    recv(f->fd, text, sizeof(text), 0) > 0)
		send(f->fd, hello, sizeof(hello) - 1, 0);
	return world_is_ready(f->world);
}

static uint32_t
fake_segments(const struct fake *f)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	assert_int_equal(
	    getsockopt(f->fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_data_segs_in;
}

/* Twenty statements, and the session's settings, each with its Sync. */
static bool
fake_has_all(void *arg)
{
	static const char sync[] = "S\0\0\0\4";
	const struct fake *f = arg;
	char text[16384];
	ssize_t i, len = recv(f->fd, text, sizeof(text), MSG_PEEK);
	int count = 0;

	for (i = 0; i + 5 <= len; i++)
		count += memcmp(text + i, sync, 5) == 0;
	return count == 21;
}

static void
what_one_turn_asks_leaves_together(void **state)
{
	struct world *w = *state;
	struct fake f = {.world = w, .fd = -1};
	struct ask a[20];
	char url[96];
	uint32_t before;
	size_t i;

	f.listener = listener_new(SOCK_NONBLOCK, url, sizeof(url));
	world_open(w, url, 1);
	world_wait(w, fake_is_connected, &f);
	event_base_loop(w->base, EVLOOP_NONBLOCK);
	before = fake_segments(&f);
	for (i = 0; i < UNIT_COUNT(a); i++)
		ask_start(w, &a[i], "SELECT 1");
	world_wait(w, fake_has_all, &f);
	assert_in_range(fake_segments(&f) - before, 1, 2);
	for (i = 0; i < UNIT_COUNT(a); i++)
		w->db->driver->cancel(w->db, &a[i].q);
	world_close(w);
	close(f.fd);
	close(f.listener);
}

/* A server that takes connections and says nothing. */
static void
silence_is_out(void **state)
{
	struct world *w = *state;
	struct ask late, a;
	char url[96];
	int fd = listener_new(0, url, sizeof(url));

	world_open(w, url, 2);
	w->config.connect_ms = 400;
	ask_init(w, &late, "SELECT 1", 100);
	assert_int_equal(ask_submit(&late), 0);
	ask_start(w, &a, "SELECT 1");
	ask_wait(w, &late);
	check_failed(&late, 504, "57014");
	ask_wait(w, &a);
	assert_true(a.q.rows.is_retryable);
	check_failed(&a, 503, "08001");
	world_close(w);
	close(fd);
}

static void
names_are_looked_up(void **state)
{
	struct world *w = *state;
	struct ask a;
	char url[128];

	snprintf(url, sizeof(url), "postgresql://lane@localhost:%u/postgres",
	    w->server->port);
	world_open(w, url, 1);
	assert_int_equal(run(w, "SELECT 1"), 1);
	world_close(w);
	snprintf(url, sizeof(url), "postgresql://lane@a.invalid:%u/postgres",
	    w->server->port);
	world_open(w, url, 1);
	w->config.connect_ms = 300;
	ask_start(w, &a, "SELECT 1");
	ask_wait(w, &a);
	check_failed(&a, 503, "08001");
	world_close(w);
}

static void
a_bad_url_is_told(void **state)
{
	struct world *w = *state;
	struct db_args args = {.base = w->base};
	struct error err;

	w->config = (struct config_database){.name = STR("main"),
	    .url = STR("postgresql://h/x?nonsense=1"),
	    .connections = 1};
	assert_null(db_new(&w->config, &args, &err));
	assert_non_null(strstr(err.text, "nonsense"));
}

/* What both databases must do, on a server of its own. */
static int
run_common(void)
{
	struct pg_server *s = pg_server_new();
	int failed;

	pg_server_start(s);
	failed = suite_run(&(struct suite_target){
	    .url = s->tcp_url,
	    .blob_type = "BYTEA",
	    .bool_type = "BOOLEAN",
	});
	pg_server_free(s);
	return failed;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(types_come_as_they_are),
	    cmocka_unit_test(parameters_need_no_casts),
	    cmocka_unit_test(errors_hurt_nobody_else),
	    cmocka_unit_test(affected_rows_are_told),
	    cmocka_unit_test(statements_are_kept_and_renewed),
	    cmocka_unit_test(a_thousand_on_four_connections),
	    cmocka_unit_test(a_full_queue_refuses),
	    cmocka_unit_test(too_late_is_cancelled_alone),
	    cmocka_unit_test(a_client_that_goes_cancels),
	    cmocka_unit_test(transactions_have_a_connection),
	    cmocka_unit_test(a_transaction_that_is_abandoned_is_rolled_back),
	    cmocka_unit_test(a_connection_that_is_killed_is_made_again),
	    cmocka_unit_test(a_server_may_come_late_and_go),
	    cmocka_unit_test(a_statement_that_can_not_be_cancelled),
	    cmocka_unit_test(copy_costs_its_connection),
	    cmocka_unit_test(large_values_go_both_ways),
	    cmocka_unit_test(bytea_comes_in_either_form),
	    cmocka_unit_test(what_one_turn_asks_leaves_together),
	    cmocka_unit_test(silence_is_out),
	    cmocka_unit_test(names_are_looked_up),
	    cmocka_unit_test(a_bad_url_is_told),
	};

	int failed;

	if (!pg_server_is_installed()) {
		puts("PostgreSQL isn't installed: not tested");
		return 77;
	}
	failed = run_common();
	return failed + cmocka_run_group_tests(tests, world_start, world_end);
}
