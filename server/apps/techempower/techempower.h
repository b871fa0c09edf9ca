/* SPDX-License-Identifier: MIT */
/*
 * The inside of the techempower module: its state, and its handlers by file.
 *
 * Context: a worker's loop.
 */
#ifndef CORELANE_APPS_TECHEMPOWER_H
#define CORELANE_APPS_TECHEMPOWER_H

#include <corelane/corelane.h>

#include "../random.h"
#include "../schema.h"

/* Of a worker: lane_state(). */
struct techempower {
	struct schema schema;
	struct random random;
};

/* worlds.c */
int world_one(struct lane_ctx *c);
int world_many(struct lane_ctx *c);
int world_update(struct lane_ctx *c);

/* fortunes.c */
int fortunes(struct lane_ctx *c);

#endif
