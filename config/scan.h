/* SPDX-License-Identifier: MIT */
/*
 * The strict pass over a configuration's text.
 *
 * Context: one thread; internal to config/ (node.c is its one caller).
 */
#ifndef CORELANE_CONFIG_SCAN_H
#define CORELANE_CONFIG_SCAN_H

#include "common/arena.h"
#include "config/node.h"
#include "config/problem.h"

/* Deeper nesting is refused. */
#define SCAN_DEPTH_MAX 64

struct scanned {
	char *clean;		/* same length as the text, NUL-terminated:
				 * comments and trailing commas are spaces, bad
				 * values are harmless ones */
	struct node *first;	/* every value in the order of the text, by
				 * `next`: kind, pos, key_pos, is_bad, and the
				 * text of numbers are set */
};

/* Returns 0, or -1 when the structure is broken; told in both cases. */
int scan_text(struct arena *a, struct str text, struct report *r,
    struct scanned *ret) __attribute__((warn_unused_result));

#endif
