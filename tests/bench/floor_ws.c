/* SPDX-License-Identifier: MIT */
/*
 * The floor for WebSockets: the least that a server can do for a message, to
 * measure others by.  One epoll loop; /echo sends back what comes, all that one
 * read brings in one send; /channels/bench sends it to everybody who is there,
 * all that one turn of the loop brings in one send each.
 *
 * Owns one listener, a struct conn per client and a list of subscribers.
 * Invariant: a frame in a buffer is whole; the part of one that a read ends
 * with is kept and comes again in front of the next.
 *
 * Here: frames of less than 64 KiB.  Not here: any check, ping or close frame,
 * text that is UTF-8, limits.  It is no server to put on a network.
 *
 *	floor_ws PORT	(on 127.0.0.1, until killed)
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define READ_BYTES 65536
#define OUT_BYTES (1 << 20)
#define CONNS_MAX 65536

/* One key, one answer: the clients here all have RFC 6455's example. */
static const char upgrade[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct conn {
	int fd;
	bool is_open;		/* upgraded */
	bool is_subscriber;
	bool is_waiting;	/* for room to send */
	size_t index;		/* among the subscribers */
	char *in, *out;		/* unused input, unsent output; or NULL */
	size_t in_len, out_len;
};

static int epoll_fd, listen_fd;
static struct conn *subscribers[CONNS_MAX];
static size_t subscriber_count;
static char echo[OUT_BYTES], news[OUT_BYTES];
static size_t echo_len, news_len;

static void
conn_close(struct conn *c)
{
	if (c->is_subscriber) {
		subscribers[c->index] = subscribers[--subscriber_count];
		subscribers[c->index]->index = c->index;
	}
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

/* Copies what is unused or unsent behind what there is. */
static void
keep(char **to, size_t *len, const char *p, size_t more)
{
	if ((*to = realloc(*to, *len + more)) == NULL)
		err(1, "realloc");
	memcpy(*to + *len, p, more);
	*len += more;
}

static void
conn_watch(struct conn *c, bool is_waiting)
{
	struct epoll_event ev = {.data.ptr = c,
	    .events = EPOLLIN | (is_waiting ? EPOLLOUT : 0)};

	c->is_waiting = is_waiting;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
conn_send(struct conn *c, const char *p, size_t len)
{
	ssize_t n = 0;

	if (c->out == NULL) {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		/* A client that is gone is found when it is read from. */
		if (n == (ssize_t)len || (n == -1 && errno != EAGAIN))
			return;
		if (n == -1)
			n = 0;
	}
	keep(&c->out, &c->out_len, p + n, len - (size_t)n);
	if (!c->is_waiting)
		conn_watch(c, true);
}

static void
conn_on_writable(struct conn *c)
{
	ssize_t n;

	n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
	if (n <= 0)
		return;
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
	if (c->out_len > 0)
		return;
	free(c->out);
	c->out = NULL;
	conn_watch(c, false);
}

static void
news_send(void)
{
	size_t i, len = news_len;

	news_len = 0;
	for (i = 0; len > 0 && i < subscriber_count; i++)
		conn_send(subscribers[i], news, len);
}

static void
unmask(char *to, const char *p, size_t len, uint32_t mask)
{
	uint64_t word, twice = (uint64_t)mask << 32 | mask;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&word, p + i, 8);
		word ^= twice;
		memcpy(to + i, &word, 8);
	}
	for (; i < len; i++)
		to[i] = p[i] ^ (char)(mask >> 8 * (i % 4));
}

/* Answers the whole frames there are; returns how much of it that was. */
static size_t
conn_use_frames(struct conn *c, const char *p, size_t len)
{
	size_t used = 0, head, content, *out_len;
	const unsigned char *f;
	uint32_t mask;
	char *out;

	out = c->is_subscriber ? news : echo;
	out_len = c->is_subscriber ? &news_len : &echo_len;
	while (len - used >= 8) {
		f = (const unsigned char *)p + used;
		head = 2;
		content = f[1] & 0x7f;
		if (content == 126) {
			content = (size_t)f[2] << 8 | f[3];
			head = 4;
		}
		if (len - used < head + 4 + content)
			break;
		if (*out_len + head + content > OUT_BYTES)
			errx(1, "too much in one turn");
		memcpy(&mask, f + head, 4);
		out[*out_len] = (char)f[0];
		memcpy(out + *out_len + 1, f + 1, head - 1);
		out[*out_len + 1] &= 0x7f;
		unmask(out + *out_len + head, p + used + head + 4, content,
		    mask);
		*out_len += head + content;
		used += head + 4 + content;
	}
	return used;
}

/* The request: whatever ends in CRLF CRLF. */
static size_t
conn_use_head(struct conn *c, const char *p, size_t len)
{
	const char *end = memmem(p, len, "\r\n\r\n", 4);

	if (end == NULL)
		return 0;
	c->is_open = true;
	conn_send(c, upgrade, sizeof(upgrade) - 1);
	if (memmem(p, len, " /channels", 10) != NULL &&
	    subscriber_count < CONNS_MAX) {
		c->is_subscriber = true;
		c->index = subscriber_count;
		subscribers[subscriber_count++] = c;
	}
	return (size_t)(end + 4 - p);
}

static void
conn_on_readable(struct conn *c)
{
	static char scratch[2 * READ_BYTES];
	size_t len = c->in_len, used;
	ssize_t n;

	if (c->in != NULL)
		memcpy(scratch, c->in, len);
	n = recv(c->fd, scratch + len, READ_BYTES, 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_close(c);
		return;
	}
	free(c->in);
	c->in = NULL;
	c->in_len = 0;
	len += (size_t)n;
	used = c->is_open ? conn_use_frames(c, scratch, len) :
	    conn_use_head(c, scratch, len);
	if (used < len)
		keep(&c->in, &c->in_len, scratch + used, len - used);
	if (echo_len > 0)
		conn_send(c, echo, echo_len);
	echo_len = 0;
}

static void
floor_accept(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct conn *c;
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			err(1, "calloc");
		c->fd = fd;
		ev.data.ptr = c;
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static void
floor_listen(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	struct rlimit files;
	int one = 1;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted sockets inherit it. */
	setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(listen_fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listen_fd, 4096) == -1)
		err(1, "port %u", port);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
}

int
main(int argc, char *argv[])
{
	static struct epoll_event events[EVENTS_MAX];
	struct conn *c;
	int i, n;

	if (argc != 2)
		errx(2, "usage: floor_ws PORT");
	signal(SIGPIPE, SIG_IGN);
	floor_listen((uint16_t)atoi(argv[1]));
	for (;;) {
		n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		for (i = 0; i < n; i++) {
			c = events[i].data.ptr;
			if (c == NULL) {
				floor_accept();
				continue;
			}
			if (events[i].events & EPOLLOUT)
				conn_on_writable(c);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				conn_on_readable(c);
		}
		news_send();
	}
}
