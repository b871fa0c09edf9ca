/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's loop: see supervisor.h for how it settles.
 *
 * Owns: struct supervisor and everything in it.
 * Here: start, signals, settling, stop.  Not here: one worker, the change of
 * generations, what commands say.
 * Context: the supervisor; main.c -> [supervisor.c] -> child.c -> worker.c.
 */
#include "workers/supervisor.h"

#include <bsd/unistd.h>
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
#include "workers/control.h"
#include "workers/notify.h"
#include "workers/reload.h"

#define SUPERVISOR_TICK_MS 100
#define SUPERVISOR_REPAIR_MS 2

static uint64_t
supervisor_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

void
supervisor_settle_soon(struct supervisor *sup)
{
	event_active(sup->settle, 0, 0);
}

unsigned
supervisor_count(const struct supervisor *sup, const struct generation *gen,
    enum child_state state)
{
	const struct child *ch;
	unsigned count = 0;

	TAILQ_FOREACH(ch, &sup->children, next)
		count += ch->state == state &&
		    (gen == NULL || ch->generation == gen);
	return count;
}

int
supervisor_cpu(const struct supervisor *sup, const struct child *ch)
{
	unsigned count = (unsigned)CPU_COUNT(&sup->cpus);
	unsigned nth = count > 0 ? ch->index % count : 0;

	if (!ch->generation->config->cpu_affinity || count == 0)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &sup->cpus) && nth-- == 0)
			return cpu;
	return -1;
}

void
supervisor_note_reopen_failure(struct supervisor *sup, unsigned index,
    const char *text)
{
	buf_printf(&sup->reopen_failures, "worker %u: %s\n", index, text);
}

/* --- settling --- */

static void
supervisor_bury(struct supervisor *sup)
{
	struct child *ch, *after;

	for (ch = TAILQ_FIRST(&sup->children); ch != NULL; ch = after) {
		after = TAILQ_NEXT(ch, next);
		if (ch->state == CHILD_GONE)
			child_free(ch);
	}
}

/* A worker for every post of `gen`, none beyond. */
static void
supervisor_fill(struct supervisor *sup, struct generation *gen)
{
	bool filled[SHARED_WORKERS_MAX] = {false};
	uint64_t now_ms = supervisor_now_ms();
	struct child *ch;

	/* One that can't be had says what a second would: don't go on. */
	if (gen == NULL || gen->failure[0] != '\0')
		return;
	TAILQ_FOREACH(ch, &sup->children, next) {
		if (ch->generation != gen || ch->retired)
			continue;
		if (ch->index < gen->wanted)
			filled[ch->index] = true;
		if (ch->state == CHILD_WAITING && ch->index < gen->wanted &&
		    now_ms >= ch->deadline_ms)
			child_restart(ch);
	}
	for (unsigned i = 0; i < gen->wanted && gen->failure[0] == '\0'; i++)
		if (!filled[i])
			child_add(sup, gen, i);
}

/* After supervisor_assign(): others accept what these give up. */
static void
supervisor_retire_surplus(struct supervisor *sup, struct generation *gen)
{
	struct child *ch;

	if (gen == NULL)
		return;
	TAILQ_FOREACH(ch, &sup->children, next)
		if (ch->generation == gen && !ch->retired &&
		    ch->index >= gen->wanted)
			child_retire(ch, MESSAGE_DRAIN);
}

void
supervisor_assign(struct supervisor *sup)
{
	struct child *by_index[SHARED_WORKERS_MAX] = {NULL};
	struct shares shares[SHARED_WORKERS_MAX];
	bool serves[SHARED_WORKERS_MAX] = {false};
	unsigned wanted;
	struct child *ch;

	if (sup->current == NULL || sup->stopping)
		return;
	wanted = sup->current->wanted;
	TAILQ_FOREACH(ch, &sup->children, next) {
		if (ch->generation != sup->current || ch->retired ||
		    ch->state != CHILD_SERVING || ch->index >= wanted)
			continue;
		by_index[ch->index] = ch;
		serves[ch->index] = true;
	}
	shares_plan(serves, wanted, sup->share_count, shares);
	for (unsigned i = 0; i < wanted; i++)
		if (by_index[i] != NULL)
			child_assign(by_index[i], &shares[i]);
}

