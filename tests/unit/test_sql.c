/* SPDX-License-Identifier: MIT */
/*
 * Proves lane_sql() and its kin, through a module in the whole server, on
 * SQLite.
 *
 * Context: a process of its own; databases in memory and in a folder under
 * TMPDIR.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include <corelane/corelane.h>
#include <corelane/test.h>

/* A context's state of its own. */
struct visit {
	struct lane_tx *tx;
	unsigned step;
	int first_status;
};

static int
answer_first_cell(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	if (lane_rows_count(rows) == 0)
		return lane_printf(c, 200, "text/plain", "%lld rows",
		    (long long)lane_rows_affected(rows));
	return lane_send(c, 200, "text/plain", lane_rows_text(rows, 0, 0));
}

/* Runs the statement that the request's content is, with the fields of its
 * query as parameters. */
static int
run(struct lane_ctx *c)
{
	struct lane_str body = lane_body(c), retries = lane_query(c, "retries"),
			timeout = lane_query(c, "timeout");
	struct lane_value params[] = {lane_text(lane_query(c, "a"))};
	struct lane_str sql = lane_copy(c, body);

	return lane_sql(c, .sql = sql.p, .params = params,
	    .param_count = params[0].u.s.p != NULL,
	    .retries = retries.p != NULL ? 20 : 0, .retry_ms = 10,
	    .timeout_ms = timeout.p != NULL ? 200 : 0,
	    .done = answer_first_cell);
}

static int
nowhere(struct lane_ctx *c)
{
	return lane_sql(c, .database = "nowhere", .sql = "SELECT 1",
	    .done = answer_first_cell);
}

/* Transactions: each handler is one way to end one. */

static int
tx_after_commit(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct visit *v = state;

	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	/* It has ended: this must be refused, and harm nothing. */
	if (lane_query(c, "late").p != NULL)
		return lane_sql(c, .tx = v->tx, .sql = "SELECT 1",
		    .done = answer_first_cell);
	return 204;
}

static int
tx_waited(struct lane_ctx *c, void *state)
{
	return 500;
}

static int
tx_after_insert(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct lane_str end = lane_query(c, "end");
	struct visit *v = state;

	v->first_status = lane_rows_status(rows);
	if (lane_str_eq(end, LANE_STR("commit")))
		return lane_commit(c, v->tx, tx_after_commit, v);
	if (lane_str_eq(end, LANE_STR("rollback")))
		return lane_rollback(c, v->tx, tx_after_commit, v);
	if (lane_str_eq(end, LANE_STR("wait")))
		return lane_after(c, 60000, tx_waited, v);
	return 202; /* forgotten */
}

static int
tx_begun(
    struct lane_ctx *c, void *state, struct lane_tx *tx, struct lane_rows *rows)
{
	struct visit *v = state;
	struct lane_value params[] = {lane_text(lane_query(c, "a"))};

	if (tx == NULL)
		return lane_rows_fail(c, rows);
	v->tx = tx;
	return lane_sql(c, .tx = tx, .sql = "INSERT INTO t (a) VALUES ($1)",
	    .params = params, .param_count = 1, .done = tx_after_insert,
	    .state = v);
}

static int
transact(struct lane_ctx *c)
{
	struct visit *v = lane_alloc(c, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	return lane_begin(
	    c, &(struct lane_tx_args){.done = tx_begun, .state = v});
}

/* Several at once: the first to answer ends the others. */
static int
race(struct lane_ctx *c)
{
	int rc = lane_sql(c,
	    .sql =
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION "
		"ALL SELECT n + 1 FROM c WHERE n < 1000000000) SELECT count(*) "
		"FROM c",
	    .done = answer_first_cell);

	if (rc != LANE_ASYNC)
		return rc;
	return lane_sql(c, .sql = "SELECT 'first'", .done = answer_first_cell);
}

static int
known(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%s %s %d",
	    lane_database_kind(c, NULL),
	    lane_database_kind(c, "nowhere") == NULL ? "none" : "some",
	    lane_database_is_ready(c, "main"));
}

static const struct lane_route routes[] = {
    {.name = "run", .path = "/run", .run = run},
    {.name = "nowhere", .path = "/nowhere", .run = nowhere},
    {.name = "transact", .path = "/transact", .run = transact},
    {.name = "race", .path = "/race", .run = race},
    {.name = "known", .path = "/known", .run = known},
    {.name = NULL},
};

static int
start_filled(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	return lane_rows_status(rows) == 0 ? 200 : -EIO;
}

static int
start(struct lane_ctx *c)
{
	return lane_sql(c,
	    .sql = "CREATE TABLE IF NOT EXISTS t "
	    "(a TEXT UNIQUE NOT NULL)",
	    .done = start_filled);
}

static const struct lane_module module = {
    .abi = LANE_ABI,
    .name = "tested",
    .routes = routes,
    .on_worker_start = start,
};

static struct lane_test *
open_database(const char *url, const char *more)
{
	char config[1024];
	struct lane_test *t;

	snprintf(config, sizeof(config),
	    "{\"modules\": [{\"name\": \"tested\", \"file\": \"none.so\"}],"
	    "\"routes\": [{\"path\": \"/ready\", \"handler\": \"ready\"}],"
	    "\"databases\": {\"main\": {\"url\": \"%s\"%s}}}",
	    url, more);
	t = lane_test_new(&module, config);
	assert_non_null(t);
	return t;
}

static struct lane_test *
open_memory(void)
{
	return open_database("sqlite::memory:", "");
}

static struct lane_test_answer
ask(struct lane_test *t, const char *path, const char *sql)
{
	return lane_test_call(t,
	    &(struct lane_test_request){
		.path = path, .body = lane_str_of(sql)});
}

