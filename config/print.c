/* SPDX-License-Identifier: MIT */
/*
 * From struct config back to a file: `check --print`.  What is printed loads
 * again and gives the same values.
 *
 * Owns nothing.
 *
 * Here: layout, a writer per kind.  Not here: the keys (table*.c).
 * Context: any process.  Reading order: field.h -> [print.c].
 */
#include "config/config.h"
#include "config/expand.h"
#include "config/field.h"

struct printer {
	struct buf *out;
	unsigned depth;
	bool with_secrets;
};

static void print_fields(struct printer *p, const struct field *f,
    const void *base, bool *is_first);

static void
print_line(struct printer *p)
{
	unsigned i;

	buf_add_byte(p->out, '\n');
	for (i = 0; i < p->depth; i++)
		buf_add(p->out, STR("  "));
}

/* A comma where one is due, a new line, and the key. */
static void
print_key(struct printer *p, struct str key, bool *is_first)
{
	if (!*is_first)
		buf_add_byte(p->out, ',');
	*is_first = false;
	print_line(p);
	buf_add_json(p->out, key);
	buf_add(p->out, STR(": "));
}

static void
print_open(struct printer *p, char bracket)
{
	buf_add_byte(p->out, bracket);
	p->depth++;
}

static void
print_close(struct printer *p, char bracket, bool is_empty)
{
	p->depth--;
	if (!is_empty)
		print_line(p);
	buf_add_byte(p->out, bracket);
}

/* A string that reads back as itself: ${ is escaped. */
static void
print_string(struct printer *p, struct str s)
{
	struct buf b;

	buf_init(&b, 0);
	expand_escape(s, &b);
	if (buf_failed(&b))
		p->out->failed = true;
	else
		buf_add_json(p->out, buf_str(&b));
	buf_done(&b);
}

static void
print_strings(struct printer *p, const struct config_strings *list)
{
	size_t i;

	buf_add_byte(p->out, '[');
	for (i = 0; i < list->count; i++) {
		if (i > 0)
			buf_add(p->out, STR(", "));
		print_string(p, list->item[i]);
	}
	buf_add_byte(p->out, ']');
}

static void
print_map(struct printer *p, const struct config_fields *map)
{
	size_t i;

	print_open(p, '{');
	for (i = 0; i < map->count; i++) {
		if (i > 0)
			buf_add_byte(p->out, ',');
		print_line(p);
		print_string(p, map->item[i].name);
		buf_add(p->out, STR(": "));
		print_string(p, map->item[i].value);
	}
	print_close(p, '}', map->count == 0);
}

static void
print_methods(struct printer *p, unsigned methods)
{
	bool is_first = true;
	unsigned m;

	if (methods == 0) {
		buf_add(p->out, STR("null"));
		return;
	}
	for (m = 0; m < METHOD_COUNT; m++) {
		if (!(methods & METHOD_BIT(m)))
			continue;
		buf_printf(p->out, "%s\"%s\"", is_first ? "[" : ", ",
		    config_method_name(m));
		is_first = false;
	}
	buf_add_byte(p->out, ']');
}

static void
print_object(struct printer *p, const struct section *s, const void *base)
{
	const struct variant *v = section_variant(s, base);
	bool is_first = true;

	print_open(p, '{');
	print_fields(p, s->fields, base, &is_first);
	if (v != NULL)
		print_fields(p, v->section->fields, base, &is_first);
	print_close(p, '}', is_first);
}

static void
print_list(struct printer *p, const struct field *f, const char *at)
{
	const char *items;
	size_t i, count;

	memcpy(&items, at, sizeof(items));
	memcpy(&count, at + sizeof(items), sizeof(count));
	print_open(p, '[');
	for (i = 0; i < count; i++) {
		if (i > 0)
			buf_add_byte(p->out, ',');
		print_line(p);
		print_object(p, f->section, items + i * f->section->bytes);
	}
	print_close(p, ']', count == 0);
}

static void
print_text(struct printer *p, const struct field *f, struct str s)
{
	if (f->flags & FIELD_NULLABLE && s.len == 0)
		buf_add(p->out, STR("null"));
	else if (f->flags & FIELD_SECRET && !p->with_secrets)
		buf_add(p->out, STR("\"***\""));
	else if (f->kind == FIELD_JSON)
		expand_escape(s, p->out);
	else
		print_string(p, s);
}

static void
print_number(struct printer *p, const struct field *f, int64_t value)
{
	if (value == CONFIG_AUTO && f->flags & FIELD_AUTO)
		buf_add(p->out, STR("\"auto\""));
	else if (value == CONFIG_AUTO && f->flags & FIELD_NULLABLE)
		buf_add(p->out, STR("null"));
	else
		field_add_number(p->out, f, value);
}

static void
print_pointer(struct printer *p, const struct field *f, const char *at)
{
	const void *item;

	memcpy(&item, at, sizeof(item));
	if (item == NULL)
		buf_add(p->out, STR("null"));
	else
		print_object(p, f->section, item);
}

static void
print_value(struct printer *p, const struct field *f, const void *base)
{
	const char *at = (const char *)base + f->offset;
	union {
		bool is_true;
		unsigned methods;
		struct str text;
		struct config_strings strings;
		struct config_fields map;
	} u = {.map = {NULL, 0}};

	if (f->bytes <= sizeof(u))
		memcpy(&u, at, f->bytes);
	switch (f->kind) {
	case FIELD_BOOL:
		buf_add(p->out, u.is_true ? STR("true") : STR("false"));
		return;
	case FIELD_INT:
	case FIELD_SIZE:
	case FIELD_DURATION:
	case FIELD_SECONDS:
		print_number(p, f, field_get_number(f, base));
		return;
	case FIELD_STRING:
	case FIELD_PATH:
	case FIELD_OUTPUT:
	case FIELD_ADDRESS:
	case FIELD_JSON:
		print_text(p, f, u.text);
		return;
	case FIELD_ENUM:
		buf_printf(p->out, "\"%s\"",
		    f->names[field_get_number(f, base)]);
		return;
	case FIELD_SELECTOR:
		buf_printf(p->out, "\"%s\"",
		    f->variants[field_get_number(f, base)].name);
		return;
	case FIELD_METHODS:
		print_methods(p, u.methods);
		return;
	case FIELD_STRINGS:
		print_strings(p, &u.strings);
		return;
	case FIELD_MAP:
		print_map(p, &u.map);
		return;
	case FIELD_SECTION:
		print_object(p, f->section, base);
		return;
	case FIELD_POINTER:
		print_pointer(p, f, at);
		return;
	case FIELD_LIST:
		print_list(p, f, at);
		return;
	case FIELD_ABSENT:
	case FIELD_KIND_COUNT:
		return;
	}
}

static void
print_fields(struct printer *p, const struct field *f, const void *base,
    bool *is_first)
{
	bool is_off;

	for (; f->key != NULL; f++) {
		is_off = f->when != 0 &&
		    *((const bool *)base + f->when) != f->when_is;
		if (f->kind == FIELD_ABSENT ||
		    (is_off && !(f->flags & FIELD_NULLABLE)))
			continue;
		print_key(p, str_of(f->key), is_first);
		if (is_off)
			buf_add(p->out, STR("null"));
		else
			print_value(p, f, base);
	}
}

void
print_section(struct buf *b, const struct section *s, const void *base,
    bool with_secrets)
{
	struct printer p = {.out = b, .with_secrets = with_secrets};

	print_object(&p, s, base);
	buf_add_byte(b, '\n');
}

void
config_print(const struct config *cfg, struct buf *out)
{
	print_section(out, &config_section, cfg, false);
}
