/* SPDX-License-Identifier: MIT */
/* The channels' log: messages, history, rows, who is interested, members. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/channel_region.h"
#include "common/clock.h"

#define RING 65536u
#define CHANNELS 32u
#define MEMBERS 8u
#define READERS 4u

static struct channel_log *
log_make(void)
{
	const struct channel_log_limits limits = {
		.ring_bytes = RING,
		.channels = CHANNELS,
		.members = MEMBERS,
		.readers = READERS,
	};
	struct channel_log *log = aligned_alloc(4096,
	    channel_log_bytes(&limits));
	struct error err;

	assert_non_null(log);
	memset(log, 0, channel_log_bytes(&limits));
	assert_int_equal(channel_log_init(log, &limits, &err), 0);
	return log;
}

static int
setup(void **state)
{
	*state = log_make();
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
publish_from(struct channel_log *log, const char *name, uint32_t origin,
    uint64_t number)
{
	return channel_log_publish(log, &(struct channel_message){
		.channel = str_of(name),
		.data = STR("there"),
		.time_ms = 1000,
		.origin = origin,
		.number = number,
	}, NULL);
}

static struct channel_state
find(struct channel_log *log, const char *name)
{
	struct channel_state state = {0};

	(void)channel_log_find(log, str_of(name), &state);
	return state;
}

static int
join(struct channel_log *log, unsigned reader, const char *name)
{
	struct channel_state state;

	return channel_log_join(log, reader, str_of(name), &state);
}

/* --- messages --- */

static void
test_a_message_is_read_as_published(void **state)
{
	struct channel_log *log = *state;
	uint64_t at = channel_log_head(log);
	struct channel_position pos, of_entry;
	struct channel_entry e;

	assert_false(channel_log_read(log, at, &e));
	assert_int_equal(channel_log_publish(log, &(struct channel_message){
		.channel = STR("room.1"), .data = STR("hello"),
		.content = CHANNEL_JSON, .time_ms = 12345}, &pos), 0);
	assert_true(channel_log_read(log, at, &e));
	unit_check_str(e.channel, STR("room.1"), "channel");
	unit_check_str(e.data, STR("hello"), "data");
	assert_int_equal(e.content, CHANNEL_JSON);
	assert_int_equal(e.time_ms, 12345);
	assert_int_equal(e.offset, 1);
	assert_int_equal(e.number, 1);
	assert_int_equal(e.origin, e.epoch);
	assert_int_equal(e.previous, 0);
	assert_int_equal(e.channel_bytes, 5);
	assert_int_equal(e.next, channel_log_head(log));
	assert_true(channel_log_is_intact(log, at));
	assert_false(channel_log_read(log, e.next, &e));
	channel_entry_position(&e, &of_entry);
	assert_int_equal(pos.epoch, of_entry.epoch);
	assert_int_not_equal(pos.epoch, 0);
	assert_int_equal(pos.offset, 1);
	assert_int_equal(of_entry.offset, 1);
	assert_int_equal(of_entry.seen_count, 0);
}

static void
test_what_is_refused(void **state)
{
	struct channel_log *log = *state;
	size_t max = channel_log_message_max(log);
	char *data = calloc(1, max + 1);
	struct channel_message m = {.channel = STR("a"),
		.data = str_from(data, max)};

	assert_non_null(data);
	assert_int_equal(publish(log, "", "x"), -EINVAL);
	assert_int_equal(publish(log, "room.*", "x"), -EINVAL);
	assert_int_equal(publish(log, "a/b", "x"), -EINVAL);
	assert_int_equal(channel_log_publish(log, &m, NULL), 0);
	m.data.len++;
	assert_int_equal(channel_log_publish(log, &m, NULL), -EMSGSIZE);
	assert_int_equal(find(log, "a").offset, 1);
	free(data);
}

static void
test_history_is_a_chain_per_channel(void **state)
{
	struct channel_log *log = *state;
	struct channel_entry e;
	uint64_t at, expected = 10;
	char text[16];

	for (int i = 1; i <= 10; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(publish(log, "a", text), 0);
		assert_int_equal(publish(log, "b", "other"), 0);
	}
	for (at = find(log, "a").last; at != 0; at = e.previous) {
		assert_true(channel_log_read(log, at, &e));
		snprintf(text, sizeof(text), "%d", (int)expected);
		assert_int_equal(e.offset, expected--);
		unit_check_str(e.data, str_of(text), "in order");
		unit_check_str(e.channel, STR("a"), "of one channel");
	}
	assert_int_equal(expected, 0);
	assert_false(channel_log_find(log, STR("c"),
	    &(struct channel_state){0}));
}

