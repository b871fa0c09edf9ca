/* SPDX-License-Identifier: MIT */
/*
 * A kind of handler: what a route's "handler" names.  One file each under
 * handlers/, one constant of this type each, listed in handlers/table.c.
 *
 * setup() turns the route's configuration into the handler's own constant
 * state, once per server; run() answers requests with it.
 *
 * Context: setup and teardown with the server; run on the loop, never blocking.
 */
#ifndef CORELANE_SERVER_HANDLER_H
#define CORELANE_SERVER_HANDLER_H

#include "common/error.h"
#include "config/config.h"
#include "server/request.h"

struct server;

/* What a handler does with a request's content. */
enum handler_body {
	HANDLER_BODY_IGNORE, /* runs at once; what comes is read and dropped */
	HANDLER_BODY_WHOLE,	/* runs when r->body is whole */
	HANDLER_BODY_STREAM /* runs at once, then on_body() for each piece */
};

struct handler {
	const char *name;
	unsigned methods;	/* METHOD_BIT()s where the route names none */
	bool has_websocket, has_events;	/* for `corelane routes` to tell */

	/* Returns 0 with *ret_state (may stay NULL), or -1.  err gets what is
	 * wrong, without the place. */
	int (*setup)(const struct config_route *cfg, struct server *srv,
	    void **ret_state, struct error *err);
	void (*teardown)(void *state);		/* may be NULL */

	/* How this route takes content; NULL: HANDLER_BODY_IGNORE. */
	enum handler_body (*body)(const void *state);

	/* Answers: see REQUEST_NEXT and below. */
	int (*run)(struct request *r, const void *state);

	/*
	 * HANDLER_BODY_STREAM: a piece of content, borrowed; then once with
	 * is_last and an empty piece.  Returns how many bytes were taken; fewer
	 * than given pauses the client until request_body_more().
	 */
	size_t (*on_body)(struct request *r, const void *state,
	    struct str piece, bool is_last);

	/* The client is gone, or a deadline has passed, while the request was
	 * pending: drop what is under way.  May be NULL. */
	void (*cancel)(struct request *r, const void *state);
};

/* HANDLER_BODY_STREAM: takes content again after a pause. */
void request_body_more(struct request *r);

/* By enum config_handler_kind. */
extern const struct handler *const handler_table[HANDLER_KIND_COUNT];

#endif
