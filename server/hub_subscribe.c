/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: who gets what.
 *
 * Owns: channels as this worker knows them, and subscriptions.  Invariant: a
 * channel is here as long as it has a subscriber (or has news that are being
 * handed on), and the log wakes us for it from before the first to after the
 * last.  A subscription is in its session's list and in its channel's array.
 * Here: lists.  Not here: where one begins (hub_history.c), sending
 * (hub_fanout.c).
 * Context: the loop's thread.  channel.c -> [hub_subscribe.c] -> hub_fanout.c
 */
#include "server/hub_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "common/siphash.h"
#include "server/internal.h"
#include "server/ws.h"

#define TABLE_SLOTS_MIN 64
#define SUBSCRIBERS_MIN 4

/* A channel that couldn't be left, because the log was held: tried again. */
struct hub_leave {
	struct hub_leave *next;
	uint8_t name_len;
	char name[];
};

/* --- the tables --- */

static int
table_init(struct hub_table *t)
{
	t->slots = TABLE_SLOTS_MIN;
	t->slot = calloc(t->slots, sizeof(struct hub_channel *));
	return t->slot != NULL ? 0 : -1;
}

int
hub_channels_init(struct hub *hub)
{
	hub->key[0] = random_u64(server_random(hub->srv));
	hub->key[1] = random_u64(server_random(hub->srv));
	hub->items_max = HUB_ITEMS;
	hub->item = calloc(hub->items_max, sizeof(*hub->item));
	return hub->item != NULL && table_init(&hub->channels) == 0 &&
	    table_init(&hub->patterns) == 0 ? 0 : -1;
}

void
hub_channels_done(struct hub *hub)
{
	struct hub_leave *leave;

	hub_free_waits(hub);
	hub_try_leaves(hub);
	while ((leave = hub->leaves) != NULL) {
		hub->leaves = leave->next;
		free(leave);
	}
	free(hub->channels.slot);
	free(hub->patterns.slot);
	free(hub->item);
}

static uint64_t
prefix_hash(const struct hub *hub, struct str prefix)
{
	return siphash(hub->key, prefix);
}

/* What a pattern has before its "*". */
static struct str
pattern_prefix(struct str pattern)
{
	return str_from(pattern.p, pattern.len - 1);
}

static uint64_t
channel_hash(const struct hub_channel *ch)
{
	return ch->is_pattern
	    ? prefix_hash(ch->hub, pattern_prefix(hub_channel_name(ch)))
	    : ch->row;
}

static struct hub_table *
channel_table(const struct hub_channel *ch)
{
	return ch->is_pattern ? &ch->hub->patterns : &ch->hub->channels;
}

static void
table_put(struct hub_table *t, struct hub_channel *ch)
{
	struct hub_channel **at = &t->slot[channel_hash(ch) & (t->slots - 1)];

	ch->next = *at;
	*at = ch;
}

/* Without memory it stays as it is, and gets slower. */
static void
table_grow(struct hub_table *t)
{
	struct hub_table bigger = {.slots = 2 * t->slots, .count = t->count};
	struct hub_channel *ch;
	size_t i;

	bigger.slot = calloc(bigger.slots, sizeof(struct hub_channel *));
	if (bigger.slot == NULL)
		return;
	for (i = 0; i < t->slots; i++) {
		while ((ch = t->slot[i]) != NULL) {
			t->slot[i] = ch->next;
			table_put(&bigger, ch);
		}
	}
	free(t->slot);
	*t = bigger;
}

static void
table_add(struct hub_table *t, struct hub_channel *ch)
{
	if (t->count >= t->slots)
		table_grow(t);
	table_put(t, ch);
	t->count++;
}

static void
table_remove(struct hub_table *t, struct hub_channel *ch)
{
	struct hub_channel **at = &t->slot[channel_hash(ch) & (t->slots - 1)];

	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	t->count--;
}

