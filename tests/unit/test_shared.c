/* SPDX-License-Identifier: MIT */
/*
 * workers/shared: slots, views, retirement and repair, one case at a time.
 * What happens when processes die while others go on is chaos_shared's.
 *
 * One process plays all parts by taking their numbers; where somebody has to
 * die inside a lock, the lock's intent is simply left behind, which is all
 * that a SIGKILL leaves.
 */
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "workers/shared_region.h"

#define SUPERVISOR (-1)
static int
shared_setup(void **state)
{
	struct error err;

	*state = shared_new(&err);
	return *state != NULL ? 0 : -1;
}

static int
shared_teardown(void **state)
{
	shared_free(*state);
	return 0;
}

static int
worker_make(struct shared *sh, unsigned index, unsigned generation)
{
	struct shared_worker w = {
	    .index = index,
	    .generation = generation,
	    .pid = 1000,
	    .state = WORKER_SERVING,
	    .cpu = 3,
	    .restarts = 7,
	};
	int slot = shared_slot_take(sh);

	assert_int_not_equal(slot, -1);
	shared_worker_set(sh, slot, &w);
	return slot;
}

/* As the worker of `slot`; the supervisor again afterwards. */
static void
worker_publish(struct shared *sh, int slot, uint64_t requests)
{
	struct stats s = {.requests = requests, .connections_active = 5};

	histogram_add(&s.request_time, 100, (uint32_t)requests);
	shared_enter_process(sh, slot);
	assert_true(shared_publish(sh, &s));
	shared_enter_process(sh, SUPERVISOR);
}

static uint64_t
view_requests(struct shared *sh)
{
	struct stats_view view;
	uint64_t n;

	assert_int_equal(shared_view(sh, &view), 0);
	n = view.total.requests;
	assert_int_equal(view.total.request_time.count, n);
	stats_view_done(&view);
	return n;
}

/* A process that goes into a lock and stays there. */
static void
process_enter(struct shared *sh, int slot, unsigned id,
    enum shared_lock_mode mode)
{
	assert_true(shared_lock_enter(&sh->map->locks, (unsigned)slot + 1, id,
	    mode));
}

static void
process_leave(struct shared *sh, int slot, unsigned id)
{
	shared_lock_leave(&sh->map->locks, (unsigned)slot + 1, id);
}

static void
new_region_is_labelled_and_empty(void **state)
{
	struct shared *sh = *state;
	struct stats_view view;

	assert_int_equal(sh->map->magic, SHARED_MAGIC);
	assert_int_equal(sh->map->version, SHARED_VERSION);
	assert_int_not_equal(sh->map->layout, 0);
	assert_int_equal(sh->map->bytes, sizeof(*sh->map));
	assert_true(shared_fd(sh) >= 0);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.worker_count, 0);
	assert_int_equal(view.total.requests, 0);
	stats_view_done(&view);
}

static void
header_is_shown_as_it_was_set(void **state)
{
	struct shared_header h = {
	    .supervisor_pid = 42,
	    .generation = 3,
	    .started_real_ms = 77,
	    .started_mono_ms = clock_now_ns() / 1000000 - 5000,
	    .reloads = 1,
	    .reloads_failed = 2,
	    .reload_real_ms = 99,
	    .crashes = 4,
	    .stalls = 5,
	    .workers_wanted = 6,
	    .draining = true,
	};
	struct stats_view view;
	struct shared *sh = *state;

	shared_header_set(sh, &h);
	shared_enter_process(sh, 0);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.supervisor_pid, 42);
	assert_int_equal(view.generation, 3);
	assert_int_equal(view.started_real_ms, 77);
	assert_true(view.uptime_ms >= 5000);
	assert_int_equal(view.reloads, 1);
	assert_int_equal(view.reloads_failed, 2);
	assert_int_equal(view.reload_real_ms, 99);
	assert_false(view.reload_ok);
	assert_int_equal(view.crashes, 4);
	assert_int_equal(view.stalls, 5);
	assert_int_equal(view.workers_wanted, 6);
	assert_true(view.draining);
	stats_view_done(&view);
}

static void
workers_are_listed_by_index_then_generation(void **state)
{
	static const unsigned made[][2] = {{2, 1}, {0, 2}, {1, 1}, {0, 1}};
	static const unsigned seen[][2] = {{0, 1}, {0, 2}, {1, 1}, {2, 1}};
	struct shared *sh = *state;
	struct stats_view view;

	for (size_t i = 0; i < 4; i++)
		worker_publish(sh, worker_make(sh, made[i][0], made[i][1]),
		    10 * made[i][0] + made[i][1]);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.worker_count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct stats_worker *w = &view.workers[i];

		assert_int_equal(w->index, seen[i][0]);
		assert_int_equal(w->generation, seen[i][1]);
		assert_int_equal(w->stats.requests,
		    10 * w->index + w->generation);
		assert_int_equal(w->pid, 1000);
		assert_int_equal(w->state, WORKER_SERVING);
		assert_int_equal(w->cpu, 3);
		assert_int_equal(w->restarts, 7);
	}
	assert_int_equal(view.total.requests, 35);
	assert_int_equal(view.total.connections_active, 20);
	stats_view_done(&view);
}

