/* SPDX-License-Identifier: MIT */
/*
 * Proves the SQLite driver: what every driver does, and what is its own.
 *
 * Context: a folder of its own under TMPDIR; the test's thread and a pool.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/db_suite.h"
#include "tests/unit/unit.h"

/* A path in the test's folder, as a url or without its scheme. */
struct file {
	char url[192];
};

static struct file
file_of(void **state, const char *name)
{
	struct file f;

	snprintf(f.url, sizeof(f.url), "sqlite:%s/%s", (char *)*state, name);
	return f;
}

static const char *
file_path(const struct file *f)
{
	return f->url + strlen("sqlite:");
}

static struct suite_db *
open_file(void **state, const char *name)
{
	struct file f = file_of(state, name);
	struct suite_db *d =
	    suite_db_open(&(struct suite_config){.url = f.url});

	return d;
}

static void
check_state(struct suite_query *q, int status, const char *sqlstate)
{
	suite_wait(q);
	if (q->q.rows.status != status ||
	    strcmp(lane_rows_sqlstate(&q->q.rows), sqlstate) != 0)
		fail_msg("%s: %d %s %s", q->q.sql, q->q.rows.status,
		    lane_rows_sqlstate(&q->q.rows), q->q.rows.error);
	suite_drop(q);
}

static struct suite_query *
start(struct suite_db *d, const char *sql)
{
	return suite_start(d, &(struct suite_ask){.sql = sql});
}

/* Each of a batch of writes stands for itself, whatever the others do. */
static const struct {
	const char *name, *sql;
	int status;
	const char *sqlstate;
} batch[] = {
    {"one", "INSERT INTO t VALUES (1, 1)", 0, "00000"},
    {"a key twice", "INSERT INTO t VALUES (1, 2)", 409, "23505"},
    {"another", "INSERT INTO t VALUES (2, 1)", 0, "00000"},
    {"one that rolls all back", "INSERT OR ROLLBACK INTO t VALUES (1, 3)", 409,
	"23505"},
    {"after it", "INSERT INTO t VALUES (3, 1)", 0, "00000"},
    {"refused only by the commit", "INSERT INTO late VALUES (99)", 409,
	"23503"},
    {"with rows", "INSERT INTO t VALUES (4, 1) RETURNING id", 0, "00000"},
    {"with rows, and refused",
	"INSERT INTO t VALUES (5, 1), (1, 1) RETURNING id", 409, "23505"},
    {"the last", "UPDATE t SET n = n + 1 WHERE id = 1", 0, "00000"},
};

static void
test_batch(void **state)
{
	struct suite_db *d = open_file(state, "batch.db");
	struct suite_query *q[UNIT_COUNT(batch)];

	suite_do(d, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)");
	suite_do(d,
	    "CREATE TABLE late (id INTEGER REFERENCES t(id) "
	    "DEFERRABLE INITIALLY DEFERRED)");
	/* What is new is tried alone, and what is tried beside it may overtake
	 * it: statements have an order once each has been seen. */
	for (size_t i = 0; i < UNIT_COUNT(batch); i++)
		suite_drop(suite_ask(d, batch[i].sql, NULL, 0));
	for (int round = 0; round < 3; round++) {
		suite_do(d, "DELETE FROM late");
		suite_do(d, "DELETE FROM t");
		for (size_t i = 0; i < UNIT_COUNT(batch); i++)
			q[i] = start(d, batch[i].sql);
		for (size_t i = 0; i < UNIT_COUNT(batch); i++)
			check_state(q[i], batch[i].status, batch[i].sqlstate);
		assert_int_equal(suite_int(d,
		    "SELECT sum(id * 10 + n) "
		    "FROM t"),
		    105);
		assert_int_equal(suite_int(d, "SELECT count(*) FROM late"), 0);
	}
	suite_db_close(d);
}

/* A write that is stopped takes its transaction with it; the others of its
 * batch are done again. */
