/* SPDX-License-Identifier: MIT */
/*
 * One statement on one connection: parameters in, rows out, errors into what
 * they mean to a client.
 *
 * Owns nothing.  Invariant: when it returns, no statement of the connection is
 * half stepped.
 * Here: binding, stepping, SQLSTATEs.  Not here: what shares a transaction
 * (sqlite_conn.c), the cache (sqlite_stmt.c).
 * Context: the thread that has the connection.
 *	sqlite_conn.c -> [sqlite_run.c] -> sqlite_stmt.c, rows.c
 */
#include <stdio.h>

#include "common/clock.h"
#include "server/ctx.h"
#include "server/db/sqlite.h"

/* What an error means, by extended code first, then by primary code. */
static const struct sqlite_meaning {
	int code;
	int status;
	const char *sqlstate;
	bool is_retryable;
	enum sqlite_fault fault;
} meanings[] = {
    {SQLITE_CONSTRAINT_UNIQUE, 409, "23505", false, LITE_SOUND},
    {SQLITE_CONSTRAINT_PRIMARYKEY, 409, "23505", false, LITE_SOUND},
    {SQLITE_CONSTRAINT_ROWID, 409, "23505", false, LITE_SOUND},
    {SQLITE_CONSTRAINT_FOREIGNKEY, 409, "23503", false, LITE_SOUND},
    {SQLITE_CONSTRAINT_NOTNULL, 409, "23502", false, LITE_SOUND},
    {SQLITE_CONSTRAINT_CHECK, 409, "23514", false, LITE_SOUND},
    /* A value that a STRICT table's column can't hold. */
    {SQLITE_CONSTRAINT_DATATYPE, 500, "22P02", false, LITE_SOUND},
    {SQLITE_CONSTRAINT, 409, "23000", false, LITE_SOUND},
    {SQLITE_BUSY_SNAPSHOT, 503, "40001", true, LITE_SOUND},
    {SQLITE_BUSY, 503, "55P03", true, LITE_SUSPECT},
    {SQLITE_LOCKED, 503, "55P03", true, LITE_SOUND},
    {SQLITE_NOMEM, 503, "53200", true, LITE_SOUND},
    {SQLITE_IOERR_NOMEM, 503, "53200", true, LITE_SOUND},
    {SQLITE_INTERRUPT, 504, "57014", false, LITE_SOUND},
    {SQLITE_FULL, 503, "53100", true, LITE_NO_WRITES},
    {SQLITE_READONLY, 503, "25006", false, LITE_NO_WRITES},
    {SQLITE_IOERR, 503, "58030", false, LITE_LOST},
    {SQLITE_CANTOPEN, 503, "08001", true, LITE_LOST},
    {SQLITE_PERM, 503, "08001", true, LITE_LOST},
    {SQLITE_CORRUPT, 503, "XX001", false, LITE_LOST},
    {SQLITE_NOTADB, 503, "XX001", false, LITE_LOST},
    {SQLITE_TOOBIG, 500, "54000", false, LITE_SOUND},
    {SQLITE_MISMATCH, 500, "42804", false, LITE_SOUND},
    {SQLITE_AUTH, 500, "42501", false, LITE_SOUND},
    {SQLITE_ERROR, 500, "42601", false, LITE_SOUND},
};

static const struct sqlite_meaning *
meaning_find(int code)
{
	static const struct sqlite_meaning other = {
	    0, 500, "XX000", false, LITE_SOUND};
	size_t i;

	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code)
			return &meanings[i];
	return code > 0xff ? meaning_find(code & 0xff) : &other;
}

