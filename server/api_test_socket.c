/* SPDX-License-Identifier: MIT */
/*
 * WebSockets of a module's tests: the client's side of RFC 6455.
 *
 *	lane_test_connect --> handshake --> frames <--> in --> message
 *
 * What the server sends is gathered whenever the loop turns, whoever turns it,
 * so that many sockets can be open.
 *
 * Owns the sockets, until lane_test_close().
 * Invariant: t->sockets has every open one, and t->socket_count how many.
 * Here: the client.  Not here: the server's side (ws.c).
 * Context: the test's own thread; part of libcorelane-test only.
 */
#include "server/api_test.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/ws_frame.h"

#define CLIENT_FIN 0x80
#define CLIENT_MASKED 0x80
#define CLIENT_HEADER_MAX 14

struct lane_test_socket {
	struct lane_test_socket *next, **prev;
	struct lane_test *t;
	struct event *readable;
	int fd;
	struct buf in;			/* what came and isn't looked at */
	size_t used;			/* of it */
	struct buf message;		/* gathered, or the last */
	bool is_text, is_message_done;
	bool is_ended;			/* no more will come */
	unsigned close_code;		/* 0: no close frame has come */
	bool has_said_close;
};

static void
client_on_readable(int fd, short what, void *arg)
{
	struct lane_test_socket *s = arg;
	char piece[16384];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	if (n > 0) {
		buf_add(&s->in, str_from(piece, (size_t)n));
	} else if (n == 0 || errno != EAGAIN) {
		s->is_ended = true;
		event_del(s->readable);
	}
}

/* All of it, while the server turns. */
static void
client_write(struct lane_test_socket *s, struct str text)
{
	ssize_t n;

	while (text.len > 0 && !s->is_ended) {
		n = send(s->fd, text.p, text.len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN)
			return;
		if (n > 0) {
			text.p += n;
			text.len -= (size_t)n;
		}
		if (text.len > 0)
			test_turn(s->t);
	}
}

/* One frame; RFC 6455 5.3: a client's are masked. */
static void
client_send(struct lane_test_socket *s, unsigned opcode, struct str data)
{
	static const unsigned char mask[4] = {0x3b, 0xc4, 0x5a, 0x91};
	char head[CLIENT_HEADER_MAX];
	size_t len = 2, i;
	unsigned shift;
	struct buf frame;

	head[0] = (char)(CLIENT_FIN | opcode);
	if (data.len < 126) {
		head[1] = (char)(CLIENT_MASKED | data.len);
	} else {
		shift = data.len > 65535 ? 64 : 16;
		head[1] = (char)(CLIENT_MASKED | (shift == 64 ? 127 : 126));
		while (shift > 0)
			head[len++] = (char)(data.len >> (shift -= 8));
	}
	memcpy(head + len, mask, sizeof(mask));
	buf_init(&frame, 0);
	buf_add(&frame, str_from(head, len + sizeof(mask)));
	for (i = 0; i < data.len; i++)
		buf_add_byte(&frame, (char)(data.p[i] ^ mask[i % 4]));
	if (!buf_failed(&frame))
		client_write(s, buf_str(&frame));
	buf_done(&frame);
}

/* The frame at the front; false: it isn't whole. */
static bool
client_next_frame(struct lane_test_socket *s, unsigned *ret_head,
    struct str *ret_data)
{
	const unsigned char *p = (const unsigned char *)s->in.p + s->used;
	size_t have = s->in.len - s->used, need = 2, i;
	uint64_t len;

	if (have < need)
		return false;
	len = p[1] & 0x7f;
	if (len >= 126) {
		need += len == 126 ? 2 : 8;
		if (have < need)
			return false;
		for (len = 0, i = 2; i < need; i++)
			len = len << 8 | p[i];
	}
	if (have - need < len)
		return false;
	*ret_head = p[0];
	*ret_data = str_from(s->in.p + s->used + need, (size_t)len);
	s->used += need + (size_t)len;
	return true;
}

static void
client_take_close(struct lane_test_socket *s, struct str data)
{
	const unsigned char *p = (const unsigned char *)data.p;

	s->close_code = WS_CLOSE_NONE;
	buf_clear(&s->message);
	if (data.len >= 2) {
		s->close_code = (unsigned)(p[0] << 8 | p[1]);
		buf_add(&s->message, str_from(data.p + 2, data.len - 2));
	}
	if (!s->has_said_close)
		client_send(s, WS_CLOSE, data);
	s->has_said_close = true;
}

static void
client_take_frame(struct lane_test_socket *s, unsigned head, struct str data)
{
	switch (head & 0x0f) {
	case WS_TEXT:
	case WS_BINARY:
		s->is_text = (head & 0x0f) == WS_TEXT;
		buf_clear(&s->message);
		/* FALLTHROUGH */
	case WS_CONTINUATION:
		buf_add(&s->message, data);
		s->is_message_done = head & CLIENT_FIN;
		break;
	case WS_PING:
		client_send(s, WS_PONG, data);
		break;
	case WS_CLOSE:
		client_take_close(s, data);
		break;
	default:
		break;
	}
}

/* Whether there is something to tell. */
static bool
client_read(struct lane_test_socket *s)
{
	struct str data;
	unsigned head;

	while (!s->is_message_done && s->close_code == 0 &&
	    client_next_frame(s, &head, &data))
		client_take_frame(s, head, data);
	if (s->used == s->in.len) {
		buf_clear(&s->in);
		s->used = 0;
	}
	return s->is_message_done || s->close_code != 0 || s->is_ended;
}

