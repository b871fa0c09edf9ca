/* SPDX-License-Identifier: MIT */
/*
 * Attributes of a request: a short list, newest first.
 *
 * Owns nothing: nodes, names and texts lie in the arena that attr_set() was
 * given.  Invariant: a name is in the list once, or not at all.
 * Here: set, replace, remove, find.  Not here: what any name means.
 * Context: the loop's thread.  middleware/ -> [attr.c] -> handlers
 */
#include "server/attr.h"

#include <errno.h>

static struct attr **
attr_find(struct attr **at, struct str name)
{
	while (*at != NULL && !str_eq((*at)->name, name))
		at = &(*at)->next;
	return at;
}

/* Bytes of a value go into the arena; what is no bytes stays as it is. */
static int
attr_copy_value(struct arena *a, struct lane_value *value)
{
	struct str copy;

	if ((value->kind != LANE_TEXT && value->kind != LANE_BLOB) ||
	    value->u.s.p == NULL)
		return 0;
	copy = arena_copy(a, str_from(value->u.s.p, value->u.s.len));
	if (copy.p == NULL)
		return -ENOMEM;
	value->u.s.p = copy.p;
	return 0;
}

int
attr_set(struct attr **list, struct arena *a, struct str name,
    struct lane_value value)
{
	struct attr **at = attr_find(list, name), *attr = *at;

	if (value.kind == LANE_NULL) {
		if (attr != NULL)
			*at = attr->next;
		return 0;
	}
	if (attr_copy_value(a, &value) < 0)
		return -ENOMEM;
	if (attr == NULL) {
		attr = arena_alloc(a, sizeof(*attr));
		name = arena_copy(a, name);
		if (attr == NULL || name.p == NULL)
			return -ENOMEM;
		attr->name = name;
		attr->next = *list;
		*list = attr;
	}
	attr->value = value;
	return 0;
}

struct lane_value
attr_get(const struct attr *list, struct str name)
{
	for (; list != NULL; list = list->next)
		if (str_eq(list->name, name))
			return list->value;
	return (struct lane_value){.kind = LANE_NULL};
}
