/* SPDX-License-Identifier: MIT */
/*
 * The connections to one database: who gets what, when another one is made, and
 * what happens when the server goes.
 *
 * Statements go to the connection that has least to do; one whose first
 * statement takes long gets no more.  While all are busy another one is made,
 * one at a time, up to `connections`.  When none can be made the database is
 * *out*: what waits fails at once, and it is tried again for ever, with waits
 * that double.
 *
 * Owns the order.  Invariant: at most one connection is being made, and the
 * control connection, which serves requests to cancel, alone.
 * Here: choice, growth, loss.  Not here: libpq (postgres_conn.c).
 * Context: the loop's thread.
 *	postgres.c -> [postgres_pool.c] -> postgres_conn.c
 */
#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/db/postgres.h"

#define PG_BACKOFF_MIN_MS 100
#define PG_BACKOFF_MAX_MS 10000
/* A connection lost earlier than that was none: or a server that accepts and
 * closes would be asked all the time. */
#define PG_STEADY_MS 1000
#define PG_CONTROL_IDLE_MS 10000

uint64_t
pg_now(void)
{
	return clock_now_ns() / 1000000;
}

void
pg_wake(struct pg *pg)
{
	event_active(pg->flush, EV_TIMEOUT, 1);
}

void
pg_tick_start(struct pg *pg)
{
	static const struct timeval every = {0, WHEEL_TICK_MS * 1000};

	if (pg->is_ticking)
		return;
	/* It is empty: what is in it keeps it turning. */
	wheel_init(&pg->wheel, pg_now());
	pg->is_ticking = event_add(pg->tick, &every) == 0;
}

static unsigned
pg_load(const struct pg_conn *c)
{
	return c->sent_count + c->unsent_count;
}

static bool
pg_is_open(const struct pg_conn *c)
{
	return c->state == PG_READY && !c->is_reserved && !c->is_slow &&
	    pg_load(c) < PG_DEPTH;
}

/* NULL: there is room nowhere. */
static struct pg_conn *
pg_pick(struct pg *pg, bool is_begin)
{
	struct pg_conn *c, *best = NULL;
	unsigned i;

	for (i = 0; i < pg->conn_count; i++) {
		c = &pg->conn[i];
		if (!pg_is_open(c))
			continue;
		if (!is_begin && c->unsent_count % PG_BATCH != 0)
			return c;
		if (best == NULL || pg_load(c) < pg_load(best))
			best = c;
	}
	return best;
}

static void
pg_assign(struct pg *pg)
{
	struct pg_item *item;
	struct pg_conn *c;
	bool is_begin;

	while ((item = TAILQ_FIRST(&pg->queue)) != NULL) {
		is_begin = item->what == DB_BEGIN;
		c = pg_pick(pg, is_begin);
		if (c == NULL)
			return;
		pg_item_remove(item);
		pg_item_put(item, PG_UNSENT, c);
		if (is_begin)
			pg_reserve(c, item->q->tx);
	}
}

/* Makes another connection, where all that there are have something to do. */
static void
pg_grow(struct pg *pg)
{
	struct pg_conn *c, *spare = NULL;
	unsigned i;

	for (i = 0; i < pg->conn_count; i++) {
		c = &pg->conn[i];
		if (c->state == PG_OFF)
			spare = spare == NULL ? c : spare;
		else if (c->state != PG_READY ||
		    (pg_load(c) == 0 && !c->is_reserved))
			return;
	}
	if (spare != NULL && pg_now() >= pg->retry_ms)
		pg_conn_connect(spare);
}

void
pg_on_flush(int fd, short what, void *arg)
{
	struct pg *pg = arg;
	unsigned i;

	pg_assign(pg);
	for (i = 0; i < pg->conn_count; i++)
		if (pg->conn[i].state == PG_READY &&
		    pg->conn[i].unsent_count > 0)
			pg_conn_send(&pg->conn[i]);
	if (pg->control.state == PG_READY && pg->control.unsent_count > 0)
		pg_conn_send(&pg->control);
	pg_grow(pg);
}

