/* SPDX-License-Identifier: MIT */
/*
 * What the files of <corelane/test.h> share.
 *
 * Context: the test's own thread; part of libcorelane-test only.
 */
#ifndef CORELANE_SERVER_API_TEST_H
#define CORELANE_SERVER_API_TEST_H

#include <corelane/test.h>

#include "common/buf.h"
#include "server/server.h"

struct event;
struct event_base;

struct lane_test {
	struct event_base *base;
	struct event *tick;
	struct server *srv;
	struct stats stats;
	struct server_ops ops;
	struct buf text;		/* all that came back */
	struct buf body;		/* its content, without the framing */
	struct lane_test_socket *sockets;	/* open ones */
	size_t socket_count;
};

/* One turn of the loop. */
void test_turn(struct lane_test *t);

/* The client's side of a connection, or -1. */
int test_connect(struct lane_test *t);

void test_write_headers(struct buf *out, const char *const *headers);

/* Takes apart what is in t->text. */
struct lane_test_answer test_parse(struct lane_test *t);

#endif
