/* SPDX-License-Identifier: MIT */
/*
 * The table as a JSON schema, so that editors complete and check a file while
 * it is written.  The loader is stricter: it knows what keys mean together.
 *
 * Owns nothing.
 *
 * Here: a schema per kind.  Not here: the keys (table*.c).
 * Context: any process.  Reading order: field.h -> [schema.c].
 */
#include "config/config.h"
#include "config/field.h"

struct schema {
	struct buf *out;
	unsigned depth;
	bool is_first;		/* of the object that is open */
};

static void schema_section(struct schema *w, const struct section *s);

static void
schema_line(struct schema *w)
{
	unsigned i;

	if (!w->is_first)
		buf_add_byte(w->out, ',');
	w->is_first = false;
	buf_add_byte(w->out, '\n');
	for (i = 0; i < w->depth; i++)
		buf_add(w->out, STR("  "));
}

/* A member of the open object, up to its value; NULL: of the open array. */
static void
schema_key(struct schema *w, const char *key)
{
	schema_line(w);
	if (key == NULL)
		return;
	buf_add_json(w->out, str_of(key));
	buf_add(w->out, STR(": "));
}

static void
schema_open(struct schema *w, const char *key, char bracket)
{
	schema_key(w, key);
	buf_add_byte(w->out, bracket);
	w->depth++;
	w->is_first = true;
}

static void
schema_close(struct schema *w, char bracket)
{
	w->depth--;
	w->is_first = true;
	schema_line(w);
	buf_add_byte(w->out, bracket);
	w->is_first = false;
}

static void
schema_string(struct schema *w, const char *key, const char *value)
{
	schema_key(w, key);
	buf_add_json(w->out, str_of(value));
}

/* A member whose value is JSON already. */
static void
schema_json(struct schema *w, const char *key, const char *json)
{
	schema_key(w, key);
	buf_add(w->out, str_of(json));
}

static void
schema_range(struct schema *w, const struct field *f)
{
	schema_key(w, "minimum");
	buf_printf(w->out, "%lld", (long long)f->min);
	schema_key(w, "maximum");
	buf_printf(w->out, "%lld", (long long)f->max);
}

static void
schema_names(struct schema *w, const char *const *names)
{
	schema_open(w, "enum", '[');
	for (; *names != NULL; names++)
		schema_string(w, NULL, *names);
	schema_close(w, ']');
}

static void
schema_numbers(struct schema *w, const int *numbers)
{
	schema_open(w, "enum", '[');
	for (; *numbers != 0; numbers++) {
		schema_key(w, NULL);
		buf_printf(w->out, "%d", *numbers);
	}
	schema_close(w, ']');
}

static void
schema_methods(struct schema *w)
{
	enum method m;

	schema_string(w, "type", "array");
	schema_json(w, "minItems", "1");
	schema_open(w, "items", '{');
	schema_open(w, "enum", '[');
	for (m = 0; m < METHOD_COUNT; m++)
		schema_string(w, NULL, config_method_name(m));
	schema_close(w, ']');
	schema_close(w, '}');
}

/* An object of strings, or a list of them. */
static void
schema_of_strings(struct schema *w, const char *type, const char *key)
{
	schema_string(w, "type", type);
	schema_open(w, key, '{');
	schema_string(w, "type", "string");
	schema_close(w, '}');
}

static void
schema_list(struct schema *w, const struct field *f)
{
	schema_string(w, "type", "array");
	schema_key(w, "minItems");
	buf_printf(w->out, "%lld", (long long)f->min);
	schema_key(w, "maxItems");
	buf_printf(w->out, "%lld", (long long)f->max);
	schema_open(w, "items", '{');
	schema_section(w, f->section);
	schema_close(w, '}');
}

static void
schema_dict(struct schema *w, const struct field *f)
{
	schema_string(w, "type", "object");
	schema_key(w, "maxProperties");
	buf_printf(w->out, "%lld", (long long)f->max);
	schema_open(w, "additionalProperties", '{');
	schema_section(w, f->section);
	schema_close(w, '}');
}

/* Where a text may stand, so may "${NAME}" for any part of it. */
#define VARIABLE ".*\\$\\{.*"

/* What the kind takes, as members of the open object. */
static void
schema_kind(struct schema *w, const struct field *f)
{
	switch (f->kind) {
	case FIELD_BOOL:
		schema_string(w, "type", "boolean");
		return;
	case FIELD_INT:
		if (f->numbers != NULL) {
			schema_numbers(w, f->numbers);
			return;
		}
		schema_string(w, "type", "integer");
		schema_range(w, f);
		return;
	case FIELD_SIZE:
		schema_json(w, "type", "[\"integer\", \"string\"]");
		schema_range(w, f);
		schema_string(w, "pattern",
		    "^([0-9]+([KMG]i)?B|" VARIABLE ")$");
		return;
	case FIELD_DURATION:
	case FIELD_SECONDS:
		schema_string(w, "type", "string");
		schema_string(w, "pattern",
		    "^([0-9]+(ms|s|m|h|d)|" VARIABLE ")$");
		return;
	case FIELD_STRING:
	case FIELD_PATH:
	case FIELD_OUTPUT:
	case FIELD_ADDRESS:
	case FIELD_LIBRARY:
		schema_string(w, "type", "string");
		return;
	case FIELD_DATABASE:
		schema_string(w, "type", "string");
		schema_string(w, "pattern",
		    "^(sqlite:.+|postgres(ql)?://.*|" VARIABLE ")$");
		return;
	case FIELD_NODE:
		schema_string(w, "type", "object");
		return;
	case FIELD_ENUM:
		schema_names(w, f->names);
		return;
	case FIELD_METHODS:
		schema_methods(w);
		return;
	case FIELD_STRINGS:
		schema_of_strings(w, "array", "items");
		return;
	case FIELD_MAP:
		schema_of_strings(w, "object", "additionalProperties");
		return;
	case FIELD_SECTION:
	case FIELD_POINTER:
		schema_section(w, f->section);
		return;
	case FIELD_LIST:
		schema_list(w, f);
		return;
	case FIELD_DICT:
		schema_dict(w, f);
		return;
	case FIELD_ABSENT:
		schema_json(w, "enum", "[null, [], {}]");
		return;
	case FIELD_SELECTOR:
	case FIELD_JSON:
	case FIELD_KIND_COUNT:
		return;
	}
}

