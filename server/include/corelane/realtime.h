/* SPDX-License-Identifier: MIT */
/*
 * WebSockets, event streams and channels, for modules.
 *
 *	static int
 *	on_message(struct lane_ctx *c, struct lane_socket *s,
 *	    struct lane_str data, bool is_text)
 *	{
 *		return lane_publish(c, "room.1", data, LANE_PUBLISH_TEXT);
 *	}
 *
 *	static int
 *	on_open(struct lane_ctx *c, struct lane_socket *s)
 *	{
 *		return lane_subscribe(c, s,
 *		    &(struct lane_subscribe){.channel = "room.1"});
 *	}
 *
 *	static const struct lane_socket_handler room = {
 *		.open = on_open, .message = on_message,
 *	};
 *
 *	static const struct lane_route routes[] = {
 *		{.name = "room", .path = "/room", .websocket = &room}, {0}
 *	};
 *
 * A socket is a client that stays: a WebSocket, or an event stream, to which
 * the same calls send.  It outlives the request that opened it, and every
 * context; struct lane_socket is lent until its close() has returned, or would
 * have: where a route has none.  To keep one for later, keep its id:
 * lane_socket_find() says whether it is still there.
 *
 * Each callback runs in a context of its own, which may wait (SQL, offload,
 * fetch, timers) as a request's does: it returns LANE_ASYNC, and a continuation
 * goes on.  Until it has ended the socket isn't read: its messages are handled
 * in order, one at a time, and a client that sends faster is slowed. Where the
 * socket closes first the context is cancelled.  Any status and LANE_NEXT mean
 * that it is done; a negative errno is logged with route and socket, and closes
 * with 1011.
 *
 *	static int
 *	stored(struct lane_ctx *c, void *state, struct lane_rows *rows)
 *	{
 *		if (lane_rows_status(rows) != 0)
 *			return lane_rows_fail(c, rows);
 *		lane_socket_send(state, LANE_STR("stored"), true);
 *		return 200;
 *	}
 *
 *	static int
 *	on_note(struct lane_ctx *c, struct lane_socket *s,
 *	    struct lane_str data, bool is_text)
 *	{
 *		struct lane_value text[] = {lane_text(data)};
 *
 *		return lane_sql(c, .sql = "INSERT INTO note VALUES ($1)",
 *		    .params = text, .param_count = 1, .done = stored,
 *		    .state = s);
 *	}
 *
 * In a continuation `s` is as good as in the callback: it is never called
 * behind the close.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_REALTIME_H
#define CORELANE_REALTIME_H

#include <corelane/types.h>
#include <corelane/response.h>

LANE_BEGIN

struct lane_socket;

/*
 * What a route does with WebSockets (.websocket) or event streams (.events).
 * An upgrade is refused where a route has none.  Any member may be NULL.
 */
struct lane_socket_handler {
	/* Before the upgrade, in the request's context, which may wait:
	 * LANE_NEXT accepts; anything else answers the request instead (403).
	 * What it puts into lane_socket_give() is the socket's state. */
	lane_fn authorize;
	int (*open)(struct lane_ctx *c, struct lane_socket *s);
	/* A whole message; lent until the context ends.  text: valid UTF-8. */
	int (*message)(struct lane_ctx *c, struct lane_socket *s,
	    struct lane_str data, bool is_text);
	/* The client has taken what was queued: after LANE_FULL. */
	int (*drain)(struct lane_ctx *c, struct lane_socket *s);
	/* It is over: the code and reason of whoever closed first, 1006 when it
	 * was cut off (always for event streams).  Frees the state.  Its
	 * context can't wait, but lane_spawn() a task that does. */
	void (*close)(struct lane_ctx *c, struct lane_socket *s, unsigned code,
	    struct lane_str reason);
	const char *const *protocols; /* subprotocols, ends with NULL */
	const char *const *origins; /* "*": any; NULL: the same host's */
	size_t message_bytes; /* 0: the configuration's */
	size_t queue_bytes; /* 0: the configuration's */
};

/* In authorize(): the state that lane_socket_state() gives ever after; taken.
 * Freed by close(), or by `drop` where the upgrade fails, or there is no
 * close(). */
void lane_socket_give(struct lane_ctx *c, void *state,
    void (*drop)(void *state));
void *lane_socket_state(const struct lane_socket *s);

/* Never used again by another socket of this machine. */
uint64_t lane_socket_id(const struct lane_socket *s);
/* NULL: closed, or another worker's. */
struct lane_socket *lane_socket_find(struct lane_ctx *c, uint64_t id);
struct lane_str lane_socket_protocol(const struct lane_socket *s);
bool lane_socket_is_events(const struct lane_socket *s);

/*
 * Sends a message: a text must be UTF-8, or it is dropped and logged.  To an
 * event stream it is an event with this data.  LANE_FULL: the last that was
 * queued, drain() will tell.
 */
enum lane_write_result lane_socket_send(
    struct lane_socket *s, struct lane_str data, bool is_text);
