/* SPDX-License-Identifier: MIT */
/*
 * Death in every critical section of the statistics region, while others go on.
 *
 * Five workers publish and read as fast as they can.  Three of them are mortal:
 * each picks a place in the lock protocol and, after passing it a random number
 * of times, kills itself there with SIGKILL; the parent, as supervisor, reaps
 * it, retires its counters, repairs and forks the next.  Two never die: they
 * must get on, batch after batch.
 *
 * Every counter of a worker is a fixed multiple of one number, so a torn copy
 * shows, in a row and in the totals.  The test is bounded by deaths, not by
 * time; an alarm turns a process that waits for ever into a failure.
 *
 *	chaos_shared [DEATHS]
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/random.h"
#include "tests/chaos/crash_point.h"
#include "workers/shared_region.h"

#define WORKERS 5u
#define IMMORTALS 2u
#define BATCH 50u /* deaths in which the immortals must get on */
#define BATCH_STEPS 3u /* by how many steps each */
#define CALM_STEPS 20u /* after the last death, by everybody */
#define LIFE_STEPS 40u /* a mortal dies after these, wherever it is */
#define STUCK_SECONDS 240u

/* What the processes tell each other, outside of the region under test. */
struct board {
	_Atomic bool calm; /* nobody dies any more */
	_Atomic uint64_t tried; /* steps about to be published */
	_Atomic uint64_t published; /* steps surely published */
	_Atomic uint64_t deaths[CRASH_POINTS];
	_Atomic uint64_t steps[WORKERS]; /* published and seen again */
};

struct worker {
	pid_t pid;
	int slot;
};

static struct board *board;
static struct worker workers[WORKERS];
static enum crash_point doom_point; /* where this process dies, and */
static uint64_t doom_passes; /* at which pass; 0: never */

__attribute__((format(printf, 1, 2), noreturn)) static void
fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "chaos_shared: pid %d: ", (int)getpid());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static void
die(enum crash_point where)
{
	atomic_fetch_add(&board->deaths[where], 1);
	kill(getpid(), SIGKILL);
}

void
crash_point_on_pass(enum crash_point where)
{
	if (doom_passes == 0 || where != doom_point)
		return;
	if (--doom_passes == 0 && !atomic_load(&board->calm))
		die(where);
}

static void
histogram_fill(struct histogram *h, uint64_t n)
{
	h->count = n;
	h->sum_us = 2 * n;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] = (uint32_t)n;
}

static void
stats_fill(struct stats *s, uint64_t n)
{
	uint64_t factor = 0;

#define X(field, ...) s->field = ++factor * n;
	STATS_COUNTERS(X)
	STATS_GAUGES(X)
#undef X
	histogram_fill(&s->request_time, n);
	histogram_fill(&s->turn_time, n);
}

static void
histogram_check(const struct histogram *h, uint64_t n, const char *what)
{
	if (h->count != n || h->sum_us != 2 * n)
		fail("%s: torn histogram", what);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->bucket[i] != (uint32_t)n)
			fail("%s: bucket %u is torn", what, i);
	}
}

