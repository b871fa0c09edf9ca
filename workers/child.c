/* SPDX-License-Identifier: MIT */
/*
 * One worker as the supervisor sees it: see child.h for the states.
 *
 * Owns: the process, its slot, our end of its pair.
 * Here: fork, messages, death, back-off, deadlines.  Not here: decisions about
 * all workers together.
 * Context: the supervisor's loop; supervisor.c -> [child.c] -> worker.c.
 */
#include "workers/child.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/supervisor.h"
#include "workers/worker.h"

/* A worker that isn't ready by then never will be. */
#define CHILD_START_MS 30000
/* Beyond timeouts.drain, which the worker keeps itself. */
#define CHILD_DRAIN_GRACE_MS 5000
/* Between being told or SIGABRT, and SIGKILL. */
#define CHILD_KILL_MS 1000
/* Back-off: none after the first death, then this, doubling. */
#define CHILD_BACKOFF_MIN_MS 100
#define CHILD_BACKOFF_MAX_MS 10000
#define CHILD_BACKOFF_RESET_MS 60000

#define TO(state) (1u << CHILD_##state)

/* The arrows of the drawing in child.h; used by assert() alone. */
__attribute__((unused))
static const unsigned child_arrows[CHILD_STATE_COUNT] = {
	[CHILD_STARTING] = TO(SERVING) | TO(DRAINING) | TO(WAITING) | TO(GONE),
	[CHILD_SERVING] = TO(STALLED) | TO(DRAINING) | TO(WAITING) | TO(GONE),
	[CHILD_STALLED] = TO(WAITING) | TO(GONE),
	[CHILD_DRAINING] = TO(STALLED) | TO(GONE),
	[CHILD_WAITING] = TO(STARTING) | TO(WAITING) | TO(GONE),
	[CHILD_GONE] = 0,
};

static const char *const child_names[CHILD_STATE_COUNT] = {
	[CHILD_STARTING] = "starting",
	[CHILD_SERVING] = "serving",
	[CHILD_STALLED] = "stalled",
	[CHILD_DRAINING] = "draining",
	[CHILD_WAITING] = "waiting",
	[CHILD_GONE] = "gone",
};

/* What readers of the statistics are told. */
static const unsigned child_public[CHILD_STATE_COUNT] = {
	[CHILD_STARTING] = WORKER_STARTING,
	[CHILD_SERVING] = WORKER_SERVING,
	[CHILD_STALLED] = WORKER_DEAD,
	[CHILD_DRAINING] = WORKER_DRAINING,
	[CHILD_WAITING] = WORKER_DEAD,
	[CHILD_GONE] = WORKER_DEAD,
};

const char *
child_state_name(enum child_state state)
{
	return child_names[state];
}

static uint64_t
child_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* Tells the shared region what this child is now. */
static void
child_publish(const struct child *ch)
{
	struct shared_worker w = {
		.index = ch->index,
		.generation = ch->generation->number,
		.pid = ch->pid,
		.state = (enum worker_state)child_public[ch->state],
		.cpu = supervisor_cpu(ch->sup, ch),
		.started_real_ms = ch->started_real_ms,
		.restarts = ch->sup->restarts[ch->index],
	};

	if (ch->slot != -1)
		shared_worker_set(ch->sup->shared, ch->slot, &w);
}

static void
child_move(struct child *ch, enum child_state state)
{
	assert(child_arrows[ch->state] & 1u << state);
	ch->state = state;
	ch->moved_ms = child_now_ms();
	ch->deadline_ms = 0;
	child_publish(ch);
	supervisor_settle_soon(ch->sup);
}

static void
child_move_until(struct child *ch, enum child_state state, uint64_t ms)
{
	child_move(ch, state);
	ch->deadline_ms = ch->moved_ms + ms;
}

/* --- messages --- */

static void
child_on_ready(struct child *ch)
{
	if (ch->state != CHILD_STARTING)
		return;		/* told to drain while it started */
	ch->has_crashed = false;	/* it has been told */
	child_move(ch, CHILD_SERVING);
	log_info("worker %u (pid %d, gen %u) is ready after %llu ms", ch->index,
	    (int)ch->pid, ch->generation->number,
	    (unsigned long long)(ch->moved_ms - ch->started_ms));
}

