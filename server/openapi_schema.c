/* SPDX-License-Identifier: MIT */
/*
 * Declared values as JSON Schema, and the writer of the document.
 *
 * Owns nothing.
 * Here: one value.  Not here: routes (openapi.c).
 * Context: the loop's thread.  openapi.c -> [openapi_schema.c]
 */
#include "server/args_rule.h"
#include "server/openapi.h"

void
openapi_key(struct openapi *o, const char *key)
{
	if (!o->is_first)
		buf_add_byte(o->out, ',');
	o->is_first = false;
	if (key == NULL)
		return;
	buf_add_json(o->out, str_of(key));
	buf_add_byte(o->out, ':');
}

void
openapi_open(struct openapi *o, const char *key, char bracket)
{
	openapi_key(o, key);
	buf_add_byte(o->out, bracket);
	o->is_first = true;
}

void
openapi_close(struct openapi *o, char bracket)
{
	buf_add_byte(o->out, bracket);
	o->is_first = false;
}

void
openapi_text(struct openapi *o, const char *key, struct str text)
{
	openapi_key(o, key);
	buf_add_json(o->out, text);
}

void
openapi_json(struct openapi *o, const char *key, const char *json)
{
	openapi_key(o, key);
	buf_add(o->out, str_of(json));
}

static void
schema_number(struct openapi *o, const char *key, double number)
{
	openapi_key(o, key);
	buf_add_number(o->out, number);
}

static void
schema_limits(struct openapi *o, const struct arg_rule *rule, const char *min,
    const char *max)
{
	if (rule->has_min)
		schema_number(o, min, rule->field->min);
	if (rule->has_max)
		schema_number(o, max, rule->field->max);
}

/* A JSON schema's pattern may match anywhere; ours is for the whole text. */
static void
schema_pattern(struct openapi *o, struct str expression)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, STR("^(?:"));
	buf_add(&b, expression);
	buf_add(&b, STR(")$"));
	if (buf_failed(&b))
		o->out->failed = true;
	else
		openapi_text(o, "pattern", buf_str(&b));
	buf_done(&b);
}

/* A declared text as JSON of the field's type. */
static void
schema_value(struct openapi *o, const char *key, const struct lane_field *f,
    const char *text)
{
	if (f->type == LANE_TYPE_TEXT)
		openapi_text(o, key, str_of(text));
	else if (f->type == LANE_TYPE_BOOL)
		openapi_json(o, key, text[0] == 't' || text[0] == '1' ?
		    "true" : "false");
	else
		openapi_json(o, key, text);
}

/* The fallback of a number is what it was read as: "007" isn't JSON. */
static void
schema_default(struct openapi *o, const struct arg_rule *rule)
{
	const struct lane_value *v = &rule->fallback;

	if (v->kind == LANE_INT) {
		openapi_key(o, "default");
		buf_printf(o->out, "%lld", (long long)v->u.i);
	} else if (v->kind == LANE_FLOAT) {
		schema_number(o, "default", v->u.f);
	} else if (v->kind != LANE_NULL) {
		schema_value(o, "default", rule->field, rule->field->fallback);
	}
}

static void
schema_enum(struct openapi *o, const struct lane_field *f)
{
	const char *const *name = f->one_of;

	if (name == NULL)
		return;
	openapi_open(o, "enum", '[');
	for (; *name != NULL; name++)
		schema_value(o, NULL, f, *name);
	openapi_close(o, ']');
}

static void
schema_type(struct openapi *o, const struct arg_rule *rule)
{
	switch (rule->field->type) {
	case LANE_TYPE_TEXT:
		openapi_text(o, "type", STR("string"));
		schema_limits(o, rule, "minLength", "maxLength");
		return;
	case LANE_TYPE_INT:
		openapi_text(o, "type", STR("integer"));
		openapi_text(o, "format", STR("int64"));
		schema_limits(o, rule, "minimum", "maximum");
		return;
	case LANE_TYPE_FLOAT:
		openapi_text(o, "type", STR("number"));
		schema_limits(o, rule, "minimum", "maximum");
		return;
	case LANE_TYPE_BOOL:
		openapi_text(o, "type", STR("boolean"));
		return;
	case LANE_TYPE_JSON:
		return;
	}
}

void
openapi_schema(struct openapi *o, const char *key, const struct arg_rule *rule,
    struct str expression)
{
	openapi_open(o, key, '{');
	if (rule == NULL) {
		openapi_text(o, "type", STR("string"));
	} else {
		schema_type(o, rule);
		schema_enum(o, rule->field);
		schema_default(o, rule);
		if (rule->field->pattern != NULL)
			expression = str_of(rule->field->pattern);
		else if (rule->field->type != LANE_TYPE_TEXT)
			expression = (struct str){NULL, 0};
	}
	if (expression.p != NULL)
		schema_pattern(o, expression);
	openapi_close(o, '}');
}
