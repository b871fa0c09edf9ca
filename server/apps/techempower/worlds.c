/* SPDX-License-Identifier: MIT */
/*
 * The tests with the table of worlds: one row, many, many changed.
 *
 * Owns nothing: what a request has read is in its arena.
 * Invariant: every row is asked for by a query of its own, of which at most
 * WORLD_WINDOW are under way, so that one request can't fill the queue that all
 * share.
 * Here: /db, /queries, /updates.
 * Context: a worker's loop.  techempower.c -> [worlds.c]
 */
#include "techempower.h"

#include <errno.h>
#include <stdlib.h>

#define WORLD_ROWS 10000
#define WORLD_MOST 500
#define WORLD_WINDOW 16

struct world {
	int64_t id, number;
};
struct worlds {
	unsigned count, asked, answered;
	bool is_array;
	lane_done_fn then; /* when all are there */
	struct lane_tx *tx;
	struct world item[];
};

static int64_t
world_random(struct lane_ctx *c)
{
	struct techempower *te = lane_state(c);

	return 1 + random_below(&te->random, WORLD_ROWS);
}

static void
world_write(struct lane_json_writer *w, const struct world *world)
{
	lane_json_object(w);
	lane_json_add_int(w, "id", world->id);
	lane_json_add_int(w, "randomNumber", world->number);
	lane_json_end(w);
}

static int
worlds_send(struct lane_ctx *c, void *state)
{
	const struct worlds *all = state;
	struct lane_json_writer *w = lane_json_new(c);
	unsigned i;

	if (all->is_array)
		lane_json_array(w);
	for (i = 0; i < all->count; i++)
		world_write(w, &all->item[i]);
	if (all->is_array)
		lane_json_end(w);
	return lane_json_send(w, 200);
}

/* Reading. */

static int worlds_on_row(
    struct lane_ctx *c, void *state, struct lane_rows *rows);

static int
worlds_read(struct lane_ctx *c, struct worlds *all)
{
	struct lane_value id;
	int rc;

	while (all->asked < all->count &&
	    all->asked - all->answered < WORLD_WINDOW) {
		id = lane_int(world_random(c));
		rc = lane_sql(c,
		    .sql = "SELECT id, randomnumber FROM world WHERE id = $1",
		    .params = &id, .param_count = 1, .done = worlds_on_row,
		    .state = all);
		if (rc != LANE_ASYNC)
			return rc;
		all->asked++;
	}
	return LANE_ASYNC;
}

static int
worlds_on_row(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct worlds *all = state;
	struct world *world = &all->item[all->answered];

	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	world->id = lane_rows_int(rows, 0, 0);
	world->number = lane_rows_int(rows, 0, 1);
	if (++all->answered == all->count)
		return all->then(c, all);
	return worlds_read(c, all);
}

/* Changing: in one transaction, by ascending id, so that two of them never wait
 * for each other. */

static int worlds_on_write(
    struct lane_ctx *c, void *state, struct lane_rows *rows);

static int
worlds_write(struct lane_ctx *c, struct worlds *all)
{
	const struct world *world;
	int rc;

	while (all->asked < all->count &&
	    all->asked - all->answered < WORLD_WINDOW) {
		world = &all->item[all->asked];
		rc = lane_sql(c, .tx = all->tx,
		    .sql = "UPDATE world SET randomnumber = $1 WHERE id = $2",
		    .params = (struct lane_value[]){
			lane_int(world->number), lane_int(world->id)},
		    .param_count = 2, .done = worlds_on_write, .state = all);
		if (rc != LANE_ASYNC)
			return rc;
		all->asked++;
	}
	return LANE_ASYNC;
}

static int
worlds_on_commit(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	return worlds_send(c, state);
}

static int
worlds_on_write(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct worlds *all = state;

	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	if (++all->answered == all->count)
		return lane_commit(c, all->tx, worlds_on_commit, all);
	return worlds_write(c, all);
}

static int
worlds_on_begin(struct lane_ctx *c, void *state, struct lane_tx *tx,
    struct lane_rows *rows)
{
	struct worlds *all = state;

	if (tx == NULL)
		return lane_rows_fail(c, rows);
	all->tx = tx;
	return worlds_write(c, all);
}

static int
world_compare(const void *a, const void *b)
{
	const struct world *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
worlds_change(struct lane_ctx *c, void *state)
{
	struct worlds *all = state;
	unsigned i;

	for (i = 0; i < all->count; i++)
		all->item[i].number = world_random(c);
	qsort(all->item, all->count, sizeof(all->item[0]), world_compare);
	all->asked = all->answered = 0;
	return lane_begin(c, &(struct lane_tx_args){
	    .done = worlds_on_begin, .state = all});
}

/* The rule for "queries": what is no number is 1, what is out of range the
 * nearest that is in it. */
static unsigned
worlds_count(struct lane_str text)
{
	unsigned count = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return 1;
		count = count * 10 + (unsigned)(text.p[i] - '0');
		if (count > WORLD_MOST)
			count = WORLD_MOST;
	}
	return count > 0 ? count : 1;
}

static int
worlds_start(
    struct lane_ctx *c, unsigned count, bool is_array, lane_done_fn then)
{
	struct worlds *all = lane_alloc(
	    c, sizeof(*all) + count * sizeof(all->item[0]));

	if (all == NULL)
		return -ENOMEM;
	all->count = count;
	all->is_array = is_array;
	all->then = then;
	return worlds_read(c, all);
}

int
world_one(struct lane_ctx *c)
{
	return worlds_start(c, 1, false, worlds_send);
}

int
world_many(struct lane_ctx *c)
{
	return worlds_start(
	    c, worlds_count(lane_query(c, "queries")), true, worlds_send);
}

int
world_update(struct lane_ctx *c)
{
	return worlds_start(
	    c, worlds_count(lane_query(c, "queries")), true, worlds_change);
}
