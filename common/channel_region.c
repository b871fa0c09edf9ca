/* SPDX-License-Identifier: MIT */
/*
 * The region of the channels' log: its making, its mutex, its repair.
 *
 * Owns nothing: the memory is the caller's.
 * Invariant: whoever holds the mutex finds every table whole.
 * Here: what lies where, lock, repair.  Not here: what the tables mean.
 * Context: [channel_region.c] -> channel_table.c, channel_member.c,
 * channel_log.c; any process that maps it.
 */
#include "common/channel_region.h"

#include <errno.h>
#include <time.h>

/* Tells the processor that it waits, where there is a word for it. */
#if defined(__x86_64__) || defined(__i386__)
#define CHANNEL_PAUSE() __builtin_ia32_pause()
#else
#define CHANNEL_PAUSE() CHANNEL_ORDER()
#endif

#define CHANNEL_MAGIC UINT64_C(0x676f6c206e616863) /* "chan log" */
#define CHANNEL_PAGE 4096u
#define CHANNEL_RING_MIN 4096u
#define CHANNEL_INDEX_MAX (UINT32_MAX / 2)
/* A holder is out within a microsecond: longer than to look again so often. */
#define CHANNEL_SPINS 40
/* Once somebody has waited CHANNEL_LOCK_MS for a holder that is stopped, no
 * loop waits as long again until it goes on or dies. */
#define CHANNEL_STUCK_MS 1

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "atomics in shared memory must not hide a lock");

/* --- what lies where --- */

static size_t
region_power(size_t least, size_t n)
{
	size_t power = least;

	while (power < n)
		power *= 2;
	return power;
}

/* A place for `count` things, on pages of their own, so that a table that is
 * hardly used has hardly any memory. */
static size_t
region_place(size_t *end, size_t count, size_t bytes)
{
	size_t at = *end;

	*end += (count * bytes + CHANNEL_PAGE - 1) / CHANNEL_PAGE *
	    CHANNEL_PAGE;
	return at;
}

static void
region_layout(struct channel_log *log, const struct channel_log_limits *given)
{
	struct channel_log_limits *lim = &log->limits;
	size_t end = 0, buckets, member_buckets;

	*lim = *given;
	lim->ring_bytes = region_power(CHANNEL_RING_MIN, given->ring_bytes);
	buckets = region_power(16, lim->channels);
	member_buckets = region_power(16, lim->members);
	log->ring_mask = lim->ring_bytes - 1;
	log->bucket_mask = (uint32_t)(buckets - 1);
	log->member_bucket_mask = (uint32_t)(member_buckets - 1);
	(void)region_place(&end, 1, sizeof(*log));
	log->buckets_at = region_place(&end, buckets, sizeof(uint32_t));
	log->cells_at = region_place(&end, lim->channels + 1,
	    sizeof(struct channel_cell));
	log->names_at = region_place(&end, lim->channels + 1,
	    CHANNEL_NAME_LONG);
	log->origins_at = region_place(&end, lim->channels + 1,
	    sizeof(struct channel_origins));
	log->counts_at = region_place(&end,
	    (lim->channels + 1) * lim->readers, sizeof(uint32_t));
	log->member_buckets_at = region_place(&end, member_buckets,
	    sizeof(uint32_t));
	log->members_at = region_place(&end, lim->members + 1,
	    sizeof(struct channel_member_cell));
	log->ring_at = region_place(&end, 1, lim->ring_bytes);
	log->bytes = end;
}

size_t
channel_log_bytes(const struct channel_log_limits *limits)
{
	struct channel_log log;

	region_layout(&log, limits);
	return log.bytes;
}

const struct channel_log_limits *
channel_log_get_limits(const struct channel_log *log)
{
	return &log->limits;
}

static int
region_make_mutex(pthread_mutex_t *mutex, struct error *err)
{
	pthread_mutexattr_t attr;
	int rc;

	if ((rc = pthread_mutexattr_init(&attr)) == 0) {
		rc = pthread_mutexattr_setpshared(&attr,
		    PTHREAD_PROCESS_SHARED);
		if (rc == 0)
			rc = pthread_mutexattr_setrobust(&attr,
			    PTHREAD_MUTEX_ROBUST);
		if (rc == 0)
			rc = pthread_mutex_init(mutex, &attr);
		pthread_mutexattr_destroy(&attr);
	}
	errno = rc;
	return rc == 0 ? 0 : error_sys(err, "make a robust mutex");
}

