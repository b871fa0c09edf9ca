/* SPDX-License-Identifier: MIT */
/*
 * The bridge as the supervisor sees it: one process, or none.
 *
 *	         wanted             not wanted, another generation
 *	NONE ------------> RUNNING --------------> STOPPING --> died: NONE
 *	  ^                 |   ^
 *	  | not wanted      |   | back-off over
 *	  +------ WAITING <-+---+
 *	                 died
 *
 * It is wanted while the generation that serves has a cluster; when everybody
 * stops it is the last to leave, because workers that drain still publish.  A
 * reload replaces it by one with the new configuration, which goes on where
 * this one has stood.  That it is away, or can't reach Redis, is no reason for
 * the server not to serve.
 *
 * Owns: the process, our end of its pair.
 * Here: fork, death, back-off, watchdog.  Not here: what it does (bridge.h).
 * Context: the supervisor's loop; supervisor.c -> [bridge_child.c] -> bridge.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_CHILD_H
#define CORELANE_WORKERS_BRIDGE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "workers/message.h"

struct event;
struct generation;
struct supervisor;

enum bridge_child_state {
	BRIDGE_CHILD_NONE,
	BRIDGE_CHILD_RUNNING,
	BRIDGE_CHILD_STOPPING,
	BRIDGE_CHILD_WAITING
};

struct bridge_child {
	struct supervisor *sup;		/* borrowed */
	struct generation *generation;	/* a reference; NULL in NONE */
	enum bridge_child_state state;
	bool is_reopening;		/* has yet to answer REOPEN */
	pid_t pid;			/* 0: no process */
	int fd;				/* our end of the pair, or -1 */
	struct event *event;
	uint64_t started_ms;
	uint64_t deadline_ms;		/* of STOPPING, of WAITING */
	uint64_t backoff_ms;
	char failure[MESSAGE_TEXT_BYTES];	/* what it said, or "" */
};

void bridge_child_init(struct bridge_child *bc, struct supervisor *sup);

/* Starts, stops, replaces it: whatever is due. */
void bridge_child_settle(struct bridge_child *bc);
bool bridge_child_is_gone(const struct bridge_child *bc);

/* Every 100 ms. */
void bridge_child_tick(struct bridge_child *bc, uint64_t now_ms);

/* Its process was reaped with this wait status. */
void bridge_child_on_death(struct bridge_child *bc, int status);

void bridge_child_reopen(struct bridge_child *bc);

#endif
