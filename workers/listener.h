/* SPDX-License-Identifier: MIT */
/*
 * The sockets that clients connect to: made once by the supervisor, inherited
 * by every worker, never closed while serving.
 *
 *	listener_set
 *	  listener "127.0.0.1:8080"	fd[0] fd[1] ... fd[shares - 1]
 *	  listener "127.0.0.1:9901"	fd[0] fd[1] ... fd[shares - 1]
 *	  listener "unix:/run/x.sock"	fd[0]		shared by all
 *
 * The sockets of one TCP address form a SO_REUSEPORT group; the kernel spreads
 * connections over them, and each has a queue of its own.  Closing one resets
 * what is queued there, so that nobody does while it serves; instead another
 * worker accepts from it (workers/shares.h).
 *
 * Binding and listening are two steps.  A bound socket holds the address but is
 * not in the group yet, so that a configuration can be proved, with its workers
 * started, before the first client can reach it; and taken back without a trace
 * when it fails.
 *
 * Owns: the descriptors and, for unix sockets, the path.
 * Here: making, tuning and closing them.  Not here: who accepts from which
 * (workers/shares.h), accepting (workers/acceptor.h).
 * Context: the supervisor makes them; a worker only looks and closes.
 */
#ifndef CORELANE_WORKERS_LISTENER_H
#define CORELANE_WORKERS_LISTENER_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/error.h"
#include "config/config.h"
#include "workers/endpoint.h"
#include "workers/shares.h"

struct listener {
	TAILQ_ENTRY(listener) next;
	char *text;		/* owned; as the configuration says it */
	unsigned role, nth;	/* tell those with port 0 apart, which may be
				 * listed often and is another each time */
	char name[ENDPOINT_TEXT_BYTES];	/* the same with the real port */
	struct sockaddr_storage sa;	/* what the others bind to */
	socklen_t sa_len;
	bool is_unix;
	unsigned bound;		/* fd[0 .. bound - 1] are open */
	unsigned listening;	/* fd[0 .. listening - 1] are in the group */
	int fd[SHARES_MAX];
};

TAILQ_HEAD(listener_list, listener);

struct listener_set {
	struct listener_list list;
};

void listener_set_init(struct listener_set *set);

/* Closes everything; the paths of unix sockets go too.  A worker uses
 * listener_set_close(), which leaves the paths. */
void listener_set_done(struct listener_set *set);
void listener_set_close(struct listener_set *set);

/* A worker that stops with all others: closes everything but its own shares of
 * the admin address.  What nobody has any more leaves the port group. */
void listener_set_keep_admin(struct listener_set *set,
    const struct config *cfg, const struct shares *shares);

/* Makes sure that each address of `cfg` has `share_count` bound sockets.
 * Returns 0, or -1 with the first address that failed; listener_set_keep()
 * then takes back what was opened. */
int listener_set_bind(struct listener_set *set, const struct config *cfg,
    unsigned share_count, struct error *err);

/* Puts the bound sockets of cfg's addresses into their groups, and gives all of
 * them cfg's TCP options, which accepted sockets inherit.  Returns 0 or -1. */
int listener_set_listen(struct listener_set *set, const struct config *cfg,
    struct error *err);

/* Closes the addresses that none of the `count` configs lists, and of the
 * others the sockets that never listened. */
void listener_set_keep(struct listener_set *set,
    const struct config *const *cfgs, size_t count);

/* In a worker: closes what its config doesn't list, without touching paths. */
void listener_set_restrict(struct listener_set *set, const struct config *cfg);

/* Spreads new connections over the first `count` shares alone, where the
 * kernel lets us; only a matter of balance. */
void listener_set_steer(struct listener_set *set, unsigned count);

/* The addresses of a config are numbered in its order, admin last. */
size_t listener_config_count(const struct config *cfg);
const struct config_listen *listener_config_at(const struct config *cfg,
    size_t i);

/* The sockets of a config's i-th address; NULL when there are none. */
struct listener *listener_find(const struct listener_set *set,
    const struct config *cfg, size_t i);

#endif
