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
 * Every request but a ping is answered, errors by "error"; none closes the
 * connection but a flood of them.
 *
 * Rules: the first of config.channels that matches a name is its rule; where
 * none does there is no such channel.  A pattern's rule is the first that
 * covers all of it, and where a rule in front of that one matches a part, it
 * must allow the same.  An operation is allowed to anyone, to nobody, by the
 * token's claim, {"channels":{"sub":["room.*"],"pub":["a"]}}, or by a module's
 * hook.
 *
 * Here: rules, permits, publishing, presence.  Not here: fan-out (hub.h), what
 * a route does with it (channel_route.h).
 * Context: the loop's thread.  handlers/channel.c -> [channel.c] -> hub.c
 */
#ifndef CORELANE_SERVER_CHANNEL_H
#define CORELANE_SERVER_CHANNEL_H

#include "common/error.h"
#include "config/config.h"
#include "server/hub.h"

#define CHANNEL_PROTOCOL "corelane.json"
/* Depth of what is published as JSON. */
#define CHANNEL_JSON_DEPTH 64

struct config_problems;
struct request;
struct server;

/* The rule for a channel (a pattern: the first whose pattern covers it); NULL:
 * none. */
const struct config_channel *channel_rule(const struct config *cfg,
    struct str name);
/* Whether all that `inner` matches, `outer` does: "room.*" covers "room.1" and
 * "room.a*". */
bool channel_covers(struct str outer, struct str inner);

/* For `check` and the start, with the modules loaded or not: rules that never
 * hold, hooks that no module has. */
void channel_check_rules(struct server *srv, struct config_problems *problems);

/* --- who asks --- */

/* What a token allows, and whose it is. */
struct channel_token;

/* Embedded where it is as long as what it is allowed for. */
struct channel_client {
	struct server *srv;
	struct channel_token *token;	/* owned; NULL: nobody known */
};

/* As the jwt middleware has found it.  Returns 0 or -ENOMEM. */
int channel_client_init(struct channel_client *client, struct request *r);
void channel_client_done(struct channel_client *client);
/* The member that presence tells: user of the token, or "". */
struct str channel_client_user(const struct channel_client *client);
/* When the token ends, for ws_set_expiry(); 0: never. */
int64_t channel_client_expiry(const struct channel_client *client);

enum channel_action { CHANNEL_SUBSCRIBE, CHANNEL_PUBLISH };

/*
 * Whether it is allowed.  data: what is to be published; .p NULL: nothing.
 * Returns 0, -EACCES, -ENOKEY (it takes a token, and there is none),
 * -EKEYREJECTED (the token doesn't list it), -ENOENT (no rule), or -EINVAL (a
 * bad name).
 */
int channel_may(struct channel_client *client, enum channel_action action,
    struct str name, struct str data);

/* --- publishing --- */

/*
 * Whether it can be published, whoever asks.  Returns 0, -EINVAL (a bad name,
 * or data that isn't what `content` says), -ENOENT (no rule) or -EMSGSIZE.
 * *ret_why: a literal; may be NULL.
 */
int channel_check(const struct config *cfg, struct str name, struct str data,
    enum channel_content content, const char **ret_why);

/* Checks and publishes: what POST, the protocol and lane_publish() share.  As
 * channel_check(), and as channel_log_publish(). */
int channel_publish(struct server *srv, struct str name, struct str data,
    enum channel_content content, struct channel_position *ret_pos);
/* The same for what channel_check() has passed. */
int channel_publish_checked(struct server *srv, struct str name,
    struct str data, enum channel_content content,
    struct channel_position *ret_pos);

/* --- subscribing and presence --- */

struct channel_seat;

/* The channels in which a session is a member; all zero at its start. */
struct channel_presence {
	uint64_t client;		/* unique in this machine */
	struct channel_seat *seats;	/* owned */
};

/* Who a member is.  info: a JSON value, .len 0: none. */
struct channel_who {
	struct str user, info;
};

/*
 * As hub_subscribe(), and takes its place where the rule tells members: the
 * others are told where it says "join_leave".  args->rule NULL: that of the
 * name.
 */
int channel_subscribe(struct session *s, struct channel_presence *p,
    struct hub_subscribe *args, const struct channel_who *who);
int channel_unsubscribe(struct session *s, struct channel_presence *p,
    struct str name);
/* The session has gone. */
void channel_presence_done(struct server *srv, struct channel_presence *p);

/* For the server: every 100 ms, gives up what couldn't be while the log was
 * busy; at its end, forgets it, which is the supervisor's then. */
void channel_presence_tick(struct server *srv);
void channel_presence_end(struct server *srv);

#endif
