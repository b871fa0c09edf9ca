/* SPDX-License-Identifier: MIT */
/*
 * Opening connections for the load programs: see ws_client.h.
 *
 * Owns nothing.
 * Context: programs with one thread.
 */
#include "tests/bench/ws_client.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define HEAD_BYTES_MAX 4096

uint64_t
client_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
client_raise_files(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int
client_dial(uint16_t port, const char *source)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int fd, one = 1;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		err(1, "socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source != NULL) {
		/* The port is chosen by connect(), for this peer alone. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		    sizeof(one));
		if (inet_pton(AF_INET, source, &sin.sin_addr) != 1)
			errx(2, "'%s' is no address", source);
		if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
			err(1, "bind to %s", source);
	}
	sin.sin_port = htons(port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		err(1, "connect to port %u", port);
	return fd;
}

/* Sends the request and reads the head of its answer, which begins with
 * `status`. */
static void
client_ask(int fd, const char *request, const char *status)
{
	char head[HEAD_BYTES_MAX], *end;
	size_t len = 0, want = strlen(request);
	ssize_t n;

	if (send(fd, request, want, MSG_NOSIGNAL) != (ssize_t)want)
		err(1, "send");
	do {
		n = recv(fd, head + len, sizeof(head) - 1 - len, MSG_PEEK);
		if (n <= 0)
			errx(1, "no answer to '%.60s'", request);
		head[len + (size_t)n] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (end != NULL)
			n = end + 4 - (head + len);
		/* Frames that have come along stay in the socket. */
		if (recv(fd, head + len, (size_t)n, 0) != n)
			errx(1, "recv: not what was there");
		len += (size_t)n;
	} while (end == NULL);
	if (strncmp(head + 9, status, 3) != 0)
		errx(1, "not %s: %.*s", status, (int)len, head);
}

void
client_open_ws(int fd, const char *path)
{
	char request[1024];

	/* The key of RFC 6455's example: any will do. */
	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path);
	client_ask(fd, request, "101");
}

void
client_open_events(int fd, const char *path)
{
	char request[1024];

	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Accept: text/event-stream\r\n\r\n", path);
	client_ask(fd, request, "200");
}

void
client_set_nonblock(int fd)
{
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1)
		err(1, "fcntl");
}

size_t
client_message(char *to, size_t len)
{
	static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
	size_t i, at = 0;

	to[at++] = (char)0x81;
	if (len < 126) {
		to[at++] = (char)(0x80 | len);
	} else {
		to[at++] = (char)(0x80 | 126);
		to[at++] = (char)(len >> 8);
		to[at++] = (char)len;
	}
	memcpy(to + at, mask, sizeof(mask));
	at += sizeof(mask);
	for (i = 0; i < len; i++)
		to[at + i] = (char)(('a' + i % 26) ^ mask[i % 4]);
	return at + len;
}

size_t
client_echo_len(size_t len)
{
	return len + (len < 126 ? 2 : 4);
}
