/* SPDX-License-Identifier: MIT */
/*
 * The pool: lines of jobs on one side, threads on the other.
 *
 *	ready: line -> line -> line	those of which a job may be started
 *	idle:  thread -> thread		newest first: its cache is warm
 *
 * A thread takes the first job of the first ready line, and the line goes to
 * the end.  Whoever makes a job startable sees that one thread looks for it:
 * an idle one is woken, a new one made, or a busy one finds it when it ends.
 * So nothing is woken in vain under load, and nobody spins.
 *
 * What has ended goes into a list, which the loop takes as a whole; the eventfd
 * is written to only when the list was empty.
 *
 * Owns the threads, the lock and the eventfd; jobs and lines are lent.
 * Invariant: is_told is true whenever `finished` isn't empty.
 * Here: turns, threads, and the way back.  Not here: what jobs do, contexts
 * (api_async.c).
 * Context: a worker's loop and the pool's threads; `lock` guards what both see.
 *	api_async.c -> [offload.c] -> a module's work()
 */
#include "server/offload.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

/* Of address space; what isn't touched costs nothing. */
#define OFFLOAD_STACK_BYTES ((size_t)1 << 20)
/* For the crash handler, when it is the stack that has run out. */
#define OFFLOAD_SIGNAL_STACK_BYTES ((size_t)32 << 10)

struct offload_thread {
	struct offload *pool;
	struct offload_thread *next_idle;
	pthread_t id;
	pthread_cond_t wake;
	bool is_woken;
	char *signal_stack;
};

struct offload {
	/* The loop's. */
	struct event readable;
	int fd;
	struct stats *stats;
	size_t queue_max, line_max;
	unsigned thread_count, thread_max;
	void (*on_wake)(void *arg);
	void *on_wake_arg;

	/* Guarded by the lock. */
	pthread_mutex_t lock;
	struct offload_line *ready, **ready_last;
	struct offload_thread *idle;
	struct offload_job *finished, **finished_last;
	size_t waiting;
	unsigned running;
	bool is_told; /* the eventfd has been written to */
	bool is_ending;

	struct offload_thread threads[];
};

static bool
line_is_ready(const struct offload_line *line)
{
	return line->first != NULL &&
	    (line->running_max == 0 || line->running < line->running_max);
}

/* Puts the line where it belongs: at the end of those that are ready, unless
 * it has a place there, or nowhere. */
static void
line_settle(struct offload *o, struct offload_line *line)
{
	bool is_ready = line_is_ready(line);

	if (is_ready && line->prev == NULL) {
		line->next = NULL;
		line->prev = o->ready_last;
		*o->ready_last = line;
		o->ready_last = &line->next;
	} else if (!is_ready && line->prev != NULL) {
		*line->prev = line->next;
		if (line->next != NULL)
			line->next->prev = line->prev;
		else
			o->ready_last = line->prev;
		line->prev = NULL;
	}
}

static void
line_add(struct offload *o, struct offload_line *line, struct offload_job *job)
{
	if (line->first == NULL)
		line->last = &line->first;
	job->next = NULL;
	job->line = line;
	job->state = JOB_QUEUED;
	*line->last = job;
	line->last = &job->next;
	line->waiting++;
	o->waiting++;
	line_settle(o, line);
}

/* at: the link in the line that points to the job. */
static struct offload_job *
line_remove(
    struct offload *o, struct offload_line *line, struct offload_job **at)
{
	struct offload_job *job = *at;

	*at = job->next;
	if (job->next == NULL)
		line->last = at;
	job->state = JOB_NONE;
	line->waiting--;
	o->waiting--;
	return job;
}

/* The next job in turn, or NULL. */
static struct offload_job *
offload_take(struct offload *o)
{
	struct offload_line *line = o->ready;
	struct offload_job *job;

	if (line == NULL)
		return NULL;
	job = line_remove(o, line, &line->first);
	job->state = JOB_RUNNING;
	line->running++;
	o->running++;
	/* Off the list, and on again at its end. */
	o->ready = line->next;
	if (line->next != NULL)
		line->next->prev = &o->ready;
	else
		o->ready_last = &o->ready;
	line->prev = NULL;
	line_settle(o, line);
	return job;
}

