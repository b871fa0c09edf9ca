/* SPDX-License-Identifier: MIT */
/*
 * From the log to Redis: see bridge_out.h.
 *
 * Owns: the list of what is in flight.
 * Here: reading, sending, the cursor.
 * Context: the bridge's loop.
 */
#include "workers/bridge_out.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "workers/bridge_codec.h"

/* One round trip of these keeps Redis busy; more would only be memory. */
#define OUT_FLIGHTS 4096
#define OUT_BYTES ((size_t)1 << 20)
/* A buffer that one long message has grown is given back. */
#define OUT_KEEP_BYTES ((size_t)1 << 18)

/*
 * KEYS  1 stream, 2 numbers by origin, 3 recent channels
 * ARGV  1 pub/sub channel, 2 channel, 3 origin, 4 number, 5 envelope,
 *       6 messages to keep, 7 how long, in ms, 8 "~" or "="
 *
 * Origins are forgotten once there are very many: at worst a message stands in
 * the stream twice, which every reader knows to leave out.
 */
const struct str bridge_out_script = STR_INIT(
    "local last = redis.call('HGET', KEYS[2], ARGV[3])\n"
    "if last then\n"
    "  if tonumber(last) >= tonumber(ARGV[4]) then return 0 end\n"
    "elseif redis.call('HLEN', KEYS[2]) >= 256 then\n"
    "  redis.call('DEL', KEYS[2])\n"
    "end\n"
    "local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[8], ARGV[6],\n"
    "  '*', 'm', ARGV[5])\n"
    "redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])\n"
    "redis.call('PEXPIRE', KEYS[1], ARGV[7])\n"
    "redis.call('PEXPIRE', KEYS[2], ARGV[7])\n"
    "redis.call('ZADD', KEYS[3], string.match(id, '^%d+'), ARGV[2])\n"
    "redis.call('PUBLISH', ARGV[1], id .. ' ' .. ARGV[5])\n"
    "return 1\n");

struct out_flight {
	uint64_t next;			/* where the log goes on behind it */
	size_t bytes;
};

struct bridge_out {
	const struct config_cluster *config;
	struct channel_log *log;
	unsigned reader;
	struct bridge_figures *figures;
	struct bridge_link *link;	/* NULL: down */
	struct bridge_asker asker;
	uint64_t read;			/* the next to be looked at */
	uint64_t counted_at;		/* up to here has been counted */
	uint64_t counted;		/* messages, of any origin */
	uint64_t waiting;		/* ours, not answered yet */
	struct out_flight flights[OUT_FLIGHTS];	/* a ring */
	size_t first, count, bytes;
	struct buf envelope, names;
};

/* --- figures --- */

/* What lies from one position up to another. */
struct out_sum {
	uint64_t ours, all;
};

static struct out_sum
out_sum(const struct bridge_out *out, uint64_t from, uint64_t to)
{
	struct out_sum sum = {0, 0};
	struct channel_entry e;

	while (from < to && channel_log_read(out->log, from, &e)) {
		sum.ours += e.origin == e.epoch;
		sum.all++;
		from = e.next;
	}
	return sum;
}

static void
out_measure(struct bridge_out *out)
{
	struct bridge_figures *f = out->figures;
	uint64_t head = channel_log_head(out->log);
	uint64_t from = channel_log_cursor(out->log, out->reader);

	bridge_set(&f->lag_messages, out->waiting);
	bridge_set(&f->lag_bytes, head > from ? head - from : 0);
	bridge_set(&f->counted_at, out->counted_at);
	bridge_set(&f->counted, out->counted);
}

/*
 * Counts what has come.  Where the log has gone over what was not counted yet,
 * which takes a bridge that stood still, all of that was ours: nobody else
 * publishes what is of other machines.
 */
