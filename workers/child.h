/* SPDX-License-Identifier: MIT */
/*
 * One worker as the supervisor sees it: a post that a process fills.
 *
 *	        fork            READY            shares
 *	 new ---------> STARTING -----> SERVING <------- supervisor_assign()
 *	                 |    |          |    |
 *	      died, late |    |          |    | heartbeat stale
 *	                 |    | retire   |    +----------------> STALLED
 *	                 |    +-----+----+ retire                 |   |
 *	                 |          |    | died                   |   |
 *	  back-off over  v          |    v                   died |   |
 *	  STARTING <-- WAITING <----|----+------------------------+   |
 *	                 | retire   v                                 |
 *	                 |       DRAINING --> died                    | died,
 *	                 v          |         v                       | retired
 *	                 +--------> GONE <----+-----------------------+
 *
 * `retired` says that nobody wants the process back: scaled down, an old
 * generation, a failed one, or the whole server stopping.  One that dies
 * retired is GONE and freed when the loop comes round; one that dies otherwise
 * is WAITING for its back-off, and its siblings adopt its shares meanwhile.
 *
 * child_move() is the only writer of `state` and checks the arrows.  Every move
 * ends in supervisor_settle_soon(), which looks at all children together and
 * does what follows: nothing of that kind happens in here.
 *
 * Owns: the process, its slot in the shared region, our end of its pair.
 * Here: fork, messages, death, back-off, the deadlines of one worker.  Not
 * here: how many there are and who accepts what (workers/supervisor.c).
 * Context: the supervisor's loop; main.c -> supervisor.c -> [child.c] ->
 * worker.c.
 */
#ifndef CORELANE_WORKERS_CHILD_H
#define CORELANE_WORKERS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <corelane/module.h>

#include "common/error.h"
#include "workers/autopsy.h"
#include "workers/message.h"
#include "workers/shares.h"

struct event;
struct generation;
struct supervisor;

enum child_state {
	CHILD_STARTING,		/* forked, has not said READY */
	CHILD_SERVING,		/* accepts from the shares it was given */
	CHILD_STALLED,		/* its loop doesn't turn: being killed */
	CHILD_DRAINING,		/* accepts no more, finishes, exits */
	CHILD_WAITING,		/* no process: died, back-off runs */
	CHILD_GONE,		/* no process, and none wanted: to be freed */
	CHILD_STATE_COUNT
};

struct child {
	TAILQ_ENTRY(child) next;
	struct supervisor *sup;		/* borrowed */
	struct generation *generation;	/* a reference */
	unsigned index;			/* "worker 3" */
	enum child_state state;
	bool retired;			/* not to be replaced */
	bool forced;			/* was told to exit at once */
	bool reopening;			/* has yet to answer REOPEN */
	pid_t pid;			/* 0: no process */
	int slot;			/* in the shared region, or -1 */
	int fd;				/* our end of the pair, or -1 */
	struct event *event;		/* its messages; NULL: no process */
	struct shares shares;		/* what it was told to accept from */
	int64_t started_real_ms;
	uint64_t started_ms;
	uint64_t moved_ms;		/* when it came into this state */
	uint64_t deadline_ms;		/* of this state; 0: none */
	uint64_t beat_ms;		/* the last heartbeat seen */
	uint64_t beat_age_ms;		/* how long it hasn't changed, by our
					 * own ticks: a machine that slept
					 * has no stalled workers */
	uint64_t backoff_ms;		/* the next delay after a death */
	char failure[MESSAGE_TEXT_BYTES];	/* what FAILED said, or "" */
	bool has_crashed; /* and no successor knows it yet */
	struct autopsy autopsy;		/* of the last death */
	struct lane_crash crash; /* the same for modules: slices of it */
};

TAILQ_HEAD(child_list, child);

/* Adds a post to the supervisor's list and starts its process; where that
 * fails the child is WAITING, or GONE with the generation's failure set. */
void child_add(struct supervisor *sup, struct generation *gen, unsigned index);

/* Starts the process of a WAITING child whose back-off is over. */
void child_restart(struct child *ch);

/* Gives it this set of shares, unless it has just that. */
void child_assign(struct child *ch, const struct shares *shares);

/*
 * Lets it finish and not come back.
 * how: MESSAGE_DRAIN, or MESSAGE_STOP when the whole server stops.
 */
void child_retire(struct child *ch, enum message_type how);

/* Makes a retired one exit now, by word and a second later by SIGKILL. */
void child_force(struct child *ch);

/* Asks it to open its logs again: `reopening` until it has answered. */
void child_reopen(struct child *ch);

/* Its process was reaped with this wait status. */
void child_on_death(struct child *ch, int status);

/* Every 100 ms: heartbeat and deadlines. */
void child_tick(struct child *ch, uint64_t now_ms, uint64_t elapsed_ms);

/* Frees a GONE child: the supervisor, when the loop comes round. */
void child_free(struct child *ch);

const char *child_state_name(enum child_state state);

#endif