/* Messages of all lengths, so that the ring ends at every place: what is there
 * is right, and what isn't is gone from the oldest on. */
static void
test_the_oldest_go(void **state)
{
	struct channel_log *log = *state;
	static char data[3000];
	struct channel_log_figures f;
	struct channel_entry e;
	uint64_t at, offset, count = 0;

	for (uint32_t i = 0; i < 4000; i++) {
		memset(data, 'a' + (int)(i % 26), sizeof(data));
		assert_int_equal(channel_log_publish(log,
		    &(struct channel_message){.channel = STR("a"),
			.data = str_from(data, i * 37 % sizeof(data))},
		    NULL), 0);
		assert_true(channel_log_head(log) - channel_log_tail(log) <=
		    RING);
	}
	channel_log_get_figures(log, &f);
	assert_int_equal(f.messages, 4000);
	offset = f.evicted;
	for (at = channel_log_tail(log); channel_log_read(log, at, &e);
	    at = e.next) {
		uint32_t i = (uint32_t)offset++;

		assert_int_equal(e.offset, offset);
		assert_int_equal(e.data.len, i * 37 % sizeof(data));
		for (size_t k = 0; k < e.data.len; k++)
			assert_int_equal(e.data.p[k], 'a' + (int)(i % 26));
		count++;
	}
	assert_int_equal(offset, 4000);
	assert_int_equal(count + f.evicted, f.messages);
	assert_true(count > 20);
	assert_false(channel_log_is_intact(log, CHANNEL_FIRST_POSITION));
	assert_false(channel_log_read(log, CHANNEL_FIRST_POSITION, &e));
}

static void
test_a_reader_that_is_lapped_knows(void **state)
{
	struct channel_log *log = *state;
	static char data[8000];
	struct channel_entry e;
	uint64_t at = channel_log_head(log);

	assert_int_equal(publish(log, "a", "first"), 0);
	assert_true(channel_log_read(log, at, &e));
	for (int i = 0; i < 20; i++) {
		bool was_there = channel_log_tail(log) <= at;

		assert_true(channel_log_is_intact(log, at) == was_there);
		if (was_there)
			unit_check_str(e.data, STR("first"), "still there");
		assert_int_equal(channel_log_publish(log,
		    &(struct channel_message){.channel = STR("b"),
			.data = str_from(data, sizeof(data))}, NULL), 0);
	}
	assert_false(channel_log_is_intact(log, at));
	/* The channel is known, its history is gone. */
	assert_int_equal(find(log, "a").offset, 1);
	assert_int_equal(find(log, "a").last, 0);
	assert_false(channel_log_read(log, at + 4, &e));
	assert_false(channel_log_read(log, channel_log_tail(log) + 4, &e));
	assert_false(channel_log_read(log, UINT64_MAX - 7, &e));
}

/* --- origins --- */

static void
test_origins(void **state)
{
	struct channel_log *log = *state;
	const uint32_t there = 0xb0b, third = 0xc0c;
	struct channel_position now, pos;
	struct channel_entry e;
	uint64_t missed;

	assert_int_equal(publish(log, "a", "ours 1"), 0);
	assert_int_equal(publish_from(log, "a", there, 4), 0);
	assert_int_equal(publish_from(log, "a", there, 4), -EALREADY);
	assert_int_equal(publish_from(log, "a", there, 3), -EALREADY);
	assert_int_equal(publish_from(log, "a", third, 1), 0);
	assert_int_equal(publish(log, "a", "ours 2"), 0);
	assert_int_equal(publish_from(log, "a", there, 5), 0);
	now = find(log, "a").position;
	assert_int_equal(publish_from(log, "a", now.epoch, 9), -EALREADY);
	assert_int_equal(now.offset, 5);
	assert_int_equal(now.seen_count, 3);
	assert_int_equal(now.seen[0].origin, now.epoch);
	assert_int_equal(now.seen[0].number, 2);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	assert_int_equal(e.origin, there);
	assert_int_equal(e.number, 5);
	channel_entry_position(&e, &pos);
	assert_int_equal(pos.seen_count, 3);
	assert_int_equal(pos.seen[0].number, 2);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pos.seen[i].origin, now.seen[i].origin);
		assert_int_equal(pos.seen[i].number, now.seen[i].number);
	}
	/* A client of the other machine that has seen its own two. */
	pos = (struct channel_position){.epoch = there, .offset = 5};
	assert_true(channel_position_missed(&pos, &now, &missed));
	assert_int_equal(missed, 3);
	assert_true(channel_position_has(&pos, &e));
	assert_true(channel_log_read(log, e.previous, &e));
	assert_false(channel_position_has(&pos, &e));
	pos = (struct channel_position){.epoch = now.epoch, .offset = 4};
	assert_true(channel_position_has(&pos, &e));
}

