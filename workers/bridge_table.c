/* SPDX-License-Identifier: MIT */
/*
 * The channels that the bridge listens to: see bridge_table.h.
 *
 * Owns: channels, and the messages that they hold.
 * Here: the table and what is held.
 * Context: the bridge's loop.
 */
#include "workers/bridge_table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_BUCKETS_MIN 256

int
bridge_table_init(struct bridge_table *t, size_t held_max)
{
	*t = (struct bridge_table){
		.buckets = calloc(TABLE_BUCKETS_MIN, sizeof(*t->buckets)),
		.bucket_count = TABLE_BUCKETS_MIN,
		.held_max = held_max,
	};
	return t->buckets != NULL ? 0 : -1;
}

static void
table_remove_one(struct bridge_channel *ch, void *arg)
{
	bridge_table_remove(arg, ch);
}

void
bridge_table_done(struct bridge_table *t)
{
	if (t->buckets != NULL)
		bridge_table_each(t, table_remove_one, t);
	free(t->buckets);
	t->buckets = NULL;
}

static struct bridge_channel **
table_bucket(const struct bridge_table *t, struct str name)
{
	return &t->buckets[str_hash(name) & (t->bucket_count - 1)];
}

struct bridge_channel *
bridge_table_find(const struct bridge_table *t, struct str name)
{
	struct bridge_channel *ch = *table_bucket(t, name);

	while (ch != NULL && !str_eq(bridge_channel_name(ch), name))
		ch = ch->hash_next;
	return ch;
}

/* Without memory it stays as it is, and is only slower. */
static void
table_grow(struct bridge_table *t)
{
	struct bridge_channel **old = t->buckets, *ch, *after, **bucket;
	size_t old_count = t->bucket_count;

	t->buckets = calloc(2 * old_count, sizeof(*old));
	if (t->buckets == NULL) {
		t->buckets = old;
		return;
	}
	t->bucket_count = 2 * old_count;
	for (size_t i = 0; i < old_count; i++)
		for (ch = old[i]; ch != NULL; ch = after) {
			after = ch->hash_next;
			bucket = table_bucket(t, bridge_channel_name(ch));
			ch->hash_next = *bucket;
			*bucket = ch;
		}
	free(old);
}

struct bridge_channel *
bridge_table_add(struct bridge_table *t, struct str name)
{
	struct bridge_channel *ch, **bucket;

	if (name.len == 0 || name.len > CHANNEL_NAME_MAX)
		return NULL;
	if (t->count >= t->bucket_count)
		table_grow(t);
	ch = calloc(1, sizeof(*ch) + name.len);
	if (ch == NULL)
		return NULL;
	memcpy(ch->name, name.p, name.len);
	ch->name_len = (uint8_t)name.len;
	ch->is_pattern = name.p[name.len - 1] == '*';
	STAILQ_INIT(&ch->held);
	bucket = table_bucket(t, name);
	ch->hash_next = *bucket;
	*bucket = ch;
	t->count++;
	return ch;
}

void
bridge_table_each(struct bridge_table *t,
    void (*fn)(struct bridge_channel *ch, void *arg), void *arg)
{
	struct bridge_channel *ch, *after;

	for (size_t i = 0; i < t->bucket_count; i++)
		for (ch = t->buckets[i]; ch != NULL; ch = after) {
			after = ch->hash_next;
			fn(ch, arg);
		}
}

void
bridge_table_remove(struct bridge_table *t, struct bridge_channel *ch)
{
	struct bridge_channel **at = table_bucket(t, bridge_channel_name(ch));

	while (*at != ch)
		at = &(*at)->hash_next;
	*at = ch->hash_next;
	t->count--;
	bridge_channel_drop(t, ch);
	free(ch);
}

void
bridge_channel_hold(struct bridge_table *t, struct bridge_channel *ch,
    const struct bridge_id *id, struct str envelope)
{
	struct bridge_held *h = NULL;

	if (t->held_bytes + envelope.len <= t->held_max)
		h = malloc(sizeof(*h) + envelope.len);
	if (h == NULL) {
		ch->must_look = true;
		return;
	}
	h->id = *id;
	h->len = envelope.len;
	memcpy(h->envelope, envelope.p, envelope.len);
	t->held_bytes += envelope.len;
	STAILQ_INSERT_TAIL(&ch->held, h, next);
}

struct bridge_held *
bridge_channel_take(struct bridge_table *t, struct bridge_channel *ch)
{
	struct bridge_held *h = STAILQ_FIRST(&ch->held);

	if (h != NULL) {
		STAILQ_REMOVE_HEAD(&ch->held, next);
		t->held_bytes -= h->len;
	}
	return h;
}

void
bridge_channel_drop(struct bridge_table *t, struct bridge_channel *ch)
{
	struct bridge_held *h;

	while ((h = bridge_channel_take(t, ch)) != NULL)
		free(h);
}

uint64_t
bridge_channel_note(struct bridge_channel *ch, uint32_t origin,
    uint64_t number)
{
	struct bridge_origin *o = ch->origins, found;
	uint64_t gap = 0;
	unsigned i = 0;

	while (i < ch->origin_count && o[i].origin != origin)
		i++;
	if (i < ch->origin_count) {
		if (number > o[i].number + 1)
			gap = number - o[i].number - 1;
		if (number < o[i].number)
			number = o[i].number;
	} else if (ch->origin_count < CHANNEL_ORIGINS_MAX) {
		ch->origin_count++;
	} else {
		i--;	/* in the place of the one not heard of for longest */
	}
	/* The one heard of last stands in front. */
	found = (struct bridge_origin){origin, number};
	memmove(o + 1, o, i * sizeof(*o));
	o[0] = found;
	return gap;
}
