/* SPDX-License-Identifier: MIT */
/*
 * Proves of a driver what every driver must do.
 *
 * Context: a database of its own (suite_target), each test with a connection
 * set of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ctx.h"
#include "tests/unit/db_suite.h"
#include "tests/unit/unit.h"

static struct suite_db *
open_target(void **state)
{
	const struct suite_target *target = *state;

	return suite_db_open(&(struct suite_config){.url = target->url});
}

/* A table with one row of each size. */
static struct suite_db *
open_with_table(void **state)
{
	struct suite_db *d = open_target(state);

	suite_do(d, "DROP TABLE IF EXISTS item");
	suite_do(d, "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT)");
	return d;
}

static bool
value_is(struct lane_value a, struct lane_value b)
{
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case LANE_INT:
		return a.u.i == b.u.i;
	case LANE_FLOAT:
		return a.u.f >= b.u.f && a.u.f <= b.u.f;
	case LANE_TEXT:
	case LANE_BLOB:
		return str_eq(str_of_lane(a.u.s), str_of_lane(b.u.s));
	default:
		return a.kind == LANE_NULL;
	}
}

#define TEXT(lit)                                                              \
	{                                                                      \
		.kind = LANE_TEXT, .u.s = { lit, sizeof(lit) - 1 }             \
	}
#define BLOB(lit)                                                              \
	{                                                                      \
		.kind = LANE_BLOB, .u.s = { lit, sizeof(lit) - 1 }             \
	}

static const struct value_case {
	const char *name;
	const char *column;
	struct lane_value value;
} value_cases[] = {
    {"zero", "i", {.kind = LANE_INT, .u.i = 0}},
    {"less than zero", "i", {.kind = LANE_INT, .u.i = -1}},
    {"beyond 32 bits", "i", {.kind = LANE_INT, .u.i = 5000000000}},
    {"the largest integer", "i", {.kind = LANE_INT, .u.i = INT64_MAX}},
    {"the smallest integer", "i", {.kind = LANE_INT, .u.i = INT64_MIN}},
    {"a third", "f", {.kind = LANE_FLOAT, .u.f = 1.0 / 3}},
    {"a huge number", "f", {.kind = LANE_FLOAT, .u.f = -1e300}},
    {"a tiny one", "f", {.kind = LANE_FLOAT, .u.f = 5e-324}},
    {"no text", "t", TEXT("")},
    {"ASCII", "t", TEXT("plain")},
    {"quotes", "t", TEXT("it's \"quoted\" \\ $1 ? :a -- /* ;")},
    {"an injection", "t", TEXT("'); DROP TABLE v; --")},
    {"umlauts, Chinese, an emoji", "t",
	TEXT("Gr\xc3\xbc\xc3\x9f"
	    "e \xe4\xb8\xad \xf0\x9f\x8e\x89")},
    {"lines", "t", TEXT("a\r\n\tb\x01")},
    {"no blob", "b", BLOB("")},
    {"bytes", "b", BLOB("\0\xff\x80'\\\0")},
    {"a NULL integer", "i", {.kind = LANE_NULL}},
    {"a NULL float", "f", {.kind = LANE_NULL}},
    {"a NULL text", "t", {.kind = LANE_NULL}},
    {"a NULL blob", "b", {.kind = LANE_NULL}},
};

/* Also: a column that was not given is NULL, which is neither 0 nor "". */
static void
check_value(struct suite_db *d, const struct value_case *vc, int64_t id)
{
	struct lane_value params[] = {{.kind = LANE_INT, .u.i = id}, vc->value};
	struct suite_query *sq;
	struct lane_value got;
	char sql[128];

	snprintf(sql, sizeof(sql), "INSERT INTO v (id, %s) VALUES ($1, $2)",
	    vc->column);
	sq = suite_ask(d, sql, params, 2);
	if (sq->q.rows.status != 0)
		fail_msg("%s: %s", vc->name, sq->q.rows.error);
	assert_int_equal(lane_rows_affected(&sq->q.rows), 1);
	suite_drop(sq);
	snprintf(sql, sizeof(sql), "SELECT %s, none FROM v WHERE id = $1",
	    vc->column);
	sq = suite_ask(d, sql, params, 1);
	assert_int_equal(lane_rows_count(&sq->q.rows), 1);
	got = lane_rows_value(&sq->q.rows, 0, 0);
	unit_check(value_is(got, vc->value), vc->name);
	unit_check(lane_rows_is_null(&sq->q.rows, 0, 0) ==
		(vc->value.kind == LANE_NULL),
	    vc->name);
	unit_check(lane_rows_is_null(&sq->q.rows, 0, 1), vc->name);
	suite_drop(sq);
}

