/* SPDX-License-Identifier: MIT */
/*
 * The statistics region: made, written and repaired.
 *
 * The supervisor's books (`sh->head`) are the truth; the header in the region
 * is a copy of them, written whole.  Where readers are inside, the header's
 * lock is closed behind them, and shared_repair() writes once they have left:
 * however busy the readers are, the supervisor comes in.
 *
 * Owns: the mapping and its memfd.  Invariant: a worker's counters are in its
 * slot or in the retired totals, and the header says which.
 * Here: slots, facts, retirement, repair, publishing.  Not here: the lock
 * protocol (shared_lock.c), reading (shared_view.c).
 * Context: shared_lock.c -> [shared.c] -> shared_view.c; the supervisor's loop
 * and, for its own slot, each worker's.
 */
#include "workers/shared.h"

#include <sys/mman.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "workers/shared_region.h"

/* Where the chaos test kills the process; nothing in the server itself. */
#ifndef SHARED_CRASH_POINT
#define SHARED_CRASH_POINT(where) ((void)0)
#endif

/* What a reader of another version would trip over: where things are, and
 * which counter is which. */
static uint64_t
region_layout(void)
{
#define X(field, ...) #field " "
	static const char names[] =
	    STATS_COUNTERS(X) STATS_GAUGES(X) STATS_HISTOGRAMS(X);
#undef X
	const uint64_t sizes[] = {
	    str_hash(str_of(names)),
	    sizeof(struct shared_region),
	    offsetof(struct shared_region, names),
	    offsetof(struct shared_region, locks),
	    offsetof(struct shared_region, head_index),
	    offsetof(struct shared_region, head),
	    offsetof(struct shared_region, slot),
	    sizeof(struct shared_locks),
	    sizeof(pthread_rwlock_t),
	    sizeof(struct shared_head),
	    offsetof(struct shared_head, retired),
	    offsetof(struct shared_head, worker),
	    offsetof(struct shared_head, life),
	    sizeof(struct shared_header),
	    sizeof(struct shared_worker),
	    sizeof(struct shared_slot),
	    offsetof(struct shared_slot, copy),
	    sizeof(struct metric_names),
	    sizeof(struct stats),
	    offsetof(struct stats, user_counter),
	    sizeof(struct histogram),
	};

	return str_hash(str_from((const char *)sizes, sizeof(sizes)));
}

/* fd: -1 when there is none, for the reason in errno. */
static struct shared_region *
region_map(int fd, struct error *err)
{
	const size_t bytes = sizeof(struct shared_region);
	void *p;

	if (fd == -1) {
		error_sys(err, "memfd_create");
		return NULL;
	}
	if (ftruncate(fd, (off_t)bytes) == -1) {
		error_sys(err, "ftruncate");
		return NULL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		error_sys(err, "mmap of %zu bytes", bytes);
		return NULL;
	}
	return p;
}

static int
region_init(struct shared_region *map, struct error *err)
{
	if (shared_locks_init(&map->locks, err) == -1)
		return -1;
	map->version = SHARED_VERSION;
	map->slots = SHARED_SLOTS;
	map->layout = region_layout();
	map->bytes = sizeof(*map);
	map->magic = SHARED_MAGIC;
	return 0;
}

struct shared *
shared_new(struct error *err)
{
	struct shared *sh = calloc(1, sizeof(*sh));

	if (sh == NULL) {
		error_nomem(err, "the shared statistics");
		return NULL;
	}
	sh->fd = memfd_create("corelane-stats", MFD_CLOEXEC);
	sh->map = region_map(sh->fd, err);
	if (sh->map == NULL || region_init(sh->map, err) == -1) {
		error_wrap(err, "shared statistics");
		shared_free(sh);
		return NULL;
	}
	return sh;
}

void
shared_free(struct shared *sh)
{
	if (sh == NULL)
		return;
	for (unsigned i = 0; i < SHARED_SLOTS; i++)
		free(sh->seen[i]);
	if (sh->map != NULL)
		munmap(sh->map, sizeof(*sh->map));
	if (sh->fd != -1)
		close(sh->fd);
	free(sh);
}

struct metric_names *
shared_metric_names(struct shared *sh)
{
	return &sh->map->names;
}

int
shared_fd(const struct shared *sh)
{
	return sh->fd;
}

/* The caller is alone in the header: it holds the lock, or closed it and finds
 * it empty. */
static void
head_write(struct shared *sh)
{
	struct shared_region *map = sh->map;
	uint32_t next =
	    !atomic_load_explicit(&map->head_index, memory_order_relaxed);

	sh->head.lock_repairs = sh->repair_count;
	shared_head_copy(&map->head[next], &sh->head);
	atomic_store_explicit(&map->head_index, next, memory_order_release);
	sh->head_pending = false;
	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		if (sh->use[i] == SHARED_LEAVING)
			sh->use[i] = SHARED_FREE;
	}
}

static void
head_publish(struct shared *sh)
{
	struct shared_locks *ls = &sh->map->locks;

	sh->head_pending = true;
	if (shared_lock_enter(ls, sh->process, SHARED_LOCK_HEAD,
	    SHARED_WRITE)) {
		head_write(sh);
		shared_lock_leave(ls, sh->process, SHARED_LOCK_HEAD);
		return;
	}
	shared_lock_close(ls, SHARED_LOCK_HEAD);
	sh->needs_repair = true;
}

void
shared_header_set(struct shared *sh, const struct shared_header *h)
{
	sh->head.header = *h;
	head_publish(sh);
}

