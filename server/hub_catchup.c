/* SPDX-License-Identifier: MIT */
/*
 * Catching up: a subscriber that was too slow for fan-out, or has come back,
 * reads on from the log, a piece at a time, as its socket drains.
 *
 *	given .. | mark                          last |
 *	         `-- walked to, backwards <-----------'
 *
 * What its rule doesn't let it have any more, or the log hasn't any more, is
 * passed over and counted, or is its end.
 *
 * Owns nothing: the batch is the hub's own.  Here: reading on, policies.  Not
 * here: live messages (hub_fanout.c).
 * Context: the loop's thread.  hub_fanout.c, session.c -> [hub_catchup.c]
 */
#include "server/hub_internal.h"

#include <stdlib.h>

#include "server/internal.h"
#include "server/sse.h"
#include "server/ws.h"

/* What one who catches up is given at a time. */
#define CATCH_BYTES (64u << 10)
#define CATCH_MESSAGES 1024u

/* Too slow, by a policy that wants it gone. */
void
hub_disconnect(struct subscription *sub)
{
	struct session *s = sub->session;
	struct ws *w = ws_of_session(s);
	struct sse *e = sse_of_session(s);

	sub->channel->hub->srv->stats->slow_closed++;
	hub_forget(s);
	if (w != NULL)
		ws_close(w, WS_CLOSE_TRY_LATER,
		    STR("too slow: come back and recover"));
	else if (e != NULL)
		sse_close(e, 0, "too slow for its channel");
	else
		session_close(s, "too slow for its channel");
}

/* How far behind it is, in bytes of data, and how far it may be. */
static uint64_t
sub_lag(const struct subscription *sub)
{
	return sub->channel->last_bytes - sub->channel_bytes;
}

bool
hub_is_slow(const struct subscription *sub)
{
	const struct config_channel *rule = sub->channel->rule;
	uint64_t limit = rule->queue_bytes;

	if (sub->is_recovering)
		limit += rule->history.bytes;
	return sub_lag(sub) > limit;
}

/* Lets go of messages: up to `mark`, `channel_bytes`. */
static void
sub_skip(struct subscription *sub, uint64_t mark, uint64_t channel_bytes)
{
	sub->channel->hub->srv->stats->slow_dropped += mark - sub->mark;
	sub->mark = mark;
	sub->channel_bytes = channel_bytes;
}

/* The last entries that were visited, walking backwards: the oldest so many;
 * and where the channel was before the oldest of them. */
struct walk {
	uint64_t at[CATCH_MESSAGES];
	unsigned visited;
	uint64_t oldest_mark, oldest_bytes;
};

/*
 * Steps: where every CATCH_MESSAGES-th message of a channel lies, as walks have
 * found them.  Without them each piece that a subscriber is given would cost a
 * walk over all that is behind it, and of empty messages there may be a
 * million.
 */
#define STEPS 1024u
struct hub_step {
	uint64_t mark, at;		/* at 0: not known */
};

static struct hub_step *
step_of(const struct hub_channel *ch, uint64_t mark)
{
	return &ch->steps[mark / CATCH_MESSAGES % STEPS];
}

void
hub_steps_free(struct hub_channel *ch)
{
	struct hub *hub = ch->hub;

	for (unsigned i = 0; i < HUB_STEPPED && ch->steps != NULL; i++)
		if (hub->stepped[i] == ch)
			hub->stepped[i] = NULL;
	free(ch->steps);
	ch->steps = NULL;
}

/* In the place of those made longest ago, or channels that were read slowly
 * once would keep them. */
static void
steps_make(struct hub_channel *ch)
{
	struct hub *hub = ch->hub;
	unsigned i = hub->stepped_next++ % HUB_STEPPED;

	if (hub->stepped[i] != NULL)
		hub_steps_free(hub->stepped[i]);
	/* Without memory it is slower. */
	ch->steps = calloc(STEPS, sizeof(*ch->steps));
	hub->stepped[i] = ch->steps != NULL ? ch : NULL;
}

/* Notes a message that a walk has come by; the first when it is a long one. */
static void
step_note(struct hub_channel *ch, const struct channel_entry *e,
    unsigned visited)
{
	if (e->offset % CATCH_MESSAGES != 0 || visited < CATCH_MESSAGES)
		return;
	if (ch->steps == NULL)
		steps_make(ch);
	if (ch->steps != NULL)
		*step_of(ch, e->offset) = (struct hub_step){e->offset, e->at};
}

/* Where to begin to walk back to what follows `mark`: so near that a piece is
 * found, and not before what may still be given. */
static uint64_t
step_find(const struct hub_channel *ch, uint64_t mark, uint64_t lag_max)
{
	uint64_t near = mark + 2 * CATCH_MESSAGES -
	    (mark + CATCH_MESSAGES) % CATCH_MESSAGES;
	struct channel_entry e;

	for (; ch->steps != NULL && near < ch->last_mark;
	    near += CATCH_MESSAGES) {
		const struct hub_step *step = step_of(ch, near);

		if (step->mark == near &&
		    channel_log_read(ch->hub->log, step->at, &e) &&
		    e.row == ch->row && e.epoch == ch->epoch &&
		    e.offset == near && ch->last_bytes -
		    (e.channel_bytes - e.data.len) <= lag_max)
			return step->at;
	}
	return ch->last;
}

static void
channel_walk(struct hub_channel *ch, uint64_t mark, uint64_t lag_max,
    struct walk *walk)
{
	uint64_t at = step_find(ch, mark, lag_max);
	struct channel_entry e;