static void
test_stopped_write(void **state)
{
	struct suite_db *d = open_file(state, "stopped.db");
	const char *endless =
	    "INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 1 "
	    "UNION ALL SELECT n + 1 FROM c WHERE n < $1) SELECT -n FROM c";
	struct lane_value count = {.kind = LANE_INT, .u.i = 1};
	struct suite_query *q[20];

	suite_do(d, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
	suite_drop(suite_ask(d, endless, &count, 1));
	suite_do(d, "DELETE FROM t");
	suite_do(d, "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t");
	count.u.i = 1000000000;
	for (size_t i = 0; i < UNIT_COUNT(q); i++)
		q[i] = i == 10 ?
		    suite_start(d,
			&(struct suite_ask){.sql = endless,
			    .params = &count,
			    .param_count = 1,
			    .timeout_ms = 300}) :
		    start(d,
			"INSERT INTO t SELECT coalesce(max(id), 0) + 1 "
			"FROM t");
	for (size_t i = 0; i < UNIT_COUNT(q); i++)
		check_state(
		    q[i], i == 10 ? 504 : 0, i == 10 ? "57014" : "00000");
	assert_int_equal(suite_int(d, "SELECT sum(id) FROM t"), 210);
	suite_db_close(d);
}

static void
test_memory(void **state)
{
	struct suite_db *d =
	    suite_db_open(&(struct suite_config){.url = "sqlite::memory:"});
	struct lane_tx tx;

	suite_do(d, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
	for (int i = 0; i < 50; i++)
		suite_do(d, "INSERT INTO t SELECT count(*) FROM t");
	assert_int_equal(suite_int(d, "SELECT max(id) FROM t"), 49);
	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, "DELETE FROM t");
	suite_tx(d, &tx, DB_ROLLBACK);
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), 50);
	suite_db_close(d);
}

/* Statements that can't share a transaction, and those that may not have one
 * of their own. */
static void
test_alone(void **state)
{
	struct suite_db *d = open_file(state, "alone.db");
	static const char *const refused[] = {"BEGIN", "COMMIT", "ROLLBACK",
	    "SAVEPOINT a", "RELEASE a", "BEGIN IMMEDIATE"};

	suite_do(d, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
	for (int i = 0; i < 3; i++) {
		struct suite_query *q[] = {
		    start(d, "INSERT INTO t SELECT count(*) FROM t"),
		    start(d, "VACUUM"),
		    start(d, "INSERT INTO t SELECT count(*) FROM t"),
		    start(d, "PRAGMA user_version = 7"),
		    start(d, "ANALYZE"),
		};

		for (size_t k = 0; k < UNIT_COUNT(q); k++)
			check_state(q[k], 0, "00000");
		for (size_t k = 0; k < UNIT_COUNT(refused); k++)
			check_state(start(d, refused[k]), 500, "42501");
	}
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), 6);
	suite_db_close(d);
}

static const struct {
	const char *name, *sql;
	int status;
	const char *sqlstate;
} odd[] = {
    {"nothing", "", 500, "42601"},
    {"a comment", "-- nothing", 500, "42601"},
    {"a comment behind", "SELECT 1 -- one", 0, "00000"},
    {"a semicolon and a comment", "SELECT 1; /* one */ ", 0, "00000"},
    {"a named parameter", "SELECT :a", 500, "42P02"},
    {"a parameter without a number", "SELECT ?", 500, "42P02"},
    {"a name in quotes that is none", "SELECT \"absent\"", 500, "42703"},
    {"a function", "SELECT absent(1)", 500, "42883"},
    {"too large a result",
	"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL "
	"SELECT n + 1 FROM c WHERE n < 100) SELECT zeroblob(1000000) "
	"FROM c",
	500, "54000"},
    {"too large a row", "SELECT zeroblob(900000000)", 500, "54000"},
    {"too large for SQLite", "SELECT zeroblob(2000000000)", 500, "54000"},
};