struct hub_channel *
hub_channel_find(const struct hub *hub, uint32_t row, struct str name)
{
	const struct hub_table *t = &hub->channels;
	struct hub_channel *ch = t->slot[row & (t->slots - 1)];

	while (ch != NULL &&
	    (ch->row != row || !str_eq(hub_channel_name(ch), name)))
		ch = ch->next;
	return ch;
}

static struct hub_channel *
pattern_find(const struct hub *hub, struct str prefix)
{
	const struct hub_table *t = &hub->patterns;
	struct hub_channel *ch =
	    t->slot[prefix_hash(hub, prefix) & (t->slots - 1)];

	while (ch != NULL &&
	    !str_eq(pattern_prefix(hub_channel_name(ch)), prefix))
		ch = ch->next;
	return ch;
}

void
hub_each_pattern(struct hub *hub, struct str name,
    void (*fn)(struct hub_channel *pattern, const struct channel_entry *e),
    const struct channel_entry *e)
{
	struct hub_channel *pattern;
	size_t len;

	for (len = 0; len <= name.len; len++) {
		if (hub->prefix[len] == 0)
			continue;
		pattern = pattern_find(hub, str_from(name.p, len));
		if (pattern != NULL)
			fn(pattern, e);
	}
}

/* --- channels --- */

