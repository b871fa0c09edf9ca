/* SPDX-License-Identifier: MIT */
/*
 * Alarms: timers that are precise to a millisecond, for what waits by intent.
 * The loop's own timers follow a coarse clock (4 ms in many kernels), which is
 * good for deadlines, and the wheels are coarser still.
 *
 *	struct nap { struct alarm alarm; ... };
 *
 *	n->alarm.fn = nap_over;
 *	alarm_set(srv->alarms, &n->alarm, 5);
 *	...
 *	alarm_clear(srv->alarms, &n->alarm);
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_ALARM_H
#define CORELANE_SERVER_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct alarms;
struct event_base;

/* Embedded; all zero but for fn is one that isn't set. */
struct alarm {
	struct alarm *child; /* first of those that are later */
	struct alarm *next, **prev; /* siblings; prev NULL: not set */
	uint64_t due_ns; /* CLOCK_MONOTONIC */
	void (*fn)(struct alarm *alarm);
};

struct alarms *alarms_new(struct event_base *base, struct error *err)
    __attribute__((warn_unused_result));

/* What is set still is forgotten. */
void alarms_free(struct alarms *a);

/* Has fn(arg) called on the loop before the first alarm of a turn. */
void alarms_on_wake(struct alarms *a, void (*fn)(void *arg), void *arg);

/* Calls alarm->fn once, never earlier than that many milliseconds from now.
 * One that is set already is set anew. */
void alarm_set(struct alarms *a, struct alarm *alarm, uint64_t after_ms);
void alarm_clear(struct alarms *a, struct alarm *alarm);

static inline bool
alarm_is_set(const struct alarm *alarm)
{
	return alarm->prev != NULL;
}

#endif
