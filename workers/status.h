/* SPDX-License-Identifier: MIT */
/*
 * What `corelane status` prints: the statistics of all workers, and where the
 * server listens.
 *
 * Owns: nothing.
 * Here: putting the two together.  Not here: the numbers (common/stats.h).
 * Context: the supervisor.
 */
#ifndef CORELANE_WORKERS_STATUS_H
#define CORELANE_WORKERS_STATUS_H

#include <stdbool.h>

#include "common/buf.h"

struct supervisor;

/* Returns 0, or -1 when the statistics can't be had now. */
int status_print(const struct supervisor *sup, bool as_json, struct buf *out);

#endif
