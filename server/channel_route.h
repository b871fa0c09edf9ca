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

/* --- a WebSocket's state, for the protocol --- */

struct channel_socket {
	struct channel_client client;
	struct channel_presence presence;
	const struct channel_route *route;
	struct channel_start *start;	/* owned; NULL: it has begun */
	char *name;			/* owned: of a raw one's channel */
	/* Waits for other machines: the request that is to be done then, owned;
	 * once that took too long there is no waiting any more. */
	char *awaited;
	size_t awaited_len;
	bool is_awaited, never_waits;
	uint32_t error_count;		/* since error_ms */
	bool is_protocol;
	uint64_t error_ms;
};

/* The path's channel, subscribed to in the protocol's form. */
void channel_protocol_begin(struct ws *w, struct channel_socket *st,
    struct channel_start *start);
void channel_protocol_message(struct ws *w, struct channel_socket *st,
    struct str data, bool is_text);

#endif