static void
test_values(void **state)
{
	const struct suite_target *target = *state;
	struct suite_db *d = open_target(state);
	char sql[256];

	suite_do(d, "DROP TABLE IF EXISTS v");
	snprintf(sql, sizeof(sql),
	    "CREATE TABLE v (id BIGINT PRIMARY KEY, "
	    "i BIGINT, f DOUBLE PRECISION, t TEXT, b %s, none TEXT)",
	    target->blob_type);
	suite_do(d, sql);
	for (size_t i = 0; i < UNIT_COUNT(value_cases); i++)
		check_value(d, &value_cases[i], (int64_t)i);
	assert_int_equal(
	    suite_int(d, "SELECT count(*) FROM v"), UNIT_COUNT(value_cases));
	suite_db_close(d);
}

static void
test_booleans(void **state)
{
	const struct suite_target *target = *state;
	struct suite_db *d = open_target(state);
	struct lane_value params[] = {{.kind = LANE_BOOL, .u.b = true},
	    {.kind = LANE_BOOL, .u.b = false}};
	struct suite_query *sq;
	char sql[256];

	suite_do(d, "DROP TABLE IF EXISTS flag");
	snprintf(sql, sizeof(sql), "CREATE TABLE flag (a %s, b %s)",
	    target->bool_type, target->bool_type);
	suite_do(d, sql);
	sq = suite_ask(
	    d, "INSERT INTO flag VALUES ($1, $2) RETURNING a, b", params, 2);
	assert_int_equal(sq->q.rows.status, 0);
	assert_int_equal(lane_rows_int(&sq->q.rows, 0, 0), 1);
	assert_int_equal(lane_rows_int(&sq->q.rows, 0, 1), 0);
	assert_false(lane_rows_is_null(&sq->q.rows, 0, 1));
	suite_drop(sq);
	suite_db_close(d);
}

/* Parameters go by number, in any order and any number of times. */
static void
test_parameters(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct lane_value params[] = {
	    {.kind = LANE_INT, .u.i = 7}, TEXT("seven")};
	struct suite_query *sq;

	sq = suite_ask(d,
	    "INSERT INTO item (name, id) VALUES ($2, $1) "
	    "RETURNING name, id",
	    params, 2);
	assert_int_equal(sq->q.rows.status, 0);
	assert_int_equal(lane_rows_int(&sq->q.rows, 0, 1), 7);
	suite_drop(sq);
	sq = suite_ask(d,
	    "SELECT name FROM item WHERE name = $2 AND id = $1 "
	    "AND name = $2",
	    params, 2);
	assert_int_equal(lane_rows_count(&sq->q.rows), 1);
	suite_drop(sq);
	sq = suite_ask(d, "SELECT name FROM item WHERE id = $1", params, 2);
	assert_int_equal(sq->q.rows.status, 500);
	suite_drop(sq);
	sq = suite_ask(d, "SELECT name FROM item WHERE id = $1", NULL, 0);
	assert_int_equal(sq->q.rows.status, 500);
	suite_drop(sq);
	suite_db_close(d);
}

static void
test_rows(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct suite_query *sq;

	sq = suite_ask(d, "SELECT id, name AS title FROM item", NULL, 0);
	assert_int_equal(sq->q.rows.status, 0);
	assert_int_equal(lane_rows_count(&sq->q.rows), 0);
	assert_int_equal(lane_rows_columns(&sq->q.rows), 2);
	unit_check_str(str_of_lane(lane_rows_name(&sq->q.rows, 1)),
	    STR("title"), "a column's name, without rows");
	assert_null(lane_rows_name(&sq->q.rows, 2).p);
	assert_true(lane_rows_is_null(&sq->q.rows, 0, 0));
	suite_drop(sq);
	suite_do(d,
	    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 "
	    "FROM c WHERE n < 20000) INSERT INTO item SELECT n, 'name ' || n "
	    "FROM c");
	sq = suite_ask(d, "SELECT id, name FROM item ORDER BY id", NULL, 0);
	assert_int_equal(lane_rows_count(&sq->q.rows), 20000);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(lane_rows_int(&sq->q.rows, i, 0), i + 1);
	unit_check_str(str_of_lane(lane_rows_text(&sq->q.rows, 19999, 1)),
	    STR("name 20000"), "the last row");
	suite_drop(sq);
	suite_db_close(d);
}

