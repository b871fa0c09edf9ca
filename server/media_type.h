/* SPDX-License-Identifier: MIT */
/*
 * Field values with parameters (RFC 9110 5.6.6): Content-Type,
 * Content-Disposition.
 *
 *	struct str rest = value, type, name, text;
 *
 *	type = media_type(&rest);
 *	while (media_param_next(&rest, a, &name, &text) == MEDIA_PARAM)
 *		...
 *
 * Context: pure; one thread per arena.
 */
#ifndef CORELANE_SERVER_MEDIA_TYPE_H
#define CORELANE_SERVER_MEDIA_TYPE_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/str.h"

enum media_result {
	MEDIA_PARAM,
	MEDIA_END,
	MEDIA_BAD, /* no name, or a quoted string that doesn't end */
	MEDIA_NO_MEMORY
};

/* What stands in front of the parameters, and moves `rest` to these. */
struct str media_type(struct str *rest);

/* A parameter: its name as it was sent, its value without quotes and with \" as
 * " and \\ as \; any other backslash stands for itself, as in the names of
 * files that browsers send.  In the arena only where that changes it. */
enum media_result media_param_next(struct str *rest, struct arena *a,
    struct str *ret_name, struct str *ret_value);

/* The value of a parameter; .p NULL where there is none, or no memory. */
struct str media_param_find(struct str field, struct str name, struct arena *a);

/* Whether the field is of this media type, parameters and case aside. */
bool media_type_is(struct str field, struct str type);

/* application/json, or any with the suffix +json (RFC 6839 3.1). */
bool media_type_is_json(struct str field);

#endif
