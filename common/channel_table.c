/* SPDX-License-Identifier: MIT */
/*
 * The rows of the channels' log, and who is interested in them.
 *
 * A row without subscribers stands in the list of idle rows, for its history;
 * when there is no free one left, the first of that list goes.  One that was
 * published in since it was looked at last is spared once: so that publishing
 * writes a flag and no list.
 *
 * Owns nothing: it all lies in the region.
 * Here: rows, interests.  Not here: members (channel_member.c), messages
 * (channel_log.c).
 * Context: under the region's mutex.  channel_region.c -> [channel_table.c] ->
 * channel_member.c
 */
#include "common/channel_region.h"

#include <errno.h>

#include "common/clock.h"
#include "common/siphash.h"

/* So many are spared in one search; beyond, the next goes as it is. */
#define ROWS_SPARED_MAX 64
#define ROWS_COPIED 32

/* --- names --- */

uint32_t
channel_hash(const struct channel_log *log, struct str name)
{
	return (uint32_t)siphash(log->key, name);
}

static char *
row_name_bytes(const struct channel_log *log, uint32_t row, size_t len)
{
	if (len <= CHANNEL_NAME_SHORT)
		return channel_cell_at(log, row)->short_name;
	return (char *)channel_region_at(log, log->names_at) +
	    (size_t)row * CHANNEL_NAME_LONG;
}

struct str
channel_row_name(const struct channel_log *log, uint32_t row)
{
	size_t len = channel_cell_at(log, row)->name_len;

	return str_from(row_name_bytes(log, row, len), len);
}

static bool
name_is_pattern(struct str name)
{
	return name.p[name.len - 1] == '*';
}

/* --- chains and lists --- */

static uint32_t *
row_bucket(const struct channel_log *log, uint32_t hash)
{
	return (uint32_t *)channel_region_at(log, log->buckets_at) +
	    (hash & log->bucket_mask);
}

static void
row_link(struct channel_log *log, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);
	uint32_t *bucket = row_bucket(log, c->hash);

	c->hash_next = *bucket;
	*bucket = row;
	if (c->state == ROW_PATTERN) {
		unsigned len = c->name_len - 1u;

		log->pattern_count[len]++;
		log->pattern_lengths[len / 64] |= UINT64_C(1) << len % 64;
	}
}

static void
row_unlink(struct channel_log *log, uint32_t row)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	uint32_t *link = row_bucket(log, c->hash);

	while (*link != row)
		link = &channel_cell_at(log, *link)->hash_next;
	*link = c->hash_next;
	if (c->state == ROW_PATTERN) {
		unsigned len = c->name_len - 1u;

		if (--log->pattern_count[len] == 0)
			log->pattern_lengths[len / 64] &=
			    ~(UINT64_C(1) << len % 64);
	}
}

static void
idle_append(struct channel_log *log, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);

	c->is_idle = true;
	c->idle_next = 0;
	c->idle_prev = log->idle_last;
	if (log->idle_last != 0)
		channel_cell_at(log, log->idle_last)->idle_next = row;
	else
		log->idle_first = row;
	log->idle_last = row;
}

static void
idle_remove(struct channel_log *log, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);

	c->is_idle = false;
	if (c->idle_next != 0)
		channel_cell_at(log, c->idle_next)->idle_prev = c->idle_prev;
	else
		log->idle_last = c->idle_prev;
	if (c->idle_prev != 0)
		channel_cell_at(log, c->idle_prev)->idle_next = c->idle_next;
	else
		log->idle_first = c->idle_next;
}

static void
row_add_free(struct channel_log *log, uint32_t row)
{
	channel_cell_at(log, row)->hash_next = log->row_free;
	log->row_free = row;
}

/* --- rows come and go --- */

uint32_t
channel_row_find(const struct channel_log *log, struct str name, uint32_t hash)
{
	uint32_t row = *row_bucket(log, hash);

	while (row != 0) {
		const struct channel_cell *c = channel_cell_at(log, row);

		if (c->hash == hash && str_eq(channel_row_name(log, row), name))
			break;
		row = c->hash_next;
	}
	return row;
}

/* The caller has said that tables change. */
static void
row_free(struct channel_log *log, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);

	if (c->is_idle)
		idle_remove(log, row);
	CHANNEL_CRASH_POINT(ROW_GOING);
	row_unlink(log, row);
	CHANNEL_ORDER();
	c->state = ROW_FREE;
	CHANNEL_CRASH_POINT(ROW_GONE);
	row_add_free(log, row);
	atomic_fetch_sub_explicit(&log->row_count, 1, memory_order_relaxed);
}

