/* SPDX-License-Identifier: MIT */
/*
 * A closed-loop WebSocket client that costs little.
 *
 *	load_ws echo -p PORT -u PATH [-n CONNECTIONS] [-d DEPTH] [-s SECONDS]
 *	    every connection sends DEPTH messages in one write, waits for all
 *	    their echoes, and goes on
 *	load_ws broadcast ...
 *	    one more connection publishes, with DEPTH messages in flight: sent,
 *	    but not with every one of the CONNECTIONS yet
 *	load_ws latency -f PUBLISHER -F SUBSCRIBER [-n COUNT]
 *	    on two descriptors that are open WebSockets already: COUNT messages,
 *	    each published when the last has come and all is still
 *	-l BYTES	of a message: 64
 *
 * Owns its connections and one histogram of latencies.  Invariant: all messages
 * have one size, so bytes are counted and not parsed, so that the client stays
 * cheaper than the server; a surplus is an error, a close ends the run.
 *
 * Here: echo, broadcast, latency.  Not here: opening connections (ws_client.h),
 * holding very many (load_crowd.c).
 *
 * Prints "ready" when all is open, begins with a line on stdin, prints one line
 * of JSON, and ends with stdin: so whoever measures the server in between
 * measures messages alone.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/histogram.h"
#include "tests/bench/ws_client.h"

#define EVENTS_MAX 1024
#define SCRATCH_BYTES (1 << 20)
/* Messages in flight, and so what is known of their times, at most. */
#define FLIGHT_MAX 65536
/* Between two messages whose latency is measured: everybody sleeps again. */
#define STILL_US 2000

struct client {
	int fd;
	uint64_t received;	/* bytes: of a turn, or in all (broadcast) */
	uint64_t started_ns;
};

struct options {
	uint16_t port;
	const char *path;
	unsigned connections, depth;
	double seconds;
	size_t message_bytes;
	int publisher, subscriber;
};

static struct options opt = {.path = "/", .connections = 64, .depth = 1,
    .seconds = 1, .message_bytes = 64, .publisher = -1, .subscriber = -1};
static int epoll_fd;
static char scratch[SCRATCH_BYTES];
static char *batch;			/* `depth` messages in a row */
static size_t message_len, echo_len;	/* of one, there and back */
static uint64_t done_count, error_count, start_ns, end_ns;
static struct histogram latency;

/* Of a broadcast: by number, modulo FLIGHT_MAX. */
static uint64_t published_count, complete_count;
static uint64_t published_ns[FLIGHT_MAX];
static uint32_t have_count[FLIGHT_MAX];	/* how many have it */

static void
client_send(const struct client *c, size_t count)
{
	size_t len = message_len * count;

	if (send(c->fd, batch, len, MSG_NOSIGNAL) != (ssize_t)len)
		errx(1, "the server has stopped reading");
}

