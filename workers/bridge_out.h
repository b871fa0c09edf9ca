/* SPDX-License-Identifier: MIT */
/*
 * From the log to Redis: every message that was published on this machine, in
 * the log's order.
 *
 *	tail        cursor             read            head
 *	 | gone ...  | sent, no answer  | to be sent    |
 *	             '---- in flight ---'
 *
 * The cursor stands in the log, for the next bridge, and moves on answers only;
 * so a message may be sent twice, and the script leaves out what Redis has of
 * its origin.  That makes it safe to begin again at the tail when Redis comes
 * back from a restart and may have forgotten what it had answered.
 *
 * What is in flight is bounded; while Redis is away or slow the log itself is
 * the queue, and what it evicts unsent is counted.
 *
 * Owns: the list of what is in flight.
 * Here: reading, sending, the cursor, the figures of both.  Not here: the
 * connection.
 * Context: the bridge's loop; bridge.c -> [bridge_out.c] -> bridge_link.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_OUT_H
#define CORELANE_WORKERS_BRIDGE_OUT_H

#include <stdbool.h>

#include "common/channel_log.h"
#include "common/error.h"
#include "config/config.h"
#include "workers/bridge_figures.h"
#include "workers/bridge_link.h"

struct bridge_out;

/* For struct bridge_link_args: what stores a message and tells of it. */
extern const struct str bridge_out_script;

/* All is borrowed.  reader: whose cursor it is. */
struct bridge_out *bridge_out_new(const struct config_cluster *config,
    struct channel_log *log, unsigned reader, struct bridge_figures *figures,
    struct error *err) __attribute__((warn_unused_result));
void bridge_out_free(struct bridge_out *out);

/* The link is up, from now on this one; or down. */
void bridge_out_up(struct bridge_out *out, struct bridge_link *link,
    bool is_same);
void bridge_out_down(struct bridge_out *out);

/* Sends what there is, as far as may be in flight; to be called when the log
 * has news. */
void bridge_out_turn(struct bridge_out *out);

/* Whether everything is sent and answered. */
bool bridge_out_is_done(const struct bridge_out *out);

#endif
