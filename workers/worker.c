/* SPDX-License-Identifier: MIT */
/*
 * One worker's life: see worker.h.
 *
 *	become	title, core, privileges, loop, server, acceptor
 *	ready	tells the supervisor, who gives it shares
 *	serve	one turn of the loop after another
 *	drain	accepts no more clients, until none is left or time is up
 *	leave	publishes its last counts, exits
 *
 * Owns: its loop, its server, its logs.
 * Here: the process.  Not here: what clients see, accepting.
 * Context: a process of its own; child.c -> [worker.c] -> acceptor.c.
 */
#include "workers/worker.h"

#include <bsd/unistd.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "server/server.h"
#include "workers/acceptor.h"
#include "workers/bridge_figures.h"
#include "workers/channels.h"
#include "workers/crash.h"
#include "workers/message.h"

#define WORKER_TICK_MS 100
#define WORKER_GAUGE_TICKS 10		/* memory and processor time */
#define WORKER_LOST_QUIET_MS 60000
#define WORKER_TRIM_BYTES ((uint64_t)1 << 20)

struct worker {
	const struct worker_args *args;
	struct event_base *base;
	struct server *server;
	struct acceptor *acceptor;	/* NULL once it is replaced */
	struct shares shares;		/* what we accept from */
	struct stats *stats;		/* our own counts */
	struct server_ops ops;
	struct event *message_event, *tick_event, *term_event;
	int access_log_fd;		/* -1: none */
	bool access_log_owned;		/* not one of our standard streams */
	int statm_fd;			/* /proc/self/statm, or -1 */
	uint64_t trimmed_bytes;		/* memory when it was last trimmed */
	uint64_t lost_lines;		/* of the access log, as told */
	uint64_t lost_quiet_ms;		/* not told again before */
	unsigned ticks;
	bool started, draining, done;
	uint64_t drain_until_ms;
};

static uint64_t
worker_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* --- what the server asks of us --- */

static int
worker_stats_view(void *ctx, struct stats_view *ret_view)
{
	struct worker *w = ctx;

	if (shared_view(w->args->shared, ret_view) == -1)
		return -1;
	channels_add_figures(w->args->channels, ret_view);
	if (w->args->config->cluster != NULL)
		bridge_figures_view(w->args->bridge_figures,
		    &ret_view->cluster);
	return 0;
}

static void
worker_beat(void *ctx)
{
	struct worker *w = ctx;

	shared_beat(w->args->shared, worker_now_ms());
}

static bool
worker_is_ready(void *ctx, const char **ret_reason)
{
	struct worker *w = ctx;
	struct stats_view view;
	bool stopping;

	*ret_reason = "this worker drains";
	if (w->draining)
		return false;
	if (shared_view(w->args->shared, &view) == -1)
		return true;	/* busy for a moment, and we serve */
	stopping = view.draining;
	stats_view_done(&view);
	*ret_reason = stopping ? "the server is stopping" : NULL;
	return !stopping;
}

/* --- the access log --- */

/*
 * A standard stream is opened anew, so that our O_NONBLOCK isn't everybody's
 * who has it: a pipe that nobody reads must not stop a worker.  What can't be
 * opened that way (a socket) is used as it is.
 */
static int
worker_open_stream(int stream, bool *ret_owned)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", stream);
	fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC |
	    O_NOCTTY);
	*ret_owned = fd != -1;
	return fd != -1 ? fd : stream;
}

static int
worker_open_access_log(const struct config *cfg, bool *ret_owned, int *ret_fd,
    struct error *err)
{
	const char *path = cfg->access_log.file.p;
	int fd;

	*ret_owned = false;
	*ret_fd = -1;
	if (!cfg->access_log.enabled)
		return 0;
	if (strcmp(path, "stdout") == 0 || strcmp(path, "stderr") == 0) {
		*ret_fd = worker_open_stream(strcmp(path, "stdout") == 0 ?
		    STDOUT_FILENO : STDERR_FILENO, ret_owned);
		return 0;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY, 0640);
	if (fd == -1)
		return error_sys(err, "access_log: open '%s'", path);
	*ret_owned = true;
	*ret_fd = fd;
	return 0;
}

