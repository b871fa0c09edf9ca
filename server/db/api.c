/* SPDX-License-Identifier: MIT */
/*
 * lane_sql() and its kin: statements and transactions as operations of a
 * context, with deadlines and further tries.
 *
 *	call --submit--> driver --done--> call --> a module's done()
 *	  `--- waits, and tries again ----'
 *
 * Owns: a call's copy of what it was given, and its result, both in the arena
 * of the context.  Invariant: a call that is under way is an operation of its
 * context and stands in the wheel of deadlines; an open transaction is given up
 * with its context at the latest.
 * Here: what a module sees of SQL.  Not here: results' getters (rows.c), the
 * databases (db.c, the drivers).
 * Context: the loop's thread.
 *	a module -> [api.c] -> sqlite.c, postgres.c
 */
#include "server/db/api.h"

#include <errno.h>

#include "common/clock.h"
#include "server/alarm.h"
#include "server/ctx.h"
#include "server/db/db.h"
#include "server/internal.h"

/* A driver answers by itself when it is too late; where it can't, because all
 * its connections are stuck, the call is taken back this much later. */
#define CALL_GRACE_MS 200

#define CALL_RETRY_MS 100
#define CALL_RETRY_MAX_MS 10000
#define CALL_RETRY_AFTER_S 1

typedef int (*sql_begin_fn)(struct lane_ctx *c, void *state,
    struct lane_tx *tx, struct lane_rows *rows);

/* A transaction, and what the API knows of it beside the driver's part. */
struct tx {
	struct lane_tx lane;
	struct wheel_node deadline;
	uint64_t deadline_ms;
	int failed_status;		/* of its first failure; 0: none */
	char failed_sqlstate[6];
};

struct call {
	struct op op;
	struct db_query q;
	struct wheel_node deadline;
	struct alarm retry;
	struct tx *tx;			/* NULL: none */
	lane_sql_fn done;
	sql_begin_fn begin_done;	/* DB_BEGIN */
	void *state;
	unsigned retries, retry_ms;
	uint64_t start_ns;
	bool is_submitted;
};

static struct tx *
tx_of(struct lane_tx *lane)
{
	return (struct tx *)((char *)lane - offsetof(struct tx, lane));
}

static uint64_t
now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* What a call that can't be made returns. */

static int
sql_refuse(struct lane_ctx *c, int status)
{
	/* Nobody waits for a task's answer: its result says it. */
	if (c->request == NULL)
		return status;
	return lane_fail_with(c, &(struct lane_problem){.status = status,
	    .retry_after_s = status == 503 ? CALL_RETRY_AFTER_S : 0});
}

static struct db *
sql_find(struct lane_ctx *c, const char *name)
{
	struct db *db = db_find(c->srv->databases, name);

	if (db == NULL)
		lane_log(c, LANE_ERROR, "no database is called '%s'",
		    name != NULL ? name : "main");
	return db;
}

/* Transactions. */

static void
tx_give_up(struct tx *tx)
{
	wheel_clear(&tx->deadline);
	tx->lane.is_open = false;
	tx->lane.db->driver->abandon(tx->lane.db, &tx->lane);
}

static void
tx_on_context_end(void *arg)
{
	struct tx *tx = arg;

	wheel_clear(&tx->deadline);
	if (tx->lane.is_open)
		tx_give_up(tx);
}

static void
tx_note_failure(struct tx *tx, const struct lane_rows *rows)
{
	if (tx->failed_status != 0 || rows->status == 0)
		return;
	tx->failed_status = rows->status;
	memcpy(tx->failed_sqlstate, rows->sqlstate,
	    sizeof(tx->failed_sqlstate));
}

/* A transaction of which a statement has failed is rolled back, whatever the
 * module has asked for, and must not be taken for a committed one. */
static void
tx_end(struct call *call)
{
	struct tx *tx = call->tx;
	struct lane_rows *rows = &call->q.rows;

	wheel_clear(&tx->deadline);
	if (rows->status != 0) {
		tx_give_up(tx);
	} else if (tx->failed_status != 0) {
		db_rows_fail(rows, tx->failed_status, tx->failed_sqlstate,
		    false, "a statement of the transaction has failed: it "
		    "was rolled back");
		rows->scratch = &rows->arena;
	}
}

/* Calls. */

