/* SPDX-License-Identifier: MIT */
/*
 * Sessions: how a WebSocket or an event stream sits on its connection.
 *
 * Owns nothing.  Invariant: a session belongs to a connection in CONN_OPEN, or
 * is dropped when the loop's turn ends; whatever is called on it in between
 * does nothing.
 * Here: sending, pausing, deadlines and the end.  Not here: what is sent (ws.c,
 * sse.c), the socket (conn.c).
 * Context: a worker's loop.  conn.c -> [session.c] -> ws.c, sse.c
 */
#include "server/session.h"

#include "common/log.h"
#include "server/conn.h"
#include "server/internal.h"
#include "server/request.h"

/* In its own turn a message up to this size is copied into the batch: what the
 * read brought leaves by one write. */
#define SESSION_COPY_BYTES 16384
/* In another's turn both parts are put together, up to this size. */
#define SESSION_PAIR_BYTES 2048

static bool
session_is_open(const struct session *s)
{
	return s->conn != NULL && s->conn->state == CONN_OPEN;
}

/* Behind what was to be its last nothing more goes out. */
static bool
session_can_send(const struct session *s)
{
	return session_is_open(s) && !s->conn->is_closing;
}

int
response_upgrade(struct request *r, int status, struct session *s)
{
	s->conn = NULL;
	if (r->srv->is_draining) {
		s->kind->closed(s, "the server drains");
		(void)response_error(r, 503, "the server is restarting");
		(void)response_set(r, STR("Retry-After"), STR("1"));
		return 503;
	}
	(void)response_empty(r, status);
	r->res.length = CONTENT_LENGTH_UNKNOWN;
	/* A client that only asks what it would get. */
	if (r->head->method == METHOD_HEAD) {
		s->kind->closed(s, "only its head was asked for");
		return status;
	}
	r->res.kind = CONTENT_UPGRADE;
	r->res.session = s;
	return status;
}

void
session_begin(struct conn *c, struct session *s)
{
	c->session = s;
	s->conn = c;
	conn_move(c, CONN_OPEN);
	c->was_open = true;
	c->srv->stats->connections_active--;
	c->is_sent_full = c->is_closing = false;
	session_set_timer(s, c->srv->config->timeouts.write_ms);
	if (conn_flush(c, false) != -1)
		s->kind->begin(s);
}

/* Something waits now: EV_WRITE tells when it goes on, and the deadline when it
 * doesn't. */
static int
session_wait(struct conn *c)
{
	if (c->unsent == NULL)
		return 0;
	if (!c->is_sent_full) {
		c->is_sent_full = true;
		conn_note_full(c);
		c->progress_ms = (uint32_t)c->srv->clock.mono_ms;
		session_set_timer(c->session,
		    c->srv->config->timeouts.write_ms);
	}
	conn_arm(c);
	return c->state == CONN_OPEN ? 1 : -1;
}

void
session_advance(struct session *s, struct str *in)
{
	struct conn *c = s->conn;

	if (in->len > 0 && !c->is_paused && !c->is_closing)
		s->kind->advance(s, in);
	if (c->is_closing)
		*in = str_from(NULL, 0);
	if (c->state != CONN_OPEN || conn_flush(c, false) == -1 ||
	    session_wait(c) != 0 || !c->is_closing)
		return;
	conn_finish(c);
	conn_queue(c);
}

void
session_on_sent(struct session *s)
{
	struct conn *c = s->conn;

	c->progress_ms = (uint32_t)c->srv->clock.mono_ms;
	if (c->unsent == NULL && !c->is_closing)
		s->kind->drained(s);
}

void
session_on_deadline(struct session *s)
{
	struct conn *c = s->conn;
	uint32_t since_ms = (uint32_t)c->srv->clock.mono_ms - c->progress_ms;
	int64_t write_ms = c->srv->config->timeouts.write_ms;

	if (c->unsent != NULL && since_ms >= write_ms && conn_is_read(c)) {
		c->progress_ms = (uint32_t)c->srv->clock.mono_ms;
		session_set_timer(s, write_ms);
	} else if (c->unsent != NULL && since_ms >= write_ms) {
		c->srv->stats->timeouts_write++;
		session_close(s, "does not read what it is sent");
	} else if (c->is_closing) {
		session_set_timer(s, write_ms);
	} else {
		s->kind->on_deadline(s);
	}
}

void
session_drop(struct conn *c)
{
	struct session *s = c->session;

	c->session = NULL;
	s->conn = NULL;
	s->kind->closed(s, s->reason);
}

size_t
session_unsent(const struct session *s)
{
	return s->conn != NULL ? out_queue_bytes(s->conn->unsent) : 0;
}

/* In its own turn it shares the batch: what one read asked for is answered by
 * one write. */
