/* SPDX-License-Identifier: MIT */
/*
 * Declared values: see args.h.  A module that declares any is refused.
 *
 * Context: see args.h.
 */
#include "server/args.h"

struct args_spec *
args_spec_new(const struct lane_field *fields, struct error *err)
{
	error_set(err, ERROR_INVALID, "declares values, which aren't checked");
	return NULL;
}

void
args_spec_free(struct args_spec *spec)
{
}

int
args_check(struct lane_ctx *c, const struct args_spec *spec)
{
	return 0;
}

struct args *
args_from_node(struct arena *a, const struct args_source *source)
{
	config_problem_add(source->problems, source->config, source->pos,
	    source->path, "declares values, which aren't checked");
	return NULL;
}

struct lane_value
args_get(const struct args *args, const char *name)
{
	return (struct lane_value){.kind = LANE_NULL};
}
