/* SPDX-License-Identifier: MIT */
/*
 * A module's own tests: the whole server around it, in the test's process, with
 * no port and no other process.  Link with corelane-test (pkg-config).
 *
 *	extern const struct lane_module lane_module;
 *
 *	struct lane_test *t = lane_test_new(&lane_module, NULL);
 *	struct lane_test_answer a = lane_test_call(t, &(struct
 *	    lane_test_request){.path = "/hello"});
 *
 *	assert(a.status == 200);
 *	lane_test_free(t);
 */
#ifndef CORELANE_TEST_H
#define CORELANE_TEST_H

#include <corelane/types.h>

LANE_BEGIN

struct lane_module;
struct lane_test;

/*
 * config: the text of a configuration file, with an entry in "modules" for this
 * module's name, whose "file" isn't looked at; NULL: just the module, and its
 * routes.  init() and on_worker_start() run here.  Returns NULL after telling
 * on standard error what is wrong.
 */
struct lane_test *lane_test_new(
    const struct lane_module *module, const char *config) LANE_CHECKED;
void lane_test_free(struct lane_test *t);

struct lane_test_request {
	const char *method; /* NULL: GET, or POST with a body */
	const char *path; /* with its query */
	const char *const *headers; /* "Name: value", ends with NULL; or NULL */
	struct lane_str body;
	unsigned abort_after_ms; /* 0: waits; else the client leaves */
};
struct lane_test_answer {
	int status; /* 0: none came (aborted) */
	struct lane_str head, body; /* lent until the next call */
};
/* Runs the loop until the answer is complete. */
struct lane_test_answer lane_test_call(
    struct lane_test *t, const struct lane_test_request *request);
struct lane_str lane_test_header(
    const struct lane_test_answer *answer, const char *name);

/*
 * A client of a route's .websocket: several may be open beside each other, and
 * beside calls.
 *
 *	extern const struct lane_module lane_module;
 *
 *	struct lane_test *t = lane_test_new(&lane_module, NULL);
 *	struct lane_test_socket *s = lane_test_connect(t, &(struct
 *	    lane_test_request){.path = "/room"}, NULL);
 *
 *	lane_test_send(s, LANE_STR("hello"), true);
 *	struct lane_test_message m = lane_test_receive(s, 0);
 *	assert(lane_str_eq(m.data, LANE_STR("hello")));
 *	assert(lane_test_close(s, 1000) == 1000);
 *
 * lane_test_connect() returns NULL when the server has refused; answer, which
 * may be NULL, tells how, in either case.  A body, and a method, aren't sent.
 * What is open at lane_test_free() is cut off.
 */
struct lane_test_socket;
struct lane_test_socket *lane_test_connect(struct lane_test *t,
    const struct lane_test_request *request, struct lane_test_answer *answer);

void lane_test_send(
    struct lane_test_socket *s, struct lane_str data, bool is_text);

struct lane_test_message {
	struct lane_str data; /* lent until the socket's next call; p ==
				 * NULL: none came */
	bool is_text;
	unsigned close_code; /* the server has closed it: 1006 when it was
				 * cut off, and data is the reason; else 0 */
};
/* Runs the loop until a message has come, or for wait_ms; 0: until then. */
struct lane_test_message lane_test_receive(
    struct lane_test_socket *s, unsigned wait_ms);

/* Closes, waits for the server's close frame, and frees.  code 0: cuts it off.
 * Returns the server's code; 1006: it had none to say. */
unsigned lane_test_close(struct lane_test_socket *s, unsigned code);

/* Runs the loop for so long. */
void lane_test_run(struct lane_test *t, unsigned ms);

LANE_END

#endif
