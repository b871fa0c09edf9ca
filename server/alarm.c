/* SPDX-License-Identifier: MIT */
/*
 * Alarms: a heap of deadlines behind one timerfd.
 *
 * A pairing heap: setting one costs a comparison, clearing one and taking the
 * first cost log n on average, and all of it is links in what waits.
 *
 *	first -child-> a -next-> b -next-> c	(each with children of its own)
 *
 * The timerfd is set for the first one: when that changes to an earlier time,
 * and when some have rung.  One that was cleared leaves it as it is: to wake
 * once for nothing is cheaper than a system call for each.
 *
 * Owns the timerfd and its event; alarms are lent.  Invariant: no alarm is due
 * before armed_ns.
 * Here: when.  Not here: what for (api_async.c, retry.c, fetch.c).
 * Context: a worker's loop.
 */
#include "server/alarm.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/clock.h"

/* Deadlines are rounded up to a multiple: those of a busy loop then come
 * together, a few thousand times a second at most. */
#define ALARM_GRAIN_NS 250000u
#define ALARM_NEVER UINT64_MAX
#define NS_PER_S 1000000000u

struct alarms {
	struct event readable;
	int fd;
	struct alarm *first;
	uint64_t armed_ns;
	bool is_ringing;
	void (*on_wake)(void *arg);
	void *on_wake_arg;
};

/* Joins two heaps: the later one becomes the other's first child. */
static struct alarm *
heap_meld(struct alarm *a, struct alarm *b)
{
	struct alarm *late;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->due_ns < a->due_ns) {
		late = a;
		a = b;
	} else
		late = b;
	late->next = a->child;
	if (late->next != NULL)
		late->next->prev = &late->next;
	late->prev = &a->child;
	a->child = late;
	return a;
}

/* Makes one heap of a list of siblings: in pairs from the left, and the pairs
 * from the right, which is what keeps it flat. */
static struct alarm *
heap_join(struct alarm *list)
{
	struct alarm *pairs = NULL, *heap = NULL, *a, *b;

	while ((a = list) != NULL) {
		b = a->next;
		list = b != NULL ? b->next : NULL;
		a = heap_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while ((a = pairs) != NULL) {
		pairs = a->next;
		heap = heap_meld(heap, a);
	}
	return heap;
}

static void
heap_root(struct alarms *a, struct alarm *heap)
{
	a->first = heap;
	if (heap != NULL) {
		heap->next = NULL;
		heap->prev = &a->first;
	}
}

static void
heap_add(struct alarms *a, struct alarm *alarm)
{
	alarm->child = alarm->next = NULL;
	heap_root(a, heap_meld(a->first, alarm));
}

static void
heap_remove(struct alarms *a, struct alarm *alarm)
{
	struct alarm *heap = heap_join(alarm->child);

	*alarm->prev = alarm->next;
	if (alarm->next != NULL)
		alarm->next->prev = alarm->prev;
	alarm->prev = NULL;
	alarm->child = alarm->next = NULL;
	heap_root(a, heap_meld(a->first, heap));
}

/* Sets the timerfd, which also takes back that it has rung. */
static void
alarms_arm(struct alarms *a)
{
	struct itimerspec when = {0};

	a->armed_ns = a->first != NULL ? a->first->due_ns : ALARM_NEVER;
	if (a->first != NULL) {
		when.it_value.tv_sec = (time_t)(a->armed_ns / NS_PER_S);
		when.it_value.tv_nsec = (long)(a->armed_ns % NS_PER_S);
	}
	timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Those that are due when it begins; what they set has a turn of its own. */
static void
alarms_on_readable(int fd, short what, void *arg)
{
	struct alarms *a = arg;
	struct alarm *alarm;
	uint64_t now_ns;

	if (a->on_wake != NULL)
		a->on_wake(a->on_wake_arg);
	now_ns = clock_now_ns();
	a->is_ringing = true;
	while ((alarm = a->first) != NULL && alarm->due_ns <= now_ns) {
		heap_remove(a, alarm);
		alarm->fn(alarm);
	}
	a->is_ringing = false;
	alarms_arm(a);
}

void
alarm_set(struct alarms *a, struct alarm *alarm, uint64_t after_ms)
{
	uint64_t due_ns = clock_now_ns() + after_ms * 1000000;

	alarm_clear(a, alarm);
	/* At once, but never in the turn that sets it. */
	alarm->due_ns = after_ms == 0 ?
	    due_ns + 1 :
	    due_ns + ALARM_GRAIN_NS - due_ns % ALARM_GRAIN_NS;
	heap_add(a, alarm);
	if (alarm->due_ns < a->armed_ns && !a->is_ringing)
		alarms_arm(a);
}

void
alarm_clear(struct alarms *a, struct alarm *alarm)
{
	if (alarm_is_set(alarm))
		heap_remove(a, alarm);
}

void
alarms_on_wake(struct alarms *a, void (*fn)(void *arg), void *arg)
{
	a->on_wake = fn;
	a->on_wake_arg = arg;
}

struct alarms *
alarms_new(struct event_base *base, struct error *err)
{
	struct alarms *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		error_nomem(err, "timers");
		return NULL;
	}
	a->armed_ns = ALARM_NEVER;
	a->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (a->fd == -1) {
		error_sys(err, "timers: timerfd");
		alarms_free(a);
		return NULL;
	}
	if (event_assign(&a->readable, base, a->fd, EV_READ | EV_PERSIST,
		alarms_on_readable, a) == -1 ||
	    event_add(&a->readable, NULL) == -1) {
		error_nomem(err, "timers");
		alarms_free(a);
		return NULL;
	}
	return a;
}

void
alarms_free(struct alarms *a)
{
	if (a == NULL)
		return;
	while (a->first != NULL)
		heap_remove(a, a->first);
	if (event_initialized(&a->readable))
		event_del(&a->readable);
	if (a->fd != -1)
		close(a->fd);
	free(a);
}
