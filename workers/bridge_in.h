/* SPDX-License-Identifier: MIT */
/*
 * From Redis to the log: what other machines have published in the channels
 * that somebody on this one has subscribed to.
 *
 * Each channel is subscribed to once, however many subscribers it has here, and
 * left half a minute after the last of them.  Its messages are published in the
 * order of its stream: as they come, or, where some may be missing (the link
 * was down, too much came at once, the log was locked), from the stream first.
 * What stands twice in there, or comes a second time, the log itself refuses.
 *
 * A channel that nobody here had: its recent history is read once, and is
 * published as such, for those who come from another machine with a position of
 * there; what came since the first of them subscribed is news to them.
 *
 * Owns: the table of channels.
 * Here: subscriptions, catching up, publishing.  Not here: the connection.
 * Context: the bridge's loop; bridge.c -> [bridge_in.c] -> bridge_table.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_IN_H
#define CORELANE_WORKERS_BRIDGE_IN_H

#include <stdbool.h>

#include "common/channel_log.h"
#include "common/error.h"
#include "config/config.h"
#include "workers/bridge_figures.h"
#include "workers/bridge_link.h"

struct bridge_in;

/* All is borrowed. */
struct bridge_in *bridge_in_new(const struct config *config,
    struct channel_log *log, struct bridge_figures *figures,
    struct error *err) __attribute__((warn_unused_result));
void bridge_in_free(struct bridge_in *in);

/* As struct bridge_link_args has them. */
void bridge_in_up(struct bridge_in *in, struct bridge_link *link,
    bool is_same);
void bridge_in_down(struct bridge_in *in);
void bridge_in_push(struct bridge_in *in, const struct redisReply *reply);
void bridge_in_heartbeat(struct bridge_in *in, uint64_t redis_ms);

/* Whether all that is known to have been missed has been read. */
bool bridge_in_is_settled(const struct bridge_in *in);

/* Looks who subscribes to what, if that has changed; to be called often. */
void bridge_in_look(struct bridge_in *in);

/* Every 100 ms: leaves channels, tries again. */
void bridge_in_tick(struct bridge_in *in);

#endif
