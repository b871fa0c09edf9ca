/* SPDX-License-Identifier: MIT */
/*
 * Lists of names and values: a query, and the content of a form
 * (application/x-www-form-urlencoded).
 *
 *	struct query_list *list = query_parse(head->query, &r->arena);
 *	const struct pair *tag = query_find(list, STR("tag"), 1);
 *
 * Percent-decoded, "+" as a space.  Names may stand there more than once.
 *
 * Context: pure; one thread per arena.
 */
#ifndef CORELANE_SERVER_QUERY_H
#define CORELANE_SERVER_QUERY_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/str.h"

struct pair {
	struct str name, value;
};

/* In an arena; slices into it, or into what was parsed. */
struct query_list {
	struct pair *item;
	size_t count;
	/* Of an item that couldn't be decoded: it has a bad escape, or one that
	 * stands for NUL, and is left as it was sent.  .p NULL: none. */
	struct str malformed;
};

/* text.p may be NULL.  Returns NULL when there is no memory. */
struct query_list *query_parse(struct str text, struct arena *a);

/* The nth of that name, from 0; NULL: there is none. */
const struct pair *query_find(
    const struct query_list *list, struct str name, size_t n);

#endif
