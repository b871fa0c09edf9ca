/* SPDX-License-Identifier: MIT */
/*
 * What lies where in the region of the channels' log: for the files that make
 * it up, and nobody else.
 *
 * Everything is found by index or by position, never by pointer, because each
 * process may have mapped it elsewhere.  Rows and members are numbered from 1,
 * so that a zeroed link leads nowhere.
 *
 * What is true and what follows from it.  True are: a row's state, name and
 * epoch; the counts of interests; a member's state and what it holds; tail,
 * head, and the entries between.  All else (hash chains, lists, free lists,
 * sums, the sets of readers) follows from these, and is made anew by
 * channel_region_repair() when somebody died with `is_changing` set.  So an
 * operation sets that, writes what is true in one store, and links as it likes.
 *
 * A process may be killed between any two stores, so their order is the
 * program's: CHANNEL_ORDER() keeps the compiler from another.  Other processors
 * see it in that order as well: the mutex changes hands between the dead and
 * whoever repairs.
 *
 * Context: [channel_region.h] -> channel_region.c (init, lock, repair),
 * channel_table.c (rows, interests), channel_member.c, channel_log.c (ring,
 * publishing, readers), channel_position.c; any process that maps it.
 */
#ifndef CORELANE_COMMON_CHANNEL_REGION_H
#define CORELANE_COMMON_CHANNEL_REGION_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/channel_log.h"
#include "common/random.h"

/* Where the chaos test kills the process; nothing in the server itself. */
#ifndef CHANNEL_CRASH_POINT
#define CHANNEL_CRASH_POINT(where) ((void)0)
#endif

#define CHANNEL_ORDER() atomic_signal_fence(memory_order_seq_cst)

/* gcc's TSan knows no fences, and refuses them; an exchange is one as well. */
#ifdef __SANITIZE_THREAD__
#define CHANNEL_FENCE(log, order)                                              \
	((void)atomic_exchange(&((struct channel_log *)(uintptr_t)(log))       \
	    ->tsan_fence, 0))
#else
#define CHANNEL_FENCE(log, order) atomic_thread_fence(order)
#endif

#define CHANNEL_LINE 64
#define CHANNEL_READER_WORDS (CHANNEL_READERS_MAX / 64)
#define CHANNEL_LENGTHS (CHANNEL_NAME_MAX + 1)
#define CHANNEL_FIRST_POSITION 64u /* so that 0 is none */

/* Longer names lie in a table of their own, of which little is touched. */
#define CHANNEL_NAME_SHORT 64
#define CHANNEL_NAME_LONG 256

/* A set of readers. */
struct channel_readers {
	uint64_t word[CHANNEL_READER_WORDS];
};

enum channel_row_state { ROW_FREE, ROW_CHANNEL, ROW_PATTERN };

/* A channel or a pattern. */
struct channel_cell {
	_Alignas(CHANNEL_LINE) uint32_t state;	/* enum channel_row_state */
	uint32_t epoch;
	uint32_t hash;
	uint32_t hash_next;	/* rows, of one bucket; the free list */
	uint32_t idle_next, idle_prev;
	bool is_idle;		/* in that list: nobody is subscribed */
	bool is_spared;		/* used since it was looked at last */
	uint16_t name_len;
	uint16_t origin_count;	/* others than our own */
	uint32_t subscribers;
	uint64_t offset;	/* messages so far */
	uint64_t last;		/* the last one's position, or 0 */
	uint64_t bytes;		/* of their data */
	uint64_t own_number;	/* of the last one published here */
	int64_t last_ms;
	uint32_t second, count, count_before; /* see row_count() */
	uint32_t member_first, member_count;
	uint32_t loaded_era;	/* the log's `era`: it is loaded */
	struct channel_readers interest;
	char short_name[CHANNEL_NAME_SHORT];
};

struct channel_origin {
	uint32_t origin;
	uint32_t unused;
	uint64_t number;
};

/* A row's other origins, the one heard of last in front. */
struct channel_origins {
	struct channel_origin item[CHANNEL_ORIGINS_MAX];
};

struct channel_member_cell {
	uint32_t is_used;
	uint32_t row, reader;
	uint32_t hash_next;	/* members, of one bucket; the free list */
	uint32_t row_next, row_prev;
	uint64_t client;
	int64_t joined_ms;
	uint8_t user_len, info_len;
	char user[CHANNEL_USER_MAX];
	char info[CHANNEL_INFO_MAX];
};

struct channel_reader {
	_Alignas(CHANNEL_LINE) _Atomic uint32_t flag;
	int wake_fd;
	_Atomic uint64_t cursor;
	uint32_t is_used;	/* its counts aren't all zero */
};

/* An entry's head.  A filler, which goes to the end of the ring, has the first
 * eight bytes alone, and CHANNEL_FILLER for a row. */
struct channel_head {
	uint32_t bytes;		/* of the entry, a multiple of 8 */
	uint32_t row;
	uint64_t previous;
	uint64_t offset;
	uint64_t channel_bytes;
	int64_t time_ms;
	uint64_t number;
	uint32_t epoch, origin;
	uint32_t data_len;
	uint8_t name_len, content, seen_count, is_old;
};
#define CHANNEL_FILLER UINT32_MAX
#define CHANNEL_HEAD_WORDS (sizeof(struct channel_head) / sizeof(uint64_t))

_Static_assert(sizeof(struct channel_head) == CHANNEL_LINE,
    "an entry's head is a cache line");

