/* SPDX-License-Identifier: MIT */
/*
 * One worker's server: everything that its clients see, on one event loop.
 * Whoever runs the loop (workers/worker.c, or a test over a socketpair) makes
 * a server, hands it accepted sockets, and calls server_turn() between turns.
 *
 *	struct server *srv = server_new(&(struct server_args){
 *	    .base = base, .config = cfg, .stats = &stats, .ops = &ops}, &err);
 *	server_accept(srv, fd, SERVICE_PUBLIC, &peer, peer_len);
 *	while (!server_is_drained(srv)) {
 *		event_base_loop(base, EVLOOP_ONCE);
 *		server_turn(srv);
 *	}
 *	server_free(srv);
 *
 * The server never forks, listens, or handles signals, and doesn't know how
 * many workers there are: what it needs of the outside comes in server_ops.
 *
 * Context: the loop's thread alone.
 */
#ifndef CORELANE_SERVER_SERVER_H
#define CORELANE_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/stats.h"
#include "config/config.h"

struct channel_log;
struct event_base;
struct lane_crash;
struct module_given;
struct metric_names;
struct recorder;
struct server;

/* What a socket speaks, and which routes it sees. */
enum service_kind {
	SERVICE_PUBLIC,		/* HTTP, the configured routes */
	SERVICE_ADMIN,		/* HTTP, /metrics /stats /health /ready */
	SERVICE_TCP_ECHO,	/* raw bytes, sent back */
	SERVICE_KIND_COUNT
};

/* What the server asks of the process around it. */
struct server_ops {
	/* Fills a view of all workers: 0, or -1 when it can't be had now.  The
	 * caller frees it with stats_view_done(). */
	int (*stats_view)(void *ctx, struct stats_view *ret_view);
	/* Whether the whole server is ready: not draining, workers serving. */
	bool (*is_ready)(void *ctx, const char **ret_reason);
	void *ctx;
	/* In the middle of something long that is no stall, a message for ten
	 * thousands: still at it.  NULL: nobody looks. */
	void (*beat)(void *ctx);
};

struct server_args {
	struct event_base *base;	/* borrowed for the server's life */
	struct config *config;		/* a reference is taken */
	struct stats *stats; /* borrowed: this worker's own counters */
	const struct server_ops *ops;	/* borrowed */
	unsigned worker;		/* the number, for logs and ids */
	size_t connections_max;		/* resolved limits.connections */
	int access_log_fd;		/* borrowed, or -1: none */
	/* Modules that are there already, by name: a test's.  Or NULL. */
	const struct module_given *modules;
	struct recorder *recorder;	/* borrowed, or NULL: none */
	/* Shared by all workers: borrowed, or NULL: each limit its own. */
	struct rate_table *rate;
	struct metric_names *metrics;	/* borrowed, or NULL: none */
	/* Channels, shared by all workers, our number there and what tells us
	 * of news: borrowed; NULL and -1: a log of the server's own. */
	struct channel_log *channels;
	unsigned channel_reader;
	int channel_wake_fd;
	/* What killed the worker that this one replaces: borrowed; NULL:
	 * nothing did. */
	const struct lane_crash *crash;
};

/* Returns NULL on a bad route table, pattern, or want of memory. */
struct server *server_new(const struct server_args *args, struct error *err)
    __attribute__((warn_unused_result));

/*
 * Whether the modules' start hooks have ended: a worker that is STARTING turns
 * its loop, and accepts nobody.  SERVER_FAILED: err, which may be NULL, gets
 * the reason.
 */
enum server_state { SERVER_STARTING, SERVER_STARTED, SERVER_FAILED };
enum server_state server_state(struct server *srv, struct error *err);

/* Closes every connection at once. */
void server_free(struct server *srv);

/*
 * Takes a connected, non-blocking socket, also when it can't be served (then
 * it is closed and counted).
 * peer: copied; for a unix socket any address of that family.
 */
void server_accept(struct server *srv, int fd, enum service_kind service,
    const struct sockaddr *peer, socklen_t peer_len);

/* Whether another connection may be accepted: limits.connections, and a few
 * more for the operator, who is needed most when clients have used it up. */
#define SERVER_ADMIN_SPARE 8
bool server_has_room(const struct server *srv, enum service_kind service);

/* To be called after every turn of the loop: frees what was closed in it. */
void server_turn(struct server *srv);

/* To be called every 100 ms: timeouts, date, access log. */
void server_tick(struct server *srv);

/*
 * Starts draining: the next response on each connection says close, idle ones
 * go after a grace; server_is_drained() turns true when none is left.  After
 * `timeouts.drain` the caller gives up and frees the server.
 */
void server_drain(struct server *srv);
bool server_is_drained(const struct server *srv);
size_t server_connection_count(const struct server *srv);

/* Uses another descriptor for the access log (after rotation); buffered lines
 * go to the old one first. */
void server_set_access_log(struct server *srv, int fd);

/* Why its last lost lines were lost (stats.log_dropped): an errno, or 0. */
int server_access_log_error(const struct server *srv);

/* How many descriptors serving takes beside connections: files that are kept
 * open for the next request. */
size_t server_file_count(const struct config *cfg);

/*
 * Checks what only this layer can: patterns, duplicate routes, origins,
 * addresses.  Adds problems; returns their number.
 */
size_t server_check(struct config *cfg, struct config_problems *problems);

/* The same with the modules loaded and initialised, so that their routes are
 * checked too: for a process that does nothing else afterwards, since a
 * module's code stays.  out: gets the route table, a line each (methods, host,
 * pattern, handler, middleware); or NULL. */
size_t server_check_modules(struct config *cfg,
    struct config_problems *problems, struct buf *out);

#endif
