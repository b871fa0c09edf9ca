/* SPDX-License-Identifier: MIT */
/*
 * The statistics region: a memfd mapped before the first fork, with a header
 * that only the supervisor writes and one slot per worker that only its owner
 * writes, each under a process-shared pthread rwlock of its own.
 *
 * glibc has no robust rwlock: whoever dies holding one, or only waiting for
 * one, poisons it for ever.  So nobody ever waits.  The rule is "intent, try,
 * never wait":
 *
 *	enter:	set the lock's bit in my intent	(sequentially consistent)
 *		the lock is CLOSED, or try fails?  clear the bit: busy
 *	leave:	unlock, clear the bit
 *
 *	supervisor, after a death:
 *		take the dead process's intent; none: nothing to do
 *		close each lock it names: nobody new gets in
 *		no live process's intent names it any more?
 *		make the lock anew, open it
 *
 * so that a lock is re-made only when no process is inside any call on it,
 * which is what makes it legal.  Where the supervisor finds readers in the
 * header it closes that lock too, and writes once they have left.  A lock
 * recovered is not data recovered: the header and each slot hold two copies and
 * an index that is flipped last, so that a reader never sees half an update.
 *
 * Lock order: header, then slot.  The loop's thread alone enters.
 *
 * Owns: the mapping.  Offsets, never pointers, inside it; magic, version and
 * the layout's hash at its head, so that an upgraded binary can tell whether
 * it understands what it inherits.
 * Here: the region, its locks and their repair.  Not here: what the numbers
 * mean (common/stats.h), when to publish (workers/worker.c).
 * Context: as each function says.
 */
#ifndef CORELANE_WORKERS_SHARED_H
#define CORELANE_WORKERS_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/stats.h"

/* Slots for two generations of the most workers there can be; lock 0 is the
 * header's, lock i + 1 slot i's. */
#define SHARED_WORKERS_MAX 120
#define SHARED_SLOTS (2 * SHARED_WORKERS_MAX)

struct shared;

/* Supervisor, before the first fork.  Returns NULL on failure. */
struct shared *shared_new(struct error *err)
    __attribute__((warn_unused_result));

/* Unmaps it for this process only. */
void shared_free(struct shared *sh);

/* The memfd, lent: for an upgraded binary to inherit. */
int shared_fd(const struct shared *sh);

/* Where modules name their metrics; lent as long as the mapping. */
struct metric_names *shared_metric_names(struct shared *sh);

/* What the supervisor tells of one worker. */
struct shared_worker {
	unsigned index, generation;
	pid_t pid;
	enum worker_state state;
	int cpu;
	int64_t started_real_ms;
	uint64_t restarts;
};

/* What the supervisor tells of the whole: as in struct stats_view, whose
 * lock_repairs the region counts itself. */
struct shared_header {
	pid_t supervisor_pid;
	unsigned generation;
	int64_t started_real_ms;
	uint64_t started_mono_ms;
	uint64_t reloads, reloads_failed;
	int64_t reload_real_ms;
	bool reload_ok;
	uint64_t crashes, stalls;
	unsigned workers_wanted;
	bool draining;
};

/* Takes a free slot, zeroed, for a worker about to be forked.  Returns its
 * number, or -1 when all are taken. */
int shared_slot_take(struct shared *sh);

/* Says what a slot's worker is; the supervisor calls it before fork and at each
 * change of state.  Never blocks: where the lock is busy the change is kept and
 * written by the next shared_repair(). */
void shared_worker_set(struct shared *sh, int slot,
    const struct shared_worker *w);
void shared_header_set(struct shared *sh, const struct shared_header *h);

/*
 * To be called after waitpid() has reaped the slot's process: folds its
 * counters into the retired totals, closes the locks that its intent names.
 * The slot is free again once that is done (shared_repair() may finish it).
 */
void shared_worker_died(struct shared *sh, int slot);

/* To be called every few milliseconds while shared_needs_repair(): re-makes
 * closed locks that nobody is inside of, finishes what was pending. */
void shared_repair(struct shared *sh);
bool shared_needs_repair(const struct shared *sh);
uint64_t shared_repair_count(const struct shared *sh);

/* Milliseconds (CLOCK_MONOTONIC) of the slot's last heartbeat, 0 before its
 * first; lock-free. */
uint64_t shared_heartbeat_ms(const struct shared *sh, int slot);

/* Once, after fork: this process owns `slot` (the supervisor uses -1, which it
 * has from shared_new()). */
void shared_enter_process(struct shared *sh, int slot);

/* Says that this worker's loop turns; lock-free, a store. */
void shared_beat(struct shared *sh, uint64_t mono_ms);

/* Copies `s` into the own slot.  Returns true when it is published, false when
 * the lock was busy: try at the next tick.  A reader is out in microseconds, a
 * repair takes the supervisor's next shared_repair(). */
bool shared_publish(struct shared *sh, const struct stats *s);

/*
 * Fills a view of all workers and the totals.  Never waits: a slot that is
 * busy, after a few tries, is shown as it was at the last call.  Returns 0, or
 * -1 when there is no memory or the header stayed busy.
 */
int shared_view(struct shared *sh, struct stats_view *ret_view);

#endif
