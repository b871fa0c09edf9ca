/* SPDX-License-Identifier: MIT */
/* The channels' region: what it can be made for, and a holder that dies. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel_region.h"

static int
publish(struct channel_log *log)
{
	return channel_log_publish(log, &(struct channel_message){
		.channel = STR("a"), .data = STR("x")}, NULL);
}

static void
test_limits(void **state)
{
	static const struct {
		const char *what;
		struct channel_log_limits limits;
		bool is_good;
	} cases[] = {
		{"no readers", {.ring_bytes = 4096, .channels = 1}, false},
		{"no channels", {.ring_bytes = 4096, .readers = 1}, false},
		{"too many readers", {.ring_bytes = 4096, .channels = 1,
		    .readers = CHANNEL_READERS_MAX + 1}, false},
		{"the smallest", {.channels = 1, .readers = 1}, true},
		{"the most readers", {.channels = 1,
		    .readers = CHANNEL_READERS_MAX}, true},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct channel_log *log = calloc(1,
		    channel_log_bytes(&cases[i].limits) + CHANNEL_LINE);
		struct channel_log *at = (void *)(((uintptr_t)log + 63) &
		    ~(uintptr_t)63);
		struct error err;

		assert_non_null(log);
		unit_check((channel_log_init(at, &cases[i].limits, &err) ==
		    0) == cases[i].is_good, cases[i].what);
		if (cases[i].is_good) {
			assert_int_equal(publish(at), 0);
		}
		free(log);
	}
}

/* As if it had been killed there: the kernel hands on what it held. */
static void
test_a_holder_that_dies(void **state)
{
	const struct channel_log_limits limits = {.ring_bytes = 4096,
		.channels = 4, .readers = 1};
	const size_t bytes = channel_log_bytes(&limits);
	struct channel_log *log = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct channel_log_figures f;
	struct error err;
	int status;
	pid_t pid;

	assert_true(log != MAP_FAILED);
	assert_int_equal(channel_log_init(log, &limits, &err), 0);
	assert_int_equal(publish(log), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(channel_region_lock(log) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(publish(log), 0);
	assert_int_equal(publish(log), 0);
	channel_log_get_figures(log, &f);
	assert_int_equal(f.repairs, 1);
	assert_int_equal(f.messages, 3);
	munmap(log, bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_a_holder_that_dies),
	};

	return UNIT_RUN(tests);
}