void
supervisor_publish(const struct supervisor *sup)
{
	struct shared_header h = {
		.supervisor_pid = sup->pid,
		.generation = sup->current != NULL ? sup->current->number : 0,
		.started_real_ms = sup->started_real_ms,
		.started_mono_ms = sup->started_ms,
		.reloads = sup->reloads,
		.reloads_failed = sup->reloads_failed,
		.reload_real_ms = sup->reload_real_ms,
		.reload_ok = sup->reload_ok,
		.crashes = sup->crashes,
		.stalls = sup->stalls,
		.workers_wanted = sup->current != NULL ?
		    sup->current->wanted : 0,
		.draining = sup->stopping,
	};

	shared_header_set(sup->shared, &h);
}

static void
supervisor_settle(struct supervisor *sup)
{
	supervisor_bury(sup);
	if (!sup->stopping) {
		reload_settle(sup);
		supervisor_fill(sup, sup->current);
		supervisor_fill(sup, sup->next);
		supervisor_assign(sup);
		supervisor_retire_surplus(sup, sup->current);
		supervisor_retire_surplus(sup, sup->next);
	}
	bridge_child_settle(&sup->bridge);
	supervisor_publish(sup);
	/* A reader was in the header: it is closed until that is written. */
	supervisor_repair_soon(sup);
	command_settle(sup);
	/* The first generation failed, or all have left: the end. */
	if (TAILQ_EMPTY(&sup->children) && sup->next == NULL &&
	    bridge_child_is_gone(&sup->bridge) &&
	    (sup->stopping || sup->current == NULL))
		event_base_loopbreak(sup->base);
}

static void
supervisor_on_settle(evutil_socket_t fd, short what, void *arg)
{
	supervisor_settle(arg);
}

static void
supervisor_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *sup = arg;
	uint64_t now_ms = supervisor_now_ms();
	uint64_t elapsed_ms = now_ms - sup->ticked_ms;
	struct child *ch;

	/* Where we were stopped ourselves, the workers may have been too. */
	if (elapsed_ms > 2 * SUPERVISOR_TICK_MS)
		elapsed_ms = SUPERVISOR_TICK_MS;
	sup->ticked_ms = now_ms;
	TAILQ_FOREACH(ch, &sup->children, next)
		child_tick(ch, now_ms, elapsed_ms);
	bridge_child_tick(&sup->bridge, now_ms);
	if (sup->current != NULL)
		channels_settle(sup->channels, sup->current->config);
	supervisor_settle(sup);
}

static void
supervisor_on_repair(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *sup = arg;

	shared_repair(sup->shared);
	supervisor_repair_soon(sup);
}

void
supervisor_repair_soon(struct supervisor *sup)
{
	const struct timeval wait = {.tv_usec = SUPERVISOR_REPAIR_MS * 1000};

	if (shared_needs_repair(sup->shared) &&
	    !evtimer_pending(sup->repair, NULL))
		event_add(sup->repair, &wait);
}

static void
supervisor_on_systemd(evutil_socket_t fd, short what, void *arg)
{
	notify_watchdog();
}

/* --- what is asked for --- */

int
supervisor_scale(struct supervisor *sup, unsigned count, struct error *err)
{
	struct generation *gen = sup->current;

	if (sup->stopping || gen == NULL)
		return error_set(err, ERROR_BUSY, "the server is %s",
		    gen == NULL ? "starting" : "stopping");
	if (count < 1 || count > gen->max_workers)
		return error_set(err, ERROR_LIMIT, "can't scale to %u workers: "
		    "from 1 to %u (max_workers)", count, gen->max_workers);
	if (count != gen->wanted)
		log_info("scaling from %u to %u worker%s", gen->wanted, count,
		    count == 1 ? "" : "s");
	if (count != gen->wanted)
		listener_set_steer(&sup->listeners, count);
	gen->wanted = count;
	if (sup->next != NULL)
		sup->next->wanted = count < sup->next->max_workers ? count :
		    sup->next->max_workers;
	supervisor_settle_soon(sup);
	return 0;
}

