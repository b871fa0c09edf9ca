/* SPDX-License-Identifier: MIT */
/*
 * What the bridge counts, and what its successor must know: a page of memory
 * that the supervisor makes and the bridge alone writes.
 *
 * Each figure is a number of its own, so that there is nothing to lock and
 * nothing to repair: a bridge that dies leaves them as they were.
 *
 * Owns: the page.
 * Here: the page and reading it.  Not here: printing (common/stats.h).
 * Context: the supervisor makes it, the bridge writes, everybody reads.
 */
#ifndef CORELANE_WORKERS_BRIDGE_FIGURES_H
#define CORELANE_WORKERS_BRIDGE_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/error.h"
#include "common/stats.h"

#define BRIDGE_RUN_ID_BYTES 64

struct bridge_figures {
	_Atomic uint64_t is_connected;
	_Atomic uint64_t sent;		/* that Redis has answered */
	_Atomic uint64_t received;	/* published here, of other machines */
	_Atomic uint64_t dropped;	/* ours that the log had lost first */
	_Atomic uint64_t missed;	/* others' that never came */
	_Atomic uint64_t refused;	/* others' that can't be published */
	_Atomic uint64_t connects;
	_Atomic uint64_t lag_messages;	/* ours that wait */
	_Atomic uint64_t lag_bytes;	/* of the log, up to its head */
	_Atomic uint64_t subscriptions;
	_Atomic uint64_t restarts;	/* the supervisor's */

	/* Its loop turns: CLOCK_MONOTONIC; ahead of the time where it is about
	 * to wait for a name server. */
	_Atomic uint64_t heartbeat_ms;

	/* For the next bridge: how far the log has been counted, and how many
	 * messages of any origin that were. */
	_Atomic uint64_t counted_at, counted;
	/* By Redis's clock: all that came before has been received; 0: nothing
	 * yet. */
	_Atomic uint64_t received_until_ms;
	uint64_t machine;	/* set once: this server, until it stops */
	char run_id[BRIDGE_RUN_ID_BYTES]; /* the bridge's: of the Redis that
					   * it was connected to, or "" */
};

/* Returns NULL on failure. */
struct bridge_figures *bridge_figures_new(struct error *err)
    __attribute__((warn_unused_result));
void bridge_figures_free(struct bridge_figures *f);

/* For a view of the statistics. */
void bridge_figures_view(const struct bridge_figures *f,
    struct stats_cluster *ret_cluster);

static inline void
bridge_count(_Atomic uint64_t *figure, uint64_t n)
{
	atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static inline void
bridge_set(_Atomic uint64_t *figure, uint64_t value)
{
	atomic_store_explicit(figure, value, memory_order_relaxed);
}

static inline uint64_t
bridge_get(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

#endif
