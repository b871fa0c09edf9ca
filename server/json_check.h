/* SPDX-License-Identifier: MIT */
/*
 * Whether a text is JSON as RFC 8259 has it, before a parser that takes more
 * makes a tree of it.
 *
 *	struct json_fault fault;
 *
 *	if (json_check(text, 64, &fault) == -1)
 *		refuse("line %u, column %u: %s", fault.line, fault.column,
 *		    fault.what);
 *
 * Refused, because parsers read them differently: a byte order mark, invalid
 * UTF-8, duplicate keys (told apart after their escapes are taken off), lone
 * surrogates; and because a tree couldn't hold them: numbers that are no finite
 * double or longer than JSON_NUMBER_MAX, and the character U+0000.
 *
 * Context: pure; any thread.
 */
#ifndef CORELANE_SERVER_JSON_CHECK_H
#define CORELANE_SERVER_JSON_CHECK_H

#include "common/arena.h"
#include "common/str.h"

#define JSON_DEPTH_DEFAULT 64
/* What cJSON itself goes to. */
#define JSON_DEPTH_MAX 1000
/* cJSON cuts a longer number in two. */
#define JSON_NUMBER_MAX 63

struct json_fault {
	unsigned line, column; /* from 1; columns are characters */
	const char *what; /* literal; NULL: there was no memory */
};

/* depth: of arrays and objects in each other, at most JSON_DEPTH_MAX.
 * Returns 0, or -1 with *ret_fault filled. */
int json_check(struct str text, unsigned depth, struct json_fault *ret_fault)
    __attribute__((warn_unused_result));

/* The inside of a checked string, without its quotes, and then without its
 * escapes: in the arena; .p NULL when there is no memory. */
struct str json_unescape(struct arena *a, struct str s);

#endif
