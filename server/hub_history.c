/* SPDX-License-Identifier: MIT */
/*
 * History: what of the log a rule lets a subscriber have, and where one that
 * comes back goes on.
 *
 *	oldest .. | allowed by the rule: messages, age, bytes | last
 *	               ^ since                                 ^ live from here
 *
 * A channel is walked backwards, from its last entry.  Who was here before has
 * an offset, and has missed what lies behind it; who was at another machine has
 * the numbers of each origin, which lie here in another order, so that what it
 * has missed is picked out one by one.  It has recovered when nothing of it is
 * missing, by the strict terms of the rule, whatever else the log still has.
 *
 * Owns nothing.  Here: what a position means.  Not here: how it is sent
 * (hub_fanout.c).
 * Context: the loop's thread.  hub.c -> [hub_history.c]
 */
#include "server/hub_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/internal.h"

/* A walk from a channel's last entry to older ones, as far as its rule goes. */
struct history_walk {
	const struct channel_log *log;
	const struct channel_state *state;
	const struct config_channel *rule;
	int64_t oldest_ms;
	uint64_t at, left;
};

static void
walk_init(struct history_walk *w, struct hub *hub,
    const struct channel_state *state, const struct config_channel *rule)
{
	w->log = hub->log;
	w->state = state;
	w->rule = rule;
	w->oldest_ms = clock_now_real_ms() - rule->history.age_ms;
	w->at = state->last;
	w->left = (uint64_t)rule->history.messages;
}

static bool
walk_next(struct history_walk *w, struct channel_entry *ret_entry)
{
	const struct channel_entry *e = ret_entry;

	if (w->left == 0 || w->at == 0 ||
	    !channel_log_read(w->log, w->at, ret_entry) ||
	    e->epoch != w->state->epoch || e->time_ms < w->oldest_ms ||
	    w->state->channel_bytes - (e->channel_bytes - e->data.len) >
	    w->rule->history.bytes)
		return false;
	w->left--;
	w->at = e->previous;
	return true;
}

/* Positions in the ring, as they are found: newest first. */
struct found {
	uint64_t *at;
	size_t count, cap;
};

static int
found_add(struct found *f, uint64_t at)
{
	uint64_t *bigger;
	size_t cap;

	if (f->count == f->cap) {
		cap = f->cap > 0 ? 2 * f->cap : 32;
		bigger = reallocarray(f->at, cap, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		f->at = bigger;
		f->cap = cap;
	}
	f->at[f->count++] = at;
	return 0;
}

static void
found_reverse(struct found *f)
{
	size_t i;

	for (i = 0; i < f->count / 2; i++) {
		uint64_t other = f->at[f->count - 1 - i];

		f->at[f->count - 1 - i] = f->at[i];
		f->at[i] = other;
	}
}

/* All that the rule allows and `since` (NULL: nobody) has not been given. */
static int
history_find(struct history_walk *w, const struct channel_position *since,
    struct found *f)
{
	bool is_ours = since != NULL && since->epoch == w->state->epoch;
	struct channel_entry e;

	while (walk_next(w, &e)) {
		if (is_ours && e.offset <= since->offset)
			break;
		if (since != NULL && channel_position_has(since, &e))
			continue;
		if (found_add(f, e.at) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* The last `history` messages, or those behind an offset of ours: all that
 * follow the mark. */
static void
start_at_offset(struct history_walk *w, const struct hub_subscribe *args,
    struct hub_start *start)
{
	uint64_t most = args->wants_recovery ? UINT64_MAX : args->history;
	uint64_t since = args->wants_recovery ? args->since.offset : 0;
	struct channel_entry e;

	for (; most > 0 && walk_next(w, &e) && e.offset > since; most--) {
		start->mark = e.offset - 1;
		start->channel_bytes = e.channel_bytes - e.data.len;
	}
}

/* Another machine's position, or one of before a restart. */
static int
start_elsewhere(struct history_walk *w, const struct hub_subscribe *args,
    struct hub_start *start)
{
	struct found f = {0};

	if (history_find(w, &args->since, &f) != 0) {
		free(f.at);
		return -ENOMEM;
	}
	found_reverse(&f);
	start->entries = f.at;
	start->entry_count = f.count;
	return 0;
}

int
hub_find_start(struct hub *hub, const struct channel_state *state,
    const struct hub_subscribe *args, struct hub_start *ret_start,
    struct hub_subscribed *got)
{
	struct history_walk w;
	uint64_t missed;

	*ret_start = (struct hub_start){
		.mark = state->offset,
		.channel_bytes = state->channel_bytes,
	};
	walk_init(&w, hub, state, args->rule);
	if (!args->wants_recovery || args->since.epoch == state->epoch)
		start_at_offset(&w, args, ret_start);
	else if (start_elsewhere(&w, args, ret_start) != 0)
		return -ENOMEM;
	got->missed = (unsigned)(state->offset - ret_start->mark +
	    ret_start->entry_count);
	got->was_recovered = args->wants_recovery &&
	    channel_position_missed(&args->since, &state->position, &missed) &&
	    missed == got->missed;
	if (args->wants_recovery && got->was_recovered)
		hub->srv->stats->recovered++;
	else if (args->wants_recovery)
		hub->srv->stats->not_recovered++;
	return 0;
}

/* Calls fn with a copy of an entry: in the ring it may be written over while it
 * is used.  Returns false when it was. */
static bool
history_tell(struct hub *hub, uint64_t at,
    void (*fn)(const struct channel_entry *e, void *arg), void *arg)
{
	struct buf *copy = &hub->text;
	struct channel_entry e;

	if (!channel_log_read(hub->log, at, &e))
		return false;
	buf_clear(copy);
	buf_add(copy, e.channel);
	buf_add(copy, e.seen);
	buf_add(copy, e.data);
	if (buf_failed(copy) || !channel_log_is_intact(hub->log, at))
		return false;
	e.channel.p = copy->p;
	e.seen.p = e.channel.p + e.channel.len;
	e.data.p = e.seen.p + e.seen.len;
	fn(&e, arg);
	return true;
}

/* Whether those that were found are all that `since` has missed. */
static bool
history_is_whole(const struct channel_state *state,
    const struct channel_position *since, size_t count)
{
	uint64_t missed;

	return since == NULL ||
	    (channel_position_missed(since, &state->position, &missed) &&
	    missed == count);
}

size_t
hub_history(struct hub *hub, const struct hub_past *past, bool *ret_whole,
    void (*fn)(const struct channel_entry *e, void *arg), void *arg)
{
	struct channel_state state;
	struct history_walk w;
	struct found f = {0};
	size_t i, told = 0;

	*ret_whole = true;
	if (!channel_log_find(hub->log, past->channel, &state)) {
		*ret_whole = past->since == NULL;
		return 0;
	}
	walk_init(&w, hub, &state, past->rule);
	if (past->since == NULL && w.left > past->max)
		w.left = past->max;
	if (history_find(&w, past->since, &f) != 0) {
		hub->srv->stats->memory_errors++;
		f.count = 0;
	}
	*ret_whole = history_is_whole(&state, past->since, f.count);
	found_reverse(&f);
	for (i = 0; i < f.count && i < past->max; i++) {
		if (history_tell(hub, f.at[i], fn, arg))
			told++;
		else
			*ret_whole = false;
	}
	free(f.at);
	return told;
}
