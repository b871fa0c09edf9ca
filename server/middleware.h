/* SPDX-License-Identifier: MIT */
/*
 * A kind of middleware: what "use" names.  One file each under middleware/,
 * one constant of this type each, listed in middleware/table.c.
 *
 * The global list runs first, then the route's own, in the order of the file;
 * each `before` may answer, which ends the list.  The `after` hooks of those
 * whose `before` has run are called in reverse, with the response complete but
 * unsent: fields may still change, the content's length too (compress).  They
 * run for errors and for requests without a route alike.
 *
 * Context: setup and teardown with the server; the hooks on the loop, never
 * blocking.
 */
#ifndef CORELANE_SERVER_MIDDLEWARE_H
#define CORELANE_SERVER_MIDDLEWARE_H

#include "common/error.h"
#include "config/config.h"
#include "server/request.h"

struct server;

struct middleware {
	const char *name;
	int (*setup)(const struct config_middleware *cfg, struct server *srv,
	    void **ret_state, struct error *err);
	void (*teardown)(void *state);				/* or NULL */
	int (*before)(struct request *r, const void *state);	/* or NULL */
	void (*after)(struct request *r, const void *state);	/* or NULL */
};

/* By enum config_middleware_kind. */
extern const struct middleware *const middleware_table[MIDDLEWARE_KIND_COUNT];

/* Sets the deadline of a pending request: past it the request is cancelled and
 * answered with `status`.  For the timeout middleware. */
int request_set_deadline(struct request *r, uint64_t after_ms, int status);

#endif
