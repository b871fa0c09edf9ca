/* SPDX-License-Identifier: MIT */
/*
 * Fan-out: one send per subscriber, whatever there is for it.
 *
 * A subscriber whose socket takes all has moved its mark and that is all that
 * has happened to it.  Where the socket takes a part, the rest of the message
 * that was cut is queued at the connection (a reference), the mark stands at
 * that message, and the subscription is *behind*: it gets nothing until its
 * session has drained, then reads on from the log.
 *
 * Owns nothing.  Invariant: a subscription that is behind has something queued
 * at its connection, so that drained() will come.
 * Here: what is live.  Not here: reading on, policies for the slow
 * (hub_catchup.c), bytes (hub_form.c).
 * Context: the loop's thread.  hub.c -> [hub_fanout.c] -> hub_form.c
 */
#include "server/hub_internal.h"

#include <errno.h>
#include <sys/socket.h>

#include "server/conn.h"
#include "server/internal.h"
#include "server/sse.h"

bool
hub_can_send(const struct session *s)
{
	return s->conn != NULL && s->conn->state == CONN_OPEN &&
	    !s->conn->is_closing;
}

void
hub_count_sent(struct hub *hub, uint8_t variant, uint64_t messages)
{
	struct stats *stats = hub->srv->stats;

	stats->delivered += messages;
	if (hub_form_is_event(hub_variant_form(variant)))
		stats->sse_events += messages;
	else
		stats->ws_messages_out += messages;
}

