/* SPDX-License-Identifier: MIT */
/*
 * What the files of the hub share: its channels, subscriptions and batches.
 *
 *	struct hub
 *	  |  table: by the log's row, and the list of patterns
 *	  v
 *	struct hub_channel --subscriber[]--> struct subscription
 *	  |                                    |  ^
 *	  | news of this round                 |  `-- session->subscriptions
 *	  v                                    v
 *	struct hub_item --> the log        struct session
 *
 * A *mark* is how far a subscription has come: a channel's is the offset of the
 * last message given; a pattern's, whose messages are of many channels, is the
 * place in the ring behind the last entry that was looked at.
 *
 * Context: the loop's thread.  hub.c -> [hub_internal.h]
 */
#ifndef CORELANE_SERVER_HUB_INTERNAL_H
#define CORELANE_SERVER_HUB_INTERNAL_H

#include <event2/event_struct.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/pool.h"
#include "server/hub.h"

struct hub_step;
struct ws_zlib;

/* What the bytes of a message are: a form, and for WebSockets that have agreed
 * to compression its window, 9 to 15 bits. */
#define HUB_WINDOWS 8
#define HUB_VARIANTS (HUB_FORM_COUNT * HUB_WINDOWS)

/* Messages, one behind the other as they are sent. */
struct hub_mark {
	size_t end;		/* of its bytes in the batch */
	uint64_t mark;
	uint64_t channel_bytes;	/* of the channel's data, up to here */
	uint64_t at;		/* the entry's place */
};
struct hub_batch {
	struct bytes *bytes;	/* ->len: room; NULL: none yet */
	size_t len;
	struct hub_mark *message;
	unsigned count, cap;
	bool is_made;		/* of this round's news */
	bool has_lost;		/* the log was faster */
	bool has_failed;	/* no memory */
	bool gives_old;	/* messages that were history when they came */
};

struct hub_channel {
	struct hub_channel *next;	/* in its slot */
	struct hub *hub;
	const struct config_channel *rule; /* lent: its name's */
	struct subscription **subscriber;
	uint32_t count, cap;
	uint32_t row, epoch;		/* a pattern has none */
	/* The newest message known here: its entry, mark and channel_bytes. */
	uint64_t last, last_mark, last_bytes;
	struct hub_step *steps;		/* hub_catchup.c's; NULL: none */
	/* Of this round. */
	struct hub_channel *next_news;
	uint32_t first_item, last_item;
	bool has_news;			/* in hub->news: isn't freed now */
	bool is_pattern;
	bool has_origins;		/* other machines publish there, too */
	uint8_t name_len;
	char name[];
};

/* 48 bytes of the pool. */
struct subscription {
	struct session *session;
	struct subscription *next;	/* of the session */
	struct hub_channel *channel;
	uint64_t mark;
	uint64_t channel_bytes;		/* up to it */
	uint32_t index;			/* in channel->subscriber */
	uint8_t variant;
	bool is_behind;			/* hub_drained() goes on */
	bool is_recovering;		/* gets history: may be that far back */
};

/* A message of this round, of one channel or pattern. */
struct hub_item {
	uint64_t at;
	uint64_t channel_bytes;
	uint32_t next;			/* of the same; HUB_NO_ITEM: none */
};
#define HUB_NO_ITEM UINT32_MAX
/* Room for a round, beside one for each pattern. */
#define HUB_ITEMS 2048

/* Channels by row; or patterns by the hash of what stands before their "*". */
struct hub_table {
	struct hub_channel **slot;
	size_t slots, count;
};

struct hub_leave;

/* Channels that have steps at once. */
#define HUB_STEPPED 64u
struct hub_wait;

struct hub {
	struct server *srv;
	struct channel_log *log;
	void *own_log;			/* owned; NULL: it was given */
	unsigned reader;
	uint64_t cursor;		/* all before it has been handed on */
	struct event wake;
	bool is_waking;			/* the event is there */
	bool has_news;
	struct pool subscriptions;
	struct hub_table channels, patterns;
	uint32_t prefix[CHANNEL_NAME_MAX + 1]; /* patterns, by length */
	uint64_t key[2];		/* of the hashes */
	struct hub_leave *leaves;	/* to be tried again */
	struct hub_wait *waits;		/* for other machines */
	struct hub_wait *waits_over;	/* about to be told */
	struct hub_channel *news;	/* in this round */
	struct hub_item *item;
	uint32_t items, items_max;
	struct hub_batch batch[HUB_VARIANTS];
	struct hub_batch own;		/* of one who catches up */
	struct hub_channel *stepped[HUB_STEPPED]; /* those with steps */
	unsigned stepped_next;
	/* Whose message's id is being made, and the entry it is of. */
	const struct subscription *tagged;
	uint64_t tagged_at;
	struct buf text, deflated;	/* one message's */
	struct ws_zlib *zlib;		/* NULL: none needed yet */
};

