/* SPDX-License-Identifier: MIT */
/*
 * The hub: this worker's subscribers, and how messages of the shared log
 * (common/channel_log.h) get to them.
 *
 *	publish --> log --wake--> hub_turn(), once per turn of the loop
 *	                             |
 *	             entries by channel, each framed once per form
 *	                             |
 *	        one buffer per channel and form, shared by reference
 *	                  /          |           \
 *	            subscription  subscription  subscription
 *	              one send      one send     behind: nothing
 *
 * All that one turn of the loop has published leaves in one write per
 * subscriber.  A subscription knows the offset of the last message that it was
 * given; so one whose socket is full needs no queue: it is *behind*, and when
 * its session has drained it reads on from the log.  What it may miss by then
 * is its rule's business (on_slow):
 *
 *	disconnect	more than queue_bytes behind: closed with 1013
 *	drop_oldest	goes on with the newest queue_bytes
 *	latest		goes on with the last message alone
 *
 * A worker that the log has lapped finds the gap by the offsets, and treats its
 * subscribers as if each had been that slow.
 *
 * Subscribing is atomic: the log tells the channel's offset at the moment it
 * begins to wake us; what was missed is read from the log up to there, what is
 * published later comes by hub_turn(), and an offset is given once.
 *
 * Owns: subscriptions, framed batches.  Invariant: a subscription is given a
 * channel's messages in order, each at most once; and none is left out without
 * being counted and, if asked for, told.
 * Here: fan-out and recovery.  Not here: who may subscribe (channel.h), frames
 * (ws_frame.h), events (sse.h), deflate (ws_deflate.h).
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_HUB_H
#define CORELANE_SERVER_HUB_H

#include "common/channel_log.h"
#include "config/config.h"
#include "server/session.h"

struct hub;
struct server;
struct subscription;

/* How messages are put to a subscriber. */
enum hub_form {
	HUB_RAW,	/* a WebSocket message that is the data */
	HUB_JSON,	/* {"type":"message","channel","id","time","data"} */
	HUB_EVENT,	/* an SSE event: id, data; join and leave by name */
	HUB_TAGGED,	/* an SSE event: HUB_JSON, its id by sse_app's tag */
	HUB_FORM_COUNT
};

/* A given log, or NULL for one of the server's own (a test's, one worker's).
 * wake_fd: readable when there is news; -1: none. */
struct hub *hub_new(struct server *srv, struct channel_log *log,
    unsigned reader, int wake_fd, struct error *err)
    __attribute__((warn_unused_result));
void hub_free(struct hub *hub);

/* What came of a subscription. */
struct hub_subscribed {
	struct channel_position position; /* the last that is before live */
	bool was_recovered;	/* nothing since `since` is missing */
	unsigned missed;	/* how many of history are sent now */
	uint32_t subscribers;
};

/* A channel or a pattern, and from where. */
struct hub_subscribe {
	struct str channel;		/* or "room.*": no history then */
	const struct config_channel *rule;	/* lent */
	enum hub_form form;
	bool wants_recovery;		/* since is a position */
	struct channel_position since;
	unsigned history;	/* no position: the last so many first */
	/* Called with what came of it before anything of it is sent: the place
	 * for the reply that announces it.  May be NULL. */
	void (*announce)(struct session *s, const struct hub_subscribed *got,
	    void *arg);
	void *arg;
};
/*
 * Subscribes a session; what it is owed is sent, or it is behind.
 * Returns 0; -EEXIST when it has that one already, -EINVAL, -ENOSPC, -EBUSY,
 * -ENOMEM, or -ENOTCONN when the session was closed by it.
 */
int hub_subscribe(struct hub *hub, struct session *s,
    const struct hub_subscribe *args, struct hub_subscribed *ret_got);
/*
 * Whether what a subscription is to begin with may lie at other machines still:
 * then it is on its way here, and fn is called once it has come, or after
 * HUB_AWAIT_MS without (is_here false), unless the session is forgotten first.
 * One at a time for each session.
 */
#define HUB_AWAIT_MS 1000
bool hub_await(struct hub *hub, struct session *s,
    const struct hub_subscribe *args,
    void (*fn)(struct session *s, bool is_here));

/* Returns 0 or -ENOENT. */
int hub_unsubscribe(struct session *s, struct str channel);
bool hub_has(const struct session *s, struct str channel);
unsigned hub_count(const struct session *s);
/* The channel that it has, the newest where it has more; .p NULL: none.  Lent
 * while it has it. */
struct str hub_channel_of(const struct session *s);

/* How far it is in each channel, patterns aside: "a=5f3a9c21:42,b=77d01e00:7".
 */
void hub_print_positions(const struct session *s, struct buf *out);

/* For the kinds of sessions: all that it has is dropped; it has drained. */
void hub_forget(struct session *s);
void hub_drained(struct session *s);

/* Publishes: to the log, and at the end of the turn to our own subscribers.
 * Returns as channel_log_publish(). */
int hub_publish(struct hub *hub, const struct channel_message *message,
    struct channel_position *ret_pos);

/* What is asked of a channel's history. */
struct hub_past {
	struct str channel;
	const struct config_channel *rule;
	const struct channel_position *since;	/* NULL: the newest */
	size_t max;
};
/* The history that a rule allows, oldest first: calls fn for at most `max`
 * entries behind `since`.  Returns how many; *ret_whole: nothing between is
 * missing. */
size_t hub_history(struct hub *hub, const struct hub_past *past,
    bool *ret_whole,
    void (*fn)(const struct channel_entry *e, void *arg), void *arg);

/* The text that HUB_JSON has of an entry: for replies of the same form. */
void hub_print_json(struct buf *out, const struct channel_entry *e);

struct channel_log *hub_log(struct hub *hub);
unsigned hub_reader(const struct hub *hub);

/* For the server: at the end of each turn, and every 100 ms. */
void hub_turn(struct hub *hub);
void hub_tick(struct hub *hub);

#endif
