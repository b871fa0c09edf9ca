/* SPDX-License-Identifier: MIT */
/*
 * A worker's side of listening: accepts from the sockets of its shares and
 * hands what comes to the server.
 *
 * A socket is watched level-triggered and at most ACCEPTOR_BATCH connections
 * are taken per wake-up: what is accepted and unanswered is lost when a worker
 * dies, what is queued is not, because siblings have the same socket.
 *
 * It pauses, with everything left in the kernel's queues, while the server has
 * no room, and for a second when descriptors or memory are out.
 *
 * Owns: the events, not the sockets.
 * Here: watching and accepting.  Not here: making sockets (listener.h), which
 * are whose (shares.h).
 * Context: the worker's loop; listener.c -> [acceptor.c] -> server/conn.c.
 */
#ifndef CORELANE_WORKERS_ACCEPTOR_H
#define CORELANE_WORKERS_ACCEPTOR_H

#include "common/error.h"
#include "common/stats.h"
#include "workers/listener.h"

#define ACCEPTOR_BATCH 4

struct acceptor;
struct event_base;
struct server;

struct acceptor_args {
	struct event_base *base;
	const struct listener_set *listeners;	/* those of `config` alone */
	const struct config *config;
	struct server *server;
	struct stats *stats;
};

/* Everything in `args` is borrowed for the acceptor's life; it begins with no
 * share.  Returns NULL on failure. */
struct acceptor *acceptor_new(const struct acceptor_args *args,
    struct error *err) __attribute__((warn_unused_result));
void acceptor_free(struct acceptor *a);

/* Accepts from exactly these from now on. */
void acceptor_set_shares(struct acceptor *a, const struct shares *shares);

/* After a turn of the loop: goes on when the server has room again. */
void acceptor_turn(struct acceptor *a);

/* Takes what is queued on its shares, as far as there is room: the last
 * chance of these connections, because the whole server stops. */
void acceptor_take_queued(struct acceptor *a);

/* Goes on with its shares of the admin address alone; the sockets of all others
 * may be closed afterwards. */
void acceptor_keep_admin(struct acceptor *a);

#endif