/* SQLite has one code for most mistakes in a statement; the text tells. */
static const char *
error_sqlstate(const char *text)
{
	static const struct {
		const char *begins, *sqlstate;
	} known[] = {
	    {"no such table", "42P01"},
	    {"no such column", "42703"},
	    {"no such function", "42883"},
	    {"ambiguous column name", "42702"},
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (str_has_prefix(str_of(text), str_of(known[i].begins)))
			return known[i].sqlstate;
	return "42601";
}

void
sqlite_run_fail(struct sqlite_conn *conn, struct lane_rows *rows)
{
	int code = sqlite3_extended_errcode(conn->handle);
	const struct sqlite_meaning *m = meaning_find(code);
	const char *text = sqlite3_errmsg(conn->handle);
	const char *sqlstate =
	    m->code == SQLITE_ERROR ? error_sqlstate(text) : m->sqlstate;

	if (m->fault > conn->fault) {
		conn->fault = m->fault;
		snprintf(
		    conn->fault_text, sizeof(conn->fault_text), "%s", text);
	}
	db_rows_fail(rows, m->status, sqlstate, m->is_retryable, "%s", text);
}

static int
run_bind_value(sqlite3_stmt *stmt, int index, const struct lane_value *v)
{
	switch (v->kind) {
	case LANE_BOOL:
		return sqlite3_bind_int(stmt, index, v->u.b);
	case LANE_INT:
		return sqlite3_bind_int64(stmt, index, v->u.i);
	case LANE_FLOAT:
		return sqlite3_bind_double(stmt, index, v->u.f);
	case LANE_TEXT:
		return sqlite3_bind_text64(stmt, index, v->u.s.p, v->u.s.len,
		    SQLITE_STATIC, SQLITE_UTF8);
	case LANE_BLOB:
		return sqlite3_bind_blob64(
		    stmt, index, v->u.s.p, v->u.s.len, SQLITE_STATIC);
	case LANE_NULL:
	case LANE_POINTER:
		break;
	}
	return sqlite3_bind_null(stmt, index);
}

static int
run_bind(struct sqlite_conn *conn, const struct sqlite_stmt *s,
    struct sqlite_job *job)
{
	unsigned i;

	if (job->param_count != s->param_count) {
		db_rows_fail(&job->rows, 500, "07001", false,
		    "the statement takes .param_count = %u, not %u",
		    s->param_count, job->param_count);
		return -1;
	}
	for (i = 0; i < s->slot_count; i++) {
		if (run_bind_value(s->handle, (int)i + 1,
			&job->params[s->slot[i] - 1]) != SQLITE_OK) {
			sqlite_run_fail(conn, &job->rows);
			return -1;
		}
	}
	return 0;
}

static int
run_take_names(sqlite3_stmt *stmt, struct lane_rows *rows)
{
	unsigned i, columns = (unsigned)sqlite3_column_count(stmt);
	struct lane_str copy;

	if (db_rows_begin(rows, columns) == -1)
		return -1;
	for (i = 0; i < columns; i++) {
		const char *name = sqlite3_column_name(stmt, (int)i);

		copy = db_rows_copy(
		    rows, lane_of(str_of(name != NULL ? name : "")));
		if (rows->status != 0)
			return -1;
		rows->name[i] = copy;
	}
	return 0;
}

/* The bytes of a text or blob.  The length is asked for after the pointer, as
 * SQLite wants. */
static int
run_take_bytes(struct lane_rows *rows, struct lane_value *cell, const void *p,
    sqlite3_stmt *stmt, int column)
{
	size_t len = (size_t)sqlite3_column_bytes(stmt, column);

	struct lane_str copy = db_rows_copy(rows, (struct lane_str){p, len});

	/* A result that has failed has no cells any more. */
	if (rows->status != 0)
		return -1;
	cell->u.s = copy;
	return 0;
}

static int
run_take_cell(sqlite3_stmt *stmt, int column, struct lane_rows *rows,
    struct lane_value *cell)
{
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		cell->kind = LANE_INT;
		cell->u.i = sqlite3_column_int64(stmt, column);
		return 0;
	case SQLITE_FLOAT:
		cell->kind = LANE_FLOAT;
		cell->u.f = sqlite3_column_double(stmt, column);
		return 0;
	case SQLITE_TEXT:
		cell->kind = LANE_TEXT;
		return run_take_bytes(rows, cell,
		    sqlite3_column_text(stmt, column), stmt, column);
	case SQLITE_BLOB:
		cell->kind = LANE_BLOB;
		return run_take_bytes(rows, cell,
		    sqlite3_column_blob(stmt, column), stmt, column);
	default:
		cell->kind = LANE_NULL;
		return 0;
	}
}

static int
run_take_row(sqlite3_stmt *stmt, struct lane_rows *rows)
{
	struct lane_value *cell = db_rows_add(rows);
	unsigned i;

	if (cell == NULL)
		return -1;
	for (i = 0; i < rows->columns; i++)
		if (run_take_cell(stmt, (int)i, rows, &cell[i]) == -1)
			return -1;
	return 0;
}

/* The columns are known for sure after the first step, which prepares anew
 * where the schema has changed. */
static int
run_step(struct sqlite_conn *conn, sqlite3_stmt *stmt, struct lane_rows *rows)
{
	int rc = sqlite3_step(stmt);

	if ((rc == SQLITE_ROW || rc == SQLITE_DONE) &&
	    run_take_names(stmt, rows) == -1)
		return -1;
	while (rc == SQLITE_ROW) {
		if (run_take_row(stmt, rows) == -1)
			return -1;
		rc = sqlite3_step(stmt);
	}
	if (rc == SQLITE_DONE)
		return 0;
	sqlite_run_fail(conn, rows);
	return -1;
}

