/* SPDX-License-Identifier: MIT */
/*
 * Connections: reading, sending, deadlines and the way out; what the bytes mean
 * is the protocol's business.
 *
 * Owns: the socket, kept input, the queue of unsent bytes, the request under
 * way.  Invariant: between two requests it owns no buffer; at any time exactly
 * what it waits for is armed.
 * Here: the mechanics.  Not here: HTTP (http1.c), raw TCP (tcp.c).
 * Context: a worker's loop.  workers/listener.c -> [conn.c] -> http1.c
 */
#include "server/conn.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "server/http1.h"
#include "server/internal.h"
#include "server/peers.h"
#include "server/request.h"
#include "server/session.h"
#include "server/tcp.h"

/* What a peer may still send after its last answer: its bytes and its time. */
#define LINGER_BYTES (4u << 20)
/* Between two looks whether a client is there that isn't read from. */
#define CONN_LOOK_MS 1000
#define LINGER_MS 2000

static void conn_on_event(evutil_socket_t fd, short what, void *arg);

#define TO(state) (1u << (state))

/* The arrows of the drawing in conn.h, and from everywhere to CLOSED; asked for
 * by an assert alone. */
static const unsigned conn_arrows[] __attribute__((unused)) = {
	[CONN_IDLE] = TO(CONN_HEAD) | TO(CONN_BODY) | TO(CONN_HANDLER) |
	    TO(CONN_SEND) | TO(CONN_LINGER),
	[CONN_HEAD] = TO(CONN_IDLE) | TO(CONN_BODY) | TO(CONN_HANDLER) |
	    TO(CONN_SEND) | TO(CONN_LINGER),
	[CONN_BODY] = TO(CONN_HANDLER) | TO(CONN_SEND) | TO(CONN_LINGER),
	[CONN_HANDLER] = TO(CONN_BODY) | TO(CONN_SEND) | TO(CONN_LINGER),
	[CONN_SEND] = TO(CONN_IDLE) | TO(CONN_DISCARD) | TO(CONN_OPEN) |
	    TO(CONN_LINGER),
	[CONN_DISCARD] = TO(CONN_IDLE) | TO(CONN_LINGER),
	[CONN_OPEN] = TO(CONN_LINGER),
	[CONN_LINGER] = 0,
	[CONN_CLOSED] = 0,
};

void
conn_move(struct conn *c, enum conn_state state)
{
	struct stats *s = c->srv->stats;

	if (c->state == state)
		return;
	assert(state == CONN_CLOSED || (conn_arrows[c->state] & TO(state)));
	if (c->service != SERVICE_TCP_ECHO) {
		s->connections_idle -= c->state == CONN_IDLE;
		s->connections_idle += state == CONN_IDLE;
	}
	c->state = (uint8_t)state;
}

void
conn_set_timer(struct conn *c, int64_t ms)
{
	c->progress = 0;
	c->progress_ms = (uint32_t)c->srv->clock.mono_ms;
	wheel_set(&c->srv->conn_timers, &c->timer,
	    c->srv->clock.mono_ms + (uint64_t)ms);
}

void
conn_note_progress(struct conn *c, size_t bytes, int64_t ms)
{
	uint64_t now_ms = c->srv->clock.mono_ms;
	int64_t left = CONN_PROGRESS_SPANS * ms -
	    (int64_t)((uint32_t)now_ms - c->progress_ms);

	c->progress += (uint32_t)bytes;
	if (c->progress >= CONN_PROGRESS_BYTES) {
		conn_set_timer(c, ms);
		return;
	}
	if (left < 0)
		left = 0;
	wheel_set(&c->srv->conn_timers, &c->timer,
	    now_ms + (uint64_t)(left < ms ? left : ms));
}

/* What the peer hasn't acknowledged. */
static uint32_t
conn_kernel_bytes(const struct conn *c)
{
	int bytes = 0;

	return ioctl(conn_fd(c), SIOCOUTQ, &bytes) == 0 ? (uint32_t)bytes : 0;
}

void
conn_note_full(struct conn *c)
{
	c->kernel_bytes = conn_kernel_bytes(c);
}

bool
conn_is_read(struct conn *c)
{
	uint32_t before = c->kernel_bytes;

	conn_note_full(c);
	return before > c->kernel_bytes &&
	    before - c->kernel_bytes >= CONN_PROGRESS_BYTES;
}

