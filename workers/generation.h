/* SPDX-License-Identifier: MIT */
/*
 * One configuration and the workers that run it.  A reload makes the next
 * generation; the present one serves until the next has proved itself, then
 * drains.  The first start is no different: a next generation, and none before.
 *
 * Owns: a reference to the config; freed when the last worker of it is gone.
 * Here: the configuration with everything resolved for this machine.  Not here:
 * proving it (workers/reload.h), its processes (workers/child.h).
 * Context: the supervisor.
 */
#ifndef CORELANE_WORKERS_GENERATION_H
#define CORELANE_WORKERS_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "config/config.h"
#include "workers/message.h"
#include "workers/privileges.h"

struct generation {
	unsigned number;		/* from 1 */
	unsigned refs;			/* the supervisor's, one per child */
	struct config *config;		/* a reference */
	struct privileges privileges;
	size_t connections_max;		/* limits.connections, resolved */
	unsigned workers;		/* what configuration or -w ask for */
	unsigned max_workers;		/* bounds scaling */
	unsigned wanted;		/* how many there shall be now */
	uint64_t begun_ms;
	char failure[MESSAGE_TEXT_BYTES];	/* why it can't serve, or "" */
};

/*
 * Reads and checks a configuration.
 * workers: -w, or 0 to follow the file.  ret_why: on failure, every problem, a
 * line each.  Returns NULL on failure.
 */
struct generation *generation_load(const char *file, unsigned workers,
    struct buf *ret_why) __attribute__((warn_unused_result));

struct generation *generation_ref(struct generation *gen);
void generation_unref(struct generation *gen);

#endif