void
shared_worker_set(struct shared *sh, int slot, const struct shared_worker *w)
{
	assert(slot >= 0 && slot < SHARED_SLOTS);
	assert(sh->use[slot] == SHARED_TAKEN);
	sh->head.worker[slot] = *w;
	head_publish(sh);
}

/* Nobody reads a slot that the header calls free, and its last owner is dead,
 * so that it can be cleared without its lock. */
static void
slot_clear(struct shared_slot *slot)
{
	uint32_t index =
	    atomic_load_explicit(&slot->index, memory_order_relaxed);

	stats_clear(&slot->copy[index]);
	atomic_store_explicit(&slot->heartbeat_ms, 0, memory_order_relaxed);
}

int
shared_slot_take(struct shared *sh)
{
	/* The lowest: few pages are touched, and few slots looked at. */
	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		if (sh->use[i] != SHARED_FREE ||
		    !shared_lock_is_open(&sh->map->locks, i + 1))
			continue;
		sh->use[i] = SHARED_TAKEN;
		sh->head.life[i]++;
		slot_clear(&sh->map->slot[i]);
		return (int)i;
	}
	return -1;
}

/* Retired in the books at once, so exactly once, however long the header's
 * readers keep it from being told; until then they find the counters where
 * they were, in the slot. */
static void
slot_retire(struct shared *sh, unsigned slot)
{
	const struct shared_slot *s = &sh->map->slot[slot];
	uint32_t index = atomic_load_explicit(&s->index, memory_order_acquire);

	stats_retire(&sh->head.retired, &s->copy[index]);
	memset(&sh->head.worker[slot], 0, sizeof(sh->head.worker[slot]));
	sh->use[slot] = SHARED_LEAVING;
}

void
shared_worker_died(struct shared *sh, int slot)
{
	assert(slot >= 0 && slot < SHARED_SLOTS);
	if (sh->use[slot] != SHARED_TAKEN)
		return;
	if (shared_locks_bury(&sh->map->locks, (unsigned)slot + 1) > 0)
		sh->needs_repair = true;
	slot_retire(sh, (unsigned)slot);
	head_publish(sh);
}

/* Returns whether the lock is open now. */
static bool
lock_repair(struct shared *sh, unsigned id)
{
	struct shared_locks *ls = &sh->map->locks;

	if (shared_lock_is_open(ls, id))
		return true;
	if (!shared_lock_is_empty(ls, id))
		return false;
	if (shared_lock_remake(ls, id)) {
		sh->repair_count++;
		sh->head_pending = true;
	}
	shared_lock_open(ls, id);
	return true;
}

/* Closed and empty, the header is the supervisor's alone: it writes first and
 * opens then, so that no stream of readers can keep it out. */
static bool
head_repair(struct shared *sh)
{
	struct shared_locks *ls = &sh->map->locks;

	if (shared_lock_is_open(ls, SHARED_LOCK_HEAD)) {
		if (sh->head_pending)
			head_publish(sh);
		return !sh->head_pending;
	}
	if (!shared_lock_is_empty(ls, SHARED_LOCK_HEAD))
		return false;
	if (shared_lock_remake(ls, SHARED_LOCK_HEAD))
		sh->repair_count++;
	head_write(sh);
	shared_lock_open(ls, SHARED_LOCK_HEAD);
	return true;
}

void
shared_repair(struct shared *sh)
{
	bool done = true;

	if (!sh->needs_repair)
		return;
	for (unsigned id = SHARED_LOCK_HEAD + 1; id < SHARED_LOCKS; id++)
		done = lock_repair(sh, id) && done;
	done = head_repair(sh) && done;
	sh->needs_repair = !done;
}

bool
shared_needs_repair(const struct shared *sh)
{
	return sh->needs_repair;
}

uint64_t
shared_repair_count(const struct shared *sh)
{
	return sh->repair_count;
}

uint64_t
shared_heartbeat_ms(const struct shared *sh, int slot)
{
	assert(slot >= 0 && slot < SHARED_SLOTS);
	return atomic_load_explicit(&sh->map->slot[slot].heartbeat_ms,
	    memory_order_relaxed);
}

void
shared_enter_process(struct shared *sh, int slot)
{
	assert(slot >= -1 && slot < SHARED_SLOTS);
	sh->process = (unsigned)(slot + 1);
}

static struct shared_slot *
slot_own(struct shared *sh)
{
	assert(sh->process > 0);
	return &sh->map->slot[sh->process - 1];
}

void
shared_beat(struct shared *sh, uint64_t mono_ms)
{
	atomic_store_explicit(&slot_own(sh)->heartbeat_ms, mono_ms,
	    memory_order_relaxed);
}

/* In two halves, so that the chaos test can die between them. */
static void
slot_copy(struct stats *to, const struct stats *from)
{
	const size_t bytes = stats_bytes(from), half = bytes / 2;

	memcpy(to, from, half);
	SHARED_CRASH_POINT(COPYING);
	memcpy((char *)to + half, (const char *)from + half, bytes - half);
}

bool
shared_publish(struct shared *sh, const struct stats *s)
{
	struct shared_slot *slot = slot_own(sh);
	unsigned id = sh->process;
	uint32_t next;

	if (!shared_lock_enter(&sh->map->locks, id, id, SHARED_WRITE))
		return false;
	next = !atomic_load_explicit(&slot->index, memory_order_relaxed);
	slot_copy(&slot->copy[next], s);
	SHARED_CRASH_POINT(COPIED);
	/* Last: whoever dies before this line has published nothing. */
	atomic_store_explicit(&slot->index, next, memory_order_release);
	shared_lock_leave(&sh->map->locks, id, id);
	return true;
}
