/* SPDX-License-Identifier: MIT */
/*
 * The application of the articles: a versioned API of users and posts on a
 * database, and pages that show what the server can do beside it.
 *
 * Owns the state of a worker (struct api), from init() to fini().
 * Here: the module's configuration, state and hooks.  Not here: what it serves.
 * Context: a worker's loop.  [api.c] -> routes.c -> users.c, posts.c -> view.c
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

static const struct lane_field config[] = {
	{.name = "failure_rate", .where = LANE_IN_CONFIG,
	    .type = LANE_TYPE_FLOAT, .max = 1, .fallback = "0.1",
	    .help = "how much of what /api/retry tries fails"},
	{.name = "retry_ms", .where = LANE_IN_CONFIG, .type = LANE_TYPE_INT,
	    .min = 1, .max = 10000, .fallback = "100",
	    .help = "before it tries again; doubled each time"},
	{.name = "seed", .where = LANE_IN_CONFIG, .type = LANE_TYPE_INT,
	    .max = 9007199254740991, .fallback = "0",
	    .help = "of its random numbers, for tests; 0: others every time"},
	{.name = "monitor", .where = LANE_IN_CONFIG, .type = LANE_TYPE_TEXT,
	    .pattern = "https?://.+",
	    .help = "gets a POST when a worker has died"},
	{0},
};

static const char *const levels[] = {"debug", "info", NULL};
static const struct lane_field logging_config[] = {
	{.name = "level", .where = LANE_IN_CONFIG, .type = LANE_TYPE_TEXT,
	    .one_of = levels, .fallback = "info"},
	{0},
};

static const struct lane_middleware middleware[] = {
	{.name = "tracking", .after = tracking_after},
	{.name = "logging", .before = logging_before, .after = logging_after,
	    .config = logging_config},
	{0},
};

static void
fini(void *state)
{
	struct api *api = state;

	free(api->monitor);
	free(api);
}

static char *
copy_text(struct lane_str text)
{
	char *copy = malloc(text.len + 1);

	if (copy != NULL) {
		memcpy(copy, text.p, text.len);
		copy[text.len] = '\0';
	}
	return copy;
}

static void
init_metrics(struct lane_init *in, struct api *api)
{
	api->users_created =
	    lane_counter(in, "users_created_total", "Users created");
	api->posts_created =
	    lane_counter(in, "posts_created_total", "Posts created");
	api->retries = lane_counter(
	    in, "retries_total", "Attempts of /api/retry after a failed one");
	api->crashes =
	    lane_counter(in, "crashes_total", "Workers that have died");
	api->performance_us = lane_histogram(
	    in, "performance_seconds", "Time taken by /api/performance");
}

static int
init(struct lane_init *in)
{
	struct lane_str monitor = lane_config_text(in, "monitor");
	struct api *api = calloc(1, sizeof(*api));

	if (api == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	if (monitor.p != NULL && (api->monitor = copy_text(monitor)) == NULL) {
		fini(api);
		return lane_init_fail(in, "monitor", "out of memory");
	}
	api->failure_rate = lane_config_float(in, "failure_rate");
	api->retry_ms = (unsigned)lane_config_int(in, "retry_ms");
	random_init(&api->random, (uint64_t)lane_config_int(in, "seed"));
	store_init(&api->schema);
	init_metrics(in, api);
	lane_init_state(in, api);
	return 0;
}

static int
start(struct lane_ctx *c)
{
	struct api *api = lane_state(c);

	return schema_start(c, &api->schema);
}

static int
stop(struct lane_ctx *c)
{
	struct lane_figures now;

	lane_figures(c, &now);
	lane_log(c, LANE_INFO, "a worker stops; all have served %llu requests",
	    (unsigned long long)now.requests);
	return 200;
}

LANE_MODULE(.name = "api", .version = "1.0", .config = config,
    .routes = api_routes, .middleware = middleware, .init = init, .fini = fini,
    .on_worker_start = start, .on_worker_stop = stop,
    .on_crash_report = crash_tell, .on_request_error = error_shape);
