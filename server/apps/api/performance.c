/* SPDX-License-Identifier: MIT */
/*
 * /api/performance: a computation on the pool beside a query, or beside a timer
 * of 5 ms ("?beside=timer"); answered when both have come.
 *
 * Owns nothing: the state is in the request's arena.
 * Invariant: the loop never computes and never waits.
 * Context: a worker's loop; numbers_work() on a thread of its pool.
 */
#include <errno.h>

#include "api.h"

#define NUMBERS 1000
#define TIMER_MS 5

struct performance {
	unsigned waiting; /* parts under way */
	uint64_t start_us;
	int64_t beside_ms;
	int64_t row_count;
	uint64_t number[NUMBERS];
};

/* The slow way, on purpose: this stands for work that takes its time. */
static uint64_t
fibonacci(unsigned n)
{
	return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static void
numbers_work(void *state)
{
	struct performance *p = state;
	unsigned i;

	for (i = 0; i < NUMBERS; i++)
		p->number[i] = fibonacci(i % 30);
}

static void
performance_add_numbers(
    struct lane_json_writer *w, const struct performance *p)
{
	unsigned i;

	lane_json_key(w, "data");
	lane_json_array(w);
	for (i = 0; i < NUMBERS; i++)
		lane_json_uint(w, p->number[i]);
	lane_json_end(w);
}

static int
performance_send(struct lane_ctx *c, const struct performance *p)
{
	const struct api *api = lane_state(c);
	uint64_t taken_us = lane_clock_us() - p->start_us;
	int64_t taken_ms = (int64_t)(taken_us / 1000);
	struct lane_str taken = lane_format(c, "%lldms", (long long)taken_ms);
	struct lane_json_writer *w = lane_json_new(c);

	if (taken.p == NULL || lane_set(c, "X-Processing-Time", taken) != 0)
		return -ENOMEM;
	lane_observe_us(api->performance_us, taken_us);
	lane_json_object(w);
	lane_json_add_str(w, "status", LANE_STR("success"));
	performance_add_numbers(w, p);
	lane_json_key(w, "db_result");
	lane_json_object(w);
	lane_json_add_str(w, "query_result", LANE_STR("success"));
	lane_json_add_int(w, "rows_affected", p->row_count);
	lane_json_add_int(w, "execution_time_ms", p->beside_ms);
	lane_json_end(w);
	lane_json_add_int(w, "processing_time_ms", taken_ms);
	lane_json_add_int(w, "timestamp", lane_time_s(c));
	lane_json_end(w);
	return lane_json_send(w, 200);
}

/* Since it began. */
static int64_t
performance_ms(const struct performance *p)
{
	return (int64_t)((lane_clock_us() - p->start_us) / 1000);
}

/* One part has come; the last one answers. */
static int
performance_part(struct lane_ctx *c, struct performance *p)
{
	return --p->waiting > 0 ? LANE_ASYNC : performance_send(c, p);
}

static int
performance_on_numbers(struct lane_ctx *c, void *state)
{
	return performance_part(c, state);
}

static int
performance_on_timer(struct lane_ctx *c, void *state)
{
	struct performance *p = state;

	p->beside_ms = performance_ms(p);
	return performance_part(c, p);
}

static int
performance_on_rows(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct performance *p = state;

	if (lane_rows_status(rows) != 0)
		return store_fail(c, rows);
	p->beside_ms = performance_ms(p);
	p->row_count = lane_rows_count(rows);
	return performance_part(c, p);
}

static int
performance_start_beside(struct lane_ctx *c, struct performance *p)
{
	if (lane_str_eq(lane_arg_text(c, "beside"), LANE_STR("timer")))
		return lane_after(c, TIMER_MS, performance_on_timer, p);
	return store_sql(c,
	    .sql = "SELECT id, name FROM users ORDER BY id LIMIT 100",
	    .done = performance_on_rows, .state = p);
}

int
performance(struct lane_ctx *c)
{
	struct performance *p = lane_alloc(c, sizeof(*p));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->waiting = 2;
	p->start_us = lane_clock_us();
	rc = lane_offload(c, numbers_work, performance_on_numbers, p);
	return rc == LANE_ASYNC ? performance_start_beside(c, p) : rc;
}