static void
out_look(struct bridge_out *out)
{
	struct channel_log_figures figures = {0};
	uint64_t tail = channel_log_tail(out->log), head;
	struct out_sum sum;

	if (out->counted_at < tail) {
		channel_log_get_figures(out->log, &figures);
		tail = channel_log_tail(out->log);
		out->counted_at = tail;
	}
	head = channel_log_head(out->log);
	if (out->counted_at >= head)
		return;
	sum = out_sum(out, out->counted_at, head);
	out->waiting += sum.ours;
	out->counted += sum.all;
	out->counted_at = head;
	if (figures.messages > out->counted) {
		out->waiting += figures.messages - out->counted;
		out->counted = figures.messages;
	}
}

/* The log has gone over what we have not read: what is left of it? */
static void
out_skip_lost(struct bridge_out *out)
{
	uint64_t tail = channel_log_tail(out->log), left;

	if (out->read >= tail)
		return;
	out->read = tail;
	left = out->count + out_sum(out, tail, out->counted_at).ours;
	if (left < out->waiting)
		bridge_count(&out->figures->dropped, out->waiting - left);
	out->waiting = left;
}

/* --- answers --- */

static void
out_on_answer(const struct redisReply *reply, void *arg)
{
	struct bridge_out *out = arg;
	struct out_flight *f = &out->flights[out->first];

	if (reply->type != REDIS_REPLY_INTEGER) {
		/* Out of memory, a replica, the script flushed: it comes
		 * again, and the cursor hasn't moved. */
		bridge_link_fail(out->link, reply->type == REDIS_REPLY_ERROR ?
		    str_from(reply->str, (size_t)reply->len) :
		    STR("the script answers with something else"));
		return;
	}
	channel_log_set_cursor(out->log, out->reader, f->next);
	out->first = (out->first + 1) % OUT_FLIGHTS;
	out->count--;
	out->bytes -= f->bytes;
	out->waiting -= out->waiting > 0;
	bridge_count(&out->figures->sent, (uint64_t)reply->integer);
	if (out->count == 0)
		channel_log_set_cursor(out->log, out->reader, out->read);
	if (out->count <= OUT_FLIGHTS / 2)
		bridge_out_turn(out);
}

/* --- sending --- */

/* Appends PREFIX KIND:CHANNEL, and returns where it begins. */
static size_t
out_add_name(struct bridge_out *out, const char *kind, struct str channel)
{
	size_t at = out->names.len;

	buf_add(&out->names, out->config->prefix);
	buf_add(&out->names, str_of(kind));
	buf_add(&out->names, channel);
	return at;
}

static struct str
out_name(const struct bridge_out *out, size_t from, size_t to)
{
	return str_from(out->names.p + from, to - from);
}

static bool
out_copy(struct bridge_out *out, const struct channel_entry *e)
{
	const struct bridge_envelope env = {
		.machine = out->figures->machine,
		.origin = e->origin,
		.number = e->number,
		.content = e->content,
		.time_ms = e->time_ms,
		.data = e->data,
	};

	buf_clear(&out->envelope);
	buf_clear(&out->names);
	bridge_envelope_print(&out->envelope, &env);
	return !buf_failed(&out->envelope);
}

/* e: its numbers are copies, its texts are in our buffers. */
static int
out_send(struct bridge_out *out, const struct channel_entry *e,
    const size_t at[5])
{
	char origin[16], number[24], keep[24], age[24];
	int64_t history = out->config->history;
	struct str words[14] = {
		[2] = STR("3"),
		[3] = out_name(out, at[0], at[1]),
		[4] = out_name(out, at[1], at[2]),
		[5] = out_name(out, at[2], at[3]),
		[6] = out_name(out, at[3], at[4]),
		[7] = out_name(out, at[4] - e->channel.len, at[4]),
		[10] = buf_str(&out->envelope),
	};
	struct out_flight *f;

	snprintf(origin, sizeof(origin), "%08" PRIx32, e->origin);
	snprintf(number, sizeof(number), "%" PRIu64, e->number);
	snprintf(keep, sizeof(keep), "%" PRId64, history);
	snprintf(age, sizeof(age), "%" PRId64, out->config->history_age_ms);
	words[8] = str_of(origin);
	words[9] = str_of(number);
	words[11] = str_of(keep);
	words[12] = str_of(age);
	words[13] = history > 0 ? STR("~") : STR("=");
	if (bridge_link_run(out->link, &out->asker, words, 14) == -1)
		return -1;
	f = &out->flights[(out->first + out->count++) % OUT_FLIGHTS];
	f->next = e->next;
	f->bytes = out->envelope.len;
	out->bytes += f->bytes;
	return 0;
}

