/* SPDX-License-Identifier: MIT */
/*
 * The route table: a radix tree of patterns, built at load and never changed.
 *
 *	/users/{id}		one segment, any content but "/"
 *	/users/{id:[0-9]+}	one segment that the expression matches whole
 *	/files/{path:.*}	last: the tail, slashes included, may be empty
 *
 * Where several patterns match a path the more specific one wins, segment by
 * segment: static text before an expression before a plain parameter before a
 * tail; among expressions the order of the file.  A branch that fails further
 * down is left for the next one (backtracking), so that the answer never
 * depends on the order of registration.  `host` narrows: routes of the
 * request's host first, then routes without one.  Methods are looked at last: a
 * pattern that has not the request's method is left for the next one that
 * matches; when none has it the path is known and the method not: ROUTE_METHOD,
 * with the set of all of them for Allow.  HEAD prefers a route that names it
 * and falls back to GET.
 *
 * A literal segment may hold any byte a decoded path may; "%2F" stays as it is.
 *
 * Here: patterns and matching.  Not here: what a route does (service.h).
 * Context: one thread (the expressions' match data is the table's).
 */
#ifndef CORELANE_SERVER_ROUTE_H
#define CORELANE_SERVER_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"

#define ROUTE_PARAMS_MAX 16

struct route_table;

enum route_result {
	ROUTE_NONE,		/* 404 */
	ROUTE_METHOD,		/* 405 with `allowed` */
	ROUTE_FOUND
};

struct route_match {
	enum route_result result;
	void *target;			/* as given to route_table_add(); with
					 * ROUTE_METHOD the most specific of the
					 * path's routes, without its values */
	unsigned allowed;		/* METHOD_BIT()s that this path has */
	uint8_t param_count;
	struct str value[ROUTE_PARAMS_MAX];	/* slices of the path */
	const struct str *name;		/* param_count of them, the table's */
};

struct route_table *route_table_new(void) __attribute__((warn_unused_result));
void route_table_free(struct route_table *t);

/* What route_table_add() takes. */
struct route_spec {
	struct str pattern;
	struct str host;	/* empty: any */
	unsigned methods;	/* METHOD_BIT()s */
	void *target;		/* borrowed */
};

/*
 * Adds a pattern.  host: empty for any, else compared without case and port.
 * methods: METHOD_BIT()s; GET answers HEAD too.  target: borrowed.
 * Returns 0; -1 with ERROR_INVALID for a bad pattern, and ERROR_BUSY for a
 * duplicate: same host and pattern (parameter names aside) with a method in
 * common; *ret_other is then the other route's target.
 */
int route_table_add(struct route_table *t, const struct route_spec *spec,
    void **ret_other, struct error *err);

/*
 * Finds the route of a decoded path.  authority: as in Host, with or without a
 * port.  method: enum method; METHOD_OTHER matches no route.
 * The result, with its values as slices of `path`, goes to ret_match.
 */
void route_find(struct route_table *t, struct str authority, struct str path,
    unsigned method, struct route_match *ret_match);

#endif
