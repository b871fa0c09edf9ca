/* SPDX-License-Identifier: MIT */
/* The channels' log, read by some threads while others write: for TSan. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/channel_region.h"

#define PUBLISHERS 2u
#define MESSAGES 2000u /* of each; none goes */
#define READERS 3u /* one to join and leave, two to read */

static struct channel_log *region;
static _Atomic unsigned wrong;

static const struct channel_log_limits limits = {
	.ring_bytes = 1u << 20,
	.channels = 64,
	.members = 64,
	.readers = READERS,
};

static void *
publisher_run(void *arg)
{
	const struct str channel = *(const struct str *)arg;
	char text[32];

	for (unsigned i = 1; i <= MESSAGES; i++) {
		int len = snprintf(text, sizeof(text), "%.*s %u",
		    STR_FMT(channel), i);
		struct channel_position pos;

		wrong += channel_log_publish(region, &(struct channel_message){
			.channel = channel,
			.data = str_from(text, (size_t)len)}, &pos) != 0;
		wrong += pos.offset != i;
	}
	return NULL;
}

/* Reads everything, in the order of each channel, as it comes. */
static void *
reader_run(void *arg)
{
	const unsigned number = *(const unsigned *)arg;
	uint64_t at = CHANNEL_FIRST_POSITION, seen[PUBLISHERS] = {0};
	struct channel_entry e;
	char text[32];

	while (seen[0] + seen[1] < PUBLISHERS * MESSAGES && wrong == 0) {
		channel_log_taken(region, number);
		for (; channel_log_read(region, at, &e); at = e.next) {
			unsigned from = e.channel.p[0] == 'b';
			int len = snprintf(text, sizeof(text), "%.*s %llu",
			    STR_FMT(e.channel), (unsigned long long)e.offset);

			wrong += e.offset != ++seen[from];
			wrong += !str_eq(e.data, str_from(text, (size_t)len));
			wrong += !channel_log_is_intact(region, at);
		}
	}
	return NULL;
}

static void
row_look(const struct channel_row *row, void *arg)
{
	wrong += row->name.len == 0;
}

static void
member_look(const struct channel_member *m, void *arg)
{
	wrong += !str_eq(m->user, STR("kim"));
}

/* Comes and goes, and asks for all there is to ask. */
static void *
guest_run(void *arg)
{
	struct channel_log_figures f;
	struct channel_state st;

	for (unsigned i = 1; i <= MESSAGES / 4; i++) {
		wrong += channel_log_join(region, 0, STR("a"), &st) != 0;
		wrong += channel_log_member_add(region, STR("a"),
		    &(struct channel_member){.client = i,
			.user = STR("kim")}) != 0;
		wrong += channel_log_members(region, STR("a"), 4, member_look,
		    NULL) == 0;
		channel_log_each(region, row_look, NULL);
		wrong += !channel_log_find(region, STR("a"), &st);
		channel_log_get_figures(region, &f);
		channel_log_wake_all(region);
		wrong += channel_log_reader_died(region, 0, NULL, NULL) != 0;
	}
	return NULL;
}

static void
test_threads(void **state)
{
	static unsigned numbers[] = {1, 2};
	struct str names[] = {STR("a"), STR("b")};
	pthread_t threads[5];
	struct channel_log_figures f;

	pthread_create(&threads[0], NULL, reader_run, &numbers[0]);
	pthread_create(&threads[1], NULL, reader_run, &numbers[1]);
	pthread_create(&threads[2], NULL, publisher_run, &names[0]);
	pthread_create(&threads[3], NULL, publisher_run, &names[1]);
	pthread_create(&threads[4], NULL, guest_run, NULL);
	for (size_t i = 0; i < UNIT_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
	channel_log_get_figures(region, &f);
	assert_int_equal(f.messages, PUBLISHERS * MESSAGES);
	assert_int_equal(f.evicted, 0);
	assert_int_equal(f.members, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};
	struct error err;
	int failed;

	region = aligned_alloc(4096, channel_log_bytes(&limits));
	if (region == NULL)
		return 1;
	memset(region, 0, channel_log_bytes(&limits));
	if (channel_log_init(region, &limits, &err) == -1)
		return 1;
	failed = UNIT_RUN(tests);
	free(region);
	return failed;
}
