/* SPDX-License-Identifier: MIT */
/*
 * The pool: what is submitted runs once, elsewhere, in turn, and comes back to
 * the loop; what is taken back doesn't.  Also built with TSan.
 */
#include "server/offload.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <event2/event.h>

#include "tests/unit/unit.h"

#define QUEUE_MAX 64

struct fixture {
	struct event_base *base;
	struct stats stats;
	struct offload *pool;
	unsigned wakes;
};

struct task {
	struct offload_job job; /* first */
	struct fixture *fx;
	sem_t *gate; /* waits for it, unless NULL */
	sem_t *started; /* tells of its start, unless NULL */
	atomic_uint *place; /* of the next that runs */
	unsigned ran_as; /* its place, from 1 */
	unsigned ran, done;
	pthread_t ran_on;
};

static void
fixture_on_wake(void *arg)
{
	((struct fixture *)arg)->wakes++;
}

static void
fixture_open(struct fixture *fx, unsigned threads)
{
	struct error err;

	*fx = (struct fixture){.base = event_base_new()};
	assert_non_null(fx->base);
	fx->pool = offload_new(fx->base, threads, QUEUE_MAX, &fx->stats, &err);
	if (fx->pool == NULL)
		fail_msg("%s", err.text);
	offload_on_wake(fx->pool, fixture_on_wake, fx);
}

static void
fixture_close(struct fixture *fx)
{
	offload_free(fx->pool);
	event_base_free(fx->base);
}

/* Until nothing waits or runs; what has ended hasn't been told yet. */
static void
fixture_settle(struct fixture *fx)
{
	do {
		sched_yield();
		offload_measure(fx->pool);
	} while (fx->stats.offload_queue + fx->stats.offload_running > 0);
}

static void
task_work(struct offload_job *job)
{
	struct task *t = (struct task *)job;

	if (t->started != NULL)
		sem_post(t->started);
	if (t->gate != NULL)
		sem_wait(t->gate);
	if (t->place != NULL)
		t->ran_as = atomic_fetch_add(t->place, 1) + 1;
	t->ran_on = pthread_self();
	t->ran++;
}

static void
task_done(struct offload_job *job)
{
	((struct task *)job)->done++;
}

static int
task_submit(struct fixture *fx, struct offload_line *line, struct task *t)
{
	t->fx = fx;
	t->job.work = task_work;
	t->job.done = task_done;
	return offload_submit(fx->pool, line, &t->job);
}

static void
task_wait(const struct task *t)
{
	while (t->done == 0)
		event_base_loop(t->fx->base, EVLOOP_ONCE);
}

static void
test_a_job_runs_elsewhere_and_comes_back(void **state)
{
	struct offload_line line = {0};
	struct task t = {0};
	struct fixture fx;

	fixture_open(&fx, 2);
	for (unsigned i = 1; i <= 100; i++) {
		t.done = 0;
		assert_int_equal(task_submit(&fx, &line, &t), 0);
		task_wait(&t);
		assert_int_equal(t.ran, i);
		assert_false(pthread_equal(t.ran_on, pthread_self()));
	}
	assert_int_equal(fx.stats.offload_jobs, 100);
	assert_int_equal(fx.wakes, 100);
	fixture_close(&fx);
}

static void
test_lines_take_turns(void **state)
{
	/* What each line holds, and the places that its jobs run at. */
	static const struct {
		unsigned count, place[6];
	} want[] = {{6, {1, 4, 7, 9, 10, 11}}, {3, {2, 5, 8}}, {2, {3, 6}}};
	struct offload_line line[3] = {0}, front = {0};
	struct task task[3][6] = {0}, first = {0};
	sem_t gate, started;
	atomic_uint place = 0;
	struct fixture fx;
	unsigned i, j;

	sem_init(&gate, 0, 0);
	sem_init(&started, 0, 0);
	fixture_open(&fx, 1);
	first.gate = &gate;
	first.started = &started;
	assert_int_equal(task_submit(&fx, &front, &first), 0);
	sem_wait(&started);
	for (i = 0; i < 3; i++)
		for (j = 0; j < want[i].count; j++) {
			task[i][j].place = &place;
			assert_int_equal(
			    task_submit(&fx, &line[i], &task[i][j]), 0);
		}
	sem_post(&gate);
	task_wait(&task[0][5]);
	for (i = 0; i < 3; i++)
		for (j = 0; j < want[i].count; j++)
			assert_int_equal(task[i][j].ran_as, want[i].place[j]);
	fixture_close(&fx);
	sem_destroy(&started);
	sem_destroy(&gate);
}

static atomic_uint at_once, at_once_max;

/* Waits for a second one that runs beside it, which the line allows, and
 * notes a third. */
static void
paired_work(struct offload_job *job)
{
	struct task *t = (struct task *)job;
	unsigned now = atomic_fetch_add(&at_once, 1) + 1;

	if (now > atomic_load(&at_once_max))
		atomic_store(&at_once_max, now);
	sem_post(t->started);
	sem_wait(t->gate);
	atomic_fetch_sub(&at_once, 1);
}

