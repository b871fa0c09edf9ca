/* SPDX-License-Identifier: MIT */
/*
 * What modules do beside requests: at a worker's start and stop, and about the
 * crash of the one before it.  Each hook is a background task (ctx.h).
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_HOOKS_H
#define CORELANE_SERVER_HOOKS_H

#include <stdbool.h>

#include "common/error.h"

struct lane_crash;
struct server;

struct hooks {
	unsigned starting, stopping;	/* tasks under way */
	bool has_failed;		/* a start; err says why */
	bool is_started;		/* every start hook has ended well */
	bool has_stopped;		/* stop hooks have been begun */
	struct error err;
};

/* Begins every on_worker_start; crash: what killed the worker before, for
 * on_crash_report, or NULL.  Returns 0, or -1 with err. */
int hooks_start(struct server *srv, const struct lane_crash *crash,
    struct error *err);

/* Begins every on_worker_stop, once; true when all have ended. */
bool hooks_stop(struct server *srv);

#endif
