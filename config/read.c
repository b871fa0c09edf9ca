/* SPDX-License-Identifier: MIT */
/*
 * From the tree of a file to struct config, led by the table.
 *
 * Owns nothing; what it makes lives in the reader's arena.  A struct is filled
 * with defaults first, then with what the file says, so that a wrong value
 * leaves a sensible one and the checks behind it still mean something.
 *
 * Here: objects, lists of objects, unknown and missing keys.
 * Not here: single values (value.c), the keys (table*.c).
 * Context: one thread.  Reading order: config.c -> [read.c] -> value.c.
 */
#include "config/field.h"
#include "config/suggest.h"
#include "config/syntax.h"

static bool
names_have(const char *const *names, struct str word)
{
	for (; names != NULL && *names != NULL; names++)
		if (str_eq(str_of(*names), word))
			return true;
	return false;
}

/* A name that isn't one of a selector's: of a later build, or mistyped. */
static void
read_unknown_variant(struct reader *r, const struct section *s,
    const struct field *f, struct node *n)
{
	struct suggest near = {.word = n->text};
	const struct variant *v;
	struct buf b;

	if (names_have(s->later, n->text)) {
		node_report(n, r->report, "\"%.*s\" is not part of this build",
		    STR_FMT(n->text));
		return;
	}
	buf_init(&b, 0);
	field_add_wants(&b, f);
	for (v = s->variants; v->name != NULL; v++)
		if (v->dotted == 0)
			suggest_try(&near, v->name);
	if (near.best != NULL)
		buf_printf(&b, "; did you mean \"%s\"?", near.best);
	node_report(n, r->report, "must be %s", buf_failed(&b) ? "" : b.p);
	buf_done(&b);
}

static bool
variant_is_named(const struct variant *v, struct str name)
{
	if (v->dotted != 0)
		return syntax_module_member(name) == NULL;
	return str_eq(str_of(v->name), name);
}

/* Sets the selector.  Returns the variant, or NULL: a plain section, or a name
 * that isn't known, which has been told. */
static const struct variant *
read_variant(struct reader *r, const struct section *s, const struct node *n,
    void *base)
{
	const struct field *f = section_selector(s);
	struct node *value;
	size_t i;

	if (f == NULL || (value = node_find(n, f->key)) == NULL ||
	    value->is_bad)
		return NULL;
	if (value->kind != NODE_STRING) {
		node_report(value, r->report, "must be a name in quotes, not "
		    "%s", node_kind_name(value));
		return NULL;
	}
	for (i = 0; s->variants[i].name != NULL; i++) {
		if (!variant_is_named(&s->variants[i], value->text))
			continue;
		field_set_number(f, base, (int64_t)i);
		if (s->variants[i].dotted != 0)
			memcpy((char *)base + s->variants[i].dotted,
			    &value->text, sizeof(value->text));
		return &s->variants[i];
	}
	read_unknown_variant(r, s, f, value);
	return NULL;
}

static void
read_unknown_key(struct reader *r, const struct section *s,
    const struct variant *v, struct node *n)
{
	struct suggest near = {.word = n->key};
	const struct field *f;

	for (f = s->fields; f->key != NULL; f++)
		suggest_try(&near, f->key);
	for (f = v != NULL ? v->section->fields : f; f->key != NULL; f++)
		suggest_try(&near, f->key);
	if (near.best != NULL)
		node_report_key(n, r->report, "there is no such key; did you "
		    "mean \"%s\"?", near.best);
	else
		node_report_key(n, r->report, "there is no such key%s%s%s",
		    v != NULL ? " for \"" : "", v != NULL ? v->name : "",
		    v != NULL ? "\"" : "");
}

/* Whether any variant of the section has the key. */
static bool
variants_have(const struct variant *v, struct str key)
{
	for (; v->name != NULL; v++)
		if (section_find(v->section, NULL, key) != NULL)
			return true;
	return false;
}

/* The same where the variant isn't known: only a key that is a slip of one that
 * every variant has.  "handlr" is told, "roots" may be right. */
static void
read_doubtful_key(struct reader *r, const struct section *s, struct node *n)
{
	struct suggest near = {.word = n->key};
	const struct field *f;

	if (variants_have(s->variants, n->key))
		return;
	for (f = s->fields; f->key != NULL; f++)
		suggest_try(&near, f->key);
	if (near.best != NULL)
		read_unknown_key(r, s, NULL, n);
}

