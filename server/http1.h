/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 on a connection (RFC 9112): heads in, content in, responses out, in
 * order, one request at a time.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_HTTP1_H
#define CORELANE_SERVER_HTTP1_H

#include <stdbool.h>

#include "common/str.h"

struct conn;
struct request;

/* Uses input until it is used up or the connection has to wait; `in` is moved
 * past what was used. */
void http1_advance(struct conn *c, struct str *in);

/* Whether content is to be read while the response is being sent. */
bool http1_takes_body(const struct request *r);

/* The deadline of the state is over. */
void http1_on_deadline(struct conn *c);

/* The connection goes away while a request is under way. */
void http1_abort(struct conn *c);

/* The route is known, or that there is none: content that is too long for it
 * is refused. */
void http1_limit_body(struct request *r);

/*
 * The pipeline asks for the request's content.  Returns true when it is there
 * (or none is to come), false when it has to be waited for.
 */
bool http1_want_body(struct request *r);

/* How far the content of a response has come (http1_send.c). */
enum http1_sent {
	HTTP1_SENT,		/* all of it is in the batch, or sent */
	HTTP1_SEND_LATER,	/* the socket is full, or a source waits */
	HTTP1_SEND_FAILED	/* the connection is closed */
};
enum http1_sent http1_send_content(struct request *r);

/* A pending handler has a deadline of its own; its connection hardly needs
 * one. */
#define HTTP1_HANDLER_MS 3600000

/*
 * 103 Early Hints with a Link field (RFC 8297), at once.  Left out where
 * another connection's turn is on.  Returns 0, or -EPIPE: the connection is
 * closed.
 */
#define HTTP1_HINT_MAX 4000
int http1_send_hint(struct request *r, struct str link);

/* The pipeline has a complete response: puts its head, and content that is
 * small, into the batch; the rest follows by http1_send_content(). */
void http1_respond(struct request *r);

#endif
