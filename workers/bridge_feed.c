/* SPDX-License-Identifier: MIT */
/*
 * A channel's messages on their way into the log: see bridge_feed.h.
 *
 * Owns: the table of channels.
 * Here: publishing in order, reading streams.
 * Context: the bridge's loop.
 */
#include "workers/bridge_feed.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"

/* Messages that came too early, of all channels. */
#define FEED_HELD_MAX ((size_t)32 << 20)
/* Streams read at once, and how much of each. */
#define FEED_FETCHES 64
#define FEED_PAGE 200

void
bridge_feed_move(struct bridge_channel *ch, enum bridge_channel_state state)
{
	struct bridge_feed *feed = ch->feed;

	feed->unsettled -= ch->state != BRIDGE_OFFLINE &&
	    ch->state != BRIDGE_LIVE;
	feed->unsettled += state != BRIDGE_OFFLINE && state != BRIDGE_LIVE;
	if (ch->state == BRIDGE_QUEUED)
		TAILQ_REMOVE(&feed->queue, ch, queue_next);
	feed->fetches -= ch->state == BRIDGE_FETCHING;
	feed->fetches += state == BRIDGE_FETCHING;
	if (state == BRIDGE_QUEUED)
		TAILQ_INSERT_TAIL(&feed->queue, ch, queue_next);
	ch->state = state;
}

/* --- publishing --- */

/* Whose numbers the log knows: for the gaps of those that come. */
static void
feed_learn(struct bridge_channel *ch)
{
	struct channel_state state;

	ch->is_new = true;
	if (ch->is_pattern || !channel_log_find(ch->feed->log,
	    bridge_channel_name(ch), &state))
		return;
	for (unsigned i = state.position.seen_count; i > 0; i--) {
		(void)bridge_channel_note(ch, state.position.seen[i - 1].origin,
		    state.position.seen[i - 1].number);
		ch->is_new = false;
	}
}

static void
feed_refuse(struct bridge_feed *feed, const char *why)
{
	bridge_count(&feed->figures->refused, 1);
	if (!feed->has_told_refusal)
		log_warn("a message of another machine can't be published "
		    "here: %s", why);
	feed->has_told_refusal = true;
}

/*
 * Publishes what stands in a channel's stream.  Returns 0, or -EBUSY: it is to
 * be tried again.
 */
static int
feed_deliver(struct bridge_channel *ch, const struct bridge_id *id,
    struct str text)
{
	struct bridge_feed *feed = ch->feed;
	struct bridge_envelope env;
	uint64_t gap;
	bool is_old = id->ms < ch->live_from_ms;
	int rc;

	if (bridge_id_cmp(id, &ch->last) <= 0)
		return 0;
	if (!bridge_envelope_parse(text, &env)) {
		/* Its ID is as good as the rest of it. */
		feed_refuse(feed, "it isn't one of corelane's");
		return 0;
	}
	if (env.machine == feed->figures->machine) {
		ch->last = *id;
		return 0;
	}
	rc = channel_log_publish(feed->log, &(struct channel_message){
		.channel = bridge_channel_name(ch),
		.data = env.data,
		.content = env.content,
		.time_ms = env.time_ms,
		.origin = env.origin,
		.number = env.number,
		.is_old = is_old,
	}, NULL);
	if (rc == -EBUSY)
		return rc;
	ch->last = *id;
	gap = bridge_channel_note(ch, env.origin, env.number);
	if (gap > 0 && !is_old)
		bridge_count(&feed->figures->missed, gap);
	if (rc == 0)
		bridge_count(&feed->figures->received, 1);
	else if (rc != -EALREADY)
		feed_refuse(feed, strerror(-rc));
	return 0;
}

/* Has its stream read, once the queue comes to it. */
void
bridge_feed_enqueue(struct bridge_channel *ch)
{
	ch->must_look = false;
	bridge_feed_move(ch, BRIDGE_QUEUED);
}

/* The log is locked: again from the stream, and not before the next tick. */
static void
feed_defer(struct bridge_channel *ch)
{
	ch->feed->is_stuck = true;
	bridge_channel_drop(&ch->feed->table, ch);
	bridge_feed_enqueue(ch);
}

