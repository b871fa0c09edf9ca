/* SPDX-License-Identifier: MIT */
/*
 * From one value of a file to one member of a struct: a function per kind.
 *
 * Owns nothing; texts are lent by the reader's arena, NUL behind them.
 *
 * Here: types, units, ranges, the check of a single text, {"file": ...}.
 * Not here: objects of keys (read.c), what two keys must agree on (table*.c).
 * Context: one thread.  Reading order: read.c -> [value.c] -> units.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "config/address.h"
#include "config/config.h"
#include "config/field.h"
#include "config/file.h"
#include "config/suggest.h"
#include "config/units.h"

/* "must be a duration like "10s", not a number", and a hint if there is one. */
static __attribute__((format(printf, 4, 5))) void
value_wrong(struct reader *r, const struct field *f, struct node *n,
    const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 0);
	buf_add(&b, STR("must be "));
	field_add_wants(&b, f);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (buf_failed(&b))
		r->report->out_of_memory = true;
	else
		node_report(n, r->report, "%s", b.p);
	buf_done(&b);
}

/* What stands there, for the end of a message: a kind, or the short text. */
static void
value_refuse(struct reader *r, const struct field *f, struct node *n)
{
	struct buf b;

	buf_init(&b, 0);
	if (n->kind == NODE_STRING && n->text.len <= 64)
		buf_add_json(&b, n->text);
	else if (n->kind == NODE_NUMBER && f->kind == FIELD_INT)
		buf_add(&b, n->text);
	else
		buf_add(&b, str_of(node_kind_name(n)));
	value_wrong(r, f, n, ", not %s", buf_failed(&b) ? "this" : b.p);
	buf_done(&b);
}

static void
value_put_str(const struct field *f, void *base, struct str s)
{
	memcpy((char *)base + f->offset, &s, sizeof(s));
}

static struct str
value_copy(struct reader *r, struct str s)
{
	struct str copy = arena_copy(r->arena, s);

	if (copy.p == NULL)
		r->report->out_of_memory = true;
	return copy;
}

/* Booleans and numbers --------------------------------------------------- */

static void
read_bool(struct reader *r, const struct field *f, struct node *n, void *base)
{
	bool value = n->is_true;

	/* "${DEBUG:-false}" can only be a string. */
	if (n->kind == NODE_STRING && n->has_variable &&
	    (str_eq(n->text, STR("true")) || str_eq(n->text, STR("false"))))
		value = n->text.p[0] == 't';
	else if (n->kind != NODE_BOOL) {
		value_refuse(r, f, n);
		return;
	}
	memcpy((char *)base + f->offset, &value, sizeof(value));
}

static void
read_out_of_range(struct reader *r, const struct field *f, struct node *n)
{
	struct buf b;

	buf_init(&b, 0);
	field_add_number(&b, f, f->min);
	buf_add(&b, STR(" to "));
	field_add_number(&b, f, f->max);
	if (buf_failed(&b))
		r->report->out_of_memory = true;
	else
		node_report(n, r->report, n->kind == NODE_STRING &&
		    !n->has_variable ? "must be from %s, not \"%s\"" :
		    "must be from %s, not %s", b.p, n->text.p);
	buf_done(&b);
}

