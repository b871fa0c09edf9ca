/* SPDX-License-Identifier: MIT */
/*
 * The bridge's life: see bridge.h.
 *
 *	become	title, privileges, loop, link
 *	serve	woken by the log, by Redis, by its tick
 *	leave	sends what the log still has, for as long as that takes Redis a
 *		moment, and exits
 *
 * Owns: its loop, the link, both directions.
 * Here: the process.  Not here: what is sent and received.
 * Context: a process of its own.
 */
#include "workers/bridge.h"

#include <bsd/unistd.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/bridge_in.h"
#include "workers/bridge_link.h"
#include "workers/bridge_out.h"
#include "workers/message.h"

#define BRIDGE_TICK_MS 100
/* What it may take to send the rest, once it is told to leave. */
#define BRIDGE_LEAVE_MS 1000
/* How long reading what was missed may put off sending. */
#define BRIDGE_SEND_MS 2000

struct bridge {
	const struct bridge_args *args;
	struct channel_log *log;
	struct event_base *base;
	struct event *message_event, *wake_event, *tick_event;
	struct bridge_link_args link_args;
	struct bridge_link *link;
	struct bridge_out *out;
	struct bridge_in *in;
	bool is_same, must_send;	/* the link is up, `out` not yet */
	uint64_t send_ms;		/* then it is, in any case */
	bool is_leaving, is_done;
	uint64_t leave_until_ms;
};

static uint64_t
bridge_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* --- the link --- */

static void
bridge_on_up(void *arg, bool is_same)
{
	struct bridge *b = arg;

	channel_log_set_joined(b->log, true);
	bridge_in_up(b->in, b->link, is_same);
	b->must_send = true;
	b->is_same = is_same;
	b->send_ms = bridge_now_ms() + BRIDGE_SEND_MS;
}

/* What others have published is read before we add to it, because streams are
 * bounded: what we send could push out what we have missed. */
static void
bridge_check_send(struct bridge *b)
{
	if (!b->must_send || (!bridge_in_is_settled(b->in) &&
	    bridge_now_ms() < b->send_ms))
		return;
	b->must_send = false;
	bridge_out_up(b->out, b->link, b->is_same);
	bridge_link_remember(b->link);
}

static void
bridge_on_down(void *arg)
{
	struct bridge *b = arg;

	b->must_send = false;
	channel_log_set_joined(b->log, false);
	bridge_in_down(b->in);
	bridge_out_down(b->out);
}

static void
bridge_on_push(void *arg, const struct redisReply *reply)
{
	struct bridge *b = arg;

	bridge_in_push(b->in, reply);
}

static void
bridge_on_heartbeat(void *arg, uint64_t redis_ms)
{
	struct bridge *b = arg;

	bridge_in_heartbeat(b->in, redis_ms);
}

/* --- events --- */

static void
bridge_look(struct bridge *b)
{
	bridge_in_look(b->in);
	bridge_out_turn(b->out);
}

/* The flag goes down before anything is looked at: what comes after that wakes
 * us again. */
static void
bridge_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *b = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == -1)
		count = 0;
	channel_log_taken(b->log, CHANNELS_BRIDGE);
	bridge_look(b);
}

static void
bridge_leave(struct bridge *b)
{
	if (b->is_leaving)
		return;
	b->is_leaving = true;
	b->leave_until_ms = bridge_now_ms() + BRIDGE_LEAVE_MS;
}

static void
bridge_check_leave(struct bridge *b)
{
	if (!b->is_leaving || b->is_done)
		return;
	b->is_done = bridge_out_is_done(b->out) ||
	    !bridge_link_is_up(b->link) || bridge_now_ms() >= b->leave_until_ms;
}

static void
bridge_reopen(struct bridge *b)
{
	struct error err;

	error_clear(&err);
	(void)log_reopen(&err);
	(void)message_send(b->args->supervisor_fd, MESSAGE_REOPENED, NULL,
	    err.code != ERROR_NONE ? err.text : NULL);
}

static void
bridge_on_message(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *b = arg;
	struct message m;
	int rc;

	while ((rc = message_receive(fd, &m)) == 1) {
		switch (m.type) {
		case MESSAGE_DRAIN:
		case MESSAGE_STOP:
			bridge_leave(b);
			break;
		case MESSAGE_QUIT:
			b->is_done = true;
			break;
		case MESSAGE_REOPEN:
			bridge_reopen(b);
			break;
		case MESSAGE_SHARES:
		case MESSAGE_READY:
		case MESSAGE_FAILED:
		case MESSAGE_RETIRE:
		case MESSAGE_REOPENED:
			break;		/* not for us */
		}
	}
	/* The supervisor is gone. */
	if (rc == -1)
		b->is_done = true;
}

static void
bridge_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *b = arg;

	bridge_set(&b->args->figures->heartbeat_ms, bridge_now_ms());
	bridge_look(b);
	bridge_in_tick(b->in);
}

