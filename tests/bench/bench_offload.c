/* SPDX-License-Identifier: MIT */
/*
 * What the pool costs: from offload_submit() on the loop, through work() that
 * does nothing, to done() on the loop.  One job at a time is the idle round
 * trip; many at a time share their wake-ups.
 *
 *	build/tests/bench/bench_offload [THREADS]
 *
 * Context: one loop, a few seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "server/offload.h"

#define ROUNDS 200000u
#define OUTSTANDING_MAX 256

struct bench {
	struct event_base *base;
	struct offload *pool;
	struct offload_line line[OUTSTANDING_MAX];
	struct bench_job {
		struct offload_job job; /* first */
		struct bench *bench;
		struct offload_line *line;
	} job[OUTSTANDING_MAX];
	unsigned submitted, done;
};

static void
bench_work(struct offload_job *job)
{
}

static void
bench_submit(struct bench_job *j)
{
	struct bench *b = j->bench;

	if (b->submitted == ROUNDS)
		return;
	b->submitted++;
	if (offload_submit(b->pool, j->line, &j->job) < 0)
		abort();
}

static void
bench_done(struct offload_job *job)
{
	struct bench_job *j = (struct bench_job *)job;

	j->bench->done++;
	bench_submit(j);
}

static void
bench_run(struct bench *b, unsigned outstanding)
{
	uint64_t start = clock_now_ns(), turns = 0;
	unsigned i;

	b->submitted = b->done = 0;
	for (i = 0; i < outstanding; i++) {
		b->job[i] = (struct bench_job){.bench = b,
		    .line = &b->line[i],
		    .job = {.work = bench_work, .done = bench_done}};
		bench_submit(&b->job[i]);
	}
	for (; b->done < ROUNDS; turns++)
		event_base_loop(b->base, EVLOOP_ONCE);
	printf("%3u at a time: %6.2f us each, %5.1f in a turn\n", outstanding,
	    (double)(clock_now_ns() - start) / ROUNDS / 1000,
	    (double)ROUNDS / (double)turns);
}

int
main(int argc, char **argv)
{
	enum { COUNTS = 5 };
	static const unsigned outstanding[COUNTS] = {1, 4, 16, 64, 256};
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
	static struct bench b;
	struct stats stats = {0};
	struct error err;

	b.base = event_base_new();
	b.pool =
	    offload_new(b.base, threads, 2 * OUTSTANDING_MAX, &stats, &err);
	if (b.pool == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < COUNTS; i++)
		bench_run(&b, outstanding[i]);
	offload_free(b.pool);
	event_base_free(b.base);
	return 0;
}