static void
test_a_channel_of_others_alone(void **state)
{
	struct channel_log *log = *state;
	struct channel_position pos;
	struct channel_entry e;

	assert_int_equal(publish_from(log, "a", 0xb0b, 1), 0);
	pos = find(log, "a").position;
	assert_int_equal(pos.offset, 1);
	assert_int_equal(pos.seen_count, 1);
	assert_int_equal(pos.seen[0].origin, 0xb0b);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	channel_entry_position(&e, &pos);
	assert_int_equal(pos.seen_count, 1);
	assert_int_equal(pos.seen[0].origin, 0xb0b);
	assert_int_equal(pos.seen[0].number, 1);
}

static void
test_too_many_origins(void **state)
{
	struct channel_log *log = *state;
	struct channel_position pos;
	struct channel_entry e;

	assert_int_equal(publish(log, "a", "ours"), 0);
	for (uint32_t i = 1; i <= 100; i++)
		assert_int_equal(publish_from(log, "a", i, 1), 0);
	pos = find(log, "a").position;
	assert_int_equal(pos.offset, 101);
	assert_int_equal(pos.seen_count, CHANNEL_ORIGINS_MAX);
	assert_int_equal(pos.seen[0].origin, pos.epoch);
	/* Those heard of last are known still. */
	assert_int_equal(publish_from(log, "a", 100, 1), -EALREADY);
	assert_int_equal(publish_from(log, "a", 86, 1), -EALREADY);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	unit_check_str(e.data, STR("there"), "data behind a long list");
}

/* --- rows --- */

static void
test_idle_channels_are_forgotten(void **state)
{
	struct channel_log *log = *state;
	struct channel_log_figures f;
	char name[16];
	uint32_t epoch;

	assert_int_equal(join(log, 1, "kept"), 0);
	assert_int_equal(publish(log, "first", "x"), 0);
	epoch = find(log, "first").epoch;
	for (unsigned i = 0; i < 3 * CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(publish(log, name, "x"), 0);
	}
	channel_log_get_figures(log, &f);
	assert_int_equal(f.channels, CHANNELS);
	assert_int_equal(f.channels_max, CHANNELS);
	assert_int_equal(find(log, "kept").subscribers, 1);
	assert_int_equal(find(log, "first").row, 0);
	assert_int_equal(publish(log, "first", "x"), 0);
	/* It counts anew, and says so. */
	assert_int_equal(find(log, "first").offset, 1);
	assert_int_not_equal(find(log, "first").epoch, epoch);
}

static void
test_a_busy_channel_outlives_idle_ones(void **state)
{
	struct channel_log *log = *state;
	char name[16];

	for (unsigned i = 0; i < 4 * CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(join(log, 0, name), 0);
		assert_int_equal(channel_log_leave(log, 0, str_of(name)), 0);
		assert_int_equal(publish(log, "busy", "x"), 0);
	}
	assert_int_equal(find(log, "busy").offset, 4 * CHANNELS);
}

static void
test_every_row_is_in_use(void **state)
{
	struct channel_log *log = *state;
	char name[16];

	for (unsigned i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(join(log, i % READERS, name), 0);
	}
	assert_int_equal(publish(log, "more", "x"), -ENOSPC);
	assert_int_equal(join(log, 0, "more"), -ENOSPC);
	assert_int_equal(publish(log, "c7", "x"), 0);
	assert_int_equal(channel_log_leave(log, 7 % READERS, STR("c7")), 0);
	assert_int_equal(publish(log, "more", "x"), 0);
	assert_int_equal(find(log, "c7").row, 0);
}

