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
static void print_node(struct printer *p, const struct node *n);

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
print_map(struct printer *p, const struct field *f,
    const struct config_fields *map)
{
	size_t i;

	print_open(p, '{');
	for (i = 0; i < map->count; i++) {
		if (i > 0)
			buf_add_byte(p->out, ',');
		print_line(p);
		print_string(p, map->item[i].name);
		buf_add(p->out, STR(": "));
		if (f->flags & FIELD_SECRET && !p->with_secrets)
			buf_add(p->out, STR("\"***\""));
		else
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

/* What has no rows says nothing of secrets: what came from the environment may
 * be one. */
static void
print_node_text(struct printer *p, const struct node *n)
{
	if (n->has_variable && !p->with_secrets)
		buf_add(p->out, STR("\"***\""));
	else
		print_string(p, n->text);
}

static void
print_nodes(struct printer *p, const struct node *list)
{
	const struct node *child;

	buf_add_byte(p->out, '[');
	for (child = list->child; child != NULL; child = child->next) {
		if (child != list->child)
			buf_add(p->out, STR(", "));
		print_node(p, child);
	}
	buf_add_byte(p->out, ']');
}

static void
print_members(struct printer *p, const struct node *object, bool *is_first)
{
	const struct node *child;
	struct buf key;

	for (child = object->child; child != NULL; child = child->next) {
		buf_init(&key, 0);
		expand_escape(child->key, &key);
		print_key(p, buf_str(&key), is_first);
		if (buf_failed(&key))
			p->out->failed = true;
		buf_done(&key);
		print_node(p, child);
	}
}

static void
print_node(struct printer *p, const struct node *n)
{
	bool is_first = true;

	switch (n->kind) {
	case NODE_NULL:
		buf_add(p->out, STR("null"));
		return;
	case NODE_BOOL:
		buf_add(p->out, n->is_true ? STR("true") : STR("false"));
		return;
	case NODE_NUMBER:
		buf_add(p->out, n->text);
		return;
	case NODE_STRING:
		print_node_text(p, n);
		return;
	case NODE_LIST:
		print_nodes(p, n);
		return;
	case NODE_OBJECT:
		print_open(p, '{');
		print_members(p, n, &is_first);
		print_close(p, '}', is_first);
		return;
	}
}

static const struct node *
get_node(const struct field *f, const void *base)
{
	const struct node *n;

	memcpy(&n, (const char *)base + f->offset, sizeof(n));
	return n;
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
	if (v != NULL && v->section->rest != NULL &&
	    get_node(v->section->rest, base) != NULL)
		print_members(p, get_node(v->section->rest, base), &is_first);
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
print_dict(struct printer *p, const struct field *f, const char *at)
{
	const struct section *s = f->section;
	const char *item;
	struct str name;
	size_t i, count;
	bool is_first = true;

	memcpy(&item, at, sizeof(item));
	memcpy(&count, at + sizeof(item), sizeof(count));
	print_open(p, '{');
	for (i = 0; i < count; i++, item += s->bytes) {
		memcpy(&name, item + s->name_at, sizeof(name));
		print_key(p, name, &is_first);
		print_object(p, s, item);
	}
	print_close(p, '}', is_first);
}

/* The value of a parameter whose name ends in "password"; an empty slice at the
 * end of the query for none. */
static struct str
query_find_password(struct str query)
{
	static const struct str key = STR_INIT("password=");
	size_t i, at;

	for (i = 0; i + key.len <= query.len; i++) {
		if (!str_eq_nocase(str_from(query.p + i, key.len), key))
			continue;
		at = i + key.len;
		return str_from(query.p + at,
		    str_find(str_from(query.p + at, query.len - at), '&'));
	}
	return str_from(query.p + query.len, 0);
}

/* What is left of the text behind a part of it. */
static struct str
str_behind(struct str text, struct str part)
{
	const char *end = part.p + part.len;

	return str_from(end, (size_t)(text.p + text.len - end));
}

/* "USER:PASSWORD" of "scheme://USER:PASSWORD@HOST/..."; empty for none. */
static struct str
url_find_user(struct str url)
{
	const char *start = memmem(url.p, url.len, "://", 3);
	struct str rest;
	size_t i;

	if (start == NULL)
		return str_from(url.p + url.len, 0);
	rest = str_behind(url, str_from(start, 3));
	rest.len = str_find(rest, '?');
	/* The last "@": a password that should be encoded, and isn't, must not
	 * show. */
	for (i = rest.len; i > 0; i--)
		if (rest.p[i - 1] == '@')
			return str_from(rest.p, i - 1);
	return str_from(url.p + url.len, 0);
}

void
config_add_url(struct buf *out, struct str url)
{
	struct str user = url_find_user(url), password;
	size_t colon = str_find(user, ':'), start;

	if (colon < user.len) {
		buf_add(
		    out, str_from(url.p, (size_t)(user.p - url.p) + colon + 1));
		buf_add(out, STR("***"));
		url = str_behind(url, user);
	}
	start = str_find(url, '?');
	buf_add(out, str_from(url.p, start));
	url = str_from(url.p + start, url.len - start);
	do {
		password = query_find_password(url);
		buf_add(out, str_from(url.p, (size_t)(password.p - url.p)));
		if (password.len > 0)
			buf_add(out, STR("***"));
		url = str_behind(url, password);
	} while (url.len > 0);
}

static void
print_url(struct printer *p, struct str url)
{
	struct buf b;

	buf_init(&b, 0);
	if (p->with_secrets)
		buf_add(&b, url);
	else
		config_add_url(&b, url);
	if (buf_failed(&b))
		p->out->failed = true;
	else
		print_string(p, buf_str(&b));
	buf_done(&b);
}

static void
print_text(struct printer *p, const struct field *f, struct str s)
{
	if (f->flags & FIELD_NULLABLE && s.len == 0)
		buf_add(p->out, STR("null"));
	else if (f->kind == FIELD_DATABASE)
		print_url(p, s);
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
print_selector(struct printer *p, const struct variant *v, const void *base)
{
	struct str name = str_of(v->name);

	if (v->dotted != 0)
		memcpy(&name, (const char *)base + v->dotted, sizeof(name));
	buf_add_json(p->out, name);
}

static void
print_node_or_null(struct printer *p, const struct node *n)
{
	if (n == NULL)
		buf_add(p->out, STR("null"));
	else
		print_node(p, n);
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
		struct config_library library;	/* its path is `text` */
	} u = {.library = {{NULL, 0}, {0, 0}}};

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
	case FIELD_LIBRARY:
	case FIELD_DATABASE:
	case FIELD_JSON:
		print_text(p, f, u.text);
		return;
	case FIELD_ENUM:
		buf_printf(p->out, "\"%s\"",
		    f->names[field_get_number(f, base)]);
		return;
	case FIELD_SELECTOR:
		print_selector(
		    p, &f->variants[field_get_number(f, base)], base);
		return;
	case FIELD_METHODS:
		print_methods(p, u.methods);
		return;
	case FIELD_STRINGS:
		print_strings(p, &u.strings);
		return;
	case FIELD_MAP:
		print_map(p, f, &u.map);
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
	case FIELD_DICT:
		print_dict(p, f, at);
		return;
	case FIELD_NODE:
		print_node_or_null(p, get_node(f, base));
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