static void
child_on_retire(struct child *ch)
{
	if (ch->retired || ch->sup->stopping)
		return;
	log_info("worker %u (pid %d) got SIGTERM: draining, to be replaced",
	    ch->index, (int)ch->pid);
	child_retire(ch, MESSAGE_DRAIN);
}

static void
child_on_reopened(struct child *ch, const char *text)
{
	ch->reopening = false;
	if (text[0] != '\0') {
		log_error("worker %u: %s", ch->index, text);
		supervisor_note_reopen_failure(ch->sup, ch->index, text);
	}
	supervisor_settle_soon(ch->sup);
}

static void
child_on_message(evutil_socket_t fd, short what, void *arg)
{
	struct child *ch = arg;
	struct message m;
	int rc;

	while ((rc = message_receive(fd, &m)) == 1) {
		switch (m.type) {
		case MESSAGE_READY:
			child_on_ready(ch);
			break;
		case MESSAGE_FAILED:
			snprintf(ch->failure, sizeof(ch->failure), "%s",
			    m.text);
			break;
		case MESSAGE_RETIRE:
			child_on_retire(ch);
			break;
		case MESSAGE_REOPENED:
			child_on_reopened(ch, m.text);
			break;
		case MESSAGE_SHARES:
		case MESSAGE_DRAIN:
		case MESSAGE_STOP:
		case MESSAGE_QUIT:
		case MESSAGE_REOPEN:
			break;		/* ours to say */
		}
	}
	/* Its end is closed: SIGCHLD tells the rest. */
	if (rc == -1)
		event_del(ch->event);
}

/* --- birth --- */

/* In the new process: become a worker, and never come back. */
static void __attribute__((noreturn))
child_become_worker(struct child *ch, int fd)
{
	struct supervisor *sup = ch->sup;
	const struct generation *gen = ch->generation;
	struct worker_args args = {
		.shared = sup->shared,
		.slot = ch->slot,
		.recorder = recorders_get(sup->recorders, ch->slot),
		.rates = sup->rates,
		.channels = sup->channels,
		.bridge_figures = sup->bridge_figures,
		.crash = ch->has_crashed ? &ch->crash : NULL,
		.config = gen->config,
		.index = ch->index,
		.generation = gen->number,
		.connections_max = gen->connections_max,
		.privileges = &gen->privileges,
		.listeners = &sup->listeners,
		.cpu = supervisor_cpu(sup, ch),
		.supervisor_fd = fd,
		.supervisor_pid = sup->pid,
	};

	supervisor_forget(sup);
	exit(worker_run(&args));
}

/* Forks with every signal blocked: one that came between fork and the child's
 * own handlers would end up in the supervisor's loop (libevent's handler writes
 * to a socket that both have). */
