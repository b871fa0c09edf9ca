/* SPDX-License-Identifier: MIT */
/*
 * What can be asked about a row of the table.
 *
 * Owns nothing.
 *
 * Here: look-up, words for what a key takes, numbers of any width.
 * Not here: the rows (table*.c), reading a file (read.c).
 * Context: pure functions.  Reading order: field.h -> [field.c].
 */
#include "config/field.h"

#include <string.h>

#include "config/units.h"

const struct field *
section_selector(const struct section *s)
{
	const struct field *f = s->fields;

	while (f->key != NULL && f->kind != FIELD_SELECTOR)
		f++;
	return f->key != NULL ? f : NULL;
}

const struct variant *
section_variant(const struct section *s, const void *base)
{
	const struct field *f = section_selector(s);

	return f != NULL ? &s->variants[field_get_number(f, base)] : NULL;
}

static const struct field *
fields_find(const struct field *f, struct str key)
{
	for (; f->key != NULL; f++)
		if (str_eq(str_of(f->key), key))
			return f;
	return NULL;
}

const struct field *
section_find(const struct section *s, const struct variant *v, struct str key)
{
	const struct field *f = fields_find(s->fields, key);

	if (f == NULL && v != NULL)
		f = fields_find(v->section->fields, key);
	return f;
}

int64_t
field_get_number(const struct field *f, const void *base)
{
	const char *at = (const char *)base + f->offset;
	int64_t wide;
	int narrow;

	if (f->bytes == sizeof(narrow)) {
		memcpy(&narrow, at, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

void
field_set_number(const struct field *f, void *base, int64_t value)
{
	char *at = (char *)base + f->offset;
	int narrow = (int)value;

	if (f->bytes == sizeof(narrow))
		memcpy(at, &narrow, sizeof(narrow));
	else
		memcpy(at, &value, sizeof(value));
}

void
field_add_number(struct buf *b, const struct field *f, int64_t value)
{
	if (f->kind == FIELD_INT || (f->kind == FIELD_SIZE &&
	    (value == 0 || value % KIB != 0))) {
		buf_printf(b, "%lld", (long long)value);
		return;
	}
	buf_add_byte(b, '"');
	if (f->kind == FIELD_SIZE)
		units_add_size(b, value);
	else
		units_add_duration(b, f->kind == FIELD_SECONDS ?
		    value * SECOND_MS : value);
	buf_add_byte(b, '"');
}

/* Puts what stands between two alternatives of a list of `count`. */
static void
add_between(struct buf *b, size_t i, size_t count)
{
	if (i > 0)
		buf_add(b, i + 1 == count ? STR(" or ") : STR(", "));
}

static void
add_names(struct buf *b, const char *const *names)
{
	size_t i, count = 0;

	while (names[count] != NULL)
		count++;
	for (i = 0; i < count; i++) {
		add_between(b, i, count);
		buf_printf(b, "\"%s\"", names[i]);
	}
}

static void
add_variants(struct buf *b, const struct variant *v)
{
	size_t i, count = 0;

	while (v[count].name != NULL)
		count++;
	for (i = 0; i < count; i++) {
		add_between(b, i, count);
		buf_printf(b, "\"%s\"", v[i].name);
	}
}

static void
add_numbers(struct buf *b, const int *numbers)
{
	size_t i, count = 0;

	while (numbers[count] != 0)
		count++;
	for (i = 0; i < count; i++) {
		add_between(b, i, count);
		buf_printf(b, "%d", numbers[i]);
	}
}

static const char *const kind_wants[FIELD_KIND_COUNT] = {
	[FIELD_BOOL] = "true or false",
	[FIELD_INT] = "a whole number",
	[FIELD_SIZE] = "a size like \"16KiB\", or a number of bytes",
	[FIELD_DURATION] = "a duration like \"10s\"",
	[FIELD_SECONDS] = "a duration like \"10s\"",
	[FIELD_STRING] = "a string",
	[FIELD_PATH] = "a path",
	[FIELD_OUTPUT] = "\"stderr\", \"stdout\" or a path",
	[FIELD_ADDRESS] = "an address like \"127.0.0.1:8080\"",
	[FIELD_LIBRARY] = "a name like \"api.so\", or a path",
	[FIELD_DATABASE] =
	    "\"sqlite:PATH\" or \"postgresql://USER@HOST/NAME\"",
	[FIELD_METHODS] = "a list of methods like [\"GET\", \"POST\"]",
	[FIELD_STRINGS] = "a list of strings",
	[FIELD_MAP] = "an object of strings",
	[FIELD_JSON] = "any JSON value",
	[FIELD_NODE] = "an object",
	[FIELD_SECTION] = "an object",
	[FIELD_POINTER] = "an object",
	[FIELD_LIST] = "a list of objects",
	[FIELD_DICT] = "an object of objects, by name",
	[FIELD_ABSENT] = "empty",
};

void
field_add_wants(struct buf *b, const struct field *f)
{
	if (f->flags & FIELD_AUTO)
		buf_add(b, STR("\"auto\" or "));
	if (f->kind == FIELD_ENUM)
		add_names(b, f->names);
	else if (f->kind == FIELD_SELECTOR)
		add_variants(b, f->variants);
	else if (f->numbers != NULL)
		add_numbers(b, f->numbers);
	else
		buf_add(b, str_of(kind_wants[f->kind]));
	if (f->flags & FIELD_FROM_FILE)
		buf_add(b, STR(", or {\"file\": \"path\"}"));
	if (f->flags & FIELD_NULLABLE)
		buf_add(b, STR(", or null"));
}
