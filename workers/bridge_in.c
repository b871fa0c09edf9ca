/* SPDX-License-Identifier: MIT */
/*
 * From Redis to the log: see bridge_in.h, and bridge_table.h for the states of
 * a channel.
 *
 * Owns: the feed.
 * Here: subscriptions, and which channels have missed something.  Not here: a
 * channel's messages (bridge_feed.c).
 * Context: the bridge's loop.
 */
#include "workers/bridge_in.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "workers/bridge_codec.h"
#include "workers/bridge_feed.h"

#define IN_BATCH 500		/* names in one SUBSCRIBE */
#define IN_LEAVE_MS 30000
#define IN_TICKS 10 /* a second's */
/* Clocks and what is under way: what is read twice is left out. */
#define IN_MARGIN_MS 2000
/* Clocks have whole milliseconds, and Redis's stands while a command runs. */
#define IN_CLOCK_MS 5
/* Redis may have lost what it had told others, and us, of. */
#define IN_RESTART_MS 60000
/* Looking at all channels takes a tenth of the time at most. */
#define IN_LOOK_SHARE 10

/* Words of a command, with their text, until it is sent. */
struct in_batch {
	const char *verb;
	struct buf text;
	struct str words[IN_BATCH + 1];	/* .p is set when it is sent */
	size_t count;
};

struct bridge_in {
	struct bridge_feed feed;
	struct bridge_queue patterns;
	size_t told;			/* channels and patterns */
	char *barrier;			/* a SUBSCRIBE behind all others */
	struct bridge_asker recent;	/* of the recent channels */
	bool is_asking, must_ask;
	bool is_rising;		/* the link came up: HELD are to be settled */
	bool has_looked;		/* at who wants what */
	uint64_t changes;		/* of interests, when we looked */
	uint64_t unchanged_ms;		/* nothing had changed since then */
	uint64_t look_again_ms;		/* not before that */
	unsigned scan, ticks;
	struct in_batch joins, pattern_joins, leaves, pattern_leaves;
};

static uint64_t
in_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* --- words --- */

static void
in_batch_init(struct in_batch *b, const char *verb)
{
	b->verb = verb;
	buf_init(&b->text, 0);
}

static void
in_batch_send(struct bridge_in *in, struct in_batch *b)
{
	const char *p = b->text.p;

	if (b->count > 0 && in->feed.link != NULL && !buf_failed(&b->text)) {
		b->words[0] = str_of(b->verb);
		for (size_t i = 1; i <= b->count; i++) {
			b->words[i].p = p;
			p += b->words[i].len;
		}
		(void)bridge_link_listen(in->feed.link, b->words, b->count + 1);
	}
	buf_clear(&b->text);
	b->count = 0;
}

/* One channel more of SUBSCRIBE or another of them. */
static void
in_batch_add(struct bridge_in *in, struct in_batch *b,
    const struct bridge_channel *ch)
{
	size_t at = b->text.len;

	if (ch->is_pattern) {
		bridge_glob_add(&b->text, in->feed.cluster->prefix);
		buf_add(&b->text, STR("c:"));
	} else {
		buf_add(&b->text, in->feed.cluster->prefix);
		buf_add(&b->text, STR("c:"));
	}
	buf_add(&b->text, bridge_channel_name(ch));
	b->words[++b->count].len = b->text.len - at;
	if (b->count == IN_BATCH)
		in_batch_send(in, b);
}

static void
in_send_batches(struct bridge_in *in)
{
	in_batch_send(in, &in->leaves);
	in_batch_send(in, &in->pattern_leaves);
	in_batch_send(in, &in->joins);
	in_batch_send(in, &in->pattern_joins);
}

/* Tells Redis, but doesn't wait: SUBSCRIBE's answer is in_on_subscribed(). */
static void
in_join(struct bridge_in *in, struct bridge_channel *ch)
{
	if (ch->is_told)
		return;
	ch->is_told = true;
	in->told++;
	in_batch_add(in, ch->is_pattern ? &in->pattern_joins : &in->joins, ch);
}