/* body: what is in it; NULL: anything. */
static void
check(struct lane_test *t, const char *path, const char *sql, int status,
    const char *body)
{
	struct lane_test_answer a = ask(t, path, sql);

	if (a.status != status ||
	    (body != NULL &&
		memmem(a.body.p, a.body.len, body, strlen(body)) == NULL))
		fail_msg("%s %s: %d %.*s", path, sql != NULL ? sql : "",
		    a.status, LANE_FMT(a.body));
}

static void
test_statements(void **state)
{
	struct lane_test *t = open_memory();

	check(t, "/run", "SELECT 1 + 1", 200, "2");
	check(t, "/run?a=%27%29%3B--", "INSERT INTO t VALUES ($1)", 200,
	    "1 rows");
	check(t, "/run", "SELECT a FROM t", 200, "');--");
	check(t, "/run", "SELECT 0.1", 200, "0.1");
	check(t, "/known", NULL, 200, "sqlite none 1");
	lane_test_free(t);
}

/* What went wrong is the log's; the client learns what it needs. */
static void
test_failures(void **state)
{
	struct lane_test *t = open_memory();
	struct lane_test_answer a;

	check(t, "/run?a=x", "INSERT INTO t VALUES ($1)", 200, NULL);
	check(t, "/run?a=x", "INSERT INTO t VALUES ($1)", 409, NULL);
	a = ask(t, "/run", "SELECT secret FROM t");
	assert_int_equal(a.status, 500);
	assert_null(memmem(a.body.p, a.body.len, "secret", 6));
	assert_int_equal(ask(t, "/nowhere", NULL).status, 500);
	a = ask(t, "/run?timeout",
	    "WITH RECURSIVE c(n) AS (SELECT 1 UNION "
	    "ALL SELECT n + 1 FROM c WHERE n < 1000000000) SELECT count(*) "
	    "FROM c");
	assert_int_equal(a.status, 503);
	assert_non_null(lane_test_header(&a, "Retry-After").p);
	lane_test_free(t);
}

static void
test_transactions(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *count;
	} cases[] = {
	    {"/transact?a=1&end=commit", 204, "1"},
	    {"/transact?a=2&end=rollback", 204, "1"},
	    {"/transact?a=2&end=forget", 202, "1"},
	    {"/transact?a=2&end=commit&late", 500, "2"},
	    /* The failure of its statement is the commit's. */
	    {"/transact?a=2&end=commit", 409, "2"},
	    {"/transact?a=2&end=rollback", 204, "2"},
	    {"/transact?a=3&end=commit", 204, "3"},
	};
	struct lane_test *t = open_memory();

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		check(t, cases[i].path, NULL, cases[i].status, NULL);
		check(t, "/run", "SELECT count(*) FROM t", 200, cases[i].count);
	}
	lane_test_free(t);
}

/* The client leaves in the middle: the transaction goes with it. */
static void
test_client_leaves(void **state)
{
	struct lane_test *t = open_memory();

	for (unsigned ms = 1; ms < 40; ms += 6) {
		struct lane_test_answer a = lane_test_call(t,
		    &(struct lane_test_request){
			.path = "/transact?a=gone&end=wait",
			.abort_after_ms = ms});

		assert_int_equal(a.status, 0);
		check(t, "/run", "SELECT count(*) FROM t", 200, "0");
		a = lane_test_call(t,
		    &(struct lane_test_request){.path = "/run",
			.abort_after_ms = ms,
			.body = LANE_STR(
			    "WITH RECURSIVE c(n) AS (SELECT 1 UNION "
			    "ALL SELECT n + 1 FROM c WHERE n < 1000000000) "
			    "SELECT count(*) FROM c")});
		assert_int_equal(a.status, 0);
		check(t, "/run", "SELECT 'back'", 200, "back");
	}
	lane_test_free(t);
}

static void
test_race(void **state)
{
	char folder[] = "/tmp/corelane-sql.XXXXXX", url[128], command[128];
	struct lane_test *t;

	assert_non_null(mkdtemp(folder));
	snprintf(url, sizeof(url), "sqlite:%s/race.db", folder);
	t = open_database(url, "");
	for (int i = 0; i < 20; i++)
		check(t, "/race", NULL, 200, "first");
	lane_test_free(t);
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	assert_int_equal(system(command), 0);
}

/* Another process holds the lock for a while: retries get there. */
static int
unlock_after(void *arg, int tries)
{
	return 0;
}

static void
test_retries(void **state)
{
	char folder[] = "/tmp/corelane-sql.XXXXXX", url[128], command[128];
	struct lane_test *t;
	sqlite3 *other;

	assert_non_null(mkdtemp(folder));
	snprintf(url, sizeof(url), "sqlite:%s/retry.db", folder);
	t = open_database(url, "");
	assert_int_equal(
	    sqlite3_open(url + strlen("sqlite:"), &other), SQLITE_OK);
	sqlite3_busy_handler(other, unlock_after, NULL);
	assert_int_equal(
	    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	check(t, "/run?timeout&a=x", "INSERT INTO t VALUES ($1)", 503, NULL);
	check(t, "/run?timeout&retries&a=x", "INSERT INTO t VALUES ($1)", 503,
	    NULL);
	check(t, "/run", "SELECT count(*) FROM t", 200, "0");
	assert_int_equal(
	    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	check(t, "/run?timeout&retries&a=x", "INSERT INTO t VALUES ($1)", 200,
	    "1 rows");
	sqlite3_close(other);
	lane_test_free(t);
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_client_leaves),
	    cmocka_unit_test(test_race),
	    cmocka_unit_test(test_retries),
	};

	return UNIT_RUN(tests);
}