static void
test_odd(void **state)
{
	struct suite_db *d = open_file(state, "odd.db");

	for (size_t i = 0; i < UNIT_COUNT(odd); i++)
		check_state(
		    start(d, odd[i].sql), odd[i].status, odd[i].sqlstate);
	assert_true(d->db->driver->is_ready(d->db));
	suite_db_close(d);
}

/* What RETURNING gives can't be taken: then nothing has been changed. */
static void
test_too_large_returning(void **state)
{
	struct suite_db *d = open_file(state, "returning.db");
	const char *sql =
	    "INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 1 UNION "
	    "ALL SELECT n + 1 FROM c WHERE n < 100) SELECT n FROM c "
	    "RETURNING zeroblob(1000000)";
	struct suite_query *q[4];

	suite_do(d, "CREATE TABLE t (id INTEGER)");
	check_state(start(d, sql), 500, "54000");
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), 0);
	for (size_t i = 0; i < UNIT_COUNT(q); i++)
		q[i] = start(d, i == 2 ? sql : "INSERT INTO t VALUES (1)");
	for (size_t i = 0; i < UNIT_COUNT(q); i++)
		check_state(q[i], i == 2 ? 500 : 0, i == 2 ? "54000" : "00000");
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), 3);
	suite_db_close(d);
}

/* A folder that isn't there yet: out, and back by itself. */
static void
test_out(void **state)
{
	struct file folder = file_of(state, "later");
	struct file f = file_of(state, "later/out.db");
	struct suite_db *d =
	    suite_db_open_unready(&(struct suite_config){.url = f.url});
	struct suite_query *q = start(d, "SELECT 1");

	assert_false(d->db->driver->is_ready(d->db));
	check_state(q, 503, "08001");
	q = start(d, "SELECT 1");
	assert_int_equal(q->rc, -EHOSTDOWN);
	suite_drop(q);
	assert_int_equal(mkdir(file_path(&folder), 0700), 0);
	suite_wait_ready(d, true);
	assert_int_equal(suite_int(d, "SELECT 1"), 1);
	suite_db_close(d);
}

/* A file that is no database. */
static void
test_no_database(void **state)
{
	struct file f = file_of(state, "text.db");
	FILE *text = fopen(file_path(&f), "w");
	struct suite_db *d;

	assert_non_null(text);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", text);
	fclose(text);
	d = suite_db_open_unready(&(struct suite_config){.url = f.url});
	check_state(start(d, "SELECT 1"), 503, "08001");
	assert_false(d->db->driver->is_ready(d->db));
	assert_int_equal(unlink(file_path(&f)), 0);
	suite_wait_ready(d, true);
	suite_db_close(d);
}

static sqlite3 *
outsider_open(const struct file *f)
{
	sqlite3 *other;

	assert_int_equal(sqlite3_open(file_path(f), &other), SQLITE_OK);
	return other;
}

/* Another process has the lock: a short wait is no failure, a long one is a
 * 503 that may be tried again; reads go on. */
static void
test_locked(void **state)
{
	struct file f = file_of(state, "locked.db");
	struct suite_db *d = suite_db_open(
	    &(struct suite_config){.url = f.url, .connect_ms = 100});
	sqlite3 *other = outsider_open(&f);
	struct suite_query *q;

	suite_do(d, "CREATE TABLE t (id INTEGER)");
	assert_int_equal(
	    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	q = suite_start(d,
	    &(struct suite_ask){
		.timeout_ms = 100, .sql = "INSERT INTO t VALUES (1)"});
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), 0);
	suite_wait(q);
	assert_true(q->q.rows.is_retryable);
	check_state(q, 503, "55P03");
	suite_wait_ready(d, false);
	q = start(d, "INSERT INTO t VALUES (2)");
	assert_int_equal(
	    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	check_state(q, 0, "00000");
	suite_wait_ready(d, true);
	assert_int_equal(suite_int(d, "SELECT sum(id) FROM t"), 2);
	sqlite3_close(other);
	suite_db_close(d);
}

