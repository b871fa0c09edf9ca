/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing past
 * U+10FFFF.
 *
 * Here: a text in one piece.  Not here: one that arrives in parts (WebSocket).
 * Context: pure functions.
 */
#ifndef CORELANE_COMMON_UTF8_H
#define CORELANE_COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "common/str.h"

/* The length of the character that `s` begins with, 1 to 4, or 0 when it
 * begins with none: empty, or its first byte belongs to no valid character. */
size_t utf8_length(struct str s);

bool utf8_is_valid(struct str s);

#endif