static void
pg_backoff(struct pg *pg)
{
	uint64_t now = pg_now();

	if (pg->connected_ms != 0 && now - pg->connected_ms > PG_STEADY_MS)
		pg->backoff_ms = 0;
	pg->connected_ms = 0;
	pg->backoff_ms =
	    pg->backoff_ms == 0 ? PG_BACKOFF_MIN_MS : pg->backoff_ms * 2;
	if (pg->backoff_ms > PG_BACKOFF_MAX_MS)
		pg->backoff_ms = PG_BACKOFF_MAX_MS;
	/* +-50 %: the workers were thrown out together. */
	pg->retry_ms =
	    now + pg->backoff_ms / 2 + random_u64(&pg->random) % pg->backoff_ms;
}

static void
pg_orphan(struct pg_item *item, bool is_retryable)
{
	item->is_retryable = is_retryable;
	pg_item_remove(item);
	pg_item_put(item, PG_ORPHAN, NULL);
}

/* The modules that are told may drop others of the list. */
static void
pg_orphans_fail(struct pg *pg, const char *sqlstate, const char *why)
{
	struct pg_item *item;

	while ((item = TAILQ_FIRST(&pg->orphans)) != NULL) {
		if (item->is_doomed)
			pg_item_fail(item, 504, "57014", false, why);
		else
			pg_item_fail(
			    item, 503, sqlstate, item->is_retryable, why);
	}
}

void
pg_connected(struct pg_conn *c)
{
	struct pg *pg = c->pg;

	pg_wake(pg);
	if (c->is_control)
		return;
	pg->ready_count++;
	pg->connected_ms = c->ready_ms;
	if (pg->is_out)
		log_info(
		    "database '%.*s' is back", STR_FMT(pg->db->config->name));
	pg->is_out = false;
}

void
pg_connect_failed(struct pg_conn *c, const char *why)
{
	struct pg *pg = c->pg;
	struct pg_item *item;

	pg_conn_close(c);
	if (c->is_control) {
		while ((item = TAILQ_FIRST(&c->unsent)) != NULL)
			pg_item_free(item);
		return;
	}
	pg_backoff(pg);
	if (pg->ready_count > 0) {
		log_info("database '%.*s': no further connection: %s",
		    STR_FMT(pg->db->config->name), why);
		return;
	}
	if (!pg->is_out)
		log_warn("database '%.*s' is out: %s",
		    STR_FMT(pg->db->config->name), why);
	pg->is_out = true;
	while ((item = TAILQ_FIRST(&pg->queue)) != NULL)
		pg_orphan(item, true);
	pg_orphans_fail(pg, "08001", why);
}

void
pg_reserve(struct pg_conn *c, struct lane_tx *tx)
{
	c->is_reserved = true;
	c->is_ending = false;
	c->tx = tx;
	tx->driver_data = c;
}

void
pg_unreserve(struct pg_conn *c)
{
	if (c->tx != NULL)
		c->tx->driver_data = NULL;
	c->tx = NULL;
	c->is_reserved = false;
	c->is_ending = false;
	pg_wake(c->pg);
}

void
pg_rollback(struct pg_conn *c)
{
	struct pg_item *item;

	if (c->tx != NULL)
		c->tx->driver_data = NULL;
	c->tx = NULL;
	if (c->is_ending)
		return;
	pg_tick_start(c->pg);
	item = pg_item_new(c->pg, PG_ROLLBACK, NULL);
	/* No memory: the next tick tries again. */
	if (item == NULL)
		return;
	c->is_ending = true;
	pg_item_put(item, PG_UNSENT, c);
	wheel_set(&c->pg->wheel, &item->timer,
	    pg_now() + (uint64_t)c->pg->db->config->timeout_ms);
	pg_wake(c->pg);
}

/* Puts what was never sent back into the queue, in its order. */
static void
pg_lost_unsent(struct pg_conn *c)
{
	struct pg_item *item;

	while ((item = TAILQ_LAST(&c->unsent, pg_items)) != NULL) {
		if (!item->is_shared) {
			pg_orphan(item, true);
			continue;
		}
		pg_item_remove(item);
		pg_item_put_first(item);
	}
}

/*
 * What a transaction has done is gone with it, but nobody knows how a COMMIT
 * has ended.  A statement of its own is a COMMIT, too, unless the server itself
 * has said that it ends it.
 */
