/* SPDX-License-Identifier: MIT */
/*
 * What the application serves: paths, what each wants to know, and who answers.
 *
 * Owns the tables: constant.  The server checks what is declared here before a
 * handler runs.
 * Here: also the handlers of a few lines.
 * Context: a worker's loop.
 */
#include "api.h"

/* Beyond 2^53 JSON's numbers aren't exact. */
#define ID                                                                     \
	{.name = "id", .where = LANE_IN_PATH, .type = LANE_TYPE_INT,           \
	    .is_required = true, .min = 1, .max = 9007199254740991}
#define NAME                                                                   \
	{.name = "name", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT,        \
	    .is_required = true, .min = 1, .max = 100}
#define EMAIL                                                                  \
	{.name = "email", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT,       \
	    .is_required = true, .min = 3, .max = 254,                         \
	    .pattern = "[^@\\s]+@[^@\\s]+\\.[^@\\s]+"}
#define POST                                                                   \
	{.name = "title", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT,       \
	    .is_required = true, .min = 1, .max = 200},                        \
	{.name = "body", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT,        \
	    .is_required = true, .min = 1, .max = 10000},                      \
	{.name = "author", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT,      \
	    .min = 1, .max = 100, .help = "else the token's subject"}

static const struct lane_field page[] = {
	{.name = "page", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .min = 1, .max = 1000000, .fallback = "1"},
	{.name = "per_page", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .min = 1, .max = 100, .fallback = "20"},
	{0},
};
static const struct lane_field id[] = {ID, {0}};
static const struct lane_field user_v1[] = {NAME, {0}};
static const struct lane_field user_v2[] = {NAME, EMAIL, {0}};
static const struct lane_field id_user_v1[] = {ID, NAME, {0}};
static const struct lane_field id_user_v2[] = {ID, NAME, EMAIL, {0}};
static const struct lane_field post[] = {POST, {0}};
static const struct lane_field id_post[] = {ID, POST, {0}};

static const char *const besides[] = {"query", "timer", NULL};
static const struct lane_field beside[] = {
	{.name = "beside", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .one_of = besides, .fallback = "query"},
	{0},
};

static const char *const kinds[] = {
    "database", "internal", "validation", NULL};
static const struct lane_field kind[] = {
	{.name = "kind", .where = LANE_IN_QUERY, .type = LANE_TYPE_TEXT,
	    .one_of = kinds, .fallback = "database"},
	{0},
};

static const struct lane_field ms[] = {
	{.name = "ms", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .max = 60000, .fallback = "1000"},
	{0},
};

static int
slow_done(struct lane_ctx *c, void *state)
{
	return lane_printf(c, 200, "application/json",
	    "{\"status\":\"success\",\"waited_ms\":%lld}",
	    (long long)lane_arg_int(c, "ms"));
}

static int
slow(struct lane_ctx *c)
{
	return lane_after(
	    c, (unsigned)lane_arg_int(c, "ms"), slow_done, NULL);
}

static int
other_version(struct lane_ctx *c)
{
	return lane_invalid(c, "version", "must be v1 or v2");
}

/* A handler's name is a contract too: a configuration may bind "api.user_v1" to
 * a path of its own. */
