/* SPDX-License-Identifier: MIT */
/*
 * One connection to a SQLite file: opened, given batches, closed.
 *
 * Owns its handle, its own statements (BEGIN and the like) and its cache.
 * Invariant: between two batches no transaction is open but its owner's.
 * Here: opening, batches in a transaction, what ends a wait.  Not here: one
 * statement (sqlite_run.c), who gets which batch (sqlite.c).
 * Context: a pool thread, which has the connection until it is done; closing:
 * the loop's thread, after the pool.
 *	sqlite.c -> [sqlite_conn.c] -> sqlite_run.c
 */
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "server/db/sqlite.h"

/* How often a statement that runs looks whether it must stop: some tens of
 * microseconds. */
#define CONN_PROGRESS_STEPS 2000

/* What a connection is told when it is opened.  cache_size: KiB. */
static const char conn_setup[] = "PRAGMA foreign_keys=ON;"
    "PRAGMA synchronous=NORMAL;"
    "PRAGMA cache_size=-8192;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_size_limit=67108864;";

static const char *const conn_own_sql[LITE_OWN_COUNT] = {
	[LITE_BEGIN] = "BEGIN",
	[LITE_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[LITE_COMMIT] = "COMMIT",
	[LITE_ROLLBACK] = "ROLLBACK",
	[LITE_SAVE] = "SAVEPOINT lane",
	[LITE_RELEASE] = "RELEASE lane",
	[LITE_BACK] = "ROLLBACK TO lane",
};

/* What SQLite asks while it works. */

static bool
conn_must_stop(const struct sqlite_conn *conn)
{
	return (conn->stop != NULL &&
	    atomic_load_explicit(conn->stop, memory_order_relaxed)) ||
	    clock_now_ns() / 1000000 >= conn->limit_ms;
}

static int
conn_on_progress(void *arg)
{
	return conn_must_stop(arg);
}

/* Another process has the lock: looks again soon, then less often.  Its own
 * transactions end within a millisecond, mostly. */
static int
conn_on_busy(void *arg, int tries)
{
	static const unsigned wait_us[] = {100, 200, 500, 1000, 2000, 5000};
	const unsigned last = sizeof(wait_us) / sizeof(wait_us[0]) - 1;
	unsigned at = tries < (int)last ? (unsigned)tries : last;
	struct timespec wait = {0, wait_us[at] * 1000L};

	if (conn_must_stop(arg))
		return 0;
	nanosleep(&wait, NULL);
	return 1;
}

/* Transactions are made by lane_begin() alone: one of a module's own would be
 * the next query's, too.  (VACUUM has one, but only when it runs.) */
static int
conn_on_prepare(void *arg, int action, const char *a, const char *b,
    const char *database, const char *trigger)
{
	const struct sqlite_conn *conn = arg;

	if ((action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT) &&
	    conn->is_preparing)
		return SQLITE_DENY;
	return SQLITE_OK;
}

int
sqlite_conn_own(struct sqlite_conn *conn, enum sqlite_own which)
{
	int rc = sqlite3_step(conn->own[which]);

	sqlite3_reset(conn->own[which]);
	return rc;
}

/* A rollback always works, or there is nothing to roll back. */
static void
conn_rollback(struct sqlite_conn *conn)
{
	if (!sqlite3_get_autocommit(conn->handle))
		sqlite_conn_own(conn, LITE_ROLLBACK);
}

/* Opening. */

static int
conn_prepare_own(struct sqlite_conn *conn)
{
	int i, rc = SQLITE_OK;

	for (i = 0; i < LITE_OWN_COUNT && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(conn->handle, conn_own_sql[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &conn->own[i], NULL);
	return rc;
}

/* The change to WAL doesn't wait for other processes that are making it, too:
 * all workers at a first start. */
static int
conn_set_mode(struct sqlite_conn *conn)
{
	const struct timespec pause = {0, 2000000};
	int rc;

	if (!conn->is_writer)
		return sqlite3_exec(
		    conn->handle, "PRAGMA query_only=ON", NULL, NULL, NULL);
	for (;;) {
		rc = sqlite3_exec(
		    conn->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
		if ((rc & 0xff) != SQLITE_BUSY || conn_must_stop(conn))
			return rc;
		nanosleep(&pause, NULL);
	}
}

static int
conn_setup_handle(struct sqlite_conn *conn)
{
	sqlite3 *h = conn->handle;
	int rc;

	sqlite3_extended_result_codes(h, 1);
	sqlite3_busy_handler(h, conn_on_busy, conn);
	sqlite3_progress_handler(
	    h, CONN_PROGRESS_STEPS, conn_on_progress, conn);
	/* "name" in double quotes is a name and never a text, as elsewhere. */
	sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	rc = sqlite3_exec(h, conn_setup, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = conn_set_mode(conn);
	/* Reads the file's head, which opening alone doesn't. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(
		    h, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	sqlite3_set_authorizer(h, conn_on_prepare, conn);
	return rc == SQLITE_OK ? conn_prepare_own(conn) : rc;
}

static int
conn_open(struct sqlite_conn *conn)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    (conn->is_writer ? SQLITE_OPEN_CREATE : 0);
	int rc = sqlite3_open_v2(conn->path, &conn->handle, flags, NULL);

	conn->limit_ms = clock_now_ns() / 1000000 + conn->connect_ms;
	if (rc == SQLITE_OK)
		rc = conn_setup_handle(conn);
	if (rc == SQLITE_OK)
		return 0;
	conn->fault = LITE_LOST;
	conn->stop = NULL;
	snprintf(conn->fault_text, sizeof(conn->fault_text), "%s: %s",
	    conn->path, conn->handle != NULL ? sqlite3_errmsg(conn->handle) :
	    sqlite3_errstr(rc));
	sqlite_conn_close(conn);
	return -1;
}

void
sqlite_conn_close(struct sqlite_conn *conn)
{
	int i;

	sqlite_stmts_done(&conn->stmts);
	for (i = 0; i < LITE_OWN_COUNT; i++) {
		sqlite3_finalize(conn->own[i]);
		conn->own[i] = NULL;
	}
	sqlite3_close_v2(conn->handle);
	conn->handle = NULL;
}

/* Batches. */

static void
batch_fail(struct sqlite_conn *conn, enum sqlite_outcome which)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next) {
		if (job->outcome != which)
			continue;
		sqlite_run_fail(conn, &job->rows);
		job->outcome = LITE_FINAL;
	}
}

static void
batch_reopen(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next) {
		if (job->outcome != LITE_PENDING)
			continue;
		db_rows_done(&job->rows);
		job->outcome = LITE_OPEN;
	}
}

/* Runs what is open.  Returns false when one of them has taken the transaction
 * down with it (an interrupt, ON CONFLICT ROLLBACK). */
static bool
batch_run_open(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next) {
		if (job->outcome != LITE_OPEN)
			continue;
		sqlite_run(conn, job);
		if (sqlite3_get_autocommit(conn->handle))
			return false;
		if (conn->writes && job->rows.status == 0)
			job->outcome = LITE_PENDING;
	}
	return true;
}

static bool
batch_begin(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	conn->stop = NULL;
	conn->limit_ms = 0;
	for (job = conn->batch; job != NULL; job = job->next)
		if (job->deadline_ms > conn->limit_ms)
			conn->limit_ms = job->deadline_ms;
	return sqlite_conn_own(conn,
	    conn->writes ? LITE_BEGIN_WRITE : LITE_BEGIN) == SQLITE_DONE;
}

/* The commit is refused by a constraint that looks at the whole: whose fault it
 * is shows when each has a transaction of its own. */
static void
batch_run_singly(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next)
		if (job->outcome == LITE_OPEN)
			sqlite_run(conn, job);
}

static void
batch_commit(struct sqlite_conn *conn)
{
	int rc = sqlite_conn_own(conn, LITE_COMMIT);

	if (rc == SQLITE_DONE)
		return;
	if ((rc & 0xff) == SQLITE_CONSTRAINT) {
		conn_rollback(conn);
		batch_reopen(conn);
		batch_run_singly(conn);
		return;
	}
	batch_fail(conn, LITE_PENDING);
	conn_rollback(conn);
}

/* All in one transaction; again without the one that has ended it, as often as
 * that happens. */
static void
batch_run_together(struct sqlite_conn *conn)
{
	for (;;) {
		if (!batch_begin(conn)) {
			batch_fail(conn, LITE_OPEN);
			return;
		}
		if (batch_run_open(conn)) {
			batch_commit(conn);
			return;
		}
		batch_reopen(conn);
	}
}

static void
batch_run_in_order(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next)
		sqlite_run(conn, job);
}