static void
test_a_line_has_as_many_threads_as_it_may(void **state)
{
	enum { N = 9 };
	struct offload_line line = {.running_max = 2};
	struct task task[N] = {0};
	sem_t gate, started;
	struct fixture fx;

	sem_init(&gate, 0, 0);
	sem_init(&started, 0, 0);
	fixture_open(&fx, 4);
	for (unsigned i = 0; i < N; i++) {
		task[i] = (struct task){.fx = &fx,
		    .gate = &gate,
		    .started = &started,
		    .job = {.work = paired_work, .done = task_done}};
		assert_int_equal(
		    offload_submit(fx.pool, &line, &task[i].job), 0);
	}
	/* Two start before any is let go, and one more for each that is. */
	for (unsigned i = 0; i < N; i++) {
		sem_wait(&started);
		if (i > 0)
			sem_post(&gate);
	}
	sem_post(&gate);
	task_wait(&task[N - 1]);
	fixture_settle(&fx);
	assert_int_equal(atomic_load(&at_once_max), 2);
	fixture_close(&fx);
	sem_destroy(&started);
	sem_destroy(&gate);
}

static void
test_a_full_queue_refuses(void **state)
{
	struct offload_line line[3] = {0};
	struct task task[QUEUE_MAX + 2] = {0}, first = {0};
	sem_t gate, started;
	struct fixture fx;
	unsigned i;

	sem_init(&gate, 0, 0);
	sem_init(&started, 0, 0);
	fixture_open(&fx, 1);
	first.gate = &gate;
	first.started = &started;
	assert_int_equal(task_submit(&fx, &line[0], &first), 0);
	sem_wait(&started);
	/* Half of it is one line's at most; the rest is for others. */
	for (i = 0; i < QUEUE_MAX / 2; i++)
		assert_int_equal(task_submit(&fx, &line[0], &task[i]), 0);
	assert_int_equal(task_submit(&fx, &line[0], &task[i]), -EAGAIN);
	for (; i < QUEUE_MAX; i++)
		assert_int_equal(task_submit(&fx, &line[1], &task[i]), 0);
	assert_int_equal(task_submit(&fx, &line[2], &task[i]), -EAGAIN);
	assert_int_equal(fx.stats.offload_rejected, 2);
	offload_measure(fx.pool);
	assert_int_equal(fx.stats.offload_queue, QUEUE_MAX);
	assert_int_equal(fx.stats.offload_running, 1);
	sem_post(&gate);
	fixture_settle(&fx);
	assert_int_equal(task_submit(&fx, &line[2], &task[i]), 0);
	task_wait(&task[i]);
	for (i = 0; i <= QUEUE_MAX; i++)
		assert_int_equal(task[i].done, 1);
	fixture_close(&fx);
	sem_destroy(&started);
	sem_destroy(&gate);
}

static void
test_what_waits_can_be_taken_back(void **state)
{
	struct offload_line line = {0};
	struct task first = {0}, a = {0}, b = {0}, c = {0};
	sem_t gate, started;
	struct fixture fx;

	sem_init(&gate, 0, 0);
	sem_init(&started, 0, 0);
	fixture_open(&fx, 1);
	first.gate = &gate;
	first.started = &started;
	assert_int_equal(task_submit(&fx, &line, &first), 0);
	sem_wait(&started);
	assert_int_equal(task_submit(&fx, &line, &a), 0);
	assert_int_equal(task_submit(&fx, &line, &b), 0);
	assert_int_equal(task_submit(&fx, &line, &c), 0);
	assert_true(offload_cancel(fx.pool, &c.job));
	assert_true(offload_cancel(fx.pool, &a.job));
	assert_true(offload_cancel(fx.pool, &a.job));
	assert_false(offload_cancel(fx.pool, &first.job));
	/* One that was taken back may be given again, behind the rest. */
	assert_int_equal(task_submit(&fx, &line, &c), 0);
	sem_post(&gate);
	fixture_settle(&fx);
	assert_false(offload_cancel(fx.pool, &b.job));
	task_wait(&c);
	assert_int_equal(first.done, 1);
	assert_int_equal(a.ran + a.done, 0);
	assert_int_equal(b.done, 1);
	fixture_close(&fx);
	sem_destroy(&started);
	sem_destroy(&gate);
}

static void
test_one_turn_takes_all_that_has_ended(void **state)
{
	enum { N = 20 };
	struct offload_line line[N] = {0};
	struct task task[N] = {0};
	struct fixture fx;
	unsigned i;

	fixture_open(&fx, 3);
	for (i = 0; i < N; i++)
		assert_int_equal(task_submit(&fx, &line[i], &task[i]), 0);
	fixture_settle(&fx);
	/* The write follows the list that it tells of. */
	task_wait(&task[0]);
	assert_int_equal(fx.wakes, 1);
	for (i = 0; i < N; i++)
		assert_int_equal(task[i].done, 1);
	fixture_close(&fx);
}

