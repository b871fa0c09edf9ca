/* SPDX-License-Identifier: MIT */
/*
 * The channels' region, checked: see channel_check.h.
 *
 * Owns nothing.
 * Here: rows, interests, members, lists, ring.  Not here: who broke it
 * (chaos_channels.c).
 * Context: one process, under the region's mutex.
 */
#include "tests/chaos/channel_check.h"

#include <stdlib.h>

#include "common/channel_region.h"

/* What the ring says of a row. */
struct check_last {
	uint64_t at, offset, bytes, own_number;
};

/* --- rows --- */

static const char *
check_row_sums(const struct channel_log *log, uint32_t row)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	struct channel_readers set = {{0}};
	uint32_t sum = 0;

	for (unsigned r = 0; r < log->limits.readers; r++) {
		uint32_t count = channel_counts_at(log, r)[row];

		sum += count;
		if (count > 0)
			set.word[r / 64] |= UINT64_C(1) << r % 64;
		if (count > 0 && !log->reader[r].is_used)
			return "a reader has counts and isn't used";
	}
	if (c->state == ROW_FREE)
		return sum == 0 ? NULL : "somebody is interested in a free row";
	if (sum != c->subscribers)
		return "subscribers aren't the sum of interests";
	if (memcmp(&set, &c->interest, sizeof(set)) != 0)
		return "the set of readers isn't who is interested";
	return NULL;
}

static const char *
check_row(const struct channel_log *log, uint32_t row)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	struct str name = channel_row_name(log, row);
	bool is_idle = c->subscribers == 0 && c->member_count == 0;

	if (c->state == ROW_FREE)
		return check_row_sums(log, row);
	if (!channel_pattern_is_valid(name))
		return "a row's name is none";
	if (channel_name_is_valid(name) != (c->state == ROW_CHANNEL))
		return "a row's state isn't that of its name";
	if (c->hash != channel_hash(log, name) ||
	    channel_row_find(log, name, c->hash) != row)
		return "a row isn't found by its name";
	if (c->epoch == 0)
		return "a row has no epoch";
	if (is_idle != c->is_idle || (is_idle && c->state == ROW_PATTERN))
		return "a row is idle, or isn't, and not told so";
	return check_row_sums(log, row);
}

static const char *
check_rows(const struct channel_log *log)
{
	uint32_t used = 0, idle = 0, idle_seen = 0, free_seen = 0;
	const char *wrong;

	if (log->is_changing)
		return "the tables are said to change";
	for (uint32_t row = 1; row <= log->row_high; row++) {
		const struct channel_cell *c = channel_cell_at(log, row);

		if ((wrong = check_row(log, row)) != NULL)
			return wrong;
		used += c->state != ROW_FREE;
		idle += c->state != ROW_FREE && c->is_idle;
	}
	for (uint32_t row = log->row_free; row != 0 && free_seen <= used +
	    log->row_high; row = channel_cell_at(log, row)->hash_next)
		free_seen++;
	for (uint32_t row = log->idle_first, before = 0; row != 0 &&
	    idle_seen <= used; row = channel_cell_at(log, row)->idle_next) {
		if (channel_cell_at(log, row)->idle_prev != before)
			return "the idle list isn't one backwards";
		before = row;
		idle_seen++;
	}
	if (used != log->row_count)
		return "rows are counted wrong";
	if (idle_seen != idle)
		return "the idle list isn't of those that are idle";
	/* One may be lost between its list and its state; a repair finds it,
	 * and none was needed. */
	return free_seen == log->row_high - used ? NULL :
	    "the free list isn't of the rows that are free";
}

static const char *
check_patterns(const struct channel_log *log)
{
	uint32_t count[CHANNEL_LENGTHS] = {0};

	for (uint32_t row = 1; row <= log->row_high; row++)
		if (channel_cell_at(log, row)->state == ROW_PATTERN)
			count[channel_cell_at(log, row)->name_len - 1]++;
	for (unsigned i = 0; i < CHANNEL_LENGTHS; i++) {
		bool is_set = log->pattern_lengths[i / 64] >> i % 64 & 1;

		if (count[i] != log->pattern_count[i] ||
		    is_set != (count[i] > 0))
			return "lengths of patterns are counted wrong";
	}
	return NULL;
}

/* --- members --- */

