/* SPDX-License-Identifier: MIT */
/*
 * Where the flight recorders lie: one for each slot of the shared region, in a
 * memfd of their own that the supervisor maps before the first fork, so that
 * they outlive the workers that write them.
 *
 *	struct recorders *rs = recorders_new(&err);
 *	recorders_clear(rs, slot);	supervisor, before fork
 *	rec = recorders_get(rs, slot);	worker: writes; supervisor: reads it,
 *					once the worker is dead
 *
 * Context: as each function says.
 */
#ifndef CORELANE_WORKERS_RECORDER_H
#define CORELANE_WORKERS_RECORDER_H

#include "common/error.h"
#include "common/recorder.h"

struct recorders;

/* Supervisor, before the first fork.  Returns NULL on failure. */
struct recorders *recorders_new(struct error *err)
    __attribute__((warn_unused_result));

/* Unmaps them for this process only. */
void recorders_free(struct recorders *rs);

/* A slot's recorder, lent as long as the mapping. */
struct recorder *recorders_get(struct recorders *rs, int slot);

/* Forgets what the slot's last worker wrote. */
void recorders_clear(struct recorders *rs, int slot);

#endif
