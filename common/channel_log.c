/* SPDX-License-Identifier: MIT */
/*
 * The ring of the channels' log: publishing, reading, and who is woken.
 *
 * Owns nothing: it all lies in the region.
 * Invariant: between tail and head lies one whole entry (or filler) behind the
 * other; below head none changes until tail has passed it.
 * Here: messages, readers.  Not here: rows (channel_table.c), the mutex
 * (channel_region.c).
 * Context: channel_table.c -> [channel_log.c] -> server/hub.c; any process that
 * maps the region.
 */
#include "common/channel_region.h"

#include <errno.h>
#include <unistd.h>

#include "common/clock.h"

/* An entry takes a quarter of the ring at most: even with a filler before it,
 * half of what was there stays. */
#define RING_SHARE 4
#define ENTRY_MAX (UINT32_C(1) << 30) /* its length is a 32-bit number */
#define ENTRY_EXTRA_MAX                                                        \
	(sizeof(struct channel_head) + sizeof(struct channel_origins) +        \
	    CHANNEL_NAME_MAX + sizeof(uint64_t))

/* An entry that is about to be written. */
struct channel_draft {
	struct channel_head head;
	struct channel_origin seen[CHANNEL_ORIGINS_MAX];
};

/* --- positions of the ring --- */

uint64_t
channel_log_head(const struct channel_log *log)
{
	return atomic_load_explicit(&log->head, memory_order_acquire);
}

uint64_t
channel_log_tail(const struct channel_log *log)
{
	return atomic_load_explicit(&log->tail, memory_order_acquire);
}

size_t
channel_log_message_max(const struct channel_log *log)
{
	size_t share = log->limits.ring_bytes / RING_SHARE;

	return (share < ENTRY_MAX ? share : ENTRY_MAX) - ENTRY_EXTRA_MAX;
}

bool
channel_log_is_intact(const struct channel_log *log, uint64_t at)
{
	/* What was read before is read before the tail is. */
	CHANNEL_FENCE(log, memory_order_acquire);
	return at >= atomic_load_explicit(&log->tail, memory_order_relaxed);
}

/* --- heads of entries: words, which readers may meet while they are written
 * anew; what they then have is thrown away --- */

static _Atomic uint64_t *
head_words(const struct channel_log *log, uint64_t at)
{
	return (_Atomic uint64_t *)(void *)channel_ring_at(log, at);
}

static void
head_store(const struct channel_log *log, uint64_t at,
    const struct channel_head *head, size_t words)
{
	uint64_t word[CHANNEL_HEAD_WORDS];
	_Atomic uint64_t *to = head_words(log, at);

	memcpy(word, head, sizeof(word));
	for (size_t i = 0; i < words; i++)
		atomic_store_explicit(&to[i], word[i], memory_order_relaxed);
}

static void
head_load(const struct channel_log *log, uint64_t at,
    struct channel_head *ret_head, size_t words)
{
	uint64_t word[CHANNEL_HEAD_WORDS] = {0};
	const _Atomic uint64_t *from = head_words(log, at);

	for (size_t i = 0; i < words; i++)
		word[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
	memcpy(ret_head, word, sizeof(word));
}

/* Whether what a head says can be: a worker that writes where it likes must
 * not lead the others astray. */
static bool
head_is_sound(const struct channel_log *log, uint64_t at,
    const struct channel_head *h)
{
	uint64_t left = log->limits.ring_bytes - (at & log->ring_mask);

	return h->bytes >= sizeof(uint64_t) && h->bytes % 8 == 0 &&
	    h->bytes <= left &&
	    (h->row == CHANNEL_FILLER ||
		sizeof(*h) + h->seen_count * sizeof(struct channel_origin) +
		    h->name_len + (uint64_t)h->data_len <= h->bytes);
}

/* The head at a position that may have been passed.  A filler's end is the end
 * of the ring, so that more than its one word can't always be read. */
static bool
head_read(const struct channel_log *log, uint64_t at,
    struct channel_head *ret_head)
{
	head_load(log, at, ret_head, 1);
	if (ret_head->row != CHANNEL_FILLER &&
	    (at & log->ring_mask) + sizeof(*ret_head) <=
		log->limits.ring_bytes)
		head_load(log, at, ret_head, CHANNEL_HEAD_WORDS);
	return channel_log_is_intact(log, at) &&
	    head_is_sound(log, at, ret_head);
}

/* --- reading --- */

static void
entry_fill(const struct channel_log *log, uint64_t at,
    const struct channel_head *h, struct channel_entry *ret_entry)
{
	const char *seen = channel_ring_at(log, at) + sizeof(*h);
	size_t seen_bytes = h->seen_count * sizeof(struct channel_origin);

	*ret_entry = (struct channel_entry){
		.at = at,
		.next = at + h->bytes,
		.previous = h->previous,
		.row = h->row,
		.epoch = h->epoch,
		.offset = h->offset,
		.channel_bytes = h->channel_bytes,
		.time_ms = h->time_ms,
		.content = (enum channel_content)h->content,
		.origin = h->origin,
		.number = h->number,
		.is_old = h->is_old != 0,
		.seen = str_from(seen, seen_bytes),
		.channel = str_from(seen + seen_bytes, h->name_len),
		.data = str_from(seen + seen_bytes + h->name_len, h->data_len),
	};
}

bool
channel_log_read(const struct channel_log *log, uint64_t at,
    struct channel_entry *ret_entry)
{
	uint64_t head = channel_log_head(log);
	struct channel_head h;

