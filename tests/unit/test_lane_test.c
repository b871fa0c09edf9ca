/* SPDX-License-Identifier: MIT */
/*
 * The harness that modules test themselves with, as they use it: through the
 * library and the public headers alone.
 *
 * Context: a process of its own.
 */
#include "tests/unit/unit.h"

#include <corelane/corelane.h>
#include <corelane/test.h>

static unsigned started;

static int
on_start(struct lane_ctx *c)
{
	started++;
	return 200;
}

static int
no_content(struct lane_ctx *c)
{
	return 204;
}

static int
not_there(struct lane_ctx *c)
{
	return 404;
}

static int
mistaken(struct lane_ctx *c)
{
	return LANE_ASYNC;
}

static const struct lane_route routes[] = {
	{.name = "empty", .path = "/empty", .run = no_content},
	{.name = "absent", .path = "/absent", .run = not_there},
	{.name = "mistaken", .path = "/mistaken", .run = mistaken},
	{.name = NULL},
};

static const struct lane_module module = {
	.abi = LANE_ABI,
	.name = "tested",
	.routes = routes,
	.on_worker_start = on_start,
};

static void
a_handler_runs_without_a_port(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = {
		{"/empty", 204}, {"/absent", 404}, {"/mistaken", 500},
		{"/nothing", 404},
	};
	struct lane_test *t = lane_test_new(&module, NULL);

	assert_non_null(t);
	assert_int_equal(started, 1);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct lane_test_answer a = lane_test_call(t,
		    &(struct lane_test_request){.path = cases[i].path});

		unit_check(a.status == cases[i].status, cases[i].path);
		unit_check(lane_test_header(&a, "Date").len == 29, "Date");
		unit_check(lane_test_header(&a, "X-Absent").p == NULL,
		    "a field that isn't there");
	}
	lane_test_free(t);
}

static void
a_configuration_of_its_own_is_used(void **state)
{
	struct lane_test *t = lane_test_new(&module, "{\"modules\": [{\"name\":"
	    "\"tested\", \"file\": \"any\", \"prefix\": \"/v2\"}],"
	    "\"routes\": [{\"path\": \"/chunks\", \"handler\": \"echo\","
	    "\"stream\": true}, {\"path\": \"/late\", \"handler\": "
	    "\"respond\", \"delay\": \"1h\"}]}");
	struct lane_test_answer a;
	const char *const headers[] = {"Content-Type: text/plain",
	    "X-Two: 2", NULL};

	assert_non_null(t);
	a = lane_test_call(t, &(struct lane_test_request){
	    .path = "/v2/empty?x=1", .method = "DELETE"});
	assert_int_equal(a.status, 204);
	a = lane_test_call(t, &(struct lane_test_request){.path = "/chunks",
	    .headers = headers, .body = LANE_STR("all of it")});
	assert_int_equal(a.status, 200);
	unit_check_str(str_from(a.body.p, a.body.len), STR("all of it"),
	    "the content");
	a = lane_test_call(t, &(struct lane_test_request){.path = "/late",
	    .abort_after_ms = 5});
	assert_int_equal(a.status, 0);
	lane_test_free(t);
}

static void
what_is_wrong_is_told(void **state)
{
	assert_null(lane_test_new(&module, "{\"routes\": 7}"));
	assert_null(lane_test_new(&module, "{\"modules\": [{\"name\": "
	    "\"tested\", \"file\": \"x\"}], \"routes\": [{\"path\": \"/x\","
	    " \"handler\": \"tested.absent_one\"}]}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_runs_without_a_port),
		cmocka_unit_test(a_configuration_of_its_own_is_used),
		cmocka_unit_test(what_is_wrong_is_told),
	};

	return UNIT_RUN(tests);
}
