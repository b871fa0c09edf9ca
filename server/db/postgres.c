/* SPDX-License-Identifier: MIT */
/*
 * The PostgreSQL driver: libpq on the worker's own loop.
 *
 * Owns the pool of connections of one database of one worker, made after the
 * worker's fork.  Invariant: a query's item is found by its driver_data, and is
 * gone, or knows no query any more, when the query is done or cancelled.
 * Here: the contract of db.h.  Not here: connections and statements.
 * Context: the loop's thread.
 *	db.c -> [postgres.c] -> postgres_pool.c -> postgres_conn.c
 */
#include "server/db/postgres.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <stdlib.h>

static void
pg_items_free(struct pg_items *list)
{
	struct pg_item *item;

	while ((item = TAILQ_FIRST(list)) != NULL)
		pg_item_free(item);
}

static void
pg_free_conn(struct pg_conn *c)
{
	if (c->pg == NULL)
		return;
	pg_items_free(&c->unsent);
	pg_items_free(&c->sent);
	pg_conn_done(c);
}

static void
pg_close(struct db *db)
{
	struct pg *pg = db->state;
	unsigned i;

	if (pg == NULL)
		return;
	db->state = NULL;
	pg_items_free(&pg->queue);
	for (i = 0; i < pg->conn_count; i++)
		pg_free_conn(&pg->conn[i]);
	pg_free_conn(&pg->control);
	if (pg->dns != NULL)
		evdns_base_free(pg->dns, 1);
	if (pg->tick != NULL)
		event_free(pg->tick);
	if (pg->flush != NULL)
		event_free(pg->flush);
	PQconninfoFree(pg->options);
	buf_done(&pg->texts);
	pool_done(&pg->items);
	free(pg->conn);
	free(pg);
}

/* Returns 0 or -1. */
static int
pg_parse_url(struct pg *pg, struct error *err)
{
	struct str text;
	char *why = NULL;

	pg->options = PQconninfoParse(pg->db->config->url.p, &why);
	if (pg->options != NULL)
		return 0;
	if (why == NULL)
		return error_nomem(err, "the URL");
	text = str_of(why);
	text.len = str_find(text, '\n');
	error_set(err, ERROR_INVALID, "%.*s", STR_FMT(text));
	PQfreemem(why);
	return -1;
}

static int
pg_make_conns(struct pg *pg, unsigned count)
{
	pg->conn = calloc(count, sizeof(*pg->conn));
	if (pg->conn == NULL)
		return -1;
	while (pg->conn_count < count)
		if (pg_conn_init(&pg->conn[pg->conn_count++], pg) == -1)
			return -1;
	pg->control.is_control = true;
	return pg_conn_init(&pg->control, pg);
}

static int
pg_open(struct db *db, struct error *err)
{
	struct pg *pg = calloc(1, sizeof(*pg));

	if (pg == NULL)
		return error_nomem(err, "database");
	db->state = pg;
	pg->db = db;
	pg->base = db->base;
	TAILQ_INIT(&pg->queue);
	TAILQ_INIT(&pg->orphans);
	pool_init(&pg->items, sizeof(struct pg_item));
	buf_init(&pg->texts, 0);
	random_init(&pg->random);
	if (pg_parse_url(pg, err) == -1) {
		pg_close(db);
		return -1;
	}
	pg->tick = event_new(pg->base, -1, EV_PERSIST, pg_on_tick, pg);
	pg->flush = event_new(pg->base, -1, 0, pg_on_flush, pg);
	if (pg->tick == NULL || pg->flush == NULL ||
	    pg_make_conns(pg, (unsigned)db->config->connections) == -1) {
		pg_close(db);
		return error_nomem(err, "database");
	}
	/* So that it is known whether there is a server. */
	pg_conn_connect(&pg->conn[0]);
	return 0;
}

/* Whether as many wait as may, with those that will be sent in this turn. */
static bool
pg_is_full(const struct pg *pg)
{
	unsigned i, room = (unsigned)pg->db->config->queue;
	const struct pg_conn *c;

	if (pg->waiting < room)
		return false;
	for (i = 0; i < pg->conn_count; i++) {
		c = &pg->conn[i];
		if (c->state == PG_READY && !c->is_reserved && !c->is_slow)
			room += PG_DEPTH - c->sent_count;
	}
	return pg->waiting >= room;
}

static struct pg_item *
pg_take(struct pg *pg, struct db_query *q)
{
	struct pg_item *item = pg_item_new(pg, PG_QUERY, q);

	if (item == NULL)
		return NULL;
	pg_tick_start(pg);
	wheel_set(&pg->wheel, &item->timer, q->deadline_ms);
	pg_wake(pg);
	return item;
}

static int
pg_submit_shared(struct pg *pg, struct db_query *q)
{
	struct pg_item *item;

	if (pg->is_out)
		return -EHOSTDOWN;
	if (pg_is_full(pg))
		return -EAGAIN;
	item = pg_take(pg, q);
	if (item == NULL)
		return -ENOMEM;
	pg_item_put(item, PG_QUEUED, NULL);
	return 0;
}

static int
pg_submit(struct db *db, struct db_query *q)
{
	struct pg_item *item;
	struct pg_conn *c;

	if (q->tx == NULL || q->kind == DB_BEGIN)
		return pg_submit_shared(db->state, q);
	c = q->tx->driver_data;
	/* Its connection was lost, and what it had done with it. */
	if (c == NULL)
		return -EHOSTDOWN;
	item = pg_take(db->state, q);
	if (item == NULL)
		return -ENOMEM;
	c->is_ending |= pg_item_is_end(item);
	pg_item_put(item, PG_UNSENT, c);
	return 0;
}

static void
pg_driver_cancel(struct db *db, struct db_query *q)
{
	struct pg *pg = db->state;
	struct pg_item *item = q->driver_data;

	if (item == NULL)
		return;
	q->driver_data = NULL;
	item->q = NULL;
	if (item->state != PG_SENT) {
		pg_item_fail(item, 503, "", false, "");
		return;
	}
	/* What is short is over before it could be cancelled. */
	item->is_doomed = true;
	wheel_set(&pg->wheel, &item->timer, pg_now() + WHEEL_TICK_MS);
	if (item->what == DB_BEGIN)
		pg_rollback(item->conn);
}

static void
pg_abandon(struct db *db, struct lane_tx *tx)
{
	struct pg_conn *c = tx->driver_data;

	tx->driver_data = NULL;
	if (c != NULL)
		pg_rollback(c);
}

static bool
pg_is_ready(const struct db *db)
{
	const struct pg *pg = db->state;

	return pg->ready_count > 0;
}

static const struct db_driver pg_driver = {
    .kind = "postgresql",
    .open = pg_open,
    .close = pg_close,
    .submit = pg_submit,
    .cancel = pg_driver_cancel,
    .abandon = pg_abandon,
    .is_ready = pg_is_ready,
};

const struct db_driver *const db_driver_postgres = &pg_driver;