	while (at < head && at % 8 == 0 && at >= channel_log_tail(log) &&
	    head_read(log, at, &h)) {
		if (h.row != CHANNEL_FILLER) {
			entry_fill(log, at, &h, ret_entry);
			return true;
		}
		at += h.bytes;
	}
	return false;
}

/* --- publishing, under the mutex --- */

/* The oldest go until `end` fits.  What can't be understood ends it all. */
static void
ring_evict(struct channel_log *log, uint64_t end)
{
	uint64_t tail = atomic_load_explicit(&log->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t evicted = 0;
	struct channel_head h;

	if (end - tail <= log->limits.ring_bytes)
		return;
	while (end - tail > log->limits.ring_bytes) {
		head_load(log, tail, &h, 1);
		if (h.bytes < 8 || h.bytes % 8 != 0 || h.bytes > head - tail) {
			tail = head;
			break;
		}
		evicted += h.row != CHANNEL_FILLER;
		tail += h.bytes;
	}
	CHANNEL_CRASH_POINT(EVICTING);
	atomic_store_explicit(&log->tail, tail, memory_order_relaxed);
	/* Whoever reads what is written from here on finds the tail moved. */
	CHANNEL_FENCE(log, memory_order_release);
	CHANNEL_CRASH_POINT(EVICTED);
	atomic_store_explicit(&log->evicted, evicted +
	    atomic_load_explicit(&log->evicted, memory_order_relaxed),
	    memory_order_relaxed);
	__builtin_prefetch(channel_ring_at(log, tail));
}

/* Returns where an entry of so many bytes is to be written: in one piece. */
static uint64_t
ring_make_room(struct channel_log *log, size_t bytes)
{
	uint64_t at = atomic_load_explicit(&log->head, memory_order_relaxed);
	uint64_t left = log->limits.ring_bytes - (at & log->ring_mask);
	uint64_t filler = left < bytes ? left : 0;

	ring_evict(log, at + filler + bytes);
	if (filler > 0)
		head_store(log, at, &(struct channel_head){
			.bytes = (uint32_t)filler, .row = CHANNEL_FILLER}, 1);
	return at + filler;
}

static uint64_t
origin_number(const struct channel_log *log, uint32_t row, uint32_t origin)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	const struct channel_origin *o = channel_origins_at(log, row)->item;

	/* Ours, come back: all of it is here. */
	if (origin == c->epoch)
		return UINT64_MAX;
	for (unsigned i = 0; i < c->origin_count; i++)
		if (o[i].origin == origin)
			return o[i].number;
	return 0;
}

/* The row's other origins with this one in front, of which one more message is
 * known now; the last is forgotten where there are too many. */
static unsigned
draft_see(const struct channel_log *log, uint32_t row,
    const struct channel_message *m, struct channel_origin *seen)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	const struct channel_origin *o = channel_origins_at(log, row)->item;
	unsigned n = 0;

	if (m->origin != 0)
		seen[n++] = (struct channel_origin){
			.origin = m->origin, .number = m->number};
	for (unsigned i = 0; i < c->origin_count; i++)
		if (o[i].origin != m->origin && n < CHANNEL_ORIGINS_MAX - 1)
			seen[n++] = o[i];
	return n;
}

