/* SPDX-License-Identifier: MIT */
/*
 * The log of channels: one region of memory that all workers share, in which a
 * message is written once, and from which each worker reads what its own
 * clients have subscribed to.  It belongs to the supervisor, so that history
 * outlives workers and reloads.
 *
 *	header	mutex, limits, tail, head, applied
 *	readers		wake flags, cursors, one per worker and the bridge
 *	channels	name -> epoch, offset, last entry, who listens
 *	interests	[reader][channel]: how many subscribers
 *	members		(channel, reader, client): who they are
 *	ring		[ .. entry | entry | entry | free .. ]
 *	                   ^tail                   ^head
 *
 * The ring: entries of all channels, one behind the other; positions in it are
 * 64-bit counts of bytes that never wrap.  Where there is no room the oldest
 * entries go: memory is bounded, and nobody ever waits for a reader.  An entry
 * knows the one before it of its own channel, so that a channel's history is
 * walked backwards without touching others'.
 *
 * Writers hold the mutex, which is robust: whoever gets it after its holder has
 * died makes whole what was half done.  That is always possible, because a
 * message exists from one store on, `head`:
 *
 *	1  tail = behind what must go	(what lies before it is lost)
 *	2  entry written at head	(nobody sees it)
 *	3  head = behind the entry	THE MESSAGE EXISTS
 *	4  the channel's row updated
 *	5  applied = head
 *	6  listeners woken
 *
 * A death before 3 leaves nothing; after 3, recovery does 4 and 5 again from
 * the entry itself, and the supervisor, which hears of the death, wakes
 * everybody.  Lists, free lists and sums are made anew from the rows, whose
 * state is the last thing that is written when they come and the first when
 * they go, and from the counts of interests, each one number.
 *
 * Readers take no lock: an entry below head never changes until tail passes it.
 * So they use its bytes where they lie and ask channel_log_is_intact()
 * afterwards; if it isn't, what they made of it is thrown away.
 *
 * Ids.  A message is epoch:offset.  The offset counts a channel's messages; the
 * epoch changes when the counting begins anew (a restart, a channel that was
 * forgotten), and is random.  A message also knows its origin, the epoch of the
 * channel at the machine that published it, and its number there; a position
 * lists the last number of every origin ("seen") once there is more than one,
 * so that another machine's log, in another order, can tell what a client has
 * not seen.
 *
 * Here: the region.  Not here: whose memory it is (workers/channels.c), local
 * subscribers (server/hub.c), rules (server/channel.c), Redis
 * (workers/bridge.c).
 * Context: any process that maps it; the loop's thread.
 */
#ifndef CORELANE_COMMON_CHANNEL_LOG_H
#define CORELANE_COMMON_CHANNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/str.h"

#define CHANNEL_NAME_MAX 255
#define CHANNEL_POSITION_MAX 512 /* the text of a position */
#define CHANNEL_ORIGINS_MAX 16
#define CHANNEL_USER_MAX 63
#define CHANNEL_INFO_MAX 255

struct channel_log;

/* What a region is made for: fixed when it is made. */
struct channel_log_limits {
	size_t ring_bytes;	/* rounded up to a power of two */
	size_t channels;	/* with history or subscribers, at once */
	size_t members;
	unsigned readers;	/* their numbers: 0 to readers - 1 */
};
#define CHANNEL_READERS_MAX 256

size_t channel_log_bytes(const struct channel_log_limits *limits);
/* In zeroed memory of that size, aligned to 64 bytes, shared or not (a
 * test's). */
int channel_log_init(struct channel_log *log,
    const struct channel_log_limits *limits, struct error *err);
const struct channel_log_limits *channel_log_get_limits(
    const struct channel_log *log);

/* Whether `name` is a channel's: [A-Za-z0-9._:-]{1,255}; a pattern may have a
 * "*" for the last of these bytes, or alone. */
bool channel_name_is_valid(struct str name);
bool channel_pattern_is_valid(struct str pattern);
/* "room.*" matches "room.1" and "room."; a name matches itself. */
bool channel_matches(struct str pattern, struct str name);

/* --- positions --- */

struct channel_position {
	uint32_t epoch;		/* 0: none */
	uint64_t offset;
	unsigned seen_count;	/* 0: one origin, offset says it all */
	struct {
		uint32_t origin;
		uint64_t number;
	} seen[CHANNEL_ORIGINS_MAX];
};

