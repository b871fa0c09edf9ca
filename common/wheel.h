/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of many objects: a wheel of WHEEL_SLOTS slots, one tick apart.
 *
 *	slot:  0   1   2  ...  now  ...         1023
 *	                        |   `- due next tick
 *	                        `- objects due now
 *
 * An object stands in the slot of its deadline, or in the furthest one when
 * that is beyond the wheel's turn.  A deadline that moves *later*, which is
 * what activity does, is only noted in the node: when the slot comes round,
 * the object is put where it belongs by then.  So a busy connection pays one
 * store per request, and one move of a list per turn of the wheel.
 *
 *	wheel_set(&w, &c->timer, now_ms + idle_ms);
 *	...
 *	wheel_advance(&w, now_ms, conn_on_deadline, srv);
 *
 * Context: one thread per wheel.  The function called for a due node finds it
 * out of the wheel and may set it again, or clear others.
 */
#ifndef CORELANE_COMMON_WHEEL_H
#define CORELANE_COMMON_WHEEL_H

#include <stdint.h>

#define WHEEL_SLOTS 1024
#define WHEEL_TICK_MS 50

struct wheel_node {
	struct wheel_node *next, **prev; /* prev NULL: not in the wheel */
	uint32_t due;				/* tick of the deadline */
	uint32_t at; /* tick of the slot it stands in */
};

struct wheel {
	struct wheel_node *slot[WHEEL_SLOTS];
	uint64_t start_ms;
	uint32_t now;				/* ticks since start_ms */
};

typedef void (*wheel_fn)(struct wheel_node *node, void *arg);

void wheel_init(struct wheel *w, uint64_t now_ms);

/* A node that is all zero is not in the wheel. */
void wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ms);
void wheel_clear(struct wheel_node *node);

/* Calls fn for every node whose deadline is not after `now_ms`, to a tick. */
void wheel_advance(struct wheel *w, uint64_t now_ms, wheel_fn fn, void *arg);

/* Calls fn for every node in the wheel; fn may clear the node it is given, and
 * no other. */
void wheel_each(struct wheel *w, wheel_fn fn, void *arg);

#endif