static void
row_evict(struct channel_log *log)
{
	for (unsigned i = 0; i < ROWS_SPARED_MAX; i++) {
		uint32_t row = log->idle_first;
		struct channel_cell *c = channel_cell_at(log, row);

		if (row == 0 || !c->is_spared)
			break;
		c->is_spared = false;
		idle_remove(log, row);
		idle_append(log, row);
	}
	if (log->idle_first != 0)
		row_free(log, log->idle_first);
}

static uint32_t
row_take(struct channel_log *log)
{
	uint32_t row;

	if (log->row_free == 0 && log->row_high < log->limits.channels)
		return ++log->row_high;
	if (log->row_free == 0)
		row_evict(log);
	row = log->row_free;
	if (row != 0)
		log->row_free = channel_cell_at(log, row)->hash_next;
	return row;
}

static uint32_t
row_epoch(struct channel_log *log)
{
	uint32_t epoch;

	do
		epoch = (uint32_t)random_u64(&log->random);
	while (epoch == 0);
	return epoch;
}

static uint32_t
row_make(struct channel_log *log, struct str name, uint32_t hash)
{
	uint32_t row = row_take(log);
	struct channel_cell *c = channel_cell_at(log, row);

	if (row == 0)
		return 0;
	memset(c, 0, offsetof(struct channel_cell, short_name));
	memcpy(row_name_bytes(log, row, name.len), name.p, name.len);
	c->name_len = (uint16_t)name.len;
	c->hash = hash;
	c->epoch = row_epoch(log);
	CHANNEL_CRASH_POINT(ROW_COMING);
	CHANNEL_ORDER();
	c->state = name_is_pattern(name) ? ROW_PATTERN : ROW_CHANNEL;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(ROW_COME);
	row_link(log, row);
	idle_append(log, row);
	atomic_fetch_add_explicit(&log->row_count, 1, memory_order_relaxed);
	return row;
}

uint32_t
channel_row_get(struct channel_log *log, struct str name, uint32_t hash)
{
	uint32_t row = channel_row_find(log, name, hash);

	if (row != 0)
		return row;
	log->is_changing = 1;
	CHANNEL_ORDER();
	row = row_make(log, name, hash);
	CHANNEL_ORDER();
	log->is_changing = 0;
	return row;
}

/* A pattern has no history to be kept for. */
void
channel_row_settle(struct channel_log *log, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);
	bool is_idle = c->subscribers == 0 && c->member_count == 0;

	if (is_idle && c->state == ROW_PATTERN)
		row_free(log, row);
	else if (is_idle && !c->is_idle)
		idle_append(log, row);
	else if (!is_idle && c->is_idle)
		idle_remove(log, row);
}

/* --- what is told of a row --- */

void
channel_row_position(const struct channel_log *log, uint32_t row,
    struct channel_position *ret_pos)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	const struct channel_origin *o = channel_origins_at(log, row)->item;
	unsigned n = 0;

	ret_pos->epoch = c->epoch;
	ret_pos->offset = c->offset;
	if (c->origin_count > 0 && c->own_number > 0) {
		ret_pos->seen[n].origin = c->epoch;
		ret_pos->seen[n++].number = c->own_number;
	}
	for (unsigned i = 0; i < c->origin_count; i++, n++) {
		ret_pos->seen[n].origin = o[i].origin;
		ret_pos->seen[n].number = o[i].number;
	}
	ret_pos->seen_count = n;
}

void
channel_row_state(const struct channel_log *log, uint32_t row,
    struct channel_state *ret_state)
{
	const struct channel_cell *c = channel_cell_at(log, row);

	ret_state->row = row;
	ret_state->epoch = c->epoch;
	ret_state->offset = c->offset;
	ret_state->last = c->last >= channel_log_tail(log) ? c->last : 0;
	ret_state->channel_bytes = c->bytes;
	ret_state->subscribers = c->subscribers;
	ret_state->is_loaded = c->loaded_era != 0 && c->loaded_era ==
	    atomic_load_explicit(&log->era, memory_order_relaxed);
	channel_row_position(log, row, &ret_state->position);
}