static const struct {
	const char *sql;
	int64_t affected;
	unsigned count;
} change_cases[] = {
    {"INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c')", 3, 0},
    {"INSERT INTO item VALUES (4, 'd') RETURNING id", 1, 1},
    {"UPDATE item SET name = 'x' WHERE id < 3", 2, 0},
    {"UPDATE item SET name = 'y' WHERE id < 4 RETURNING id, name", 3, 3},
    {"UPDATE item SET name = 'z' WHERE id > 9", 0, 0},
    {"SELECT id FROM item", 0, 4},
    {"DELETE FROM item WHERE id = 1 RETURNING name", 1, 1},
    {"DELETE FROM item", 3, 0},
};

	static void test_changes(void **state)
{
	struct suite_db *d = open_with_table(state);

	for (size_t i = 0; i < UNIT_COUNT(change_cases); i++) {
		const char *sql = change_cases[i].sql;
		struct suite_query *sq = suite_ask(d, sql, NULL, 0);

		unit_check(sq->q.rows.status == 0, sql);
		unit_check(
		    lane_rows_affected(&sq->q.rows) == change_cases[i].affected,
		    sql);
		unit_check(
		    lane_rows_count(&sq->q.rows) == change_cases[i].count, sql);
		suite_drop(sq);
	}
	suite_db_close(d);
}

static const struct {
	const char *name, *sql;
	int status;
	const char *sqlstate;
} failures[] = {
    {"a key twice", "INSERT INTO child VALUES (1, 1, 'a', 5)", 409, "23505"},
    {"a key of nothing", "INSERT INTO child VALUES (2, 9, 'b', 5)", 409,
	"23503"},
    {"a needed value that isn't there",
	"INSERT INTO child VALUES (2, 1, NULL, 5)", 409, "23502"},
    {"a value out of range", "INSERT INTO child VALUES (2, 1, 'b', 11)", 409,
	"23514"},
    {"a unique text twice", "INSERT INTO child VALUES (2, 1, 'a', 5)", 409,
	"23505"},
    {"bad syntax", "SELEC 1", 500, "42601"},
    {"no end", "SELECT (1", 500, "42601"},
    {"a table that isn't there", "SELECT * FROM missing", 500, "42P01"},
    {"a column that isn't there", "SELECT absent FROM child", 500, "42703"},
    {"two statements", "SELECT 1; SELECT 2", 500, "42601"},
};

	static void test_failures(void **state)
{
	struct suite_db *d = open_target(state);

	suite_do(d, "DROP TABLE IF EXISTS child");
	suite_do(d, "DROP TABLE IF EXISTS parent");
	suite_do(d, "CREATE TABLE parent (id BIGINT PRIMARY KEY)");
	suite_do(d,
	    "CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT "
	    "REFERENCES parent(id), name TEXT NOT NULL UNIQUE, "
	    "grade BIGINT CHECK (grade < 10))");
	suite_do(d, "INSERT INTO parent VALUES (1)");
	suite_do(d, "INSERT INTO child VALUES (1, 1, 'a', 5)");
	for (size_t i = 0; i < 2 * UNIT_COUNT(failures); i++) {
		const char *name = failures[i / 2].name;
		struct suite_query *sq =
		    suite_ask(d, failures[i / 2].sql, NULL, 0);

		if (sq->q.rows.status != failures[i / 2].status)
			fail_msg("%s: status %d", name, sq->q.rows.status);
		if (strcmp(lane_rows_sqlstate(&sq->q.rows),
			failures[i / 2].sqlstate) != 0)
			fail_msg("%s: %s: %s", name,
			    lane_rows_sqlstate(&sq->q.rows),
			    lane_rows_error(&sq->q.rows));
		unit_check(lane_rows_error(&sq->q.rows) != NULL, name);
		unit_check(lane_rows_count(&sq->q.rows) == 0, name);
		suite_drop(sq);
	}
	assert_int_equal(suite_int(d, "SELECT count(*) FROM child"), 1);
	assert_true(d->db->driver->is_ready(d->db));
	suite_do(d, "DROP TABLE child");
	suite_db_close(d);
}

	static void test_transactions(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct lane_tx tx;

	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, "INSERT INTO item VALUES (1, 'a')");
	assert_int_equal(suite_int(d, "SELECT count(*) FROM item"), 0);
	suite_tx_do(d, &tx, "UPDATE item SET name = 'b' WHERE id = 1");
	suite_tx(d, &tx, DB_COMMIT);
	assert_int_equal(suite_int(d,
	    "SELECT count(*) FROM item "
	    "WHERE name = 'b'"),
	    1);
	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, "DELETE FROM item");
	suite_tx(d, &tx, DB_ROLLBACK);
	assert_int_equal(suite_int(d, "SELECT count(*) FROM item"), 1);
	suite_db_close(d);
}