static pid_t
child_fork(struct child *ch, int worker_fd)
{
	sigset_t all, before;
	pid_t pid;

	fflush(NULL);		/* else both would write what is buffered */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0)
		child_become_worker(ch, worker_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int
child_listen_to(struct child *ch, struct error *err)
{
	ch->event = event_new(ch->sup->base, ch->fd, EV_READ | EV_PERSIST,
	    child_on_message, ch);
	if (ch->event == NULL || event_add(ch->event, NULL) == -1)
		return error_nomem(err, "an event");
	return 0;
}

/* Takes back what child_start() acquired, or a dead process left. */
static void
child_release(struct child *ch)
{
	if (ch->event != NULL)
		event_free(ch->event);
	ch->event = NULL;
	if (ch->fd != -1)
		close(ch->fd);
	ch->fd = -1;
	if (ch->slot != -1) {
		shared_worker_died(ch->sup->shared, ch->slot);
		channels_worker_died(ch->sup->channels, ch->slot,
		    ch->generation->config);
		supervisor_repair_soon(ch->sup);
	}
	ch->slot = -1;
	ch->pid = 0;
	ch->reopening = false;
	memset(&ch->shares, 0, sizeof(ch->shares));
}

static int
child_start(struct child *ch, struct error *err)
{
	int pair[2];

	ch->failure[0] = '\0';
	ch->started_real_ms = clock_now_real_ms();
	ch->started_ms = child_now_ms();
	ch->beat_ms = ch->beat_age_ms = 0;
	ch->slot = shared_slot_take(ch->sup->shared);
	if (ch->slot == -1)
		return error_set(err, ERROR_LIMIT, "no place left: too many "
		    "workers are still draining");
	recorders_clear(ch->sup->recorders, ch->slot);
	if (!channels_is_free(ch->sup->channels, ch->slot)) {
		error_set(err, ERROR_BUSY, "a process that is stopped holds "
		    "the log of channels");
		goto fail;
	}
	if (message_pair(pair) == -1) {
		error_sys(err, "socketpair");
		goto fail;
	}
	ch->fd = pair[0];
	if (child_listen_to(ch, err) == -1) {
		close(pair[1]);
		goto fail;
	}
	ch->state = CHILD_STARTING;
	child_publish(ch);	/* before fork: the worker finds it true */
	ch->pid = child_fork(ch, pair[1]);
	close(pair[1]);
	if (ch->pid == -1) {
		error_sys(err, "fork");
		goto fail;
	}
	ch->moved_ms = ch->started_ms;
	ch->deadline_ms = ch->started_ms + CHILD_START_MS;
	child_publish(ch);
	supervisor_settle_soon(ch->sup);
	return 0;
fail:
	child_release(ch);
	return -1;
}

/* The delay before the next start; the first death after a good while costs
 * none. */
static uint64_t
child_next_backoff(struct child *ch)
{
	uint64_t delay;

	if (ch->moved_ms != 0 &&
	    child_now_ms() - ch->started_ms >= CHILD_BACKOFF_RESET_MS)
		ch->backoff_ms = 0;
	delay = ch->backoff_ms;
	ch->backoff_ms = delay == 0 ? CHILD_BACKOFF_MIN_MS :
	    delay * 2 > CHILD_BACKOFF_MAX_MS ? CHILD_BACKOFF_MAX_MS : delay * 2;
	return delay;
}

/* What a process that couldn't be had or died of itself comes to. */
static void
child_after_failure(struct child *ch, const char *why)
{
	uint64_t delay;

	if (ch->generation == ch->sup->next) {
		/* It proves itself at present, and doesn't. */
		if (ch->generation->failure[0] == '\0')
			snprintf(ch->generation->failure,
			    sizeof(ch->generation->failure),
			    "worker %u %.480s", ch->index, why);
		ch->retired = true;
	}
	if (ch->retired) {
		child_move(ch, CHILD_GONE);
		return;
	}
	delay = child_next_backoff(ch);
	child_move_until(ch, CHILD_WAITING, delay);
	if (delay == 0)
		log_warn("worker %u %s; restarting", ch->index, why);
	else
		log_warn("worker %u %s; restarting in %llu ms", ch->index, why,
		    (unsigned long long)delay);
}

void
child_restart(struct child *ch)
{
	struct error err;
	char why[MESSAGE_TEXT_BYTES];

	assert(ch->state == CHILD_WAITING);
	ch->sup->restarts[ch->index]++;
	if (child_start(ch, &err) == 0)
		return;
	ch->state = CHILD_WAITING;
	snprintf(why, sizeof(why), "can't be started: %.400s", err.text);
	child_after_failure(ch, why);
}

void
child_add(struct supervisor *sup, struct generation *gen, unsigned index)
{
	struct child *ch = calloc(1, sizeof(*ch));
	struct error err;
	char why[MESSAGE_TEXT_BYTES];

	if (ch == NULL) {
		log_error("no memory for worker %u", index);
		return;		/* the next tick tries again */
	}
	ch->sup = sup;
	ch->generation = generation_ref(gen);
	ch->index = index;
	ch->fd = ch->slot = -1;
	ch->state = CHILD_STARTING;
	TAILQ_INSERT_TAIL(&sup->children, ch, next);
	if (child_start(ch, &err) == 0)
		return;
	snprintf(why, sizeof(why), "can't be started: %.400s", err.text);
	child_after_failure(ch, why);
}

/* --- orders --- */

void
child_assign(struct child *ch, const struct shares *shares)
{
	if (ch->fd == -1 || shares_is_equal(&ch->shares, shares))
		return;
	/* Not sent: the next tick tries again, for the set is the whole set. */
	if (message_send(ch->fd, MESSAGE_SHARES, shares, NULL) == 0)
		ch->shares = *shares;
}

void
child_retire(struct child *ch, enum message_type how)
{
	if (ch->state == CHILD_GONE)
		return;
	ch->retired = true;
	if (ch->state == CHILD_WAITING) {
		child_move(ch, CHILD_GONE);
		return;
	}
	if (ch->fd != -1)
		(void)message_send(ch->fd, how, NULL, NULL);
	memset(&ch->shares, 0, sizeof(ch->shares));
	if (ch->state == CHILD_STARTING || ch->state == CHILD_SERVING)
		child_move_until(ch, CHILD_DRAINING,
		    (uint64_t)ch->generation->config->timeouts.drain_ms +
		    CHILD_DRAIN_GRACE_MS);
}

void
child_force(struct child *ch)
{
	if (ch->pid == 0 || ch->forced)
		return;
	ch->forced = true;
	if (ch->fd != -1)
		(void)message_send(ch->fd, MESSAGE_QUIT, NULL, NULL);
	ch->deadline_ms = child_now_ms() + CHILD_KILL_MS;
}

void
child_reopen(struct child *ch)
{
	if (ch->pid != 0 && ch->fd != -1 && ch->state != CHILD_STALLED &&
	    message_send(ch->fd, MESSAGE_REOPEN, NULL, NULL) == 0)
		ch->reopening = true;
}

/* --- death --- */

/* For modules; what isn't there is NULL, not empty. */
static struct lane_str
child_text(const char *text)
{
	return text[0] != '\0' ? (struct lane_str){text, strlen(text)} :
	    (struct lane_str){NULL, 0};
}

/* Reads the dead worker's flight recorder, for the log and for whoever comes
 * after it. */
static void
child_examine(struct child *ch, const struct recorder *rec, int status)
{
	struct autopsy *a = &ch->autopsy;

	autopsy_read(a, rec, clock_now_ns());
	if (ch->state == CHILD_STARTING && !a->has_request)
		a->phase = RECORD_START;
	ch->crash = (struct lane_crash){
		.worker = ch->index,
		.pid = (int)ch->pid,
		.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
		.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
		.time_s = clock_now_real_ms() / 1000,
		.fault_address = a->is_fault ? a->fault_address : 0,
		.request = child_text(a->line),
		.request_id = child_text(a->id),
		.phase = child_text(record_phase_name(a->phase)),
	};
}

/* "exited with code 3 in GET /", "was killed by SIGSEGV at 0x0 in GET /". */
static void
child_describe_death(const struct child *ch, int status, char *out, size_t size)
{
	char of[MESSAGE_TEXT_BYTES - 64];
	const char *name;

	autopsy_describe(&ch->autopsy, of, sizeof(of));
	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(out, size,
		    "(pid %d, gen %u) was killed by SIG%s%s%s%s",
		    (int)ch->pid, ch->generation->number,
		    name != NULL ? name : "?",
		    ch->state == CHILD_STALLED ? " after a stall" : "", of,
		    WCOREDUMP(status) ? ", core dumped" : "");
	} else if (ch->failure[0] != '\0') {
		snprintf(out, size, "(pid %d, gen %u) can't serve: %.400s",
		    (int)ch->pid, ch->generation->number, ch->failure);
	} else {
		snprintf(out, size, "(pid %d, gen %u) exited with code %d%s",
		    (int)ch->pid, ch->generation->number, WEXITSTATUS(status),
		    of);
	}
}