static void
call_on_context_end(void *arg)
{
	struct call *call = arg;

	db_rows_done(&call->q.rows);
}

static void
call_stop(struct call *call)
{
	struct server *srv = call->op.ctx->srv;

	wheel_clear(&call->deadline);
	alarm_clear(srv->alarms, &call->retry);
	if (call->is_submitted) {
		call->is_submitted = false;
		srv->stats->sql_waiting--;
		call->q.db->driver->cancel(call->q.db, &call->q);
	}
}

static void
call_on_cancel(struct op *op)
{
	struct call *call = (struct call *)((char *)op -
	    offsetof(struct call, op));

	call_stop(call);
	if (call->q.kind == DB_COMMIT || call->q.kind == DB_ROLLBACK)
		tx_give_up(call->tx);
}

static int
call_run_done(struct lane_ctx *c, struct call *call)
{
	struct lane_rows *rows = &call->q.rows;

	if (call->begin_done == NULL)
		return call->done(c, call->state, rows);
	return call->begin_done(c, call->state,
	    rows->status == 0 ? &call->tx->lane : NULL, rows);
}

/* The result is final. */
static void
call_finish(struct call *call)
{
	struct lane_ctx *c = call->op.ctx;
	struct stats *stats = c->srv->stats;

	wheel_clear(&call->deadline);
	histogram_add(&stats->sql_time,
	    (clock_now_ns() - call->start_ns) / 1000, 1);
	if (call->q.rows.status >= 500)
		stats->sql_errors++;
	if (call->q.kind == DB_COMMIT || call->q.kind == DB_ROLLBACK)
		tx_end(call);
	else if (call->q.kind == DB_BEGIN)
		call->tx->lane.is_open = call->q.rows.status == 0;
	else if (call->tx != NULL)
		tx_note_failure(call->tx, &call->q.rows);
	op_finish(&call->op);
	CTX_CALL(c, call_run_done(c, call));
}

static void
call_fail(struct call *call, int status, const char *sqlstate,
    bool is_retryable, const char *text)
{
	struct lane_rows *rows = &call->q.rows;

	db_rows_fail(rows, status, sqlstate, is_retryable, "%s", text);
	rows->scratch = &rows->arena;
}

/* Further tries: after a wait, as long as there is time left. */

static uint64_t
call_retry_wait(struct call *call)
{
	struct random *random = &call->op.ctx->srv->random;
	uint64_t wait_ms = call->retry_ms;

	call->retry_ms = wait_ms * 2 < CALL_RETRY_MAX_MS
	    ? (unsigned)wait_ms * 2 : CALL_RETRY_MAX_MS;
	return wait_ms / 2 + random_u64(random) % (wait_ms + 1);
}

static bool
call_retry(struct call *call)
{
	uint64_t wait_ms;

	if (!call->q.rows.is_retryable || call->retries == 0)
		return false;
	wait_ms = call_retry_wait(call);
	if (now_ms() + wait_ms >= call->q.deadline_ms)
		return false;
	call->retries--;
	alarm_set(call->op.ctx->srv->alarms, &call->retry, wait_ms);
	return true;
}

static void
call_on_done(struct db_query *q)
{
	struct call *call = (struct call *)((char *)q -
	    offsetof(struct call, q));
	struct server *srv = call->op.ctx->srv;

	server_wake(srv);
	srv->stats->sql_waiting--;
	call->is_submitted = false;
	if (!call_retry(call))
		call_finish(call);
}

/* Gives it to the driver.  Where that doesn't take it, the result says why. */
static int
call_submit(struct call *call)
{
	struct db_query *q = &call->q;
	struct stats *stats = call->op.ctx->srv->stats;
	int rc = q->db->driver->submit(q->db, q);

	if (rc == 0) {
		call->is_submitted = true;
		stats->sql_queries++;
		stats->sql_waiting++;
		return 0;
	}
	if (rc == -EAGAIN) {
		stats->sql_rejected++;
		call_fail(call, 503, "53300", true, "too many wait for it");
	} else if (rc == -EHOSTDOWN) {
		call_fail(call, 503, "08001", true, "the database is out");
	} else if (rc == -ENOMEM) {
		call_fail(call, 503, "53200", true, "no memory");
	} else {
		call_fail(call, 500, "25P01", false, "there is no such "
		    "transaction");
	}
	return -1;
}

