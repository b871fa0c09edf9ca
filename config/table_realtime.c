/* SPDX-License-Identifier: MIT */
/*
 * The table of the configuration: "websocket", "sse", "channels",
 * "channel_log" and "cluster".
 *
 * Owns the rows: constant.
 *
 * Here: keys, defaults, help.  Not here: whether a module has the hook that a
 * rule names (server/module.c).
 * Context: constant.  Reading order: table.c -> [table_realtime.c].
 */
#include "config/config.h"
#include "config/field.h"
#include "config/syntax.h"

#define C struct config
#define CHANNEL struct config_channel
#define CLUSTER struct config_cluster

static const struct field deflate_fields[] = {
	{.key = "enabled", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(C, websocket.deflate.enabled),
	    .help = "agree to permessage-deflate where a client offers it"},
	{.key = "min_bytes", .kind = FIELD_SIZE, .def = JSON(256),
	    AT(C, websocket.deflate.min_bytes), .min = 0, .max = GIB,
	    .help = "shorter messages are sent as they are"},
	{.key = "level", .kind = FIELD_INT, .def = JSON(3),
	    AT(C, websocket.deflate.level), .min = 1, .max = 9,
	    .help = "1 the fastest, 9 the smallest"},
	{.key = "window_bits", .kind = FIELD_INT, .def = JSON(12),
	    AT(C, websocket.deflate.window_bits), .min = 9, .max = 15,
	    .help = "how far back it looks: 2 to the power of this, in bytes"},
	{.key = "context_takeover", .kind = FIELD_BOOL, .def = JSON(false),
	    AT(C, websocket.deflate.takeover),
	    .help = "keep a window per connection from message to message: "
	    "smaller messages, some 64 KiB and more of memory for each "
	    "connection; never for channels"},
	{.key = NULL},
};

static const struct section deflate_section = {
	.name = "websocket.deflate",
	.help = "Compression of messages (RFC 7692).",
	.fields = deflate_fields,
};

static const struct field websocket_fields[] = {
	{.key = "message_bytes", .kind = FIELD_SIZE, .def = JSON("1MiB"),
	    AT(C, websocket.message_bytes), .min = 1, .max = GIB,
	    .help = "length of a client's message; longer closes with 1009"},
	{.key = "ping", .kind = FIELD_DURATION, .def = JSON("25s"),
	    AT(C, websocket.ping_ms), .min = 0, .max = 24 * HOUR_MS,
	    .help = "a client that has been silent so long is pinged; 0: "
	    "never"},
	{.key = "pong", .kind = FIELD_DURATION, .def = JSON("20s"),
	    AT(C, websocket.pong_ms), .min = 1, .max = HOUR_MS,
	    .help = "and must have been heard of by then"},
	{.key = "lifetime", .kind = FIELD_DURATION, .def = JSON("0s"),
	    AT(C, websocket.lifetime_ms), .min = 0, .max = 24 * 365 * HOUR_MS,
	    .help = "then it is closed with 1012, to come back; 0: never"},
	{.key = "deflate", .kind = FIELD_SECTION, .section = &deflate_section,
	    .help = "compression of messages"},
	{.key = NULL},
};

const struct section websocket_section = {
	.name = "websocket",
	.help = "WebSocket connections (RFC 6455).",
	.fields = websocket_fields,
};

static const struct field sse_fields[] = {
	{.key = "heartbeat", .kind = FIELD_DURATION, .def = JSON("25s"),
	    AT(C, sse.heartbeat_ms), .min = 0, .max = 24 * HOUR_MS,
	    .help = "a comment is sent where nothing was for so long; 0: "
	    "never"},
	{.key = "retry", .kind = FIELD_DURATION, .def = JSON("2s"),
	    AT(C, sse.retry_ms), .min = 1, .max = HOUR_MS,
	    .help = "after which time a browser that was cut off comes back"},
	{.key = "lifetime", .kind = FIELD_DURATION, .def = JSON("0s"),
	    AT(C, sse.lifetime_ms), .min = 0, .max = 24 * 365 * HOUR_MS,
	    .help = "then it ends, and the browser comes back; 0: never"},
	{.key = NULL},
};

const struct section sse_section = {
	.name = "sse",
	.help = "Event streams (Server-Sent Events).",
	.fields = sse_fields,
};

static const struct field history_fields[] = {
	{.key = "messages", .kind = FIELD_INT, .def = JSON(100),
	    AT(CHANNEL, history.messages), .min = 0, .max = 1000000,
	    .help = "the newest so many; 0: no history, so nothing recovers"},
	{.key = "age", .kind = FIELD_DURATION, .def = JSON("5m"),
	    AT(CHANNEL, history.age_ms), .min = 1, .max = 24 * 365 * HOUR_MS,
	    .help = "none that are older"},
	{.key = "bytes", .kind = FIELD_SIZE, .def = JSON("1MiB"),
	    AT(CHANNEL, history.bytes), .min = 1, .max = 64 * GIB,
	    .help = "and not more than this"},
	{.key = NULL},
};

static const struct section history_section = {
	.name = "channels[].history",
	.help = "What a client that comes back can be given. All of it lies in "
	    "the one `channel_log`.",
	.fields = history_fields,
};

static const char *const slow_policies[] = {
	"disconnect", "drop_oldest", "latest", NULL};
static const char *const presences[] = {"count", "members", NULL};