static void
draft_make(const struct channel_log *log, uint32_t row,
    const struct channel_message *m, struct channel_draft *d)
{
	const struct channel_cell *c = channel_cell_at(log, row);
	bool is_own = m->origin == 0;
	uint64_t own = c->own_number + is_own;
	unsigned seen = c->origin_count > 0 || !is_own ?
	    draft_see(log, row, m, d->seen) : 0;
	size_t bytes;

	/* Our own number stands last, so that the rest is the row's table. */
	if (seen > 0)
		d->seen[seen++] = (struct channel_origin){
			.origin = c->epoch, .number = own};
	bytes = sizeof(d->head) + seen * sizeof(d->seen[0]) + m->channel.len +
	    m->data.len;
	d->head = (struct channel_head){
		.bytes = (uint32_t)((bytes + 7) & ~(size_t)7),
		.row = row,
		.previous = c->last,
		.offset = c->offset + 1,
		.channel_bytes = c->bytes + m->data.len,
		.time_ms = m->time_ms,
		.number = is_own ? own : m->number,
		.epoch = c->epoch,
		.origin = is_own ? c->epoch : m->origin,
		.data_len = (uint32_t)m->data.len,
		.name_len = (uint8_t)m->channel.len,
		.content = (uint8_t)m->content,
		.seen_count = (uint8_t)seen,
		.is_old = m->is_old,
	};
}

/* In two halves, so that the chaos test can die between them. */
static void
draft_write(const struct channel_log *log, uint64_t at,
    const struct channel_draft *d, const struct channel_message *m)
{
	char *to = channel_ring_at(log, at) + sizeof(d->head);
	size_t seen_bytes = d->head.seen_count * sizeof(d->seen[0]);

	head_store(log, at, &d->head, CHANNEL_HEAD_WORDS);
	CHANNEL_CRASH_POINT(WRITING);
	if (seen_bytes > 0)
		memcpy(to, d->seen, seen_bytes);
	memcpy(to + seen_bytes, m->channel.p, m->channel.len);
	if (m->data.len > 0)
		memcpy(to + seen_bytes + m->channel.len, m->data.p,
		    m->data.len);
}

/* Counts by the second: a rate that needs no clock of its own. */
static void
row_count(struct channel_cell *c, int64_t time_ms)
{
	uint32_t s = (uint32_t)(time_ms / 1000);

	if (c->second != s) {
		c->count_before = c->second + 1 == s ? c->count : 0;
		c->second = s;
		c->count = 0;
	}
	c->count++;
}

/* Steps 4 and 5: everything follows from the entry, so that it may be done
 * twice. */
static void
ring_apply(struct channel_log *log, uint64_t at, const struct channel_head *h)
{
	struct channel_cell *c = channel_cell_at(log, h->row);
	struct channel_origins *o = channel_origins_at(log, h->row);

	c->offset = h->offset;
	c->last = at;
	CHANNEL_CRASH_POINT(APPLYING);
	c->bytes = h->channel_bytes;
	c->last_ms = h->time_ms;
	c->is_spared = true;
	if (h->origin == c->epoch)
		c->own_number = h->number;
	if (h->seen_count > 0) {
		c->origin_count = h->seen_count - 1;
		memcpy(o->item, channel_ring_at(log, at) + sizeof(*h),
		    c->origin_count * sizeof(o->item[0]));
	}
	atomic_store_explicit(&log->messages, log->messages_before + 1,
	    memory_order_relaxed);
	atomic_store_explicit(&log->message_bytes,
	    log->bytes_before + h->data_len, memory_order_relaxed);
	CHANNEL_CRASH_POINT(APPLIED);
	atomic_store_explicit(&log->applied, at + h->bytes,
	    memory_order_release);
}

static void
ring_append(struct channel_log *log, uint32_t row,
    const struct channel_message *m)
{
	struct channel_draft d;
	uint64_t at;

	draft_make(log, row, m, &d);
	at = ring_make_room(log, d.head.bytes);
	log->messages_before = atomic_load_explicit(&log->messages,
	    memory_order_relaxed);
	log->bytes_before = atomic_load_explicit(&log->message_bytes,
	    memory_order_relaxed);
	draft_write(log, at, &d, m);
	CHANNEL_CRASH_POINT(WRITTEN);
	/* The message exists from here on. */
	atomic_store_explicit(&log->head, at + d.head.bytes,
	    memory_order_release);
	CHANNEL_ORDER();
	CHANNEL_CRASH_POINT(EXISTS);
	ring_apply(log, at, &d.head);
	/* A message of another machine has that one's time. */
	row_count(channel_cell_at(log, row),
	    m->origin == 0 ? m->time_ms : clock_now_real_ms());
}