/* --- becoming --- */

/* What the supervisor decides about is not ours to obey; who wants this process
 * gone has SIGKILL, and gets another one. */
static void
bridge_reset_signals(void)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM,
	    SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGPIPE};
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		if (signo != SIGKILL && signo != SIGSTOP)
			(void)signal(signo, SIG_DFL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
bridge_make_loop(struct bridge *b, struct error *err)
{
	struct event_config *ec = event_config_new();

	/* One thread uses it: no locks. */
	if (ec != NULL) {
		event_config_set_flag(ec, EVENT_BASE_FLAG_NOLOCK);
		b->base = event_base_new_with_config(ec);
		event_config_free(ec);
	}
	return b->base != NULL ? 0 : error_nomem(err, "an event loop");
}

static int
bridge_make_events(struct bridge *b, struct error *err)
{
	const struct timeval tick = {.tv_usec = BRIDGE_TICK_MS * 1000};
	int wake_fd = channels_wake_fd(b->args->channels, CHANNELS_BRIDGE);

	b->message_event = event_new(b->base, b->args->supervisor_fd,
	    EV_READ | EV_PERSIST, bridge_on_message, b);
	b->wake_event = event_new(b->base, wake_fd, EV_READ | EV_PERSIST,
	    bridge_on_wake, b);
	b->tick_event = event_new(b->base, -1, EV_PERSIST, bridge_on_tick, b);
	if (b->message_event == NULL || b->wake_event == NULL ||
	    b->tick_event == NULL || event_add(b->message_event, NULL) == -1 ||
	    event_add(b->wake_event, NULL) == -1 ||
	    event_add(b->tick_event, &tick) == -1)
		return error_nomem(err, "an event");
	return 0;
}

static int
bridge_make_parts(struct bridge *b, struct error *err)
{
	const struct bridge_args *args = b->args;
	const struct config_cluster *cluster = args->config->cluster;

	b->out = bridge_out_new(cluster, b->log, CHANNELS_BRIDGE,
	    args->figures, err);
	if (b->out == NULL)
		return -1;
	b->in = bridge_in_new(args->config, b->log, args->figures, err);
	if (b->in == NULL)
		return -1;
	b->link_args = (struct bridge_link_args){
		.base = b->base,
		.config = cluster,
		.figures = args->figures,
		.script = bridge_out_script,
		.on_up = bridge_on_up,
		.on_down = bridge_on_down,
		.on_push = bridge_on_push,
		.on_heartbeat = bridge_on_heartbeat,
		.arg = b,
	};
	b->link = bridge_link_new(&b->link_args, err);
	return b->link != NULL ? 0 : -1;
}

static int
bridge_open(struct bridge *b, struct error *err)
{
	const struct bridge_args *args = b->args;

	/* It serves nobody: a queue that it kept alive would never be read. */
	listener_set_close(args->listeners);
	if (privileges_drop(args->privileges, err) == -1)
		return -1;
	/* After the change of user, which would clear it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		return error_sys(err, "PR_SET_PDEATHSIG");
	if (getppid() != args->supervisor_pid)
		return error_set(err, ERROR_SYSTEM, "the supervisor is gone");
	if (bridge_make_loop(b, err) == -1 || bridge_make_parts(b, err) == -1)
		return -1;
	return bridge_make_events(b, err);
}

static void
bridge_free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

static void
bridge_close(struct bridge *b)
{
	bridge_set(&b->args->figures->is_connected, 0);
	bridge_link_free(b->link);
	bridge_out_free(b->out);
	bridge_in_free(b->in);
	bridge_free_event(b->message_event);
	bridge_free_event(b->wake_event);
	bridge_free_event(b->tick_event);
	if (b->base != NULL)
		event_base_free(b->base);
}

static void
bridge_serve(struct bridge *b)
{
	bridge_set(&b->args->figures->heartbeat_ms, bridge_now_ms());
	(void)message_send(b->args->supervisor_fd, MESSAGE_READY, NULL, NULL);
	channel_log_watch(b->log, CHANNELS_BRIDGE);
	while (!b->is_done) {
		event_base_loop(b->base, EVLOOP_ONCE);
		bridge_check_send(b);
		bridge_check_leave(b);
	}
}

int
bridge_check(const struct config *config, struct config_problems *problems)
{
	return 0;
}

int
bridge_run(const struct bridge_args *args)
{
	struct bridge b = {
		.args = args,
		.log = channels_log(args->channels),
	};
	struct error err;
	int code = 0;

	bridge_reset_signals();
	log_set_process("bridge");
	setproctitle("bridge");
	if (bridge_open(&b, &err) == 0) {
		bridge_serve(&b);
	} else {
		(void)message_send(args->supervisor_fd, MESSAGE_FAILED, NULL,
		    err.text);
		code = 1;
	}
	bridge_close(&b);
	return code;
}