static void
test_freeing_waits_for_what_runs(void **state)
{
	enum { N = 40 };
	struct offload_line line[N / 2] = {0};
	struct task task[N] = {0};
	struct fixture fx;
	unsigned i;

	fixture_open(&fx, 3);
	for (i = 0; i < N; i++)
		assert_int_equal(task_submit(&fx, &line[i / 2], &task[i]), 0);
	fixture_close(&fx);
	for (i = 0; i < N; i++) {
		assert_true(task[i].ran <= 1);
		assert_int_equal(task[i].done, task[i].ran);
		assert_int_equal(task[i].job.state, JOB_NONE);
	}
}

static void
look_work(struct offload_job *job)
{
	struct task *t = (struct task *)job;
	char name[16];
	sigset_t blocked;

	pthread_getname_np(pthread_self(), name, sizeof(name));
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	t->ran = strcmp(name, "corelane-pool") == 0 &&
	    sigismember(&blocked, SIGTERM) == 1 &&
	    sigismember(&blocked, SIGUSR1) == 1 &&
	    sigismember(&blocked, SIGSEGV) == 0;
}

static void
test_threads_leave_signals_to_the_loop(void **state)
{
	struct offload_line line = {0};
	struct fixture fx;
	struct task t = {
	    .fx = &fx, .job = {.work = look_work, .done = task_done}};
	sigset_t blocked;

	fixture_open(&fx, 1);
	assert_int_equal(offload_submit(fx.pool, &line, &t.job), 0);
	task_wait(&t);
	assert_int_equal(t.ran, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_int_equal(sigismember(&blocked, SIGTERM), 0);
	fixture_close(&fx);
}

/* The stress: jobs that come again and again, some taken back. */
#define STRESS_LINES 37
#define STRESS_TASKS 200
#define STRESS_ROUNDS 50

struct stress {
	struct fixture fx;
	struct offload_line line[STRESS_LINES];
	struct stress_task {
		struct offload_job job; /* first */
		struct stress *all;
		unsigned rounds, worked, done, taken_back, refused;
	} task[STRESS_TASKS];
	unsigned seed;
	unsigned active;
};

static void
stress_work(struct offload_job *job)
{
	((struct stress_task *)job)->worked++;
}

static unsigned
stress_random(struct stress *s)
{
	s->seed = s->seed * 1103515245 + 12345;
	return s->seed >> 16;
}

/* Submits until its rounds are over, or until one is under way. */
static void
stress_go_on(struct stress_task *t)
{
	struct stress *s = t->all;
	struct offload_line *line;

	while (t->rounds < STRESS_ROUNDS) {
		t->rounds++;
		line = &s->line[stress_random(s) % STRESS_LINES];
		if (offload_submit(s->fx.pool, line, &t->job) < 0)
			t->refused++;
		else if (stress_random(s) % 4 > 0 ||
		    !offload_cancel(s->fx.pool, &t->job))
			return;
		else
			t->taken_back++;
	}
	s->active--;
}

static void
stress_done(struct offload_job *job)
{
	struct stress_task *t = (struct stress_task *)job;
	struct stress *s = t->all;
	struct stress_task *other = &s->task[stress_random(s) % STRESS_TASKS];

	t->done++;
	/* Another one's, in whatever state it is. */
	if (other->job.line != NULL && other != t &&
	    other->rounds < STRESS_ROUNDS &&
	    offload_cancel(s->fx.pool, &other->job)) {
		other->taken_back++;
		stress_go_on(other);
	}
	stress_go_on(t);
}

static void
stress_check(const struct stress *s)
{
	for (unsigned i = 0; i < STRESS_TASKS; i++) {
		const struct stress_task *t = &s->task[i];

		assert_int_equal(t->worked, t->done);
		assert_int_equal(
		    t->done + t->taken_back + t->refused, STRESS_ROUNDS);
	}
	for (unsigned i = 0; i < STRESS_LINES; i++)
		assert_int_equal(s->line[i].waiting + s->line[i].running, 0);
}

static void
test_nothing_is_lost_under_stress(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	unsigned i;

	assert_non_null(s);
	fixture_open(&s->fx, 4);
	s->active = STRESS_TASKS;
	for (i = 0; i < STRESS_LINES; i++)
		s->line[i].running_max = i % 4;
	for (i = 0; i < STRESS_TASKS; i++) {
		s->task[i].all = s;
		s->task[i].job.work = stress_work;
		s->task[i].job.done = stress_done;
	}
	for (i = 0; i < STRESS_TASKS; i++)
		stress_go_on(&s->task[i]);
	while (s->active > 0)
		event_base_loop(s->fx.base, EVLOOP_ONCE);
	stress_check(s);
	fixture_close(&s->fx);
	free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_job_runs_elsewhere_and_comes_back),
	    cmocka_unit_test(test_lines_take_turns),
	    cmocka_unit_test(test_a_line_has_as_many_threads_as_it_may),
	    cmocka_unit_test(test_a_full_queue_refuses),
	    cmocka_unit_test(test_what_waits_can_be_taken_back),
	    cmocka_unit_test(test_one_turn_takes_all_that_has_ended),
	    cmocka_unit_test(test_freeing_waits_for_what_runs),
	    cmocka_unit_test(test_threads_leave_signals_to_the_loop),
	    cmocka_unit_test(test_nothing_is_lost_under_stress),
	};

	return UNIT_RUN(tests);
}