static void
test_long_names(void **state)
{
	struct channel_log *log = *state;
	char name[CHANNEL_NAME_MAX + 2];
	struct channel_state st;

	for (size_t len = 1; len <= CHANNEL_NAME_MAX; len++) {
		struct channel_message m = {.channel = str_from(name, len)};

		memset(name, 'n', sizeof(name));
		assert_int_equal(channel_log_publish(log, &m, NULL), 0);
		assert_true(channel_log_find(log, m.channel, &st));
		assert_int_equal(st.offset, 1);
	}
	name[CHANNEL_NAME_MAX - 1] = '*';
	assert_int_equal(channel_log_join(log, 0,
	    str_from(name, CHANNEL_NAME_MAX), &st), 0);
	name[CHANNEL_NAME_MAX - 1] = 'n';
	channel_log_taken(log, 0);
	assert_int_equal(channel_log_publish(log, &(struct channel_message){
		.channel = str_from(name, CHANNEL_NAME_MAX)}, NULL), 0);
	assert_int_equal(log->reader[0].flag, 1);
}

/* --- interests and wakes --- */

static void
test_counts_of_subscribers(void **state)
{
	struct channel_log *log = *state;
	struct channel_state st;
	uint64_t changes = channel_log_interest_changes(log);

	assert_int_equal(join(log, 0, "a"), 0);
	assert_true(channel_log_interest_changes(log) > changes);
	changes = channel_log_interest_changes(log);
	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(channel_log_interest_changes(log), changes);
	assert_int_equal(channel_log_join(log, 2, STR("a"), &st), 0);
	assert_int_equal(st.subscribers, 3);
	assert_int_equal(st.offset, 0);
	assert_int_equal(channel_log_leave(log, 0, STR("a")), 0);
	assert_int_equal(find(log, "a").subscribers, 2);
	assert_int_equal(channel_log_leave(log, 0, STR("a")), 0);
	assert_int_equal(channel_log_leave(log, 0, STR("a")), 0);
	assert_int_equal(channel_log_leave(log, 0, STR("nobody")), 0);
	assert_int_equal(find(log, "a").subscribers, 1);
	assert_int_equal(channel_log_join(log, READERS, STR("a"), &st),
	    -EINVAL);
	assert_int_equal(channel_log_join(log, 0, STR("a b"), &st), -EINVAL);
}

static void
test_who_is_woken(void **state)
{
	static const struct {
		const char *what, *name;
		bool flag[READERS];
	} cases[] = {
		{"a channel wakes who has joined it", "room.1",
		    {true, true, true, false}},
		{"a pattern wakes for what it matches", "room.2",
		    {false, true, true, false}},
		{"a star matches everything", "x", {false, false, true, false}},
		{"a shorter name matches no longer pattern", "room",
		    {false, false, true, false}},
	};
	struct channel_log *log = *state;

	assert_int_equal(join(log, 0, "room.1"), 0);
	assert_int_equal(join(log, 1, "room.*"), 0);
	assert_int_equal(join(log, 2, "*"), 0);
	assert_int_equal(join(log, 3, "other.*"), 0);
	assert_int_equal(join(log, 3, "roon.*"), 0);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		for (unsigned r = 0; r < READERS; r++)
			channel_log_taken(log, r);
		assert_int_equal(publish(log, cases[i].name, "x"), 0);
		for (unsigned r = 0; r < READERS; r++)
			unit_check(log->reader[r].flag == cases[i].flag[r],
			    cases[i].what);
	}
	assert_int_equal(channel_log_leave(log, 1, STR("room.*")), 0);
	assert_int_equal(find(log, "room.*").row, 0);
	channel_log_taken(log, 1);
	assert_int_equal(publish(log, "room.2", "x"), 0);
	assert_int_equal(log->reader[1].flag, 0);
}

static uint64_t
wake_count(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof(count)) == -1)
		assert_int_equal(errno, EAGAIN);
	return count;
}

