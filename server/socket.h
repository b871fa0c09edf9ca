/* SPDX-License-Identifier: MIT */
/*
 * A module's socket: the WebSocket or event stream of a route that has a
 * struct lane_socket_handler (<corelane/realtime.h>).
 *
 *	request --authorize()--> LANE_NEXT --> ws_accept(), sse_accept()
 *	                                              |
 *	            open()  message()  drain()        v
 *	module  <---------- lane_socket <---- ws.c, sse.c
 *
 * Each callback has a context of its own.  While that waits the session is
 * paused, so that there is one at a time; drain(), which isn't input, is
 * remembered.  close() comes when the session has let go of the socket, which
 * is never inside another callback; the context that still waits is cancelled
 * first, and the socket is freed behind it.
 *
 * An id is found by a table; it holds a count that never comes back, so that an
 * id whose socket has gone finds nothing.
 *
 * Context: the loop's thread.
 *	handlers/module.c -> [socket.h] -> ws.h, sse.h
 */
#ifndef CORELANE_SERVER_SOCKET_H
#define CORELANE_SERVER_SOCKET_H

#include <corelane/realtime.h>

#include "server/channel.h"
#include "server/sse.h"
#include "server/ws.h"

struct arena;
struct lane_route;
struct module_route;
struct request;
struct server;
struct service_route;
struct socket_table;

/* What the sockets of a route have in common: made with the module. */
struct socket_route {
	struct ws_options ws;	/* .app NULL: the route has none */
	struct sse_options sse;
};

struct lane_socket {
	struct lane_socket *next;	/* of the table's bucket */
	uint64_t id;
	struct server *srv;
	const struct lane_socket_handler *handler;	/* lent */
	const struct module_route *route;		/* lent */
	const struct service_route *site;		/* where it is served */
	struct ws *ws;			/* one of these two, until close() */
	struct sse *sse;
	struct lane_ctx *ctx;		/* of the callback that hasn't ended */
	void *state;			/* the module's */
	void (*drop)(void *state);
	struct channel_presence presence; /* where it is a member */
	bool is_events;
	bool is_open;			/* open() is due, or has been */
	bool is_paused;			/* by us, for `ctx` */
	bool is_drained;		/* drain() is due, behind `ctx` */
};

/* State that authorize() has given: in the request's arena. */
struct socket_given {
	void *state;
	void (*drop)(void *state);	/* NULL: taken */
};

/* The options of a route's sockets; in the arena.  Returns 0 or -1. */
int socket_route_init(struct socket_route *sr, const struct lane_route *def,
    const struct config *cfg, struct arena *a);

/* Whether the request wants what the route has. */
bool socket_is_asked(struct request *r, const struct module_route *route);

/* Answers it: authorize(), which may wait, then socket_accept(). */
int socket_run(struct request *r, const struct module_route *route);

/* authorize() has returned LANE_NEXT.  Returns as a handler does. */
int socket_accept(struct lane_ctx *c);

/* The session, or NULL: it is over. */
struct session *socket_session(const struct lane_socket *s);

/* Closes a socket that a callback's mistake or failure has ended: logged. */
void socket_fail(struct lane_socket *s, const char *what);

/* NULL: it is over, or never was. */
struct lane_socket *socket_find(const struct server *srv, uint64_t id);

/* For the server, once every session has been dropped. */
void socket_done(struct server *srv);

#endif
