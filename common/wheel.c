/* SPDX-License-Identifier: MIT */
/*
 * The wheel of deadlines.
 *
 * Owns the slots, never the nodes.  Invariant: a node in the wheel stands in
 * slot `at % WHEEL_SLOTS`, and at <= due, so that it is looked at in time.
 * Context: one thread per wheel.
 */
#include "common/wheel.h"

#include <stddef.h>
#include <string.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->start_ms = now_ms;
}

static void
wheel_insert(struct wheel *w, struct wheel_node *node)
{
	struct wheel_node **slot;
	uint32_t at = node->due;

	if (at <= w->now)
		at = w->now + 1;
	if (at >= w->now + WHEEL_SLOTS)
		at = w->now + WHEEL_SLOTS - 1;
	node->at = at;
	slot = &w->slot[at % WHEEL_SLOTS];
	node->next = *slot;
	node->prev = slot;
	if (node->next != NULL)
		node->next->prev = &node->next;
	*slot = node;
}

void
wheel_clear(struct wheel_node *node)
{
	if (node->prev == NULL)
		return;
	*node->prev = node->next;
	if (node->next != NULL)
		node->next->prev = node->prev;
	node->prev = NULL;
	node->next = NULL;
}

void
wheel_set(struct wheel *w, struct wheel_node *node, uint64_t due_ms)
{
	uint64_t due = 1;

	/* Rounded up: a deadline is never early. */
	if (due_ms > w->start_ms)
		due = (due_ms - w->start_ms + WHEEL_TICK_MS - 1) /
		    WHEEL_TICK_MS;
	node->due = due > UINT32_MAX ? UINT32_MAX : (uint32_t)due;
	if (node->prev != NULL && node->due >= node->at)
		return;
	wheel_clear(node);
	wheel_insert(w, node);
}

/* Empties one slot: what is due is called, the rest is put further on. */
static void
wheel_turn_slot(struct wheel *w, wheel_fn fn, void *arg)
{
	struct wheel_node **slot = &w->slot[w->now % WHEEL_SLOTS];
	struct wheel_node *node;

	while ((node = *slot) != NULL) {
		wheel_clear(node);
		if (node->due <= w->now)
			fn(node, arg);
		else
			wheel_insert(w, node);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now_ms, wheel_fn fn, void *arg)
{
	uint32_t until;

	if (now_ms < w->start_ms)
		return;
	until = (uint32_t)((now_ms - w->start_ms) / WHEEL_TICK_MS);
	while (w->now < until) {
		w->now++;
		wheel_turn_slot(w, fn, arg);
	}
}

void
wheel_each(struct wheel *w, wheel_fn fn, void *arg)
{
	struct wheel_node *node, *next;
	unsigned i;

	for (i = 0; i < WHEEL_SLOTS; i++) {
		for (node = w->slot[i]; node != NULL; node = next) {
			next = node->next;
			fn(node, arg);
		}
	}
}