/* With its parameters bound; afterwards it is reset, whatever came. */
static void
run_bound(struct sqlite_conn *conn, const struct sqlite_stmt *s,
    struct sqlite_job *job)
{
	if (run_step(conn, s->handle, &job->rows) == 0 && s->counts_changes)
		job->rows.affected = sqlite3_changes64(conn->handle);
	sqlite3_reset(s->handle);
}

/*
 * A statement that changes rows and returns some has changed them before the
 * first one comes: where those can't be taken, the changes must go again.
 */
static void
run_saved(struct sqlite_conn *conn, const struct sqlite_stmt *s,
    struct sqlite_job *job)
{
	if (sqlite_conn_own(conn, LITE_SAVE) != SQLITE_DONE) {
		sqlite_run_fail(conn, &job->rows);
		return;
	}
	run_bound(conn, s, job);
	if (sqlite3_get_autocommit(conn->handle))
		return;
	if (job->rows.status != 0)
		sqlite_conn_own(conn, LITE_BACK);
	if (sqlite_conn_own(conn, LITE_RELEASE) == SQLITE_DONE)
		return;
	/* Outside a transaction this was the commit. */
	sqlite_run_fail(conn, &job->rows);
	sqlite_conn_own(conn, LITE_BACK);
	sqlite_conn_own(conn, LITE_RELEASE);
}

static void
run_statement(struct sqlite_conn *conn, struct sqlite_job *job)
{
	struct sqlite_stmt *s = sqlite_stmt_get(conn, job->text, &job->rows);

	if (s == NULL)
		return;
	job->class = s->class;
	if (s->class != LITE_CLASS_READ && conn->is_tx && conn->is_read_only) {
		db_rows_fail(&job->rows, 500, "25006", false,
		    "the transaction is read-only");
		return;
	}
	job->needs_writer = s->class != LITE_CLASS_READ && !conn->is_writer;
	if (job->needs_writer)
		return;
	if (run_bind(conn, s, job) == -1)
		return;
	if (s->class == LITE_CLASS_WRITE && sqlite3_column_count(s->handle) > 0)
		run_saved(conn, s, job);
	else
		run_bound(conn, s, job);
}

/* After a failure nothing works in a transaction but its end: what a module
 * does with one must not depend on the database. */
static void
run_in_tx(struct sqlite_conn *conn, struct sqlite_job *job)
{
	if (sqlite3_get_autocommit(conn->handle))
		db_rows_fail(&job->rows, 500, "25P01", false,
		    "the transaction has been rolled back");
	else if (conn->has_failed)
		db_rows_fail(&job->rows, 500, "25P02", false,
		    "a statement of the transaction has failed");
	else
		run_statement(conn, job);
	if (job->rows.status != 0)
		conn->has_failed = true;
}

/* BEGIN, COMMIT, ROLLBACK. */
static void
run_transaction(struct sqlite_conn *conn, struct sqlite_job *job)
{
	enum sqlite_own which = conn->is_writer ? LITE_BEGIN_WRITE
	    : LITE_BEGIN;

	if (job->kind == DB_COMMIT)
		which = LITE_COMMIT;
	else if (job->kind == DB_ROLLBACK)
		which = LITE_ROLLBACK;
	if (job->kind != DB_BEGIN && sqlite3_get_autocommit(conn->handle)) {
		if (job->kind == DB_COMMIT)
			db_rows_fail(&job->rows, 500, "25P01", false,
			    "the transaction has been rolled back already");
		return;
	}
	if (job->kind == DB_BEGIN) {
		conn->is_read_only = job->is_read_only;
		conn->has_failed = false;
	} else if (conn->has_failed) {
		which = LITE_ROLLBACK;
	}
	if (sqlite_conn_own(conn, which) == SQLITE_DONE)
		return;
	sqlite_run_fail(conn, &job->rows);
	if (!sqlite3_get_autocommit(conn->handle))
		sqlite_conn_own(conn, LITE_ROLLBACK);
}

void
sqlite_run(struct sqlite_conn *conn, struct sqlite_job *job)
{
	uint64_t start_ns = clock_now_ns();

	job->outcome = LITE_FINAL;
	if (atomic_load_explicit(&job->is_stopped, memory_order_relaxed)) {
		db_rows_fail(&job->rows, 504, "57014", false, "it was stopped");
		return;
	}
	if (start_ns / 1000000 >= job->deadline_ms) {
		db_rows_fail(
		    &job->rows, 504, "57014", false, "it has waited too long");
		return;
	}
	conn->stop = &job->is_stopped;
	conn->limit_ms = job->deadline_ms;
	if (job->kind != DB_STATEMENT)
		run_transaction(conn, job);
	else if (conn->is_tx)
		run_in_tx(conn, job);
	else
		run_statement(conn, job);
	conn->stop = NULL;
	job->took_us = (uint32_t)((clock_now_ns() - start_ns) / 1000);
}