void
channel_ring_redo(struct channel_log *log)
{
	uint64_t at = atomic_load_explicit(&log->applied, memory_order_relaxed);
	struct channel_entry e;
	struct channel_head h;

	if (!channel_log_read(log, at, &e))
		return;
	head_load(log, e.at, &h, CHANNEL_HEAD_WORDS);
	ring_apply(log, e.at, &h);
}

static int
publish_locked(struct channel_log *log, const struct channel_message *m,
    uint32_t hash, struct channel_position *ret_pos,
    struct channel_readers *ret_wake)
{
	uint32_t row = channel_row_get(log, m->channel, hash);

	if (row == 0)
		return -ENOSPC;
	if (m->origin != 0 && m->number <= origin_number(log, row, m->origin))
		return -EALREADY;
	ring_append(log, row, m);
	channel_row_listeners(log, row, ret_wake);
	if (ret_pos != NULL)
		channel_row_position(log, row, ret_pos);
	return 0;
}

/* --- readers --- */

static void
reader_write(const struct channel_reader *r)
{
	const uint64_t one = 1;

	/* Fails only where it would block: then it is readable. */
	if (r->wake_fd != -1 && write(r->wake_fd, &one, sizeof(one)) == -1)
		return;
}

static void
reader_wake(struct channel_log *log, unsigned reader)
{
	struct channel_reader *r = &log->reader[reader];

	/* Looked at first, for it is up already while messages come fast. */
	if (atomic_load_explicit(&r->flag, memory_order_relaxed) != 0 ||
	    atomic_exchange(&r->flag, 1) != 0)
		return;
	CHANNEL_CRASH_POINT(FLAGGED);
	reader_write(r);
}

static void
watcher_wake(struct channel_log *log)
{
	uint32_t watcher = atomic_load_explicit(&log->watcher,
	    memory_order_relaxed);

	if (watcher != 0)
		reader_wake(log, watcher - 1);
}

void
channel_watcher_wake(struct channel_log *log)
{
	CHANNEL_FENCE(log, memory_order_seq_cst);
	watcher_wake(log);
}

void
channel_log_watch(struct channel_log *log, unsigned reader)
{
	atomic_store_explicit(&log->watcher, reader + 1, memory_order_relaxed);
	channel_watcher_wake(log);
}

static void
readers_wake(struct channel_log *log, const struct channel_readers *set)
{
	/* head is stored before a flag is looked at; a reader takes its flag
	 * down before it looks at head. */
	CHANNEL_FENCE(log, memory_order_seq_cst);
	for (unsigned w = 0; w < CHANNEL_READER_WORDS; w++) {
		uint64_t left = set->word[w];

		for (; left != 0; left &= left - 1)
			reader_wake(log,
			    w * 64 + (unsigned)__builtin_ctzll(left));
	}
	watcher_wake(log);
}

int
channel_log_publish(struct channel_log *log,
    const struct channel_message *message, struct channel_position *ret_pos)
{
	struct channel_readers wake;
	uint32_t hash;
	int rc;

	if (!channel_name_is_valid(message->channel))
		return -EINVAL;
	if (message->data.len > channel_log_message_max(log))
		return -EMSGSIZE;
	hash = channel_hash(log, message->channel);
	if (channel_region_lock(log) != 0)
		return -EBUSY;
	rc = publish_locked(log, message, hash, ret_pos, &wake);
	channel_region_unlock(log);
	if (rc == 0)
		readers_wake(log, &wake);
	return rc;
}

void
channel_log_set_wakes(struct channel_log *log, const int *fds)
{
	for (unsigned i = 0; i < log->limits.readers; i++)
		log->reader[i].wake_fd = fds[i];
}

void
channel_log_taken(struct channel_log *log, unsigned reader)
{
	atomic_exchange(&log->reader[reader].flag, 0);
	CHANNEL_FENCE(log, memory_order_seq_cst);
}

void
channel_log_will_look(struct channel_log *log, unsigned reader)
{
	atomic_store_explicit(&log->reader[reader].flag, 1,
	    memory_order_relaxed);
}

void
channel_log_wake_all(struct channel_log *log)
{
	CHANNEL_FENCE(log, memory_order_seq_cst);
	for (unsigned i = 0; i < log->limits.readers; i++) {
		/* Written also where the flag is up: who put it there may have
		 * died before the write. */
		atomic_exchange(&log->reader[i].flag, 1);
		reader_write(&log->reader[i]);
	}
}

