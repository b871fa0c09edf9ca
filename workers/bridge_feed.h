/* SPDX-License-Identifier: MIT */
/*
 * A channel's messages on their way into the log: as they come, or where some
 * may be missing from its stream, and always in the stream's order.
 *
 * Owns: the table of channels.
 * Here: publishing, streams, what is held meanwhile.  Not here: what is
 * subscribed to (bridge_in.c).
 * Context: the bridge's loop; bridge_in.c -> [bridge_feed.c] ->
 * bridge_table.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_FEED_H
#define CORELANE_WORKERS_BRIDGE_FEED_H

#include "common/channel_log.h"
#include "config/config.h"
#include "workers/bridge_codec.h"
#include "workers/bridge_figures.h"
#include "workers/bridge_link.h"
#include "workers/bridge_table.h"

struct bridge_feed {
	const struct config *config;
	const struct config_cluster *cluster;
	struct channel_log *log;
	struct bridge_figures *figures;
	struct bridge_link *link;	/* NULL: down */
	struct bridge_table table;
	struct bridge_queue queue;	/* the QUEUED */
	size_t fetches;			/* the FETCHING */
	size_t unsettled;		/* neither LIVE nor OFFLINE */
	/* By Redis's clock: the stream of a channel of which nothing else is
	 * known is read from here on. */
	uint64_t from_ms;
	bool is_stuck;			/* the log is locked: until the tick */
	bool has_told_refusal;
};

/* All is borrowed.  Returns 0, or -1 without memory. */
int bridge_feed_init(struct bridge_feed *feed, const struct config *config,
    struct channel_log *log, struct bridge_figures *figures);
void bridge_feed_done(struct bridge_feed *feed);

/* A channel that isn't there yet: OFFLINE; or NULL without memory. */
struct bridge_channel *bridge_feed_add(struct bridge_feed *feed,
    struct str name);

void bridge_feed_move(struct bridge_channel *ch,
    enum bridge_channel_state state);

/* A message of a channel has come: published, or held. */
void bridge_feed_take(struct bridge_channel *ch, const struct bridge_id *id,
    struct str envelope);

/* Has its stream read, once the queue comes to it: bridge_feed_pump(). */
void bridge_feed_enqueue(struct bridge_channel *ch);
void bridge_feed_pump(struct bridge_feed *feed);

/* Nothing is missing: what is held, and from then on as it comes. */
void bridge_feed_settle(struct bridge_channel *ch);

#endif
