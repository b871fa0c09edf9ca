/* SPDX-License-Identifier: MIT */
/*
 * Reading the statistics region: first what can be had under the locks is
 * copied into this process's own memory (refresh), then the view is made of
 * that alone (fill).  What was busy is simply not fresher than last time.
 *
 * Totals never fall.  The header's lock is held while the slots are read, so
 * that no worker can move from its slot to the retired totals in between; and
 * counters kept from an earlier call are never above what is retired once that
 * worker is gone.
 *
 * Owns: the reader's part of struct shared.
 * Here: shared_view().  Not here: printing it (common/stats.h).
 * Context: shared.c -> [shared_view.c]; any process that has a slot, and the
 * supervisor; the loop's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "workers/shared_region.h"

/* Never waits: a holder that was preempted is not worth a turn of the loop. */
static bool
lock_enter_read(struct shared *sh, unsigned id)
{
	for (int i = 0; i < SHARED_TRIES; i++) {
		if (shared_lock_enter(&sh->map->locks, sh->process, id,
		    SHARED_READ))
			return true;
	}
	return false;
}

static struct shared_seen *
seen_get(struct shared *sh, unsigned slot)
{
	if (sh->seen[slot] == NULL)
		sh->seen[slot] = calloc(1, sizeof(*sh->seen[slot]));
	return sh->seen[slot];
}

/* Returns 0, also when the slot was busy, or -1 when there is no memory. */
static int
seen_refresh_slot(struct shared *sh, unsigned slot)
{
	const struct shared_slot *s = &sh->map->slot[slot];
	struct shared_seen *seen = seen_get(sh, slot);
	uint32_t index;

	if (seen == NULL)
		return -1;
	if (!lock_enter_read(sh, slot + 1))
		return 0;
	index = atomic_load_explicit(&s->index, memory_order_acquire);
	stats_copy(&seen->stats, &s->copy[index]);
	seen->life = sh->seen_head.life[slot];
	shared_lock_leave(&sh->map->locks, sh->process, slot + 1);
	return 0;
}

static int
seen_refresh_slots(struct shared *sh)
{
	int rc = 0;

	for (unsigned i = 0; i < SHARED_SLOTS && rc == 0; i++) {
		if (sh->seen_head.worker[i].state != WORKER_NONE)
			rc = seen_refresh_slot(sh, i);
	}
	return rc;
}

static int
seen_refresh(struct shared *sh)
{
	const struct shared_region *map = sh->map;
	uint32_t index;
	int rc;

	/* The supervisor reads its own books: only it writes the header. */
	if (sh->process == 0) {
		shared_head_copy(&sh->seen_head, &sh->head);
		sh->has_seen = true;
		return seen_refresh_slots(sh);
	}
	if (!lock_enter_read(sh, SHARED_LOCK_HEAD))
		return 0;
	index = atomic_load_explicit(&map->head_index, memory_order_acquire);
	shared_head_copy(&sh->seen_head, &map->head[index]);
	sh->has_seen = true;
	rc = seen_refresh_slots(sh);
	shared_lock_leave(&sh->map->locks, sh->process, SHARED_LOCK_HEAD);
	return rc;
}

static void
view_fill_header(const struct shared_head *head, uint64_t now_ms,
    struct stats_view *view)
{
	const struct shared_header *h = &head->header;

	memset(view, 0, offsetof(struct stats_view, total));
	view->supervisor_pid = h->supervisor_pid;
	view->generation = h->generation;
	view->started_real_ms = h->started_real_ms;
	if (now_ms > h->started_mono_ms)
		view->uptime_ms = now_ms - h->started_mono_ms;
	view->reloads = h->reloads;
	view->reloads_failed = h->reloads_failed;
	view->reload_real_ms = h->reload_real_ms;
	view->reload_ok = h->reload_ok;
	view->crashes = h->crashes;
	view->stalls = h->stalls;
	view->lock_repairs = head->lock_repairs;
	view->workers_wanted = h->workers_wanted;
	view->draining = h->draining;
	stats_copy(&view->total, &head->retired);
}

static void
view_fill_worker(const struct shared *sh, unsigned slot, uint64_t now_ms,
    struct stats_worker *row)
{
	const struct shared_worker *w = &sh->seen_head.worker[slot];
	const struct shared_seen *seen = sh->seen[slot];
	uint64_t beat_ms = shared_heartbeat_ms(sh, (int)slot);

	row->index = w->index;
	row->generation = w->generation;
	row->pid = w->pid;
	row->state = w->state;
	row->cpu = w->cpu;
	row->started_real_ms = w->started_real_ms;
	row->restarts = w->restarts;
	if (beat_ms > 0 && now_ms > beat_ms)
		row->heartbeat_age_ms = now_ms - beat_ms;
	if (seen != NULL && seen->life == sh->seen_head.life[slot])
		stats_copy(&row->stats, &seen->stats);
}

/* Fills `slots` with those in use, by index, then generation. */
static size_t
view_sort_slots(const struct shared_head *head, unsigned *slots)
{
	size_t n = 0;

	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		const struct shared_worker *w = &head->worker[i];
		size_t at = n;

		if (w->state == WORKER_NONE)
			continue;
		for (; at > 0; at--) {
			const struct shared_worker *v =
			    &head->worker[slots[at - 1]];

			if (v->index < w->index ||
			    (v->index == w->index &&
				v->generation <= w->generation))
				break;
			slots[at] = slots[at - 1];
		}
		slots[at] = i;
		n++;
	}
	return n;
}

int
shared_view(struct shared *sh, struct stats_view *ret_view)
{
	uint64_t now_ms = clock_now_ns() / 1000000;
	unsigned slots[SHARED_SLOTS];
	struct stats_worker *rows;
	size_t n;

	if (seen_refresh(sh) == -1 || !sh->has_seen)
		return -1;
	n = view_sort_slots(&sh->seen_head, slots);
	/* Zeroed; one at least, because calloc(0) may be NULL. */
	rows = calloc(n > 0 ? n : 1, sizeof(*rows));
	if (rows == NULL)
		return -1;
	view_fill_header(&sh->seen_head, now_ms, ret_view);
	for (size_t i = 0; i < n; i++) {
		view_fill_worker(sh, slots[i], now_ms, &rows[i]);
		stats_merge(&ret_view->total, &rows[i].stats);
	}
	ret_view->names = &sh->map->names;
	ret_view->worker_count = n;
	ret_view->workers = rows;
	return 0;
}