void
channel_log_set_joined(struct channel_log *log, bool is_joined)
{
	uint32_t era = 0;

	while (is_joined && era == 0)
		era = atomic_fetch_add_explicit(&log->last_era, 1,
		    memory_order_relaxed) + 1;
	atomic_store_explicit(&log->era, era, memory_order_relaxed);
}

bool
channel_log_is_joined(const struct channel_log *log)
{
	return atomic_load_explicit(&log->era, memory_order_relaxed) != 0;
}

int
channel_log_set_loaded(struct channel_log *log, struct str name,
    bool is_loaded)
{
	struct channel_readers wake;
	uint32_t row;

	if (channel_region_lock(log) != 0)
		return -EBUSY;
	row = channel_row_find(log, name, channel_hash(log, name));
	if (row != 0) {
		channel_cell_at(log, row)->loaded_era = is_loaded ?
		    atomic_load_explicit(&log->era, memory_order_relaxed) : 0;
		channel_row_listeners(log, row, &wake);
	}
	channel_region_unlock(log);
	if (row == 0)
		return -ENOENT;
	if (is_loaded)
		readers_wake(log, &wake);
	return 0;
}

uint64_t
channel_log_cursor(const struct channel_log *log, unsigned reader)
{
	return atomic_load_explicit(&log->reader[reader].cursor,
	    memory_order_relaxed);
}

void
channel_log_set_cursor(struct channel_log *log, unsigned reader, uint64_t at)
{
	atomic_store_explicit(&log->reader[reader].cursor, at,
	    memory_order_relaxed);
}

/* --- a reader's death --- */

static void
dropped_tell(struct channel_log *log, const struct channel_dropped *dropped)
{
	struct channel_member m = channel_member_of(&dropped->cell);
	struct buf data;

	buf_init(&data, 0);
	buf_add_byte(&data, '{');
	channel_member_print(&m, &data);
	buf_add_byte(&data, '}');
	if (!buf_failed(&data))
		(void)channel_log_publish(log, &(struct channel_message){
			.channel = str_from(dropped->name, dropped->name_len),
			.data = buf_str(&data),
			.content = CHANNEL_LEAVE,
			.time_ms = clock_now_real_ms(),
		}, NULL);
	buf_done(&data);
}

static void
watcher_drop(struct channel_log *log)
{
	atomic_store_explicit(&log->watcher, 0, memory_order_relaxed);
	channel_log_set_joined(log, false);
}

int
channel_log_reader_died(struct channel_log *log, unsigned reader,
    bool (*tell)(struct str channel, void *arg), void *arg)
{
	struct channel_dropped dropped;
	uint32_t from = 1;
	bool has_dropped;

	if (channel_region_lock(log) != 0)
		return -EBUSY;
	if (atomic_load_explicit(&log->watcher, memory_order_relaxed) ==
	    reader + 1)
		watcher_drop(log);
	channel_interests_drop(log, reader);
	channel_region_unlock(log);
	do {
		if (channel_region_lock(log) != 0)
			return -EBUSY;
		has_dropped = channel_members_drop(log, reader, &from,
		    &dropped);
		channel_region_unlock(log);
		if (has_dropped && tell != NULL &&
		    tell(str_from(dropped.name, dropped.name_len), arg))
			dropped_tell(log, &dropped);
	} while (has_dropped);
	channel_log_wake_all(log);
	return 0;
}

/* --- figures --- */

void
channel_log_get_figures(struct channel_log *log,
    struct channel_log_figures *ret_figures)
{
	uint64_t tail = channel_log_tail(log);

	*ret_figures = (struct channel_log_figures){
		.messages = atomic_load_explicit(&log->messages,
		    memory_order_relaxed),
		.bytes = atomic_load_explicit(&log->message_bytes,
		    memory_order_relaxed),
		.evicted = atomic_load_explicit(&log->evicted,
		    memory_order_relaxed),
		.repairs = atomic_load_explicit(&log->repairs,
		    memory_order_relaxed),
		.ring_bytes = log->limits.ring_bytes,
		.ring_used = channel_log_head(log) - tail,
		.channels = atomic_load_explicit(&log->row_count,
		    memory_order_relaxed),
		.channels_max = log->limits.channels,
		.members = atomic_load_explicit(&log->member_count,
		    memory_order_relaxed),
	};
}