/* Arms exactly `want`.  A listening epoll set costs nothing while it stays as
 * it is, which on a keep-alive connection is always. */
static void
conn_want(struct conn *c, short want)
{
	int fd = conn_fd(c);

	if (c->want == (uint8_t)want)
		return;
	if (c->want != 0)
		event_del(&c->event);
	c->want = (uint8_t)want;
	if (want == 0)
		return;
	event_assign(&c->event, c->srv->base, fd, (short)(want | EV_PERSIST),
	    conn_on_event, c);
	if (event_add(&c->event, NULL) == -1) {
		c->want = 0;
		conn_close(c, "no memory for its event");
	}
}

static void
conn_set_peer(struct conn *c, const struct sockaddr *peer)
{
	const struct sockaddr_in *v4;
	const struct sockaddr_in6 *v6;

	c->family = (uint8_t)peer->sa_family;
	if (peer->sa_family == AF_INET) {
		v4 = (const void *)peer;
		c->port = v4->sin_port;
		c->peer.v4 = v4->sin_addr;
	} else if (peer->sa_family == AF_INET6) {
		v6 = (const void *)peer;
		c->port = v6->sin6_port;
		c->peer.v6 = v6->sin6_addr;
	}
}

static void
conn_refuse(struct server *srv, struct conn *c, int fd)
{
	pool_put(&srv->conns, c);
	close(fd);
	srv->stats->connections_refused++;
}

void
conn_open(struct server *srv, int fd, enum service_kind service,
    const struct sockaddr *peer)
{
	struct conn *c = pool_get(&srv->conns);
	const struct config *cfg = srv->config;

	srv->stats->connections++;
	if (c == NULL) {
		srv->stats->memory_errors++;
		conn_refuse(srv, c, fd);
		return;
	}
	memset(c, 0, sizeof(*c));
	c->srv = srv;
	c->service = (uint8_t)service;
	conn_set_peer(c, peer);
	if (srv->peers != NULL && service != SERVICE_ADMIN) {
		if (!peers_enter(srv->peers, c)) {
			conn_refuse(srv, c, fd);
			return;
		}
		c->is_counted = true;
	}
	event_assign(&c->event, srv->base, fd, EV_READ | EV_PERSIST,
	    conn_on_event, c);
	if (event_add(&c->event, NULL) == -1) {
		if (c->is_counted)
			peers_leave(srv->peers, c);
		srv->stats->memory_errors++;
		conn_refuse(srv, c, fd);
		return;
	}
	c->want = EV_READ;
	srv->conn_count++;
	if (service == SERVICE_TCP_ECHO) {
		srv->stats->tcp_active++;
	} else {
		srv->stats->connections_active++;
		srv->stats->connections_idle++;
	}
	/* Who connects and says nothing has as long as for a head. */
	conn_set_timer(c, srv->is_draining ? SERVER_DRAIN_GRACE_MS :
	    service == SERVICE_TCP_ECHO ? cfg->timeouts.idle_ms :
	    cfg->timeouts.head_ms);
}

void
conn_queue(struct conn *c)
{
	if (c->is_queued)
		return;
	c->is_queued = true;
	c->next_queued = c->srv->queued;
	c->srv->queued = c;
}

void
conn_close(struct conn *c, const char *reason)
{
	struct server *srv = c->srv;

	if (c->state == CONN_CLOSED)
		return;
	log_debug("connection %d: %s", conn_fd(c), reason);
	if (c->req != NULL)
		http1_abort(c);
	wheel_clear(&c->timer);
	if (c->want != 0)
		event_del(&c->event);
	c->want = 0;
	close(conn_fd(c));
	out_queue_free(c->unsent);
	c->unsent = NULL;
	free(c->input);
	c->input = NULL;
	conn_move(c, CONN_CLOSED);
	if (c->is_counted)
		peers_leave(srv->peers, c);
	srv->conn_count--;
	if (c->service == SERVICE_TCP_ECHO)
		srv->stats->tcp_active--;
	else if (!c->was_open)
		srv->stats->connections_active--;
	if (c->session != NULL && c->session->reason == NULL)
		c->session->reason = reason;
	conn_queue(c);
}

void
conn_free(struct conn *c)
{
	if (c->req != NULL)
		request_free(c->req);
	if (c->session != NULL)
		session_drop(c);
	pool_put(&c->srv->conns, c);
}