static void
supervisor_scale_by(struct supervisor *sup, int difference)
{
	struct error err;
	unsigned count;

	if (sup->current == NULL)
		return;
	count = (unsigned)((int)sup->current->wanted + difference);
	if (supervisor_scale(sup, count, &err) == -1)
		log_warn("%s", err.text);
}

void
supervisor_stop(struct supervisor *sup, bool now)
{
	struct child *ch;

	if (sup->stopping)
		now = true;
	else
		log_info("stopping: %s", now ? "at once" : "draining");
	if (now && sup->stopping && !sup->stop_forced)
		log_info("stopping: at once after all");
	sup->stopping = true;
	sup->stop_forced |= now;
	notify_stopping();
	/* Our copies; what is queued stays until the workers close theirs. */
	listener_set_done(&sup->listeners);
	TAILQ_FOREACH(ch, &sup->children, next) {
		child_retire(ch, MESSAGE_STOP);
		if (now)
			child_force(ch);
	}
	if (sup->next != NULL) {
		generation_unref(sup->next);
		sup->next = NULL;
		command_reload_ended(sup, false, "the server is stopping");
	}
	supervisor_settle_soon(sup);
}

void
supervisor_reopen(struct supervisor *sup)
{
	const struct generation *gen = sup->current;
	struct child *ch;
	struct error err;

	buf_clear(&sup->reopen_failures);
	if (gen != NULL) {
		privileges_give_file(&gen->privileges, gen->config->log.file.p);
		if (gen->config->access_log.enabled)
			privileges_give_file(&gen->privileges,
			    gen->config->access_log.file.p);
	}
	if (log_reopen(&err) == -1) {
		log_error("%s", err.text);
		buf_printf(&sup->reopen_failures, "%s\n", err.text);
	}
	log_info("log files opened again");
	TAILQ_FOREACH(ch, &sup->children, next)
		child_reopen(ch);
	bridge_child_reopen(&sup->bridge);
	supervisor_settle_soon(sup);
}

/* --- signals --- */

/* What died without a message of its own is told apart by its pid. */
static void
supervisor_reap(struct supervisor *sup)
{
	struct child *ch;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		TAILQ_FOREACH(ch, &sup->children, next)
			if (ch->pid == pid)
				break;
		if (ch != NULL)
			child_on_death(ch, status);
		else if (pid == sup->bridge.pid)
			bridge_child_on_death(&sup->bridge, status);
	}
}

static void
supervisor_on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct supervisor *sup = arg;

	switch (signo) {
	case SIGCHLD:
		supervisor_reap(sup);
		break;
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		log_info("got SIG%s", sigabbrev_np((int)signo));
		supervisor_stop(sup, false);
		break;
	case SIGHUP:
		log_info("got SIGHUP");
		command_reload(sup, NULL);
		break;
	case SIGUSR1:
		supervisor_reopen(sup);
		break;
	case SIGUSR2:
		log_warn("got SIGUSR2: upgrade is not available in this build; "
		    "stop and start");
		break;
	case SIGTTIN:
		supervisor_scale_by(sup, 1);
		break;
	case SIGTTOU:
		supervisor_scale_by(sup, -1);
		break;
	}
}

static int
supervisor_catch_signals(struct supervisor *sup, struct error *err)
{
	static const int wanted[SUPERVISOR_SIGNALS] = {SIGCHLD, SIGTERM, SIGINT,
	    SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++) {
		sup->signals[i] = evsignal_new(sup->base, wanted[i],
		    supervisor_on_signal, sup);
		if (sup->signals[i] == NULL ||
		    event_add(sup->signals[i], NULL) == -1)
			return error_nomem(err, "a signal handler");
	}
	return 0;
}

