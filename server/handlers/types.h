/* SPDX-License-Identifier: MIT */
/*
 * Media types by the ending of a file's name.
 *
 * Context: pure functions over a constant table.
 */
#ifndef CORELANE_SERVER_HANDLERS_TYPES_H
#define CORELANE_SERVER_HANDLERS_TYPES_H

#include "common/str.h"

/* ".html" of "a/b.html"; empty where the last segment has none. */
struct str type_ending(struct str path);

/* The type of an ending, ASCII case ignored, text with its charset; .p NULL
 * where it isn't known.  Lent for ever. */
struct str type_find(struct str ending);

#endif