/* Whoever waits for what was missed has it now. */
static void
feed_go_live(struct bridge_channel *ch)
{
	bridge_feed_move(ch, BRIDGE_LIVE);
	if (ch->is_wanted)
		(void)channel_log_set_loaded(ch->feed->log,
		    bridge_channel_name(ch), true);
}

/* Nothing more is missing: what was held, and then as it comes. */
void
bridge_feed_settle(struct bridge_channel *ch)
{
	struct bridge_table *t = &ch->feed->table;
	struct bridge_held *h;
	int rc = 0;

	while (rc == 0 && (h = bridge_channel_take(t, ch)) != NULL) {
		rc = feed_deliver(ch, &h->id, str_from(h->envelope, h->len));
		free(h);
	}
	if (rc != 0)
		feed_defer(ch);
	else if (ch->must_look)
		bridge_feed_enqueue(ch);
	else
		feed_go_live(ch);
}

/* --- streams --- */

/* The last ID before a time. */
static struct bridge_id
feed_before(uint64_t ms)
{
	return ms == 0 ? (struct bridge_id){0, 0} :
	    (struct bridge_id){ms - 1, UINT64_MAX};
}

static int64_t
feed_history_count(const struct bridge_feed *feed, struct str name)
{
	const struct config_channels *rules = &feed->config->channels;
	int64_t n;

	for (size_t i = 0; i < rules->count; i++)
		if (channel_matches(rules->item[i].match, name)) {
			n = rules->item[i].history.messages;
			return n < feed->cluster->history ? n :
			    feed->cluster->history;
		}
	return 0;
}

static bool
feed_read_entry(const redisReply *entry, struct bridge_id *ret_id,
    struct str *ret_envelope)
{
	const redisReply *fields, *value;

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2)
		return false;
	fields = entry->element[1];
	if (entry->element[0]->type != REDIS_REPLY_STRING ||
	    fields->type != REDIS_REPLY_ARRAY || fields->elements < 2)
		return false;
	value = fields->element[1];
	if (value->type != REDIS_REPLY_STRING)
		return false;
	*ret_envelope = str_from(value->str, (size_t)value->len);
	return bridge_id_parse(str_from(entry->element[0]->str,
	    (size_t)entry->element[0]->len), ret_id);
}

/* reply: oldest first, or newest first.  Returns 0, or -EBUSY. */
static int
feed_read_stream(struct bridge_channel *ch, const redisReply *reply,
    bool is_reverse)
{
	struct bridge_id id;
	struct str envelope;
	size_t n = reply->elements;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!feed_read_entry(reply->element[is_reverse ? n - 1 - i : i],
		    &id, &envelope))
			continue;
		rc = feed_deliver(ch, &id, envelope);
		/* Redis's own ID, whatever it is of. */
		if (rc == 0 && bridge_id_cmp(&id, &ch->last) > 0)
			ch->last = id;
	}
	return rc;
}

static void
feed_on_stream(const redisReply *reply, void *arg)
{
	struct bridge_channel *ch = arg;
	struct bridge_feed *feed = ch->feed;
	bool was_history = ch->is_new;

	if (reply->type != REDIS_REPLY_ARRAY) {
		bridge_link_fail(feed->link, reply->type == REDIS_REPLY_ERROR ?
		    str_from(reply->str, (size_t)reply->len) :
		    STR("XRANGE answers with something else"));
		return;
	}
	log_debug("%.*s: %zu messages of its stream%s",
	    STR_FMT(bridge_channel_name(ch)), reply->elements,
	    was_history ? ", for history" : "");
	if (feed_read_stream(ch, reply, was_history) != 0) {
		feed_defer(ch);
	} else if (was_history) {
		/* What came since somebody here wants it, from there on. */
		ch->is_new = false;
		ch->last = feed_before(ch->live_from_ms);
		bridge_feed_enqueue(ch);
	} else if (reply->elements == FEED_PAGE) {
		bridge_feed_enqueue(ch);
	} else {
		bridge_feed_settle(ch);
	}
	bridge_feed_pump(feed);
}

