/* SPDX-License-Identifier: MIT */
/*
 * A look into a JSON text that json_check() has passed: members and items as
 * slices of it.  No tree is made, and what is handed on (a message's data) is
 * handed on byte by byte, with the digits of its numbers and the order of its
 * keys.
 *
 *	struct json_walk w;
 *	struct str key, value;
 *
 *	json_walk_init(&w, object);
 *	while (json_walk_member(&w, &a, &key, &value))
 *		...
 *
 * Context: pure; any thread.
 */
#ifndef CORELANE_SERVER_JSON_WALK_H
#define CORELANE_SERVER_JSON_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/str.h"

struct json_walk {
	const char *at, *end;
};

/* What a value is, by its first byte: '{', '[', '"', 't', 'f', 'n', or '0' for
 * a number. */
char json_kind(struct str value);

/* value: an object or array, white space around it or not. */
void json_walk_init(struct json_walk *w, struct str value);

/* The next member of an object: its key as it is meant (in the arena only where
 * it has escapes; .p NULL when there was no memory), its value as it stands
 * there.  Returns false at the end. */
bool json_walk_member(struct json_walk *w, struct arena *a, struct str *ret_key,
    struct str *ret_value);
/* The next item of an array. */
bool json_walk_item(struct json_walk *w, struct str *ret_value);

/* The text of a string, .p NULL when it is none, or when there is no memory; in
 * the arena only where it has escapes. */
struct str json_text(struct str value, struct arena *a);
/* A number without sign, fraction or exponent.  Returns 0 or -1. */
int json_u64(struct str value, uint64_t *ret_value);

#endif