bool
channel_log_find(struct channel_log *log, struct str name,
    struct channel_state *ret_state)
{
	uint32_t row;

	if (!channel_pattern_is_valid(name) || channel_region_lock(log) != 0)
		return false;
	row = channel_row_find(log, name, channel_hash(log, name));
	if (row != 0)
		channel_row_state(log, row, ret_state);
	channel_region_unlock(log);
	return row != 0;
}

/* --- interests --- */

static void
readers_add(struct channel_readers *set, unsigned reader)
{
	set->word[reader / 64] |= UINT64_C(1) << reader % 64;
}

static void
readers_remove(struct channel_readers *set, unsigned reader)
{
	set->word[reader / 64] &= ~(UINT64_C(1) << reader % 64);
}

static void
interests_changed(struct channel_log *log)
{
	atomic_fetch_add_explicit(&log->interest_changes, 1,
	    memory_order_release);
}

/* Not many: those whose prefix is as long as some pattern's. */
static void
listeners_add_patterns(const struct channel_log *log, struct str name,
    struct channel_readers *set)
{
	char pattern[CHANNEL_NAME_MAX + 1];
	uint64_t lengths;

	for (unsigned w = 0; w <= name.len / 64; w++) {
		lengths = log->pattern_lengths[w];
		for (; lengths != 0; lengths &= lengths - 1) {
			size_t len = w * 64 + (size_t)__builtin_ctzll(lengths);
			struct str key = str_from(pattern, len + 1);
			uint32_t row;

			if (len > name.len)
				return;
			memcpy(pattern, name.p, len);
			pattern[len] = '*';
			row = channel_row_find(log, key,
			    channel_hash(log, key));
			if (row == 0)
				continue;
			for (unsigned i = 0; i < CHANNEL_READER_WORDS; i++)
				set->word[i] |= channel_cell_at(log,
				    row)->interest.word[i];
		}
	}
}

void
channel_row_listeners(const struct channel_log *log, uint32_t row,
    struct channel_readers *ret_set)
{
	*ret_set = channel_cell_at(log, row)->interest;
	listeners_add_patterns(log, channel_row_name(log, row), ret_set);
}

static void
interest_join(struct channel_log *log, unsigned reader, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);
	uint32_t *count = &channel_counts_at(log, reader)[row];

	log->reader[reader].is_used = 1;
	log->is_changing = 1;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(JOINING);
	++*count;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(JOINED);
	c->subscribers++;
	if (*count == 1) {
		readers_add(&c->interest, reader);
		interests_changed(log);
	}
	channel_row_settle(log, row);
	CHANNEL_ORDER();
	log->is_changing = 0;
}

static void
interest_leave(struct channel_log *log, unsigned reader, uint32_t row)
{
	struct channel_cell *c = channel_cell_at(log, row);
	uint32_t *count = &channel_counts_at(log, reader)[row];

	if (*count == 0)
		return;
	log->is_changing = 1;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(LEAVING);
	--*count;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(LEFT);
	c->subscribers--;
	if (*count == 0) {
		readers_remove(&c->interest, reader);
		interests_changed(log);
	}
	channel_row_settle(log, row);
	CHANNEL_ORDER();
	log->is_changing = 0;
}

int
channel_log_join(struct channel_log *log, unsigned reader, struct str name,
    struct channel_state *ret_state)
{
	uint32_t row;

	if (reader >= log->limits.readers || !channel_pattern_is_valid(name))
		return -EINVAL;
	if (channel_region_lock(log) != 0)
		return -EBUSY;
	row = channel_row_get(log, name, channel_hash(log, name));
	if (row != 0) {
		interest_join(log, reader, row);
		channel_row_state(log, row, ret_state);
	}
	channel_region_unlock(log);
	channel_watcher_wake(log);
	return row != 0 ? 0 : -ENOSPC;
}

int
channel_log_leave(struct channel_log *log, unsigned reader, struct str name)
{
	uint32_t row;

	if (reader >= log->limits.readers || !channel_pattern_is_valid(name))
		return 0;
	if (channel_region_lock(log) != 0)
		return -EBUSY;
	row = channel_row_find(log, name, channel_hash(log, name));
	if (row != 0)
		interest_leave(log, reader, row);
	channel_region_unlock(log);
	channel_watcher_wake(log);
	return 0;
}

