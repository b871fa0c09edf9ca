/* SPDX-License-Identifier: MIT */
/*
 * The memory of the channels' log (common/channel_log.h), and what wakes its
 * readers: made by the supervisor before the first fork and as old as it is, so
 * that history outlives workers and reloads.
 *
 * A worker's number as a reader is its slot in the shared region; the bridge to
 * other machines has the one behind them, CHANNELS_BRIDGE.  Each reader has an
 * eventfd that every process inherits under one number.  There are as many as
 * the first configuration may have workers, twice because of reloads; none is
 * made later, when that number could be anything in a process that is older.
 * Workers beyond, after a reload that raised max_workers, look for messages on
 * their tick.
 *
 *	struct channels *chs = channels_new(cfg, max_workers, &err);
 *	channels_is_free(chs, slot)		supervisor, before fork
 *	channels_log(chs), channels_wake_fd(chs, slot)	worker
 *	channels_worker_died(chs, slot, cfg)	supervisor, after waitpid()
 *
 * Context: the supervisor's loop; workers inherit the mapping.
 */
#ifndef CORELANE_WORKERS_CHANNELS_H
#define CORELANE_WORKERS_CHANNELS_H

#include "common/channel_log.h"
#include "common/error.h"
#include "common/stats.h"
#include "config/config.h"
#include "workers/shared.h"

#define CHANNELS_BRIDGE ((unsigned)SHARED_SLOTS)
#define CHANNELS_READERS (CHANNELS_BRIDGE + 1)

struct channels;

struct channels *channels_new(const struct config *cfg, unsigned max_workers,
    struct error *err) __attribute__((warn_unused_result));

/* Unmaps it for this process only. */
void channels_free(struct channels *chs);

/* Lent as long as the mapping. */
struct channel_log *channels_log(const struct channels *chs);

/* What wakes a reader; -1: nothing, it looks by itself. */
int channels_wake_fd(const struct channels *chs, unsigned reader);

/* Of so many workers: how many descriptors every process has for it. */
size_t channels_file_count(unsigned max_workers);

/* What a dead worker has left in the log goes; rules of `cfg` say whether its
 * members' leaving is told.  Where a process that is stopped holds the log, it
 * goes with a later channels_settle(). */
void channels_worker_died(struct channels *chs, int slot,
    const struct config *cfg);
void channels_settle(struct channels *chs, const struct config *cfg);

/* Whether nothing of an earlier worker is left there. */
bool channels_is_free(const struct channels *chs, int slot);

/* Warns of what a new configuration asks for and only a start can give. */
void channels_tell_fixed(const struct channels *chs, const struct config *cfg,
    unsigned max_workers);

void channels_add_figures(const struct channels *chs, struct stats_view *view);

#endif