/* Writes what is there already: a full disk and a lock show themselves only
 * then. */
static void
conn_probe(struct sqlite_conn *conn)
{
	char *sql;
	sqlite3_stmt *stmt;
	int version = 0, rc;

	conn->limit_ms = clock_now_ns() / 1000000 + conn->connect_ms;
	rc = sqlite3_prepare_v2(
	    conn->handle, "PRAGMA user_version", -1, &stmt, NULL);
	if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		version = sqlite3_column_int(stmt, 0);
	rc = rc == SQLITE_OK ? sqlite3_finalize(stmt) : rc;
	sql = sqlite3_mprintf("PRAGMA user_version=%d", version);
	if (rc == SQLITE_OK && sql != NULL)
		rc = sqlite3_exec(conn->handle, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	if (rc != SQLITE_OK) {
		struct lane_rows rows = {0};

		sqlite_run_fail(conn, &rows);
		db_rows_done(&rows);
	}
	if (conn->fault == LITE_SUSPECT)
		conn->fault = LITE_NO_WRITES;
}

static void
batch_refuse(struct sqlite_conn *conn)
{
	struct sqlite_job *job;

	for (job = conn->batch; job != NULL; job = job->next) {
		db_rows_fail(
		    &job->rows, 503, "08001", true, "%s", conn->fault_text);
		job->outcome = LITE_FINAL;
	}
}

void
sqlite_conn_work(struct offload_job *work)
{
	struct sqlite_conn *conn = (struct sqlite_conn *)((char *)work -
	    offsetof(struct sqlite_conn, job));
	bool was_open;

	conn->fault = LITE_SOUND;
	was_open = conn->handle != NULL;
	if (!was_open && conn_open(conn) == -1) {
		batch_refuse(conn);
		return;
	}
	if (!conn->is_tx)
		conn_rollback(conn);
	if (conn->is_probe && was_open)
		conn_probe(conn);
	if (conn->batch == NULL)
		return;
	if (conn->is_tx || conn->batch->next == NULL)
		batch_run_in_order(conn);
	else
		batch_run_together(conn);
	if (conn->fault == LITE_LOST)
		sqlite_conn_close(conn);
}