	walk->visited = 0;
	walk->oldest_mark = ch->last_mark;
	walk->oldest_bytes = ch->last_bytes;
	while (at != 0 && channel_log_read(ch->hub->log, at, &e) &&
	    e.epoch == ch->epoch && e.offset > mark &&
	    ch->last_bytes - (e.channel_bytes - e.data.len) <= lag_max) {
		step_note(ch, &e, walk->visited);
		walk->at[walk->visited++ % CATCH_MESSAGES] = at;
		walk->oldest_mark = e.offset - 1;
		walk->oldest_bytes = e.channel_bytes - e.data.len;
		at = e.previous;
	}
}

/* What the subscription may still get, by its rule: bytes before the last. */
static uint64_t
sub_lag_max(const struct subscription *sub)
{
	const struct config_channel *rule = sub->channel->rule;

	if (!hub_is_slow(sub))
		return UINT64_MAX;
	return rule->on_slow == SLOW_LATEST ? 0 : rule->queue_bytes;
}

/* Fills the hub's own batch with the next messages of a channel.  Returns false
 * when the subscriber had to go. */
static bool
sub_read_channel(struct subscription *sub)
{
	struct hub_channel *ch = sub->channel;
	struct hub *hub = ch->hub;
	struct channel_entry e;
	struct walk walk;
	unsigned i, n;

	channel_walk(ch, sub->mark, sub_lag_max(sub), &walk);
	/* One is always given: it may be longer than the queue. */
	if (walk.visited == 0 && channel_log_read(hub->log, ch->last, &e)) {
		walk.at[walk.visited++] = ch->last;
		walk.oldest_mark = e.offset - 1;
		walk.oldest_bytes = e.channel_bytes - e.data.len;
	}
	if (walk.oldest_mark > sub->mark) {
		if (ch->rule->on_slow == SLOW_DISCONNECT) {
			hub_disconnect(sub);
			return false;
		}
		sub_skip(sub, walk.oldest_mark, walk.oldest_bytes);
	}
	n = walk.visited < CATCH_MESSAGES ? walk.visited : CATCH_MESSAGES;
	for (i = 0; i < n && hub->own.len < CATCH_BYTES; i++) {
		uint64_t at = walk.at[(walk.visited - 1 - i) % CATCH_MESSAGES];

		if (!channel_log_read(hub->log, at, &e) ||
		    !hub_batch_add(hub, &hub->own, sub->variant, &e,
			(struct hub_mark){.mark = e.offset,
			    .channel_bytes = e.channel_bytes}))
			break;
	}
	return true;
}

/* The same for a pattern: forwards, over entries of all channels. */
static bool
sub_read_pattern(struct subscription *sub)
{
	struct hub_channel *ch = sub->channel;
	struct hub *hub = ch->hub;
	uint64_t at = sub->mark, bytes = sub->channel_bytes;
	uint64_t lag_max = sub_lag_max(sub), dropped = 0;
	struct channel_entry e;

	if (at < channel_log_tail(hub->log)) {
		dropped++;
		at = channel_log_tail(hub->log);
	}
	while (at < hub->cursor && hub->own.len < CATCH_BYTES &&
	    channel_log_read(hub->log, at, &e)) {
		at = e.next;
		if (!channel_matches(hub_channel_name(ch), e.channel))
			continue;
		bytes += e.data.len;
		if (ch->last_bytes - bytes + e.data.len > lag_max &&
		    ch->last_bytes > bytes) {
			dropped++;
			continue;
		}
		if (!hub_batch_add(hub, &hub->own, sub->variant, &e,
		    (struct hub_mark){.mark = e.next, .channel_bytes = bytes}))
			break;
	}
	if (dropped > 0 && ch->rule->on_slow == SLOW_DISCONNECT) {
		hub_disconnect(sub);
		return false;
	}
	hub->srv->stats->slow_dropped += dropped;
	if (hub->own.count == 0 && !hub->own.has_failed) {
		sub->mark = at >= hub->cursor ? ch->last_mark : at;
		sub->channel_bytes = at >= hub->cursor
		    ? ch->last_bytes : bytes;
	}
	return true;
}

/* Sends the hub's own batch.  Returns whether there may be more room. */
static bool
sub_send_own(struct subscription *sub)
{
	struct hub_batch *b = &sub->channel->hub->own;
	int r;

	if (b->has_failed) {
		session_close(sub->session, "no memory for its messages");
		return false;
	}
	if (b->count == 0)
		return true;
	if (hub_variant_form(sub->variant) == HUB_TAGGED)
		r = hub_send_tagged(sub, b, 0);
	else
		r = b->len > 0 ? session_send_shared(sub->session, b->bytes, 0,
		    b->len) : 0;
	if (r == -1)
		return false;
	hub_given(sub, &b->message[b->count - 1]);
	hub_count_sent(sub->channel->hub, sub->variant, b->count);
	if (hub_form_is_event(hub_variant_form(sub->variant)))
		sse_note_sent(sub->session);
	sub->is_behind = r == 1;
	if (sub->mark >= sub->channel->last_mark)
		sub->is_recovering = false;
	return r == 0;
}

void
hub_catch_up(struct subscription *sub)
{
	struct hub_channel *ch = sub->channel;
	struct hub *hub = ch->hub;
	bool goes_on;

	hub->own.gives_old = sub->is_recovering;
	sub->is_behind = session_unsent(sub->session) > 0;
	while (sub->mark < ch->last_mark && !sub->is_behind) {
		hub_batch_clear(&hub->own);
		goes_on = ch->is_pattern ? sub_read_pattern(sub)
		    : sub_read_channel(sub);
		if (!goes_on || !sub_send_own(sub))
			break;
	}
	hub_batch_clear(&hub->own);
}
