/* SPDX-License-Identifier: MIT */
/*
 * Queries and urlencoded forms (WHATWG URL 5.1).
 *
 * Owns nothing: the list is the arena's.
 * Invariant: a slice of the list is valid as long as the arena and the text.
 * Here: cutting and decoding.  Not here: limits on their number (form.c), which
 * for a query is the limit on a target.
 * Context: a worker's loop.
 */
#include "server/query.h"

#include "common/percent.h"

/* As it is where nothing is to be decoded; .p NULL: no memory. */
static struct str
query_decode(struct query_list *list, struct str text, struct arena *a)
{
	ptrdiff_t len;
	char *out;

	if (text.len == 0)
		return STR("");
	if (!percent_is_encoded(text, PERCENT_PLUS))
		return text;
	out = arena_alloc(a, text.len);
	if (out == NULL)
		return str_from(NULL, 0);
	len = percent_decode(text, PERCENT_PLUS, out);
	if (len != -1)
		return str_from(out, (size_t)len);
	if (list->malformed.p == NULL)
		list->malformed = text;
	return text;
}

static size_t
query_count(struct str text)
{
	size_t i, n = 1;

	for (i = 0; i < text.len; i++)
		n += text.p[i] == '&';
	return n;
}

struct query_list *
query_parse(struct str text, struct arena *a)
{
	struct query_list *list = arena_zalloc(a, sizeof(*list));
	struct str rest = text, item, name;
	struct pair *pair;

	if (list == NULL)
		return NULL;
	list->item = arena_alloc(a, query_count(text) * sizeof(*pair));
	if (list->item == NULL)
		return NULL;
	while (str_cut(&rest, '&', &item)) {
		if (item.len == 0)
			continue;
		(void)str_cut(&item, '=', &name);
		pair = &list->item[list->count++];
		pair->name = query_decode(list, name, a);
		pair->value = query_decode(list, item, a);
		if (pair->name.p == NULL || pair->value.p == NULL)
			return NULL;
	}
	return list;
}

const struct pair *
query_find(const struct query_list *list, struct str name, size_t n)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (str_eq(list->item[i].name, name) && n-- == 0)
			return &list->item[i];
	}
	return NULL;
}
