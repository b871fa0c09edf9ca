/* SPDX-License-Identifier: MIT */
/*
 * One worker's life: become it after fork, say ready, serve, drain, exit.
 *
 * Owns: its loop, its server, its logs.
 * Here: the process.  Not here: what clients see (server/server.h), which
 * sockets it accepts from (workers/acceptor.h).
 * Context: a process of its own; child.c -> [worker.c] -> acceptor.c.
 */
#ifndef CORELANE_WORKERS_WORKER_H
#define CORELANE_WORKERS_WORKER_H

#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"
#include "workers/listener.h"
#include "workers/privileges.h"
#include "workers/shared.h"

struct bridge_figures;
struct channels;
struct lane_crash;
struct rate_table;
struct recorder;

/* Everything is borrowed for the process's life. */
struct worker_args {
	struct shared *shared;
	int slot;
	struct recorder *recorder;	/* the slot's, clean */
	struct rate_table *rates;	/* all workers' */
	struct channels *channels;	/* likewise */
	const struct bridge_figures *bridge_figures;
	const struct lane_crash *crash; /* of the one before, or NULL */
	struct config *config;
	unsigned index, generation;
	size_t connections_max;
	const struct privileges *privileges;
	struct listener_set *listeners;
	int cpu;			/* to be pinned to, or -1 */
	int supervisor_fd;		/* our end of the pair */
	pid_t supervisor_pid;
};

/* Serves until told to leave.  To be called in a forked child, with signals
 * blocked, once the supervisor's own things are closed.  Returns the process's
 * exit code. */
int worker_run(const struct worker_args *args);

#endif
