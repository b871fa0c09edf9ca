/* SPDX-License-Identifier: MIT */
/*
 * One statement's way through a connection: sent, answered, too late.
 *
 *	NOWHERE -> QUEUED -> UNSENT -> SENT -> freed, then db_query_done()
 *	              ^---------'         |
 *	              '--- (again) -------'    connection lost: ORPHAN -> freed
 *
 * Owns the items.  Invariant: the results of libpq are those of the first sent
 * item, up to its sync; an item is freed before its query is done, and nothing
 * is done to a connection after that which doesn't hold for any other state of
 * it: db_query_done() runs a module's code, which submits, cancels, abandons.
 * Here: items and their deadlines.  Not here: connections (postgres_conn.c).
 * Context: the loop's thread.
 *	postgres_conn.c -> [postgres_item.c] -> postgres_send.c
 */
#include <errno.h>

#include "common/log.h"
#include "server/db/postgres.h"

/* Between two looks at an item that is to be cancelled and isn't first. */
#define PG_LOOK_MS 50
/* Between two requests to cancel: one may come between two statements. */
#define PG_CANCEL_MS 250
/* A request to cancel that comes that late is none of ours. */
#define PG_STRAY_MS 10000
#define PG_AGAIN_MAX 3

struct pg_item *
pg_item_new(struct pg *pg, enum pg_item_kind kind, struct db_query *q)
{
	struct pg_item *item = pool_get(&pg->items);

	if (item == NULL)
		return NULL;
	*item = (struct pg_item){
	    .pg = pg,
	    .kind = kind,
	    .q = q,
	    .sequence = ++pg->last_sequence,
	};
	if (q != NULL) {
		item->what = q->kind;
		item->is_shared = q->tx == NULL;
		q->driver_data = item;
	}
	return item;
}

static struct pg_items *
pg_item_list(const struct pg_item *item)
{
	switch (item->state) {
	case PG_QUEUED:
		return &item->pg->queue;
	case PG_UNSENT:
		return &item->conn->unsent;
	case PG_SENT:
		return &item->conn->sent;
	case PG_ORPHAN:
		return &item->pg->orphans;
	case PG_NOWHERE:
		break;
	}
	return NULL;
}

/* Keeps the counts of the list that it comes into or leaves. */
static void
pg_item_count(struct pg_item *item, unsigned by)
{
	if (item->state == PG_QUEUED || item->state == PG_UNSENT)
		item->pg->waiting += by;
	if (item->state == PG_UNSENT)
		item->conn->unsent_count += by;
	if (item->state == PG_SENT)
		item->conn->sent_count += by;
}

void
pg_item_put(struct pg_item *item, enum pg_item_state state, struct pg_conn *c)
{
	item->state = state;
	item->conn = c;
	pg_item_count(item, 1);
	TAILQ_INSERT_TAIL(pg_item_list(item), item, entry);
}

void
pg_item_put_first(struct pg_item *item)
{
	item->state = PG_QUEUED;
	item->conn = NULL;
	pg_item_count(item, 1);
	TAILQ_INSERT_HEAD(&item->pg->queue, item, entry);
}

void
pg_item_remove(struct pg_item *item)
{
	struct pg_items *list = pg_item_list(item);

	if (list == NULL)
		return;
	TAILQ_REMOVE(list, item, entry);
	pg_item_count(item, -1U);
	item->state = PG_NOWHERE;
}

bool
pg_item_is_end(const struct pg_item *item)
{
	return item->kind == PG_ROLLBACK ||
	    (item->kind == PG_QUERY &&
		(item->what == DB_COMMIT || item->what == DB_ROLLBACK));
}

void
pg_item_free(struct pg_item *item)
{
	if (item->q != NULL)
		item->q->driver_data = NULL;
	pg_item_remove(item);
	wheel_clear(&item->timer);
	pool_put(&item->pg->items, item);
}

/* Its query goes on, with what is in its rows. */
static void
pg_item_finish(struct pg_item *item)
{
	struct db_query *q = item->q;

	pg_item_free(item);
	if (q != NULL)
		db_query_done(q);
}

