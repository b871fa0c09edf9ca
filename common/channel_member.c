/* SPDX-License-Identifier: MIT */
/*
 * The members of channels: who is there, where a channel's presence tells it.
 *
 * Owns nothing: it all lies in the region.
 * Here: members.  Not here: rows and counts (channel_table.c), who is told of
 * them (server/channel.c).
 * Context: channel_table.c -> [channel_member.c] -> channel_log.c; any process
 * that maps the region.
 */
#include "common/channel_region.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/siphash.h"

/* --- chains and lists --- */

static uint32_t *
member_bucket(const struct channel_log *log, uint32_t row, uint64_t client)
{
	const uint64_t key[2] = {row, client};
	uint64_t hash = siphash(log->key,
	    str_from((const char *)key, sizeof(key)));

	return (uint32_t *)channel_region_at(log, log->member_buckets_at) +
	    ((uint32_t)hash & log->member_bucket_mask);
}

static uint32_t
member_find(const struct channel_log *log, uint32_t row, uint64_t client)
{
	uint32_t member = *member_bucket(log, row, client);

	while (member != 0) {
		const struct channel_member_cell *m =
		    channel_member_at(log, member);

		if (m->row == row && m->client == client)
			break;
		member = m->hash_next;
	}
	return member;
}

static void
member_link(struct channel_log *log, uint32_t member)
{
	struct channel_member_cell *m = channel_member_at(log, member);
	struct channel_cell *c = channel_cell_at(log, m->row);
	uint32_t *bucket = member_bucket(log, m->row, m->client);

	m->hash_next = *bucket;
	*bucket = member;
	m->row_prev = 0;
	m->row_next = c->member_first;
	if (c->member_first != 0)
		channel_member_at(log, c->member_first)->row_prev = member;
	c->member_first = member;
	c->member_count++;
}

static void
member_unlink(struct channel_log *log, uint32_t member)
{
	struct channel_member_cell *m = channel_member_at(log, member);
	struct channel_cell *c = channel_cell_at(log, m->row);
	uint32_t *link = member_bucket(log, m->row, m->client);

	while (*link != member)
		link = &channel_member_at(log, *link)->hash_next;
	*link = m->hash_next;
	if (m->row_next != 0)
		channel_member_at(log, m->row_next)->row_prev = m->row_prev;
	if (m->row_prev != 0)
		channel_member_at(log, m->row_prev)->row_next = m->row_next;
	else
		c->member_first = m->row_next;
	c->member_count--;
}

static void
member_add_free(struct channel_log *log, uint32_t member)
{
	channel_member_at(log, member)->hash_next = log->member_free;
	log->member_free = member;
}

static uint32_t
member_take(struct channel_log *log)
{
	uint32_t member = log->member_free;

	if (member != 0)
		log->member_free = channel_member_at(log, member)->hash_next;
	else if (log->member_high < log->limits.members)
		member = ++log->member_high;
	return member;
}

/* --- they come and go; the caller holds the mutex --- */

static void
member_write(struct channel_member_cell *cell, const struct channel_member *m)
{
	cell->reader = m->reader;
	cell->joined_ms = m->joined_ms;
	cell->user_len = (uint8_t)m->user.len;
	cell->info_len = (uint8_t)m->info.len;
	if (m->user.len > 0)
		memcpy(cell->user, m->user.p, m->user.len);
	if (m->info.len > 0)
		memcpy(cell->info, m->info.p, m->info.len);
}

static int
member_make(struct channel_log *log, uint32_t row,
    const struct channel_member *m)
{
	uint32_t member;
	struct channel_member_cell *cell;

	log->is_changing = 1;
	CHANNEL_ORDER();
	member = member_take(log);
	if (member != 0) {
		cell = channel_member_at(log, member);
		cell->row = row;
		cell->client = m->client;
		member_write(cell, m);
		CHANNEL_ORDER();
		CHANNEL_CRASH_POINT(MEMBER_COMING);
		cell->is_used = 1;
		CHANNEL_ORDER();
		CHANNEL_CRASH_POINT(MEMBER_COME);
		member_link(log, member);
		channel_row_settle(log, row);
		atomic_fetch_add_explicit(&log->member_count, 1,
		    memory_order_relaxed);
	}
	CHANNEL_ORDER();
	log->is_changing = 0;
	return member != 0 ? 0 : -ENOSPC;
}

static void
member_drop(struct channel_log *log, uint32_t member)
{
	struct channel_member_cell *cell = channel_member_at(log, member);

	log->is_changing = 1;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(MEMBER_GOING);
	cell->is_used = 0;
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(MEMBER_GONE);
	member_unlink(log, member);
	member_add_free(log, member);
	channel_row_settle(log, cell->row);
	atomic_fetch_sub_explicit(&log->member_count, 1, memory_order_relaxed);
	CHANNEL_ORDER();
	log->is_changing = 0;
}