void
conn_finish(struct conn *c)
{
	if (!c->is_lingering && c->input == NULL) {
		conn_close(c, "closed after its last response");
		return;
	}
	/* RFC 9112 9.6: closing on unread input resets the connection, and the
	 * peer may lose the answer that explains why. */
	if (shutdown(conn_fd(c), SHUT_WR) == -1) {
		conn_close(c, "closed by the peer");
		return;
	}
	free(c->input);
	c->input = NULL;
	conn_move(c, CONN_LINGER);
	conn_set_timer(c, LINGER_MS);
}

int
conn_flush(struct conn *c, bool more)
{
	ssize_t n = out_flush(&c->srv->out, conn_fd(c), &c->unsent, more);

	if (n == -1) {
		conn_close(c, "the peer is gone");
		return -1;
	}
	c->srv->stats->bytes_out += (uint64_t)n;
	return c->unsent != NULL;
}

void
conn_cut(struct conn *c, const char *reason)
{
	if (c->state != CONN_CLOSED && conn_flush(c, false) != -1)
		conn_close(c, reason);
}

/* What wasn't used is kept, in memory of its own size. */
static int
conn_keep_input(struct conn *c, struct str rest)
{
	struct conn_input *input = c->input;

	if (rest.len == 0) {
		free(input);
		c->input = NULL;
		return 0;
	}
	/* The same bytes: what is known of them may be new. */
	if (input != NULL && input->len == rest.len &&
	    memcmp(input->data, rest.p, rest.len) == 0) {
		input->scan = c->srv->scan;
		return 0;
	}
	input = malloc(sizeof(*input) + rest.len);
	if (input == NULL)
		return -1;
	input->scan = c->srv->scan;
	input->len = (uint32_t)rest.len;
	memcpy(input->data, rest.p, rest.len);
	free(c->input);
	c->input = input;
	return 0;
}

/* What the state waits for. */
static short
conn_wants(const struct conn *c)
{
	short want = 0;

	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
	case CONN_HEAD:
	case CONN_DISCARD:
	case CONN_LINGER:
		want = EV_READ;
		break;
	case CONN_BODY:
		want = c->req->is_body_paused ? 0 : EV_READ;
		break;
	case CONN_HANDLER:
		/* An end of file tells that nobody waits for the answer; once
		 * more requests have come, they wait in the kernel. */
		want = c->input == NULL || http1_takes_body(c->req)
		    ? EV_READ : 0;
		break;
	case CONN_SEND:
		if (c->is_sent_full)
			want = EV_WRITE;
		else if (c->input == NULL)
			want = EV_READ;
		if (c->req != NULL && http1_takes_body(c->req))
			want |= EV_READ;
		break;
	case CONN_OPEN:
		/* Nothing is read, but an end of file ends what waits. */
		want = c->is_paused ? EV_CLOSED : EV_READ;
		break;
	case CONN_CLOSED:
		break;
	}
	return want | (c->unsent != NULL ? EV_WRITE : 0);
}

/* A handler is at work, and with the next request here nothing is read that
 * could tell that the client has gone. */
static bool
conn_is_deaf(const struct conn *c)
{
	return c->state == CONN_HANDLER && c->want == 0 &&
	    !http1_takes_body(c->req);
}

/* Reset, that is; one that only sends no more may wait for its answers. */
static bool
conn_is_lost(const struct conn *c)
{
	struct pollfd fd = {.fd = conn_fd(c)};

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLERR | POLLHUP);
}

/* Works with `in` until the connection has to wait, then leaves it so that the
 * right event wakes it. */
static void
conn_turn(struct conn *c, struct str in)
{
	struct server *srv = c->srv;

	srv->turn = c;
	if (c->service == SERVICE_TCP_ECHO)
		tcp_advance(c, &in);
	else if (c->state != CONN_OPEN)
		http1_advance(c, &in);
	if (c->state == CONN_OPEN)
		session_advance(c->session, &in);
	srv->turn = NULL;
	if (c->state == CONN_CLOSED)
		return;
	if (conn_keep_input(c, in) == -1) {
		srv->stats->memory_errors++;
		conn_close(c, "no memory for its input");
		return;
	}
	conn_want(c, conn_wants(c));
	if (conn_is_deaf(c))
		conn_set_timer(c, CONN_LOOK_MS);
}

