/* SPDX-License-Identifier: MIT */
/*
 * A client on a loopback that does what a test tells it, step by step: sends a
 * part, waits, reads a part, goes away.
 *
 *	struct wire w;
 *
 *	wire_open(lo, &w);
 *	wire_send(&w, STR("GET / HTTP/1.1\r\nHo"));
 *	loopback_ticks(lo, 3);
 *	wire_send(&w, STR("st: x\r\n\r\n"));
 *	wire_expect(&w, "200 OK");
 *	wire_close(&w);
 *	loopback_check_quiet(lo);
 *
 * What doesn't come within LOOPBACK_SECONDS_MAX fails the test.
 *
 * Context: one loop, the test's own thread.
 */
#ifndef CORELANE_TESTS_UNIT_WIRE_H
#define CORELANE_TESTS_UNIT_WIRE_H

#include "tests/unit/loopback.h"

struct wire {
	struct loopback *lo;
	int fd;
	struct buf text;		/* all that has been read */
	bool is_ended;			/* and the end after it */
};

/* small: the server's socket takes a few kilobytes and no more. */
void wire_open(struct loopback *lo, struct wire *w);
void wire_open_small(struct loopback *lo, struct wire *w);
void wire_close(struct wire *w);

/* Sends all of it, the server taking its turns; wire_push() what the server
 * is willing to take, and returns how much that was. */
void wire_send(struct wire *w, struct str bytes);
size_t wire_push(struct wire *w, struct str bytes);

/* Reads until `text` stands in what has come, or until the end. */
void wire_expect(struct wire *w, const char *text);
void wire_expect_end(struct wire *w);
unsigned wire_count(const struct wire *w, const char *text);

/* Turns the loop: once; until nothing is left to do; for a time. */
void loopback_turn(struct loopback *lo);
void loopback_settle(struct loopback *lo);
void loopback_ticks(struct loopback *lo, unsigned count);
/* Until no connection is left. */
void loopback_wait_empty(struct loopback *lo);

/* No connection, no request, and gauges that say so. */
void loopback_check_quiet(struct loopback *lo);

#endif