static void
worker_reopen(struct worker *w)
{
	struct error err;
	bool owned;
	int fd;

	error_clear(&err);
	if (log_reopen(&err) == 0 && worker_open_access_log(w->args->config,
	    &owned, &fd, &err) == 0 && fd != -1) {
		server_set_access_log(w->server, fd);
		if (w->access_log_owned)
			close(w->access_log_fd);
		w->access_log_fd = fd;
		w->access_log_owned = owned;
	}
	(void)message_send(w->args->supervisor_fd, MESSAGE_REOPENED, NULL,
	    err.code != ERROR_NONE ? err.text : NULL);
}

/* --- drain --- */

/*
 * Accepts no more.  The events go before the sockets, because a socket that
 * the siblings have too stays in our epoll after close(); and the sockets go at
 * once, because one that we kept would keep its queue alive, unread.
 */
static void
worker_leave_listeners(struct worker *w)
{
	acceptor_free(w->acceptor);
	w->acceptor = NULL;
	listener_set_close(w->args->listeners);
}

/* The same where nobody takes over: the operator's address is served to the
 * end, so that /ready can say that it ends. */
static void
worker_leave_clients(struct worker *w)
{
	acceptor_take_queued(w->acceptor);
	acceptor_keep_admin(w->acceptor);
	listener_set_keep_admin(w->args->listeners, w->args->config,
	    &w->shares);
}

static void
worker_drain(struct worker *w, bool everybody_stops)
{
	size_t count;

	if (w->draining)
		return;
	w->draining = true;
	w->drain_until_ms = worker_now_ms() +
	    (uint64_t)w->args->config->timeouts.drain_ms;
	if (everybody_stops)
		worker_leave_clients(w);
	else
		worker_leave_listeners(w);
	count = server_connection_count(w->server);
	log_info("draining %zu connection%s", count, count == 1 ? "" : "s");
	server_drain(w->server);
}

static void
worker_check_drain(struct worker *w)
{
	if (!w->draining || w->done)
		return;
	if (server_is_drained(w->server)) {
		w->done = true;
	} else if (worker_now_ms() >= w->drain_until_ms) {
		log_warn("drained for %lld s: closing %zu connections",
		    (long long)w->args->config->timeouts.drain_ms / 1000,
		    server_connection_count(w->server));
		w->done = true;
	}
}

/* --- events --- */

static void
worker_on_message(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct message m;
	int rc;

	while ((rc = message_receive(fd, &m)) == 1) {
		switch (m.type) {
		case MESSAGE_SHARES:
			if (w->draining)
				break;
			w->shares = m.shares;
			acceptor_set_shares(w->acceptor, &m.shares);
			break;
		case MESSAGE_DRAIN:
		case MESSAGE_STOP:
			worker_drain(w, m.type == MESSAGE_STOP);
			break;
		case MESSAGE_QUIT:
			w->done = true;
			break;
		case MESSAGE_REOPEN:
			worker_reopen(w);
			break;
		case MESSAGE_READY:
		case MESSAGE_FAILED:
		case MESSAGE_RETIRE:
		case MESSAGE_REOPENED:
			break;		/* ours to say */
		}
	}
	/* The supervisor is gone: nobody watches us, nobody could stop us. */
	if (rc == -1)
		w->done = true;
}

/* SIGTERM to one worker: only the supervisor can see to its sockets. */
static void
worker_on_term(evutil_socket_t signo, short what, void *arg)
{
	struct worker *w = arg;

	(void)message_send(w->args->supervisor_fd, MESSAGE_RETIRE, NULL, NULL);
}