static void
read_missing(struct reader *r, const struct field *f, struct node *n)
{
	struct buf wants;

	for (; f->key != NULL; f++) {
		if (!(f->flags & FIELD_REQUIRED) ||
		    node_find(n, f->key) != NULL)
			continue;
		buf_init(&wants, 0);
		field_add_wants(&wants, f);
		node_report(n, r->report, "\"%s\" is missing: write %s",
		    f->key, buf_failed(&wants) ? "it" : wants.p);
		buf_done(&wants);
	}
}

static void
read_wrong_kind(struct reader *r, const struct field *f, struct node *n)
{
	struct buf wants;

	buf_init(&wants, 0);
	field_add_wants(&wants, f);
	node_report(n, r->report, "must be %s, not %s",
	    buf_failed(&wants) ? "different" : wants.p, node_kind_name(n));
	buf_done(&wants);
}

/* Every struct that has its own memory starts with its place in the file. */
static void *
read_alloc(struct reader *r, const struct section *s, const struct node *n,
    size_t count)
{
	char *items = arena_zalloc(r->arena, s->bytes * count);
	const struct node *child = n;
	size_t i;

	if (items == NULL) {
		r->report->out_of_memory = true;
		return NULL;
	}
	for (i = 0; i < count; i++, child = child->next)
		memcpy(items + i * s->bytes, &child->pos, sizeof(child->pos));
	return items;
}

static void
read_pointer(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	void *item = NULL;

	if (n->kind != NODE_NULL) {
		item = read_alloc(r, f->section, n, 1);
		if (item == NULL)
			return;
		read_section(r, f->section, n, item);
	}
	memcpy((char *)base + f->offset, &item, sizeof(item));
}

static size_t
node_count(const struct node *n)
{
	const struct node *child;
	size_t count = 0;

	for (child = n->child; child != NULL; child = child->next)
		count++;
	return count;
}

static void
read_list(struct reader *r, const struct field *f, struct node *n, void *base)
{
	char *at = (char *)base + f->offset, *items;
	size_t count = node_count(n);
	struct node *child;

	if (n->kind != NODE_LIST) {
		read_wrong_kind(r, f, n);
		return;
	}
	if (count < (size_t)f->min || count > (size_t)f->max) {
		node_report(n, r->report, "must have %lld to %lld entries, "
		    "not %zu", (long long)f->min, (long long)f->max, count);
		return;
	}
	items = read_alloc(r, f->section, n->child, count);
	if (items == NULL)
		return;
	for (child = n->child; child != NULL; child = child->next)
		read_section(r, f->section, child,
		    items + child->index * f->section->bytes);
	memcpy(at, &items, sizeof(items));
	memcpy(at + sizeof(items), &count, sizeof(count));
}

static void
read_dict(struct reader *r, const struct field *f, struct node *n, void *base)
{
	const struct section *s = f->section;
	char *at = (char *)base + f->offset, *items, *item;
	size_t count = node_count(n);
	struct node *child;

	if (n->kind != NODE_OBJECT) {
		read_wrong_kind(r, f, n);
		return;
	}
	if (count > (size_t)f->max) {
		node_report(n, r->report, "must have at most %lld entries, "
		    "not %zu", (long long)f->max, count);
		return;
	}
	item = items = read_alloc(r, s, n->child, count);
	if (items == NULL)
		return;
	for (child = n->child; child != NULL; child = child->next) {
		if (!child->is_bad && read_key(r, f, child))
			read_section(r, s, child, item);
		memcpy(item + s->name_at, &child->key, sizeof(child->key));
		item += s->bytes;
	}
	memcpy(at, &items, sizeof(items));
	memcpy(at + sizeof(items), &count, sizeof(count));
}

static void
read_absent(struct reader *r, const struct field *f, struct node *n)
{
	if (n->kind == NODE_NULL || (n->child == NULL &&
	    (n->kind == NODE_LIST || n->kind == NODE_OBJECT)))
		return;
	node_report(n, r->report, "%s: take the key out or leave it empty",
	    f->help);
}

static void
read_field(struct reader *r, const struct field *f, struct node *n, void *base)
{
	switch (f->kind) {
	case FIELD_SECTION:
		if (n->kind == NODE_OBJECT)
			read_section(r, f->section, n, base);
		else if (n->kind != NODE_NULL || !(f->flags & FIELD_NULLABLE))
			read_wrong_kind(r, f, n);
		return;
	case FIELD_POINTER:
		if (n->kind == NODE_OBJECT || (n->kind == NODE_NULL &&
		    (f->flags & FIELD_NULLABLE)))
			read_pointer(r, f, n, base);
		else
			read_wrong_kind(r, f, n);
		return;
	case FIELD_LIST:
		read_list(r, f, n, base);
		return;
	case FIELD_DICT:
		read_dict(r, f, n, base);
		return;
	case FIELD_ABSENT:
		read_absent(r, f, n);
		return;
	case FIELD_SELECTOR:
		return;		/* read_variant() has done it */
	default:
		read_value(r, f, n, base);
	}
}