static const struct field channel_fields[] = {
	{.key = "match", .kind = FIELD_STRING, .flags = FIELD_REQUIRED,
	    AT(CHANNEL, match), .check = syntax_channel_pattern,
	    .help = "the channels that are meant: \"room.1\", \"room.*\", "
	    "\"*\"; the first rule that matches holds"},
	{.key = "history", .kind = FIELD_SECTION, .section = &history_section,
	    .help = "what is kept for who comes back"},
	{.key = "subscribe", .kind = FIELD_STRING, .def = JSON("anyone"),
	    AT(CHANNEL, subscribe), .check = syntax_channel_permit,
	    .help = "who may: \"anyone\"; \"nobody\"; \"token\", what the "
	    "claim `channels.sub` of the route's jwt lists; or a module's "
	    "hook, \"chat.may\""},
	{.key = "publish", .kind = FIELD_STRING, .def = JSON("anyone"),
	    AT(CHANNEL, publish), .check = syntax_channel_permit,
	    .help = "the same, for clients that publish: `channels.pub`"},
	{.key = "message_bytes", .kind = FIELD_SIZE, .def = JSON("64KiB"),
	    AT(CHANNEL, message_bytes), .min = 1, .max = 16 * MIB,
	    .help = "the longest message"},
	{.key = "queue_bytes", .kind = FIELD_SIZE, .def = JSON("1MiB"),
	    AT(CHANNEL, queue_bytes), .min = 1, .max = GIB,
	    .help = "how far behind a subscriber may be, that doesn't read as "
	    "fast as is published"},
	{.key = "on_slow", .kind = FIELD_ENUM, .def = JSON("disconnect"),
	    AT(CHANNEL, on_slow), .names = slow_policies,
	    .help = "then: \"disconnect\", to come back and recover; "
	    "\"drop_oldest\"; or \"latest\", only the newest message"},
	{.key = "presence", .kind = FIELD_ENUM, .def = JSON("count"),
	    AT(CHANNEL, presence), .names = presences,
	    .help = "what is told of the subscribers: how many, or who"},
	{.key = "members_max", .kind = FIELD_INT, .def = JSON(200),
	    AT(CHANNEL, members_max), .min = 1, .max = 100000,
	    .help = "most members that one answer lists"},
	{.key = "join_leave", .kind = FIELD_BOOL, .def = JSON(false),
	    AT(CHANNEL, join_leave),
	    .help = "tell subscribers of members who come and go; needs "
	    "\"presence\": \"members\""},
	{.key = NULL},
};

static void
channel_check(const struct section_scope *scope)
{
	const CHANNEL *ch = scope->base;

	if (ch->join_leave && ch->presence != PRESENCE_MEMBERS &&
	    scope_is_good(scope, "presence"))
		scope_report(scope, "join_leave",
		    "needs \"presence\": \"members\" beside it");
}

const struct section channel_section = {
	.name = "channels[]",
	.help = "Rules for channels: the first whose \"match\" fits holds.",
	.fields = channel_fields,
	.bytes = sizeof(CHANNEL),
	.check = channel_check,
};

static const struct field channel_log_fields[] = {
	{.key = "bytes", .kind = FIELD_SIZE, .def = JSON("64MiB"),
	    AT(C, channel_log.bytes), .min = 256 * KIB, .max = 64 * GIB,
	    .help = "for messages, rounded up to a power of two; when it is "
	    "full the oldest go"},
	{.key = "channels", .kind = FIELD_INT, .def = JSON(65536),
	    AT(C, channel_log.channels), .min = 16, .max = 16777216,
	    .help = "channels with history or subscribers; when there are "
	    "more, those longest unused are forgotten"},
	{.key = "members", .kind = FIELD_INT, .def = JSON(16384),
	    AT(C, channel_log.members), .min = 16, .max = 16777216,
	    .help = "members of all channels whose presence tells them"},
	{.key = NULL},
};

const struct section channel_log_section = {
	.name = "channel_log",
	.help = "Memory that all workers share for channels, used as far as "
	    "it is needed. Changes hold from the next start on.",
	.fields = channel_log_fields,
};

static const char *const engines[] = {"redis", NULL};

static const struct field cluster_fields[] = {
	{.key = "engine", .kind = FIELD_ENUM, .flags = FIELD_REQUIRED,
	    AT(CLUSTER, engine), .names = engines,
	    .help = "what joins the machines"},
	{.key = "url", .kind = FIELD_STRING,
	    .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_FROM_FILE,
	    AT(CLUSTER, url), .check = syntax_redis_url,
	    .help = "\"redis://[user:password@]host[:port][/database]\", or "
	    "\"redis+unix://[user:password@]/path[?database=N]\""},
	{.key = "prefix", .kind = FIELD_STRING, .def = JSON("corelane:"),
	    AT(CLUSTER, prefix),
	    .help = "stands before every key and channel there"},
	{.key = "connect", .kind = FIELD_DURATION, .def = JSON("2s"),
	    AT(CLUSTER, connect_ms), .min = 1, .max = HOUR_MS,
	    .help = "for a connection to be made"},
	{.key = "timeout", .kind = FIELD_DURATION, .def = JSON("5s"),
	    AT(CLUSTER, timeout_ms), .min = 1, .max = HOUR_MS,
	    .help = "without an answer the connection is given up"},
	{.key = "history", .kind = FIELD_INT, .def = JSON(1000),
	    AT(CLUSTER, history), .min = 0, .max = 1000000,
	    .help = "messages per channel kept there, for machines that were "
	    "cut off or are new"},
	{.key = "history_age", .kind = FIELD_DURATION, .def = JSON("10m"),
	    AT(CLUSTER, history_age_ms), .min = SECOND_MS,
	    .max = 24 * 365 * HOUR_MS,
	    .help = "and how long after the last of them"},
	{.key = NULL},
};

const struct section cluster_section = {
	.name = "cluster",
	.help = "Joins the channels of several machines.",
	.fields = cluster_fields,
	.bytes = sizeof(CLUSTER),
};
