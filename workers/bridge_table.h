/* SPDX-License-Identifier: MIT */
/*
 * The channels and patterns that the bridge listens to, by name.
 *
 *	          wanted                  SUBSCRIBE's answer
 *	(none) -----------> JOINING -----------------------+
 *	   |                                               v
 *	   | seen by a pattern                          QUEUED <---+
 *	   +-----------------------> LIVE                  |       | more, or
 *	                              ^ |                  v       | couldn't be
 *	    nothing more is missing   | | held too much  FETCHING -+ published
 *	                              | +--> QUEUED        |
 *	                              +--------------------+
 *	link down: all are OFFLINE; up: HELD, until it is known which of them
 *	have missed something (QUEUED) and which have not (LIVE)
 *
 * Only a LIVE channel's messages are published as they come; else they are
 * held, so that a channel's messages are published in the order of its stream.
 *
 * Owns: channels, and the messages that they hold.
 * Here: the table and what is held.  Not here: when a channel moves
 * (bridge_feed.c).
 * Context: the bridge's loop; [bridge_table.c] -> bridge_feed.c -> bridge_in.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_TABLE_H
#define CORELANE_WORKERS_BRIDGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/channel_log.h"
#include "common/str.h"
#include "workers/bridge_codec.h"
#include "workers/bridge_link.h"

struct bridge_feed;

enum bridge_channel_state {
	BRIDGE_OFFLINE,		/* the link is down */
	BRIDGE_JOINING,		/* SUBSCRIBE is under way */
	BRIDGE_HELD,		/* the same, for all at once */
	BRIDGE_QUEUED,		/* its stream is to be read */
	BRIDGE_FETCHING,	/* is being read */
	BRIDGE_LIVE
};

/* A message that came too early. */
struct bridge_held {
	STAILQ_ENTRY(bridge_held) next;
	struct bridge_id id;
	size_t len;
	char envelope[];
};

struct bridge_origin {
	uint32_t origin;
	uint64_t number;	/* of its last message */
};

struct bridge_channel {
	struct bridge_channel *hash_next;
	TAILQ_ENTRY(bridge_channel) queue_next;	/* while QUEUED; of patterns:
						 * always */
	struct bridge_feed *feed;	/* borrowed */
	struct bridge_asker asker;	/* of its stream */
	enum bridge_channel_state state;
	bool is_pattern;
	bool is_wanted;			/* somebody here has subscribed */
	bool is_told;			/* Redis knows, on this connection */
	bool must_look; /* something was dropped: read the stream again */
	bool is_new;	/* its history isn't known here */
	unsigned seen_in_scan;
	uint64_t used_ms;	/* when it was last wanted, or had a message */
	struct bridge_id last;		/* of the last message; 0: none */
	uint64_t wanted_ms;	/* CLOCK_MONOTONIC: nobody was before that */
	uint64_t live_from_ms;	/* the same by Redis's clock; 0: not known */
	STAILQ_HEAD(, bridge_held) held;
	struct bridge_origin origins[CHANNEL_ORIGINS_MAX];
	unsigned origin_count;
	uint8_t name_len;
	char name[];
};

TAILQ_HEAD(bridge_queue, bridge_channel);

struct bridge_table {
	struct bridge_channel **buckets; /* owned */
	size_t bucket_count, count;
	size_t held_bytes, held_max;	/* of all channels */
};

int bridge_table_init(struct bridge_table *t, size_t held_max);
void bridge_table_done(struct bridge_table *t);

static inline struct str
bridge_channel_name(const struct bridge_channel *ch)
{
	return str_from(ch->name, ch->name_len);
}

struct bridge_channel *bridge_table_find(const struct bridge_table *t,
    struct str name);
/* Returns NULL without memory.  The name is copied. */
struct bridge_channel *bridge_table_add(struct bridge_table *t,
    struct str name);
/* Calls fn for every one of them, which may remove that one alone. */
void bridge_table_each(struct bridge_table *t,
    void (*fn)(struct bridge_channel *ch, void *arg), void *arg);
void bridge_table_remove(struct bridge_table *t, struct bridge_channel *ch);

/* Holds a copy; where that would be too much it is dropped, and must_look. */
void bridge_channel_hold(struct bridge_table *t, struct bridge_channel *ch,
    const struct bridge_id *id, struct str envelope);
/* Takes the first one out: the caller's to free(); or NULL. */
struct bridge_held *bridge_channel_take(struct bridge_table *t,
    struct bridge_channel *ch);
void bridge_channel_drop(struct bridge_table *t, struct bridge_channel *ch);

/*
 * Notes that a message of an origin has come.
 * Returns how many before it never did: 0 where that isn't known.
 */
uint64_t bridge_channel_note(struct bridge_channel *ch, uint32_t origin,
    uint64_t number);

#endif