static void
call_on_retry(struct alarm *alarm)
{
	struct call *call = (struct call *)((char *)alarm -
	    offsetof(struct call, retry));

	db_rows_done(&call->q.rows);
	if (call_submit(call) == -1 && !call_retry(call))
		call_finish(call);
}

static void
sql_on_call_deadline(struct wheel_node *node, void *arg)
{
	struct call *call = (struct call *)((char *)node -
	    offsetof(struct call, deadline));

	call_stop(call);
	call_fail(call, 504, "57014", false, "it has waited too long");
	call_finish(call);
}

static void
sql_on_tx_deadline(struct wheel_node *node, void *arg)
{
	struct tx *tx = (struct tx *)((char *)node -
	    offsetof(struct tx, deadline));

	if (tx->lane.is_open) {
		lane_log(tx->lane.ctx, LANE_WARN, "a transaction has taken "
		    "too long: it is rolled back");
		tx_give_up(tx);
	}
}

void
sql_tick(struct server *srv)
{
	wheel_advance(&srv->sql_calls, srv->clock.mono_ms,
	    sql_on_call_deadline, NULL);
	wheel_advance(&srv->sql_transactions, srv->clock.mono_ms,
	    sql_on_tx_deadline, NULL);
}

/* The parameters with their bytes, and the text, behind the call. */
static int
call_copy(struct lane_ctx *c, struct call *call, const struct lane_sql_args *a)
{
	struct lane_value *params;
	unsigned i;

	call->q.sql = arena_copy(c->arena, str_of(a->sql)).p;
	params = arena_alloc(c->arena, a->param_count * sizeof(*params));
	if (call->q.sql == NULL || params == NULL)
		return -1;
	for (i = 0; i < a->param_count; i++) {
		params[i] = a->params[i];
		if ((params[i].kind != LANE_TEXT &&
		    params[i].kind != LANE_BLOB) || params[i].u.s.p == NULL)
			continue;
		params[i].u.s = lane_of(arena_copy(c->arena,
		    str_of_lane(params[i].u.s)));
		if (params[i].u.s.p == NULL)
			return -1;
	}
	call->q.params = params;
	call->q.param_count = a->param_count;
	return 0;
}

static struct call *
call_new(struct lane_ctx *c, struct db *db, enum db_query_kind kind,
    unsigned timeout_ms)
{
	struct call *call = arena_zalloc(c->arena, sizeof(*call));

	if (call == NULL ||
	    arena_defer(c->arena, call_on_context_end, call) == -1)
		return NULL;
	call->start_ns = clock_now_ns();
	call->retry.fn = call_on_retry;
	call->q.kind = kind;
	call->q.db = db;
	call->q.done = call_on_done;
	call->q.deadline_ms = call->start_ns / 1000000 + (timeout_ms != 0
	    ? timeout_ms : (uint64_t)db->config->timeout_ms);
	return call;
}

static void
call_join(struct call *call, struct lane_tx *lane)
{
	call->tx = tx_of(lane);
	call->q.tx = lane;
	if (call->tx->deadline_ms < call->q.deadline_ms)
		call->q.deadline_ms = call->tx->deadline_ms;
}

static int
call_start(struct lane_ctx *c, struct call *call)
{
	call->op.ctx = c;
	if (call_submit(call) == -1 && !call_retry(call)) {
		if (call->tx != NULL)
			tx_note_failure(call->tx, &call->q.rows);
		return lane_rows_fail(c, &call->q.rows);
	}
	op_start(c, &call->op, call_on_cancel);
	wheel_set(&c->srv->sql_calls, &call->deadline,
	    call->q.deadline_ms + CALL_GRACE_MS);
	return LANE_ASYNC;
}

/* A transaction that is open, and this context's. */
static bool
tx_is_usable(struct lane_ctx *c, const struct lane_tx *lane)
{
	if (lane->is_open && lane->ctx == c)
		return true;
	lane_log(c, LANE_ERROR, "a statement in a transaction that has ended");
	return false;
}