/* Behind a head: seen[seen_count], name, data, and up to 7 bytes. */
struct channel_log {
	uint64_t magic;
	struct channel_log_limits limits;
	uint64_t key[2];		/* of siphash() */
	uint64_t ring_mask;
	uint32_t bucket_mask, member_bucket_mask;
	/* Where the tables begin, from the region's start. */
	size_t buckets_at, cells_at, names_at, origins_at, counts_at;
	size_t member_buckets_at, members_at, ring_at, bytes;

	_Alignas(CHANNEL_LINE) pthread_mutex_t mutex;
	_Atomic uint32_t is_stuck;	/* somebody has waited in vain */
	_Atomic uint32_t tsan_fence;
	uint32_t is_changing;		/* tables are half changed */
	struct random random;

	/* What a publish writes, after the line that readers look at. */
	_Alignas(CHANNEL_LINE) _Atomic uint64_t head;
	_Alignas(CHANNEL_LINE) _Atomic uint64_t tail;
	_Atomic uint64_t applied;
	_Atomic uint64_t messages, message_bytes, evicted, repairs;
	uint64_t messages_before, bytes_before;

	_Alignas(CHANNEL_LINE) uint32_t row_high; /* never used beyond */
	uint32_t row_free, idle_first, idle_last;
	_Atomic uint32_t row_count;
	uint32_t member_high, member_free;
	_Atomic uint32_t member_count;
	_Atomic uint64_t interest_changes;
	_Atomic uint32_t watcher;	/* a reader's number + 1; 0: none */
	_Atomic uint32_t era;	/* of the bridge's connection; 0: none */
	_Atomic uint32_t last_era;
	/* How many patterns are so long, without their "*", and which. */
	uint64_t pattern_lengths[CHANNEL_LENGTHS / 64];
	uint32_t pattern_count[CHANNEL_LENGTHS];

	struct channel_reader reader[CHANNEL_READERS_MAX];
};

/* --- where things are --- */

static inline void *
channel_region_at(const struct channel_log *log, size_t at)
{
	return (void *)((uintptr_t)log + at);
}

static inline struct channel_cell *
channel_cell_at(const struct channel_log *log, uint32_t row)
{
	return (struct channel_cell *)channel_region_at(log, log->cells_at) +
	    row;
}

static inline struct channel_origins *
channel_origins_at(const struct channel_log *log, uint32_t row)
{
	return (struct channel_origins *)channel_region_at(log,
	    log->origins_at) + row;
}

static inline struct channel_member_cell *
channel_member_at(const struct channel_log *log, uint32_t member)
{
	return (struct channel_member_cell *)channel_region_at(log,
	    log->members_at) + member;
}

/* The counts of a reader's interests, by row. */
static inline uint32_t *
channel_counts_at(const struct channel_log *log, unsigned reader)
{
	return (uint32_t *)channel_region_at(log, log->counts_at) +
	    (log->limits.channels + 1) * reader;
}

static inline char *
channel_ring_at(const struct channel_log *log, uint64_t at)
{
	return (char *)channel_region_at(log, log->ring_at) +
	    (at & log->ring_mask);
}

/* --- the mutex --- */

/* Returns 0, all tables being whole, or -EBUSY. */
int channel_region_lock(struct channel_log *log);
void channel_region_unlock(struct channel_log *log);

/* --- rows: the caller holds the mutex --- */

uint32_t channel_hash(const struct channel_log *log, struct str name);
struct str channel_row_name(const struct channel_log *log, uint32_t row);

/* 0: there is none. */
uint32_t channel_row_find(const struct channel_log *log, struct str name,
    uint32_t hash);
/* Makes it where there is none, in the place of the one longest unused if need
 * be.  0: every row is in use. */
uint32_t channel_row_get(struct channel_log *log, struct str name,
    uint32_t hash);
/* Once it may have lost its last subscriber or member. */
void channel_row_settle(struct channel_log *log, uint32_t row);
void channel_row_state(const struct channel_log *log, uint32_t row,
    struct channel_state *ret_state);
void channel_row_position(const struct channel_log *log, uint32_t row,
    struct channel_position *ret_pos);

/* Who is to be told of a message of the row. */
void channel_row_listeners(const struct channel_log *log, uint32_t row,
    struct channel_readers *ret_set);
/* That interests have changed: who watches is told, without the mutex. */
void channel_watcher_wake(struct channel_log *log);
/* Drops all interests of a reader. */
void channel_interests_drop(struct channel_log *log, unsigned reader);

/* --- members: the caller holds the mutex --- */

/* Drops the first of a reader's members from `*from` on, and moves that behind
 * it.  Returns false when there is none. */
struct channel_dropped {
	struct channel_member_cell cell;	/* a copy */
	char name[CHANNEL_NAME_LONG];
	size_t name_len;
};
bool channel_members_drop(struct channel_log *log, unsigned reader,
    uint32_t *from, struct channel_dropped *ret_dropped);
struct channel_member channel_member_of(const struct channel_member_cell *c);

/* --- recovery: the caller holds the mutex --- */

/* Make anew what follows from what is true: in this order. */
void channel_rows_rebuild(struct channel_log *log);
void channel_members_rebuild(struct channel_log *log);
void channel_rows_settle(struct channel_log *log);
/* Does for the message behind `applied` what its publisher has not. */
void channel_ring_redo(struct channel_log *log);

#endif