/* What is given up leaves nothing behind, and the next isn't held up. */
	static void test_abandoned(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct suite_query *sq;
	struct lane_tx tx;

	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, "INSERT INTO item VALUES (1, 'a')");
	d->db->driver->abandon(d->db, &tx);
	suite_do(d, "INSERT INTO item VALUES (2, 'b')");
	assert_int_equal(suite_int(d, "SELECT sum(id) FROM item"), 2);
	/* In the middle of a statement. */
	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, "INSERT INTO item VALUES (3, 'c')");
	sq = suite_start(
	    d, &(struct suite_ask){.tx = &tx, .sql = suite_endless});
	suite_turn(d);
	suite_turn(d);
	assert_false(sq->is_done);
	suite_drop(sq);
	d->db->driver->abandon(d->db, &tx);
	suite_do(d, "INSERT INTO item VALUES (4, 'd')");
	assert_int_equal(suite_int(d, "SELECT sum(id) FROM item"), 6);
	/* Before it has begun. */
	tx = (struct lane_tx){.db = d->db};
	sq = suite_start(d, &(struct suite_ask){.kind = DB_BEGIN, .tx = &tx});
	suite_drop(sq);
	suite_do(d, "INSERT INTO item VALUES (5, 'e')");
	assert_int_equal(suite_int(d, "SELECT sum(id) FROM item"), 11);
	suite_db_close(d);
}

	static void test_read_only_transaction(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct lane_tx tx = {.db = d->db};
	struct suite_query *sq;

	sq = suite_start(d,
	    &(struct suite_ask){
		.kind = DB_BEGIN, .tx = &tx, .is_read_only = true});
	suite_wait(sq);
	assert_int_equal(sq->q.rows.status, 0);
	suite_drop(sq);
	suite_tx_do(d, &tx, "SELECT count(*) FROM item");
	sq = suite_start(d,
	    &(struct suite_ask){
		.tx = &tx, .sql = "INSERT INTO item VALUES (1, 'a')"});
	suite_wait(sq);
	assert_int_equal(sq->q.rows.status, 500);
	unit_check_str(str_of(lane_rows_sqlstate(&sq->q.rows)), STR("25006"),
	    "it says so");
	suite_drop(sq);
	suite_tx(d, &tx, DB_ROLLBACK);
	assert_int_equal(suite_int(d, "SELECT count(*) FROM item"), 0);
	suite_db_close(d);
}

/* A read that is asked for after a write was answered sees it. */
	static void test_read_after_write(void **state)
{
	struct suite_db *d = open_with_table(state);

	for (int i = 0; i < 200; i++) {
		struct lane_value params[] = {
		    {.kind = LANE_INT, .u.i = i}, TEXT("x")};

		suite_drop(suite_ask(
		    d, "INSERT INTO item VALUES ($1, $2)", params, 2));
		assert_int_equal(
		    suite_int(d, "SELECT count(*) FROM item"), i + 1);
	}
	suite_db_close(d);
}

static void
test_deadline(void **state)
{
	struct suite_db *d = open_target(state);
	struct suite_query *sq;

	for (int i = 0; i < 2; i++) {
		sq = suite_start(d,
		    &(struct suite_ask){
			.sql = suite_endless, .timeout_ms = 100});
		suite_wait(sq);
		assert_int_equal(sq->q.rows.status, 504);
		unit_check_str(str_of(lane_rows_sqlstate(&sq->q.rows)),
		    STR("57014"), "too late");
		suite_drop(sq);
	}
	assert_int_equal(suite_int(d, "SELECT 1"), 1);
	suite_db_close(d);
}

/* Waiting, running, and one of a batch: none comes any more, and the others
 * do. */
static void
test_cancel(void **state)
{
	struct suite_db *d = open_target(state);
	struct suite_query *sq[20];
	size_t i;

	for (i = 0; i < UNIT_COUNT(sq); i++)
		sq[i] = suite_start(d,
		    &(struct suite_ask){
			.sql = i < 10 ? suite_endless : "SELECT 1"});
	suite_turn(d);
	for (i = 0; i < UNIT_COUNT(sq) - 1; i++)
		suite_drop(sq[i]);
	suite_wait(sq[i]);
	assert_int_equal(lane_rows_int(&sq[i]->q.rows, 0, 0), 1);
	suite_drop(sq[i]);
	assert_int_equal(suite_int(d, "SELECT 2"), 2);
	suite_db_close(d);
}