int
lane_sql_run(struct lane_ctx *c, const struct lane_sql_args *a)
{
	struct db *db = a->tx != NULL ? a->tx->db : sql_find(c, a->database);
	struct call *call;

	if (a->sql == NULL || a->done == NULL) {
		lane_log(c, LANE_ERROR, "lane_sql: %s is missing",
		    a->sql == NULL ? ".sql" : ".done");
		return -EINVAL;
	}
	if (!ctx_may_wait(c))
		return -ECANCELED;
	if (db == NULL || (a->tx != NULL && !tx_is_usable(c, a->tx)))
		return sql_refuse(c, 500);
	call = call_new(c, db, DB_STATEMENT, a->timeout_ms);
	if (call == NULL || call_copy(c, call, a) == -1)
		return -ENOMEM;
	call->done = a->done;
	call->state = a->state;
	call->retry_ms = a->retry_ms != 0 ? a->retry_ms : CALL_RETRY_MS;
	if (a->tx != NULL)
		call_join(call, a->tx);
	else
		call->retries = a->retries;
	return call_start(c, call);
}

int
lane_begin(struct lane_ctx *c, const struct lane_tx_args *a)
{
	struct db *db = sql_find(c, a->database);
	struct call *call;
	struct tx *tx;

	if (a->done == NULL)
		return -EINVAL;
	if (!ctx_may_wait(c))
		return -ECANCELED;
	if (db == NULL)
		return sql_refuse(c, 500);
	call = call_new(c, db, DB_BEGIN, a->timeout_ms);
	tx = arena_zalloc(c->arena, sizeof(*tx));
	if (call == NULL || tx == NULL ||
	    arena_defer(c->arena, tx_on_context_end, tx) == -1)
		return -ENOMEM;
	tx->lane.db = db;
	tx->lane.ctx = c;
	tx->deadline_ms = call->q.deadline_ms;
	call_join(call, &tx->lane);
	call->q.is_read_only = a->is_read_only;
	call->begin_done = a->done;
	call->state = a->state;
	wheel_set(&c->srv->sql_transactions, &tx->deadline,
	    tx->deadline_ms + 2 * CALL_GRACE_MS);
	return call_start(c, call);
}

static int
tx_finish(struct lane_ctx *c, struct call *call, lane_sql_fn done, void *state)
{
	int rc;

	call->done = done;
	call->state = state;
	call->tx->lane.is_open = false;
	rc = call_start(c, call);
	if (rc != LANE_ASYNC)
		tx_give_up(call->tx);
	return rc;
}

int
lane_commit(struct lane_ctx *c, struct lane_tx *lane, lane_sql_fn done,
    void *state)
{
	struct tx *tx = tx_of(lane);
	struct call *call;

	if (done == NULL)
		return -EINVAL;
	if (!ctx_may_wait(c))
		return -ECANCELED;
	if (!tx_is_usable(c, lane))
		return sql_refuse(c, 500);
	call = call_new(c, lane->db, tx->failed_status != 0 ? DB_ROLLBACK
	    : DB_COMMIT, 0);
	if (call == NULL)
		return -ENOMEM;
	call_join(call, lane);
	return tx_finish(c, call, done, state);
}

int
lane_rollback(struct lane_ctx *c, struct lane_tx *lane, lane_sql_fn done,
    void *state)
{
	struct call *call;

	if (done == NULL)
		return -EINVAL;
	if (!ctx_may_wait(c))
		return -ECANCELED;
	if (!tx_is_usable(c, lane))
		return sql_refuse(c, 500);
	call = call_new(c, lane->db, DB_ROLLBACK, 0);
	if (call == NULL)
		return -ENOMEM;
	call_join(call, lane);
	call->tx->failed_status = 0;
	return tx_finish(c, call, done, state);
}

/* Answers and questions. */

int
lane_rows_fail(struct lane_ctx *c, const struct lane_rows *rows)
{
	int status = rows->status == 504 ? 503 : rows->status;

	if (status == 0)
		return -EINVAL;
	lane_log(c, status == 409 ? LANE_INFO : status == 503 ? LANE_WARN
	    : LANE_ERROR, "SQL: %s: %s", lane_rows_sqlstate(rows),
	    rows->error);
	return sql_refuse(c, status);
}

bool
lane_database_is_ready(struct lane_ctx *c, const char *database)
{
	struct db *db = db_find(c->srv->databases, database);

	return db != NULL && db->driver->is_ready(db);
}

const char *
lane_database_kind(struct lane_ctx *c, const char *database)
{
	struct db *db = db_find(c->srv->databases, database);

	return db != NULL ? db->driver->kind : NULL;
}
