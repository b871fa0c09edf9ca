/* SPDX-License-Identifier: MIT */
/*
 * Server-Sent Events (WHATWG HTML 9.2): a response that never ends, a text of
 * events.
 *
 *	id: 5f3a9c21:42
 *	event: metrics
 *	data: the first line
 *	data: the second
 *
 * An open stream is a session without input: what a client still sends is
 * dropped, its end of file is the end.  The response has no length and ends
 * with the connection, in 1.1 too: a stream costs no framing, and events are
 * shared between all who get them.  A comment (":\n\n") is sent where nothing
 * was for sse.heartbeat, so that proxies keep it and dead peers are found.
 *
 * Owns: the app's state until closed().
 * Here: the stream and the form of events.  Not here: where events come from.
 * Context: the loop's thread.  conn.c -> session.h -> [sse.c] -> an sse_app
 */
#ifndef CORELANE_SERVER_SSE_H
#define CORELANE_SERVER_SSE_H

#include "common/buf.h"
#include "config/config.h"
#include "server/session.h"

struct sse;
struct server;

struct sse_app {
	const char *name;
	void (*open)(struct sse *e);	/* may be NULL */
	void (*drain)(struct sse *e);	/* may be NULL */
	/* Appends the id of an event that is about to be sent to it as
	 * HUB_TAGGED: one that isn't the same for all who get it.  NULL:
	 * hub_print_positions(). */
	void (*tag)(struct sse *e, struct buf *out);
	/* It is over.  Frees the app's state.  Never NULL. */
	void (*close)(struct sse *e);
};

struct sse_options {
	const struct sse_app *app;
	const struct config_sse *config;
	size_t queue_bytes;
};

/* Whether the client wants one: Accept has text/event-stream. */
bool sse_is_asked(const struct request *r);

/* Last-Event-ID, or ?last_event_id= where a browser can't send a field; .p
 * NULL: neither.  In the arena. */
struct str sse_last_id(struct request *r);

/*
 * Begins: 200, text/event-stream, no cache, no proxy's buffering, the `retry`
 * of the configuration.  options: lent.  state: the app's, taken: close() is
 * called with it in any case.  ret_sse: where the app can find it, or NULL.
 * Returns the status, or a negative errno.
 */
int sse_accept(struct request *r, const struct sse_options *options,
    void *state, struct sse **ret_sse);

struct session *sse_session(struct sse *e);
struct sse *sse_of_session(struct session *s); /* NULL: it is none */
struct server *sse_server(const struct sse *e);
const struct sse_options *sse_options_of(const struct sse *e);
void *sse_state(const struct sse *e);
void sse_set_state(struct sse *e, void *state);

/*
 * One event.  id, name: one that has a line end or NUL, which would be the
 * start of something else, is left out; .p NULL: none.  data: any text; each
 * of its lines (LF, CR, CRLF) becomes a "data:".
 */
struct sse_event {
	struct str id, name, data;
	int64_t retry_ms;		/* 0: none */
};
/* Appends its text to `out`. */
void sse_format(struct buf *out, const struct sse_event *event);

/* Sends an event, or queues it. */
enum session_sent sse_send(struct sse *e, const struct sse_event *event);

/* For what sends to it past sse_send(): no heartbeat is due for a while. */
void sse_note_sent(struct session *s);

/* The id of an event that is about to be sent to it: see struct sse_app. */
void sse_tag(struct session *s, struct buf *out);

/* Ends it; retry_ms: how long the client should wait, 0: as it knows. */
void sse_close(struct sse *e, int64_t retry_ms, const char *reason);
/* As ws_set_expiry(). */
void sse_set_expiry(struct sse *e, int64_t real_s);

/* For the server. */
int sse_init(struct server *srv);
void sse_done(struct server *srv);

#endif