/* What was never sent has changed nothing at the server. */
static void
pg_item_undo(struct pg_item *item)
{
	if (item->state != PG_UNSENT || item->kind != PG_QUERY)
		return;
	if (item->what == DB_BEGIN)
		pg_unreserve(item->conn);
	else if (pg_item_is_end(item))
		item->conn->is_ending = false;
}

void
pg_item_fail(struct pg_item *item, int status, const char *sqlstate,
    bool is_retryable, const char *why)
{
	pg_item_undo(item);
	/* What the server has said before it went stands. */
	if (item->q != NULL && item->q->rows.status == 0)
		db_rows_fail(
		    &item->q->rows, status, sqlstate, is_retryable, "%s", why);
	pg_item_finish(item);
}

int
pg_item_send(struct pg_item *item)
{
	struct pg_conn *c = item->conn;
	const char *why = "";
	int rc = pg_send(c, item, &why);

	if (rc == 0) {
		pg_item_remove(item);
		pg_item_put(item, PG_SENT, c);
	} else if (rc == -EINVAL) {
		pg_item_fail(item, 500, "22023", false, why);
	} else if (rc == -ENOMEM) {
		pg_item_fail(item, 503, "53200", true, "no memory");
	}
	return rc == -EPIPE ? -1 : 0;
}

static void
pg_item_succeed(struct pg_item *item, PGresult *res)
{
	struct db_query *q = item->q;

	if (item->is_parsing || q == NULL || item->is_failed) {
		item->is_parsing = false;
		PQclear(res);
		return;
	}
	/* A COMMIT of what has failed is a rollback, which isn't an error to
	 * the server. */
	if (item->what == DB_COMMIT &&
	    str_eq(str_of(PQcmdStatus(res)), STR("ROLLBACK"))) {
		PQclear(res);
		db_rows_fail(&q->rows, 500, "25P02", false,
		    "the transaction has failed before, and is rolled back");
		return;
	}
	pg_result_take(&q->rows, res);
}

/* Whether its statement, prepared before, is no good any more: the tables it
 * uses have changed their columns (0A000), or somebody has dropped it (26000).
 */
static bool
pg_item_is_stale(const struct pg_item *item, const char *sqlstate)
{
	return item->kind == PG_QUERY && item->number != 0 && !item->is_fresh &&
	    (strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0);
}

/* Hit by a request to cancel that was meant for the one before it. */
static bool
pg_item_is_stray(const struct pg_item *item, const char *sqlstate)
{
	return strcmp(sqlstate, "57014") == 0 && !item->is_doomed &&
	    item->conn->cancelled_ms != 0 &&
	    pg_now() - item->conn->cancelled_ms < PG_STRAY_MS;
}

/* No memory for it: the server keeps one statement too many. */
static void
pg_item_deallocate(struct pg_conn *c, uint64_t number)
{
	struct pg_item *item = pg_item_new(c->pg, PG_DEALLOCATE, NULL);

	if (item == NULL)
		return;
	item->number = number;
	pg_item_put(item, PG_UNSENT, c);
	pg_wake(c->pg);
}

/* Whatever of it is true, nothing was done: an implicit transaction is rolled
 * back by any error.  In an explicit one there is no second try. */
static void
pg_item_try_again(struct pg_item *item, bool is_stale)
{
	struct pg_conn *c = item->conn;

	if (is_stale && pg_statement_drop(&c->statements, item->number))
		pg_item_deallocate(c, item->number);
	item->is_again = item->is_shared && item->again_count < PG_AGAIN_MAX;
}

static void
pg_item_error(struct pg_item *item, const PGresult *res)
{
	const char *sqlstate = pg_result_sqlstate(res);
	struct pg_conn *c = item->conn;
	bool is_stale = pg_item_is_stale(item, sqlstate);

	if (str_has_prefix(str_of(sqlstate), STR("57P0")))
		c->is_dying = true;
	if (item->is_parsing)
		pg_statement_drop(&c->statements, item->number);
	item->is_parsing = false;
	item->is_failed = true;
	if (is_stale || pg_item_is_stray(item, sqlstate))
		pg_item_try_again(item, is_stale);
	if (item->kind != PG_QUERY)
		log_debug("database: %s", PQresultErrorMessage(res));
	if (item->q == NULL || item->is_again)
		return;
	pg_result_fail(&item->q->rows, res);
	if (is_stale)
		item->q->rows.is_retryable = true;
	/* The server may go after it has committed. */
	if (item->what == DB_COMMIT && c->is_dying)
		item->q->rows.is_retryable = false;
}

