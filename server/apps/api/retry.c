/* SPDX-License-Identifier: MIT */
/*
 * /api/retry: a query that fails now and then, by "failure_rate" of the
 * module's configuration, and is tried again up to three times with growing
 * waits.  "?kind=" says as what it fails: what a client got wrong isn't tried
 * again.
 *
 * Owns nothing: the state is in the request's arena.
 * Context: a worker's loop.
 */
#include <errno.h>

#include "api.h"

#define RETRY_ATTEMPTS 3

struct attempts {
	int64_t count;
	struct lane_str kind;
};

static bool
retry_must_fail(struct lane_ctx *c)
{
	struct api *api = lane_state(c);

	return random_below(&api->random, 1000000) <
	    (uint32_t)(api->failure_rate * 1000000);
}

/* A status from 500 on, without content, is what lane_retry() tries again. */
static int
retry_fail(struct lane_ctx *c, struct lane_str kind)
{
	bool is_database = lane_str_eq(kind, LANE_STR("database"));
	int rc;

	if (lane_str_eq(kind, LANE_STR("validation")))
		return lane_invalid(c, "kind", "fails as it was asked to");
	rc = error_mark(c, is_database ? CODE_DATABASE : CODE_INTERNAL);
	return rc != 0 ? rc : 500;
}

static int
retry_on_rows(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	const struct attempts *a = state;
	struct lane_json_writer *w;

	if (lane_rows_status(rows) != 0)
		return retry_fail(c, LANE_STR("database"));
	w = lane_json_new(c);
	lane_json_object(w);
	lane_json_add_str(w, "status", LANE_STR("success"));
	lane_json_add_int(w, "attempts", a->count);
	lane_json_add_int(w, "users", lane_rows_int(rows, 0, 0));
	lane_json_end(w);
	return lane_json_send(w, 200);
}

static int
retry_attempt(struct lane_ctx *c, void *state)
{
	const struct api *api = lane_state(c);
	struct attempts *a = state;

	if (a->count++ > 0)
		lane_count(api->retries, 1);
	if (retry_must_fail(c))
		return retry_fail(c, a->kind);
	return store_sql(c, .sql = "SELECT COUNT(*) FROM users",
	    .done = retry_on_rows, .state = a);
}

int
retry(struct lane_ctx *c)
{
	const struct api *api = lane_state(c);
	struct attempts *a = lane_alloc(c, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	a->kind = lane_arg_text(c, "kind");
	return lane_retry(c, &(struct lane_retry_args){
	    .attempts = RETRY_ATTEMPTS, .base_ms = api->retry_ms,
	    .attempt = retry_attempt, .state = a});
}