const struct lane_route api_routes[] = {
	{.name = "users_v1", .methods = "GET", .path = "/api/v1/users",
	    .run = user_list_v1, .fields = page, .summary = "Lists users"},
	{.name = "users_v2", .methods = "GET", .path = "/api/v2/users",
	    .run = user_list_v2, .fields = page, .summary = "Lists users"},
	{.name = "user_v1", .methods = "GET", .path = "/api/v1/users/{id}",
	    .run = user_get_v1, .fields = id, .summary = "One user"},
	{.name = "user_v2", .methods = "GET", .path = "/api/v2/users/{id}",
	    .run = user_get_v2, .fields = id, .summary = "One user"},
	{.name = "user_create_v1", .methods = "POST", .path = "/api/v1/users",
	    .run = user_create_v1, .fields = user_v1, .invalid_status = 400,
	    .summary = "Creates a user"},
	{.name = "user_create_v2", .methods = "POST", .path = "/api/v2/users",
	    .run = user_create_v2, .fields = user_v2, .invalid_status = 400,
	    .summary = "Creates a user"},
	{.name = "user_replace_v1", .methods = "PUT",
	    .path = "/api/v1/users/{id}", .run = user_replace_v1,
	    .fields = id_user_v1, .invalid_status = 400,
	    .summary = "Changes a user's name"},
	{.name = "user_replace_v2", .methods = "PUT",
	    .path = "/api/v2/users/{id}", .run = user_replace_v2,
	    .fields = id_user_v2, .invalid_status = 400,
	    .summary = "Changes a user"},
	{.name = "user_delete_v1", .methods = "DELETE",
	    .path = "/api/v1/users/{id}", .run = user_delete, .fields = id,
	    .summary = "Deletes a user"},
	{.name = "user_delete_v2", .methods = "DELETE",
	    .path = "/api/v2/users/{id}", .run = user_delete, .fields = id,
	    .summary = "Deletes a user"},

	{.name = "posts_v1", .methods = "GET", .path = "/api/v1/posts",
	    .run = post_list_v1, .fields = page, .summary = "Lists posts"},
	{.name = "posts_v2", .methods = "GET", .path = "/api/v2/posts",
	    .run = post_list_v2, .fields = page, .summary = "Lists posts"},
	{.name = "post_v1", .methods = "GET", .path = "/api/v1/posts/{id}",
	    .run = post_get_v1, .fields = id, .summary = "One post"},
	{.name = "post_v2", .methods = "GET", .path = "/api/v2/posts/{id}",
	    .run = post_get_v2, .fields = id, .summary = "One post"},
	{.name = "post_create_v1", .methods = "POST", .path = "/api/v1/posts",
	    .run = post_create_v1, .fields = post, .invalid_status = 400,
	    .summary = "Creates a post"},
	{.name = "post_create_v2", .methods = "POST", .path = "/api/v2/posts",
	    .run = post_create_v2, .fields = post, .invalid_status = 400,
	    .summary = "Creates a post"},
	{.name = "post_replace_v1", .methods = "PUT",
	    .path = "/api/v1/posts/{id}", .run = post_replace_v1,
	    .fields = id_post, .invalid_status = 400,
	    .summary = "Changes a post"},
	{.name = "post_replace_v2", .methods = "PUT",
	    .path = "/api/v2/posts/{id}", .run = post_replace_v2,
	    .fields = id_post, .invalid_status = 400,
	    .summary = "Changes a post"},
	{.name = "post_delete_v1", .methods = "DELETE",
	    .path = "/api/v1/posts/{id}", .run = post_delete, .fields = id,
	    .summary = "Deletes a post"},
	{.name = "post_delete_v2", .methods = "DELETE",
	    .path = "/api/v2/posts/{id}", .run = post_delete, .fields = id,
	    .summary = "Deletes a post"},

	/* What v1 and v2 don't have is the server's 404 or 405. */
	{.name = "other_version",
	    .path = "/api/{version:v(?:[03-9]|\\d\\d+)}/{rest:.*}",
	    .run = other_version, .body = LANE_BODY_IGNORE},

	{.name = "performance", .methods = "GET", .path = "/api/performance",
	    .run = performance, .fields = beside,
	    .summary = "Computes beside a query"},
	{.name = "retry", .methods = "GET", .path = "/api/retry",
	    .run = retry, .fields = kind,
	    .summary = "Tries a query again when it fails"},
	{.name = "slow", .methods = "GET", .path = "/api/slow", .run = slow,
	    .fields = ms, .summary = "Takes its time"},
	{.name = "health", .methods = "GET", .path = "/api/health",
	    .run = health, .summary = "Memory, connections, uptime"},
	{.name = "stats", .methods = "GET", .path = "/api/stats",
	    .run = stats, .summary = "Requests, errors, times"},
	{0},
};
