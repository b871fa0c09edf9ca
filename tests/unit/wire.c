/* SPDX-License-Identifier: MIT */
/*
 * The client that is told what to do.
 *
 * Owns its end of the socketpair and what it has read.
 * Here: steps.  Not here: what is right (the tests).
 * Context: the test's thread.
 */
#include "tests/unit/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

/* The kernel makes the smallest there is of it. */
#define WIRE_SMALL_BYTES 1
/* Turns without an event after which a server has settled. */
#define WIRE_QUIET_TURNS 4

static void
wire_open_sized(struct loopback *lo, struct wire *w, int bytes)
{
	int pair[2];

	memset(w, 0, sizeof(*w));
	w->lo = lo;
	buf_init(&w->text, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	if (bytes > 0)
		assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF,
		    &bytes, sizeof(bytes)), 0);
	w->fd = pair[0];
	server_accept(lo->srv, pair[1], lo->service,
	    (struct sockaddr *)&lo->peer, sizeof(lo->peer));
}

void
wire_open(struct loopback *lo, struct wire *w)
{
	wire_open_sized(lo, w, 0);
}

void
wire_open_small(struct loopback *lo, struct wire *w)
{
	wire_open_sized(lo, w, WIRE_SMALL_BYTES);
}

void
wire_close(struct wire *w)
{
	close(w->fd);
	buf_done(&w->text);
}

void
loopback_turn(struct loopback *lo)
{
	event_base_loop(lo->base, EVLOOP_ONCE);
	server_turn(lo->srv);
}

void
loopback_settle(struct loopback *lo)
{
	uint64_t in, out;
	int quiet = 0;

	while (quiet < WIRE_QUIET_TURNS) {
		in = lo->stats.bytes_in;
		out = lo->stats.bytes_out;
		event_base_loop(lo->base, EVLOOP_NONBLOCK);
		server_turn(lo->srv);
		quiet = in == lo->stats.bytes_in && out == lo->stats.bytes_out
		    ? quiet + 1 : 0;
	}
}

static uint64_t
wire_late_ns(void)
{
	return clock_now_ns() + LOOPBACK_SECONDS_MAX * 1000000000ull;
}

void
loopback_ticks(struct loopback *lo, unsigned count)
{
	uint64_t until = clock_now_ns() + count * 100000000ull;

	while (clock_now_ns() < until)
		loopback_turn(lo);
}

void
loopback_wait_empty(struct loopback *lo)
{
	uint64_t late = wire_late_ns();

	while (server_connection_count(lo->srv) > 0) {
		if (clock_now_ns() > late)
			fail_msg("%zu connections stay",
			    server_connection_count(lo->srv));
		loopback_turn(lo);
	}
}

size_t
wire_push(struct wire *w, struct str bytes)
{
	size_t at = 0;
	ssize_t n;
	int full = 0;

	while (at < bytes.len && full < 2) {
		n = send(w->fd, bytes.p + at, bytes.len - at, MSG_NOSIGNAL);
		if (n > 0) {
			at += (size_t)n;
			full = 0;
		} else if (errno != EAGAIN) {
			break;
		} else {
			full++;
		}
		loopback_settle(w->lo);
	}
	return at;
}

void
wire_send(struct wire *w, struct str bytes)
{
	size_t n = wire_push(w, bytes);

	if (n < bytes.len)
		fail_msg("the server took %zu of %zu bytes", n, bytes.len);
}

static void
wire_read(struct wire *w)
{
	char piece[16384];
	ssize_t n = recv(w->fd, piece, sizeof(piece), 0);

	if (n > 0)
		buf_add(&w->text, str_from(piece, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		w->is_ended = true;
	else
		loopback_turn(w->lo);
}

void
wire_expect(struct wire *w, const char *text)
{
	uint64_t late = wire_late_ns();

	while (wire_count(w, text) == 0) {
		if (w->is_ended || clock_now_ns() > late)
			fail_msg("no '%s' in: %.*s", text,
			    STR_FMT(buf_str(&w->text)));
		wire_read(w);
	}
}

void
wire_expect_end(struct wire *w)
{
	uint64_t late = wire_late_ns();

	while (!w->is_ended) {
		if (clock_now_ns() > late)
			fail_msg("no end after: %.*s",
			    STR_FMT(buf_str(&w->text)));
		wire_read(w);
	}
}

unsigned
wire_count(const struct wire *w, const char *text)
{
	struct str s = buf_str(&w->text);
	const char *p = s.p, *end = s.p + s.len;
	size_t len = strlen(text);
	unsigned n = 0;

	while ((p = memmem(p, (size_t)(end - p), text, len)) != NULL) {
		p += len;
		n++;
	}
	return n;
}

void
loopback_check_quiet(struct loopback *lo)
{
	loopback_wait_empty(lo);
	assert_int_equal(lo->stats.connections_active, 0);
	assert_int_equal(lo->stats.connections_idle, 0);
	assert_int_equal(lo->stats.requests_active, 0);
	assert_int_equal(lo->stats.tcp_active, 0);
}
