/* SPDX-License-Identifier: MIT */
/*
 * The tables of a module: see schema.h.
 *
 * Owns nothing; a try is in the arena of its task.
 * Invariant: is_ready is set after the commit and by nothing else.
 * Here: when and how statements run.  Not here: the statements.
 * Context: background tasks of a worker's loop.
 *	on_worker_start -> [schema.c]
 */
#include "schema.h"

#include <errno.h>
#include <string.h>

#define SCHEMA_AGAIN_MS 500

/* Any number that other users of the database don't lock. */
#define SCHEMA_LOCK "SELECT pg_advisory_xact_lock(7230197406)"

static const char *const lock_postgresql[] = {SCHEMA_LOCK, NULL};

struct schema_try {
	struct schema *schema;
	const char *const *next; /* statement to run */
	const char *const *then; /* list after this one; or NULL */
	struct lane_tx *tx;
};

static int schema_begin(struct lane_ctx *c, void *state);
static int schema_step(struct lane_ctx *c, struct schema_try *try);

/* A database that is out says itself when it is back. */
static int
schema_later(struct lane_ctx *c, void *state)
{
	struct schema *s = state;

	if (lane_database_is_ready(c, s->database))
		return schema_begin(c, s);
	return lane_after(c, SCHEMA_AGAIN_MS, schema_later, s);
}

static int
schema_wait(struct lane_ctx *c, void *state)
{
	return lane_after(c, SCHEMA_AGAIN_MS, schema_later, state);
}

/* Ends this try: its transaction goes with its context, so that the next one
 * needs a context of its own. */
static int
schema_give_up(struct lane_ctx *c, struct schema *s, const char *why)
{
	int rc = lane_spawn(c, schema_wait, s);

	if (!s->has_failed)
		lane_log(c, LANE_WARN, "the tables can't be made yet: %s", why);
	s->has_failed = true;
	return rc != 0 ? rc : 200;
}

static int
schema_committed(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct schema_try *try = state;

	if (lane_rows_status(rows) != 0)
		return schema_give_up(c, try->schema, lane_rows_error(rows));
	try->schema->is_ready = true;
	if (try->schema->has_failed)
		lane_log(c, LANE_INFO, "the tables are made now");
	return 200;
}

static int
schema_stepped(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct schema_try *try = state;

	if (lane_rows_status(rows) != 0)
		return schema_give_up(c, try->schema, lane_rows_error(rows));
	try->next++;
	return schema_step(c, try);
}

static int
schema_step(struct lane_ctx *c, struct schema_try *try)
{
	int rc;

	if (*try->next == NULL && try->then != NULL) {
		try->next = try->then;
		try->then = NULL;
	}
	if (*try->next == NULL)
		rc = lane_commit(c, try->tx, schema_committed, try);
	else
		rc = lane_sql(c, .database = try->schema->database,
		    .tx = try->tx, .sql = *try->next, .done = schema_stepped,
		    .state = try);
	return rc == LANE_ASYNC ? rc
	    : schema_give_up(c, try->schema, "it is busy");
}

static int
schema_begun(struct lane_ctx *c, void *state, struct lane_tx *tx,
    struct lane_rows *rows)
{
	struct schema_try *try = state;
	const struct schema *s = try->schema;

	if (tx == NULL)
		return schema_give_up(c, try->schema, lane_rows_error(rows));
	try->tx = tx;
	if (strcmp(lane_database_kind(c, s->database), "sqlite") == 0) {
		try->next = s->sqlite;
		try->then = NULL;
	} else {
		try->next = lock_postgresql;
		try->then = s->postgresql;
	}
	return schema_step(c, try);
}

static int
schema_begin(struct lane_ctx *c, void *state)
{
	struct schema_try *try = lane_alloc(c, sizeof(*try));
	int rc;

	if (try == NULL)
		return -ENOMEM;
	try->schema = state;
	rc = lane_begin(c, &(struct lane_tx_args){
	    .database = try->schema->database, .done = schema_begun,
	    .state = try});
	return rc == LANE_ASYNC ? rc
	    : schema_give_up(c, try->schema, "it is out");
}

int
schema_start(struct lane_ctx *c, struct schema *s)
{
	if (lane_database_kind(c, s->database) != NULL)
		return schema_begin(c, s);
	lane_log(c, LANE_ERROR, "\"databases\" has no \"%s\", which this "
	    "module needs", s->database != NULL ? s->database : "main");
	return -ENOENT;
}