int
channel_log_init(struct channel_log *log,
    const struct channel_log_limits *limits, struct error *err)
{
	if (limits->channels < 1 || limits->channels > CHANNEL_INDEX_MAX ||
	    limits->members > CHANNEL_INDEX_MAX || limits->readers < 1 ||
	    limits->readers > CHANNEL_READERS_MAX)
		return error_set(err, ERROR_INVALID,
		    "a log for %zu channels, %zu members and %u readers can't "
		    "be made", limits->channels, limits->members,
		    limits->readers);
	region_layout(log, limits);
	if (region_make_mutex(&log->mutex, err) == -1)
		return -1;
	random_init(&log->random);
	log->key[0] = random_u64(&log->random);
	log->key[1] = random_u64(&log->random);
	for (unsigned i = 0; i < CHANNEL_READERS_MAX; i++)
		log->reader[i].wake_fd = -1;
	atomic_store(&log->head, CHANNEL_FIRST_POSITION);
	atomic_store(&log->tail, CHANNEL_FIRST_POSITION);
	atomic_store(&log->applied, CHANNEL_FIRST_POSITION);
	log->magic = CHANNEL_MAGIC;
	return 0;
}

/* --- the mutex --- */

/* Whoever dies in here leaves it to the next, who begins again. */
static void
region_repair(struct channel_log *log)
{
	CHANNEL_CRASH_POINT(REPAIRING);
	atomic_fetch_add_explicit(&log->repairs, 1, memory_order_relaxed);
	if (log->is_changing) {
		channel_rows_rebuild(log);
		CHANNEL_CRASH_POINT(REBUILT);
		channel_members_rebuild(log);
		channel_rows_settle(log);
		CHANNEL_ORDER();
		log->is_changing = 0;
	}
	CHANNEL_CRASH_POINT(REDOING);
	channel_ring_redo(log);
	/* The dead may not have come to it. */
	channel_log_wake_all(log);
}

/* gcc's TSan doesn't see pthread_mutex_clocklock(). */
#ifdef __SANITIZE_THREAD__
#define CHANNEL_CLOCK CLOCK_REALTIME
#define CHANNEL_CLOCKLOCK(mutex, clock, until)                                 \
	pthread_mutex_timedlock(mutex, until)
#else
#define CHANNEL_CLOCK CLOCK_MONOTONIC
#define CHANNEL_CLOCKLOCK(mutex, clock, until)                                 \
	pthread_mutex_clocklock(mutex, clock, until)
#endif

static void
region_wait_end(uint64_t ms, struct timespec *ret_until)
{
	clock_gettime(CHANNEL_CLOCK, ret_until);
	ret_until->tv_nsec += (long)(ms * 1000000);
	if (ret_until->tv_nsec >= 1000000000) {
		ret_until->tv_nsec -= 1000000000;
		ret_until->tv_sec++;
	}
}

static int
region_wait(struct channel_log *log)
{
	bool was_stuck = atomic_load_explicit(&log->is_stuck,
	    memory_order_relaxed);
	struct timespec until;
	int rc;

	region_wait_end(was_stuck ? CHANNEL_STUCK_MS : CHANNEL_LOCK_MS, &until);
	rc = CHANNEL_CLOCKLOCK(&log->mutex, CHANNEL_CLOCK, &until);
	if (rc == ETIMEDOUT)
		atomic_store_explicit(&log->is_stuck, 1, memory_order_relaxed);
	else if (was_stuck)
		atomic_store_explicit(&log->is_stuck, 0, memory_order_relaxed);
	return rc;
}

int
channel_region_lock(struct channel_log *log)
{
	int rc = pthread_mutex_trylock(&log->mutex);

	for (int i = 0; rc == EBUSY && i < CHANNEL_SPINS; i++) {
		CHANNEL_PAUSE();
		rc = pthread_mutex_trylock(&log->mutex);
	}
	if (rc == EBUSY)
		rc = region_wait(log);
	CHANNEL_CRASH_POINT(LOCKED);
	if (rc == EOWNERDEAD) {
		region_repair(log);
		rc = pthread_mutex_consistent(&log->mutex);
		CHANNEL_CRASH_POINT(CONSISTENT);
	}
	return rc == 0 ? 0 : -EBUSY;
}

void
channel_region_unlock(struct channel_log *log)
{
	CHANNEL_CRASH_POINT(UNLOCKING);
	(void)pthread_mutex_unlock(&log->mutex);
	CHANNEL_CRASH_POINT(UNLOCKED);
}
