/* SPDX-License-Identifier: MIT */
/*
 * The tree of a configuration's text: cJSON's values joined with the places
 * that the strict pass noted.
 *
 * Owns nothing: nodes live in the caller's arena.  Both sides list the values
 * in the order of the text, so that joining them is walking side by side.
 *
 * Here: joining, variables, duplicate keys, printing a node.
 * Not here: grammar (scan.c), what keys there are (read.c).
 * Context: one thread.  Reading order: config.c -> [node.c] -> scan.c.
 */
#include "config/node.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "config/expand.h"
#include "config/scan.h"

struct join {
	struct arena *arena;
	struct report *report;
	struct node *rest;	/* values not yet joined, in the text's order */
};

static struct str
join_copy(struct join *j, struct str s)
{
	struct str copy = arena_copy(j->arena, s);

	if (copy.p == NULL)
		j->report->out_of_memory = true;
	return copy;
}

/* A string of cJSON with its variables filled in; {NULL, 0} once told. */
static struct str
join_string(struct join *j, struct node *n, const char *value)
{
	struct str text = str_of(value), result = {NULL, 0};
	struct error err;
	struct buf b;

	if (!expand_is_needed(text))
		return join_copy(j, text);
	buf_init(&b, 0);
	if (expand_text(text, &b, &err) == -1)
		node_report(n, j->report, "%s", err.text);
	else if (buf_failed(&b))
		j->report->out_of_memory = true;
	else
		result = join_copy(j, buf_str(&b));
	buf_done(&b);
	return result;
}

/* A key takes variables too: the same rule for every string of the file. */
static void
join_key(struct join *j, struct node *n, const char *key)
{
	n->key = join_copy(j, str_of(key));
	n->key = join_string(j, n, key);
	if (n->key.p == NULL)
		n->key = str_from("", 0);
}

/* By key, then in the order of the file. */
static int
twin_compare(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a;
	const struct node *y = *(struct node *const *)b;
	int order = str_cmp(x->key, y->key);

	if (order == 0)
		order = x->index < y->index ? -1 : 1;
	return order;
}

/* Tells of keys that are there twice.  Sorted, as data in "json" may have very
 * many. */
static void
join_check_twins(struct join *j, const struct node *object, size_t count)
{
	struct node **sorted, *first = NULL, *n;
	size_t i = 0;

	sorted = reallocarray(NULL, count, sizeof(struct node *));
	if (sorted == NULL) {
		j->report->out_of_memory = true;
		return;
	}
	for (n = object->child; n != NULL; n = n->next)
		sorted[i++] = n;
	qsort(sorted, count, sizeof(struct node *), twin_compare);
	for (i = 0; i < count; i++) {
		n = sorted[i];
		if (n->is_bad)
			continue;
		if (first != NULL && str_eq(first->key, n->key))
			node_report_key(n, j->report, "is here twice, first "
			    "on line %u", first->key_pos.line);
		else
			first = n;
	}
	free(sorted);
}

static struct node *
join_value(struct join *j, const cJSON *item, struct node *up, size_t index)
{
	struct node *n = j->rest, **last;
	const cJSON *child;
	size_t i = 0;

	j->rest = n->next;
	n->next = NULL;
	n->up = up;
	n->index = index;
	if (item->string != NULL)
		join_key(j, n, item->string);
	if (n->kind == NODE_STRING) {
		n->text = join_string(j, n, item->valuestring);
		n->has_variable = expand_is_needed(str_of(item->valuestring));
		if (n->text.p == NULL)
			n->text = str_from("", 0);
	} else if (n->kind == NODE_NUMBER) {
		n->text = join_copy(j, n->text);
	}
	last = &n->child;
	for (child = item->child; child != NULL; child = child->next) {
		struct node *c = join_value(j, child, n, i++);

		*last = c;
		last = &c->next;
	}
	if (n->kind == NODE_OBJECT && i > 1)
		join_check_twins(j, n, i);
	return n;
}

struct node *
node_read(struct arena *a, struct str text, struct report *r)
{
	struct join j = {.arena = a, .report = r};
	struct scanned scanned;
	struct node *root;
	cJSON *json;

	if (scan_text(a, text, r, &scanned) == -1)
		return NULL;
	json = cJSON_ParseWithLengthOpts(scanned.clean, text.len + 1, NULL, 1);
	if (json == NULL) {
		/* The strict pass takes nothing that cJSON refuses. */
		r->out_of_memory = true;
		return NULL;
	}
	j.rest = scanned.first;
	root = join_value(&j, json, NULL, 0);
	cJSON_Delete(json);
	return r->out_of_memory ? NULL : root;
}

struct node *
node_find(const struct node *object, const char *key)
{
	struct node *n;

	if (object->kind != NODE_OBJECT)
		return NULL;
	for (n = object->child; n != NULL; n = n->next)
		if (str_eq(n->key, str_of(key)))
			return n;
	return NULL;
}

static bool
is_plain_key(struct str key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$";

	return key.len > 0 && strspn(key.p, plain) == key.len;
}

void
node_add_path(struct buf *b, const struct node *n)
{
	if (n->up == NULL)
		return;
	node_add_path(b, n->up);
	if (n->key.p == NULL) {
		buf_printf(b, "[%zu]", n->index);
	} else if (is_plain_key(n->key)) {
		if (n->up->up != NULL)
			buf_add_byte(b, '.');
		buf_add(b, n->key);
	} else {
		buf_add_byte(b, '[');
		buf_add_json(b, n->key);
		buf_add_byte(b, ']');
	}
}

void
node_add_json(struct buf *b, const struct node *n)
{
	const struct node *child;
	bool is_object = n->kind == NODE_OBJECT;

	switch (n->kind) {
	case NODE_NULL:
		buf_add(b, STR("null"));
		return;
	case NODE_BOOL:
		buf_add(b, n->is_true ? STR("true") : STR("false"));
		return;
	case NODE_NUMBER:
		buf_add(b, n->text);
		return;
	case NODE_STRING:
		buf_add_json(b, n->text);
		return;
	case NODE_LIST:
	case NODE_OBJECT:
		break;
	}
	buf_add_byte(b, is_object ? '{' : '[');
	for (child = n->child; child != NULL; child = child->next) {
		if (child != n->child)
			buf_add_byte(b, ',');
		if (is_object) {
			buf_add_json(b, child->key);
			buf_add_byte(b, ':');
		}
		node_add_json(b, child);
	}
	buf_add_byte(b, is_object ? '}' : ']');
}

const char *
node_kind_name(const struct node *n)
{
	switch (n->kind) {
	case NODE_NULL:
		return "null";
	case NODE_BOOL:
		return n->is_true ? "true" : "false";
	case NODE_NUMBER:
		return "a number";
	case NODE_STRING:
		return "a string";
	case NODE_LIST:
		return "a list";
	case NODE_OBJECT:
		return "an object";
	}
	return "this";
}

static __attribute__((format(printf, 4, 0))) void
node_report_v(struct node *n, struct report *r, struct config_pos pos,
    const char *fmt, va_list ap)
{
	struct buf path;

	n->is_bad = true;
	buf_init(&path, 0);
	node_add_path(&path, n);
	report_at_v(r, pos, buf_failed(&path) ? NULL : path.p, fmt, ap);
	buf_done(&path);
}

void
node_report(struct node *n, struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	node_report_v(n, r, n->pos, fmt, ap);
	va_end(ap);
}

void
node_report_key(struct node *n, struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	node_report_v(n, r, n->key.p != NULL ? n->key_pos : n->pos, fmt, ap);
	va_end(ap);
}