static void
in_leave(struct bridge_in *in, struct bridge_channel *ch)
{
	if (!ch->is_told)
		return;
	ch->is_told = false;
	in->told--;
	in_batch_add(in, ch->is_pattern ? &in->pattern_leaves : &in->leaves,
	    ch);
}

static void
in_remove(struct bridge_in *in, struct bridge_channel *ch)
{
	if (ch->is_pattern)
		TAILQ_REMOVE(&in->patterns, ch, queue_next);
	bridge_table_remove(&in->feed.table, ch);
}

/* --- recent channels --- */

static bool
in_is_matched(const struct bridge_in *in, struct str name)
{
	const struct bridge_channel *p;

	TAILQ_FOREACH(p, &in->patterns, queue_next)
		if (channel_matches(bridge_channel_name(p), name))
			return true;
	return false;
}

static struct bridge_channel *
in_find_or_add(struct bridge_in *in, struct str name)
{
	struct bridge_channel *ch = bridge_table_find(&in->feed.table, name);

	if (ch == NULL && channel_name_is_valid(name) &&
	    in_is_matched(in, name)) {
		ch = bridge_feed_add(&in->feed, name);
		if (ch != NULL) {
			ch->is_new = false;
			ch->used_ms = in_now_ms();
		}
	}
	return ch;
}

/* The others have missed nothing. */
static void
in_settle_held(struct bridge_channel *ch, void *arg)
{
	if (ch->state == BRIDGE_HELD)
		bridge_feed_settle(ch);
}

static void
in_on_recent(const redisReply *reply, void *arg)
{
	struct bridge_in *in = arg;
	struct bridge_channel *ch;

	in->is_asking = false;
	if (reply->type != REDIS_REPLY_ARRAY) {
		bridge_link_fail(in->feed.link,
		    reply->type == REDIS_REPLY_ERROR ?
		    str_from(reply->str, (size_t)reply->len) :
		    STR("ZRANGEBYSCORE answers with something else"));
		return;
	}
	log_debug("%zu channels had messages since %llu", reply->elements,
	    (unsigned long long)in->feed.from_ms);
	for (size_t i = 0; i < reply->elements; i++) {
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			continue;
		ch = in_find_or_add(in, str_from(reply->element[i]->str,
		    (size_t)reply->element[i]->len));
		if (ch != NULL && (ch->state == BRIDGE_HELD ||
		    ch->state == BRIDGE_OFFLINE))
			bridge_feed_enqueue(ch);
	}
	if (in->is_rising)
		bridge_table_each(&in->feed.table, in_settle_held, in);
	in->is_rising = false;
	bridge_feed_pump(&in->feed);
}

/* Which channels have had messages since feed.from_ms? */
static void
in_ask_recent(struct bridge_in *in)
{
	char from[24];
	struct str words[4] = {STR("ZRANGEBYSCORE")};
	struct buf key;

	if (in->is_asking || in->feed.link == NULL) {
		in->must_ask = in->feed.link != NULL;
		return;
	}
	in->must_ask = false;
	buf_init(&key, 0);
	buf_add(&key, in->feed.cluster->prefix);
	buf_add(&key, STR("recent"));
	snprintf(from, sizeof(from), "%llu",
	    (unsigned long long)in->feed.from_ms);
	words[1] = buf_str(&key);
	words[2] = str_of(from);
	words[3] = STR("+inf");
	in->is_asking = !buf_failed(&key) &&
	    bridge_link_ask(in->feed.link, &in->recent, words, 4) == 0;
	buf_done(&key);
}

/* --- who wants what --- */

/* Redis's time when nobody here had it yet. */
static void
in_date(struct bridge_in *in, struct bridge_channel *ch)
{
	uint64_t redis_ms = bridge_link_redis_ms(in->feed.link);
	uint64_t ago_ms = in_now_ms() - ch->wanted_ms + IN_CLOCK_MS;

	if (ch->live_from_ms == 0)
		ch->live_from_ms = redis_ms > ago_ms ? redis_ms - ago_ms : 1;
}