/* {"file": "path"} where a text may stand. */
static void
schema_from_file(struct schema *w)
{
	schema_open(w, NULL, '{');
	schema_string(w, "type", "object");
	schema_json(w, "additionalProperties", "false");
	schema_json(w, "required", "[\"file\"]");
	schema_json(w, "properties", "{\"file\": {\"type\": \"string\"}}");
	schema_close(w, '}');
}

/* Whether the kind isn't a text in JSON, but "${NAME}" may stand for it. */
static bool
field_takes_variable(const struct field *f)
{
	return f->kind == FIELD_BOOL || f->kind == FIELD_INT ||
	    f->kind == FIELD_ENUM;
}

static void
schema_variable(struct schema *w)
{
	schema_open(w, NULL, '{');
	schema_string(w, "type", "string");
	schema_string(w, "pattern", "^" VARIABLE "$");
	schema_close(w, '}');
}

static void
schema_choices(struct schema *w, const struct field *f)
{
	schema_open(w, "anyOf", '[');
	schema_open(w, NULL, '{');
	schema_kind(w, f);
	schema_close(w, '}');
	if (field_takes_variable(f))
		schema_variable(w);
	if (f->flags & FIELD_AUTO)
		schema_json(w, NULL, "{\"const\": \"auto\"}");
	if (f->flags & FIELD_NULLABLE)
		schema_json(w, NULL, "{\"type\": \"null\"}");
	if (f->flags & FIELD_FROM_FILE)
		schema_from_file(w);
	schema_close(w, ']');
}

static void
schema_field(struct schema *w, const struct field *f)
{
	bool has_choices = field_takes_variable(f) || f->flags &
	    (FIELD_AUTO | FIELD_NULLABLE | FIELD_FROM_FILE);

	schema_open(w, f->key, '{');
	/* A plain section brings its own. */
	if (f->kind != FIELD_SECTION || has_choices)
		schema_string(w, "description", f->help);
	if (f->def != NULL)
		schema_json(w, "default", f->def);
	if (has_choices)
		schema_choices(w, f);
	else
		schema_kind(w, f);
	schema_close(w, '}');
}

static void
schema_fields(struct schema *w, const struct field *f)
{
	for (; f->key != NULL; f++)
		if (f->kind != FIELD_SELECTOR)
			schema_field(w, f);
}

static void
schema_selector(
    struct schema *w, const struct field *f, const struct variant *v)
{
	schema_open(w, f->key, '{');
	if (v->dotted != 0)
		schema_string(w, "pattern", "^[A-Za-z_][A-Za-z0-9_-]*\\..");
	else
		schema_string(w, "const", v->name);
	schema_close(w, '}');
}

/* An object of the section's keys, and of those of the variant `name`. */
static void
schema_object(struct schema *w, const struct section *s,
    const struct variant *v)
{
	const struct field *selector = section_selector(s), *f;

	schema_string(w, "type", "object");
	schema_string(w, "description", v != NULL ? v->section->help : s->help);
	schema_json(w, "additionalProperties",
	    v != NULL && v->section->rest != NULL ? "true" : "false");
	schema_open(w, "properties", '{');
	if (v != NULL)
		schema_selector(w, selector, v);
	schema_fields(w, s->fields);
	if (v != NULL)
		schema_fields(w, v->section->fields);
	schema_close(w, '}');
	schema_open(w, "required", '[');
	for (f = s->fields; f->key != NULL; f++)
		if (f->flags & FIELD_REQUIRED)
			schema_string(w, NULL, f->key);
	for (f = v != NULL ? v->section->fields : f; f->key != NULL; f++)
		if (f->flags & FIELD_REQUIRED)
			schema_string(w, NULL, f->key);
	schema_close(w, ']');
}

static void
schema_section(struct schema *w, const struct section *s)
{
	const struct variant *v = s->variants;

	if (v == NULL) {
		schema_object(w, s, NULL);
		return;
	}
	schema_open(w, "oneOf", '[');
	for (; v->name != NULL; v++) {
		schema_open(w, NULL, '{');
		schema_object(w, s, v);
		schema_close(w, '}');
	}
	schema_close(w, ']');
}

void
config_print_schema(struct buf *out)
{
	struct schema w = {.out = out, .depth = 1, .is_first = true};

	buf_add_byte(out, '{');
	schema_string(&w, "$schema",
	    "https://json-schema.org/draft/2020-12/schema");
	schema_string(&w, "title", "corelane's configuration");
	schema_section(&w, &config_section);
	schema_close(&w, '}');
	buf_add_byte(out, '\n');
}
