/* SPDX-License-Identifier: MIT */
/*
 * lane_retry(): what counts as a failure, how often it is tried, and that an
 * attempt may wait like any handler.
 *
 * Context: a process of its own, the server in it.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <corelane/corelane.h>
#include <corelane/test.h>

/*
 * What the attempts do, one after the other, each as its letters say:
 *
 *	2 4 5 e		returns 200, 404, 503, -EIO
 *	a		... from the continuation of a timer
 *	o		... from the continuation of a job
 *	b		leaves another timer behind, which would answer 299
 *	n		... from a retry within the retry
 *	-		returns LANE_ASYNC with nothing under way
 */
struct script {
	const char *const *attempts;
	unsigned made;
	unsigned naps; /* that a neighbour has had */
};

static struct script script;
static unsigned attempts_max;

static int
finish(struct lane_ctx *c, void *state)
{
	const char *todo = state;

	switch (todo[strlen(todo) - 1]) {
	case '2':
		return 200;
	case '4':
		return 404;
	case '5':
		return 503;
	case 'e':
		return -EIO;
	default:
		return LANE_ASYNC;
	}
}

static int
too_late(struct lane_ctx *c, void *state)
{
	return 299;
}

static void
nothing(void *state)
{
}

static int
attempt(struct lane_ctx *c, void *state)
{
	const char *todo = script.attempts[script.made++];
	union {
		const char *in;
		void *out;
	} step = {todo};
	int rc = LANE_ASYNC;

	if (strchr(todo, 'b') != NULL)
		rc = lane_after(c, 3, too_late, NULL);
	if (rc != LANE_ASYNC)
		return rc;
	if (strchr(todo, 'a') != NULL)
		return lane_after(c, 1, finish, step.out);
	if (strchr(todo, 'o') != NULL)
		return lane_offload(c, nothing, finish, step.out);
	return finish(c, step.out);
}

static int
outer_attempt(struct lane_ctx *c, void *state)
{
	return lane_retry(c,
	    &(struct lane_retry_args){
		.attempts = 2, .base_ms = 1, .attempt = attempt});
}

static int
run(struct lane_ctx *c)
{
	return lane_retry(c,
	    &(struct lane_retry_args){.attempts = attempts_max,
		.base_ms = 1,
		.cap_ms = 4,
		.attempt = strchr(script.attempts[0], 'n') != NULL ?
		    outer_attempt :
		    attempt});
}

static int
neighbour(struct lane_ctx *c, void *state)
{
	script.naps++;
	return lane_after(c, 1, neighbour, state);
}

/* Beside something that goes on all the time, and isn't the attempt's. */
static int
beside(struct lane_ctx *c)
{
	int rc = lane_after(c, 1, neighbour, NULL);

	return rc == LANE_ASYNC ? run(c) : rc;
}

static int
fails_beside(struct lane_ctx *c)
{
	int rc = lane_after(c, 2, too_late, NULL);

	return rc == LANE_ASYNC ?
	    lane_retry(c,
		&(struct lane_retry_args){.base_ms = 3600000,
		    .cap_ms = 3600000,
		    .attempt = attempt}) :
	    rc;
}

static int
task_answer(struct lane_ctx *c)
{
	int rc = lane_spawn(c, outer_attempt, NULL);

	return rc == 0 ? 204 : rc;
}

static const struct lane_route routes[] = {
    {.name = "run", .path = "/run", .run = run},
    {.name = "beside", .path = "/beside", .run = beside},
    {.name = "fails", .path = "/fails-beside", .run = fails_beside},
    {.name = "task", .path = "/task", .run = task_answer},
    {.name = NULL},
};

static const struct lane_module module = {
    .abi = LANE_ABI,
    .name = "tested",
    .routes = routes,
};

