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

LANE_END

#endif
