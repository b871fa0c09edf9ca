/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop HTTP client that costs little: every connection sends `depth`
 * requests in one write, waits for all their answers, and goes on.
 *
 * Owns its connections and one histogram of latencies.  Invariant: all answers
 * have the size of the first, which is checked to be a 200 with a length; from
 * then on bytes are counted, not parsed, so that the client stays cheaper than
 * the server.  A surplus, a shortage, or a close counts as an error.  With -v
 * answers differ in size, so each is looked at, and one that isn't a 200 ends
 * the run.
 *
 * Here: keep-alive, pipelines, a connection per request (-c), idle connections
 * (-i).  Not here: TLS, open-loop rates, any other method than GET.
 *
 *	load -p PORT [-u PATH] [-n CONNECTIONS] [-d DEPTH] [-s SECONDS]
 *	    [-H FIELD] [-c | -i | -v]
 *
 * Prints one line of JSON; with -i "ready", and holds until stdin ends.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#include "common/histogram.h"

#define EVENTS_MAX 512
#define SCRATCH_BYTES (1 << 20)
/* Of an answer's head with -v. */
#define HEAD_BYTES 1024

struct client {
	int fd;
	bool is_connecting;
	size_t received;	/* of the answers that are due */
	uint64_t started_ns;
	/* With -v. */
	unsigned answered;	/* of this turn */
	size_t skip;		/* bytes of the content of the one under way */
	size_t kept;		/* bytes of a head that isn't all there */
	char head[HEAD_BYTES];
};

struct options {
	uint16_t port;
	const char *path, *field;
	unsigned connections, depth;
	double seconds;
	bool close_each, idle, varies;
};

static struct options opt = {.path = "/plaintext", .field = "",
    .connections = 64, .depth = 1, .seconds = 1};
static int epoll_fd;
static char scratch[SCRATCH_BYTES];
static char *request;			/* `depth` of them in a row */
static size_t request_len, answers_len;	/* of one turn */
static uint64_t done_count, error_count;
static struct histogram latency;

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int
dial(int flags)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(opt.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd, one = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno != EINPROGRESS)
		err(1, "connect to port %u", opt.port);
	return fd;
}

/* Makes one turn's bytes; returns the length of a single request. */
static size_t
request_build(void)
{
	char one[4096];
	unsigned i;
	int len;

	len = snprintf(one, sizeof(one),
	    "GET %s HTTP/1.1\r\nHost: localhost:%u\r\nUser-Agent: load\r\n"
	    "Accept: */*\r\n%s%s\r\n", opt.path, opt.port, opt.field,
	    opt.field[0] != '\0' ? "\r\n" : "");
	if (len < 0 || (size_t)len >= sizeof(one))
		errx(2, "the path or the field is too long");
	request_len = (size_t)len * opt.depth;
	if ((request = malloc(request_len)) == NULL)
		err(1, "malloc");
	for (i = 0; i < opt.depth; i++)
		memcpy(request + i * (size_t)len, one, (size_t)len);
	return (size_t)len;
}

/* The size of the answer that starts at `p`, text that ends in NUL; 0 while its
 * head isn't all there. */
static size_t
answer_size(const char *p)
{
	const char *end, *length;

	if ((end = strstr(p, "\r\n\r\n")) == NULL)
		return 0;
	if (strncmp(p, "HTTP/1.1 200 ", 13) != 0)
		errx(1, "not a 200: %.*s", (int)(end - p), p);
	length = strcasestr(p, "\r\ncontent-length:");
	if (length == NULL || length > end)
		errx(1, "no length: %.*s", (int)(end - p), p);
	return (size_t)(end + 4 - p) + strtoul(length + 17, NULL, 10);
}

/* One request on a blocking socket, to the end of its answer. */
static size_t
ask_once(int fd, size_t one_len)
{
	size_t have = 0, size = 0;
	ssize_t n;

	if (send(fd, request, one_len, MSG_NOSIGNAL) != (ssize_t)one_len)
		err(1, "send");
	while (size == 0 || have < size) {
		n = recv(fd, scratch + have, sizeof(scratch) - 1 - have, 0);
		if (n <= 0)
			errx(1, "closed before the answer was complete");
		have += (size_t)n;
		scratch[have] = '\0';
		if (size == 0)
			size = answer_size(scratch);
	}
	return size;
}