/* Its sync has come back. */
static void
pg_item_complete(struct pg_item *item)
{
	struct pg_conn *c = item->conn;

	pg_item_remove(item);
	c->is_slow = false;
	if (c->pg->waiting > 0)
		pg_wake(c->pg);
	if (item->is_again && item->q != NULL) {
		item->again_count++;
		item->is_again = item->is_failed = false;
		pg_item_put(item, PG_QUEUED, NULL);
		pg_wake(item->pg);
		return;
	}
	if (pg_item_is_end(item) ||
	    (item->kind == PG_QUERY && item->what == DB_BEGIN &&
		item->is_failed && !c->is_ending))
		pg_unreserve(c);
	pg_item_finish(item);
}

/* False: the connection is lost. */
static bool
pg_item_take(struct pg_item *item, PGresult *res)
{
	bool is_known = pg_result_sqlstate(res)[0] != '\0';

	switch (PQresultStatus(res)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		pg_item_succeed(item, res);
		return true;
	case PGRES_PIPELINE_SYNC:
		PQclear(res);
		pg_item_complete(item);
		return true;
	case PGRES_PIPELINE_ABORTED:
		PQclear(res);
		return true;
	case PGRES_FATAL_ERROR:
		/* libpq's own errors have no SQLSTATE: the connection. */
		if (is_known)
			pg_item_error(item, res);
		PQclear(res);
		return is_known;
	default:
		/* COPY: there is no way back from it in a pipeline. */
		PQclear(res);
		pg_item_fail(item, 500, "0A000", false, "COPY can't be done");
		return false;
	}
}

bool
pg_items_receive(struct pg_conn *c)
{
	struct pg_item *item;
	unsigned nothing = 0;
	PGresult *res;

	while ((item = TAILQ_FIRST(&c->sent)) != NULL && !PQisBusy(c->pq)) {
		res = PQgetResult(c->pq);
		/* One ends the results of a command, two are out of step. */
		if (res == NULL && ++nothing > 2)
			return false;
		if (res == NULL)
			continue;
		nothing = 0;
		if (!pg_item_take(item, res))
			return false;
	}
	return true;
}

/* Too late, and not alone: nobody waits for it any more. */
static void
pg_item_detach(struct pg_item *item)
{
	struct db_query *q = item->q;

	if (q == NULL)
		return;
	item->q = NULL;
	q->driver_data = NULL;
	db_rows_fail(&q->rows, 504, "57014", false,
	    "too late, behind another statement");
	db_query_done(q);
}

static void
pg_item_doom(struct pg_item *item)
{
	struct pg_conn *c = item->conn;
	uint64_t now = pg_now();

	item->is_doomed = true;
	if (TAILQ_FIRST(&c->sent) != item) {
		wheel_set(&item->pg->wheel, &item->timer, now + PG_LOOK_MS);
		pg_item_detach(item);
		return;
	}
	if (item->doomed_ms == 0)
		item->doomed_ms = now;
	if (now - item->doomed_ms > PG_GRACE_MS) {
		pg_lost(c, "a statement can't be cancelled");
		return;
	}
	wheel_set(&item->pg->wheel, &item->timer, now + PG_CANCEL_MS);
	pg_cancel(c);
}

void
pg_item_on_timer(struct wheel_node *node, void *arg)
{
	struct pg_item *item =
	    (struct pg_item *)((char *)node - offsetof(struct pg_item, timer));

	if (item->state == PG_SENT)
		pg_item_doom(item);
	else if (item->kind == PG_ROLLBACK)
		pg_lost(item->conn, "a transaction can't be rolled back");
	else
		pg_item_fail(item, 504, "57014", true, "too late to be sent");
}
