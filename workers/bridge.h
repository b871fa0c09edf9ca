/* SPDX-License-Identifier: MIT */
/*
 * The bridge: one more process, only where "cluster" is configured, that joins
 * this machine's channels to others' through Redis.
 *
 *	workers --> log --wake--> bridge_out --> Redis --> other machines
 *	   ^         |                                          |
 *	   '-- hub <-'<-- bridge_in <-- Redis <-----------------'
 *
 * It is a reader and a writer of the log (common/channel_log.h), as every
 * worker is; so nobody here waits for it, or for Redis: while either is away,
 * what is published here is delivered here, and the log is the queue.
 *
 * Owns: its loop, the link, both directions.
 * Here: the process.  Not here: its supervision (workers/bridge_child.h).
 * Context: a process of its own; bridge_child.c -> [bridge.c] -> bridge_link.c,
 * bridge_out.c, bridge_in.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_H
#define CORELANE_WORKERS_BRIDGE_H

#include <sys/types.h>

#include "config/config.h"
#include "workers/bridge_figures.h"
#include "workers/channels.h"
#include "workers/listener.h"
#include "workers/privileges.h"

/* Everything is borrowed for the process's life. */
struct bridge_args {
	struct config *config;		/* with a cluster */
	struct channels *channels;
	struct bridge_figures *figures;
	const struct privileges *privileges;
	struct listener_set *listeners;	/* that it lets go of */
	int supervisor_fd;		/* our end of the pair */
	pid_t supervisor_pid;
};

/* Whether this build has what a configuration's cluster needs: adds a problem
 * where it hasn't.  Returns 0 or -1. */
int bridge_check(const struct config *config,
    struct config_problems *problems);

/* Serves until told to leave.  To be called in a forked child, with signals
 * blocked, once the supervisor's own things are closed.  Returns the process's
 * exit code. */
int bridge_run(const struct bridge_args *args);

#endif
