/* SPDX-License-Identifier: MIT */
/*
 * The wheel: never early, never late by more than a tick, and quick to forget.
 */
#include "common/wheel.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

struct item {
	struct wheel_node node;
	uint64_t due_ms, fired_ms;
	unsigned fired;
};

static uint64_t now_ms;

static void
item_on_due(struct wheel_node *node, void *arg)
{
	struct item *it = (struct item *)node;

	it->fired++;
	it->fired_ms = now_ms;
}

static void
wheel_run(struct wheel *w, uint64_t until_ms)
{
	while (now_ms < until_ms) {
		now_ms += WHEEL_TICK_MS;
		wheel_advance(w, now_ms, item_on_due, NULL);
	}
}

static void
test_fires_once_and_in_time(void **state)
{
	static const uint64_t after[] = {0, 1, 50, 51, 999, 51150, 51200, 51250,
	    75000, 300000};
	enum { N = UNIT_COUNT(after) };
	struct item item[N] = {0};
	struct wheel w;
	size_t i;

	now_ms = 1000;
	wheel_init(&w, now_ms);
	for (i = 0; i < N; i++) {
		item[i].due_ms = now_ms + after[i];
		wheel_set(&w, &item[i].node, item[i].due_ms);
	}
	wheel_run(&w, 400000);
	for (i = 0; i < N; i++) {
		assert_int_equal(item[i].fired, 1);
		assert_true(item[i].fired_ms >= item[i].due_ms);
		assert_true(item[i].fired_ms <=
		    item[i].due_ms + 2 * WHEEL_TICK_MS);
	}
}

static void
test_moves_both_ways(void **state)
{
	struct item it = {0};
	struct wheel w;

	now_ms = 0;
	wheel_init(&w, 0);
	wheel_set(&w, &it.node, 1000);
	wheel_run(&w, 900);
	wheel_set(&w, &it.node, 3000);		/* later: only noted */
	wheel_run(&w, 2900);
	assert_int_equal(it.fired, 0);
	wheel_set(&w, &it.node, 100000);
	wheel_set(&w, &it.node, 4000);		/* earlier: moved */
	wheel_run(&w, 4100);
	assert_int_equal(it.fired, 1);
	wheel_set(&w, &it.node, 5000);
	wheel_clear(&it.node);
	wheel_clear(&it.node);
	wheel_run(&w, 60000);
	assert_int_equal(it.fired, 1);
}

static void
item_on_due_again(struct wheel_node *node, void *arg)
{
	struct item *it = (struct item *)node;

	if (++it->fired < 5)
		wheel_set(arg, node, now_ms);
}

static void
test_may_be_set_again_from_inside(void **state)
{
	struct item it = {0};
	struct wheel w;

	now_ms = 0;
	wheel_init(&w, 0);
	wheel_set(&w, &it.node, 100);
	while (now_ms < 2000) {
		now_ms += WHEEL_TICK_MS;
		wheel_advance(&w, now_ms, item_on_due_again, &w);
	}
	assert_int_equal(it.fired, 5);
}

static void
item_on_each(struct wheel_node *node, void *arg)
{
	unsigned *count = arg;

	(*count)++;
	wheel_clear(node);
}

static void
test_each_meets_everyone(void **state)
{
	struct item item[3000] = {0};
	struct wheel w;
	unsigned i, count = 0;

	wheel_init(&w, 0);
	for (i = 0; i < 3000; i++)
		wheel_set(&w, &item[i].node, (uint64_t)rand() % 100000);
	wheel_each(&w, item_on_each, &count);
	assert_int_equal(count, 3000);
	count = 0;
	wheel_each(&w, item_on_each, &count);
	assert_int_equal(count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_once_and_in_time),
		cmocka_unit_test(test_moves_both_ways),
		cmocka_unit_test(test_may_be_set_again_from_inside),
		cmocka_unit_test(test_each_meets_everyone),
	};

	return UNIT_RUN(tests);
}