/* The long part of the story, behind child_after_failure()'s short one. */
static void
child_tell_crash(const struct child *ch, const struct recorder *rec)
{
	char who[32];

	snprintf(who, sizeof(who), "worker %u", ch->index);
	autopsy_log(&ch->autopsy, rec, who);
}

void
child_on_death(struct child *ch, int status)
{
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool is_crash;
	const struct recorder *rec =
	    recorders_get(ch->sup->recorders, ch->slot);
	char why[MESSAGE_TEXT_BYTES];

	/* What it said before it died: READY is still an event away. */
	if (ch->event != NULL)
		child_on_message(ch->fd, EV_READ, ch);
	is_crash = !ch->forced && !(ch->retired && clean) &&
	    ch->failure[0] == '\0';
	child_examine(ch, rec, status);
	child_describe_death(ch, status, why, sizeof(why));
	if (ch->retired && clean)
		log_info("worker %u (pid %d, gen %u) has drained and left",
		    ch->index, (int)ch->pid, ch->generation->number);
	ch->has_crashed |= is_crash;
	child_release(ch);
	if (ch->retired && clean) {
		child_move(ch, CHILD_GONE);
		return;
	}
	/* One that says why it can't serve has not crashed. */
	if (!ch->forced && ch->failure[0] == '\0')
		ch->sup->crashes++;
	if (ch->retired && !ch->forced)
		log_warn("worker %u %s while it drained", ch->index, why);
	child_after_failure(ch, why);
	if (is_crash)
		child_tell_crash(ch, rec);
}

