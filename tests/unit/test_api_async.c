/* SPDX-License-Identifier: MIT */
/*
 * Waiting, as a module does it: the pool, timers, handles, tasks, trying again;
 * and what becomes of all that when the client goes away.  Also built with
 * TSan.
 *
 * Context: a process of its own, the server in it, threads of the pool and one
 * of the test's.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <corelane/corelane.h>
#include <corelane/test.h>

/* What the handlers of one test leave for it to look at. */
static struct {
	unsigned worked, done, deferred, spawned;
	int64_t waited_ns;
	lane_handle handle;
	int posted, posted_again;
	sem_t gate, started;
} seen;

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void
count_defer(void *ptr)
{
	(*(unsigned *)ptr)++;
}

/* A continuation that answers with the number that it is given. */
static int
answer(struct lane_ctx *c, void *state)
{
	seen.done++;
	return (int)(intptr_t)state;
}

static int
wait_on(struct lane_ctx *c, void *state)
{
	seen.done++;
	return LANE_ASYNC;
}

static int
nap_done(struct lane_ctx *c, void *state)
{
	const int64_t *since = state;

	seen.waited_ns = now_ns() - *since;
	return 204;
}

static int
nap(struct lane_ctx *c)
{
	int64_t *since = lane_alloc(c, sizeof(*since));

	if (since == NULL)
		return -ENOMEM;
	*since = now_ns();
	return lane_after(c, 5, nap_done, since);
}

static void
work(void *state)
{
	unsigned *worked = state;

	(*worked)++;
}

static int
work_done(struct lane_ctx *c, void *state)
{
	seen.worked = *(unsigned *)state;
	return 200;
}

static int
offload(struct lane_ctx *c)
{
	unsigned *worked = lane_alloc(c, sizeof(*worked));

	if (worked == NULL)
		return -ENOMEM;
	return lane_offload(c, work, work_done, worked);
}

/* The first to come waits for the second, which answers; the third never
 * comes. */
static int
several(struct lane_ctx *c)
{
	int rc = lane_after(c, 1, wait_on, NULL);

	if (rc == LANE_ASYNC)
		rc = lane_after(c, 3, answer, (void *)202);
	if (rc == LANE_ASYNC)
		rc = lane_after(c, 3600000, answer, (void *)500);
	return rc;
}

static void *
foreign_thread(void *arg)
{
	seen.posted = lane_post(seen.handle);
	seen.posted_again = lane_post(seen.handle);
	return NULL;
}

static void
join_thread(void *ptr)
{
	pthread_join(*(pthread_t *)ptr, NULL);
}

static int
hold(struct lane_ctx *c)
{
	pthread_t *thread = lane_alloc(c, sizeof(*thread));
	int rc;

	if (thread == NULL)
		return -ENOMEM;
	rc = lane_hold(c, answer, (void *)203, &seen.handle);
	if (rc != LANE_ASYNC)
		return rc;
	if (pthread_create(thread, NULL, foreign_thread, NULL) != 0)
		return -EAGAIN;
	return lane_defer(c, join_thread, thread) == 0 ? rc : -ENOMEM;
}

/* A handle that nobody posts in time. */
static int
hold_too_long(struct lane_ctx *c)
{
	int rc = lane_hold(c, answer, (void *)203, &seen.handle);

	return rc == LANE_ASYNC ? lane_after(c, 1, answer, (void *)206) : rc;
}

static int
task_goes_on(struct lane_ctx *c, void *state)
{
	seen.spawned++;
	return 200;
}

static int
task(struct lane_ctx *c, void *state)
{
	assert_true(lane_now_ms(c) > 0);
	return lane_after(c, 2, task_goes_on, state);
}

static int
spawn(struct lane_ctx *c)
{
	int rc = lane_spawn(c, task, NULL);

	return rc == 0 ? 204 : rc;
}

static int
write_log(struct lane_ctx *c)
{
	lane_log(c, LANE_WARN, "from the client: %s", "a\nb\x1b[2J");
	lane_log(c, LANE_DEBUG, "too quiet to be heard");
	return 204;
}