/* --- start and end --- */

static int
supervisor_make_events(struct supervisor *sup, struct error *err)
{
	const struct timeval tick = {.tv_usec = SUPERVISOR_TICK_MS * 1000};
	uint64_t ms = notify_watchdog_interval_ms();
	struct timeval watchdog = {.tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	sup->base = event_base_new();
	if (sup->base == NULL)
		return error_nomem(err, "an event loop");
	sup->tick = event_new(sup->base, -1, EV_PERSIST, supervisor_on_tick,
	    sup);
	sup->settle = event_new(sup->base, -1, 0, supervisor_on_settle, sup);
	sup->repair = event_new(sup->base, -1, 0, supervisor_on_repair, sup);
	if (sup->tick == NULL || sup->settle == NULL || sup->repair == NULL ||
	    event_add(sup->tick, &tick) == -1)
		return error_nomem(err, "a timer");
	if (ms > 0) {
		sup->systemd = event_new(sup->base, -1, EV_PERSIST,
		    supervisor_on_systemd, sup);
		if (sup->systemd == NULL ||
		    event_add(sup->systemd, &watchdog) == -1)
			return error_nomem(err, "a timer");
	}
	return supervisor_catch_signals(sup, err);
}

/* Everything that comes before the first worker.  On failure the parts made so
 * far are supervisor_done()'s. */
static int
supervisor_open(struct supervisor *sup, const struct generation *gen,
    struct error *err)
{
	const struct config *cfg = gen->config;

	if (supervisor_make_events(sup, err) == -1)
		return -1;
	if (log_open(cfg->log.file.p, (enum log_level)cfg->log.level,
	    (enum log_format)cfg->log.format, err) == -1)
		return error_wrap(err, "log");
	sup->log_is_file = cfg->log.file.p[0] == '/';
	log_set_process("supervisor");
	if (instance_open(cfg->run_dir.p, &sup->instance, err) == -1)
		return -1;
	sup->shared = shared_new(err);
	if (sup->shared == NULL)
		return -1;
	sup->recorders = recorders_new(err);
	if (sup->recorders == NULL)
		return -1;
	sup->rate_cells = (size_t)cfg->limits.rate_cells;
	sup->rates = rates_new(sup->rate_cells, err);
	if (sup->rates == NULL)
		return -1;
	sup->channels = channels_new(cfg, gen->max_workers, err);
	if (sup->channels == NULL)
		return -1;
	sup->bridge_figures = bridge_figures_new(err);
	if (sup->bridge_figures == NULL)
		return -1;
	sup->control = control_open(sup->base, cfg->run_dir.p, command_run,
	    sup, err);
	return sup->control == NULL ? -1 : 0;
}

static void
supervisor_free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

static void
supervisor_done(struct supervisor *sup)
{
	generation_unref(sup->next);
	generation_unref(sup->current);
	listener_set_done(&sup->listeners);
	if (sup->shared != NULL)
		shared_free(sup->shared);
	recorders_free(sup->recorders);
	rates_free(sup->rates, sup->rate_cells);
	bridge_figures_free(sup->bridge_figures);
	channels_free(sup->channels);
	instance_close(&sup->instance);
	/* Last: a command that waits for our end sees its socket close. */
	control_close(sup->control);
	buf_done(&sup->reopen_failures);
	for (size_t i = 0; i < SUPERVISOR_SIGNALS; i++)
		supervisor_free_event(sup->signals[i]);
	supervisor_free_event(sup->tick);
	supervisor_free_event(sup->settle);
	supervisor_free_event(sup->repair);
	supervisor_free_event(sup->systemd);
	if (sup->base != NULL)
		event_base_free(sup->base);
}

void
supervisor_forget(struct supervisor *sup)
{
	struct child *ch;

	/* A loop of our own first: the epoll instance is shared with the
	 * supervisor, and deleting events from it would make him deaf. */
	if (event_reinit(sup->base) == 0)
		event_base_free(sup->base);
	control_forget(sup->control);
	instance_forget(&sup->instance);
	TAILQ_FOREACH(ch, &sup->children, next)
		if (ch->fd != -1)
			close(ch->fd);
	if (sup->bridge.fd != -1)
		close(sup->bridge.fd);
}

void
supervisor_refuse_start(const struct supervisor *sup, const char *why)
{
	struct str line, rest = str_of(why);

	/* The log, where it is a file, is not where he looks. */
	while (str_cut(&rest, '\n', &line)) {
		if (line.len == 0)
			continue;
		fprintf(stderr, "corelane: %.*s\n", STR_FMT(line));
		if (sup->log_is_file)
			log_error("%.*s", STR_FMT(line));
	}
}

static void
supervisor_log_totals(struct supervisor *sup)
{
	struct stats_view view;
	uint64_t up_s;

	/* A last repair: a lock that a dead worker held would hide totals. */
	shared_repair(sup->shared);
	if (shared_view(sup->shared, &view) == -1) {
		log_info("stopped");
		return;
	}
	up_s = (supervisor_now_ms() - sup->started_ms) / 1000;
	log_info("stopped after %llu s: %llu connections, %llu requests, "
	    "%llu crash%s, %llu reload%s", (unsigned long long)up_s,
	    (unsigned long long)view.total.connections,
	    (unsigned long long)view.total.requests,
	    (unsigned long long)sup->crashes, sup->crashes == 1 ? "" : "es",
	    (unsigned long long)sup->reloads, sup->reloads == 1 ? "" : "s");
	stats_view_done(&view);
}

/* Serves, with everything open, until the end. */
static int
supervisor_serve(struct supervisor *sup)
{
	sup->ticked_ms = supervisor_now_ms();
	supervisor_settle(sup);
	event_base_dispatch(sup->base);
	if (sup->current == NULL && !sup->stopping)
		return 1;
	command_stopped(sup);
	supervisor_log_totals(sup);
	return sup->exit_code;
}

int
supervisor_run(const struct supervisor_options *options)
{
	struct supervisor sup = {
		.options = options,
		.pid = getpid(),
		.instance = {.lock_fd = -1},
		.started_ms = supervisor_now_ms(),
		.started_real_ms = clock_now_real_ms(),
		.reload_ok = true,
	};
	struct generation *gen;
	struct error err;
	struct buf why;
	int code = 1;

	TAILQ_INIT(&sup.children);
	TAILQ_INIT(&sup.orders);
	bridge_child_init(&sup.bridge, &sup);
	listener_set_init(&sup.listeners);
	buf_init(&sup.reopen_failures, 16384);
	buf_init(&why, 0);
	if (sched_getaffinity(0, sizeof(sup.cpus), &sup.cpus) == -1)
		CPU_ZERO(&sup.cpus);
	setproctitle("supervisor");
	gen = generation_load(options->file, options->workers, &why);
	if (gen == NULL) {
		/* As they are: an editor jumps to "file:line:column:". */
		fprintf(stderr, "%.*s", STR_FMT(buf_str(&why)));
	} else if (supervisor_open(&sup, gen, &err) == -1) {
		supervisor_refuse_start(&sup, err.text);
		generation_unref(gen);
	} else {
		log_info("corelane " CORELANE_VERSION " starts: pid %d, "
		    "configuration %s, %u worker%s", (int)sup.pid,
		    gen->config->file.p, gen->wanted,
		    gen->wanted == 1 ? "" : "s");
		if (reload_begin_with(&sup, gen, &why) == -1)
			supervisor_refuse_start(&sup, buf_str(&why).p);
		else
			code = supervisor_serve(&sup);
	}
	supervisor_done(&sup);
	buf_done(&why);
	return code;
}
