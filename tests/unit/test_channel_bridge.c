/* SPDX-License-Identifier: MIT */
/* The channels' log for the bridge: who watches all, what is loaded, what was
 * history when it came. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "common/channel_region.h"

static int
setup(void **state)
{
	const struct channel_log_limits limits = {
		.ring_bytes = 65536,
		.channels = 32,
		.members = 8,
		.readers = 4,
	};
	struct channel_log *log = aligned_alloc(4096,
	    channel_log_bytes(&limits));
	struct error err;

	assert_non_null(log);
	memset(log, 0, channel_log_bytes(&limits));
	assert_int_equal(channel_log_init(log, &limits, &err), 0);
	*state = log;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static int
publish(struct channel_log *log, const char *name, const char *data)
{
	return channel_log_publish(log, &(struct channel_message){
		.channel = str_of(name),
		.data = str_of(data),
		.time_ms = 1000,
	}, NULL);
}

static int
join(struct channel_log *log, unsigned reader, const char *name)
{
	struct channel_state st;

	return channel_log_join(log, reader, str_of(name), &st);
}

static struct channel_state
find(struct channel_log *log, const char *name)
{
	struct channel_state st = {0};

	(void)channel_log_find(log, str_of(name), &st);
	return st;
}

static void
check_watcher(struct channel_log *log, bool is_woken, const char *what)
{
	unit_check((log->reader[3].flag != 0) == is_woken, what);
	channel_log_taken(log, 3);
}

static void
test_who_watches(void **state)
{
	struct channel_log *log = *state;

	channel_log_watch(log, 3);
	check_watcher(log, true, "it looks at what is there already");
	assert_int_equal(publish(log, "room.1", "x"), 0);
	check_watcher(log, true, "a channel that nobody has joined");
	assert_int_equal(log->reader[2].flag, 0);
	assert_int_equal(join(log, 1, "room.2"), 0);
	check_watcher(log, true, "somebody joins");
	assert_int_equal(channel_log_leave(log, 1, STR("room.2")), 0);
	check_watcher(log, true, "somebody leaves");
	assert_int_equal(find(log, "room.1").subscribers, 0);
	assert_int_equal(channel_log_reader_died(log, 3, NULL, NULL), 0);
	channel_log_taken(log, 3);
	assert_int_equal(publish(log, "room.1", "x"), 0);
	check_watcher(log, false, "nobody watches once the watcher has died");
}

static void
test_what_other_machines_have_is_loaded(void **state)
{
	struct channel_log *log = *state;

	assert_false(channel_log_is_joined(log));
	assert_int_equal(channel_log_set_loaded(log, STR("a"), true), -ENOENT);
	assert_int_equal(join(log, 1, "a"), 0);
	assert_int_equal(channel_log_set_loaded(log, STR("a"), true), 0);
	assert_false(find(log, "a").is_loaded);
	channel_log_watch(log, 3);
	channel_log_set_joined(log, true);
	assert_true(channel_log_is_joined(log));
	assert_false(find(log, "a").is_loaded);
	channel_log_taken(log, 1);
	assert_int_equal(channel_log_set_loaded(log, STR("a"), true), 0);
	assert_true(find(log, "a").is_loaded);
	assert_int_equal(log->reader[1].flag, 1);
	assert_int_equal(channel_log_set_loaded(log, STR("a"), false), 0);
	assert_false(find(log, "a").is_loaded);
	/* Another connection: what was loaded may lack something. */
	assert_int_equal(channel_log_set_loaded(log, STR("a"), true), 0);
	channel_log_set_joined(log, false);
	channel_log_set_joined(log, true);
	assert_false(find(log, "a").is_loaded);
	assert_int_equal(channel_log_set_loaded(log, STR("a"), true), 0);
	assert_int_equal(channel_log_reader_died(log, 3, NULL, NULL), 0);
	assert_false(channel_log_is_joined(log));
	assert_false(find(log, "a").is_loaded);
}

static void
test_old_messages_are_marked(void **state)
{
	struct channel_log *log = *state;
	struct channel_message m = {
		.channel = STR("a"),
		.data = STR("x"),
		.origin = 7,
		.number = 1,
		.is_old = true,
	};
	struct channel_entry e;

	assert_int_equal(channel_log_publish(log, &m, NULL), 0);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	assert_true(e.is_old);
	assert_int_equal(publish(log, "a", "y"), 0);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	assert_false(e.is_old);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_who_watches),
		T(test_what_other_machines_have_is_loaded),
		T(test_old_messages_are_marked),
	};
#undef T

	return UNIT_RUN(tests);
}