/* No room for more: reads go on, and it is back when there is some. */
static void
set_page_max(struct suite_db *d, const char *pragma)
{
	struct lane_tx tx;

	/* That is the connection that writes. */
	suite_tx(d, &tx, DB_BEGIN);
	suite_tx_do(d, &tx, pragma);
	suite_tx(d, &tx, DB_COMMIT);
}

static void
test_full(void **state)
{
	struct suite_db *d = open_file(state, "full.db");
	int i;

	suite_do(d, "CREATE TABLE t (b BLOB)");
	set_page_max(d, "PRAGMA max_page_count = 20");
	for (i = 0; i < 100; i++) {
		struct suite_query *q = suite_ask(
		    d, "INSERT INTO t VALUES (zeroblob(4000))", NULL, 0);
		bool is_full = q->q.rows.status != 0;

		if (is_full)
			check_state(q, 503, "53100");
		else
			suite_drop(q);
		if (is_full)
			break;
	}
	assert_in_range(i, 5, 50);
	assert_int_equal(suite_int(d, "SELECT count(*) FROM t"), i);
	set_page_max(d, "PRAGMA max_page_count = 1000");
	suite_wait_ready(d, true);
	suite_do(d, "INSERT INTO t VALUES (zeroblob(4000))");
	suite_db_close(d);
}

/* Quick reads don't wait behind those that take long. */
static void
test_slow_beside_quick(void **state)
{
	struct suite_db *d = open_file(state, "slow.db");
	struct suite_query *slow[10];

	assert_int_equal(suite_int(d, "SELECT 1"), 1);
	for (size_t i = 0; i < UNIT_COUNT(slow); i++)
		slow[i] = start(d, suite_endless);
	for (int i = 0; i < 100; i++)
		assert_int_equal(suite_int(d, "SELECT 1"), 1);
	for (size_t i = 0; i < UNIT_COUNT(slow); i++) {
		assert_false(slow[i]->is_done);
		suite_drop(slow[i]);
	}
	suite_db_close(d);
}

static void
test_start_errors(void **state)
{
	static const struct {
		const char *url, *says;
	} cases[] = {
	    {"sqlite:x.db",
		"line 3: database 'main': sqlite works on the "
		"pool: \"offload_threads\" must be at least 1"},
	    {"mysql:x",
		"line 3: database 'main': the url begins with "
		"neither \"sqlite:\" nor \"postgresql:\""},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct config_database config = {.name = STR("main"),
		    .url = str_of(cases[i].url),
		    .pos = {3, 1}};
		struct error err;

		assert_null(
		    db_new(&config, &(struct db_args){.base = NULL}, &err));
		unit_check_str(
		    str_of(err.text), str_of(cases[i].says), cases[i].url);
	}
}

static int
run_own(char *folder)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(test_batch, folder),
	    cmocka_unit_test_prestate(test_stopped_write, folder),
	    cmocka_unit_test_prestate(test_memory, folder),
	    cmocka_unit_test_prestate(test_alone, folder),
	    cmocka_unit_test_prestate(test_odd, folder),
	    cmocka_unit_test_prestate(test_too_large_returning, folder),
	    cmocka_unit_test_prestate(test_out, folder),
	    cmocka_unit_test_prestate(test_no_database, folder),
	    cmocka_unit_test_prestate(test_locked, folder),
	    cmocka_unit_test_prestate(test_full, folder),
	    cmocka_unit_test_prestate(test_slow_beside_quick, folder),
	    cmocka_unit_test_prestate(test_start_errors, folder),
	};

	return UNIT_RUN(tests);
}

static void
remove_folder(const char *folder)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	if (system(command) != 0)
		fprintf(stderr, "%s is left\n", folder);
}

int
main(void)
{
	char folder[] = "/tmp/corelane-sqlite.XXXXXX", url[128];
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(url, sizeof(url), "sqlite:%s/suite.db", folder);
	failed = suite_run(&(struct suite_target){
	    .url = url, .blob_type = "BLOB", .bool_type = "BOOLEAN"});
	failed += run_own(folder);
	remove_folder(folder);
	return failed;
}