static bool
session_is_in_turn(const struct conn *c)
{
	return c->srv->turn == c;
}

static inline int
session_batch(struct conn *c, struct str head, struct str data)
{
	struct out *out = &c->srv->out;
	size_t len = head.len + data.len;
	char *p = out_reserve(out, len);

	if (p == NULL) {
		if (conn_flush(c, true) == -1)
			return -1;
		p = out_reserve(out, len);
	}
	memcpy(p, head.p, head.len);
	if (data.len > 0)
		memcpy(p + head.len, data.p, data.len);
	out_commit(out, len);
	return 0;
}

int
session_send(struct session *s, struct str data)
{
	struct conn *c = s->conn;
	ssize_t n;

	if (!session_can_send(s))
		return -1;
	if (session_is_in_turn(c)) {
		if (data.len <= OUT_COPY_BYTES)
			return session_batch(c, STR(""), data);
		if (conn_flush(c, true) == -1)
			return -1;
	}
	n = out_send_copy(&c->unsent, conn_fd(c), data);
	if (n == -1) {
		conn_close(c, "the peer is gone");
		return -1;
	}
	c->srv->stats->bytes_out += (uint64_t)n;
	return session_wait(c);
}

/* Too long for a copy into the batch, or not in its own turn. */
static __attribute__((noinline)) int
session_send_parts(struct conn *c, struct str head, struct str data)
{
	struct out *out = &c->srv->out;

	/* The batch is another connection's. */
	if (c->srv->turn != NULL && c->srv->turn != c)
		return session_send(c->session, head) == -1 ? -1
		    : session_send(c->session, data);
	if (session_batch(c, head, STR("")) == -1)
		return -1;
	if (!out_refer(out, data, false)) {
		if (conn_flush(c, true) == -1)
			return -1;
		out_refer(out, data, false);
	}
	return conn_flush(c, false) == -1 ? -1 : session_wait(c);
}

int
session_send_pair(struct session *s, struct str head, struct str data)
{
	struct conn *c = s->conn;
	char copy[SESSION_PAIR_BYTES];

	if (!session_can_send(s))
		return -1;
	if (session_is_in_turn(c) && data.len <= SESSION_COPY_BYTES)
		return session_batch(c, head, data);
	if (c->srv->turn == NULL || session_is_in_turn(c) ||
	    head.len + data.len > sizeof(copy))
		return session_send_parts(c, head, data);
	memcpy(copy, head.p, head.len);
	if (data.len > 0)
		memcpy(copy + head.len, data.p, data.len);
	return session_send(s, str_from(copy, head.len + data.len));
}

int
session_send_shared(struct session *s, struct bytes *b, size_t from, size_t to)
{
	struct conn *c = s->conn;
	ssize_t n;

	if (!session_can_send(s) ||
	    (session_is_in_turn(c) && conn_flush(c, true) == -1))
		return -1;
	n = out_send_shared(&c->unsent, conn_fd(c), b, from, to);
	if (n == -1) {
		conn_close(c, "the peer is gone");
		return -1;
	}
	c->srv->stats->bytes_out += (uint64_t)n;
	return session_wait(c);
}

void
session_pause(struct session *s)
{
	if (!session_is_open(s) || s->conn->is_paused)
		return;
	s->conn->is_paused = true;
	conn_arm(s->conn);
}

void
session_resume(struct session *s)
{
	if (!session_is_open(s) || !s->conn->is_paused)
		return;
	s->conn->is_paused = false;
	/* Not from in here: who calls may be in the middle of something. */
	conn_queue(s->conn);
}

bool
session_is_paused(const struct session *s)
{
	return session_is_open(s) && s->conn->is_paused;
}

void
session_finish(struct session *s, const char *reason)
{
	struct conn *c = s->conn;

	if (!session_is_open(s) || c->is_closing)
		return;
	s->reason = reason;
	log_debug("connection %d: %s: %s", conn_fd(c), s->kind->name, reason);
	/* The peer may be sending still: a reset would lose our last words. */
	c->is_closing = c->is_lingering = true;
	session_set_timer(s, c->srv->config->timeouts.write_ms);
	conn_queue(c);
}

void
session_close(struct session *s, const char *reason)
{
	if (session_is_open(s))
		conn_close(s->conn, reason);
}

void
session_set_timer(struct session *s, int64_t ms)
{
	const struct server *srv = s->conn->srv;
	int64_t write_ms = srv->config->timeouts.write_ms;

	if (s->conn->unsent != NULL && ms > write_ms)
		ms = write_ms;
	wheel_set(&s->conn->srv->conn_timers, &s->conn->timer,
	    srv->clock.mono_ms + (uint64_t)ms);
}

uint64_t
session_now_ms(const struct session *s)
{
	return s->conn->srv->clock.mono_ms;
}