static void
client_open(struct client *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	c->fd = client_dial(opt.port, NULL);
	client_open_ws(c->fd, opt.path);
	client_set_nonblock(c->fd);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

/* Reads once: 0 when there is nothing. */
static size_t
client_read(const struct client *c)
{
	ssize_t n;

	n = recv(c->fd, scratch, sizeof(scratch), 0);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		errx(1, "a WebSocket was closed");
	return (size_t)n;
}

static void
echo_start(struct client *c)
{
	c->received = 0;
	c->started_ns = client_now_ns();
	client_send(c, opt.depth);
}

static void
echo_on_readable(struct client *c)
{
	uint64_t whole = echo_len * opt.depth;

	c->received += client_read(c);
	if (c->received < whole)
		return;
	if (c->received > whole)
		error_count++;
	done_count += opt.depth;
	histogram_add(&latency, (client_now_ns() - c->started_ns) / 1000, 1);
	echo_start(c);
}

static void
publish(const struct client *publisher, size_t count)
{
	uint64_t now = client_now_ns();
	size_t i;

	for (i = 0; i < count; i++)
		published_ns[(published_count + i) % FLIGHT_MAX] = now;
	published_count += count;
	client_send(publisher, count);
}

static void
subscriber_on_readable(struct client *c)
{
	uint64_t before = c->received / echo_len, after, now, i;

	c->received += client_read(c);
	after = c->received / echo_len;
	if (after > published_count)
		errx(1, "more messages came than were published");
	done_count += after - before;
	now = client_now_ns();
	for (i = before; i < after; i++) {
		if (++have_count[i % FLIGHT_MAX] < opt.connections)
			continue;
		have_count[i % FLIGHT_MAX] = 0;
		complete_count++;
		histogram_add(&latency,
		    (now - published_ns[i % FLIGHT_MAX]) / 1000, 1);
	}
}

/* The publisher gets its own messages too, which nobody counts. */
static void
broadcast_refill(const struct client *publisher)
{
	uint64_t flight = published_count - complete_count;

	if (flight <= opt.depth / 2)
		publish(publisher, opt.depth - flight);
}

/* Who measures takes its first look now. */
static void
load_begin(void)
{
	printf("ready\n");
	fflush(stdout);
	if (getchar() == EOF)
		exit(1);
	start_ns = client_now_ns();
	end_ns = start_ns + (uint64_t)(opt.seconds * 1e9);
}

static void
load_run(bool is_broadcast)
{
	static struct epoll_event events[EVENTS_MAX];
	struct client *clients, *publisher;
	unsigned i;
	int n;

	/* The publisher is the last. */
	if ((clients = calloc(opt.connections + 1, sizeof(*clients))) == NULL)
		err(1, "calloc");
	publisher = &clients[opt.connections];
	for (i = 0; i < opt.connections + is_broadcast; i++)
		client_open(&clients[i]);
	load_begin();
	for (i = 0; i < opt.connections && !is_broadcast; i++)
		echo_start(&clients[i]);
	while (client_now_ns() < end_ns) {
		if (is_broadcast)
			broadcast_refill(publisher);
		n = epoll_wait(epoll_fd, events, EVENTS_MAX, 100);
		for (i = 0; n > 0 && i < (unsigned)n; i++) {
			if (!is_broadcast)
				echo_on_readable(events[i].data.ptr);
			else if (events[i].data.ptr == publisher)
				client_read(publisher);
			else
				subscriber_on_readable(events[i].data.ptr);
		}
	}
}

/* Reads a whole message, and what else has come. */
static void
message_wait(int fd)
{
	size_t have = 0;
	ssize_t n;

	while (have < echo_len) {
		n = recv(fd, scratch + have, sizeof(scratch) - have, 0);
		if (n <= 0)
			errx(1, "a WebSocket was closed");
		have += (size_t)n;
	}
	if (have > echo_len)
		error_count++;
}

static void
latency_run(void)
{
	const struct timespec still = {.tv_nsec = STILL_US * 1000};
	const struct client publisher = {.fd = opt.publisher};
	unsigned i;

	load_begin();
	for (i = 0; i < opt.connections; i++) {
		published_ns[0] = client_now_ns();
		client_send(&publisher, 1);
		message_wait(opt.subscriber);
		histogram_add(&latency,
		    (client_now_ns() - published_ns[0]) / 1000, 1);
		done_count++;
		message_wait(opt.publisher);
		nanosleep(&still, NULL);
	}
}

static void
results_print(void)
{
	printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.4f, "
	    "\"p50_us\": %llu, \"p99_us\": %llu}\n",
	    (unsigned long long)done_count, (unsigned long long)error_count,
	    (double)(client_now_ns() - start_ns) / 1e9,
	    (unsigned long long)histogram_quantile_us(&latency, 0.5),
	    (unsigned long long)histogram_quantile_us(&latency, 0.99));
	fflush(stdout);
	while (getchar() != EOF)
		continue;
}

static void
options_parse(int argc, char *argv[])
{
	int ch;

	while ((ch = getopt(argc, argv, "p:u:n:d:s:l:f:F:")) != -1)
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
		case 'l':
			opt.message_bytes = (size_t)atoi(optarg);
			break;
		case 'f':
			opt.publisher = atoi(optarg);
			break;
		case 'F':
			opt.subscriber = atoi(optarg);
			break;
		default:
			exit(2);
		}
	if (opt.connections == 0 || opt.depth == 0 || opt.depth > FLIGHT_MAX ||
	    opt.message_bytes > 65535)
		errx(2, "-n and -d are at least 1, -l at most 65535");
}

int
main(int argc, char *argv[])
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned i;

	optind = 2;
	options_parse(argc, argv);
	client_raise_files();
	batch = malloc((opt.message_bytes + CLIENT_HEADER_MAX) * opt.depth);
	if (batch == NULL)
		err(1, "malloc");
	for (i = 0; i < opt.depth; i++)
		message_len = client_message(batch + i * message_len,
		    opt.message_bytes);
	echo_len = client_echo_len(opt.message_bytes);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (strcmp(mode, "echo") == 0)
		load_run(false);
	else if (strcmp(mode, "broadcast") == 0)
		load_run(true);
	else if (strcmp(mode, "latency") == 0 && opt.publisher != -1 &&
	    opt.subscriber != -1)
		latency_run();
	else
		errx(2, "usage: load_ws echo | broadcast | latency ...");
	results_print();
	return 0;
}