/* A deadline has passed; which one, the state says. */
static void
child_on_deadline(struct child *ch)
{
	ch->deadline_ms = 0;
	switch (ch->state) {
	case CHILD_STARTING:
		snprintf(ch->failure, sizeof(ch->failure),
		    "not ready after %d s", CHILD_START_MS / 1000);
		log_error("worker %u (pid %d) is not ready after %d s: killed",
		    ch->index, (int)ch->pid, CHILD_START_MS / 1000);
		kill(ch->pid, SIGKILL);
		break;
	case CHILD_STALLED:
	case CHILD_DRAINING:
		if (!ch->forced)
			log_warn("worker %u (pid %d) has not left: killed",
			    ch->index, (int)ch->pid);
		kill(ch->pid, SIGKILL);
		break;
	case CHILD_SERVING:
	case CHILD_WAITING:	/* supervisor_fill() restarts it */
	case CHILD_GONE:
	case CHILD_STATE_COUNT:
		break;
	}
}

/* Its loop doesn't turn: a handler that never returns.  Siblings adopt its
 * shares; SIGABRT leaves a core to look into. */
static void
child_on_stall(struct child *ch)
{
	char of[MESSAGE_TEXT_BYTES];
	struct autopsy a;

	autopsy_read(&a, recorders_get(ch->sup->recorders, ch->slot),
	    clock_now_ns());
	autopsy_describe_stall(&a, of, sizeof(of));
	ch->sup->stalls++;
	log_error("worker %u (pid %d, gen %u) stalls: no heartbeat for %llu ms"
	    "%s", ch->index, (int)ch->pid, ch->generation->number,
	    (unsigned long long)ch->beat_age_ms, of);
	child_move_until(ch, CHILD_STALLED, CHILD_KILL_MS);
	memset(&ch->shares, 0, sizeof(ch->shares));
	kill(ch->pid, SIGABRT);
}

void
child_tick(struct child *ch, uint64_t now_ms, uint64_t elapsed_ms)
{
	uint64_t beat, limit;

	if (ch->state == CHILD_SERVING || ch->state == CHILD_DRAINING) {
		limit = (uint64_t)ch->generation->config->timeouts.watchdog_ms;
		beat = shared_heartbeat_ms(ch->sup->shared, ch->slot);
		ch->beat_age_ms = beat == ch->beat_ms ?
		    ch->beat_age_ms + elapsed_ms : 0;
		ch->beat_ms = beat;
		if (limit > 0 && ch->beat_age_ms >= limit)
			child_on_stall(ch);
	}
	if (ch->pid != 0 && ch->deadline_ms != 0 && now_ms >= ch->deadline_ms)
		child_on_deadline(ch);
}

void
child_free(struct child *ch)
{
	assert(ch->state == CHILD_GONE && ch->pid == 0);
	TAILQ_REMOVE(&ch->sup->children, ch, next);
	generation_unref(ch->generation);
	free(ch);
}
