/* SPDX-License-Identifier: MIT */
/*
 * The change from one generation of workers to the next.
 *
 *	begin	read and check the file; bind what is new; fork the workers
 *	prove	all of them say READY, or one fails
 *	promote	listen; give them the shares; let the old ones drain
 *	or fail	kill them, take back what was bound; the old ones never noticed
 *
 * The start of the server is the change from nothing to the first generation.
 *
 * Owns: supervisor's `next`, and the moves between `next` and `current`.
 * Here: the four steps.  Not here: one worker (child.h), who asked (command.h).
 * Context: the supervisor's loop; supervisor.c -> [reload.c] -> child.c.
 */
#ifndef CORELANE_WORKERS_RELOAD_H
#define CORELANE_WORKERS_RELOAD_H

#include "common/buf.h"

struct generation;
struct supervisor;

/* Reads the file and begins.  Returns 0, or -1 with every problem in ret_why, a
 * line each; then nothing has changed. */
int reload_begin(struct supervisor *sup, struct buf *ret_why);

/* The same with a generation that is loaded: taken. */
int reload_begin_with(struct supervisor *sup, struct generation *gen,
    struct buf *ret_why);

/* Looks whether the next generation is proved or has failed, and acts. */
void reload_settle(struct supervisor *sup);

#endif