/* This bridge has looked never before: whoever has it had it while the one
 * before was there, which has read its history if it got as far. */
static void
in_inherit(const struct bridge_in *in, struct bridge_channel *ch)
{
	ch->live_from_ms = bridge_get(&in->feed.figures->received_until_ms);
	if (ch->live_from_ms != 0 && ch->origin_count > 0)
		ch->is_new = false;
}

static void
in_want(struct bridge_in *in, struct bridge_channel *ch)
{
	ch->is_wanted = true;
	ch->wanted_ms = in->unchanged_ms;
	if (!in->has_looked)
		in_inherit(in, ch);
	if (in->feed.link == NULL)
		return;
	in_date(in, ch);
	/* One that nobody had for a while only, or one that is known by a
	 * pattern, whose history isn't. */
	if (ch->is_told)
		return;
	if (!ch->is_pattern && ch->state == BRIDGE_LIVE)
		ch->is_new = true;
	in_join(in, ch);
	if (!ch->is_pattern)
		bridge_feed_move(ch, BRIDGE_JOINING);
}

static void
in_on_row(const struct channel_row *row, void *arg)
{
	struct bridge_in *in = arg;
	struct bridge_channel *ch;

	if (row->subscribers == 0)
		return;
	ch = bridge_table_find(&in->feed.table, row->name);
	if (ch == NULL) {
		ch = bridge_feed_add(&in->feed, row->name);
		if (ch == NULL)
			return;
		if (ch->is_pattern)
			TAILQ_INSERT_TAIL(&in->patterns, ch, queue_next);
	}
	ch->seen_in_scan = in->scan;
	if (!ch->is_wanted)
		in_want(in, ch);
}

static void
in_check_seen(struct bridge_channel *ch, void *arg)
{
	const struct bridge_in *in = arg;

	if (!ch->is_wanted || ch->seen_in_scan == in->scan)
		return;
	ch->is_wanted = false;
	ch->used_ms = in_now_ms();
}

void
bridge_in_look(struct bridge_in *in)
{
	uint64_t changes = channel_log_interest_changes(in->feed.log);
	uint64_t now_ms = in_now_ms();

	if (in->has_looked && changes == in->changes) {
		in->unchanged_ms = now_ms;
		return;
	}
	if (now_ms < in->look_again_ms)
		return;
	in->changes = changes;
	in->scan++;
	channel_log_each(in->feed.log, in_on_row, in);
	bridge_table_each(&in->feed.table, in_check_seen, in);
	in->has_looked = true;
	in_send_batches(in);
	bridge_set(&in->feed.figures->subscriptions, in->told);
	in->unchanged_ms = now_ms;
	now_ms = in_now_ms();
	in->look_again_ms = now_ms +
	    (now_ms - in->unchanged_ms) * IN_LOOK_SHARE;
}

/* --- what comes --- */

/* PREFIX c:CHANNEL without what stands in front. */
static struct str
in_channel_of(const struct bridge_in *in, const redisReply *r)
{
	struct str prefix = in->feed.cluster->prefix;

	if (r->type != REDIS_REPLY_STRING ||
	    (size_t)r->len <= prefix.len + 2)
		return (struct str){NULL, 0};
	return str_from(r->str + prefix.len + 2,
	    (size_t)r->len - prefix.len - 2);
}

static void
in_on_message(struct bridge_in *in, const redisReply *channel,
    const redisReply *data)
{
	struct str name = in_channel_of(in, channel), envelope;
	struct bridge_channel *ch;
	struct bridge_id id;

	if (str_is_null(name) || data->type != REDIS_REPLY_STRING ||
	    !bridge_push_parse(str_from(data->str, (size_t)data->len), &id,
	    &envelope))
		return;
	ch = in_find_or_add(in, name);
	if (ch == NULL)
		return;
	/* New, and matched by a pattern: it begins with this one, unless it is
	 * not known yet what it has missed. */
	if (ch->state == BRIDGE_OFFLINE)
		bridge_feed_move(ch,
		    in->is_rising ? BRIDGE_HELD : BRIDGE_LIVE);
	ch->used_ms = in_now_ms();
	bridge_feed_take(ch, &id, envelope);
	bridge_feed_pump(&in->feed);
}

