/* SPDX-License-Identifier: MIT */
/*
 * Channels as clients see them: who may do what, and the JSON protocol.
 *
 *	GET + Upgrade			a WebSocket: messages are the data,
 *					or the protocol below
 *	GET, Accept: text/event-stream	an event stream
 *	GET, else			JSON: position, subscribers, history
 *	POST				publishes
 *
 * The path's {channel} names the channel; without such a parameter a WebSocket
 * has the protocol and subscribes by itself, and ?channel=a&channel=b.* names
 * them for an event stream.
 *
 * The protocol: subprotocol "corelane.json".  One JSON object per message;
 * requests have an id of the client's, answers repeat it:
 *
 *	{"id":1,"type":"subscribe","channel":"room.1","since":"5f3a9c21:42"}
 *	{"id":1,"type":"subscribed","channel":"room.1","position":"5f3a9c21:44",
 *	 "recovered":true,"missed":2,"subscribers":7}
 *	{"type":"message","channel":"room.1","id":"5f3a9c21:43","time":...,
 *	 "data":{"text":"hi"}}
 *	{"id":2,"type":"publish","channel":"room.1","data":{"text":"hello"}}
 *	{"id":2,"type":"published","position":"5f3a9c21:45"}
 *	{"id":3,"type":"unsubscribe","channel":"room.1"} -> "unsubscribed"
 *	{"id":4,"type":"presence","channel":"room.1"} ->
 *	 {...,"subscribers":7,"members":[{"client","user","info","since"}]}
 *	{"id":5,"type":"history","channel":"room.1","limit":20,"since"?} ->
 *	 {...,"position","recovered","messages":[...]}
 *	{"id":6,"type":"ping"} -> {"id":6,"type":"pong"}
 *	{"id":7,"type":"error","code":"FORBIDDEN","message":"..."}
 *
 * "subscribe" without "since" may have "history": n.  Data that isn't JSON
 * comes as a string; binary as {"data64":"..."} in the place of "data".
 *
 * Rules: the first of config.channels that matches a name is its rule; where
 * none does there is no such channel.  An operation is allowed to anyone, to
 * nobody, by the token's claim, {"channels":{"sub":["room.*"],"pub":["a"]}},
 * or by a module's hook.
 *
 * Context: the loop's thread.  handlers/channel.c -> [channel.c] -> hub.c
 */
#ifndef CORELANE_SERVER_CHANNEL_H
#define CORELANE_SERVER_CHANNEL_H

#include "common/error.h"
#include "config/config.h"
#include "server/hub.h"

#define CHANNEL_PROTOCOL "corelane.json"

struct request;
struct server;

/* Who asks: lives as long as what it is allowed for. */
struct channel_client;

/* The rule for a channel (a pattern: the first whose pattern covers it); NULL:
 * none. */
const struct config_channel *channel_rule(const struct config *cfg,
    struct str name);

enum channel_action { CHANNEL_SUBSCRIBE, CHANNEL_PUBLISH };

/*
 * Whether it is allowed.  Returns 0, -EACCES, -ENOENT (no rule), or -EINVAL (a
 * bad name).  A module's hook may rewrite what is published: *data, in `out`.
 */
int channel_may(struct channel_client *client, enum channel_action action,
    struct str name);

/* The member that presence tells: user of the token, or "". */
struct str channel_client_user(const struct channel_client *client);

/* Checks and publishes: what POST, the protocol and lane_publish() share. */
int channel_publish(struct server *srv, struct str name, struct str data,
    enum channel_content content, struct channel_position *ret_pos);

#endif