static int
memory(struct lane_ctx *c)
{
	struct lane_str copy = lane_copy(c, LANE_STR("abc"));
	struct lane_str text = lane_format(c, "%.*s-%d", LANE_FMT(copy), 7);
	char *zeroed = lane_alloc(c, 100000);

	assert_true(((uintptr_t)zeroed & 15) == 0 && zeroed[99999] == 0);
	assert_string_equal(text.p, "abc-7");
	return lane_defer(c, count_defer, &seen.deferred) == 0 ? 204 : -ENOMEM;
}

static void
gated_work(void *state)
{
	unsigned *worked = state;

	sem_post(&seen.started);
	sem_wait(&seen.gate);
	(*worked)++;
}

/* Its state is looked at by the job after the client has gone. */
static int
gated(struct lane_ctx *c)
{
	unsigned *worked = lane_alloc(c, sizeof(*worked));

	if (worked == NULL || lane_defer(c, count_defer, &seen.deferred) != 0)
		return -ENOMEM;
	return lane_offload(c, gated_work, answer, worked);
}

/* The same, but it runs for certain when the client leaves. */
static int
gated_and_running(struct lane_ctx *c)
{
	int rc = gated(c);

	sem_wait(&seen.started);
	return rc;
}

/* More than one context may have waiting. */
static int
too_many(struct lane_ctx *c)
{
	static unsigned worked[8];
	int rc = LANE_ASYNC;

	for (size_t i = 0; rc == LANE_ASYNC && i < 8; i++)
		rc = lane_offload(c, gated_work, answer, &worked[i]);
	return rc;
}

static const struct lane_route waits[] = {
    {.name = "nap", .path = "/nap", .run = nap},
    {.name = "offload", .path = "/offload", .run = offload},
    {.name = "several", .path = "/several", .run = several},
    {.name = "hold", .path = "/hold", .run = hold},
    {.name = "long", .path = "/hold-too-long", .run = hold_too_long},
    {.name = "spawn", .path = "/spawn", .run = spawn},
    {.name = "log", .path = "/log", .run = write_log},
    {.name = "memory", .path = "/memory", .run = memory},
    {.name = "gated", .path = "/gated", .run = gated},
    {.name = "running", .path = "/running", .run = gated_and_running},
    {.name = "many", .path = "/too-many", .run = too_many},
    {.name = NULL},
};

static const struct lane_module module = {
    .abi = LANE_ABI,
    .name = "tested",
    .routes = waits,
};

static struct lane_test *
open_with(const char *settings)
{
	struct lane_test *t;
	char config[256];

	memset(&seen, 0, sizeof(seen));
	sem_init(&seen.gate, 0, 0);
	sem_init(&seen.started, 0, 0);
	snprintf(config, sizeof(config),
	    "{\"modules\": [{\"name\": \"tested\","
	    " \"file\": \"x\"}]%s}",
	    settings);
	t = lane_test_new(&module, config);
	assert_non_null(t);
	return t;
}

static int
ask(struct lane_test *t, const char *path)
{
	return lane_test_call(t, &(struct lane_test_request){.path = path})
	    .status;
}

static void
ask_and_leave(struct lane_test *t, const char *path)
{
	assert_int_equal(
	    lane_test_call(t,
		&(struct lane_test_request){.path = path, .abort_after_ms = 10})
		.status,
	    0);
}

static void
test_each_wait_goes_on(void **state)
{
	struct lane_test *t = open_with("");

	assert_int_equal(ask(t, "/nap"), 204);
	assert_true(seen.waited_ns >= 5000000);
	assert_int_equal(ask(t, "/offload"), 200);
	assert_int_equal(seen.worked, 1);
	assert_int_equal(ask(t, "/several"), 202);
	assert_int_equal(seen.done, 2);
	assert_int_equal(ask(t, "/memory"), 204);
	assert_int_equal(seen.deferred, 1);
	lane_test_free(t);
}

static void
test_a_handle_stands_for_its_context_and_no_other(void **state)
{
	struct lane_test *t = open_with("");
	lane_handle old;

	assert_int_equal(ask(t, "/hold"), 203);
	assert_int_equal(seen.posted, 0);
	assert_int_equal(seen.posted_again, -ESRCH);
	old = seen.handle;
	assert_int_equal(lane_post(old), -ESRCH);
	assert_int_equal(ask(t, "/hold-too-long"), 206);
	assert_true(seen.handle != old);
	assert_int_equal(lane_post(seen.handle), -ESRCH);
	assert_int_equal(lane_post(0), -ESRCH);
	assert_int_equal(lane_post(UINT64_MAX), -ESRCH);
	/* A thread's post and a client's leave may meet. */
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(ask(t, "/hold"), 203);
	lane_test_free(t);
	assert_int_equal(lane_post(seen.handle), -ESRCH);
}

