/* SPDX-License-Identifier: MIT */
/*
 * What lies where in the shared region, and what each process keeps beside it:
 * known to shared.c and shared_view.c only.
 *
 * One writer per datum.  The supervisor writes the header: its own facts, what
 * it knows of each worker, and the totals of those that are gone.  A worker
 * writes its slot: its counters and its heartbeat.  So a worker's death is one
 * flip of the header's index, in which its counters move to the retired totals
 * and its slot becomes free: no reader can see it in both, or in neither.
 *
 *	magic, version, layout, bytes
 *	names     modules' metrics; without a lock, because it only grows
 *	locks     an intent per process; header's lock, each slot's lock
 *	header    index -> [ copy A | copy B ]
 *	slot 0    heartbeat, index -> [ copy A | copy B ]
 *	...
 *
 * The writer fills the copy that `index` doesn't name, then flips it.
 * Context: as shared.h says.
 */
#ifndef CORELANE_WORKERS_SHARED_REGION_H
#define CORELANE_WORKERS_SHARED_REGION_H

#include <string.h>

#include "workers/shared.h"
#include "workers/shared_lock.h"

#define SHARED_MAGIC 0x656e616c65726f63u /* "corelane", little end first */
#define SHARED_VERSION 2u

/* How often a busy lock is tried: longer than a publish takes (some 2 us). */
#define SHARED_TRIES 100

/* What the supervisor tells.  life: how often the slot was taken, so that a
 * reader doesn't mistake one worker's counters for its successor's. */
struct shared_head {
	struct shared_header header;
	uint64_t lock_repairs;
	struct shared_worker worker[SHARED_SLOTS];
	uint64_t life[SHARED_SLOTS];
	struct stats retired; /* last: copied by shared_head_copy() */
};

static inline void
shared_head_copy(struct shared_head *to, const struct shared_head *from)
{
	memcpy(to, from, offsetof(struct shared_head, retired));
	stats_copy(&to->retired, &from->retired);
}

struct shared_slot {
	_Alignas(SHARED_CACHE_LINE) _Atomic uint64_t heartbeat_ms;
	_Alignas(SHARED_CACHE_LINE) _Atomic uint32_t index;
	struct stats copy[2];
};

struct shared_region {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t layout; /* hash of sizes, offsets and names of fields */
	uint64_t bytes;
	struct metric_names names;
	struct shared_locks locks;
	_Alignas(SHARED_CACHE_LINE) _Atomic uint32_t head_index;
	struct shared_head head[2];
	struct shared_slot slot[SHARED_SLOTS];
};

/* A slot's way, in the supervisor's books. */
enum shared_use {
	SHARED_FREE,
	SHARED_TAKEN,
	SHARED_LEAVING /* counters retired, but the header doesn't say so yet */
};

/* A slot's counters as this process read them last. */
struct shared_seen {
	uint64_t life;
	struct stats stats;
};

struct shared {
	struct shared_region *map;
	int fd;
	unsigned process; /* 0 the supervisor, i + 1 the worker of slot i */

	/* The supervisor's: what the header is to say, written there whole. */
	struct shared_head head;
	enum shared_use use[SHARED_SLOTS];
	bool head_pending; /* `head` is newer than the region's */
	bool needs_repair;
	uint64_t repair_count;

	/* The reader's: what shared_view() is made of. */
	struct shared_head seen_head;
	bool has_seen;
	struct shared_seen *seen[SHARED_SLOTS]; /* owned; NULL: never read */
};

#endif
