/* SPDX-License-Identifier: MIT */
/*
 * Lists of declared values: made once, asked by name.
 *
 * Owns: specs.  Invariant: the names of a spec differ, and each rule is sound.
 * Here: the list.  Not here: one rule (args_rule.c), where values come from
 * (args.c, args_node.c).
 * Context: constant once made.
 */
#include <stdlib.h>

#include "server/args.h"
#include "server/args_rule.h"

static const char *
where_fault(const struct lane_field *f)
{
	if (f->where == LANE_IN_CONFIG)
		return "is a key of the configuration, not of a request";
	if (f->type == LANE_TYPE_JSON && f->where != LANE_IN_BODY)
		return "is JSON, which only content can be";
	return NULL;
}

static bool
is_named_before(const struct args_spec *spec, size_t i)
{
	size_t j;

	for (j = 0; j < i; j++)
		if (str_eq(spec->rule[j].name, spec->rule[i].name))
			return true;
	return false;
}

static int
spec_add(struct args_spec *spec, const struct lane_field *f, bool is_config,
    struct error *err)
{
	const char *fault = is_config ? NULL : where_fault(f);
	size_t i = spec->count;

	if (fault == NULL) {
		if (arg_rule_init(&spec->rule[i], &spec->arena, f, err) == -1)
			return error_wrap(err, "'%s'", f->name);
		if (is_named_before(spec, i))
			fault = "is declared twice";
	}
	if (fault != NULL)
		return error_set(err, ERROR_INVALID, "'%s' %s", f->name,
		    fault);
	spec->has_body |= f->where == LANE_IN_BODY;
	spec->count++;
	return 0;
}

struct args_spec *
args_spec_make(const struct lane_field *fields, bool is_config,
    struct error *err)
{
	struct args_spec *spec = calloc(1, sizeof(*spec));
	size_t count = 0;

	if (spec == NULL) {
		error_nomem(err, "declaration");
		return NULL;
	}
	arena_init(&spec->arena, NULL);
	while (fields[count].name != NULL)
		count++;
	spec->rule = arena_zalloc(&spec->arena,
	    (count + 1) * sizeof(*spec->rule));
	if (spec->rule == NULL) {
		error_nomem(err, "declaration");
		goto fail;
	}
	for (; count > 0; fields++, count--)
		if (spec_add(spec, fields, is_config, err) == -1)
			goto fail;
	return spec;
fail:
	args_spec_free(spec);
	return NULL;
}

void
args_spec_free(struct args_spec *spec)
{
	if (spec == NULL)
		return;
	arena_done(&spec->arena);
	free(spec);
}

struct lane_value
args_get(const struct args *args, const char *name)
{
	struct str key = str_of(name);
	size_t i;

	for (i = 0; args != NULL && i < args->spec->count; i++)
		if (str_eq(args->spec->rule[i].name, key))
			return args->value[i];
	return (struct lane_value){.kind = LANE_NULL};
}

bool
args_has(const struct args *args, const char *name)
{
	struct str key = str_of(name);
	size_t i;

	for (i = 0; args != NULL && i < args->spec->count; i++)
		if (str_eq(args->spec->rule[i].name, key))
			return true;
	return false;
}

const struct cJSON *
args_get_json(const struct args *args, const char *name)
{
	struct lane_value v = args_get(args, name);

	return v.kind == LANE_POINTER ? v.u.ptr.p : NULL;
}
