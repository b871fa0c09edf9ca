/* SPDX-License-Identifier: MIT */
/*
 * "channel": channels by WebSocket, by event stream, and by plain requests.
 *
 * Owns: what a route has prepared.
 * Here: which of them it is.  Not here: what each does (channel_route.h).
 * Context: the loop's thread.
 */
#include <stdlib.h>

#include "server/channel_route.h"
#include "server/handler.h"
#include "server/internal.h"
#include "server/pattern.h"

static int
channel_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct channel_route *route;
	struct pattern pattern;

	if (pattern_parse(cfg->path, &pattern, err) == -1)
		return -1;
	route = calloc(1, sizeof(*route));
	if (route == NULL)
		return error_nomem(err, "handler");
	route->srv = srv;
	route->cfg = cfg;
	route->protocol = STR(CHANNEL_PROTOCOL);
	route->names_channel = pattern_find_name(&pattern, STR("channel")) !=
	    -1;
	route->ws = (struct ws_options){
		.app = &channel_socket_app,
		.config = &srv->config->websocket,
		.protocols = {&route->protocol, 1},
		.origins = cfg->channel.origins,
		.message_bytes = srv->config->websocket.message_bytes,
		.queue_bytes = srv->config->limits.write_queue_bytes,
	};
	route->sse = (struct sse_options){
		.app = &channel_stream_app,
		.config = &srv->config->sse,
		.queue_bytes = srv->config->limits.write_queue_bytes,
	};
	*ret_state = route;
	return 0;
}

static enum handler_body
channel_body(const void *state)
{
	return HANDLER_BODY_WHOLE;
}

static int
channel_run(struct request *r, const void *state)
{
	const struct channel_route *route = state;

	if (r->head->method == METHOD_POST)
		return channel_http_post(r, route);
	if (r->head->method == METHOD_GET && ws_is_asked(r))
		return channel_socket_accept(r, route);
	if (r->head->method == METHOD_GET && sse_is_asked(r))
		return channel_stream_accept(r, route);
	return channel_http_get(r, route);
}

const struct handler handler_channel = {
	.name = "channel",
	.methods = METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST),
	.has_websocket = true,
	.has_events = true,
	.setup = channel_setup,
	.teardown = free,
	.body = channel_body,
	.run = channel_run,
};