/* Returns false when it couldn't be sent, or isn't there any more. */
static bool
out_send_entry(struct bridge_out *out, const struct channel_entry *e)
{
	size_t at[5];
	bool is_good;

	is_good = out_copy(out, e);
	at[0] = out_add_name(out, "s:", e->channel);
	at[1] = out_add_name(out, "n:", e->channel);
	at[2] = out_add_name(out, "recent", STR(""));
	at[3] = out_add_name(out, "c:", e->channel);
	at[4] = out->names.len;
	if (!is_good || buf_failed(&out->names) ||
	    !channel_log_is_intact(out->log, e->at))
		return false;
	is_good = out_send(out, e, at) == 0;
	if (out->envelope.cap > OUT_KEEP_BYTES)
		buf_done(&out->envelope);
	return is_good;
}

/* Beyond what is kept over there. */
static bool
out_is_old(const struct bridge_out *out, const struct channel_entry *e)
{
	return e->time_ms + out->config->history_age_ms < clock_now_real_ms();
}

void
bridge_out_turn(struct bridge_out *out)
{
	struct channel_entry e;
	uint64_t head = channel_log_head(out->log);

	out_look(out);
	out_skip_lost(out);
	while (out->link != NULL && out->read < head &&
	    out->count < OUT_FLIGHTS && out->bytes < OUT_BYTES) {
		if (!channel_log_read(out->log, out->read, &e)) {
			out_skip_lost(out);
			if (!channel_log_read(out->log, out->read, &e))
				break;
		}
		if (e.origin == e.epoch && !out_is_old(out, &e)) {
			if (!out_send_entry(out, &e))
				break;
		} else if (e.origin == e.epoch) {
			out->waiting -= out->waiting > 0;
		}
		out->read = e.next;
		if (out->count == 0)
			channel_log_set_cursor(out->log, out->reader,
			    out->read);
	}
	out_measure(out);
}

bool
bridge_out_is_done(const struct bridge_out *out)
{
	return out->count == 0 && out->read >= channel_log_head(out->log);
}

/* --- life --- */

/* What was in flight is sent again, or all that there is. */
void
bridge_out_up(struct bridge_out *out, struct bridge_link *link, bool is_same)
{
	if (!is_same) {
		out_look(out);
		out_skip_lost(out);
		out->read = channel_log_tail(out->log);
		channel_log_set_cursor(out->log, out->reader, out->read);
		out->waiting = out_sum(out, out->read, out->counted_at).ours;
	}
	out->link = link;
	bridge_out_turn(out);
}

void
bridge_out_down(struct bridge_out *out)
{
	out->link = NULL;
	out->first = out->count = out->bytes = 0;
	out->read = channel_log_cursor(out->log, out->reader);
	out_measure(out);
}

struct bridge_out *
bridge_out_new(const struct config_cluster *config, struct channel_log *log,
    unsigned reader, struct bridge_figures *figures, struct error *err)
{
	struct bridge_out *out = calloc(1, sizeof(*out));

	if (out == NULL) {
		error_nomem(err, "what is in flight");
		return NULL;
	}
	out->config = config;
	out->log = log;
	out->reader = reader;
	out->figures = figures;
	out->asker = (struct bridge_asker){out_on_answer, out};
	buf_init(&out->envelope, 0);
	buf_init(&out->names, 0);
	out->read = channel_log_cursor(log, reader);
	out->waiting = bridge_get(&figures->lag_messages);
	out->counted_at = bridge_get(&figures->counted_at);
	out->counted = bridge_get(&figures->counted);
	bridge_out_turn(out);
	return out;
}

void
bridge_out_free(struct bridge_out *out)
{
	if (out == NULL)
		return;
	buf_done(&out->envelope);
	buf_done(&out->names);
	free(out);
}
