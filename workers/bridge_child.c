/* SPDX-License-Identifier: MIT */
/*
 * The bridge as the supervisor sees it: see bridge_child.h.
 *
 * Owns: the process, our end of its pair.
 * Here: fork, death, back-off, watchdog.
 * Context: the supervisor's loop.
 */
#include "workers/bridge_child.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/bridge.h"
#include "workers/supervisor.h"

/* More than it takes itself to send the rest. */
#define BRIDGE_STOP_MS 3000
#define BRIDGE_BACKOFF_MIN_MS 100
#define BRIDGE_BACKOFF_MAX_MS 10000
#define BRIDGE_BACKOFF_RESET_MS 60000

static uint64_t
bridge_child_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

void
bridge_child_init(struct bridge_child *bc, struct supervisor *sup)
{
	*bc = (struct bridge_child){.sup = sup, .fd = -1};
}

bool
bridge_child_is_gone(const struct bridge_child *bc)
{
	return bc->state == BRIDGE_CHILD_NONE;
}

/* --- messages --- */

static void
bridge_child_note_reopen(struct bridge_child *bc, const char *text)
{
	log_error("bridge: %s", text);
	buf_printf(&bc->sup->reopen_failures, "bridge: %s\n", text);
}

static void
bridge_child_on_message(evutil_socket_t fd, short what, void *arg)
{
	struct bridge_child *bc = arg;
	struct message m;
	int rc;

	while ((rc = message_receive(fd, &m)) == 1) {
		if (m.type == MESSAGE_FAILED)
			snprintf(bc->failure, sizeof(bc->failure), "%s",
			    m.text);
		if (m.type != MESSAGE_REOPENED)
			continue;
		bc->is_reopening = false;
		if (m.text[0] != '\0')
			bridge_child_note_reopen(bc, m.text);
		supervisor_settle_soon(bc->sup);
	}
	/* Its end is closed: SIGCHLD tells the rest. */
	if (rc == -1)
		event_del(bc->event);
}

void
bridge_child_reopen(struct bridge_child *bc)
{
	if (bc->state == BRIDGE_CHILD_RUNNING &&
	    message_send(bc->fd, MESSAGE_REOPEN, NULL, NULL) == 0)
		bc->is_reopening = true;
}

/* --- birth --- */

/* In the new process: become the bridge, and never come back. */
static void __attribute__((noreturn))
bridge_child_become(struct bridge_child *bc, int fd)
{
	struct supervisor *sup = bc->sup;
	struct bridge_args args = {
		.config = bc->generation->config,
		.channels = sup->channels,
		.figures = sup->bridge_figures,
		.privileges = &bc->generation->privileges,
		.listeners = &sup->listeners,
		.supervisor_fd = fd,
		.supervisor_pid = sup->pid,
	};

	supervisor_forget(sup);
	exit(bridge_run(&args));
}