static inline struct str
hub_channel_name(const struct hub_channel *ch)
{
	return str_from(ch->name, ch->name_len);
}

/* An entry's mark in a channel, or in a pattern. */
static inline uint64_t
hub_mark_of(const struct hub_channel *ch, const struct channel_entry *e)
{
	return ch->is_pattern ? e->next : e->offset;
}

/* It has been given this one. */
static inline void
hub_given(struct subscription *sub, const struct hub_mark *m)
{
	sub->mark = m->mark;
	sub->channel_bytes = m->channel_bytes;
}

static inline bool
hub_form_is_event(enum hub_form form)
{
	return form == HUB_EVENT || form == HUB_TAGGED;
}

/* Whether something may be sent to it still. */
bool hub_can_send(const struct session *s);

/* --- hub_subscribe.c --- */

int hub_channels_init(struct hub *hub);
void hub_channels_done(struct hub *hub);
/* The channel of a row; NULL: nobody here has subscribed to it. */
struct hub_channel *hub_channel_find(const struct hub *hub, uint32_t row,
    struct str name);
/* Calls fn for each pattern that matches a name. */
void hub_each_pattern(struct hub *hub, struct str name,
    void (*fn)(struct hub_channel *pattern, const struct channel_entry *e),
    const struct channel_entry *e);
/* Its counting has begun anew, with this entry. */
void hub_channel_begin_anew(struct hub_channel *ch,
    const struct channel_entry *e);
/* Frees it unless somebody needs it. */
void hub_channel_release(struct hub_channel *ch);
/* Every channel has news, as far as the log knows of it now. */
void hub_channels_refresh(struct hub *hub);
/* Puts it on the list of this round. */
void hub_add_news(struct hub_channel *ch);
void hub_try_leaves(struct hub *hub);
/* Leaves a channel at the log: now, or as soon as that can be. */
void hub_leave(struct hub *hub, struct str name);

/* --- hub_await.c --- */

/* Calls those for whom it has come, or will not. */
void hub_check_waits(struct hub *hub);
void hub_drop_waits(struct session *s);
void hub_free_waits(struct hub *hub);

/* --- hub_form.c --- */

uint8_t hub_variant(struct session *s, enum hub_form form);
enum hub_form hub_variant_form(uint8_t variant);
void hub_batch_clear(struct hub_batch *b);
void hub_batch_done(struct hub_batch *b);
/* Appends an entry; returns false when it is gone, or there is no memory. */
bool hub_batch_add(struct hub *hub, struct hub_batch *b, uint8_t variant,
    const struct channel_entry *e, struct hub_mark mark);

/* --- hub_fanout.c --- */

/* Gives this round's news to the subscribers of a channel. */
void hub_fan_out(struct hub_channel *ch);
/* Appends each event's own id; returns as session_send(). */
int hub_send_tagged(struct subscription *sub, const struct hub_batch *b,
    unsigned first);

/* --- hub_catchup.c --- */

/* Whether it is further behind than its rule allows. */
bool hub_is_slow(const struct subscription *sub);
/* Too slow, by a policy that wants it gone: all its session's subscriptions
 * are. */
void hub_disconnect(struct subscription *sub);
/* Gives a subscriber what the log has for it, until its socket is full.  It may
 * be gone afterwards. */
void hub_catch_up(struct subscription *sub);
/* The channel goes. */
void hub_steps_free(struct hub_channel *ch);
/* What was sent in a form, for the statistics. */
void hub_count_sent(struct hub *hub, uint8_t variant, uint64_t messages);

/* --- hub_history.c --- */

/* Where a new subscription begins. */
struct hub_start {
	uint64_t mark, channel_bytes;
	/* What it has missed isn't all that there is behind the mark (another
	 * machine's order): these entries, oldest first, then the mark.  Owned;
	 * NULL: none. */
	uint64_t *entries;
	size_t entry_count;
};
/* Returns 0 with what the announcement tells, or -ENOMEM. */
int hub_find_start(struct hub *hub, const struct channel_state *state,
    const struct hub_subscribe *args, struct hub_start *ret_start,
    struct hub_subscribed *got);

#endif