static void
test_one_write_wakes(void **state)
{
	struct channel_log *log = *state;
	int fds[READERS] = {-1, -1, -1, -1};

	fds[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_not_equal(fds[1], -1);
	channel_log_set_wakes(log, fds);
	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(join(log, 1, "a"), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(publish(log, "a", "x"), 0);
	assert_int_equal(wake_count(fds[1]), 1);
	channel_log_taken(log, 1);
	assert_int_equal(publish(log, "a", "x"), 0);
	assert_int_equal(wake_count(fds[1]), 1);
	/* Who looks anyway needs no write. */
	channel_log_taken(log, 1);
	channel_log_will_look(log, 1);
	assert_int_equal(publish(log, "a", "x"), 0);
	assert_int_equal(wake_count(fds[1]), 0);
	channel_log_taken(log, 1);
	channel_log_wake_all(log);
	assert_int_equal(wake_count(fds[1]), 1);
	close(fds[1]);
}

/* --- members --- */

struct listed {
	size_t count;
	struct buf text;
};

static void
member_list(const struct channel_member *m, void *arg)
{
	struct listed *l = arg;

	l->count++;
	channel_member_print(m, &l->text);
	buf_add_byte(&l->text, ';');
}

static struct listed
members(struct channel_log *log, const char *name, size_t max,
    size_t *ret_count)
{
	struct listed l = {0};

	buf_init(&l.text, 0);
	*ret_count = channel_log_members(log, str_of(name), max, member_list,
	    &l);
	return l;
}

static int
member_add(struct channel_log *log, const char *name, uint64_t client,
    unsigned reader, const char *user)
{
	return channel_log_member_add(log, str_of(name),
	    &(struct channel_member){.client = client, .reader = reader,
		.joined_ms = 7, .user = str_of(user)});
}

static void
test_members(void **state)
{
	struct channel_log *log = *state;
	struct listed l;
	size_t count;

	assert_int_equal(member_add(log, "a", 1, 0, "kim"), -ENOENT);
	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(join(log, 0, "b"), 0);
	assert_int_equal(member_add(log, "a", 0x1f, 0, "k\"m"), 0);
	l = members(log, "a", 10, &count);
	assert_int_equal(count, 1);
	unit_check_str(buf_str(&l.text),
	    STR("\"client\":\"1f\",\"user\":\"k\\\"m\";"), "printed");
	buf_done(&l.text);
	for (unsigned i = 1; i < MEMBERS; i++)
		assert_int_equal(member_add(log, i % 2 ? "a" : "b", i, 0, "x"),
		    0);
	assert_int_equal(member_add(log, "a", 99, 0, "x"), -ENOSPC);
	/* The same client again is no other. */
	assert_int_equal(member_add(log, "a", 1, 0, "lee"), 0);
	l = members(log, "a", 2, &count);
	assert_int_equal(count, 5);
	assert_int_equal(l.count, 2);
	buf_done(&l.text);
	l = members(log, "b", 10, &count);
	assert_int_equal(count, 3);
	buf_done(&l.text);
	assert_int_equal(channel_log_member_remove(log, STR("b"), 1), 0);
	assert_int_equal(channel_log_member_remove(log, STR("a"), 1), 0);
	assert_int_equal(channel_log_member_remove(log, STR("a"), 3), 0);
	assert_int_equal(channel_log_member_remove(log, STR("a"), 0x1f), 0);
	assert_int_equal(channel_log_member_remove(log, STR("none"), 1), 0);
	assert_int_equal(member_add(log, "a", 99, 0, "new"), 0);
	l = members(log, "a", 10, &count);
	assert_int_equal(count, 3);
	assert_int_equal(l.count, 3);
	buf_done(&l.text);
	l = members(log, "none", 10, &count);
	assert_int_equal(count, 0);
	buf_done(&l.text);
}

static void
test_member_info(void **state)
{
	struct channel_log *log = *state;
	char longest[CHANNEL_INFO_MAX + 1] = {0};
	struct channel_member m = {.client = 1, .user = STR("u"),
		.info = STR("{\"a\":1}")};
	struct listed l;
	size_t count;

	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(channel_log_member_add(log, STR("a"), &m), 0);
	l = members(log, "a", 1, &count);
	unit_check_str(buf_str(&l.text),
	    STR("\"client\":\"1\",\"user\":\"u\",\"info\":{\"a\":1};"), "info");
	buf_done(&l.text);
	m.info = str_from(longest, sizeof(longest));
	assert_int_equal(channel_log_member_add(log, STR("a"), &m), -EINVAL);
	m.info = STR("");
	m.user = str_from(longest, CHANNEL_USER_MAX + 1);
	assert_int_equal(channel_log_member_add(log, STR("a"), &m), -EINVAL);
}

static bool
tell_of_a(struct str channel, void *arg)
{
	++*(int *)arg;
	return str_eq(channel, STR("a"));
}

static void
test_a_reader_that_died(void **state)
{
	struct channel_log *log = *state;
	struct channel_entry e;
	struct listed l;
	size_t count;
	int asked = 0;

	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(join(log, 0, "a"), 0);
	assert_int_equal(join(log, 0, "b.*"), 0);
	assert_int_equal(join(log, 1, "a"), 0);
	assert_int_equal(join(log, 1, "b"), 0);
	assert_int_equal(member_add(log, "a", 1, 0, "gone"), 0);
	assert_int_equal(member_add(log, "b", 2, 0, "gone too"), 0);
	assert_int_equal(member_add(log, "a", 3, 1, "here"), 0);
	channel_log_taken(log, 1);
	assert_int_equal(channel_log_reader_died(log, 0, tell_of_a, &asked),
	    0);
	assert_int_equal(asked, 2);
	assert_int_equal(find(log, "a").subscribers, 1);
	assert_int_equal(find(log, "b").subscribers, 1);
	assert_int_equal(find(log, "b.*").row, 0);
	assert_int_equal(log->reader[1].flag, 1);
	l = members(log, "a", 10, &count);
	unit_check_str(buf_str(&l.text),
	    STR("\"client\":\"3\",\"user\":\"here\";"), "who is left");
	buf_done(&l.text);
	assert_true(channel_log_read(log, find(log, "a").last, &e));
	assert_int_equal(e.content, CHANNEL_LEAVE);
	unit_check_str(e.data, STR("{\"client\":\"1\",\"user\":\"gone\"}"),
	    "who left");
	assert_int_equal(find(log, "b").offset, 0);
	assert_int_equal(channel_log_reader_died(log, 0, NULL, NULL), 0);
}

/* --- rows told --- */

static void
row_sum(const struct channel_row *row, void *arg)
{
	struct channel_row *sum = arg;

	sum->subscribers += row->subscribers;
	sum->messages += row->messages;
	sum->bytes += row->bytes;
	if (str_eq(row->name, STR("busy")))
		sum->per_second = row->per_second;
}

static void
test_each_row(void **state)
{
	struct channel_log *log = *state;
	struct channel_row sum = {0};
	int64_t before_ms = (clock_now_real_ms() / 1000 - 1) * 1000;
	char name[16];

	for (unsigned i = 0; i + 2 < CHANNELS; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(publish(log, name, "four"), 0);
	}
	assert_int_equal(join(log, 0, "x.*"), 0);
	channel_log_each(log, row_sum, &sum);
	assert_int_equal(sum.subscribers, 1);
	assert_int_equal(sum.messages, CHANNELS - 2);
	assert_int_equal(sum.bytes, 4 * (CHANNELS - 2));
	for (int i = 0; i < 3; i++)
		assert_int_equal(channel_log_publish(log,
		    &(struct channel_message){.channel = STR("busy"),
			.time_ms = before_ms}, NULL), 0);
	channel_log_each(log, row_sum, &sum);
	/* A second may have ended meanwhile. */
	assert_true(sum.per_second == 3 || clock_now_real_ms() / 1000 >
	    before_ms / 1000 + 1);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_message_is_read_as_published),
		T(test_what_is_refused),
		T(test_history_is_a_chain_per_channel),
		T(test_the_oldest_go),
		T(test_a_reader_that_is_lapped_knows),
		T(test_origins),
		T(test_a_channel_of_others_alone),
		T(test_too_many_origins),
		T(test_idle_channels_are_forgotten),
		T(test_a_busy_channel_outlives_idle_ones),
		T(test_every_row_is_in_use),
		T(test_long_names),
		T(test_counts_of_subscribers),
		T(test_who_is_woken),
		T(test_one_write_wakes),
		T(test_members),
		T(test_member_info),
		T(test_a_reader_that_died),
		T(test_each_row),
	};
#undef T

	return UNIT_RUN(tests);
}