static void
in_on_subscribed(struct bridge_in *in, const redisReply *channel)
{
	struct str name = in_channel_of(in, channel);
	struct bridge_channel *ch;

	if (str_is_null(name))
		return;
	if (str_eq(name, STR("!rise"))) {
		in_ask_recent(in);
		return;
	}
	ch = bridge_table_find(&in->feed.table, name);
	if (ch != NULL && ch->state == BRIDGE_JOINING) {
		bridge_feed_enqueue(ch);
		bridge_feed_pump(&in->feed);
	}
}

static void
in_lower_from(struct bridge_in *in, struct bridge_channel *pattern)
{
	if (pattern->is_new && pattern->live_from_ms != 0 &&
	    pattern->live_from_ms < in->feed.from_ms)
		in->feed.from_ms = pattern->live_from_ms;
	pattern->is_new = false;
}

/* A pattern has no stream of its own, but what it matches may have come between
 * the wish for it and Redis's answer. */
static void
in_on_pattern(struct bridge_in *in)
{
	struct bridge_channel *p;

	if (in->is_rising)
		return;
	if (!in->must_ask && !in->is_asking)
		in->feed.from_ms = bridge_link_redis_ms(in->feed.link);
	TAILQ_FOREACH(p, &in->patterns, queue_next)
		in_lower_from(in, p);
	in_ask_recent(in);
}