/* What a default says stands nowhere in the file. */
static void
node_forget_places(struct node *n)
{
	for (; n != NULL; n = n->next) {
		n->pos = n->key_pos = (struct config_pos){0, 0};
		node_forget_places(n->child);
	}
}

/* A default is read by the code that reads a file. */
static void
read_default(struct reader *r, const struct field *f, void *base)
{
	struct node *n = node_read(r->arena, str_of(f->def), r->report);

	if (n == NULL)
		return;
	node_forget_places(n);
	read_field(r, f, n, base);
}

static void
read_defaults(struct reader *r, const struct field *f, void *base)
{
	for (; f->key != NULL; f++) {
		if (f->kind == FIELD_SECTION)
			read_defaults(r, f->section->fields, base);
		else if (f->def != NULL)
			read_default(r, f, base);
	}
}

static void
read_member(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	read_field(r, f, n, base);
	if (f->when != 0 && (n->kind != NODE_NULL || f->kind == FIELD_JSON))
		*((bool *)base + f->when) = f->when_is;
}

/* The keys that have no row, as an object of their own, which knows the same
 * places. */
static void
read_rest(struct reader *r, const struct section *s, const struct section *own,
    const struct node *n, void *base)
{
	struct node *rest, *copy, **last;
	const struct node *child;

	rest = arena_zalloc(r->arena, sizeof(*rest));
	if (rest == NULL) {
		r->report->out_of_memory = true;
		return;
	}
	*rest = *n;
	last = &rest->child;
	for (child = n->child; child != NULL; child = child->next) {
		if (section_find(s, NULL, child->key) != NULL ||
		    section_find(own, NULL, child->key) != NULL)
			continue;
		copy = arena_zalloc(r->arena, sizeof(*copy));
		if (copy == NULL) {
			r->report->out_of_memory = true;
			return;
		}
		*copy = *child;
		*last = copy;
		last = &copy->next;
	}
	*last = NULL;
	memcpy((char *)base + own->rest->offset, &rest, sizeof(rest));
}

/* One key of the file: v is NULL where the variant isn't known. */
static void
read_child(struct reader *r, const struct section *s, const struct variant *v,
    struct node *child, void *base)
{
	const struct field *f = section_find(s, v, child->key);

	if (child->is_bad)
		return;
	if (f != NULL)
		read_member(r, f, child, base);
	else if (v != NULL && v->section->rest != NULL)
		return; /* read_rest() */
	else if (v != NULL || s->variants == NULL)
		read_unknown_key(r, s, v, child);
	else
		read_doubtful_key(r, s, child);
}

void
read_section(struct reader *r, const struct section *s, struct node *n,
    void *base)
{
	struct section_scope scope = {r->report, n, base};
	const struct variant *v;
	struct node *child;

	if (n->kind != NODE_OBJECT) {
		node_report(n, r->report, "must be an object, not %s",
		    node_kind_name(n));
		return;
	}
	v = read_variant(r, s, n, base);
	read_defaults(r, s->fields, base);
	if (v != NULL)
		read_defaults(r, v->section->fields, base);
	for (child = n->child; child != NULL; child = child->next)
		read_child(r, s, v, child, base);
	if (v != NULL && v->section->rest != NULL)
		read_rest(r, s, v->section, n, base);
	read_missing(r, s->fields, n);
	if (v != NULL)
		read_missing(r, v->section->fields, n);
	if (s->check != NULL)
		s->check(&scope);
	if (v != NULL && v->section->check != NULL)
		v->section->check(&scope);
}

bool
scope_is_good(const struct section_scope *scope, const char *key)
{
	const struct node *n = node_find(scope->node, key);

	return n == NULL || !n->is_bad;
}

void
scope_report(const struct section_scope *scope, const char *key,
    const char *fmt, ...)
{
	struct node *n = node_find(scope->node, key);
	struct buf text;
	va_list ap;

	buf_init(&text, 0);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (buf_failed(&text))
		scope->report->out_of_memory = true;
	else if (n != NULL)
		node_report(n, scope->report, "%s", text.p);
	else
		node_report(scope->node, scope->report,
		    "\"%s\" %s", key, text.p);
	buf_done(&text);
}
