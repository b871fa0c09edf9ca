/* SPDX-License-Identifier: MIT */
/*
 * The bridge's connections to Redis, of which there are two, because one that
 * subscribes can't be asked anything: up together, down together.
 *
 *	        back-off over           both say yes
 *	WAITING -------------> GREETING -------------> UP
 *	   ^                      |                     | lost, silent, an
 *	   +----------------------+---------------------+ error: link_fail()
 *
 *	greeting	AUTH, SELECT, INFO, TIME, SCRIPT LOAD | AUTH, SUBSCRIBE
 *	heartbeat	TIME, and once that has come SUBSCRIBE to what we are
 *			subscribed to: whatever was published up to that time
 *			has been received when the second answer is here
 *
 * Nothing waits for ever: a connection without an answer to the heartbeat for
 * cluster.timeout is given up, whatever TCP thinks of it.
 *
 * Owns: both connections, their timers.
 * Here: connecting, greeting, heartbeat, back-off, telling the log.  Not here:
 * what is sent (bridge_out.c) and what comes (bridge_in.c).
 * Context: the bridge's loop; bridge.c -> [bridge_link.c].
 */
#ifndef CORELANE_WORKERS_BRIDGE_LINK_H
#define CORELANE_WORKERS_BRIDGE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "config/config.h"
#include "workers/bridge_figures.h"

struct bridge_link;
struct event_base;
struct redisReply;

/* All is borrowed for the link's life. */
struct bridge_link_args {
	struct event_base *base;
	const struct config_cluster *config;
	struct bridge_figures *figures;
	struct str script;	/* what bridge_link_run() runs */
	/* It is up.  is_same: the same Redis, which has not been restarted
	 * since; false: it may have forgotten what it had answered. */
	void (*on_up)(void *arg, bool is_same);
	void (*on_down)(void *arg);
	/* A reply on the subscribing connection: an array. */
	void (*on_push)(void *arg, const struct redisReply *reply);
	/* A heartbeat has been answered: everything that was published before
	 * `redis_ms` has been given to on_push. */
	void (*on_heartbeat)(void *arg, uint64_t redis_ms);
	void *arg;
};

struct bridge_link *bridge_link_new(const struct bridge_link_args *args,
    struct error *err) __attribute__((warn_unused_result));
void bridge_link_free(struct bridge_link *link);

bool bridge_link_is_up(const struct bridge_link *link);

/* All is done that a Redis which isn't the same asks for: the next time, for
 * this bridge or the next, it is.  Whoever dies before begins anew. */
void bridge_link_remember(struct bridge_link *link);

/* Redis's clock, or a little less; 0: never was up. */
uint64_t bridge_link_redis_ms(const struct bridge_link *link);

/* Who is given the reply of a command: once, unless the link goes down before.
 * Lent until then. */
struct bridge_asker {
	void (*fn)(const struct redisReply *reply, void *arg);
	void *arg;
};

/* A command with its words: copied.  Returns 0, or -1 when the link isn't up:
 * then nobody is given anything. */
int bridge_link_ask(struct bridge_link *link, struct bridge_asker *asker,
    const struct str *words, size_t count);
/* The script, with its keys and arguments: words[0] and [1] are left free. */
int bridge_link_run(struct bridge_link *link, struct bridge_asker *asker,
    struct str *words, size_t count);
/* SUBSCRIBE and the like: answers come by on_push. */
int bridge_link_listen(struct bridge_link *link, const struct str *words,
    size_t count);

/* Gives the connections up, with a reason for the log: borrowed. */
void bridge_link_fail(struct bridge_link *link, struct str why);

#endif
