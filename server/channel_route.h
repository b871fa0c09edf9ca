/* SPDX-License-Identifier: MIT */
/*
 * A route whose handler is "channel", and what each way of using it shares.
 *
 *	handlers/channel.c --+-> channel_socket.c -> channel_protocol.c
 *	                     +-> channel_stream.c
 *	                     `-> channel_http.c
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_CHANNEL_ROUTE_H
#define CORELANE_SERVER_CHANNEL_ROUTE_H

#include "server/channel.h"
#include "server/request.h"
#include "server/sse.h"
#include "server/ws.h"

/* Subscriptions of one connection. */
#define CHANNEL_SUBSCRIPTIONS_MAX 128

struct channel_route {
	struct server *srv;
	const struct config_route *cfg;	/* lent by the configuration */
	bool names_channel;		/* its path has {channel} */
	struct str protocol;		/* the one of `ws` */
	struct ws_options ws;
	struct sse_options sse;
};

/* --- one subscription that is to begin with a connection --- */

struct channel_start {
	struct channel_start *next;
	struct hub_subscribe args;	/* channel: in `text` */
	struct str info;		/* JSON, in `text`; .len 0: none */
	char text[];
};

/*
 * What a request asks of `name` by ?since=, ?last_event_id=, ?history= and
 * ?info=: checked, and allowed.  since: where it was, of ?since= or an event's
 * id; .p NULL: nothing said.
 * Returns 0 with *ret_start, the caller's; or the status of the refusal, or a
 * negative errno.
 */
int channel_start_new(struct request *r, struct channel_client *client,
    struct str name, struct str since, struct channel_start **ret_start);
void channel_start_free(struct channel_start *start);

/* A parameter of the query; .p NULL: it isn't there.  In the arena. */
struct str channel_query(struct request *r, const char *name);

/* Answers with what -errno of channel_may() and its like is. */
int channel_refuse(struct request *r, int rc);

/* A member's info: a JSON value that isn't too long. */
bool channel_info_is_valid(struct str info);

/* --- the ways --- */

/* Each returns as a handler does. */
int channel_socket_accept(struct request *r, const struct channel_route *route);
int channel_stream_accept(struct request *r, const struct channel_route *route);
int channel_http_get(struct request *r, const struct channel_route *route);
int channel_http_post(struct request *r, const struct channel_route *route);

extern const struct ws_app channel_socket_app;
extern const struct sse_app channel_stream_app;

/*
 * What a WebSocket has to remember beside its subscriptions: a token, where it
 * is a member, its errors.  Most have none of these, and no state: it is made
 * for each message, and dropped behind it where it says nothing.
 */
struct channel_socket {
	struct channel_client client;
	struct channel_presence presence;
	struct channel_start *start;	/* owned; NULL: it has begun */
	char *awaited;	/* owned: a request that waits for other machines */
	size_t awaited_len;
	bool is_awaited;		/* it has waited, and is done now */
	bool never_waits;		/* that has taken too long once */
	uint64_t error_ms;
	uint32_t error_count;		/* since error_ms */
};

/* Whether what a subscription begins with is to come from other machines first:
 * then nothing more is read until it is here, and `start` or `awaited`, which
 * has been set, is done then. */
bool channel_socket_awaits(struct ws *w, struct channel_socket *st,
    const struct hub_subscribe *args);

/* The route that it came by. */
const struct channel_route *channel_socket_route(const struct ws *w);

/* The path's channel, subscribed to in the protocol's form. */
void channel_protocol_begin(struct ws *w, struct channel_socket *st,
    struct channel_start *start);
void channel_protocol_message(struct ws *w, struct channel_socket *st,
    struct str data, bool is_text);

#endif
