/* SPDX-License-Identifier: MIT */
/*
 * Declared values of a route: checked before its handler runs, and handed to
 * it converted.
 *
 * Owns nothing: values lie in the request's arena.  Invariant: a handler sees
 * values that follow their declaration, or isn't run.
 * Here: where each value comes from, and the answer to a wrong one.  Not here:
 * what a value must be (args_rule.c), specs (args_spec.c).
 * Context: the loop's thread.  handlers/module.c -> [args.c] -> args_rule.c
 */
#include "server/args.h"

#include <errno.h>

#include <cjson/cJSON.h>

#include "server/args_rule.h"
#include "server/ctx.h"
#include "server/module.h"

struct args_spec *
args_spec_new(const struct lane_field *fields, struct error *err)
{
	return args_spec_make(fields, false, err);
}

/* Checking a request. */

struct checker {
	struct lane_ctx *c;
	const struct args_spec *spec;
	struct args *args;
	bool is_form;
	const cJSON *tree;	/* the content as JSON; NULL: none */
};

static int
check_refuse(const struct checker *ck, const struct arg_rule *rule,
    struct str message)
{
	const struct lane_ctx *c = ck->c;
	int status = 400;

	if (message.p == NULL)
		return -ENOMEM;
	if (rule->field->where == LANE_IN_BODY)
		status = c->route != NULL && c->route->def->invalid_status != 0
		    ? c->route->def->invalid_status : 422;
	return lane_fail_with(ck->c, &(struct lane_problem){.status = status,
	    .message = lane_of(message), .field = lane_of(rule->name)});
}

static int
check_wrong(const struct checker *ck, const struct arg_rule *rule)
{
	return check_refuse(ck, rule, arena_printf(ck->c->arena, "must be %.*s",
	    STR_FMT(rule->wants)));
}

static int
check_absent(const struct checker *ck, const struct arg_rule *rule)
{
	if (rule->field->is_required)
		return check_refuse(ck, rule, STR("is missing"));
	ck->args->value[rule - ck->spec->rule] = rule->fallback;
	return 0;
}

/* The n-th value that came as text; p == NULL: there is none. */
static struct lane_str
check_text_nth(const struct checker *ck, const struct arg_rule *rule,
    unsigned n)
{
	const char *name = rule->field->name;

	switch (rule->field->where) {
	case LANE_IN_QUERY:
		return lane_query_nth(ck->c, name, n);
	case LANE_IN_HEADER:
		return lane_header_nth(ck->c, name, n);
	case LANE_IN_BODY:
		return lane_form_nth(ck->c, name, n);
	case LANE_IN_PATH:
		if (n == 0)
			return lane_param(ck->c, name);
		break;
	case LANE_IN_CONFIG:
		break;
	}
	return (struct lane_str){NULL, 0};
}

/* JSON in a field of a form is text of JSON. */
static bool
check_form_json(const struct checker *ck, struct str text,
    struct lane_value *ret_value)
{
	const struct cJSON *tree = arg_parse_json(ck->c->arena, text);

	if (tree != NULL)
		*ret_value = arg_json_value(tree);
	return tree != NULL;
}

static int
check_text(const struct checker *ck, const struct arg_rule *rule)
{
	struct lane_value *value = &ck->args->value[rule - ck->spec->rule];
	struct str text = str_of_lane(check_text_nth(ck, rule, 0));

	if (text.p == NULL)
		return check_absent(ck, rule);
	/* Which of them is meant? */
	if (check_text_nth(ck, rule, 1).p != NULL)
		return check_refuse(ck, rule, STR("is there twice"));
	if (rule->field->type == LANE_TYPE_JSON ?
	    check_form_json(ck, text, value) :
	    arg_from_text(rule, text, value))
		return 0;
	return check_wrong(ck, rule);
}