void
bridge_in_push(struct bridge_in *in, const redisReply *reply)
{
	struct str kind;

	if (reply->elements < 3 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return;
	kind = str_from(reply->element[0]->str,
	    (size_t)reply->element[0]->len);
	if (str_eq(kind, STR("message")))
		in_on_message(in, reply->element[1], reply->element[2]);
	else if (str_eq(kind, STR("pmessage")) && reply->elements == 4)
		in_on_message(in, reply->element[2], reply->element[3]);
	else if (str_eq(kind, STR("subscribe")))
		in_on_subscribed(in, reply->element[1]);
	else if (str_eq(kind, STR("psubscribe")))
		in_on_pattern(in);
}

/* --- up and down --- */

static void
in_rise(struct bridge_channel *ch, void *arg)
{
	struct bridge_in *in = arg;

	if (!ch->is_wanted) {
		in_remove(in, ch);
		return;
	}
	in_date(in, ch);
	in_join(in, ch);
	if (!ch->is_pattern)
		bridge_feed_move(ch, BRIDGE_HELD);
}

/* What somebody here wants since the link is down, or always has: its history
 * isn't known. */
static void
in_rise_new(struct bridge_channel *ch, void *arg)
{
	struct bridge_in *in = arg;

	if (ch->is_pattern)
		in_lower_from(in, ch);
	else if (ch->state == BRIDGE_HELD && ch->is_new)
		bridge_feed_enqueue(ch);
}

/* The first link of all: nothing has been received, so that it is due from the
 * time when somebody first wanted something. */
static void
in_rise_first(struct bridge_channel *ch, void *arg)
{
	struct bridge_in *in = arg;

	if (ch->live_from_ms < in->feed.from_ms)
		in->feed.from_ms = ch->live_from_ms;
}

/* Told again with IDs that may be older. */
static void
in_forget_last(struct bridge_channel *ch, void *arg)
{
	ch->last = (struct bridge_id){0, 0};
}

void
bridge_in_up(struct bridge_in *in, struct bridge_link *link, bool is_same)
{
	uint64_t until_ms = bridge_get(&in->feed.figures->received_until_ms);
	uint64_t margin_ms = is_same ? IN_MARGIN_MS : IN_RESTART_MS;
	struct str words[2] = {STR("SUBSCRIBE"), str_of(in->barrier)};

	in->feed.link = link;
	in->is_rising = true;
	in->feed.from_ms = bridge_link_redis_ms(link);
	if (until_ms > margin_ms)
		in->feed.from_ms = until_ms - margin_ms;
	if (!is_same)
		bridge_table_each(&in->feed.table, in_forget_last, in);
	bridge_table_each(&in->feed.table, in_rise, in);
	bridge_table_each(&in->feed.table, in_rise_new, in);
	if (until_ms == 0) {
		bridge_table_each(&in->feed.table, in_rise_first, in);
		bridge_set(&in->feed.figures->received_until_ms,
		    in->feed.from_ms);
	}
	in_send_batches(in);
	(void)bridge_link_listen(link, words, 2);
	bridge_set(&in->feed.figures->subscriptions, in->told);
}

static void
in_fall(struct bridge_channel *ch, void *arg)
{
	struct bridge_in *in = arg;

	in->told -= ch->is_told;
	ch->is_told = false;
	bridge_channel_drop(&in->feed.table, ch);
	bridge_feed_move(ch, BRIDGE_OFFLINE);
}

void
bridge_in_down(struct bridge_in *in)
{
	in->feed.link = NULL;
	in->is_asking = in->must_ask = in->is_rising = false;
	bridge_table_each(&in->feed.table, in_fall, in);
	bridge_set(&in->feed.figures->subscriptions, in->told);
}

bool
bridge_in_is_settled(const struct bridge_in *in)
{
	return in->feed.unsettled == 0 && !in->is_rising && !in->is_asking &&
	    !in->must_ask;
}

void
bridge_in_heartbeat(struct bridge_in *in, uint64_t redis_ms)
{
	if (bridge_in_is_settled(in))
		bridge_set(&in->feed.figures->received_until_ms, redis_ms);
}

static void
in_check_idle(struct bridge_channel *ch, void *arg)
{
	struct bridge_in *in = arg;

	if (ch->is_wanted || in_now_ms() - ch->used_ms < IN_LEAVE_MS ||
	    (ch->state != BRIDGE_LIVE && ch->state != BRIDGE_OFFLINE))
		return;
	in_leave(in, ch);
	(void)channel_log_set_loaded(in->feed.log, bridge_channel_name(ch),
	    false);
	in_remove(in, ch);
}

void
bridge_in_tick(struct bridge_in *in)
{
	in->feed.is_stuck = false;
	bridge_feed_pump(&in->feed);
	if (in->must_ask)
		in_ask_recent(in);
	if (++in->ticks % IN_TICKS != 0)
		return;
	bridge_table_each(&in->feed.table, in_check_idle, in);
	in_send_batches(in);
	bridge_set(&in->feed.figures->subscriptions, in->told);
}

/* --- life --- */

static char *
in_make_barrier(const struct config_cluster *cluster)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, cluster->prefix);
	buf_add(&b, STR("c:!rise"));
	return buf_take(&b);
}

struct bridge_in *
bridge_in_new(const struct config *config, struct channel_log *log,
    struct bridge_figures *figures, struct error *err)
{
	struct bridge_in *in = calloc(1, sizeof(*in));

	if (in == NULL)
		goto fail;
	in_batch_init(&in->joins, "SUBSCRIBE");
	in_batch_init(&in->pattern_joins, "PSUBSCRIBE");
	in_batch_init(&in->leaves, "UNSUBSCRIBE");
	in_batch_init(&in->pattern_leaves, "PUNSUBSCRIBE");
	in->recent = (struct bridge_asker){in_on_recent, in};
	in->unchanged_ms = in_now_ms();
	TAILQ_INIT(&in->patterns);
	in->barrier = in_make_barrier(config->cluster);
	if (in->barrier == NULL ||
	    bridge_feed_init(&in->feed, config, log, figures) == -1)
		goto fail;
	return in;
fail:
	error_nomem(err, "the cluster's channels");
	bridge_in_free(in);
	return NULL;
}

void
bridge_in_free(struct bridge_in *in)
{
	if (in == NULL)
		return;
	bridge_feed_done(&in->feed);
	buf_done(&in->joins.text);
	buf_done(&in->pattern_joins.text);
	buf_done(&in->leaves.text);
	buf_done(&in->pattern_leaves.text);
	free(in->barrier);
	free(in);
}
