/* SPDX-License-Identifier: MIT */
/*
 * A database with its loop and pool, asked without a server.
 *
 * Owns what it opens until suite_db_close().
 * Here: asking and waiting.  Not here: what must come (db_suite_tests.c).
 * Context: the test's thread.
 */
#include "tests/unit/db_suite.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

const char suite_endless[] =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
    "WHERE n < 1000000000) SELECT count(*) FROM c";

static int
either(int wanted, int otherwise)
{
	return wanted != 0 ? wanted : otherwise;
}

struct suite_db *
suite_db_open_unready(const struct suite_config *config)
{
	struct suite_db *d = calloc(1, sizeof(*d));
	struct error err;

	assert_non_null(d);
	d->base = event_base_new();
	assert_non_null(d->base);
	d->pool = offload_new(d->base,
	    config->threads != 0 ? config->threads : 4, 10000, &d->stats, &err);
	assert_non_null(d->pool);
	d->config = (struct config_database){
	    .name = STR("main"),
	    .url = str_of(config->url),
	    .connections = either(config->connections, 3),
	    .queue = either(config->queue, 10000),
	    .timeout_ms = either(config->timeout_ms, 20000),
	    .connect_ms = either(config->connect_ms, 2000),
	};
	d->db = db_new(&d->config,
	    &(struct db_args){
		.base = d->base, .pool = d->pool, .stats = &d->stats},
	    &err);
	if (d->db == NULL)
		fail_msg("%s", err.text);
	return d;
}

struct suite_db *
suite_db_open(const struct suite_config *config)
{
	struct suite_db *d = suite_db_open_unready(config);

	suite_wait_ready(d, true);
	return d;
}

void
suite_db_close(struct suite_db *d)
{
	offload_free(d->pool);
	db_free(d->db);
	event_base_free(d->base);
	free(d);
}

static void
suite_on_tick(int fd, short what, void *arg)
{
}

/* One turn of the loop, which a timer ends at the latest. */
void
suite_turn(struct suite_db *d)
{
	const struct timeval tick = {0, 20000};

	event_base_once(d->base, -1, EV_TIMEOUT, suite_on_tick, NULL, &tick);
	event_base_loop(d->base, EVLOOP_ONCE);
}

static uint64_t
suite_limit_ms(void)
{
	return clock_now_ns() / 1000000 + SUITE_SECONDS_MAX * 1000;
}

void
suite_wait_ready(struct suite_db *d, bool is_ready)
{
	uint64_t limit_ms = suite_limit_ms();

	while (d->db->driver->is_ready(d->db) != is_ready) {
		if (clock_now_ns() / 1000000 > limit_ms)
			fail_msg("the database is %sready after %d s",
			    is_ready ? "not " : "", SUITE_SECONDS_MAX);
		suite_turn(d);
	}
}

static void
suite_on_done(struct db_query *q)
{
	struct suite_query *sq =
	    (struct suite_query *)((char *)q - offsetof(struct suite_query, q));

	assert_false(sq->is_done);
	sq->is_done = true;
	sq->order = (unsigned)q->db->queries;
}

struct suite_query *
suite_start(struct suite_db *d, const struct suite_ask *a)
{
	struct suite_query *sq = calloc(1, sizeof(*sq));
	uint64_t timeout_ms =
	    a->timeout_ms != 0 ? a->timeout_ms : (uint64_t)d->config.timeout_ms;

	assert_non_null(sq);
	sq->db = d;
	sq->q = (struct db_query){
	    .kind = a->kind,
	    .db = d->db,
	    .tx = a->tx,
	    .sql = a->sql,
	    .params = a->params,
	    .param_count = a->param_count,
	    .is_read_only = a->is_read_only,
	    .deadline_ms = clock_now_ns() / 1000000 + timeout_ms,
	    .done = suite_on_done,
	};
	sq->rc = d->db->driver->submit(d->db, &sq->q);
	assert_false(sq->is_done);
	return sq;
}

void
suite_wait(struct suite_query *sq)
{
	uint64_t limit_ms = suite_limit_ms();

	if (sq->rc != 0)
		fail_msg("refused with %d: %s", sq->rc, sq->q.sql);
	while (!sq->is_done) {
		if (clock_now_ns() / 1000000 > limit_ms)
			fail_msg("no answer after %d s: %s", SUITE_SECONDS_MAX,
			    sq->q.sql);
		suite_turn(sq->db);
	}
}

void
suite_drop(struct suite_query *sq)
{
	if (sq->rc == 0 && !sq->is_done)
		sq->db->db->driver->cancel(sq->db->db, &sq->q);
	db_rows_done(&sq->q.rows);
	free(sq);
}

struct suite_query *
suite_ask(struct suite_db *d, const char *sql, const struct lane_value *params,
    unsigned param_count)
{
	struct suite_query *sq = suite_start(d,
	    &(struct suite_ask){
		.sql = sql, .params = params, .param_count = param_count});

	suite_wait(sq);
	return sq;
}

static void
suite_check(struct suite_query *sq, const char *what)
{
	if (sq->q.rows.status != 0)
		fail_msg("%s: %d %s %s", what, sq->q.rows.status,
		    lane_rows_sqlstate(&sq->q.rows), sq->q.rows.error);
}

void
suite_do(struct suite_db *d, const char *sql)
{
	struct suite_query *sq = suite_ask(d, sql, NULL, 0);

	suite_check(sq, sql);
	suite_drop(sq);
}

int64_t
suite_int(struct suite_db *d, const char *sql)
{
	struct suite_query *sq = suite_ask(d, sql, NULL, 0);
	int64_t i;

	suite_check(sq, sql);
	assert_int_equal(lane_rows_count(&sq->q.rows), 1);
	i = lane_rows_int(&sq->q.rows, 0, 0);
	suite_drop(sq);
	return i;
}

void
suite_tx(struct suite_db *d, struct lane_tx *tx, enum db_query_kind kind)
{
	struct suite_query *sq;

	if (kind == DB_BEGIN)
		*tx = (struct lane_tx){.db = d->db};
	sq = suite_start(d, &(struct suite_ask){.kind = kind, .tx = tx});
	suite_wait(sq);
	suite_check(sq,
	    kind == DB_BEGIN      ? "begin" :
		kind == DB_COMMIT ? "commit" :
				    "rollback");
	tx->is_open = kind == DB_BEGIN;
	suite_drop(sq);
}

void
suite_tx_do(struct suite_db *d, struct lane_tx *tx, const char *sql)
{
	struct suite_query *sq =
	    suite_start(d, &(struct suite_ask){.tx = tx, .sql = sql});

	suite_wait(sq);
	suite_check(sq, sql);
	suite_drop(sq);
}
