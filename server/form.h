/* SPDX-License-Identifier: MIT */
/*
 * A form that was sent, of either kind: its fields, and its files.
 *
 *	struct form *form = form_parse(content_type, content, &r->arena);
 *
 *	if (form == NULL || form->status != 0)
 *		...refuse: form->status, form->what...
 *	pair = query_find(&form->fields, STR("name"), 0);
 *
 * Context: pure; one thread per arena.
 */
#ifndef CORELANE_SERVER_FORM_H
#define CORELANE_SERVER_FORM_H

#include <corelane/request.h>

#include "server/query.h"

#define FORM_FIELDS_MAX 1000

struct form {
	int status; /* 0, 400, or 415: no form */
	const char *what; /* a literal: what is wrong with it */
	struct query_list fields;
	struct lane_upload *uploads;
	size_t upload_count;
};

/* content: lent to the form, as is the arena.  NULL: no memory. */
struct form *form_parse(
    struct str content_type, struct str content, struct arena *a);

#endif