static void
test_a_task_outlives_its_request(void **state)
{
	struct lane_test *t = open_with("");

	assert_int_equal(ask(t, "/spawn"), 204);
	while (seen.spawned == 0)
		assert_int_equal(ask(t, "/nap"), 204);
	/* One that hasn't ended goes with the server. */
	assert_int_equal(ask(t, "/spawn"), 204);
	lane_test_free(t);
	assert_int_equal(seen.spawned, 1);
}

static void
test_the_log_names_the_request(void **state)
{
	struct lane_test *t = open_with("");
	char text[4096];
	int before = dup(STDERR_FILENO),
	    fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	ssize_t n;

	assert_true(before != -1 && fd != -1);
	dup2(fd, STDERR_FILENO);
	assert_int_equal(ask(t, "/log"), 204);
	dup2(before, STDERR_FILENO);
	close(before);
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text,
	    "warn  tested: from the client: "
	    "a\\x0ab\\x1b[2J (request "));
	assert_null(strstr(text, "too quiet"));
	lane_test_free(t);
}

static void
test_a_client_that_leaves_takes_its_work_with_it(void **state)
{
	struct lane_test *t = open_with(", \"offload_threads\": 1");

	/* The first runs, and its memory stays until it has ended. */
	ask_and_leave(t, "/running");
	assert_int_equal(seen.deferred, 0);
	/* The second waits, and is taken back. */
	ask_and_leave(t, "/gated");
	assert_int_equal(seen.deferred, 1);
	sem_post(&seen.gate);
	while (seen.deferred < 2)
		assert_int_equal(ask(t, "/nap"), 204);
	assert_int_equal(sem_trywait(&seen.started), -1);
	assert_int_equal(seen.done, 0);
	lane_test_free(t);
}

static void
test_freeing_the_server_waits_for_the_work(void **state)
{
	struct lane_test *t = open_with(", \"offload_threads\": 2");

	ask_and_leave(t, "/running");
	ask_and_leave(t, "/running");
	sem_post(&seen.gate);
	sem_post(&seen.gate);
	lane_test_free(t);
	assert_int_equal(seen.deferred, 2);
	assert_int_equal(seen.done, 0);
}

static void
test_waits_end_with_the_client(void **state)
{
	static const char *const paths[] = {
	    "/hold-too-long", "/several", "/nap", "/hold"};
	struct lane_test *t = open_with("");

	/* It leaves before, after, and while they come. */
	for (unsigned i = 0; i < 40; i++)
		(void)lane_test_call(t,
		    &(struct lane_test_request){
			.path = paths[i % 4], .abort_after_ms = 1 + i % 5});
	lane_test_free(t);
}

static void
test_a_full_pool_answers_503(void **state)
{
	struct lane_test *t = open_with(", \"offload_threads\": 1,"
					" \"limits\": {\"offload_queue\": 4}");
	struct lane_test_answer a =
	    lane_test_call(t, &(struct lane_test_request){.path = "/too-many"});

	assert_int_equal(a.status, 503);
	assert_non_null(lane_test_header(&a, "Retry-After").p);
	for (unsigned i = 0; i < 8; i++)
		sem_post(&seen.gate);
	assert_int_equal(ask(t, "/offload"), 200);
	lane_test_free(t);
	t = open_with(", \"offload_threads\": 0");
	assert_int_equal(ask(t, "/offload"), 503);
	assert_int_equal(ask(t, "/nap"), 204);
	lane_test_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_wait_goes_on),
	    cmocka_unit_test(test_a_handle_stands_for_its_context_and_no_other),
	    cmocka_unit_test(test_a_task_outlives_its_request),
	    cmocka_unit_test(test_the_log_names_the_request),
	    cmocka_unit_test(test_a_client_that_leaves_takes_its_work_with_it),
	    cmocka_unit_test(test_freeing_the_server_waits_for_the_work),
	    cmocka_unit_test(test_waits_end_with_the_client),
	    cmocka_unit_test(test_a_full_pool_answers_503),
	};

	return UNIT_RUN(tests);
}