static int
check_json(const struct checker *ck, const struct arg_rule *rule)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(ck->tree,
	    rule->field->name);
	bool is_json = rule->field->type == LANE_TYPE_JSON;

	if (item == NULL || (cJSON_IsNull(item) && !is_json &&
	    !rule->field->is_required))
		return check_absent(ck, rule);
	if (arg_from_json(rule, item, &ck->args->value[rule - ck->spec->rule]))
		return 0;
	return check_wrong(ck, rule);
}

/* Reads the content, if any, by its type. */
static int
check_read_content(struct checker *ck)
{
	struct lane_ctx *c = ck->c;
	int rc;

	if (lane_has_type(c, "application/x-www-form-urlencoded") ||
	    lane_has_type(c, "multipart/form-data")) {
		ck->is_form = true;
		return lane_form_read(c);
	}
	if (lane_body_length(c) == 0)
		return 0;
	if (!lane_has_type(c, "application/json"))
		return lane_fail(c, 415, "content must be application/json "
		    "or a form");
	rc = lane_body_json(c, 0, &ck->tree);
	if (rc == 0 && !cJSON_IsObject(ck->tree))
		return lane_fail(c, 400, "content must be a JSON object");
	return rc;
}

static int
check_rules(struct checker *ck, bool is_body)
{
	const struct arg_rule *rule;
	size_t i;
	int rc = 0;

	for (i = 0; i < ck->spec->count && rc == 0; i++) {
		rule = &ck->spec->rule[i];
		if ((rule->field->where == LANE_IN_BODY) != is_body)
			continue;
		rc = is_body && !ck->is_form ? check_json(ck, rule) :
		    check_text(ck, rule);
	}
	return rc;
}

int
args_check(struct lane_ctx *c, const struct args_spec *spec)
{
	struct checker ck = {.c = c, .spec = spec};
	int rc;

	ck.args = arena_alloc(c->arena, sizeof(*ck.args));
	if (ck.args == NULL)
		return -ENOMEM;
	ck.args->spec = spec;
	ck.args->value = arena_zalloc(c->arena,
	    (spec->count + 1) * sizeof(*ck.args->value));
	if (ck.args->value == NULL)
		return -ENOMEM;
	rc = check_rules(&ck, false);
	if (rc == 0 && spec->has_body)
		rc = check_read_content(&ck);
	if (rc == 0 && spec->has_body)
		rc = check_rules(&ck, true);
	if (rc == 0)
		c->args = ck.args;
	return rc;
}

/* Reading them. */

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

/* A value of the kind that is asked for.  A name that the route doesn't
 * declare, or declares as something else, is told: it would be 0 for ever. */
static struct lane_value
arg_of(struct lane_ctx *c, const char *name, enum lane_kind kind)
{
	struct lane_value v = args_get(c->args, name);

	if (v.kind == kind || (v.kind == LANE_NULL && args_has(c->args, name)))
		return v;
	lane_log(c, LANE_WARN, "the handler asks for a value '%s' that its "
	    "route %s", name, v.kind == LANE_NULL ? "doesn't declare"
	    : "declares as another type");
	return (struct lane_value){.kind = LANE_NULL};
}

int64_t
lane_arg_int(struct lane_ctx *c, const char *name)
{
	struct lane_value v = arg_of(c, name, LANE_INT);

	return v.kind == LANE_INT ? v.u.i : 0;
}

double
lane_arg_float(struct lane_ctx *c, const char *name)
{
	struct lane_value v = arg_of(c, name, LANE_FLOAT);

	return v.kind == LANE_FLOAT ? v.u.f : 0;
}

bool
lane_arg_bool(struct lane_ctx *c, const char *name)
{
	struct lane_value v = arg_of(c, name, LANE_BOOL);

	return v.kind == LANE_BOOL && v.u.b;
}

struct lane_str
lane_arg_text(struct lane_ctx *c, const char *name)
{
	struct lane_value v = arg_of(c, name, LANE_TEXT);

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