/* The handshake. */

static void
client_free(struct lane_test_socket *s)
{
	if (s->prev != NULL) {
		*s->prev = s->next;
		if (s->next != NULL)
			s->next->prev = s->prev;
		s->t->socket_count--;
	}
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->fd != -1)
		close(s->fd);
	buf_done(&s->in);
	buf_done(&s->message);
	free(s);
}

static struct lane_test_socket *
client_new(struct lane_test *t)
{
	struct lane_test_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->t = t;
	buf_init(&s->in, 0);
	buf_init(&s->message, 0);
	s->fd = test_connect(t);
	if (s->fd != -1)
		s->readable = event_new(t->base, s->fd, EV_READ | EV_PERSIST,
		    client_on_readable, s);
	if (s->readable == NULL || event_add(s->readable, NULL) == -1) {
		client_free(s);
		return NULL;
	}
	return s;
}

/* What follows the head stays in s->in. */
static bool
client_take_head(struct lane_test_socket *s)
{
	const char *end;

	if (s->in.len == 0)
		return false;
	end = memmem(s->in.p, s->in.len, "\r\n\r\n", 4);
	if (end == NULL)
		return false;
	s->used = (size_t)(end + 4 - s->in.p);
	return true;
}

static void
client_ask(struct lane_test_socket *s, const struct lane_test_request *request)
{
	struct buf out;

	buf_init(&out, 0);
	buf_printf(&out, "GET %s HTTP/1.1\r\nHost: test\r\n"
	    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", request->path);
	test_write_headers(&out, request->headers);
	buf_add(&out, STR("\r\n"));
	if (!buf_failed(&out))
		client_write(s, buf_str(&out));
	buf_done(&out);
}

/* An answer that is none to the upgrade: read to its end. */
static struct lane_test_socket *
client_refused(struct lane_test_socket *s)
{
	struct lane_test *t = s->t;

	shutdown(s->fd, SHUT_WR);
	while (!s->is_ended)
		test_turn(t);
	buf_add(&t->text, str_from(s->in.p + t->text.len,
	    s->in.len - t->text.len));
	client_free(s);
	while (server_connection_count(t->srv) > t->socket_count)
		test_turn(t);
	return NULL;
}

struct lane_test_socket *
lane_test_connect(struct lane_test *t, const struct lane_test_request *request,
    struct lane_test_answer *answer)
{
	struct lane_test_socket *s = client_new(t);
	struct lane_test_answer a = {0};

	buf_clear(&t->text);
	buf_clear(&t->body);
	if (s != NULL) {
		client_ask(s, request);
		while (!client_take_head(s) && !s->is_ended)
			test_turn(t);
		buf_add(&t->text, str_from(s->in.p, s->used));
		if (!str_has_prefix(buf_str(&s->in), STR("HTTP/1.1 101 ")))
			s = client_refused(s);
		a = test_parse(t);
	}
	if (answer != NULL)
		*answer = a;
	if (s == NULL)
		return NULL;
	s->next = t->sockets;
	s->prev = &t->sockets;
	if (t->sockets != NULL)
		t->sockets->prev = &s->next;
	t->sockets = s;
	t->socket_count++;
	return s;
}

/* Messages. */

void
lane_test_send(struct lane_test_socket *s, struct lane_str data, bool is_text)
{
	client_send(s, is_text ? WS_TEXT : WS_BINARY,
	    str_from(data.p, data.len));
}

static void
client_on_late(int fd, short what, void *arg)
{
	*(bool *)arg = true;
}

/* Until there is something to tell; returns whether there is. */
static bool
client_wait(struct lane_test_socket *s, unsigned wait_ms)
{
	const struct timeval tv = {wait_ms / 1000, wait_ms % 1000 * 1000};
	bool is_late = false;
	struct event *limit = event_new(s->t->base, -1, 0, client_on_late,
	    &is_late);

	if (limit == NULL)
		return false;
	if (wait_ms > 0)
		event_add(limit, &tv);
	while (!client_read(s) && !is_late)
		test_turn(s->t);
	event_free(limit);
	return client_read(s);
}

struct lane_test_message
lane_test_receive(struct lane_test_socket *s, unsigned wait_ms)
{
	struct lane_test_message m = {{NULL, 0}, false, 0};
	struct str data;

	if (!client_wait(s, wait_ms))
		return m;
	if (s->is_message_done)
		m.is_text = s->is_text;
	else
		m.close_code = s->close_code != 0 ? s->close_code :
		    WS_CLOSE_ABNORMAL;
	s->is_message_done = false;
	data = buf_str(&s->message);
	if (m.close_code == WS_CLOSE_ABNORMAL)
		data.len = 0;
	m.data = (struct lane_str){data.p != NULL ? data.p : "", data.len};
	return m;
}

unsigned
lane_test_close(struct lane_test_socket *s, unsigned code)
{
	const char content[2] = {(char)(code >> 8), (char)code};
	struct lane_test *t = s->t;
	unsigned theirs = 0;

	if (code != 0 && !s->has_said_close && !s->is_ended) {
		s->has_said_close = true;
		client_send(s, WS_CLOSE, str_from(content, sizeof(content)));
	}
	while (code != 0 && theirs == 0)
		theirs = lane_test_receive(s, 0).close_code;
	if (theirs == 0)
		theirs = s->close_code != 0 ? s->close_code : WS_CLOSE_ABNORMAL;
	client_free(s);
	while (server_connection_count(t->srv) > t->socket_count)
		test_turn(t);
	return theirs;
}
