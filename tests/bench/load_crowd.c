/* SPDX-License-Identifier: MIT */
/*
 * A crowd of subscribers that do nothing but listen: WebSockets, or event
 * streams, as many as one process may have open.
 *
 *	load_crowd -p PORT -u PATH [-n CONNECTIONS] [-e] [-a NETWORK]
 *	-e		event streams
 *	-a 127.1.5	come from 127.1.5.1, and with every 10 000 connections
 *			from the next address
 *
 * Prints "ready" when all are open.  For each line on stdin it prints "armed",
 * and then, once each of them has got a message, a line of JSON: how many have,
 * and when the first and the last did.  Ends with stdin.
 *
 * Owns its connections.  Invariant: pings are answered, also while the crowd is
 * still growing, so that a server keeps it for ever.
 *
 * Here: counting who was reached.  Not here: what messages say.
 */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/ws_client.h"

#define EVENTS_MAX 512
#define READ_BYTES 65536
/* Of the 28 000 ports that the kernel's default range has, connect() finds the
 * first half quickly. */
#define PER_ADDRESS 10000
/* While the crowd grows, those who are there are looked after so often. */
#define LOOK_EVERY 64

#define OPCODE_PING 9

struct member {
	int fd;
	uint32_t reached;	/* the round in which it last got a message */
};

struct options {
	uint16_t port;
	const char *path, *network;
	unsigned connections;
	bool events;
};

static struct options opt = {.path = "/", .connections = 1000};
static int epoll_fd;
static struct member *members;
static uint32_t round_number;
static unsigned reached_count;
static uint64_t first_ns, last_ns;
static bool is_done;

static void
member_is_reached(struct member *m)
{
	if (round_number == 0 || m->reached == round_number)
		return;
	m->reached = round_number;
	last_ns = client_now_ns();
	if (reached_count++ == 0)
		first_ns = last_ns;
	if (reached_count < opt.connections)
		return;
	printf("{\"reached\": %u, \"first_ns\": %llu, \"last_ns\": %llu}\n",
	    reached_count, (unsigned long long)first_ns,
	    (unsigned long long)last_ns);
	fflush(stdout);
}

/* A pong with what the ping has, masked with zeros. */
static void
member_pong(const struct member *m, const char *content, size_t len)
{
	char pong[6 + 125] = {(char)0x8a, (char)(0x80 | len)};

	memcpy(pong + 6, content, len);
	if (send(m->fd, pong, 6 + len, MSG_NOSIGNAL) != (ssize_t)(6 + len))
		err(1, "pong");
}

/* Frames are short and come whole: nobody sends enough to cut one. */
static void
member_use_frames(struct member *m, const char *p, size_t len)
{
	const unsigned char *f;
	size_t at = 0, head, content;

	while (at + 2 <= len) {
		f = (const unsigned char *)p + at;
		head = f[1] == 126 ? 4 : 2;
		content = f[1];
		if (head == 4)
			content = (size_t)f[2] << 8 | f[3];
		if (f[1] == 127 || at + head + content > len)
			errx(1, "a frame that is too long for a crowd");
		if ((f[0] & 0x0f) == OPCODE_PING)
			member_pong(m, p + at + head, content);
		else
			member_is_reached(m);
		at += head + content;
	}
}

static void
member_on_readable(struct member *m)
{
	static char scratch[READ_BYTES];
	ssize_t n;

	n = recv(m->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		errx(1, "connection %ld was closed by the server: %s",
		    (long)(m - members),
		    n == 0 ? "end of file" : strerror(errno));
	if (!opt.events)
		member_use_frames(m, scratch, (size_t)n);
	else if (memmem(scratch, (size_t)n, "data:", 5) != NULL)
		member_is_reached(m);
}

static void
stdin_on_readable(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
		is_done = true;
		return;
	}
	round_number++;
	reached_count = 0;
	printf("armed\n");
	fflush(stdout);
}

static void
crowd_look(int timeout_ms)
{
	static struct epoll_event events[EVENTS_MAX];
	int i, n;

	n = epoll_wait(epoll_fd, events, EVENTS_MAX, timeout_ms);
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			stdin_on_readable();
		else
			member_on_readable(events[i].data.ptr);
	}
}

static void
crowd_open(unsigned number)
{
	struct member *m = &members[number];
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = m};
	char source[64];

	if (opt.network != NULL)
		snprintf(source, sizeof(source), "%s.%u", opt.network,
		    1 + number / PER_ADDRESS);
	m->fd = client_dial(opt.port, opt.network != NULL ? source : NULL);
	if (opt.events)
		client_open_events(m->fd, opt.path);
	else
		client_open_ws(m->fd, opt.path);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, m->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static void
options_parse(int argc, char *argv[])
{
	int ch;

	while ((ch = getopt(argc, argv, "p:u:n:a:e")) != -1)
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
		case 'a':
			opt.network = optarg;
			break;
		case 'e':
			opt.events = true;
			break;
		default:
			exit(2);
		}
	if (opt.port == 0 || opt.connections == 0)
		errx(2, "-p PORT is needed; -n is at least 1");
}

int
main(int argc, char *argv[])
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
	unsigned i;

	options_parse(argc, argv);
	client_raise_files();
	if ((members = calloc(opt.connections, sizeof(*members))) == NULL)
		err(1, "calloc");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < opt.connections; i++) {
		crowd_open(i);
		if (i % LOOK_EVERY == 0)
			crowd_look(0);
	}
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) == -1)
		err(1, "stdin");
	printf("ready\n");
	fflush(stdout);
	while (!is_done)
		crowd_look(-1);
	return 0;
}
