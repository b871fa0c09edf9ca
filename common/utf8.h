/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing past
 * U+10FFFF.
 *
 * Here: a text in one piece, and one that arrives in parts (WebSocket).
 * Context: pure functions.
 */
#ifndef CORELANE_COMMON_UTF8_H
#define CORELANE_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"

/* The length of the character that `s` begins with, 1 to 4, or 0 when it
 * begins with none: empty, or its first byte belongs to no valid character. */
size_t utf8_length(struct str s);

bool utf8_is_valid(struct str s);

/* A text that arrives in parts; all zero at its start. */
struct utf8_state {
	uint8_t shift;		/* 0: between two characters; see utf8.c */
};

/* Whether the text is valid as far as it has come: fails at the first byte that
 * can't go on from what was there (RFC 6455 8.1), and from then on. */
bool utf8_feed(struct utf8_state *state, struct str part);

/* Whether the text may end here. */
static inline bool
utf8_is_whole(const struct utf8_state *state)
{
	return state->shift == 0;
}

#endif