void
channel_interests_drop(struct channel_log *log, unsigned reader)
{
	uint32_t *counts = channel_counts_at(log, reader);

	if (!log->reader[reader].is_used)
		return;
	log->is_changing = 1;
	CHANNEL_ORDER();
	for (uint32_t row = 1; row <= log->row_high; row++) {
		struct channel_cell *c = channel_cell_at(log, row);

		if (counts[row] == 0)
			continue;
		c->subscribers -= counts[row];
		counts[row] = 0;
		CHANNEL_CRASH_POINT(DROPPING);
		readers_remove(&c->interest, reader);
		channel_row_settle(log, row);
	}
	interests_changed(log);
	CHANNEL_ORDER();
	log->is_changing = 0;
	log->reader[reader].is_used = 0;
}

uint64_t
channel_log_interest_changes(const struct channel_log *log)
{
	return atomic_load_explicit(&log->interest_changes,
	    memory_order_acquire);
}

/* --- everything --- */

/* Messages of the last whole second. */
static uint32_t
row_rate(const struct channel_cell *c, uint32_t now_s)
{
	if (c->second == now_s)
		return c->count_before;
	return c->second + 1 == now_s ? c->count : 0;
}

/* Rows with copies of their names; the caller holds the mutex. */
static unsigned
rows_copy(const struct channel_log *log, uint32_t *row,
    struct channel_row *ret_rows, char (*names)[CHANNEL_NAME_LONG])
{
	uint32_t now_s = (uint32_t)(clock_now_real_ms() / 1000);
	unsigned n = 0;

	for (; *row <= log->row_high && n < ROWS_COPIED; ++*row) {
		const struct channel_cell *c = channel_cell_at(log, *row);

		if (c->state == ROW_FREE)
			continue;
		memcpy(names[n], channel_row_name(log, *row).p, c->name_len);
		ret_rows[n] = (struct channel_row){
			.name = str_from(names[n], c->name_len),
			.subscribers = c->subscribers,
			.messages = c->offset,
			.bytes = c->bytes,
			.last_ms = c->last_ms,
			.per_second = row_rate(c, now_s),
		};
		n++;
	}
	return n;
}

void
channel_log_each(struct channel_log *log,
    void (*fn)(const struct channel_row *row, void *arg), void *arg)
{
	struct channel_row rows[ROWS_COPIED];
	char names[ROWS_COPIED][CHANNEL_NAME_LONG];
	uint32_t row = 1;
	unsigned n;

	do {
		if (channel_region_lock(log) != 0)
			return;
		n = rows_copy(log, &row, rows, names);
		channel_region_unlock(log);
		for (unsigned i = 0; i < n; i++)
			fn(&rows[i], arg);
	} while (n > 0);
}

/* --- recovery --- */

static void
rows_sum_interests(struct channel_log *log)
{
	for (unsigned r = 0; r < log->limits.readers; r++) {
		const uint32_t *counts = channel_counts_at(log, r);

		if (!log->reader[r].is_used)
			continue;
		for (uint32_t row = 1; row <= log->row_high; row++) {
			struct channel_cell *c = channel_cell_at(log, row);

			if (counts[row] == 0)
				continue;
			c->subscribers += counts[row];
			readers_add(&c->interest, r);
		}
	}
}

void
channel_rows_rebuild(struct channel_log *log)
{
	uint32_t used = 0;

	memset(channel_region_at(log, log->buckets_at), 0,
	    (log->bucket_mask + (size_t)1) * sizeof(uint32_t));
	memset(log->pattern_count, 0, sizeof(log->pattern_count));
	memset(log->pattern_lengths, 0, sizeof(log->pattern_lengths));
	log->row_free = log->idle_first = log->idle_last = 0;
	for (uint32_t row = 1; row <= log->row_high; row++) {
		struct channel_cell *c = channel_cell_at(log, row);

		c->subscribers = c->member_count = c->member_first = 0;
		c->is_idle = false;
		memset(&c->interest, 0, sizeof(c->interest));
		if (c->state == ROW_FREE)
			row_add_free(log, row);
		else
			row_link(log, row), used++;
	}
	atomic_store_explicit(&log->row_count, used, memory_order_relaxed);
	rows_sum_interests(log);
	interests_changed(log);
}

void
channel_rows_settle(struct channel_log *log)
{
	for (uint32_t row = 1; row <= log->row_high; row++)
		if (channel_cell_at(log, row)->state != ROW_FREE)
			channel_row_settle(log, row);
}