static void
child_publishes_and_its_parent_sees_it(void **state)
{
	struct shared *sh = *state;
	int slot = worker_make(sh, 0, 1), status;
	struct stats s = {.requests = 9};
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		shared_enter_process(sh, slot);
		shared_beat(sh, 1234);
		_exit(shared_publish(sh, &s) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(shared_heartbeat_ms(sh, slot), 1234);
	shared_worker_died(sh, slot);
	assert_false(shared_needs_repair(sh));
	assert_int_equal(shared_repair_count(sh), 0);
}

static void
dead_workers_counters_are_retired_once_without_gauges(void **state)
{
	struct shared *sh = *state;
	int slot = worker_make(sh, 0, 1);
	struct stats_view view;

	worker_publish(sh, slot, 11);
	shared_worker_died(sh, slot);
	shared_worker_died(sh, slot);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.worker_count, 0);
	assert_int_equal(view.total.requests, 11);
	assert_int_equal(view.total.request_time.count, 11);
	assert_int_equal(view.total.connections_active, 0);
	stats_view_done(&view);
}

static void
slot_taken_again_starts_at_nothing(void **state)
{
	struct shared *sh = *state;
	int slot = worker_make(sh, 0, 1);
	struct stats_view view;

	worker_publish(sh, slot, 11);
	shared_enter_process(sh, slot);
	shared_beat(sh, 1);
	shared_enter_process(sh, SUPERVISOR);
	assert_int_equal(view_requests(sh), 11);
	shared_worker_died(sh, slot);
	assert_int_equal(worker_make(sh, 1, 1), slot);
	assert_int_equal(shared_heartbeat_ms(sh, slot), 0);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.worker_count, 1);
	assert_int_equal(view.workers[0].stats.requests, 0);
	assert_int_equal(view.total.requests, 11);
	stats_view_done(&view);
}

static void
slots_run_out_and_come_back(void **state)
{
	struct shared *sh = *state;

	for (int i = 0; i < SHARED_SLOTS; i++)
		assert_int_equal(shared_slot_take(sh), i);
	assert_int_equal(shared_slot_take(sh), -1);
	shared_worker_died(sh, 17);
	assert_int_equal(shared_slot_take(sh), 17);
}

static void
busy_slot_is_shown_as_at_the_last_call(void **state)
{
	struct shared *sh = *state;
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);

	worker_publish(sh, a, 1);
	worker_publish(sh, b, 10);
	assert_int_equal(view_requests(sh), 11);
	worker_publish(sh, a, 2);
	worker_publish(sh, b, 20);
	process_enter(sh, a, (unsigned)a + 1, SHARED_WRITE);
	assert_int_equal(view_requests(sh), 21);
	process_leave(sh, a, (unsigned)a + 1);
	assert_int_equal(view_requests(sh), 22);
}

static void
publishing_into_a_read_slot_is_put_off(void **state)
{
	struct shared *sh = *state;
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);
	struct stats s = {.requests = 5};

	process_enter(sh, b, (unsigned)a + 1, SHARED_READ);
	shared_enter_process(sh, a);
	assert_false(shared_publish(sh, &s));
	process_leave(sh, b, (unsigned)a + 1);
	assert_true(shared_publish(sh, &s));
}

static void
busy_header_gives_the_last_view_or_none(void **state)
{
	struct shared *sh = *state;
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);
	struct stats_view view;

	shared_enter_process(sh, b);
	process_enter(sh, a, SHARED_LOCK_HEAD, SHARED_WRITE);
	assert_int_equal(shared_view(sh, &view), -1);
	process_leave(sh, a, SHARED_LOCK_HEAD);
	assert_int_equal(view_requests(sh), 0);
	worker_publish(sh, a, 3);
	shared_enter_process(sh, b);
	process_enter(sh, a, SHARED_LOCK_HEAD, SHARED_WRITE);
	assert_int_equal(view_requests(sh), 0);
	process_leave(sh, a, SHARED_LOCK_HEAD);
	assert_int_equal(view_requests(sh), 3);
}

/* The supervisor comes in however many readers there are: it closes the door
 * behind those that are inside. */
static void
header_change_waits_for_its_readers_and_keeps_new_ones_out(void **state)
{
	struct shared *sh = *state;
	struct shared_header h = {.generation = 2};
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);
	struct stats_view view;

	process_enter(sh, a, SHARED_LOCK_HEAD, SHARED_READ);
	shared_header_set(sh, &h);
	assert_true(shared_needs_repair(sh));
	shared_repair(sh);
	assert_true(shared_needs_repair(sh));
	assert_false(shared_lock_enter(&sh->map->locks, (unsigned)b + 1,
	    SHARED_LOCK_HEAD, SHARED_READ));
	process_leave(sh, a, SHARED_LOCK_HEAD);
	shared_repair(sh);
	assert_false(shared_needs_repair(sh));
	assert_int_equal(shared_repair_count(sh), 0);
	shared_enter_process(sh, b);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_int_equal(view.generation, 2);
	stats_view_done(&view);
}

