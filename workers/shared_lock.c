/* SPDX-License-Identifier: MIT */
/*
 * Process-shared rwlocks that survive their holders: "intent, try, never
 * wait", and repair by the supervisor.
 *
 * Why it is sound.  A process stores its intent, then loads the state; the
 * supervisor stores the state, then loads the intents; all four are
 * sequentially consistent, so that of two who meet at least one sees the other
 * (Dekker).  A lock that is not open and in nobody's intent therefore has no
 * process inside any call on it, nor can one get in: it may be made anew.
 *
 * Invariant: a process is inside a lock only while the lock's bit is set in its
 * intent.  A process that dies leaves the bit behind.
 * Here: the protocol.  Not here: the data, or when to repair (shared.c).
 * Context: [shared_lock.c] -> shared.c -> shared_view.c; any process, the
 * loop's thread.
 */
#include "workers/shared_lock.h"

#include <assert.h>
#include <errno.h>

/* Where the chaos test kills the process; nothing in the server itself. */
#ifndef SHARED_CRASH_POINT
#define SHARED_CRASH_POINT(where) ((void)0)
#endif

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "atomics in shared memory must not hide a lock");
_Static_assert(sizeof(struct shared_lock) == SHARED_CACHE_LINE,
    "a lock and its state share one cache line");

static int
lock_make(struct shared_lock *l)
{
	pthread_rwlockattr_t attr;
	int rc;

	if ((rc = pthread_rwlockattr_init(&attr)) != 0)
		return rc;
	rc = pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (rc == 0)
		rc = pthread_rwlock_init(&l->rwlock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return rc;
}

int
shared_locks_init(struct shared_locks *ls, struct error *err)
{
	for (unsigned id = 0; id < SHARED_LOCKS; id++) {
		if ((errno = lock_make(&ls->lock[id])) != 0)
			return error_sys(err, "make a shared rwlock");
	}
	return 0;
}

static uint64_t
intent_bit(unsigned id)
{
	return (uint64_t)1 << (id % 64);
}

/* A plain load and store would do for the owner, the only writer; the store
 * must be ordered before the load of the lock's state. */
static void
intent_set(struct shared_locks *ls, unsigned process, unsigned id)
{
	_Atomic uint64_t *word = &ls->intent[process].word[id / 64];
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store(word, old | intent_bit(id));
}

/* Release: what was done inside happens before the supervisor finds the lock
 * empty. */
static void
intent_clear(struct shared_locks *ls, unsigned process, unsigned id)
{
	_Atomic uint64_t *word = &ls->intent[process].word[id / 64];
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	old &= ~intent_bit(id);
	atomic_store_explicit(word, old, memory_order_release);
}

/* Whatever else the calls answer (EBUSY, EAGAIN, EDEADLK) means: not now. */
static bool
lock_try(struct shared_lock *l, enum shared_lock_mode mode)
{
	if (mode == SHARED_WRITE)
		return pthread_rwlock_trywrlock(&l->rwlock) == 0;
	return pthread_rwlock_tryrdlock(&l->rwlock) == 0;
}

bool
shared_lock_enter(struct shared_locks *ls, unsigned process, unsigned id,
    enum shared_lock_mode mode)
{
	struct shared_lock *l = &ls->lock[id];

	/* Asked before the intent too, so that those who knock at a closed
	 * lock don't keep it from being seen empty. */
	if (!shared_lock_is_open(ls, id))
		return false;
	intent_set(ls, process, id);
	SHARED_CRASH_POINT(INTENT);
	if (atomic_load(&l->state) == SHARED_LOCK_OPEN && lock_try(l, mode)) {
		SHARED_CRASH_POINT(ENTERED);
		return true;
	}
	SHARED_CRASH_POINT(REFUSED);
	intent_clear(ls, process, id);
	return false;
}

void
shared_lock_leave(struct shared_locks *ls, unsigned process, unsigned id)
{
	int rc;

	SHARED_CRASH_POINT(LEAVING);
	rc = pthread_rwlock_unlock(&ls->lock[id].rwlock);
	assert(rc == 0);
	(void)rc;
	SHARED_CRASH_POINT(UNLOCKED);
	intent_clear(ls, process, id);
}

unsigned
shared_locks_bury(struct shared_locks *ls, unsigned process)
{
	struct shared_intent *intent = &ls->intent[process];
	unsigned count = 0;

	for (unsigned w = 0; w < SHARED_INTENT_WORDS; w++) {
		uint64_t left = atomic_exchange(&intent->word[w], 0);

		for (; left != 0; left &= left - 1, count++) {
			unsigned id = w * 64 + (unsigned)__builtin_ctzll(left);

			atomic_store(&ls->lock[id].state, SHARED_LOCK_BROKEN);
		}
	}
	return count;
}

void
shared_lock_close(struct shared_locks *ls, unsigned id)
{
	if (shared_lock_is_open(ls, id))
		atomic_store(&ls->lock[id].state, SHARED_LOCK_CLOSED);
}

bool
shared_lock_is_open(const struct shared_locks *ls, unsigned id)
{
	return atomic_load(&ls->lock[id].state) == SHARED_LOCK_OPEN;
}

bool
shared_lock_is_empty(const struct shared_locks *ls, unsigned id)
{
	for (unsigned p = 0; p < SHARED_LOCKS; p++) {
		if (atomic_load(&ls->intent[p].word[id / 64]) & intent_bit(id))
			return false;
	}
	return true;
}

bool
shared_lock_remake(struct shared_locks *ls, unsigned id)
{
	struct shared_lock *l = &ls->lock[id];
	int rc;

	if (atomic_load(&l->state) != SHARED_LOCK_BROKEN)
		return false;
	/* Over the old one, without a destroy: that would be a call on a lock
	 * which a dead process may hold. */
	rc = lock_make(l);
	assert(rc == 0);
	(void)rc;
	atomic_store(&l->state, SHARED_LOCK_CLOSED);
	return true;
}

void
shared_lock_open(struct shared_locks *ls, unsigned id)
{
	atomic_store(&ls->lock[id].state, SHARED_LOCK_OPEN);
}