/* The first message of a batch that a subscription hasn't been given. */
static unsigned
batch_find(const struct hub_batch *b, uint64_t mark)
{
	unsigned low = 0, high = b->count;

	/* Nearly always the first of all. */
	if (b->count > 0 && b->message[0].mark > mark)
		return 0;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (b->message[middle].mark > mark)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The message that byte `at` of a batch belongs to. */
static unsigned
batch_message_at(const struct hub_batch *b, size_t at)
{
	unsigned low = 0, high = b->count - 1;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (b->message[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* What fan-out counts, once per channel. */
struct fan {
	uint64_t bytes, messages[HUB_VARIANTS];
};

/*
 * The socket has taken `sent` bytes of the batch and no more: the message that
 * they end in is queued up to its end, at least one byte, so that drained()
 * comes.  Where the socket has room again by then, so do the next.
 */
static void
sub_cut(struct subscription *sub, struct hub_batch *b, size_t sent,
    struct fan *fan)
{
	unsigned i = batch_message_at(b, sent);
	unsigned first = batch_find(b, sub->mark);
	int r;

	do {
		size_t end = b->message[i].end;

		r = session_send_shared(sub->session, b->bytes, sent, end);
		if (r == -1)
			return;
		sent = end;
		hub_given(sub, &b->message[i]);
	} while (r == 0 && ++i < b->count);
	fan->messages[sub->variant] += i - first + (r == 1);
	sub->is_behind = r == 1;
}

/* Something else is queued in front of this round's news, which are the first
 * that it isn't given. */
static void
sub_wait(struct subscription *sub)
{
	const struct hub_channel *ch = sub->channel;

	sub->is_behind = true;
	if (ch->is_pattern && sub->mark < ch->hub->item[ch->first_item].at)
		sub->mark = ch->hub->item[ch->first_item].at;
}

/* Events of a stream of several channels: their text is everybody's, the id in
 * front of each is the client's own.  Returns as session_send(). */
int
hub_send_tagged(struct subscription *sub, const struct hub_batch *b,
    unsigned first)
{
	struct hub *hub = sub->channel->hub;
	struct buf *text = &hub->text, *tag = &hub->deflated;
	size_t from = first > 0 ? b->message[first - 1].end : 0;
	unsigned i;

	buf_clear(text);
	for (i = first; i < b->count; i++) {
		hub_given(sub, &b->message[i]);
		buf_clear(tag);
		hub->tagged = sub;
		hub->tagged_at = b->message[i].at;
		sse_tag(sub->session, tag);
		hub->tagged = NULL;
		if (tag->len > 0) {
			buf_add(text, STR("id: "));
			buf_add(text, buf_str(tag));
			buf_add_byte(text, '\n');
		}
		buf_add(text, str_from(b->bytes->data + from,
		    b->message[i].end - from));
		from = b->message[i].end;
	}
	if (!buf_failed(text) && !buf_failed(tag))
		return session_send(sub->session, buf_str(text));
	hub->srv->stats->memory_errors++;
	session_close(sub->session, "no memory for its messages");
	return -1;
}

static void
sub_give_tagged(struct subscription *sub, const struct hub_batch *b,
    unsigned first, struct fan *fan)
{
	int r = hub_send_tagged(sub, b, first);

	if (r == -1)
		return;
	fan->messages[sub->variant] += b->count - first;
	sub->is_behind = r == 1;
	sse_note_sent(sub->session);
}

/* Gives a batch to one subscriber: straight from here, since this is done for
 * each of thousands and nothing is queued before it. */
static void
sub_give(struct subscription *sub, struct hub_batch *b, struct fan *fan)
{
	struct conn *c = sub->session->conn;
	unsigned first = batch_find(b, sub->mark);
	size_t from = first > 0 ? b->message[first - 1].end : 0;
	ssize_t n;

	if (first == b->count)
		return;
	if (c->unsent != NULL) {
		sub_wait(sub);
		return;
	}
	if (hub_variant_form(sub->variant) == HUB_TAGGED) {
		sub_give_tagged(sub, b, first, fan);
		return;
	}
	n = b->len > from ? send(conn_fd(c), b->bytes->data + from,
	    b->len - from, MSG_NOSIGNAL) : 0;
	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		session_close(sub->session, "the peer is gone");
		return;
	}
	if (n == -1)
		n = 0;
	fan->bytes += (uint64_t)n;
	if ((size_t)n < b->len - from) {
		sub_cut(sub, b, from + (size_t)n, fan);
		return;
	}
	hub_given(sub, &b->message[b->count - 1]);
	fan->messages[sub->variant] += b->count - first;
	if (hub_form_is_event(hub_variant_form(sub->variant)))
		sse_note_sent(sub->session);
}

/* The batch of this round's news in a variant.  The log may have been faster:
 * then the first are missing, and who needs them catches up. */
static struct hub_batch *
channel_batch(struct hub_channel *ch, uint8_t variant)
{
	struct hub *hub = ch->hub;
	struct hub_batch *b = &hub->batch[variant];
	struct channel_entry e;
	uint32_t i;

	if (b->is_made)
		return b;
	hub_batch_clear(b);
	b->is_made = true;
	b->has_lost = ch->first_item == HUB_NO_ITEM;
	for (i = ch->first_item; i != HUB_NO_ITEM; i = hub->item[i].next) {
		struct hub_mark mark = {
			.channel_bytes = hub->item[i].channel_bytes};

		if (channel_log_read(hub->log, hub->item[i].at, &e)) {
			mark.mark = hub_mark_of(ch, &e);
			if (hub_batch_add(hub, b, variant, &e, mark))
				continue;
		}
		if (b->has_failed)
			break;
		hub_batch_clear(b);
		b->is_made = b->has_lost = true;
	}
	return b;
}

/* Messages between its mark and the batch are missing. */
static bool
sub_has_gap(const struct subscription *sub, const struct hub_batch *b)
{
	if (sub->channel->is_pattern)
		return b->has_lost;
	return b->count == 0 || b->message[0].mark > sub->mark + 1;
}

static void
sub_news(struct subscription *sub, struct fan *fan)
{
	struct hub_channel *ch = sub->channel;
	struct hub_batch *b;

	if (sub->mark >= ch->last_mark || !hub_can_send(sub->session))
		return;
	if (sub->is_behind) {
		if (ch->rule->on_slow == SLOW_DISCONNECT && hub_is_slow(sub))
			hub_disconnect(sub);
		return;
	}
	b = channel_batch(ch, sub->variant);
	if (b->has_failed) {
		session_close(sub->session, "no memory for its messages");
		return;
	}
	if (!sub_has_gap(sub, b))
		sub_give(sub, b, fan);
	if (!sub->is_behind && sub->mark < ch->last_mark &&
	    hub_can_send(sub->session))
		hub_catch_up(sub);
}

/* Reads ahead what the loop is about to need, from three places that nothing
 * else keeps near. */
static void
channel_prefetch(const struct hub_channel *ch, uint32_t i)
{
	if (i >= 12)
		__builtin_prefetch(ch->subscriber[i - 12]);
	if (i >= 8)
		__builtin_prefetch(ch->subscriber[i - 8]->session);
	if (i >= 4)
		__builtin_prefetch(ch->subscriber[i - 4]->session->conn);
}

/* So many sends, and the watchdog is told: where CPUs are short they take
 * seconds for a channel with tens of thousands, which is work and no stall. */
#define BEAT_EVERY 1024u

static void
hub_beat(const struct hub *hub)
{
	const struct server_ops *ops = hub->srv->ops;

	if (ops->beat != NULL)
		ops->beat(ops->ctx);
}

void
hub_fan_out(struct hub_channel *ch)
{
	struct hub *hub = ch->hub;
	struct fan fan = {0};
	unsigned variant;
	uint32_t i;

	for (variant = 0; variant < HUB_VARIANTS; variant++)
		hub->batch[variant].is_made = false;
	/* Downwards: where one goes, the last takes its place, and has been
	 * seen already. */
	for (i = ch->count; i-- > 0;) {
		if (i >= ch->count)
			continue;
		channel_prefetch(ch, i);
		sub_news(ch->subscriber[i], &fan);
		if (i % BEAT_EVERY == BEAT_EVERY - 1)
			hub_beat(hub);
	}
	hub->srv->stats->bytes_out += fan.bytes;
	for (variant = 0; variant < HUB_VARIANTS; variant++) {
		if (fan.messages[variant] > 0)
			hub_count_sent(hub, (uint8_t)variant,
			    fan.messages[variant]);
		hub_batch_clear(&hub->batch[variant]);
	}
}