static const struct {
	const char *name;
	unsigned attempts_max;
	const char *attempts[8];
	int status;
	unsigned made;
} cases[] = {
    {"the first success ends it", 3, {"2"}, 200, 1},
    {"a client's mistake isn't tried again", 3, {"4"}, 404, 1},
    {"a 503 is", 3, {"5", "5", "2"}, 200, 3},
    {"an errno is", 3, {"e", "2"}, 200, 2},
    {"the last status stands", 3, {"e", "5", "5"}, 503, 3},
    {"the last errno is a 500", 2, {"5", "e"}, 500, 2},
    {"three attempts unless said", 0, {"5", "5", "5", "2"}, 503, 3},
    {"one attempt is none again", 1, {"5"}, 503, 1},
    {"a timer's continuation fails", 3, {"a5", "ae", "a2"}, 200, 3},
    {"a job's continuation fails", 4, {"oe", "o5", "5", "o4"}, 404, 4},
    {"what an attempt leaves behind is cancelled", 5,
	{"b5", "be", "b5", "b5", "a2"}, 200, 5},
    {"of a success, too", 2, {"b2"}, 200, 1},
    {"an attempt that waits for nothing is a mistake", 3, {"-"}, 500, 1},
    {"in a continuation, too", 3, {"5", "a-"}, 500, 2},
    {"within each other", 3, {"n5", "5", "a5", "oe", "b5", "a2"}, 200, 6},
    {"within each other, all of them", 2, {"n5", "a5", "oe", "b5"}, 503, 4},
};

static void
test_attempts_are_made_until_one_stands(void **state)
{
	struct lane_test *t = lane_test_new(&module, NULL);

	assert_non_null(t);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct lane_test_answer a;

		script = (struct script){.attempts = cases[i].attempts};
		attempts_max = cases[i].attempts_max;
		a = lane_test_call(
		    t, &(struct lane_test_request){.path = "/run"});
		unit_check(
		    a.status == cases[i].status && script.made == cases[i].made,
		    cases[i].name);
	}
	lane_test_free(t);
}

static void
ask(struct lane_test *t, const char *path, int status)
{
	assert_int_equal(
	    lane_test_call(t, &(struct lane_test_request){.path = path}).status,
	    status);
}

static void
test_what_waits_beside_it_goes_on(void **state)
{
	static const char *const attempts[] = {"5", "a5", "a5", "b5", "a2"};
	struct lane_test *t = lane_test_new(&module, NULL);

	assert_non_null(t);
	script = (struct script){.attempts = attempts};
	attempts_max = 5;
	ask(t, "/beside", 200);
	assert_int_equal(script.made, 5);
	assert_true(script.naps > 0);
	/* A neighbour's answer is no attempt's: it ends the waiting. */
	script = (struct script){.attempts = attempts};
	ask(t, "/fails-beside", 299);
	assert_int_equal(script.made, 1);
	lane_test_free(t);
}

static void
test_a_task_may_try_again(void **state)
{
	static const char *const attempts[] = {"a5", "o5", "2"};
	struct lane_test *t = lane_test_new(&module, NULL);

	assert_non_null(t);
	script = (struct script){.attempts = attempts};
	ask(t, "/task", 204);
	/* Two attempts, and the task is over. */
	while (script.made < 2)
		(void)lane_test_call(
		    t, &(struct lane_test_request){.path = "/absent"});
	lane_test_free(t);
	assert_int_equal(script.made, 2);
}

static void
test_a_client_that_leaves_ends_it(void **state)
{
	static const char *const attempts[] = {"5", "2"};
	struct lane_test *t = lane_test_new(&module, NULL);
	struct lane_test_answer a;

	assert_non_null(t);
	script = (struct script){.attempts = attempts};
	for (unsigned i = 0; i < 20; i++) {
		script.made = 0;
		attempts_max = 2;
		a = lane_test_call(t,
		    &(struct lane_test_request){
			.path = "/beside", .abort_after_ms = 1 + i % 4});
		assert_true(a.status == 0 || a.status == 200);
	}
	lane_test_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_attempts_are_made_until_one_stands),
	    cmocka_unit_test(test_what_waits_beside_it_goes_on),
	    cmocka_unit_test(test_a_task_may_try_again),
	    cmocka_unit_test(test_a_client_that_leaves_ends_it),
	};

	return UNIT_RUN(tests);
}
