/* SPDX-License-Identifier: MIT */
/*
 * "Did you mean": the known word closest to a mistyped one.
 *
 *	struct suggest s = {.word = key};
 *	for (i = 0; i < count; i++)
 *		suggest_try(&s, fields[i].key);
 *	if (s.best != NULL)
 *		...did you mean s.best...
 *
 * Context: pure functions.
 */
#ifndef CORELANE_CONFIG_SUGGEST_H
#define CORELANE_CONFIG_SUGGEST_H

#include "common/str.h"

struct suggest {
	struct str word;	/* borrowed: what was written */
	const char *best;	/* lent by suggest_try()'s caller, or NULL */
	size_t distance;	/* of `best` */
};

/* Remembers `known` if it is close enough to be meant, and closer than what
 * came before. */
void suggest_try(struct suggest *s, const char *known);

#endif