static void
feed_skip_history(struct bridge_channel *ch)
{
	if (ch->is_new && ch->live_from_ms != 0)
		ch->last = feed_before(ch->live_from_ms);
	ch->is_new = false;
}

/* The entry behind `id`: "(" for that is younger than streams. */
static size_t
feed_print_behind(const struct bridge_id *id, char to[BRIDGE_ID_BYTES])
{
	struct bridge_id next = *id;

	if (++next.seq == 0)
		next.ms++;
	return bridge_id_print(&next, to);
}

static void
feed_fetch(struct bridge_channel *ch)
{
	struct bridge_feed *feed = ch->feed;
	char from[BRIDGE_ID_BYTES], count[24];
	int64_t history = feed_history_count(feed, bridge_channel_name(ch));
	struct str words[6];
	struct buf key;

	if (history == 0 || ch->live_from_ms == 0)
		feed_skip_history(ch);
	if (ch->last.ms == 0 && !ch->is_new)
		ch->last = feed_before(ch->live_from_ms > feed->from_ms ?
		    ch->live_from_ms : feed->from_ms);
	buf_init(&key, 0);
	buf_add(&key, feed->cluster->prefix);
	buf_add(&key, STR("s:"));
	buf_add(&key, bridge_channel_name(ch));
	words[1] = buf_str(&key);
	words[4] = STR("COUNT");
	if (ch->is_new) {
		snprintf(from, sizeof(from), "%llu",
		    (unsigned long long)ch->live_from_ms - 1);
		snprintf(count, sizeof(count), "%lld", (long long)history);
		words[0] = STR("XREVRANGE");
		words[2] = str_of(from);
		words[3] = STR("-");
	} else {
		feed_print_behind(&ch->last, from);
		snprintf(count, sizeof(count), "%d", FEED_PAGE);
		words[0] = STR("XRANGE");
		words[2] = str_of(from);
		words[3] = STR("+");
	}
	words[5] = str_of(count);
	log_debug("%.*s: %.*s from %s", STR_FMT(bridge_channel_name(ch)),
	    STR_FMT(words[0]), from);
	bridge_feed_move(ch, BRIDGE_FETCHING);
	if (buf_failed(&key) ||
	    bridge_link_ask(feed->link, &ch->asker, words, 6) == -1)
		feed_defer(ch);
	buf_done(&key);
}

void
bridge_feed_pump(struct bridge_feed *feed)
{
	struct bridge_channel *ch;

	while (feed->link != NULL && !feed->is_stuck &&
	    feed->fetches < FEED_FETCHES &&
	    (ch = TAILQ_FIRST(&feed->queue)) != NULL)
		feed_fetch(ch);
}

/* --- from outside --- */

void
bridge_feed_take(struct bridge_channel *ch, const struct bridge_id *id,
    struct str envelope)
{
	if (ch->state != BRIDGE_LIVE)
		bridge_channel_hold(&ch->feed->table, ch, id, envelope);
	else if (feed_deliver(ch, id, envelope) != 0)
		feed_defer(ch);
}

struct bridge_channel *
bridge_feed_add(struct bridge_feed *feed, struct str name)
{
	struct bridge_channel *ch = bridge_table_add(&feed->table, name);

	if (ch != NULL) {
		ch->feed = feed;
		ch->asker = (struct bridge_asker){feed_on_stream, ch};
		feed_learn(ch);
	}
	return ch;
}

int
bridge_feed_init(struct bridge_feed *feed, const struct config *config,
    struct channel_log *log, struct bridge_figures *figures)
{
	*feed = (struct bridge_feed){
		.config = config,
		.cluster = config->cluster,
		.log = log,
		.figures = figures,
	};
	TAILQ_INIT(&feed->queue);
	return bridge_table_init(&feed->table, FEED_HELD_MAX);
}

void
bridge_feed_done(struct bridge_feed *feed)
{
	bridge_table_done(&feed->table);
}
