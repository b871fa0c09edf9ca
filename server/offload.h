/* SPDX-License-Identifier: MIT */
/*
 * The pool: threads of one worker for work that blocks or takes long, the only
 * way to do either.
 *
 *	loop: offload_submit() -> lines, one per client -> threads: work()
 *	loop: done() <- eventfd <- finished jobs <-----------'
 *
 * Fair: each client (a context, a database) has a line of its own, and the
 * threads take one job of each line in turn.  Bounded: at `queue_max` jobs that
 * wait, or at half of that in one line, the next is refused.
 *
 *	struct hash { struct offload_job job; ... };
 *
 *	h->job.work = hash_work;		(any thread)
 *	h->job.done = hash_done;		(the loop, once)
 *	if (offload_submit(pool, &line, &h->job) < 0)
 *		...503...
 *
 * Context: the loop's thread, but for work().  Threads are made by the first
 * job, after the worker's fork; all signals are blocked in them.
 */
#ifndef CORELANE_SERVER_OFFLOAD_H
#define CORELANE_SERVER_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/stats.h"

struct event_base;
struct offload;
struct offload_job;

/* Who asks: embedded in a context or a database; all zero is an empty one. */
struct offload_line {
	struct offload_job *first, **last;
	struct offload_line *next, **prev; /* of those with jobs */
	size_t waiting;
	unsigned running;
	unsigned running_max; /* jobs of this line at once; 0: any number */
};

enum offload_state {
	JOB_NONE,
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_FINISHED /* done() is on its way */
};

struct offload_job {
	struct offload_job *next;
	struct offload_line *line;
	enum offload_state state; /* the pool's; guarded by its lock */
	void (*work)(struct offload_job *job);
	void (*done)(struct offload_job *job);
};

/* threads: at least 1.  stats: borrowed, counted on the loop. */
struct offload *offload_new(struct event_base *base, unsigned threads,
    size_t queue_max, struct stats *stats, struct error *err)
    __attribute__((warn_unused_result));

/* Waits for what runs; what waits is dropped: done() isn't called for it, and
 * has been for everything that ran. */
void offload_free(struct offload *o);

/* Has fn(arg) called on the loop before the first done() of a turn. */
void offload_on_wake(struct offload *o, void (*fn)(void *arg), void *arg);

/* Writes the gauges, which move without the loop, to the statistics. */
void offload_measure(struct offload *o);

/* Returns 0; -EAGAIN: the queue is full; -ENOMEM: no thread can be made. */
int offload_submit(struct offload *o, struct offload_line *line,
    struct offload_job *job) __attribute__((warn_unused_result));

/* Takes a waiting job back: true, and done() won't be called.  False when it
 * runs or has run: done() will be. */
bool offload_cancel(struct offload *o, struct offload_job *job);

#endif