static void
retirement_that_has_to_wait_moves_no_total(void **state)
{
	struct shared *sh = *state;
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);
	int reader = worker_make(sh, 2, 1);

	worker_publish(sh, a, 11);
	shared_enter_process(sh, reader);
	assert_int_equal(view_requests(sh), 11);
	process_enter(sh, b, SHARED_LOCK_HEAD, SHARED_READ);
	shared_enter_process(sh, SUPERVISOR);
	shared_worker_died(sh, a);
	assert_true(shared_needs_repair(sh));
	assert_int_not_equal(shared_slot_take(sh), a);
	assert_int_equal(view_requests(sh), 11);
	shared_enter_process(sh, reader);
	assert_int_equal(view_requests(sh), 11);
	process_leave(sh, b, SHARED_LOCK_HEAD);
	shared_enter_process(sh, SUPERVISOR);
	shared_repair(sh);
	assert_false(shared_needs_repair(sh));
	assert_int_equal(shared_slot_take(sh), a);
	shared_enter_process(sh, reader);
	assert_int_equal(view_requests(sh), 11);
}

struct death {
	unsigned lock; /* 0 the header's, 1 the own slot's, 2 another's */
	enum shared_lock_mode mode;
};

/* The lock is useless to the living until it is made anew, and that must wait
 * for a reader that is inside. */
static void
death_check(struct shared *sh, struct death d)
{
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);
	const unsigned ids[] = {
		SHARED_LOCK_HEAD, (unsigned)a + 1, (unsigned)b + 1,
	};
	unsigned id = ids[d.lock];
	uint64_t before = shared_repair_count(sh);
	bool reader = d.mode == SHARED_READ;

	process_enter(sh, a, id, d.mode);
	if (reader)
		process_enter(sh, b, id, SHARED_READ);
	shared_worker_died(sh, a);
	assert_true(shared_needs_repair(sh));
	shared_repair(sh);
	if (reader) {
		assert_true(shared_needs_repair(sh));
		process_leave(sh, b, id);
		shared_repair(sh);
	}
	assert_false(shared_needs_repair(sh));
	assert_int_equal(shared_repair_count(sh), before + 1);
	process_enter(sh, b, id, SHARED_WRITE);
	process_leave(sh, b, id);
	shared_worker_died(sh, b);
}

static void
lock_of_the_dead_is_made_anew_when_nobody_is_inside(void **state)
{
	static const struct death deaths[] = {
	    {0, SHARED_READ},
	    {1, SHARED_WRITE},
	    {1, SHARED_READ},
	    {2, SHARED_READ},
	};
	struct stats_view view;

	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		death_check(*state, deaths[i]);
	assert_int_equal(shared_view(*state, &view), 0);
	assert_int_equal(view.lock_repairs, 4);
	stats_view_done(&view);
}

static void
death_inside_two_locks_repairs_both(void **state)
{
	struct shared *sh = *state;
	int a = worker_make(sh, 0, 1), b = worker_make(sh, 1, 1);

	worker_publish(sh, b, 4);
	process_enter(sh, a, SHARED_LOCK_HEAD, SHARED_READ);
	process_enter(sh, a, (unsigned)b + 1, SHARED_READ);
	shared_worker_died(sh, a);
	shared_repair(sh);
	assert_false(shared_needs_repair(sh));
	assert_int_equal(shared_repair_count(sh), 2);
	worker_publish(sh, b, 5);
	shared_enter_process(sh, b);
	assert_int_equal(view_requests(sh), 5);
}

static void
heartbeat_age_is_counted_from_the_last_beat(void **state)
{
	struct shared *sh = *state;
	uint64_t now_ms = clock_now_ns() / 1000000;
	int slot = worker_make(sh, 0, 1);
	struct stats_view view;

	assert_int_equal(shared_heartbeat_ms(sh, slot), 0);
	shared_enter_process(sh, slot);
	shared_beat(sh, now_ms - 3000);
	shared_enter_process(sh, SUPERVISOR);
	assert_int_equal(shared_view(sh, &view), 0);
	assert_true(view.workers[0].heartbeat_age_ms >= 3000);
	stats_view_done(&view);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, shared_setup, shared_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(new_region_is_labelled_and_empty),
	    CASE(header_is_shown_as_it_was_set),
	    CASE(workers_are_listed_by_index_then_generation),
	    CASE(child_publishes_and_its_parent_sees_it),
	    CASE(dead_workers_counters_are_retired_once_without_gauges),
	    CASE(slot_taken_again_starts_at_nothing),
	    CASE(slots_run_out_and_come_back),
	    CASE(busy_slot_is_shown_as_at_the_last_call),
	    CASE(publishing_into_a_read_slot_is_put_off),
	    CASE(busy_header_gives_the_last_view_or_none),
	    CASE(header_change_waits_for_its_readers_and_keeps_new_ones_out),
	    CASE(retirement_that_has_to_wait_moves_no_total),
	    CASE(lock_of_the_dead_is_made_anew_when_nobody_is_inside),
	    CASE(death_inside_two_locks_repairs_both),
	    CASE(heartbeat_age_is_counted_from_the_last_beat),
	};

	return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