static bool
is_whole_number(struct str s)
{
	size_t i = s.len > 1 && s.p[0] == '-' ? 1 : 0;

	for (; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.len > 0 && s.p[s.len - 1] != '-';
}

/* Digits as a number that may lie beyond every range; a NUL is behind them. */
static int64_t
number_parse(struct str s)
{
	errno = 0;
	return strtoll(s.p, NULL, 10);
}

/* Returns 0, or -1 when the value is of another kind. */
static int
read_number(const struct field *f, const struct node *n, int64_t *ret_value)
{
	int64_t ms;

	switch (f->kind) {
	case FIELD_SIZE:
		if (n->kind == NODE_STRING &&
		    units_parse_size(n->text, ret_value) == 0)
			return 0;
		break;
	case FIELD_DURATION:
		return n->kind == NODE_STRING ?
		    units_parse_duration(n->text, ret_value) : -1;
	case FIELD_SECONDS:
		if (n->kind != NODE_STRING ||
		    units_parse_duration(n->text, &ms) == -1)
			return -1;
		*ret_value = ms / SECOND_MS;
		return 0;
	default:
		break;
	}
	if (n->kind != NODE_NUMBER && !n->has_variable)
		return -1;
	if (!is_whole_number(n->text))
		return -1;
	*ret_value = number_parse(n->text);
	return 0;
}

static bool
numbers_have(const int *numbers, int64_t value)
{
	for (; *numbers != 0; numbers++)
		if (*numbers == value)
			return true;
	return false;
}

/* Whether a duration for whole seconds has a rest. */
static bool
has_fraction(const struct field *f, const struct node *n)
{
	int64_t ms;

	return f->kind == FIELD_SECONDS && n->kind == NODE_STRING &&
	    units_parse_duration(n->text, &ms) == 0 && ms % SECOND_MS != 0;
}

static void
read_any_number(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	int64_t value;

	if ((f->flags & FIELD_NULLABLE && n->kind == NODE_NULL) ||
	    (f->flags & FIELD_AUTO && n->kind == NODE_STRING &&
	    str_eq(n->text, STR("auto")))) {
		field_set_number(f, base, CONFIG_AUTO);
		return;
	}
	if (has_fraction(f, n))
		node_report(n, r->report, "must be whole seconds, not \"%s\"",
		    n->text.p);
	else if (read_number(f, n, &value) == -1)
		value_refuse(r, f, n);
	else if (f->numbers != NULL && !numbers_have(f->numbers, value))
		value_refuse(r, f, n);
	else if (f->numbers == NULL && (value < f->min || value > f->max))
		read_out_of_range(r, f, n);
	else
		field_set_number(f, base, value);
}

/* Texts ------------------------------------------------------------------- */

/* Returns whether the text, a node's value or key, is what the table wants;
 * told when it isn't. */
static bool
text_is_good(struct reader *r, struct node *n, field_check_fn check,
    struct str text)
{
	const char *wanted = check != NULL ? check(text) : NULL;
	struct buf b;

	if (wanted == NULL)
		return true;
	buf_init(&b, 0);
	buf_add_json(&b, str_from(text.p, text.len < 64 ? text.len : 64));
	(text.p == n->key.p ? node_report_key : node_report)(n, r->report,
	    "must be %s, not %s", wanted, buf_failed(&b) ? "this" : b.p);
	buf_done(&b);
	return false;
}

bool
read_key(struct reader *r, const struct field *f, struct node *n)
{
	return text_is_good(r, n, f->check_key, n->key);
}

/* The same for the text of a row; what is wrong with a secret isn't shown. */
static bool
field_text_is_good(struct reader *r, const struct field *f, struct node *n,
    struct str text)
{
	const char *wanted;

	if (!(f->flags & FIELD_SECRET))
		return text_is_good(r, n, f->check, text);
	wanted = f->check != NULL ? f->check(text) : NULL;
	if (wanted != NULL)
		node_report(n, r->report, "must be %s", wanted);
	return wanted == NULL;
}

/* {"file": "path"}: its content stands for the string; a secret ends before its
 * last line's end.  Returns whether there is a text. */
static bool
read_from_file(struct reader *r, const struct field *f, struct node *n,
    struct str *ret_text)
{
	struct node *file = node_find(n, "file");
	struct error err;
	struct str text;

	if (file == NULL || file->kind != NODE_STRING || n->child != file ||
	    file->next != NULL) {
		value_refuse(r, f, n);
		return false;
	}
	if (file->is_bad)
		return false;
	text = file_resolve(r->arena, r->folder, file->text);
	if (text.p == NULL) {
		r->report->out_of_memory = true;
		return false;
	}
	if (file_read_text(r->arena, text.p, &text, &err) == -1) {
		node_report(file, r->report, "%s", err.text);
		return false;
	}
	if (f->flags & FIELD_SECRET && str_has_suffix(text, STR("\n")))
		text = value_copy(r, str_from(text.p, text.len - 1));
	*ret_text = text;
	return text.p != NULL && field_text_is_good(r, f, file, text);
}

/* A text that is right, from the file or from what it names. */
static bool
read_text(struct reader *r, const struct field *f, struct node *n,
    struct str *ret_text)
{
	if (f->flags & FIELD_FROM_FILE && n->kind == NODE_OBJECT)
		return read_from_file(r, f, n, ret_text);
	if (n->kind != NODE_STRING) {
		value_refuse(r, f, n);
		return false;
	}
	*ret_text = n->text;
	return field_text_is_good(r, f, n, n->text);
}

static void
read_string(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	struct str text = STR("");

	if ((f->flags & FIELD_NULLABLE && n->kind == NODE_NULL) ||
	    read_text(r, f, n, &text))
		value_put_str(f, base, text);
}

/* The path of "sqlite:run/main.db" starts at the file's folder. */
static void
read_database(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	const struct str sqlite = STR("sqlite:");
	struct str text;

	if (!read_text(r, f, n, &text))
		return;
	if (str_has_prefix(text, sqlite) &&
	    !str_eq(text, STR("sqlite::memory:"))) {
		text = file_resolve(r->arena, r->folder, str_from(
		    text.p + sqlite.len, text.len - sqlite.len));
		text = arena_printf(r->arena, "sqlite:%s",
		    text.p != NULL ? text.p : "");
	}
	if (text.p == NULL)
		r->report->out_of_memory = true;
	else
		value_put_str(f, base, text);
}

static void
read_path(struct reader *r, const struct field *f, struct node *n, void *base)
{
	struct str path;

	if (f->flags & FIELD_NULLABLE && n->kind == NODE_NULL) {
		value_put_str(f, base, STR(""));
		return;
	}
	if (n->kind != NODE_STRING || n->text.len == 0) {
		value_refuse(r, f, n);
		return;
	}
	if (f->kind == FIELD_OUTPUT && (str_eq(n->text, STR("stderr")) ||
	    str_eq(n->text, STR("stdout")))) {
		value_put_str(f, base, n->text);
		return;
	}
	path = file_resolve(r->arena, r->folder, n->text);
	if (path.p == NULL)
		r->report->out_of_memory = true;
	else
		value_put_str(f, base, path);
}

/* A bare name is looked for where modules are installed. */
static void
read_library(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	struct config_library *library =
	    (void *)((char *)base + f->offset);

	library->pos = n->pos;
	if (n->kind == NODE_STRING && n->text.len > 0 &&
	    str_find(n->text, '/') == n->text.len)
		library->path = n->text;
	else
		read_path(r, f, n, base);
}

static void
read_address(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	const struct str prefix = STR("unix:");
	struct str text = n->text;
	struct address address;
	struct error err;

	if (n->kind != NODE_STRING) {
		value_refuse(r, f, n);
		return;
	}
	if (str_has_prefix(text, prefix) && text.len > prefix.len) {
		text = file_resolve(r->arena, r->folder, str_from(
		    text.p + prefix.len, text.len - prefix.len));
		text = arena_printf(r->arena, "unix:%s",
		    text.p != NULL ? text.p : "");
		if (text.p == NULL) {
			r->report->out_of_memory = true;
			return;
		}
	}
	if (address_parse(text, &address, &err) == -1)
		value_wrong(r, f, n, ": %s", err.text);
	else
		value_put_str(f, base, text);
}

static void
read_enum(struct reader *r, const struct field *f, struct node *n, void *base)
{
	struct suggest near = {.word = n->text};
	size_t i;

	if (n->kind != NODE_STRING) {
		value_refuse(r, f, n);
		return;
	}
	for (i = 0; f->names[i] != NULL; i++) {
		if (str_eq(str_of(f->names[i]), n->text)) {
			field_set_number(f, base, (int64_t)i);
			return;
		}
		suggest_try(&near, f->names[i]);
	}
	if (near.best != NULL)
		value_wrong(r, f, n, "; did you mean \"%s\"?", near.best);
	else
		value_refuse(r, f, n);
}

/* Lists and maps ---------------------------------------------------------- */

static size_t
count_children(const struct node *n)
{
	const struct node *child;
	size_t count = 0;

	for (child = n->child; child != NULL; child = child->next)
		count++;
	return count;
}

/* An entry of a list or map that must be a string. */
static bool
entry_is_good(struct reader *r, struct node *n, field_check_fn check)
{
	if (n->is_bad)
		return false;
	if (n->kind != NODE_STRING) {
		node_report(n, r->report, "must be a string, not %s",
		    node_kind_name(n));
		return false;
	}
	return text_is_good(r, n, check, n->text);
}

static void
read_strings(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	struct config_strings list = {.count = 0};
	struct node *child;

	if (n->kind != NODE_LIST) {
		value_refuse(r, f, n);
		return;
	}
	list.item = arena_zalloc(r->arena,
	    count_children(n) * sizeof(*list.item));
	if (list.item == NULL) {
		r->report->out_of_memory = true;
		return;
	}
	for (child = n->child; child != NULL; child = child->next)
		if (entry_is_good(r, child, f->check))
			list.item[list.count++] = child->text;
	memcpy((char *)base + f->offset, &list, sizeof(list));
}

static void
read_map(struct reader *r, const struct field *f, struct node *n, void *base)
{
	struct config_fields map = {.count = 0};
	struct node *child;

	if (n->kind != NODE_OBJECT) {
		value_refuse(r, f, n);
		return;
	}
	map.item = arena_zalloc(r->arena,
	    count_children(n) * sizeof(*map.item));
	if (map.item == NULL) {
		r->report->out_of_memory = true;
		return;
	}
	for (child = n->child; child != NULL; child = child->next)
		if (entry_is_good(r, child, f->check) &&
		    text_is_good(r, child, f->check_key, child->key))
			map.item[map.count++] = (struct config_field){
			    child->key, child->text};
	memcpy((char *)base + f->offset, &map, sizeof(map));
}

static void
read_method(struct reader *r, struct node *n, unsigned *methods)
{
	struct suggest near = {.word = n->text};
	unsigned m;

	if (!entry_is_good(r, n, NULL))
		return;
	for (m = 0; m < METHOD_COUNT; m++) {
		if (str_eq(str_of(config_method_name(m)), n->text)) {
			*methods |= METHOD_BIT(m);
			return;
		}
		suggest_try(&near, config_method_name(m));
	}
	if (near.best != NULL)
		node_report(n, r->report, "there is no such method; did you "
		    "mean \"%s\"?", near.best);
	else
		node_report(n, r->report, "must be one of GET, HEAD, POST, "
		    "PUT, DELETE, PATCH and OPTIONS");
}

static void
read_methods(struct reader *r, const struct field *f, struct node *n,
    void *base)
{
	unsigned methods = 0;
	struct node *child;

	if (n->kind != NODE_LIST && (n->kind != NODE_NULL ||
	    !(f->flags & FIELD_NULLABLE))) {
		value_refuse(r, f, n);
		return;
	}
	if (n->kind == NODE_LIST && n->child == NULL)
		node_report(n, r->report, "must name a method; take the key "
		    "out to allow what the handler knows");
	for (child = n->child; child != NULL; child = child->next)
		read_method(r, child, &methods);
	memcpy((char *)base + f->offset, &methods, sizeof(methods));
}

static void
read_json(struct reader *r, const struct field *f, struct node *n, void *base)
{
	struct buf b;
	struct str text;

	buf_init(&b, 0);
	node_add_json(&b, n);
	text = buf_failed(&b) ? (struct str){NULL, 0} :
	    value_copy(r, buf_str(&b));
	buf_done(&b);
	if (text.p == NULL)
		r->report->out_of_memory = true;
	else
		value_put_str(f, base, text);
}

static void
read_node(struct reader *r, const struct field *f, struct node *n, void *base)
{
	const struct node *kept = n;

	if (n->kind == NODE_NULL && f->flags & FIELD_NULLABLE) {
		kept = NULL;
	} else if (n->kind != NODE_OBJECT) {
		value_refuse(r, f, n);
		return;
	}
	memcpy((char *)base + f->offset, &kept, sizeof(kept));
}

typedef void (*read_fn)(struct reader *, const struct field *, struct node *,
    void *);

void
read_value(struct reader *r, const struct field *f, struct node *n, void *base)
{
	static const read_fn readers[FIELD_KIND_COUNT] = {
		[FIELD_BOOL] = read_bool,
		[FIELD_INT] = read_any_number,
		[FIELD_SIZE] = read_any_number,
		[FIELD_DURATION] = read_any_number,
		[FIELD_SECONDS] = read_any_number,
		[FIELD_STRING] = read_string,
		[FIELD_PATH] = read_path,
		[FIELD_OUTPUT] = read_path,
		[FIELD_ADDRESS] = read_address,
		[FIELD_ENUM] = read_enum,
		[FIELD_METHODS] = read_methods,
		[FIELD_STRINGS] = read_strings,
		[FIELD_MAP] = read_map,
		[FIELD_LIBRARY] = read_library,
		[FIELD_DATABASE] = read_database,
		[FIELD_JSON] = read_json,
		[FIELD_NODE] = read_node,
	};

	readers[f->kind](r, f, n, base);
}
