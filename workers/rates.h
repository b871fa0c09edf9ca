/* SPDX-License-Identifier: MIT */
/*
 * The memory in which all workers count who asks how often (common/rate.h):
 * mapped by the supervisor before the first fork, and as old as it is, so that
 * neither a worker's death nor a reload lets anybody begin anew.
 *
 * Context: the supervisor; workers inherit the mapping.
 */
#ifndef CORELANE_WORKERS_RATES_H
#define CORELANE_WORKERS_RATES_H

#include <stddef.h>

#include "common/error.h"
#include "common/rate.h"

struct rate_table *rates_new(size_t cells, struct error *err)
    __attribute__((warn_unused_result));

/* Unmaps it for this process.  cells: as for rates_new(). */
void rates_free(struct rate_table *t, size_t cells);

#endif
