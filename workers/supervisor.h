/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: one single-threaded process that makes every listener, forks
 * the workers, watches them, and does what signals and commands ask for.  It
 * never touches a client's bytes.
 *
 * It works by settling.  Signals, commands, messages and deaths only note what
 * is wanted or what happened; then, once the loop comes round,
 * supervisor_settle() looks at everything together and closes the gap:
 *
 *	bury	free the children that are GONE
 *	prove	is the next generation ready, or has it failed?
 *	fill	a worker for every post, none beyond
 *	assign	who accepts from which sockets, by the plan of shares.h
 *	answer	commands whose end has come
 *
 * Each step reads the present state and may run at any time, so that a crash
 * during a reload during a scale-down needs no code of its own.
 *
 * Owns: everything below; freed at the end of supervisor_run().
 * Here: the process as a whole.  Not here: one worker (child.h), the change of
 * generations (reload.h), what commands say (command.h).
 * Context: the supervisor's loop; main.c -> [supervisor.c] -> child.c ->
 * worker.c.
 */
#ifndef CORELANE_WORKERS_SUPERVISOR_H
#define CORELANE_WORKERS_SUPERVISOR_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "workers/channels.h"
#include "workers/bridge_child.h"
#include "workers/bridge_figures.h"
#include "workers/child.h"
#include "workers/command.h"
#include "workers/generation.h"
#include "workers/instance.h"
#include "workers/listener.h"
#include "workers/rates.h"
#include "workers/recorder.h"
#include "workers/shared.h"

struct control;
struct event_base;

#define SUPERVISOR_SIGNALS 9

struct supervisor_options {
	const char *file;	/* the configuration */
	unsigned workers;	/* -w, or 0: as the file says */
};

struct supervisor {
	const struct supervisor_options *options;	/* borrowed */
	pid_t pid;
	struct event_base *base;
	struct event *signals[SUPERVISOR_SIGNALS];
	struct event *tick;		/* every 100 ms */
	struct event *settle;		/* made active when there is a reason */
	struct event *repair;		/* while a lock awaits its repair */
	struct event *systemd;		/* its watchdog; NULL: not asked for */
	struct instance instance;
	struct control *control;
	struct order_list orders;	/* commands that await their end */
	struct shared *shared;
	struct recorders *recorders;
	struct rate_table *rates;
	size_t rate_cells;	/* as many as it was made with */
	struct channels *channels;
	struct listener_set listeners;
	unsigned share_count;		/* sockets of each address, in use */
	struct generation *current;	/* serves; NULL before the start */
	struct generation *next;	/* proves itself, or NULL */
	struct child_list children;	/* of all generations */
	struct bridge_child bridge;
	struct bridge_figures *bridge_figures;
	unsigned generations;		/* made so far */
	unsigned restarts[SHARED_WORKERS_MAX];	/* by worker */
	cpu_set_t cpus;			/* those we may use */
	struct buf reopen_failures;	/* what workers said to REOPEN */
	uint64_t ticked_ms;
	uint64_t started_ms;
	int64_t started_real_ms;
	uint64_t crashes, stalls;
	uint64_t reloads, reloads_failed;
	int64_t reload_real_ms;
	bool reload_ok;			/* how the last one ended */
	bool reload_again;		/* asked for while one was under way */
	bool log_is_file;		/* not a standard stream */
	bool stopping;			/* no way back */
	bool stop_forced;
	int exit_code;
};

/* Serves until it is told to stop.  Returns the exit code of the process. */
int supervisor_run(const struct supervisor_options *options);

/* --- what signals and commands may ask for --- */

/* Wants `count` workers.  Returns 0, or -1 when it is out of bounds. */
int supervisor_scale(struct supervisor *sup, unsigned count, struct error *err);

/* Stops: every worker drains; asked again, or `now`: at once. */
void supervisor_stop(struct supervisor *sup, bool now);

/* Opens all log files again. */
void supervisor_reopen(struct supervisor *sup);

/* --- for child.c, reload.c and command.c --- */

/* Has supervisor_settle() run when the loop comes round; and lock repair. */
void supervisor_settle_soon(struct supervisor *sup);
void supervisor_repair_soon(struct supervisor *sup);

/* Gives each serving worker of the current generation its shares, now. */
void supervisor_assign(struct supervisor *sup);

/* Tells readers of the statistics how the whole is; settling does, too. */
void supervisor_publish(const struct supervisor *sup);

/* The core that a child is pinned to, or -1. */
int supervisor_cpu(const struct supervisor *sup, const struct child *ch);

/* Remembers what a worker said for the answer to `reopen`. */
void supervisor_note_reopen_failure(struct supervisor *sup, unsigned index,
    const char *text);

/* How many children of `gen` (NULL: any) are in `state`. */
unsigned supervisor_count(const struct supervisor *sup,
    const struct generation *gen, enum child_state state);

/* Says why there is no server, where whoever started it looks. */
void supervisor_refuse_start(const struct supervisor *sup, const char *why);

/* In a forked worker: lets go of all that is the supervisor's alone. */
void supervisor_forget(struct supervisor *sup);

#endif
