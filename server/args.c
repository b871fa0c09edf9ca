/* SPDX-License-Identifier: MIT */
/*
 * Declared values of a route: see args.h.  A route that declares any is
 * refused.
 *
 * Context: see args.h.
 */
#include "server/args.h"
#include "server/ctx.h"

struct args_spec *
args_spec_new(const struct lane_field *fields, struct error *err)
{
	error_set(err, ERROR_INVALID, "declares values, which aren't checked");
	return NULL;
}

int
args_check(struct lane_ctx *c, const struct args_spec *spec)
{
	return 0;
}

struct lane_value
lane_arg(struct lane_ctx *c, const char *name)
{
	return args_get(c->args, name);
}

bool
lane_has_arg(struct lane_ctx *c, const char *name)
{
	return args_get(c->args, name).kind != LANE_NULL;
}

int64_t
lane_arg_int(struct lane_ctx *c, const char *name)
{
	struct lane_value v = args_get(c->args, name);

	return v.kind == LANE_INT ? v.u.i : 0;
}

double
lane_arg_float(struct lane_ctx *c, const char *name)
{
	struct lane_value v = args_get(c->args, name);

	return v.kind == LANE_FLOAT ? v.u.f : 0;
}

bool
lane_arg_bool(struct lane_ctx *c, const char *name)
{
	struct lane_value v = args_get(c->args, name);

	return v.kind == LANE_BOOL && v.u.b;
}

struct lane_str
lane_arg_text(struct lane_ctx *c, const char *name)
{
	struct lane_value v = args_get(c->args, name);

	return v.kind == LANE_TEXT ? v.u.s : (struct lane_str){"", 0};
}

const struct cJSON *
lane_arg_json(struct lane_ctx *c, const char *name)
{
	return args_get_json(c->args, name);
}

struct lane_value
lane_option(struct lane_ctx *c, const char *name)
{
	return args_get(c->options, name);
}