static void
worker_measure(struct worker *w)
{
	struct timespec ts;
	unsigned long long resident;
	char text[128];
	ssize_t n;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0)
		w->stats->cpu_ms = (uint64_t)ts.tv_sec * 1000 +
		    (uint64_t)ts.tv_nsec / 1000000;
	n = w->statm_fd == -1 ? -1 : pread(w->statm_fd, text, sizeof(text) - 1,
	    0);
	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%*u %llu", &resident) == 1)
		w->stats->memory_bytes = resident *
		    (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Gives memory back after a burst.  What thousands of busy connections had is
 * free again, but in pieces between what is still used, which the allocator
 * keeps unless it is told; while nothing is being answered there is time to.
 */
static void
worker_trim(struct worker *w)
{
	uint64_t now = w->stats->memory_bytes;

	if (now < w->trimmed_bytes)
		w->trimmed_bytes = now;
	if (w->stats->requests_active > 0 ||
	    now < w->trimmed_bytes + w->trimmed_bytes / 4 + WORKER_TRIM_BYTES)
		return;
	malloc_trim(0);
	worker_measure(w);
	w->trimmed_bytes = w->stats->memory_bytes;
}

/* A full disk fills no log with complaints about it. */
static void
worker_tell_lost_lines(struct worker *w)
{
	uint64_t lost = w->stats->log_dropped - w->lost_lines;
	uint64_t now_ms = worker_now_ms();

	if (lost == 0 || now_ms < w->lost_quiet_ms)
		return;
	log_warn("access log: %llu line%s lost: %s", (unsigned long long)lost,
	    lost == 1 ? "" : "s",
	    strerror(server_access_log_error(w->server)));
	w->lost_lines = w->stats->log_dropped;
	w->lost_quiet_ms = now_ms + WORKER_LOST_QUIET_MS;
}

static void
worker_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	server_tick(w->server);
	worker_tell_lost_lines(w);
	if (w->ticks++ % WORKER_GAUGE_TICKS == 0) {
		worker_measure(w);
		worker_trim(w);
	}
	shared_beat(w->args->shared, worker_now_ms());
	(void)shared_publish(w->args->shared, w->stats);
	worker_check_drain(w);
}

/* --- becoming --- */

static void
worker_pin(int cpu)
{
	cpu_set_t set;

	if (cpu == -1)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	/* Only speed is lost where it is refused. */
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		log_warn("can't be pinned to core %d: %s", cpu,
		    strerror(errno));
}

/*
 * Ctrl-C and a service manager's TERM reach the whole group: what the
 * supervisor decides about is not ours to obey.  SIGTERM is caught later, once
 * there is a loop; until then all signals are blocked.
 */
static void
worker_reset_signals(void)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2,
	    SIGTTIN, SIGTTOU, SIGPIPE};

	for (int signo = 1; signo < NSIG; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			(void)signal(signo, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
}

static int
worker_make_loop(struct worker *w, struct error *err)
{
	struct event_config *ec = event_config_new();

	/* One thread uses it: no locks. */
	if (ec != NULL) {
		event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK);
		w->base = event_base_new_with_config(ec);
		event_config_free(ec);
	}
	return w->base != NULL ? 0 : error_nomem(err, "an event loop");
}