void
conn_arm(struct conn *c)
{
	if (c->state != CONN_CLOSED && c != c->srv->turn)
		conn_want(c, conn_wants(c));
}

void
conn_continue(struct conn *c)
{
	struct server *srv = c->srv;
	size_t len = c->input != NULL ? c->input->len : 0;

	if (c->state == CONN_CLOSED)
		return;
	if (srv->turn != NULL) {
		conn_queue(c);
		return;
	}
	server_wake(srv);
	if (len > 0)
		memcpy(srv->scratch, c->input->data, len);
	conn_turn(c, str_from(srv->scratch, len));
}

/* The peer has closed, or half-closed: a client that waits for an answer and
 * can't ask for another. */
static void
conn_on_eof(struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
		conn_close(c, "closed by the peer");
		return;
	case CONN_HEAD:
		conn_close(c, "closed by the peer inside a head");
		return;
	case CONN_BODY:
		conn_close(c, "closed by the peer inside its content");
		return;
	case CONN_HANDLER:
	case CONN_SEND:
		conn_close(c, "closed by the peer before its answer");
		return;
	case CONN_DISCARD:
	case CONN_OPEN:
	case CONN_LINGER:
	case CONN_CLOSED:
		conn_close(c, "closed by the peer");
		return;
	}
}

static void
conn_on_readable(struct conn *c)
{
	struct server *srv = c->srv;
	size_t kept = c->input != NULL ? c->input->len : 0;
	ssize_t n;

	n = recv(conn_fd(c), srv->scratch + kept, srv->scratch_bytes - kept, 0);
	if (n == 0) {
		conn_on_eof(c);
		return;
	}
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			conn_close(c, "reset by the peer");
		return;
	}
	srv->stats->bytes_in += (uint64_t)n;
	if (c->state == CONN_LINGER) {
		c->progress += (uint32_t)n;
		if (c->progress > LINGER_BYTES)
			conn_close(c, "sends on after its last response");
		return;
	}
	if (kept > 0)
		memcpy(srv->scratch, c->input->data, kept);
	conn_turn(c, str_from(srv->scratch, kept + (size_t)n));
}

static void
conn_on_writable(struct conn *c)
{
	ssize_t n = out_queue_send(&c->unsent, conn_fd(c));

	if (n == -1) {
		conn_close(c, "the peer is gone");
		return;
	}
	c->srv->stats->bytes_out += (uint64_t)n;
	c->is_sent_full = c->unsent != NULL;
	if (c->is_sent_full)
		conn_note_full(c);
	if (c->state == CONN_OPEN)
		session_on_sent(c->session);
	else
		conn_note_progress(c, (size_t)n,
		    c->srv->config->timeouts.write_ms);
	if (c->unsent == NULL)
		conn_continue(c);
}

static void
conn_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	server_wake(c->srv);
	if (what & EV_WRITE)
		conn_on_writable(c);
	/* As that has left it: closed, it wants nothing. */
	if (what & c->want & EV_READ)
		conn_on_readable(c);
	else if (what & c->want & EV_CLOSED)
		conn_close(c, "closed by the peer");
}

void
conn_on_deadline(struct wheel_node *node, void *arg)
{
	struct conn *c = (struct conn *)((char *)node -
	    offsetof(struct conn, timer));

	/* A loop that was late may find that the peer wasn't: what waits in the
	 * socket counts before the deadline does. */
	if (c->want & EV_READ && c->state != CONN_LINGER) {
		conn_on_readable(c);
		if (c->state == CONN_CLOSED || c->timer.prev != NULL)
			return;
	}
	if (conn_is_deaf(c) && conn_is_lost(c))
		conn_close(c, "reset by the peer before its answer");
	else if (conn_is_deaf(c))
		conn_set_timer(c, CONN_LOOK_MS);
	else if (c->state == CONN_HANDLER && !http1_takes_body(c->req))
		conn_set_timer(c, HTTP1_HANDLER_MS);
	else if (c->state == CONN_OPEN)
		session_on_deadline(c->session);
	else if (c->service == SERVICE_TCP_ECHO)
		tcp_on_deadline(c);
	else
		http1_on_deadline(c);
	/* A refusal that waits behind unread answers. */
	if (c->state != CONN_CLOSED && c->timer.prev == NULL)
		conn_set_timer(c, c->srv->config->timeouts.write_ms);
}