/* Returns true when the loop has to be told, which is done outside the lock. */
static bool
offload_must_tell(struct offload *o)
{
	bool must = !o->is_told;

	o->is_told = true;
	return must;
}

/* It fails only when the counter is full: then it is readable anyway. */
static void
offload_tell(const struct offload *o)
{
	const uint64_t one = 1;
	ssize_t n = write(o->fd, &one, sizeof(one));

	(void)n;
}

static void
offload_run(struct offload *o, struct offload_job *job)
{
	struct offload_line *line = job->line;
	bool must_tell;

	pthread_mutex_unlock(&o->lock);
	job->work(job);
	pthread_mutex_lock(&o->lock);
	o->running--;
	line->running--;
	line_settle(o, line);
	job->state = JOB_FINISHED;
	job->next = NULL;
	*o->finished_last = job;
	o->finished_last = &job->next;
	must_tell = offload_must_tell(o);
	if (must_tell) {
		pthread_mutex_unlock(&o->lock);
		offload_tell(o);
		pthread_mutex_lock(&o->lock);
	}
}

static void
thread_sleep(struct offload_thread *t)
{
	struct offload *o = t->pool;

	t->next_idle = o->idle;
	o->idle = t;
	t->is_woken = false;
	while (!t->is_woken)
		pthread_cond_wait(&t->wake, &o->lock);
}

static void *
thread_main(void *arg)
{
	struct offload_thread *t = arg;
	struct offload *o = t->pool;
	struct offload_job *job;
	const stack_t stack = {
	    .ss_sp = t->signal_stack, .ss_size = OFFLOAD_SIGNAL_STACK_BYTES};
	stack_t before;

	pthread_setname_np(pthread_self(), "corelane-pool");
	sigaltstack(&stack, &before);
	pthread_mutex_lock(&o->lock);
	while (!o->is_ending) {
		job = offload_take(o);
		if (job != NULL)
			offload_run(o, job);
		else
			thread_sleep(t);
	}
	pthread_mutex_unlock(&o->lock);
	/* A sanitizer frees the one that it finds. */
	sigaltstack(&before, NULL);
	return NULL;
}

/* The thread that has slept least, to be woken by a signal; NULL: all are
 * busy.  The signal is better given without the lock, for which the thread
 * would only wait. */
static struct offload_thread *
offload_rouse(struct offload *o)
{
	struct offload_thread *t = o->idle;

	if (t == NULL)
		return NULL;
	o->idle = t->next_idle;
	t->is_woken = true;
	return t;
}

/* Signals are the loop's, but for those that a thread's own mistake raises,
 * which the crash handler wants to see. */