static const char *
check_members(const struct channel_log *log)
{
	uint32_t used = 0, linked = 0, free_seen = 0;

	for (uint32_t i = 1; i <= log->member_high; i++) {
		const struct channel_member_cell *m = channel_member_at(log, i);

		used += m->is_used;
		if (m->is_used &&
		    channel_cell_at(log, m->row)->state == ROW_FREE)
			return "a member of a row that is free";
	}
	for (uint32_t row = 1; row <= log->row_high; row++) {
		const struct channel_cell *c = channel_cell_at(log, row);
		uint32_t count = 0, before = 0;

		for (uint32_t i = c->state != ROW_FREE ? c->member_first : 0;
		    i != 0 && count <= used; count++) {
			const struct channel_member_cell *m =
			    channel_member_at(log, i);

			if (!m->is_used || m->row != row ||
			    m->row_prev != before)
				return "a row's list of members is wrong";
			before = i;
			i = m->row_next;
		}
		if (c->state != ROW_FREE && count != c->member_count)
			return "a row's members are counted wrong";
		linked += count;
	}
	for (uint32_t i = log->member_free; i != 0 &&
	    free_seen <= log->member_high;
	    i = channel_member_at(log, i)->hash_next)
		free_seen++;
	if (linked != used || log->member_count != used)
		return "members are counted wrong";
	return free_seen == log->member_high - used ? NULL :
	    "the free list isn't of the members that are free";
}

/* --- the ring --- */

static const char *
check_entry(const struct channel_log *log, const struct channel_entry *e,
    struct check_last *last)
{
	const struct channel_cell *c = channel_cell_at(log, e->row);
	struct check_last *l = &last[e->row];

	/* Of a channel that was forgotten since, or whose row is another's. */
	if (e->row > log->row_high || c->state == ROW_FREE ||
	    c->epoch != e->epoch)
		return NULL;
	if (!str_eq(channel_row_name(log, e->row), e->channel))
		return "an entry has another name than its row";
	if (l->at != 0 && e->previous != l->at)
		return "an entry's chain leaves one out";
	if (l->at != 0 && e->offset != l->offset + 1)
		return "an offset twice, or left out";
	if (l->at != 0 && e->channel_bytes != l->bytes + e->data.len)
		return "a channel's bytes don't add up";
	if (e->origin == e->epoch && e->number <= l->own_number)
		return "a number twice";
	l->at = e->at;
	l->offset = e->offset;
	l->bytes = e->channel_bytes;
	if (e->origin == e->epoch)
		l->own_number = e->number;
	return NULL;
}

static const char *
check_last(const struct channel_log *log, const struct check_last *last)
{
	for (uint32_t row = 1; row <= log->row_high; row++) {
		const struct channel_cell *c = channel_cell_at(log, row);

		if (c->state == ROW_FREE || last[row].at == 0)
			continue;
		if (c->last != last[row].at || c->offset != last[row].offset ||
		    c->bytes != last[row].bytes)
			return "a row doesn't know its last message";
		if (last[row].own_number != 0 &&
		    c->own_number != last[row].own_number)
			return "a row doesn't know its last number";
	}
	return NULL;
}

static const char *
check_ring(const struct channel_log *log, struct check_last *last)
{
	uint64_t at = channel_log_tail(log), head = channel_log_head(log);
	const char *wrong;

	if (log->applied != head)
		return "a message isn't applied";
	if (head - at > log->limits.ring_bytes)
		return "there is more in the ring than it holds";
	while (at < head) {
		struct channel_entry e;

		if (!channel_log_read(log, at, &e))
			return "an entry can't be read";
		if ((wrong = check_entry(log, &e, last)) != NULL)
			return wrong;
		at = e.next;
	}
	return at == head ? check_last(log, last) : "the last entry is torn";
}

const char *
channel_check(struct channel_log *log)
{
	struct check_last *last =
	    calloc(log->limits.channels + 1, sizeof(*last));
	const char *wrong = "no memory, or the mutex is held";

	if (last != NULL && channel_region_lock(log) == 0) {
		if ((wrong = check_rows(log)) == NULL &&
		    (wrong = check_patterns(log)) == NULL &&
		    (wrong = check_members(log)) == NULL)
			wrong = check_ring(log, last);
		channel_region_unlock(log);
	}
	free(last);
	return wrong;
}