struct lane_event {
	const char *name; /* NULL: "message" */
	struct lane_str id; /* p == NULL: none */
	struct lane_str data;
	int64_t retry_ms; /* 0: none */
};
/* To an event stream; LANE_GONE to a WebSocket. */
enum lane_write_result lane_socket_event(
    struct lane_socket *s, const struct lane_event *event);
/* code: 1000, or 3000 to 4999 (a client comes back for 3000 to 3499, and stays
 * away for 3500 to 3999).  reason: at most 123 bytes, shown to the client. */
void lane_socket_close(struct lane_socket *s, unsigned code,
    const char *reason);

/*
 * Publishes to all subscribers of a channel, on every worker and machine.
 * data: copied.  position, which may be NULL, gets the message's
 * "epoch:offset"; lent until the context ends.
 * Returns 0; -EINVAL (the name, or data that is no UTF-8 or JSON), -EMSGSIZE,
 * -ENOENT (no rule in the configuration matches), -ENOSPC, -EBUSY.
 * Rules' "publish" isn't asked: the module decides.
 */
enum lane_publish_kind {
	LANE_PUBLISH_TEXT,
	LANE_PUBLISH_JSON,
	LANE_PUBLISH_BINARY
};
int lane_publish(struct lane_ctx *c, const char *channel, struct lane_str data,
    enum lane_publish_kind kind) LANE_CHECKED;
int lane_publish_to(struct lane_ctx *c, struct lane_str channel,
    struct lane_str data, enum lane_publish_kind kind,
    struct lane_str *position) LANE_CHECKED;

/* Subscribes a socket to a channel, or to "room.*". */
struct lane_subscribe {
	const char *channel;
	/* Where the client was: "epoch:offset"; p == NULL: from now on. */
	struct lane_str since;
	unsigned history; /* without `since`: the last so many first */
	/* false: messages as they were published; true: wrapped, as in
	 * {"type":"message","channel","id","time","data"}.  To an event stream
	 * each is an event, with its position as the id. */
	bool is_wrapped;
	/* user.p: makes the client a member whom lane_members() tells, where
	 * the channel's rule has "presence": "members". */
	struct lane_str user, info; /* info: a JSON value */
	/* Called before what was missed is sent: the place to tell the
	 * client.  recovered: nothing since `since` is missing. */
	void (*announce)(struct lane_ctx *c, struct lane_socket *s,
	    struct lane_str position, bool recovered, unsigned missed);
};
/* Messages of one channel come in their order; those of two in any.
 * Returns 0, -EEXIST, -EINVAL (the name, `since`, or info), -ENOENT (no rule),
 * -ENOSPC, -EBUSY, -ENOMEM, or -ENOTCONN when it is closed. */
int lane_subscribe(struct lane_ctx *c, struct lane_socket *s,
    const struct lane_subscribe *args) LANE_CHECKED;
int lane_unsubscribe(struct lane_socket *s, const char *channel);

/* The newest messages of a channel, at most `max`, oldest first, as its rule
 * keeps them.  Returns how many fn was called for. */
struct lane_message {
	struct lane_str channel, position, data;
	enum lane_publish_kind kind;
	int64_t time_ms; /* Unix */
};
size_t lane_history(struct lane_ctx *c, const char *channel, size_t max,
    void (*fn)(const struct lane_message *m, void *arg), void *arg);

/* How many subscribers a channel has on this machine; and who they are, at
 * most `max`.  Returns how many members there are. */
struct lane_member {
	struct lane_str user, info;
	uint64_t client;
	int64_t since_ms; /* Unix */
};
uint64_t lane_subscribers(struct lane_ctx *c, const char *channel);
size_t lane_members(struct lane_ctx *c, const char *channel, size_t max,
    void (*fn)(const struct lane_member *m, void *arg), void *arg);

/*
 * Who may subscribe and publish, by the module: "subscribe": "module.name" in
 * a rule of config.channels.  Asked before each, without waiting; false
 * refuses.
 *
 *	static bool
 *	may(struct lane_ctx *c, const struct lane_channel_ask *ask)
 *	{
 *		return ask->user.p != NULL && ask->data.len < 1000;
 *	}
 *
 *	static const struct lane_channel_rule rules[] = {
 *		{.name = "may", .may = may}, {0}
 *	};
 *
 *	LANE_MODULE(.name = "game", .channel_rules = rules);
 */
enum lane_channel_action { LANE_CHANNEL_SUBSCRIBE, LANE_CHANNEL_PUBLISH };
struct lane_channel_ask {
	enum lane_channel_action action;
	struct lane_str channel;
	struct lane_str user; /* the token's subject; p == NULL: none */
	struct lane_str claims; /* the token's, JSON; p == NULL: none */
	struct lane_str data; /* what is to be published */
};
struct lane_channel_rule {
	const char *name; /* NULL ends a list */
	bool (*may)(struct lane_ctx *c, const struct lane_channel_ask *ask);
};

LANE_END

#endif
