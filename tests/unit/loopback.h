/* SPDX-License-Identifier: MIT */
/*
 * The whole server over a socketpair: no port, no process, no sleep.
 *
 *	struct loopback *lo = loopback_open("{\"routes\": [...]}");
 *	struct reply reply;
 *
 *	loopback_ask(lo, "GET /hello HTTP/1.0\r\n\r\n", &reply);
 *	assert_int_equal(reply.status, 200);
 *	unit_check_str(reply_field(&reply, "Content-Type"), STR("text/plain"),
 *	    "the type");
 *	reply_done(&reply);
 *	loopback_close(lo);
 *
 * Each ask is a connection of its own, whose client sends everything and reads
 * until the server closes: requests say HTTP/1.0 or "Connection: close".  What
 * goes wrong fails the test.
 *
 * Context: one loop, the test's own thread; LOOPBACK_SECONDS_MAX per ask.
 */
#ifndef CORELANE_TESTS_UNIT_LOOPBACK_H
#define CORELANE_TESTS_UNIT_LOOPBACK_H

#include <netinet/in.h>
#include <stdbool.h>

#include "common/buf.h"
#include "common/stats.h"
#include "server/module.h"
#include "server/server.h"

/* A test that waits longer hangs. */
#define LOOPBACK_SECONDS_MAX 20

struct loopback {
	struct event_base *base;
	struct event *tick;
	struct server *srv;
	struct stats stats;
	struct server_ops ops;
	enum service_kind service;	/* public; change at will */
	struct sockaddr_in6 peer;	/* ::1; change at will */
	const char *unready;		/* why it isn't; NULL: it is */
};

/* The first response on a connection; head and content are slices of text. */
struct reply {
	struct buf text;		/* all that came */
	int status;
	struct str head;		/* with its blank line */
	struct str body;		/* up to the end, chunks as they came */
};

struct loopback *loopback_open(const char *config_text);
/* The same with modules of the test's own: `modules` of the text names them,
 * with any "file". */
struct loopback *loopback_open_with(const char *config_text,
    const struct module_given *modules);
void loopback_close(struct loopback *lo);

/* request: NUL-terminated; loopback_send() takes any bytes. */
void loopback_ask(struct loopback *lo, const char *request,
    struct reply *ret_reply);
void loopback_send(struct loopback *lo, struct str request,
    struct reply *ret_reply);

/* The value of a field, .p NULL where there is none. */
struct str reply_field(const struct reply *reply, const char *name);
void reply_done(struct reply *reply);

/* One row of a table of requests and what must come back. */
struct exchange {
	const char *name;
	const char *request;		/* all but Host and the end */
	int status;
	const char *has[6];		/* "Name: value", each in the head */
	const char *lacks[4];		/* "Name:", none in the head */
	const char *body;		/* NULL: not looked at */
};

/* Runs the row: request line and fields, "Host: x", a blank line. */
void exchange_run(struct loopback *lo, const struct exchange *x);

#endif