static void
pg_lost_sent(struct pg_conn *c)
{
	struct pg_item *item;
	bool is_retryable;

	while ((item = TAILQ_FIRST(&c->sent)) != NULL) {
		is_retryable =
		    item->is_shared ? c->is_dying : item->what != DB_COMMIT;
		pg_orphan(item, is_retryable);
	}
}

void
pg_lost(struct pg_conn *c, const char *why)
{
	struct pg *pg = c->pg;

	log_warn("database '%.*s': a connection is lost: %s",
	    STR_FMT(pg->db->config->name), why);
	pg_lost_unsent(c);
	pg_lost_sent(c);
	pg_unreserve(c);
	pg_conn_close(c);
	if (!c->is_control) {
		pg->retry_ms = pg_now();
		if (pg->retry_ms - c->ready_ms < PG_STEADY_MS)
			pg_backoff(pg);
		pg_tick_start(pg);
	}
	pg_orphans_fail(pg, "08006", why);
}

void
pg_cancel(struct pg_conn *c)
{
	struct pg_conn *control = &c->pg->control;
	uint64_t process = (uint64_t)PQbackendPID(c->pq);
	struct pg_item *item;

	c->cancelled_ms = control->cancelled_ms = pg_now();
	c->is_slow = true;
	TAILQ_FOREACH(item, &control->unsent, entry)
		if (item->number == process)
			return;
	TAILQ_FOREACH(item, &control->sent, entry)
		if (item->number == process)
			return;
	item = pg_item_new(c->pg, PG_CANCEL, NULL);
	if (item == NULL)
		return;
	item->number = process;
	item->doomed_ms = c->cancelled_ms;
	pg_item_put(item, PG_UNSENT, control);
	if (control->state == PG_OFF)
		pg_conn_connect(control);
	pg_wake(c->pg);
}

static void
pg_tick_control(struct pg *pg, uint64_t now)
{
	struct pg_conn *c = &pg->control;
	const struct pg_item *first = TAILQ_FIRST(&c->sent);

	if (c->state != PG_READY)
		return;
	if (first != NULL && now - first->doomed_ms > PG_GRACE_MS)
		pg_lost(c, "a request to cancel has no answer");
	else if (pg_load(c) == 0 && now - c->cancelled_ms > PG_CONTROL_IDLE_MS)
		pg_conn_close(c);
}

/* A transaction that nobody has, and that is not being ended. */
static bool
pg_is_forsaken(const struct pg_conn *c)
{
	return c->is_reserved && c->tx == NULL && !c->is_ending;
}

static void
pg_tick_conn(struct pg_conn *c, uint64_t now)
{
	const struct pg_item *first;
	uint64_t sequence;

	if (pg_is_forsaken(c))
		pg_rollback(c);
	if (c->state == PG_READY && c->sent_count > 0 && PQsslInUse(c->pq))
		pg_conn_read(c);
	first = TAILQ_FIRST(&c->sent);
	sequence = first != NULL ? first->sequence : 0;
	if ((c->state == PG_RESOLVING || c->state == PG_CONNECTING) &&
	    now >= c->connect_due_ms)
		pg_connect_failed(c, "no connection in time");
	else if (c->state == PG_READY)
		c->is_slow = first != NULL && sequence == c->first_sequence;
	c->first_sequence = sequence;
}

static bool
pg_is_idle(const struct pg *pg)
{
	return pg->items.in_use == 0 && pg->ready_count > 0 &&
	    pg->control.state == PG_OFF;
}

void
pg_on_tick(int fd, short what, void *arg)
{
	struct pg *pg = arg;
	bool is_busy = false;
	uint64_t now = pg_now();
	unsigned i;

	wheel_advance(&pg->wheel, now, pg_item_on_timer, pg);
	for (i = 0; i < pg->conn_count; i++) {
		pg_tick_conn(&pg->conn[i], now);
		is_busy |= pg->conn[i].state == PG_RESOLVING ||
		    pg->conn[i].state == PG_CONNECTING ||
		    pg_is_forsaken(&pg->conn[i]);
	}
	pg_tick_conn(&pg->control, now);
	pg_tick_control(pg, now);
	if (pg->ready_count == 0 || !TAILQ_EMPTY(&pg->queue))
		pg_grow(pg);
	if (pg_is_idle(pg) && !is_busy) {
		event_del(pg->tick);
		pg->is_ticking = false;
	}
}