/* "5f3a9c21:42", "5f3a9c21:42_5f3a9c21.30_b7c1d2e3.12"; returns the length. */
size_t channel_position_print(const struct channel_position *pos,
    char to[CHANNEL_POSITION_MAX]);
bool channel_position_parse(struct str text, struct channel_position *ret_pos);

/* --- messages --- */

enum channel_content {
	CHANNEL_TEXT,		/* valid UTF-8 */
	CHANNEL_JSON,		/* one value, checked */
	CHANNEL_BINARY,
	CHANNEL_JOIN, /* a member came: JSON {"client","user","info"} */
	CHANNEL_LEAVE
};

/* What is to be published. */
struct channel_message {
	struct str channel;
	struct str data;
	enum channel_content content;
	int64_t time_ms;	/* CLOCK_REALTIME */
	/* Of another machine: its origin and number; 0: published here. */
	uint32_t origin;
	uint64_t number;
	/* From before anybody here has subscribed: for history alone, no news
	 * to those who are subscribed. */
	bool is_old;
};

/*
 * Publishes.  ret_pos: may be NULL.
 * Returns 0; -EINVAL for a bad name; -EMSGSIZE when it is longer than
 * channel_log_message_max(); -ENOSPC when every channel's row is in use;
 * -EBUSY when the mutex couldn't be had in CHANNEL_LOCK_MS (its holder is
 * stopped); -EALREADY for a number of an origin that is there already.
 */
#define CHANNEL_LOCK_MS 100
int channel_log_publish(struct channel_log *log,
    const struct channel_message *message, struct channel_position *ret_pos);
size_t channel_log_message_max(const struct channel_log *log);

/* An entry, where it lies: see channel_log_is_intact(). */
struct channel_entry {
	uint64_t at, next, previous;	/* positions; previous 0: none */
	uint32_t row;			/* of its channel */
	uint32_t epoch;
	uint64_t offset;
	uint64_t channel_bytes; /* of data, published there up to this */
	int64_t time_ms;
	enum channel_content content;
	uint32_t origin;
	uint64_t number;
	bool is_old;			/* as in struct channel_message */
	struct str channel, data;	/* lent by the ring */
	struct str seen;		/* of its position: opaque */
};

/* The entry at a position of the ring, at or behind tail and below head.
 * Returns false when it is gone. */
bool channel_log_read(const struct channel_log *log, uint64_t at,
    struct channel_entry *ret_entry);
/* Whether all that was read of it is what was written. */
bool channel_log_is_intact(const struct channel_log *log, uint64_t at);
void channel_entry_position(const struct channel_entry *e,
    struct channel_position *ret_pos);

/* Whether somebody at `pos`, of this machine or another, has been given it. */
bool channel_position_has(const struct channel_position *pos,
    const struct channel_entry *e);
/*
 * How many messages of a channel that is at `now` somebody at `since` has not
 * been given.  Whoever walks back from the last entry over those that `since`
 * hasn't, and finds as many, has found all.  Returns false when that can't be
 * told: of another epoch, or of origins that are not known here.
 */
bool channel_position_missed(const struct channel_position *since,
    const struct channel_position *now, uint64_t *ret_count);

uint64_t channel_log_head(const struct channel_log *log);
uint64_t channel_log_tail(const struct channel_log *log);

/* --- channels --- */

struct channel_state {
	uint32_t row, epoch;
	uint64_t offset;	/* of the last message; 0: none yet */
	uint64_t last;		/* its entry; 0: none, or gone */
	uint64_t channel_bytes;
	uint32_t subscribers;	/* of all workers, patterns not counted */
	bool is_loaded;		/* see channel_log_set_loaded() */
	struct channel_position position;
};

/* What is known of it; false: nothing (no row is made). */
bool channel_log_find(struct channel_log *log, struct str name,
    struct channel_state *ret_state);

/*
 * One more, or one less, subscriber of a channel or pattern at a reader: it is
 * woken for its messages from now on.  join makes the row where there is none.
 * Returns 0 with the state as of that moment: what is published later has a
 * larger offset; or -EINVAL, -ENOSPC, -EBUSY.  leave: 0; -EBUSY when it counts
 * still, until it is tried again or the reader has died.
 */