static void
test_queue_full(void **state)
{
	const struct suite_target *target = *state;
	struct suite_db *d = suite_db_open(&(struct suite_config){
	    .url = target->url, .queue = 5, .connections = 1});
	struct suite_query *sq[200];
	size_t taken = 0, refused = 0;

	for (size_t i = 0; i < UNIT_COUNT(sq); i++) {
		sq[i] =
		    suite_start(d, &(struct suite_ask){.sql = suite_endless});
		taken += sq[i]->rc == 0;
		refused += sq[i]->rc == -EAGAIN;
		if (i % 8 == 0)
			suite_turn(d);
	}
	assert_int_equal(taken + refused, UNIT_COUNT(sq));
	assert_true(taken >= 5 && refused > 0);
	for (size_t i = 0; i < UNIT_COUNT(sq); i++)
		suite_drop(sq[i]);
	assert_int_equal(suite_int(d, "SELECT 3"), 3);
	suite_db_close(d);
}

/* Reads, writes, and failing writes, all at once. */
static void
test_many_at_once(void **state)
{
	struct suite_db *d = open_with_table(state);
	static struct suite_query *sq[1000];
	static struct lane_value params[1000];

	suite_do(d, "INSERT INTO item VALUES (5000, 'there')");
	for (int64_t i = 0; i < 1000; i++) {
		const char *sql = "INSERT INTO item VALUES ($1, 'new')";

		params[i] = (struct lane_value){.kind = LANE_INT, .u.i = i};
		if (i % 3 == 1)
			sql = "SELECT name, $1 + 0 FROM item WHERE id = 5000";
		else if (i % 3 == 2)
			sql = "INSERT INTO item VALUES (5000 + $1 - $1, 'no')";
		sq[i] = suite_start(d,
		    &(struct suite_ask){
			.sql = sql, .params = &params[i], .param_count = 1});
		if (i % 100 == 0)
			suite_turn(d);
	}
	for (int64_t i = 0; i < 1000; i++) {
		suite_wait(sq[i]);
		assert_int_equal(sq[i]->q.rows.status, i % 3 == 2 ? 409 : 0);
		if (i % 3 == 1)
			assert_int_equal(
			    lane_rows_int(&sq[i]->q.rows, 0, 1), i);
		suite_drop(sq[i]);
	}
	assert_int_equal(suite_int(d, "SELECT count(*) FROM item"), 335);
	suite_db_close(d);
}

/* More statements than are kept prepared. */
static void
test_many_statements(void **state)
{
	struct suite_db *d = open_target(state);
	char sql[64];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1500; i++) {
			snprintf(sql, sizeof(sql), "SELECT %d", i);
			assert_int_equal(suite_int(d, sql), i);
		}
	}
	suite_db_close(d);
}

/* A prepared statement follows the table. */
static void
test_schema_change(void **state)
{
	struct suite_db *d = open_with_table(state);
	struct suite_query *sq;

	suite_do(d, "INSERT INTO item VALUES (1, 'a')");
	for (unsigned i = 0; i < 3; i++) {
		char sql[64];

		for (int round = 0; round < 4; round++) {
			sq = suite_ask(d, "SELECT * FROM item", NULL, 0);
			if (sq->q.rows.status != 0)
				fail_msg("%s", sq->q.rows.error);
			assert_int_equal(lane_rows_columns(&sq->q.rows), 2 + i);
			suite_drop(sq);
		}
		snprintf(
		    sql, sizeof(sql), "ALTER TABLE item ADD c%u BIGINT", i);
		suite_do(d, sql);
	}
	suite_db_close(d);
}

int
suite_run(const struct suite_target *target)
{
	struct suite_target copy = *target;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(test_values, &copy),
	    cmocka_unit_test_prestate(test_booleans, &copy),
	    cmocka_unit_test_prestate(test_parameters, &copy),
	    cmocka_unit_test_prestate(test_rows, &copy),
	    cmocka_unit_test_prestate(test_changes, &copy),
	    cmocka_unit_test_prestate(test_failures, &copy),
	    cmocka_unit_test_prestate(test_transactions, &copy),
	    cmocka_unit_test_prestate(test_abandoned, &copy),
	    cmocka_unit_test_prestate(test_read_only_transaction, &copy),
	    cmocka_unit_test_prestate(test_read_after_write, &copy),
	    cmocka_unit_test_prestate(test_deadline, &copy),
	    cmocka_unit_test_prestate(test_cancel, &copy),
	    cmocka_unit_test_prestate(test_queue_full, &copy),
	    cmocka_unit_test_prestate(test_many_at_once, &copy),
	    cmocka_unit_test_prestate(test_many_statements, &copy),
	    cmocka_unit_test_prestate(test_schema_change, &copy),
	};

	return cmocka_run_group_tests_name(target->url, tests, NULL, NULL);
}
