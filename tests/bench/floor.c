/* SPDX-License-Identifier: MIT */
/*
 * The floor: the least that a server can do for a request, to measure others
 * by.  One epoll loop; a request is whatever ends in CRLF CRLF, its answer is
 * canned, and all the answers that one read calls for leave in one send.
 *
 * Owns one listener and a struct conn per client.  Invariant: a connection is
 * owed whole answers of one kind, so what is left of them is two numbers.
 *
 * Here: accept, count, send.  Not here: parsing, limits, timeouts, logs, any
 * wrong input.  It is no server to put on a network.
 *
 *	floor PORT	(on 127.0.0.1, until killed)
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
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define READ_BYTES 65536
#define FILE_BYTES 16384
#define HEAD_BYTES_MAX 512

enum reply_kind { REPLY_PLAIN, REPLY_JSON, REPLY_FILE, REPLY_CLOSE };
#define REPLY_COUNT (REPLY_CLOSE + 1)

/* An answer, `copies` times in a row, so that a pipeline is one send. */
struct reply {
	const char *type, *body, *fields;
	size_t body_len, copies;
	char *text;
	size_t len; /* of one copy */
};

struct conn {
	int fd;
	uint8_t kind;		/* enum reply_kind, by the first request */
	uint8_t matched;	/* of CRLF CRLF, by the end of the last read */
	bool is_started;
	bool is_waiting;	/* for room to send */
	size_t owed;		/* bytes still to be sent */
	size_t offset;		/* where in an answer they start */
};

static char file_body[FILE_BYTES];

static struct reply replies[REPLY_COUNT] = {
	[REPLY_PLAIN] = {"text/plain", "Hello, World!", "", 13, 64, NULL, 0},
	[REPLY_JSON] = {"application/json", "{\"message\":\"Hello, World!\"}",
	    "", 27, 64, NULL, 0},
	[REPLY_FILE] = {"application/octet-stream", file_body, "", FILE_BYTES,
	    4, NULL, 0},
	[REPLY_CLOSE] = {"text/plain", "Hello, World!",
	    "Connection: close\r\n", 13, 1, NULL, 0},
};

static int epoll_fd, listen_fd;

/* Writes the answers anew: their length never changes, so that one may be half
 * sent meanwhile. */
static void
reply_build(struct reply *r, const char *date)
{
	char head[HEAD_BYTES_MAX];
	size_t i, head_len;

	head_len = (size_t)snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nServer: floor\r\nContent-Type: %s\r\n"
	    "Content-Length: %zu\r\nDate: %s\r\n%s\r\n",
	    r->type, r->body_len, date, r->fields);
	r->len = head_len + r->body_len;
	if (r->text == NULL && (r->text = malloc(r->len * r->copies)) == NULL)
		err(1, "malloc");
	for (i = 0; i < r->copies; i++) {
		memcpy(r->text + i * r->len, head, head_len);
		memcpy(r->text + i * r->len + head_len, r->body, r->body_len);
	}
}

static void
replies_refresh(void)
{
	static time_t built_at;
	struct timespec now;
	struct tm tm;
	char date[64];
	size_t i;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec == built_at)
		return;
	built_at = now.tv_sec;
	gmtime_r(&built_at, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	for (i = 0; i < REPLY_COUNT; i++)
		reply_build(&replies[i], date);
}

static enum reply_kind
reply_kind_of(const char *request, size_t len)
{
	if (len < 6)
		return REPLY_PLAIN;
	switch (request[5]) {	/* behind "GET /" */
	case 'j':
		return REPLY_JSON;
	case '1':
		return REPLY_FILE;
	case 'c':
		return REPLY_CLOSE;
	default:
		return REPLY_PLAIN;
	}
}

/* How many heads end in these bytes. */
static size_t
conn_count_heads(struct conn *c, const char *p, size_t len)
{
	static const char terminator[] = "\r\n\r\n";
	const char *end = p + len, *hit;
	size_t count = 0;

	/* A terminator that the last read cut in two. */
	while (c->matched > 0 && p < end) {
		if (*p != terminator[c->matched]) {
			c->matched = 0;
			break;
		}
		p++;
		if (++c->matched == 4) {
			c->matched = 0;
			count++;
		}
	}
	while ((hit = memmem(p, (size_t)(end - p), terminator, 4)) != NULL) {
		p = hit + 4;
		count++;
	}
	for (c->matched = 3; c->matched > 0; c->matched--)
		if (end - p >= c->matched &&
		    memcmp(end - c->matched, terminator, c->matched) == 0)
			break;
	return count;
}

static void
conn_watch(struct conn *c, bool is_waiting)
{
	struct epoll_event ev = {.data.ptr = c};

	if (c->is_waiting == is_waiting)
		return;
	c->is_waiting = is_waiting;
	ev.events = is_waiting ? EPOLLOUT : EPOLLIN;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void
conn_close(struct conn *c)
{
	close(c->fd);
	free(c);
}

/* Sends what is owed; the connection may be gone afterwards. */
static void
conn_flush(struct conn *c)
{
	const struct reply *r = &replies[c->kind];
	size_t chunk;
	ssize_t n;

	while (c->owed > 0) {
		chunk = r->len * r->copies - c->offset;
		if (chunk > c->owed)
			chunk = c->owed;
		n = send(c->fd, r->text + c->offset, chunk, MSG_NOSIGNAL);
		if (n == -1 && errno == EAGAIN) {
			conn_watch(c, true);
			return;
		}
		if (n == -1) {
			conn_close(c);
			return;
		}
		c->owed -= (size_t)n;
		c->offset = (c->offset + (size_t)n) % r->len;
	}
	if (c->kind == REPLY_CLOSE && c->is_started)
		conn_close(c);
	else
		conn_watch(c, false);
}

static void
conn_on_readable(struct conn *c)
{
	static char scratch[READ_BYTES];
	size_t count;
	ssize_t n;

	n = recv(c->fd, scratch, sizeof(scratch), 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			conn_close(c);
		return;
	}
	if (!c->is_started) {
		c->is_started = true;
		c->kind = (uint8_t)reply_kind_of(scratch, (size_t)n);
	}
	count = conn_count_heads(c, scratch, (size_t)n);
	if (count == 0)
		return;
	c->owed += count * replies[c->kind].len;
	conn_flush(c);
}

static void
floor_accept(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct conn *c;
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		if ((c = calloc(1, sizeof(*c))) == NULL) {
			close(fd);
			return;
		}
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
	int one = 1;

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
	struct rlimit files;
	struct conn *c;
	int i, n;

	if (argc != 2)
		errx(2, "usage: floor PORT");
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	floor_listen((uint16_t)atoi(argv[1]));
	for (;;) {
		n = epoll_wait(epoll_fd, events, EVENTS_MAX, 1000);
		replies_refresh();
		for (i = 0; i < n; i++) {
			c = events[i].data.ptr;
			if (c == NULL)
				floor_accept();
			else if (events[i].events & EPOLLOUT)
				conn_flush(c);
			else
				conn_on_readable(c);
		}
	}
}