/* Returns n.  Gauges of the dead don't count, so totals are without. */
static uint64_t
stats_check(const struct stats *s, bool gauges, const char *what)
{
	uint64_t n = s->connections, factor = 0;

#define X(field, ...)                                                          \
	if (s->field != ++factor * n)                                          \
		fail("%s: %s is torn", what, #field);
	STATS_COUNTERS(X)
	if (gauges) {
		STATS_GAUGES(X)
	}
#undef X
	histogram_check(&s->request_time, n, what);
	histogram_check(&s->turn_time, n, what);
	return n;
}

/* Returns the own row's number; `total` is the last one's, and the next. */
static uint64_t
view_check(struct shared *sh, uint64_t *total, bool *ret_seen)
{
	struct stats_view view;
	uint64_t n, own = 0;

	*ret_seen = false;
	if (shared_view(sh, &view) == -1)
		return 0;
	for (size_t i = 0; i < view.worker_count; i++) {
		n = stats_check(&view.workers[i].stats, true, "a worker");
		if (view.workers[i].pid == getpid()) {
			own = n;
			*ret_seen = true;
		}
	}
	n = stats_check(&view.total, false, "the totals");
	if (n < *total)
		fail("the totals fell from %llu to %llu",
		    (unsigned long long)*total, (unsigned long long)n);
	*total = n;
	stats_view_done(&view);
	return own;
}

/* Publishes one number and reads until it is seen again. */
static void
worker_step(struct shared *sh, uint64_t n, uint64_t *total)
{
	struct stats s = {0};
	bool seen;

	stats_fill(&s, n);
	atomic_fetch_add(&board->tried, 1);
	while (!shared_publish(sh, &s))
		sched_yield();
	atomic_fetch_add(&board->published, 1);
	shared_beat(sh, clock_now_ns() / 1000000);
	while (view_check(sh, total, &seen) < n)
		sched_yield();
}

__attribute__((noreturn)) static void
worker_run(struct shared *sh, unsigned number, int slot)
{
	uint64_t total = 0, n = 0, calm = 0;
	struct random random;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(STUCK_SECONDS);
	random_init(&random);
	shared_enter_process(sh, slot);
	if (number >= IMMORTALS) {
		doom_point = random_u64(&random) % CRASH_POINTS;
		doom_passes = 1 + random_u64(&random) % 24;
	}
	while (calm < CALM_STEPS) {
		worker_step(sh, ++n, &total);
		atomic_fetch_add(&board->steps[number], 1);
		if (atomic_load(&board->calm))
			calm++;
		else if (number >= IMMORTALS && n == LIFE_STEPS)
			doom_point = CRASH_INTENT, doom_passes = 1;
	}
	_exit(0);
}

static void
worker_fork(struct shared *sh, unsigned number)
{
	struct worker *w = &workers[number];
	struct shared_worker facts = {
	    .index = number,
	    .cpu = -1,
	    .state = WORKER_SERVING,
	};

	w->slot = shared_slot_take(sh);
	if (w->slot == -1)
		fail("no slot is free");
	w->pid = fork();
	if (w->pid == -1)
		fail("fork: %s", strerror(errno));
	if (w->pid == 0)
		worker_run(sh, number, w->slot);
	facts.pid = w->pid;
	shared_worker_set(sh, w->slot, &facts);
}

static struct worker *
worker_find(pid_t pid)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		if (workers[i].pid == pid)
			return &workers[i];
	}
	fail("reaped a stranger, pid %d", (int)pid);
}

/* One turn of the supervisor: reaps and repairs.  Returns the worker that
 * ended, or NULL after a short nap. */
static struct worker *
supervisor_turn(struct shared *sh, int *ret_status)
{
	const struct timespec nap = {.tv_nsec = 200000};
	pid_t pid = waitpid(-1, ret_status, WNOHANG);
	struct worker *w = NULL;

	if (pid > 0) {
		w = worker_find(pid);
		shared_worker_died(sh, w->slot);
		w->pid = 0;
	} else {
		nanosleep(&nap, NULL);
	}
	if (shared_needs_repair(sh))
		shared_repair(sh);
	return w;
}

static void
supervisor_on_death(struct shared *sh, const struct worker *w, int status)
{
	static struct shared_header header = {.reload_ok = true};
	static uint64_t total;
	bool seen;

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("worker %d ended with status 0x%x", (int)(w - workers),
		    (unsigned)status);
	header.crashes++;
	shared_header_set(sh, &header);
	view_check(sh, &total, &seen);
	worker_fork(sh, (unsigned)(w - workers));
}

static bool
immortals_moved(const uint64_t *since)
{
	for (unsigned i = 0; i < IMMORTALS; i++) {
		if (atomic_load(&board->steps[i]) < since[i] + BATCH_STEPS)
			return false;
	}
	return true;
}

/* `count` deaths, and as many more as it takes for the immortals to move.
 * Returns how many there were. */
static uint64_t
supervisor_run_batch(struct shared *sh, uint64_t count)
{
	uint64_t since[IMMORTALS], deaths = 0;
	struct worker *w;
	int status;

	for (unsigned i = 0; i < IMMORTALS; i++)
		since[i] = atomic_load(&board->steps[i]);
	while (deaths < count || !immortals_moved(since)) {
		if ((w = supervisor_turn(sh, &status)) == NULL)
			continue;
		supervisor_on_death(sh, w, status);
		deaths++;
	}
	return deaths;
}

