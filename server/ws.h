/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket (RFC 6455): the handshake, messages both ways, pings, the close.
 *
 *	             ws_accept()
 *	                 |  101
 *	                 v           ws_close(), or the peer's close frame
 *	     +--------> OPEN ---------------------------------> CLOSING
 *	     | message   |  our close frame is sent; what still comes is
 *	     +-----------+  read for the peer's and dropped
 *	                 |                                        |
 *	                 v  cut off                               v
 *	               CLOSED <----- both have closed, or timeouts.write
 *
 * What uses it is a struct ws_app: echo, a channel's protocol, a module's
 * route.  Its message() gets whole messages, one after the other; where it
 * must wait it calls session_pause(), and nothing more is read.
 *
 * A message that came whole in one frame is lent from the worker's read buffer:
 * no copy.  Others are gathered in a buffer that exists while they come.
 *
 * Sending never blocks: what the socket doesn't take is queued, up to
 * queue_bytes; see enum session_sent.
 *
 * Owns: what is gathered, the deflate context, the app's state until closed().
 * Here: RFC 6455 but its frames.  Not here: frames (ws_frame.h), compression
 * (ws_deflate.h), channels (hub.h).
 * Context: the loop's thread.  conn.c -> session.h -> [ws.c] -> a ws_app
 */
#ifndef CORELANE_SERVER_WS_H
#define CORELANE_SERVER_WS_H

#include "config/config.h"
#include "server/session.h"
#include "server/ws_deflate.h"
#include "server/ws_frame.h"

struct ws;
struct server;

struct ws_app {
	const char *name;		/* for the log */
	/* The handshake has left.  May be NULL. */
	void (*open)(struct ws *w);
	/* A whole message, borrowed.  text: valid UTF-8. */
	void (*message)(struct ws *w, struct str data, bool is_text);
	/* What was queued has gone: after ws_send() said SESSION_FULL, and
	 * after a subscription fell behind.  May be NULL. */
	void (*drain)(struct ws *w);
	/* It is over: code and reason of whoever closed first,
	 * WS_CLOSE_ABNORMAL when it was cut off.  Frees the app's state.
	 * Never NULL. */
	void (*close)(struct ws *w, unsigned code, struct str reason);
};

/* What a route allows: from its configuration, for its life. */
struct ws_options {
	const struct ws_app *app;
	const struct config_websocket *config;
	struct config_strings protocols; /* subprotocols, best first */
	struct config_strings origins;	/* "*": any; none: the same host's */
	size_t message_bytes;		/* after decompression, too */
	size_t queue_bytes;
};

/* Whether the request asks for a WebSocket (RFC 6455 4.2.1), well or not. */
bool ws_is_asked(const struct request *r);

/*
 * Answers the handshake: 101, or 400, 403 (origin) or 426 with what is wrong.
 * state: the app's, taken: close() is called with it in any case.
 * ret_ws: where the app can find it, or NULL.  options: lent.
 */
int ws_accept(struct request *r, const struct ws_options *options, void *state,
    struct ws **ret_ws);

struct session *ws_session(struct ws *w);
struct ws *ws_of_session(struct session *s); /* NULL: it is none */
struct server *ws_server(const struct ws *w);
const struct ws_options *ws_options_of(const struct ws *w);
void *ws_state(const struct ws *w);
/* Another state, or NULL: what it had is the app's to drop. */
void ws_set_state(struct ws *w, void *state);
/* The subprotocol that was chosen; .p NULL: none.  Lent by the options. */
struct str ws_protocol(const struct ws *w);
const struct ws_deflate *ws_deflate_of(const struct ws *w);
bool ws_is_open(const struct ws *w);

/* A whole message: compressed where that was agreed and it is long enough, in
 * fragments of at most buffers.websocket. */
enum session_sent ws_send(struct ws *w, enum ws_opcode opcode, struct str data);

/* Begins the close handshake: code, and reason (at most 123 bytes, UTF-8;
 * copied).  WS_CLOSE_NONE: without a code. */
void ws_close(struct ws *w, unsigned code, struct str reason);

/* The time at which what it was allowed ends: closed with WS_CLOSE_EXPIRED.
 * CLOCK_REALTIME seconds; 0: never. */
void ws_set_expiry(struct ws *w, int64_t real_s);

/* For the server. */
int ws_init(struct server *srv, struct error *err);
void ws_done(struct server *srv);

#endif
