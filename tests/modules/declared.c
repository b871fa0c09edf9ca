/* SPDX-License-Identifier: MIT */
/*
 * Routes that declare what they take, and errors of every kind.
 *
 *	GET  /items/{id}?page=&sort=	with a header X-Tenant
 *	POST /items			{"name", "count", "tags"}, or a form
 *	GET  /fail/{how}		"plain", "field", "later", "errno"
 *
 * "shape": true: on_request_error gives errors a shape of their own.
 */
#include <corelane/corelane.h>

#include <errno.h>

static const char *const sorts[] = {"name", "age", NULL};

static const struct lane_field item_fields[] = {
	{.name = "id", .where = LANE_IN_PATH, .type = LANE_TYPE_INT, .min = 1,
	    .help = "the item's number"},
	{.name = "page", .where = LANE_IN_QUERY, .type = LANE_TYPE_INT,
	    .min = 1, .max = 100, .fallback = "1"},
	{.name = "sort", .where = LANE_IN_QUERY, .one_of = sorts},
	{.name = "X-Tenant", .where = LANE_IN_HEADER, .pattern = "[a-z]+"},
	{0},
};

static const struct lane_field new_fields[] = {
	{.name = "name", .where = LANE_IN_BODY, .min = 1, .max = 20,
	    .is_required = true},
	{.name = "count", .where = LANE_IN_BODY, .type = LANE_TYPE_INT,
	    .max = 10, .fallback = "1"},
	{.name = "tags", .where = LANE_IN_BODY, .type = LANE_TYPE_JSON},
	{0},
};

static const struct lane_field config[] = {
	{.name = "shape", .where = LANE_IN_CONFIG, .type = LANE_TYPE_BOOL,
	    .fallback = "false"},
	{0},
};

static bool is_shaping;

static int
declared_init(struct lane_init *in)
{
	is_shaping = lane_config_bool(in, "shape");
	return 0;
}

static int
item(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%lld %lld",
	    (long long)lane_arg_int(c, "id"),
	    (long long)lane_arg_int(c, "page"));
}

static int
item_new(struct lane_ctx *c)
{
	return lane_printf(c, 201, "text/plain", "%.*s %lld",
	    LANE_FMT(lane_arg_text(c, "name")),
	    (long long)lane_arg_int(c, "count"));
}

static int
fail(struct lane_ctx *c)
{
	struct lane_str how = lane_param(c, "how");

	if (lane_str_eq(how, LANE_STR("plain")))
		return lane_fail(c, 409, "the name is taken");
	if (lane_str_eq(how, LANE_STR("field")))
		return lane_invalid(c, "name", "must be shorter");
	if (lane_str_eq(how, LANE_STR("later")))
		return lane_fail_with(c, &(struct lane_problem){
		    .status = 503, .code = "BUSY", .retry_after_s = 7});
	return -EIO;
}

static int
declared_error(struct lane_ctx *c, const struct lane_problem *problem)
{
	if (!is_shaping)
		return LANE_NEXT;
	return lane_printf(c, problem->status, "text/plain", "%d %s %.*s",
	    problem->status, problem->code, LANE_FMT(problem->message));
}

static const struct lane_route routes[] = {
	{.name = "item", .methods = "GET", .path = "/items/{id}", .run = item,
	    .fields = item_fields, .summary = "One item"},
	{.name = "item_new", .methods = "POST", .path = "/items",
	    .run = item_new, .fields = new_fields, .summary = "A new item",
	    .body_bytes = 4096},
	{.name = "fail", .path = "/fail/{how}", .run = fail},
	{0},
};

LANE_MODULE(.name = "declared", .config = config, .routes = routes,
    .init = declared_init, .on_request_error = declared_error);