static void
supervisor_end(struct shared *sh)
{
	unsigned left = WORKERS;
	struct worker *w;
	int status;

	atomic_store(&board->calm, true);
	while (left > 0 || shared_needs_repair(sh)) {
		if ((w = supervisor_turn(sh, &status)) == NULL)
			continue;
		/* Doomed before it could see the calm. */
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			supervisor_on_death(sh, w, status);
		else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail("a worker ended with status 0x%x",
			    (unsigned)status);
		else
			left--;
	}
}

/* Everything is open and free again, and every step was counted once. */
static void
end_check(struct shared *sh)
{
	struct stats_view view;
	uint64_t n, least = atomic_load(&board->published);
	uint64_t most = atomic_load(&board->tried);

	for (unsigned id = 0; id < SHARED_LOCKS; id++) {
		if (!shared_lock_is_open(&sh->map->locks, id) ||
		    !shared_lock_is_empty(&sh->map->locks, id))
			fail("lock %u is closed", id);
	}
	if (shared_view(sh, &view) == -1 || view.worker_count != 0)
		fail("workers are left");
	n = stats_check(&view.total, false, "the totals");
	if (n < least || n > most)
		fail("%llu steps counted, not %llu to %llu",
		    (unsigned long long)n, (unsigned long long)least,
		    (unsigned long long)most);
	if (view.lock_repairs == 0 ||
	    view.lock_repairs != shared_repair_count(sh))
		fail("no repairs, or not told");
	stats_view_done(&view);
	for (unsigned i = 0; i < SHARED_SLOTS; i++) {
		if (shared_slot_take(sh) == -1)
			fail("slot %u was not freed", i);
	}
}

static void
cost_tell(struct shared *sh)
{
	struct shared_worker facts = {.state = WORKER_SERVING, .cpu = -1};
	struct stats s = {0};
	struct stats_view view;
	uint64_t start, publish_ns, view_ns;
	const unsigned rounds = 2000;

	for (unsigned i = 0; i < WORKERS; i++)
		shared_worker_set(sh, (int)i, &facts);
	shared_enter_process(sh, 0);
	start = clock_now_ns();
	for (unsigned i = 0; i < rounds; i++)
		shared_publish(sh, &s);
	publish_ns = (clock_now_ns() - start) / rounds;
	start = clock_now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		if (shared_view(sh, &view) == -1)
			fail("a view failed at rest");
		stats_view_done(&view);
	}
	view_ns = (clock_now_ns() - start) / rounds;
	printf("a publish takes %llu ns, a view of %u workers %llu ns\n",
	    (unsigned long long)publish_ns, WORKERS,
	    (unsigned long long)view_ns);
}

int
main(int argc, char **argv)
{
	static const char *const names[CRASH_POINTS] = {
	    [CRASH_INTENT] = "intent",
	    [CRASH_ENTERED] = "entered",
	    [CRASH_REFUSED] = "refused",
	    [CRASH_COPYING] = "copying",
	    [CRASH_COPIED] = "copied",
	    [CRASH_LEAVING] = "leaving",
	    [CRASH_UNLOCKED] = "unlocked",
	};
	uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 600;
	uint64_t deaths = 0;
	struct error err;
	struct shared *sh;

	alarm(STUCK_SECONDS);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || (sh = shared_new(&err)) == NULL)
		fail("no shared memory");
	for (unsigned i = 0; i < WORKERS; i++)
		worker_fork(sh, i);
	while (deaths < wanted)
		deaths += supervisor_run_batch(sh, BATCH);
	supervisor_end(sh);
	end_check(sh);

	printf("%llu deaths, %llu locks re-made, %llu steps published\n",
	    (unsigned long long)deaths,
	    (unsigned long long)shared_repair_count(sh),
	    (unsigned long long)atomic_load(&board->published));
	for (unsigned i = 0; i < CRASH_POINTS; i++) {
		printf("  %s: %llu\n", names[i],
		    (unsigned long long)atomic_load(&board->deaths[i]));
		if (i != CRASH_REFUSED && atomic_load(&board->deaths[i]) == 0)
			fail("nobody died at '%s'", names[i]);
	}
	cost_tell(sh);
	shared_free(sh);
	return 0;
}