static void
offload_signals(sigset_t *ret_set)
{
	static const int own[] = {
	    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

	sigfillset(ret_set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(ret_set, own[i]);
}

static int
thread_create(struct offload_thread *t)
{
	pthread_attr_t attr;
	sigset_t blocked, before;
	int rc;

	t->signal_stack = malloc(OFFLOAD_SIGNAL_STACK_BYTES);
	if (t->signal_stack == NULL || pthread_attr_init(&attr) != 0)
		return -1;
	offload_signals(&blocked);
	pthread_attr_setstacksize(&attr, OFFLOAD_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	rc = pthread_create(&t->id, &attr, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : -1;
}

/* One thread more; -1 where it can't be had. */
static int
offload_grow(struct offload *o)
{
	struct offload_thread *t;

	if (o->thread_count == o->thread_max)
		return 0;
	t = &o->threads[o->thread_count];
	t->pool = o;
	if (pthread_cond_init(&t->wake, NULL) != 0)
		return -1;
	if (thread_create(t) == -1) {
		pthread_cond_destroy(&t->wake);
		free(t->signal_stack);
		return -1;
	}
	o->thread_count++;
	return 0;
}

static void
offload_drop(struct offload *o, struct offload_job *job)
{
	struct offload_line *line = job->line;
	struct offload_job **at = &line->first;

	while (*at != job)
		at = &(*at)->next;
	line_remove(o, line, at);
	line_settle(o, line);
}

int
offload_submit(
    struct offload *o, struct offload_line *line, struct offload_job *job)
{
	struct offload_thread *t = NULL;
	bool is_startable;

	assert(job->state == JOB_NONE);
	pthread_mutex_lock(&o->lock);
	if (o->is_ending || o->waiting >= o->queue_max ||
	    line->waiting >= o->line_max) {
		pthread_mutex_unlock(&o->lock);
		o->stats->offload_rejected++;
		return -EAGAIN;
	}
	line_add(o, line, job);
	is_startable = line->running_max == 0 ||
	    line->running + line->waiting <= line->running_max;
	if (is_startable)
		t = offload_rouse(o);
	pthread_mutex_unlock(&o->lock);
	if (t != NULL)
		pthread_cond_signal(&t->wake);
	/* With no thread at all, nobody else can have taken the job. */
	if (is_startable && t == NULL && offload_grow(o) == -1 &&
	    o->thread_count == 0) {
		offload_drop(o, job);
		return -ENOMEM;
	}
	o->stats->offload_jobs++;
	return 0;
}

bool
offload_cancel(struct offload *o, struct offload_job *job)
{
	bool is_back;

	pthread_mutex_lock(&o->lock);
	if (job->state == JOB_QUEUED)
		offload_drop(o, job);
	is_back = job->state == JOB_NONE;
	pthread_mutex_unlock(&o->lock);
	return is_back;
}

/* Takes all that has come, in order, and hands it on.  The batch is bounded by
 * what was there: what ends meanwhile has a turn of its own. */
static void
offload_deliver(struct offload *o)
{
	struct offload_job *job, *next;

	pthread_mutex_lock(&o->lock);
	job = o->finished;
	o->finished = NULL;
	o->finished_last = &o->finished;
	o->is_told = false;
	pthread_mutex_unlock(&o->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		job->state = JOB_NONE;
		job->done(job);
	}
}

/* Reads before it takes: what comes in between is told of again or taken. */
static void
offload_on_readable(int fd, short what, void *arg)
{
	struct offload *o = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (o->on_wake != NULL)
		o->on_wake(o->on_wake_arg);
	offload_deliver(o);
}

void
offload_on_wake(struct offload *o, void (*fn)(void *arg), void *arg)
{
	o->on_wake = fn;
	o->on_wake_arg = arg;
}

void
offload_measure(struct offload *o)
{
	pthread_mutex_lock(&o->lock);
	o->stats->offload_queue = o->waiting;
	o->stats->offload_running = o->running;
	pthread_mutex_unlock(&o->lock);
}

struct offload *
offload_new(struct event_base *base, unsigned threads, size_t queue_max,
    struct stats *stats, struct error *err)
{
	struct offload *o =
	    calloc(1, sizeof(*o) + threads * sizeof(o->threads[0]));

	if (o == NULL) {
		error_nomem(err, "pool of threads");
		return NULL;
	}
	o->stats = stats;
	o->thread_max = threads;
	o->queue_max = queue_max;
	o->line_max = (queue_max + 1) / 2;
	o->ready_last = &o->ready;
	o->finished_last = &o->finished;
	pthread_mutex_init(&o->lock, NULL);
	o->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (o->fd == -1) {
		error_sys(err, "pool of threads: eventfd");
		offload_free(o);
		return NULL;
	}
	if (event_assign(&o->readable, base, o->fd, EV_READ | EV_PERSIST,
		offload_on_readable, o) == -1 ||
	    event_add(&o->readable, NULL) == -1) {
		error_nomem(err, "pool of threads");
		offload_free(o);
		return NULL;
	}
	return o;
}

static void
offload_join(struct offload *o)
{
	struct offload_thread *t;
	unsigned i;

	pthread_mutex_lock(&o->lock);
	o->is_ending = true;
	while ((t = offload_rouse(o)) != NULL)
		pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&o->lock);
	for (i = 0; i < o->thread_count; i++) {
		pthread_join(o->threads[i].id, NULL);
		pthread_cond_destroy(&o->threads[i].wake);
		free(o->threads[i].signal_stack);
	}
}

void
offload_free(struct offload *o)
{
	if (o == NULL)
		return;
	offload_join(o);
	/* Lines that were full are not among the ready ones: but then a job of
	 * theirs runs, which has ended by now. */
	while (o->ready != NULL)
		offload_drop(o, o->ready->first);
	while (o->finished != NULL)
		offload_deliver(o);
	if (event_initialized(&o->readable))
		event_del(&o->readable);
	if (o->fd != -1)
		close(o->fd);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
