/* SPDX-License-Identifier: MIT */
/*
 * SQL that never blocks the loop, on a database named in the configuration:
 * SQLite (on the pool) or PostgreSQL (on the loop).  The same statements serve
 * both: write $1, $2 ... for parameters, which are always bound, never pasted.
 *
 *	static int
 *	user_done(struct lane_ctx *c, void *state, struct lane_rows *rows)
 *	{
 *		if (lane_rows_status(rows) != 0)
 *			return lane_rows_fail(c, rows);
 *		if (lane_rows_count(rows) == 0)
 *			return 404;
 *		return lane_send(c, 200, "text/plain",
 *		    lane_rows_text(rows, 0, 0));
 *	}
 *
 *	static int
 *	user(struct lane_ctx *c)
 *	{
 *		struct lane_value id[] = {lane_int(lane_arg_int(c, "id"))};
 *
 *		return lane_sql(c, .sql = "SELECT name FROM users WHERE id=$1",
 *		    .params = id, .param_count = 1, .done = user_done);
 *	}
 */
#ifndef CORELANE_SQL_H
#define CORELANE_SQL_H

#include <corelane/types.h>

LANE_BEGIN

struct lane_rows;
struct lane_tx;

typedef int (*lane_sql_fn)(
    struct lane_ctx *c, void *state, struct lane_rows *rows);

struct lane_sql_args {
	const char *database; /* NULL: "main" */
	struct lane_tx *tx; /* NULL: a transaction of its own */
	const char *sql; /* one statement; kept prepared, so it
					 * is better constant */
	const struct lane_value *params; /* copied */
	unsigned param_count;
	unsigned timeout_ms; /* 0: the database's own */
	/* Tried again, that many times at most, where the error allows it
	 * (a lost connection before anything was done, a deadlock, a locked
	 * file): after retry_ms (0: 100), doubled each time, with jitter. */
	unsigned retries, retry_ms;
	lane_sql_fn done;
	void *state;
};

/* Runs one statement.  Returns LANE_ASYNC, or what to return instead: 503 with
 * Retry-After when the queue is full or the database is out.  Statements that
 * are under way at once have no order: what must come later is begun by done(),
 * or runs in a transaction. */
int lane_sql_run(
    struct lane_ctx *c, const struct lane_sql_args *args) LANE_CHECKED;
#ifndef __cplusplus
#define lane_sql(c, ...) lane_sql_run((c), &(struct lane_sql_args){__VA_ARGS__})
#endif

/*
 * A transaction: statements with .tx run in it, in order.  done() gets it, or
 * NULL with rows that say why not.  It ends by lane_commit() or
 * lane_rollback(), or, forgotten or cancelled, by a rollback with its context.
 */
struct lane_tx_args {
	const char *database; /* NULL: "main" */
	bool is_read_only;
	unsigned timeout_ms; /* for all of it */
	int (*done)(struct lane_ctx *c, void *state, struct lane_tx *tx,
	    struct lane_rows *rows);
	void *state;
};
int lane_begin(
    struct lane_ctx *c, const struct lane_tx_args *args) LANE_CHECKED;
int lane_commit(struct lane_ctx *c, struct lane_tx *tx, lane_sql_fn done,
    void *state) LANE_CHECKED;
int lane_rollback(struct lane_ctx *c, struct lane_tx *tx, lane_sql_fn done,
    void *state) LANE_CHECKED;

/*
 * A result, lent until the context ends.  Columns come with the database's own
 * types: SQLite's storage classes; PostgreSQL's integers, floats, booleans and
 * bytea by type, everything else as text.  The getters convert where that loses
 * nothing; a NULL, or a row or column that isn't there, is 0 or p == NULL.
 */
int lane_rows_status(const struct lane_rows *rows); /* 0: done */
const char *lane_rows_error(const struct lane_rows *rows); /* for the log */
/* "23505": PostgreSQL's code, or the SQLSTATE that SQLite's comes nearest. */
const char *lane_rows_sqlstate(const struct lane_rows *rows);
unsigned lane_rows_count(const struct lane_rows *rows);
unsigned lane_rows_columns(const struct lane_rows *rows);
struct lane_str lane_rows_name(const struct lane_rows *rows, unsigned column);
/* Rows that an INSERT, UPDATE or DELETE has touched. */
int64_t lane_rows_affected(const struct lane_rows *rows);
struct lane_value lane_rows_value(
    const struct lane_rows *rows, unsigned row, unsigned column);
bool lane_rows_is_null(
    const struct lane_rows *rows, unsigned row, unsigned column);
int64_t lane_rows_int(
    const struct lane_rows *rows, unsigned row, unsigned column);
double lane_rows_float(
    const struct lane_rows *rows, unsigned row, unsigned column);
struct lane_str lane_rows_text(
    const struct lane_rows *rows, unsigned row, unsigned column);

/*
 * Answers for a failed statement: 503 with Retry-After where trying again may
 * help (out, busy, too slow), 409 for a broken constraint, else a logged 500.
 * The text of the database goes to the log only.
 */
int lane_rows_fail(
    struct lane_ctx *c, const struct lane_rows *rows) LANE_CHECKED;

/* Whether the database answers, as far as is known: what /ready says. */
bool lane_database_is_ready(struct lane_ctx *c, const char *database);
/* "sqlite" or "postgresql"; NULL: no such database. */
const char *lane_database_kind(struct lane_ctx *c, const char *database);

/*
 * Does something again: calls `attempt` until it returns anything but a
 * negative errno or a status from 500 on, at most `attempts` times, with waits
 * of base_ms doubled each time, +-50 % of jitter, at most cap_ms.  attempt()
 * returns like a handler, LANE_ASYNC included; the last result stands.
 */
struct lane_retry_args {
	unsigned attempts; /* 0: 3 */
	unsigned base_ms, cap_ms; /* 0: 100, 10000 */
	lane_done_fn attempt;
	void *state;
};
int lane_retry(
    struct lane_ctx *c, const struct lane_retry_args *args) LANE_CHECKED;

LANE_END

#endif
