/* SPDX-License-Identifier: MIT */
/*
 * Alarms: in order, never early, and gone once they are cleared.
 */
#include "server/alarm.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

struct fixture {
	struct event_base *base;
	struct alarms *alarms;
	unsigned rung, wakes;
	uint64_t last_due_ns;
};

struct item {
	struct alarm alarm; /* first */
	struct fixture *fx;
	uint64_t set_ns, rung_ns;
	unsigned rung;
	struct item *clears; /* one that it clears when it rings, or NULL */
	unsigned again; /* how often it sets itself again */
};

static void
fixture_on_wake(void *arg)
{
	((struct fixture *)arg)->wakes++;
}

static void
fixture_open(struct fixture *fx)
{
	struct error err;

	*fx = (struct fixture){.base = event_base_new()};
	assert_non_null(fx->base);
	fx->alarms = alarms_new(fx->base, &err);
	assert_non_null(fx->alarms);
	alarms_on_wake(fx->alarms, fixture_on_wake, fx);
}

static void
fixture_close(struct fixture *fx)
{
	alarms_free(fx->alarms);
	event_base_free(fx->base);
}

static void
fixture_run(struct fixture *fx, unsigned rung)
{
	while (fx->rung < rung)
		event_base_loop(fx->base, EVLOOP_ONCE);
}

static void
item_on_ring(struct alarm *alarm)
{
	struct item *it = (struct item *)alarm;
	struct fixture *fx = it->fx;

	it->rung++;
	it->rung_ns = clock_now_ns();
	fx->rung++;
	assert_true(alarm->due_ns >= fx->last_due_ns);
	fx->last_due_ns = alarm->due_ns;
	if (it->clears != NULL)
		alarm_clear(fx->alarms, &it->clears->alarm);
	if (it->again > 0) {
		it->again--;
		alarm_set(fx->alarms, alarm, 0);
	}
}

static void
item_set(struct fixture *fx, struct item *it, uint64_t after_ms)
{
	it->fx = fx;
	it->alarm.fn = item_on_ring;
	it->set_ns = clock_now_ns();
	alarm_set(fx->alarms, &it->alarm, after_ms);
}

static void
test_rings_once_in_order_and_never_early(void **state)
{
	enum { N = 2000 };
	static struct item item[N];
	static uint64_t after[N];
	struct fixture fx;

	fixture_open(&fx);
	for (unsigned i = 0; i < N; i++) {
		after[i] = (unsigned)rand() % 60;
		item_set(&fx, &item[i], after[i]);
	}
	fixture_run(&fx, N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(item[i].rung, 1);
		assert_true(
		    item[i].rung_ns - item[i].set_ns >= after[i] * 1000000);
		assert_false(alarm_is_set(&item[i].alarm));
	}
	fixture_close(&fx);
}

static void
test_cleared_ones_stay_silent(void **state)
{
	enum { N = 300 };
	struct item item[N] = {0};
	struct fixture fx;
	unsigned i;

	fixture_open(&fx);
	for (i = 0; i < N; i++)
		item_set(&fx, &item[i], (unsigned)rand() % 20);
	for (i = 0; i < N; i += 3) {
		alarm_clear(fx.alarms, &item[i].alarm);
		alarm_clear(fx.alarms, &item[i].alarm);
	}
	fixture_run(&fx, N - N / 3);
	/* A last one that is due after all others. */
	item_set(&fx, &item[0], 25);
	fixture_run(&fx, N - N / 3 + 1);
	for (i = 0; i < N; i++)
		assert_int_equal(item[i].rung, i % 3 != 0 || i == 0);
	fixture_close(&fx);
}

static void
test_may_be_set_and_cleared_from_inside(void **state)
{
	struct item a = {0}, b = {0}, c = {0};
	struct fixture fx;

	fixture_open(&fx);
	a.clears = &b;
	a.again = 20;
	item_set(&fx, &b, 2);
	item_set(&fx, &a, 1);
	item_set(&fx, &c, 3);
	fixture_run(&fx, 22);
	assert_int_equal(a.rung, 21);
	assert_int_equal(b.rung, 0);
	assert_int_equal(c.rung, 1);
	fixture_close(&fx);
}

static void
test_one_turn_rings_all_that_are_due(void **state)
{
	enum { N = 50 };
	struct item item[N] = {0}, late = {0};
	struct fixture fx;
	uint64_t since = clock_now_ns();

	fixture_open(&fx);
	item_set(&fx, &late, 5);
	for (unsigned i = 0; i < N; i++)
		item_set(&fx, &item[i], 0);
	/* The loop is held until they are due. */
	while (clock_now_ns() - since < 2000000)
		continue;
	event_base_loop(fx.base, EVLOOP_ONCE);
	assert_true(fx.rung >= N);
	assert_int_equal(fx.wakes, 1);
	fixture_run(&fx, N + 1);
	fixture_close(&fx);
}

static void
test_setting_it_anew_moves_it(void **state)
{
	struct item a = {0}, b = {0};
	struct fixture fx;

	fixture_open(&fx);
	item_set(&fx, &a, 3600000);
	item_set(&fx, &b, 10);
	item_set(&fx, &a, 1);
	fixture_run(&fx, 1);
	assert_int_equal(a.rung, 1);
	assert_int_equal(b.rung, 0);
	fixture_run(&fx, 2);
	fixture_close(&fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rings_once_in_order_and_never_early),
	    cmocka_unit_test(test_cleared_ones_stay_silent),
	    cmocka_unit_test(test_may_be_set_and_cleared_from_inside),
	    cmocka_unit_test(test_one_turn_rings_all_that_are_due),
	    cmocka_unit_test(test_setting_it_anew_moves_it),
	};

	return UNIT_RUN(tests);
}
