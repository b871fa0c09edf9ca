/* SPDX-License-Identifier: MIT */
/*
 * The locks of the shared region: process-shared pthread rwlocks that outlive
 * the death of whoever holds them.  workers/shared.h tells the protocol.
 *
 *	          bury (somebody died inside), close (a writer wants in)
 *	OPEN  ---------------------------------------------->  BROKEN, CLOSED
 *	      <----------------------------------------------
 *	          open, once no live process is inside (BROKEN: made anew)
 *
 * Process 0 is the supervisor, process i + 1 the worker of slot i; lock 0 is
 * the header's, lock i + 1 slot i's.  Each process says in a cache line of its
 * own, its intent, which locks it is about to be inside of.
 *
 *	if (!shared_lock_enter(locks, process, id, SHARED_READ))
 *		...busy: use what was read before, or try again later...
 *	copy(...);
 *	shared_lock_leave(locks, process, id);
 *
 * Owns: nothing; the struct lies in the mapping and holds no pointers.
 * Here: entering, leaving, repairing.  Not here: what the locks guard.
 * Context: nobody ever waits; each process enters from one thread only, and
 * enters each lock once at a time.
 */
#ifndef CORELANE_WORKERS_SHARED_LOCK_H
#define CORELANE_WORKERS_SHARED_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "workers/shared.h"

#define SHARED_LOCKS (SHARED_SLOTS + 1)
#define SHARED_LOCK_HEAD 0u
#define SHARED_INTENT_WORDS ((SHARED_LOCKS + 63) / 64)
#define SHARED_CACHE_LINE 64

enum shared_lock_mode { SHARED_READ, SHARED_WRITE };

enum shared_lock_state {
	SHARED_LOCK_OPEN,
	SHARED_LOCK_CLOSED, /* sound: whoever closed it wants it empty */
	SHARED_LOCK_BROKEN /* somebody died inside: to be made anew */
};

/* Written by its process alone; by the supervisor once that is reaped. */
struct shared_intent {
	_Alignas(SHARED_CACHE_LINE) _Atomic uint64_t word[SHARED_INTENT_WORDS];
};

/* `state` is written by the supervisor alone. */
struct shared_lock {
	_Alignas(SHARED_CACHE_LINE) _Atomic uint32_t state;
	pthread_rwlock_t rwlock;
};

struct shared_locks {
	struct shared_intent intent[SHARED_LOCKS];
	struct shared_lock lock[SHARED_LOCKS];
};

/* Makes all locks, open, in zeroed memory.  Returns 0 or -1. */
int shared_locks_init(struct shared_locks *ls, struct error *err)
    __attribute__((warn_unused_result));

/* Returns true when `process` is inside, false when the lock is busy. */
bool shared_lock_enter(struct shared_locks *ls, unsigned process, unsigned id,
    enum shared_lock_mode mode);
void shared_lock_leave(struct shared_locks *ls, unsigned process, unsigned id);

/* After `process` was reaped: declares broken each lock that it may have died
 * inside of.  Returns how many. */
unsigned shared_locks_bury(struct shared_locks *ls, unsigned process);

/* Lets nobody new in; a broken lock stays broken. */
void shared_lock_close(struct shared_locks *ls, unsigned id);

bool shared_lock_is_open(const struct shared_locks *ls, unsigned id);

/* Whether no live process is inside, or about to be. */
bool shared_lock_is_empty(const struct shared_locks *ls, unsigned id);

/* Makes an empty lock anew, if it was broken; closed still.  Returns whether it
 * was. */
bool shared_lock_remake(struct shared_locks *ls, unsigned id);

/* Opens a closed lock. */
void shared_lock_open(struct shared_locks *ls, unsigned id);

#endif
