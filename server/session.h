/* SPDX-License-Identifier: MIT */
/*
 * What a connection becomes when it stops speaking HTTP and stays open: a
 * WebSocket (ws.h) or an event stream (sse.h).
 *
 *	request --response_upgrade()--> head sent, request freed
 *	                                     |
 *	                                     v
 *	        conn (CONN_OPEN) --owns--> session --subs--> hub.h
 *
 * A session is the first member of its kind's own struct, comes from that
 * kind's pool and is all that an idle one has beside its connection: no buffer,
 * no request, no arena.  What it is can be written down as a small record
 * (kind, extensions, subscriptions with offsets, claims), which is what handing
 * it to another worker needs.
 *
 * The connection reads into the worker's scratch buffer and gives it to
 * advance(); what that leaves is kept and comes again in front of what is read
 * next.  Nothing is freed inside a callback: after session_close() or
 * session_finish() every call on the session does nothing, and when the loop's
 * turn ends closed() is called, once, which drops what the session owns and the
 * session itself.
 *
 * Owns nothing of its own.  Here: the seam between conn.c and the kinds.  Not
 * here: frames, events, subscriptions.
 * Context: the loop's thread.  conn.c -> [session.h] -> ws.c, sse.c -> hub.c
 */
#ifndef CORELANE_SERVER_SESSION_H
#define CORELANE_SERVER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/str.h"

struct conn;
struct request;
struct session;
struct subscription;

struct session_kind {
	const char *name;		/* "websocket", "sse" */

	/* The connection is the session's now: its head has left, or is queued.
	 * `in` may hold what the client sent right behind its request. */
	void (*begin)(struct session *s);

	/* Input: moves `in` past what it used.  The rest is kept. */
	void (*advance)(struct session *s, struct str *in);

	/* Nothing is queued any more: the place to go on sending. */
	void (*drained)(struct session *s);

	/* The deadline is over, or earlier, when it had to be moved: looks what
	 * is due, and sets the next one. */
	void (*on_deadline)(struct session *s);

	/* The server drains: sends the client elsewhere, in its own time. */
	void (*leave)(struct session *s);

	/* It is over, and s->conn is NULL: drops all that the session owns,
	 * itself included.  reason: a literal. */
	void (*closed)(struct session *s, const char *reason);
};

struct session {
	const struct session_kind *kind;
	struct conn *conn;		/* lent: as long as the session */
	struct subscription *subscriptions; /* hub.h's; NULL: none */
	const char *reason;		/* why it ends, for closed() */
};

/*
 * For a handler: the response is `status` with the fields it has set and no
 * content, and then the connection is `s`'s.  Where that doesn't come to pass
 * (the client goes, a hook answers otherwise) s->kind->closed() is called all
 * the same.
 * s: taken.  s->conn is set.
 * Returns the status, or a negative errno.
 */
int response_upgrade(struct request *r, int status, struct session *s);

/* What became of a message or an event that was to be sent. */
enum session_sent {
	SESSION_OK,		/* sent, or queued */
	SESSION_FULL,		/* queued, the last one: wait for drain() */
	SESSION_DROPPED,	/* not queued: no room */
	SESSION_GONE		/* closing or closed */
};

/* Unsent bytes: what the client hasn't taken yet. */
size_t session_unsent(const struct session *s);

/*
 * Sends behind what is unsent.  What the socket doesn't take is queued: copied
 * by session_send(), a reference for session_send_shared(), which sends
 * b->data[from..to).
 * In the session's own turn (begin, advance) small pieces share the worker's
 * batch, which leaves when the turn ends.
 * Returns 0 when all is with the kernel or in the batch, 1 when some is queued,
 * -1 when the connection is closed, by it or before.
 */
int session_send(struct session *s, struct str data);
int session_send_shared(struct session *s, struct bytes *b, size_t from,
    size_t to);
/* The same for what is in two places and should leave as one: a short head,
 * and what belongs to it. */
int session_send_pair(struct session *s, struct str head, struct str data);

/* Stops reading, or goes on with what is kept already. */
void session_pause(struct session *s);
void session_resume(struct session *s);
bool session_is_paused(const struct session *s);

/* The end once all that is queued has been sent; session_close(): at once.
 * reason: a literal, for the log. */
void session_finish(struct session *s, const char *reason);
void session_close(struct session *s, const char *reason);

/* The next on_deadline(), `ms` from now. */
void session_set_timer(struct session *s, int64_t ms);

/* CLOCK_MONOTONIC of this turn. */
uint64_t session_now_ms(const struct session *s);

/* --- for conn.c and http1.c --- */

/* The head of the response is in the batch: the connection is the session's. */
void session_begin(struct conn *c, struct session *s);
void session_advance(struct session *s, struct str *in);
void session_on_sent(struct session *s);
void session_on_deadline(struct session *s);
/* The connection has let go of it. */
void session_drop(struct conn *c);

#endif