static int
worker_make_events(struct worker *w, struct error *err)
{
	const struct timeval tick = {.tv_usec = WORKER_TICK_MS * 1000};
	sigset_t none;

	w->message_event = event_new(w->base, w->args->supervisor_fd,
	    EV_READ | EV_PERSIST, worker_on_message, w);
	w->tick_event = event_new(w->base, -1, EV_PERSIST, worker_on_tick, w);
	w->term_event = evsignal_new(w->base, SIGTERM, worker_on_term, w);
	if (w->message_event == NULL || w->tick_event == NULL ||
	    w->term_event == NULL || event_add(w->message_event, NULL) == -1 ||
	    event_add(w->tick_event, &tick) == -1 ||
	    event_add(w->term_event, NULL) == -1)
		return error_nomem(err, "an event");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static int
worker_make_server(struct worker *w, struct error *err)
{
	const struct worker_args *args = w->args;

	w->ops = (struct server_ops){
		.stats_view = worker_stats_view,
		.is_ready = worker_is_ready,
		.ctx = w,
		.beat = worker_beat,
	};
	w->server = server_new(&(struct server_args){
		.base = w->base,
		.config = args->config,
		.stats = w->stats,
		.ops = &w->ops,
		.worker = args->index,
		.connections_max = args->connections_max,
		.access_log_fd = w->access_log_fd,
		.recorder = args->recorder,
		.rate = args->rates,
		.metrics = shared_metric_names(args->shared),
		.channels = channels_log(args->channels),
		.channel_reader = (unsigned)args->slot,
		.channel_wake_fd =
		    channels_wake_fd(args->channels, (unsigned)args->slot),
		.crash = args->crash,
	}, err);
	if (w->server == NULL)
		return -1;
	w->acceptor = acceptor_new(&(struct acceptor_args){
		.base = w->base,
		.listeners = args->listeners,
		.config = args->config,
		.server = w->server,
		.stats = w->stats,
	}, err);
	return w->acceptor != NULL ? 0 : -1;
}

static int
worker_open(struct worker *w, struct error *err)
{
	const struct worker_args *args = w->args;

	w->stats = calloc(1, sizeof(*w->stats));
	if (w->stats == NULL)
		return error_nomem(err, "statistics");
	w->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	/* A socket of an address that only others serve would keep its queue
	 * alive, unread. */
	listener_set_restrict(args->listeners, args->config);
	/* Logs are opened before root is gone, as they will be reopened: the
	 * supervisor has given their files to us. */
	if (worker_open_access_log(args->config, &w->access_log_owned,
	    &w->access_log_fd, err) == -1 ||
	    privileges_drop(args->privileges, err) == -1)
		return -1;
	/* After the change of user, which would clear it.  Whoever kills the
	 * supervisor kills us: an orphan would keep its listeners. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return error_sys(err, "PR_SET_PDEATHSIG");
	if (getppid() != args->supervisor_pid)
		return error_set(err, ERROR_SYSTEM, "the supervisor is gone");
	if (crash_init(args->recorder, err) == -1 ||
	    worker_make_loop(w, err) == -1 || worker_make_server(w, err) == -1)
		return -1;
	crash_note_objects(args->recorder);
	return worker_make_events(w, err);
}

static void
worker_free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

static void
worker_close(struct worker *w)
{
	acceptor_free(w->acceptor);
	server_free(w->server);
	/* Once more, for what the last turn counted: see shared.h. */
	for (int i = 0; w->stats != NULL && i < 100; i++)
		if (shared_publish(w->args->shared, w->stats))
			break;
	worker_free_event(w->message_event);
	worker_free_event(w->tick_event);
	worker_free_event(w->term_event);
	if (w->base != NULL)
		event_base_free(w->base);
	if (w->access_log_owned)
		close(w->access_log_fd);
	if (w->statm_fd != -1)
		close(w->statm_fd);
	listener_set_close(w->args->listeners);
	free(w->stats);
}

/* Modules may have things to do before clients come: until then the loop turns
 * and nobody is accepted.  Returns false when they have failed. */
static bool
worker_check_started(struct worker *w)
{
	struct error err;

	error_clear(&err);
	switch (server_state(w->server, &err)) {
	case SERVER_STARTING:
		return true;
	case SERVER_STARTED:
		w->started = true;
		(void)message_send(w->args->supervisor_fd, MESSAGE_READY, NULL,
		    NULL);
		return true;
	case SERVER_FAILED:
		break;
	}
	(void)message_send(w->args->supervisor_fd, MESSAGE_FAILED, NULL,
	    err.text);
	return false;
}

/* Returns the process's exit code. */
static int
worker_serve(struct worker *w)
{
	shared_beat(w->args->shared, worker_now_ms());
	while (!w->done) {
		if (!w->started && !worker_check_started(w))
			return 1;
		event_base_loop(w->base, EVLOOP_ONCE);
		server_turn(w->server);
		if (w->acceptor != NULL)
			acceptor_turn(w->acceptor);
		worker_check_drain(w);
	}
	return 0;
}

int
worker_run(const struct worker_args *args)
{
	struct worker w = {.args = args, .access_log_fd = -1, .statm_fd = -1};
	struct error err;
	char name[32];
	int code = 0;

	worker_reset_signals();
	snprintf(name, sizeof(name), "worker %u", args->index);
	log_set_process(name);
	setproctitle("%s (gen %u)", name, args->generation);
	worker_pin(args->cpu);
	shared_enter_process(args->shared, args->slot);
	if (worker_open(&w, &err) == 0) {
		code = worker_serve(&w);
	} else {
		(void)message_send(args->supervisor_fd, MESSAGE_FAILED, NULL,
		    err.text);
		code = 1;
	}
	worker_close(&w);
	return code;
}