/* With every signal blocked: see child_fork(). */
static pid_t
bridge_child_fork(struct bridge_child *bc, int bridge_fd)
{
	sigset_t all, before;
	pid_t pid;

	fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0)
		bridge_child_become(bc, bridge_fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static void
bridge_child_release(struct bridge_child *bc)
{
	struct bridge_figures *f = bc->sup->bridge_figures;

	if (bc->event != NULL)
		event_free(bc->event);
	bc->event = NULL;
	if (bc->fd != -1)
		close(bc->fd);
	bc->fd = -1;
	if (bc->pid != 0)
		(void)channel_log_reader_died(channels_log(bc->sup->channels),
		    CHANNELS_BRIDGE, NULL, NULL);
	bc->pid = 0;
	bc->is_reopening = false;
	bridge_set(&f->is_connected, 0);
	bridge_set(&f->subscriptions, 0);
}

static int
bridge_child_fork_pair(struct bridge_child *bc, struct error *err)
{
	int pair[2];

	if (message_pair(pair) == -1)
		return error_sys(err, "socketpair");
	bc->fd = pair[0];
	bc->event = event_new(bc->sup->base, bc->fd, EV_READ | EV_PERSIST,
	    bridge_child_on_message, bc);
	if (bc->event == NULL || event_add(bc->event, NULL) == -1) {
		close(pair[1]);
		return error_nomem(err, "an event");
	}
	bc->pid = bridge_child_fork(bc, pair[1]);
	close(pair[1]);
	if (bc->pid != -1)
		return 0;
	bc->pid = 0;
	return error_sys(err, "fork");
}

/* --- death --- */

/* None after the first death, then doubling. */
static void
bridge_child_wait(struct bridge_child *bc, const char *why)
{
	uint64_t now_ms = bridge_child_now_ms(), delay;

	if (now_ms - bc->started_ms >= BRIDGE_BACKOFF_RESET_MS)
		bc->backoff_ms = 0;
	delay = bc->backoff_ms;
	bc->backoff_ms = delay == 0 ? BRIDGE_BACKOFF_MIN_MS :
	    delay * 2 > BRIDGE_BACKOFF_MAX_MS ? BRIDGE_BACKOFF_MAX_MS :
	    delay * 2;
	bc->state = BRIDGE_CHILD_WAITING;
	bc->deadline_ms = now_ms + delay;
	if (delay == 0)
		log_warn("the bridge %s; restarting", why);
	else
		log_warn("the bridge %s; restarting in %llu ms", why,
		    (unsigned long long)delay);
	bridge_count(&bc->sup->bridge_figures->restarts, 1);
	supervisor_settle_soon(bc->sup);
}

static void
bridge_child_start(struct bridge_child *bc, struct generation *gen)
{
	char why[MESSAGE_TEXT_BYTES];
	struct error err;

	if (bc->generation == NULL)
		bc->generation = generation_ref(gen);
	bc->started_ms = bridge_child_now_ms();
	bc->deadline_ms = 0;
	bc->failure[0] = '\0';
	bridge_set(&bc->sup->bridge_figures->heartbeat_ms, bc->started_ms);
	if (bridge_child_fork_pair(bc, &err) == 0) {
		bc->state = BRIDGE_CHILD_RUNNING;
		return;
	}
	bridge_child_release(bc);
	snprintf(why, sizeof(why), "can't be started: %.400s", err.text);
	bridge_child_wait(bc, why);
}

static void
bridge_child_end(struct bridge_child *bc)
{
	generation_unref(bc->generation);
	bc->generation = NULL;
	bc->state = BRIDGE_CHILD_NONE;
	supervisor_settle_soon(bc->sup);
}

void
bridge_child_on_death(struct bridge_child *bc, int status)
{
	char why[MESSAGE_TEXT_BYTES];
	const char *name;
	int pid = (int)bc->pid;

	/* What it said before. */
	if (bc->event != NULL)
		bridge_child_on_message(bc->fd, EV_READ, bc);
	bridge_child_release(bc);
	if (bc->state == BRIDGE_CHILD_STOPPING) {
		bridge_child_end(bc);
		return;
	}
	if (WIFSIGNALED(status)) {
		name = sigabbrev_np(WTERMSIG(status));
		snprintf(why, sizeof(why), "(pid %d) was killed by SIG%s%s",
		    pid, name != NULL ? name : "?",
		    WCOREDUMP(status) ? ", core dumped" : "");
	} else if (bc->failure[0] != '\0') {
		snprintf(why, sizeof(why), "(pid %d) can't serve: %.400s", pid,
		    bc->failure);
	} else {
		snprintf(why, sizeof(why), "(pid %d) exited with code %d", pid,
		    WEXITSTATUS(status));
	}
	bridge_child_wait(bc, why);
}

/* --- what is due --- */

/* The generation whose bridge there shall be, or NULL. */
static struct generation *
bridge_child_wanted(const struct bridge_child *bc)
{
	const struct supervisor *sup = bc->sup;
	struct generation *gen = sup->current;

	if (gen == NULL || gen->config->cluster == NULL ||
	    (sup->stopping && (sup->stop_forced ||
	    TAILQ_EMPTY(&sup->children))))
		return NULL;
	return gen;
}

static void
bridge_child_stop(struct bridge_child *bc)
{
	(void)message_send(bc->fd, bc->sup->stop_forced ? MESSAGE_QUIT :
	    MESSAGE_STOP, NULL, NULL);
	bc->state = BRIDGE_CHILD_STOPPING;
	bc->deadline_ms = bridge_child_now_ms() + BRIDGE_STOP_MS;
}

void
bridge_child_settle(struct bridge_child *bc)
{
	struct generation *gen = bridge_child_wanted(bc);

	switch (bc->state) {
	case BRIDGE_CHILD_NONE:
		if (gen != NULL)
			bridge_child_start(bc, gen);
		break;
	case BRIDGE_CHILD_RUNNING:
		if (gen != bc->generation)
			bridge_child_stop(bc);
		break;
	case BRIDGE_CHILD_WAITING:
		if (gen != bc->generation)
			bridge_child_end(bc);
		else if (bridge_child_now_ms() >= bc->deadline_ms)
			bridge_child_start(bc, gen);
		break;
	case BRIDGE_CHILD_STOPPING:
		break;
	}
}

void
bridge_child_tick(struct bridge_child *bc, uint64_t now_ms)
{
	uint64_t limit, beat;

	if (bc->state == BRIDGE_CHILD_STOPPING && now_ms >= bc->deadline_ms) {
		log_warn("the bridge (pid %d) has not left: killed",
		    (int)bc->pid);
		kill(bc->pid, SIGKILL);
		bc->deadline_ms = now_ms + BRIDGE_STOP_MS;
	}
	if (bc->state != BRIDGE_CHILD_RUNNING)
		return;
	limit = (uint64_t)bc->generation->config->timeouts.watchdog_ms;
	beat = bridge_get(&bc->sup->bridge_figures->heartbeat_ms);
	if (limit == 0 || now_ms < beat || now_ms - beat < limit)
		return;
	log_error("the bridge (pid %d) stalls: no heartbeat for %llu ms",
	    (int)bc->pid, (unsigned long long)(now_ms - beat));
	bridge_set(&bc->sup->bridge_figures->heartbeat_ms, now_ms);
	kill(bc->pid, SIGKILL);
}
