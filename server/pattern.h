/* SPDX-License-Identifier: MIT */
/*
 * The text of a route's pattern, taken apart:
 *
 *	/users/{id:[0-9]+}/posts/{path:.*}
 *	LITERAL EXPRESSION LITERAL TAIL		"/users/" "[0-9]+" "/posts/" ""
 *
 * A parameter is always a whole segment, so literals and parameters take turns
 * and the first piece is a literal.
 *
 * Here: syntax.  Not here: which pattern wins (route.h).
 * Context: pure; slices of the text that was given.
 */
#ifndef CORELANE_SERVER_PATTERN_H
#define CORELANE_SERVER_PATTERN_H

#include <stddef.h>

#include "common/error.h"
#include "common/str.h"
#include "server/route.h"

enum pattern_kind {
	PATTERN_LITERAL,
	PATTERN_EXPRESSION,	/* {name:expression} */
	PATTERN_PLAIN,		/* {name} */
	PATTERN_TAIL		/* {name:.*}, last */
};

struct pattern_piece {
	enum pattern_kind kind;
	struct str text;	/* the literal or the expression, else empty */
};

#define PATTERN_PIECES_MAX (2 * ROUTE_PARAMS_MAX + 1)

struct pattern {
	size_t piece_count, name_count;
	struct pattern_piece piece[PATTERN_PIECES_MAX];
	struct str name[ROUTE_PARAMS_MAX];	/* parameters, in order */
};

/* Returns 0, or -1 with ERROR_INVALID and what is wrong. */
int pattern_parse(struct str text, struct pattern *ret_pattern,
    struct error *err);

/* The index of a parameter's name, or -1. */
int pattern_find_name(const struct pattern *p, struct str name);

#endif