int channel_log_join(struct channel_log *log, unsigned reader, struct str name,
    struct channel_state *ret_state);
int channel_log_leave(struct channel_log *log, unsigned reader,
    struct str name);

struct channel_member {
	uint64_t client;	/* unique in this machine */
	unsigned reader;
	int64_t joined_ms;	/* CLOCK_REALTIME */
	struct str user, info;	/* info: a JSON value, .len 0: none */
};
/* Who is there.  add: of a client that is there already its user and info;
 * -ENOSPC when the table is full; -ENOENT for a channel that nobody has joined.
 * members: calls fn for at most `max`, with copies; returns how many there
 * are. */
int channel_log_member_add(struct channel_log *log, struct str name,
    const struct channel_member *m);
int channel_log_member_remove(struct channel_log *log, struct str name,
    uint64_t client);
size_t channel_log_members(struct channel_log *log, struct str name, size_t max,
    void (*fn)(const struct channel_member *m, void *arg), void *arg);
/* "client":"1f","user":"kim","info":{}: what CHANNEL_JOIN and CHANNEL_LEAVE
 * have between their braces. */
void channel_member_print(const struct channel_member *m, struct buf *out);

/* Every channel that has a row, in no order: copies. */
struct channel_row {
	struct str name;	/* a pattern ends with "*" */
	uint32_t subscribers;
	uint64_t messages, bytes; /* since it has its row */
	int64_t last_ms;	/* CLOCK_REALTIME; 0: none yet */
	uint32_t per_second;	/* messages, in the last whole second */
};
void channel_log_each(struct channel_log *log,
    void (*fn)(const struct channel_row *row, void *arg), void *arg);

/* --- readers --- */

/*
 * How a reader is woken: `fd`, an eventfd, is written when the flag of the
 * reader goes up; it takes the flag down before it reads.  fds: by reader
 * number, -1: none (it looks by itself, on its tick); lent for ever, the same
 * in every process.
 */
void channel_log_set_wakes(struct channel_log *log, const int *fds);
void channel_log_taken(struct channel_log *log, unsigned reader);
/* Puts the flag up without a write: the reader itself, which looks before it
 * sleeps the next time.  Before it publishes to its own subscribers. */
void channel_log_will_look(struct channel_log *log, unsigned reader);
void channel_log_wake_all(struct channel_log *log);
/* Has this reader woken for every message, and for every change of interests,
 * until it dies: the bridge, of which there is one. */
void channel_log_watch(struct channel_log *log, unsigned reader);

/*
 * Other machines.  joined: the bridge reaches them from now on, or no longer;
 * no channel is loaded then.  loaded: what they have published in a channel is
 * here, and will be as it comes; those who are subscribed to it are woken.
 * Returns 0, -ENOENT or -EBUSY.
 */
void channel_log_set_joined(struct channel_log *log, bool is_joined);
bool channel_log_is_joined(const struct channel_log *log);
int channel_log_set_loaded(struct channel_log *log, struct str name,
    bool is_loaded);

/*
 * The supervisor: a reader's process has died.  Drops its interests and members
 * (leave messages are published for those that channel_log_members() would have
 * told, where `tell` says so), repairs, and wakes everybody.
 * Returns 0, or -EBUSY: to be called again before the number is given away.
 */
int channel_log_reader_died(struct channel_log *log, unsigned reader,
    bool (*tell)(struct str channel, void *arg), void *arg);

/* A cursor that outlives its process: the bridge's. */
uint64_t channel_log_cursor(const struct channel_log *log, unsigned reader);
void channel_log_set_cursor(struct channel_log *log, unsigned reader,
    uint64_t at);
/* Counts every change of interests: the bridge subscribes by it. */
uint64_t channel_log_interest_changes(const struct channel_log *log);

/* For /metrics and `status`. */
struct channel_log_figures {
	uint64_t messages, bytes;	/* published since the start */
	uint64_t evicted;		/* that made room for others */
	uint64_t repairs;		/* of the mutex */
	uint64_t ring_bytes, ring_used;
	size_t channels, channels_max, members;
};
void channel_log_get_figures(struct channel_log *log,
    struct channel_log_figures *ret_figures);

#endif