/* A round has room for an entry of every pattern. */
static int
hub_reserve_items(struct hub *hub)
{
	struct hub_item *bigger;
	uint32_t most = 2 * hub->items_max;

	if (hub->patterns.count + 1 < hub->items_max / 2)
		return 0;
	bigger = reallocarray(hub->item, most, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	hub->item = bigger;
	hub->items_max = most;
	return 0;
}

static struct hub_channel *
channel_new(struct hub *hub, struct str name,
    const struct channel_state *state)
{
	struct hub_channel *ch = calloc(1, sizeof(*ch) + name.len);

	if (ch == NULL)
		return NULL;
	ch->hub = hub;
	ch->row = state->row;
	ch->epoch = state->epoch;
	ch->is_pattern = name.p[name.len - 1] == '*';
	ch->name_len = (uint8_t)name.len;
	memcpy(ch->name, name.p, name.len);
	if (ch->is_pattern)
		hub->prefix[name.len - 1]++;
	table_add(channel_table(ch), ch);
	return ch;
}

void
hub_channel_release(struct hub_channel *ch)
{
	if (ch->count > 0 || ch->has_news)
		return;
	if (ch->is_pattern)
		ch->hub->prefix[ch->name_len - 1]--;
	table_remove(channel_table(ch), ch);
	free(ch->subscriber);
	hub_steps_free(ch);
	free(ch);
}

/* The channel that the log has just told us of; made where it isn't here. */
static struct hub_channel *
channel_get(struct hub *hub, struct str name,
    const struct channel_state *state)
{
	struct hub_channel *ch;

	if (name.p[name.len - 1] == '*') {
		ch = pattern_find(hub, str_from(name.p, name.len - 1));
		if (ch == NULL && hub_reserve_items(hub) != 0)
			return NULL;
	} else {
		ch = hub_channel_find(hub, state->row, name);
	}
	return ch != NULL ? ch : channel_new(hub, name, state);
}

void
hub_channel_begin_anew(struct hub_channel *ch, const struct channel_entry *e)
{
	uint32_t i;

	ch->epoch = e->epoch;
	ch->last_mark = e->offset - 1;
	ch->last_bytes = e->channel_bytes - e->data.len;
	for (i = 0; i < ch->count; i++) {
		ch->subscriber[i]->mark = ch->last_mark;
		ch->subscriber[i]->channel_bytes = ch->last_bytes;
	}
}

static void
channel_know(struct hub_channel *ch, const struct channel_state *state)
{
	ch->has_origins |= state->position.seen_count > 0;
	if (state->epoch != ch->epoch || state->offset <= ch->last_mark)
		return;
	ch->last = state->last;
	ch->last_mark = state->offset;
	ch->last_bytes = state->channel_bytes;
}

static void
channel_refresh(struct hub_channel *ch)
{
	struct channel_state state;

	if (ch->is_pattern && ch->last_mark < ch->hub->cursor)
		ch->last_mark = ch->hub->cursor;
	else if (!ch->is_pattern && channel_log_find(ch->hub->log,
	    hub_channel_name(ch), &state))
		channel_know(ch, &state);
	if (ch->has_news)
		return;
	ch->first_item = HUB_NO_ITEM;
	hub_add_news(ch);
}

static void
table_refresh(const struct hub_table *t)
{
	struct hub_channel *ch;
	size_t i;

	for (i = 0; i < t->slots; i++)
		for (ch = t->slot[i]; ch != NULL; ch = ch->next)
			channel_refresh(ch);
}

void
hub_channels_refresh(struct hub *hub)
{
	table_refresh(&hub->channels);
	table_refresh(&hub->patterns);
}

void
hub_add_news(struct hub_channel *ch)
{
	if (ch->has_news)
		return;
	ch->has_news = true;
	ch->next_news = ch->hub->news;
	ch->hub->news = ch;
}

/* --- leaving --- */

/* Behind others that wait it isn't tried: each would wait for the log as long,
 * and thousands may go at once. */
void
hub_leave(struct hub *hub, struct str name)
{
	struct hub_leave *leave;

	if (hub->leaves == NULL &&
	    channel_log_leave(hub->log, hub->reader, name) == 0)
		return;
	/* Without memory we are woken for it for ever; no more. */
	leave = malloc(sizeof(*leave) + name.len);
	if (leave == NULL)
		return;
	leave->name_len = (uint8_t)name.len;
	memcpy(leave->name, name.p, name.len);
	leave->next = hub->leaves;
	hub->leaves = leave;
}

void
hub_try_leaves(struct hub *hub)
{
	struct hub_leave *leave;

	while ((leave = hub->leaves) != NULL) {
		if (channel_log_leave(hub->log, hub->reader,
		    str_from(leave->name, leave->name_len)) != 0)
			return;
		hub->leaves = leave->next;
		free(leave);
	}
}

/* --- subscriptions --- */

static struct subscription *
sub_find(const struct session *s, struct str name)
{
	struct subscription *sub = s->subscriptions;

	while (sub != NULL && !str_eq(hub_channel_name(sub->channel), name))
		sub = sub->next;
	return sub;
}

/* Whether it is one of the session's still. */
static bool
sub_is_there(const struct session *s, const struct subscription *sub)
{
	const struct subscription *other = s->subscriptions;

	while (other != NULL && other != sub)
		other = other->next;
	return other != NULL;
}

static int
channel_reserve(struct hub_channel *ch)
{
	uint32_t cap = ch->cap > 0 ? 2 * ch->cap : SUBSCRIBERS_MIN;
	struct subscription **bigger;

	if (ch->count < ch->cap)
		return 0;
	bigger = reallocarray(ch->subscriber, cap, sizeof(*bigger));
	if (bigger == NULL)
		return -ENOMEM;
	ch->subscriber = bigger;
	ch->cap = cap;
	return 0;
}

static struct subscription *
sub_new(struct hub_channel *ch, struct session *s,
    const struct hub_subscribe *args)
{
	struct subscription *sub;

	if (channel_reserve(ch) != 0)
		return NULL;
	sub = pool_get(&ch->hub->subscriptions);
	if (sub == NULL)
		return NULL;
	*sub = (struct subscription){
		.session = s,
		.next = s->subscriptions,
		.channel = ch,
		.index = ch->count,
		.variant = hub_variant(s, args->form),
	};
	s->subscriptions = sub;
	ch->rule = args->rule;
	ch->subscriber[ch->count++] = sub;
	ch->hub->srv->stats->subscriptions++;
	return sub;
}

/* It is out of its session's list already. */
static void
sub_free(struct subscription *sub)
{
	struct hub_channel *ch = sub->channel;
	struct hub *hub = ch->hub;
	struct subscription *last = ch->subscriber[--ch->count];

	ch->subscriber[sub->index] = last;
	last->index = sub->index;
	hub->srv->stats->subscriptions--;
	hub_leave(hub, hub_channel_name(ch));
	pool_put(&hub->subscriptions, sub);
	hub_channel_release(ch);
}

/* Sends what stands at these places, in front of what comes live. */
static void
sub_send_entries(struct subscription *sub, const struct hub_start *start)
{
	struct hub *hub = sub->channel->hub;
	struct hub_batch *b = &hub->own;
	struct channel_entry e;
	size_t i;
	int r = 0;

	b->gives_old = true;
	for (i = 0; i < start->entry_count && r != -1; i++) {
		hub_batch_clear(b);
		if (!channel_log_read(hub->log, start->entries[i], &e) ||
		    !hub_batch_add(hub, b, sub->variant, &e,
			(struct hub_mark){0}))
			continue;
		if (b->len > 0)
			r = session_send_shared(sub->session, b->bytes, 0,
			    b->len);
		hub_count_sent(hub, sub->variant, 1);
	}
	hub_batch_clear(b);
}

/* Once it has begun to close nothing more is sent to it. */
static bool
session_is_there(struct session *s)
{
	struct ws *w = ws_of_session(s);

	return hub_can_send(s) && (w == NULL || ws_is_open(w));
}

/* Has it begin where it should, told and sent.  Returns 0, or -ENOTCONN when
 * its session didn't live to see it. */
static int
sub_begin(struct subscription *sub, const struct hub_subscribe *args,
    const struct hub_start *start, const struct hub_subscribed *got)
{
	struct session *s = sub->session;

	sub->mark = start->mark;
	sub->channel_bytes = start->channel_bytes;
	sub->is_recovering = got->missed > 0;
	if (args->announce != NULL)
		args->announce(s, got, args->arg);
	if (!hub_can_send(s) || !sub_is_there(s, sub))
		return -ENOTCONN;
	sub_send_entries(sub, start);
	hub_catch_up(sub);
	return hub_can_send(s) ? 0 : -ENOTCONN;
}

/* The log wakes us for it: the rest of subscribing. */
static int
hub_joined(struct hub *hub, struct session *s,
    const struct hub_subscribe *args, const struct channel_state *state,
    struct hub_subscribed *got)
{
	struct hub_channel *ch = channel_get(hub, args->channel, state);
	struct hub_start start;
	struct subscription *sub;
	int r = 0;

	if (ch == NULL)
		goto fail;
	if (ch->is_pattern) {
		start = (struct hub_start){state->offset, ch->last_bytes,
		    NULL, 0};
	} else {
		channel_know(ch, state);
		r = hub_find_start(hub, state, args, &start, got);
	}
	sub = r == 0 ? sub_new(ch, s, args) : NULL;
	if (sub == NULL) {
		if (r == 0)
			free(start.entries);
		hub_channel_release(ch);
		goto fail;
	}
	r = sub_begin(sub, args, &start, got);
	free(start.entries);
	return r;
fail:
	hub->srv->stats->memory_errors++;
	hub_leave(hub, args->channel);
	return -ENOMEM;
}

int
hub_subscribe(struct hub *hub, struct session *s,
    const struct hub_subscribe *args, struct hub_subscribed *ret_got)
{
	struct hub_subscribed got = {.was_recovered = false};
	struct channel_state state;
	uint64_t head;
	int r;

	if (!channel_pattern_is_valid(args->channel))
		return -EINVAL;
	if (!session_is_there(s))
		return -ENOTCONN;
	if (sub_find(s, args->channel) != NULL)
		return -EEXIST;
	/* A pattern's messages are those that come from here on. */
	head = channel_log_head(hub->log);
	r = channel_log_join(hub->log, hub->reader, args->channel, &state);
	if (r != 0)
		return r;
	got.position = state.position;
	got.subscribers = state.subscribers;
	if (args->channel.p[args->channel.len - 1] == '*')
		state.offset = head;
	r = hub_joined(hub, s, args, &state, &got);
	if (r == 0 && ret_got != NULL)
		*ret_got = got;
	return r;
}

int
hub_unsubscribe(struct session *s, struct str channel)
{
	struct subscription **at = &s->subscriptions;
	struct subscription *sub = sub_find(s, channel);

	if (sub == NULL)
		return -ENOENT;
	while (*at != sub)
		at = &(*at)->next;
	*at = sub->next;
	sub_free(sub);
	return 0;
}

bool
hub_has(const struct session *s, struct str channel)
{
	return sub_find(s, channel) != NULL;
}

struct str
hub_channel_of(const struct session *s)
{
	if (s->subscriptions == NULL)
		return str_from(NULL, 0);
	return hub_channel_name(s->subscriptions->channel);
}

unsigned
hub_count(const struct session *s)
{
	const struct subscription *sub;
	unsigned count = 0;

	for (sub = s->subscriptions; sub != NULL; sub = sub->next)
		count++;
	return count;
}

void
hub_forget(struct session *s)
{
	struct subscription *sub;

	hub_drop_waits(s);
	while ((sub = s->subscriptions) != NULL) {
		s->subscriptions = sub->next;
		sub_free(sub);
	}
}

/* Whoever comes behind this one is first the next time: a channel that is never
 * done doesn't hold up the others. */
static void
session_rotate(struct session *s, struct subscription *sub)
{
	struct subscription *last = sub;

	if (sub->next == NULL)
		return;
	while (last->next != NULL)
		last = last->next;
	last->next = s->subscriptions;
	s->subscriptions = sub->next;
	sub->next = NULL;
}

void
hub_drained(struct session *s)
{
	struct subscription *sub, *next;

	for (sub = s->subscriptions; sub != NULL; sub = next) {
		next = sub->next;
		if (!sub->is_behind)
			continue;
		hub_catch_up(sub);
		/* Gone, with all of them. */
		if (s->subscriptions == NULL)
			return;
		if (session_unsent(s) > 0) {
			session_rotate(s, sub);
			return;
		}
	}
}

/* Entries that are looked at for one, from the newest on. */
#define POSITION_ENTRIES 64

/* How far a subscription is, for any machine: what it has been given of each
 * origin stands with the entry of its last message. */
static void
sub_position(const struct subscription *sub, struct channel_position *ret_pos)
{
	const struct hub_channel *ch = sub->channel;
	const struct hub *hub = ch->hub;
	uint64_t at = hub->tagged == sub ? hub->tagged_at : ch->last;
	struct channel_position pos = {.epoch = ch->epoch,
		.offset = sub->mark};
	struct channel_entry e;

	*ret_pos = pos;
	if (!ch->has_origins)
		return;
	for (unsigned i = 0; i < POSITION_ENTRIES && at != 0 &&
	    channel_log_read(hub->log, at, &e) && e.epoch == ch->epoch &&
	    e.offset >= sub->mark; i++, at = e.previous) {
		channel_entry_position(&e, &pos);
		if (e.offset == sub->mark &&
		    channel_log_is_intact(hub->log, at)) {
			*ret_pos = pos;
			return;
		}
	}
	/* Nobody elsewhere must take the offset for a number of ours: rather
	 * comes a message twice than never. */
	ret_pos->seen_count = 1;
	ret_pos->seen[0].origin = ch->epoch;
	ret_pos->seen[0].number = 0;
}

void
hub_print_positions(const struct session *s, struct buf *out)
{
	const struct subscription *sub;
	char text[CHANNEL_POSITION_MAX];

	for (sub = s->subscriptions; sub != NULL; sub = sub->next) {
		struct channel_position pos;

		if (sub->channel->is_pattern)
			continue;
		sub_position(sub, &pos);
		if (out->len > 0)
			buf_add_byte(out, ',');
		buf_add(out, hub_channel_name(sub->channel));
		buf_add_byte(out, '=');
		buf_add(out, str_from(text,
		    channel_position_print(&pos, text)));
	}
}
