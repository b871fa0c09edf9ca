/* SPDX-License-Identifier: MIT */
/*
 * The table as Markdown, for the README.
 *
 * Owns nothing.
 *
 * Here: layout.  Not here: the keys (table*.c).
 * Context: any process.  Reading order: field.h -> [reference.c].
 */
#include "config/config.h"
#include "config/field.h"

/* A cell's text: what would end the cell is escaped. */
static void
reference_cell(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '|')
			buf_add_byte(out, '\\');
		buf_add_byte(out, s.p[i]);
	}
}

static void
reference_wants(struct buf *out, const struct field *f)
{
	struct buf wants;

	buf_init(&wants, 0);
	field_add_wants(&wants, f);
	reference_cell(out, buf_str(&wants));
	buf_done(&wants);
}

static void
reference_default(struct buf *out, const struct field *f)
{
	if (f->flags & FIELD_REQUIRED)
		buf_add(out, STR("required"));
	else if (f->def != NULL)
		buf_printf(out, "`%s`", f->def);
}

static void
reference_fields(struct buf *out, const struct field *f)
{
	bool is_first = true;

	for (; f->key != NULL; f++) {
		if (f->kind == FIELD_ABSENT)
			continue;
		if (is_first)
			buf_add(out, STR("\n"
			    "| key | takes | default | meaning |\n"
			    "| --- | --- | --- | --- |\n"));
		is_first = false;
		buf_printf(out, "| `%s` | ", f->key);
		reference_wants(out, f);
		buf_add(out, STR(" | "));
		reference_default(out, f);
		buf_add(out, STR(" | "));
		reference_cell(out, str_of(f->help));
		buf_add(out, STR(" |\n"));
	}
}

static void
reference_section(struct buf *out, const struct section *s)
{
	const struct variant *v = s->variants;
	const struct field *selector = section_selector(s);

	buf_printf(out, "\n#### %s\n\n%s\n",
	    s->name[0] != '\0' ? s->name : "Top level", s->help);
	reference_fields(out, s->fields);
	for (; v != NULL && v->name != NULL; v++) {
		buf_printf(out, "\n**`\"%s\": \"%s\"`** %s\n", selector->key,
		    v->name, v->section->help);
		reference_fields(out, v->section->fields);
	}
}

void
config_print_reference(struct buf *out)
{
	const struct field *f;

	reference_section(out, &config_section);
	for (f = config_section.fields; f->key != NULL; f++)
		if (f->section != NULL)
			reference_section(out, f->section);
}