/* --- what is asked for --- */

int
channel_log_member_add(struct channel_log *log, struct str name,
    const struct channel_member *m)
{
	uint32_t row, member;
	int rc = -ENOENT;

	if (!channel_name_is_valid(name) || m->reader >= log->limits.readers ||
	    m->user.len > CHANNEL_USER_MAX || m->info.len > CHANNEL_INFO_MAX)
		return -EINVAL;
	if (channel_region_lock(log) != 0)
		return -EBUSY;
	row = channel_row_find(log, name, channel_hash(log, name));
	member = row != 0 ? member_find(log, row, m->client) : 0;
	if (member != 0) {
		member_write(channel_member_at(log, member), m);
		rc = 0;
	} else if (row != 0) {
		rc = member_make(log, row, m);
	}
	channel_region_unlock(log);
	return rc;
}

int
channel_log_member_remove(struct channel_log *log, struct str name,
    uint64_t client)
{
	uint32_t row, member;

	if (!channel_name_is_valid(name))
		return 0;
	if (channel_region_lock(log) != 0)
		return -EBUSY;
	row = channel_row_find(log, name, channel_hash(log, name));
	member = row != 0 ? member_find(log, row, client) : 0;
	if (member != 0)
		member_drop(log, member);
	channel_region_unlock(log);
	return 0;
}

struct channel_member
channel_member_of(const struct channel_member_cell *c)
{
	return (struct channel_member){
		.client = c->client,
		.reader = c->reader,
		.joined_ms = c->joined_ms,
		.user = str_from(c->user, c->user_len),
		.info = str_from(c->info, c->info_len),
	};
}

/* Returns how many there are; copies at most `max` of them. */
static size_t
members_copy(const struct channel_log *log, struct str name, size_t max,
    struct channel_member_cell *ret_cells)
{
	uint32_t row = channel_row_find(log, name, channel_hash(log, name));
	const struct channel_cell *c = channel_cell_at(log, row);
	uint32_t member;

	if (row == 0)
		return 0;
	member = c->member_first;
	for (size_t i = 0; i < max && member != 0; i++) {
		ret_cells[i] = *channel_member_at(log, member);
		member = ret_cells[i].row_next;
	}
	return c->member_count;
}

size_t
channel_log_members(struct channel_log *log, struct str name, size_t max,
    void (*fn)(const struct channel_member *m, void *arg), void *arg)
{
	struct channel_member_cell *cells = NULL;
	struct channel_member m;
	size_t count;

	if (!channel_name_is_valid(name))
		return 0;
	if (max > log->limits.members)
		max = log->limits.members;
	if (max > 0)
		cells = calloc(max, sizeof(*cells));
	if (cells == NULL)
		max = 0;
	if (channel_region_lock(log) != 0) {
		free(cells);
		return 0;
	}
	count = members_copy(log, name, max, cells);
	channel_region_unlock(log);
	for (size_t i = 0; i < count && i < max; i++) {
		m = channel_member_of(&cells[i]);
		fn(&m, arg);
	}
	free(cells);
	return count;
}

void
channel_member_print(const struct channel_member *m, struct buf *out)
{
	buf_printf(out, "\"client\":\"%" PRIx64 "\",\"user\":", m->client);
	buf_add_json(out, m->user);
	if (m->info.len > 0) {
		buf_add(out, STR(",\"info\":"));
		buf_add(out, m->info);
	}
}

bool
channel_members_drop(struct channel_log *log, unsigned reader, uint32_t *from,
    struct channel_dropped *ret_dropped)
{
	for (; *from <= log->member_high; ++*from) {
		const struct channel_member_cell *cell =
		    channel_member_at(log, *from);
		struct str name;

		if (!cell->is_used || cell->reader != reader)
			continue;
		name = channel_row_name(log, cell->row);
		ret_dropped->cell = *cell;
		memcpy(ret_dropped->name, name.p, name.len);
		ret_dropped->name_len = name.len;
		member_drop(log, (*from)++);
		return true;
	}
	return false;
}

void
channel_members_rebuild(struct channel_log *log)
{
	uint32_t used = 0;

	memset(channel_region_at(log, log->member_buckets_at), 0,
	    (log->member_bucket_mask + (size_t)1) * sizeof(uint32_t));
	log->member_free = 0;
	for (uint32_t i = 1; i <= log->member_high; i++) {
		if (channel_member_at(log, i)->is_used)
			member_link(log, i), used++;
		else
			member_add_free(log, i);
	}
	atomic_store_explicit(&log->member_count, used, memory_order_relaxed);
}