static void
client_watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(epoll_fd, op, c->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static void
client_send(struct client *c)
{
	c->received = 0;
	c->answered = 0;
	if (send(c->fd, request, request_len, MSG_NOSIGNAL) !=
	    (ssize_t)request_len)
		error_count++;
}

static void
client_open(struct client *c)
{
	c->started_ns = now_ns();
	c->received = 0;
	c->fd = dial(SOCK_NONBLOCK);
	c->is_connecting = true;
	client_watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void
client_reopen(struct client *c)
{
	close(c->fd);
	client_open(c);
}

static void
client_count_turn(const struct client *c)
{
	done_count += opt.depth;
	histogram_add(&latency, (now_ns() - c->started_ns) / 1000, 1);
}

/* The peer is gone: as it should be behind a whole answer with -c. */
static void
client_on_end(struct client *c)
{
	if (opt.close_each && c->received == answers_len)
		client_count_turn(c);
	else
		error_count++;
	client_reopen(c);
}

static void
client_next_turn(struct client *c)
{
	client_count_turn(c);
	c->started_ns = now_ns();
	client_send(c);
}

/* Counts the answers in scratch; what is there of the last head is kept. */
static void
client_read_answers(struct client *c, size_t len)
{
	char *p = scratch, *end = scratch + len;
	size_t size;

	*end = '\0';
	while (p < end) {
		size = c->skip;
		if (size == 0 && (size = answer_size(p)) == 0)
			break;
		if (size > (size_t)(end - p)) {
			c->skip = size - (size_t)(end - p);
			return;
		}
		c->skip = 0;
		c->answered++;
		p += size;
	}
	c->kept = (size_t)(end - p);
	if (c->kept > sizeof(c->head))
		errx(1, "the head of an answer is too long");
	memcpy(c->head, p, c->kept);
	if (c->answered > opt.depth)
		error_count++;
	if (c->answered >= opt.depth)
		client_next_turn(c);
}

static void
client_on_readable(struct client *c)
{
	size_t kept = c->kept;
	ssize_t n;

	memcpy(scratch, c->head, kept);
	n = recv(c->fd, scratch + kept, sizeof(scratch) - 1 - kept, 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_on_end(c);
		return;
	}
	if (opt.varies) {
		c->kept = 0;
		client_read_answers(c, kept + (size_t)n);
		return;
	}
	c->received += (size_t)n;
	if (c->received < answers_len || opt.close_each)
		return;
	if (c->received > answers_len)
		error_count++;
	client_next_turn(c);
}

static void
client_on_event(struct client *c, uint32_t events)
{
	if (c->is_connecting && events & EPOLLOUT) {
		c->is_connecting = false;
		client_watch(c, EPOLL_CTL_MOD, EPOLLIN);
		client_send(c);
		return;
	}
	client_on_readable(c);
}

static void
load_run(void)
{
	static struct epoll_event events[EVENTS_MAX];
	struct client *clients;
	uint64_t start, end;
	double elapsed;
	unsigned i;
	int n;

	if ((clients = calloc(opt.connections, sizeof(*clients))) == NULL)
		err(1, "calloc");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	start = now_ns();
	end = start + (uint64_t)(opt.seconds * 1e9);
	for (i = 0; i < opt.connections; i++)
		client_open(&clients[i]);
	while (now_ns() < end) {
		n = epoll_wait(epoll_fd, events, EVENTS_MAX, 100);
		for (i = 0; n > 0 && i < (unsigned)n; i++)
			client_on_event(events[i].data.ptr, events[i].events);
	}
	elapsed = (double)(now_ns() - start) / 1e9;
	printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.4f, "
	    "\"p50_us\": %llu, \"p99_us\": %llu, \"answer_bytes\": %zu}\n",
	    (unsigned long long)done_count, (unsigned long long)error_count,
	    elapsed,
	    (unsigned long long)histogram_quantile_us(&latency, 0.5),
	    (unsigned long long)histogram_quantile_us(&latency, 0.99),
	    answers_len / opt.depth);
	free(clients);
}

/* Connections that were answered once, and then do nothing. */
static void
load_hold(size_t one_len)
{
	unsigned i;

	for (i = 0; i < opt.connections; i++)
		ask_once(dial(0), one_len);
	printf("ready\n");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
}

static void
options_parse(int argc, char *argv[])
{
	int ch;

	while ((ch = getopt(argc, argv, "p:u:n:d:s:H:civ")) != -1)
		switch (ch) {
		case 'p':
			opt.port = (uint16_t)atoi(optarg);
			break;
		case 'u':
			opt.path = optarg;
			break;
		case 'n':
			opt.connections = (unsigned)atoi(optarg);
			break;
		case 'd':
			opt.depth = (unsigned)atoi(optarg);
			break;
		case 's':
			opt.seconds = atof(optarg);
			break;
		case 'H':
			opt.field = optarg;
			break;
		case 'c':
			opt.close_each = true;
			break;
		case 'i':
			opt.idle = true;
			break;
		case 'v':
			opt.varies = true;
			break;
		default:
			exit(2);
		}
	if (opt.port == 0 || opt.connections == 0 || opt.depth == 0)
		errx(2, "-p PORT is needed; -n and -d are at least 1");
}

int
main(int argc, char *argv[])
{
	struct rlimit files;
	size_t one_len;
	int fd;

	options_parse(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	one_len = request_build();
	if (opt.idle) {
		load_hold(one_len);
		return 0;
	}
	fd = dial(0);
	answers_len = ask_once(fd, one_len) * opt.depth;
	close(fd);
	load_run();
	return 0;
}
