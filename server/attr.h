/* SPDX-License-Identifier: MIT */
/*
 * Attributes of a request: what one part of the chain leaves for the next, by
 * name.  A short list in the request's arena.
 *
 *	attr_set(r, STR("jwt.sub"), lane_text(lane_of(sub)));
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_ATTR_H
#define CORELANE_SERVER_ATTR_H

#include <corelane/types.h>

#include "common/arena.h"
#include "common/str.h"

struct attr {
	struct attr *next;
	struct str name;
	struct lane_value value;
};

/* Replaces one of that name; LANE_NULL removes it.  Name and text are copied.
 * Returns 0 or -ENOMEM. */
int attr_set(struct attr **list, struct arena *a, struct str name,
    struct lane_value value) __attribute__((warn_unused_result));

/* LANE_NULL for one that isn't there.  Lent. */
struct lane_value attr_get(const struct attr *list, struct str name);

#endif
