/* SPDX-License-Identifier: MIT */
/*
 * The server: makes the parts, turns the wheels, drains.
 *
 * Owns everything in struct server.  Invariant: between two turns of the loop
 * the scratch buffer and the batch are empty, and no closed connection is left.
 * Here: lifetime and housekeeping.  Not here: what a connection does (conn.c).
 * Context: a worker's loop.
 *	workers/worker.c -> [server.c] -> conn.c -> http1.c -> pipeline.c
 */
#include "server/server.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/access_log.h"
#include "server/alarm.h"
#include "server/channel.h"
#include "server/conn.h"
#include "server/ctx.h"
#include "server/db/api.h"
#include "server/db/db.h"
#include "server/fetch.h"
#include "server/handle.h"
#include "server/http1.h"
#include "server/hub.h"
#include "server/internal.h"
#include "server/memo.h"
#include "server/module.h"
#include "server/offload.h"
#include "server/peers.h"
#include "server/pipeline.h"
#include "server/session.h"
#include "server/socket.h"
#include "server/sse.h"
#include "server/ws.h"

/* Chunks of arenas kept for the next requests, per worker. */
#define ARENA_SPARE_MAX 64

static void
server_render_date(struct server *srv)
{
	if (srv->clock.real_s == srv->date_block_s)
		return;
	srv->date_block_s = srv->clock.real_s;
	memcpy(srv->date_block, "Server: corelane\r\nDate: ", 24);
	memcpy(srv->date_block + 24, srv->clock.date, CLOCK_DATE_BYTES);
	memcpy(srv->date_block + 24 + CLOCK_DATE_BYTES, "\r\n", 3);
}

void
server_wake(struct server *srv)
{
	if (srv->is_clock_fresh)
		return;
	srv->is_clock_fresh = true;
	clock_update(&srv->clock);
	srv->turn_ns = srv->clock.mono_ns;
	server_render_date(srv);
}

static int
server_init_services(struct server *srv, struct error *err)
{
	static const struct config_middlewares none = {NULL, 0};
	const struct config *cfg = srv->config;

	srv->service[SERVICE_PUBLIC] = service_new(srv,
	    module_set_routes(srv->modules),
	    &cfg->middleware, SERVICE_PUBLIC, err);
	if (srv->service[SERVICE_PUBLIC] == NULL)
		return -1;
	srv->service[SERVICE_ADMIN] = service_new(srv, service_admin_routes(),
	    &none, SERVICE_ADMIN, err);
	return srv->service[SERVICE_ADMIN] != NULL ? 0 : -1;
}

/* The first problem stands for all: `corelane check` tells every one. */
static int
server_init_modules(struct server *srv, const struct server_args *args,
    struct error *err)
{
	struct config_problems problems = {0};
	int rc;

	if (ctx_tasks_init(srv) == -1)
		return error_nomem(err, "an event");
	srv->modules = module_set_new(srv, args->modules, &problems);
	if (srv->modules != NULL)
		channel_check_rules(srv, &problems);
	if (srv->modules == NULL || problems.count > 0)
		error_set(err, ERROR_INVALID, "%s", problems.count > 0
		    ? problems.item[0] : "no memory for modules");
	rc = srv->modules != NULL && problems.count == 0 ? 0 : -1;
	config_problems_done(&problems);
	return rc;
}

static int
server_init_buffers(struct server *srv, struct error *err)
{
	const struct config *cfg = srv->config;
	size_t kept = cfg->limits.header_bytes > cfg->buffers.read
	    ? cfg->limits.header_bytes : cfg->buffers.read;

	srv->head_limits = (struct head_limits){
		.head_bytes = cfg->limits.header_bytes,
		.target_bytes = cfg->limits.target_bytes,
		.field_count = (unsigned)cfg->limits.header_count,
	};
	/* A read always finds room behind what a connection has kept. */
	srv->scratch_bytes = cfg->buffers.read + kept;
	srv->scratch = malloc(srv->scratch_bytes);
	srv->heads = head_store_new(&srv->head_limits);
	srv->memo = memo_new();
	if (srv->scratch == NULL || srv->heads == NULL || srv->memo == NULL ||
	    out_init(&srv->out) == -1)
		return error_nomem(err, "buffers");
	return 0;
}

static void
server_on_wake(void *arg)
{
	server_wake(arg);
}

static int
server_init_alarms(struct server *srv, struct error *err)
{
	srv->alarms = alarms_new(srv->base, err);
	if (srv->alarms == NULL)
		return -1;
	alarms_on_wake(srv->alarms, server_on_wake, srv);
	return 0;
}

/* offload_threads 0: none, and what needs one says so. */
static int
server_init_offload(struct server *srv, struct error *err)
{
	int threads = srv->config->offload_threads;

	if (threads == 0)
		return 0;
	srv->offload = offload_new(srv->base, (unsigned)threads,
	    (size_t)srv->config->limits.offload_queue, srv->stats, err);
	if (srv->offload == NULL)
		return -1;
	offload_on_wake(srv->offload, server_on_wake, srv);
	return 0;
}

static int
server_init_databases(struct server *srv, struct error *err)
{
	srv->databases = db_set_new(&srv->config->databases, &(struct db_args){
	    .base = srv->base, .pool = srv->offload, .stats = srv->stats},
	    err);
	return srv->databases != NULL ? 0 : -1;
}

static int
server_init_limits(struct server *srv, const struct server_args *args,
    struct error *err)
{
	int64_t per_ip = srv->config->limits.connections_per_ip;

	srv->conn_max = args->connections_max;
	if (per_ip > 0) {
		srv->peers = peers_new((size_t)per_ip);
		if (srv->peers == NULL)
			return error_nomem(err, "connections_per_ip");
	}
	if (args->access_log_fd != -1) {
		srv->log = access_log_new(srv->config->access_log.format,
		    args->access_log_fd, srv->worker, srv->stats);
		if (srv->log == NULL)
			return error_nomem(err, "access log");
	}
	return 0;
}

static int
server_init_realtime(struct server *srv, const struct server_args *args,
    struct error *err)
{
	if (sse_init(srv) == -1)
		return error_nomem(err, "event streams");
	srv->hub = hub_new(srv, args->channels, args->channel_reader,
	    args->channels != NULL ? args->channel_wake_fd : -1, err);
	return srv->hub != NULL ? 0 : -1;
}

struct server *
server_new(const struct server_args *args, struct error *err)
{
	struct server *srv = calloc(1, sizeof(*srv));

	if (srv == NULL) {
		error_nomem(err, "server");
		return NULL;
	}
	srv->base = args->base;
	srv->config = config_ref(args->config);
	srv->stats = args->stats;
	srv->ops = args->ops;
	srv->worker = args->worker;
	srv->recorder = args->recorder;
	srv->rate = args->rate;
	srv->metrics = args->metrics;
	clock_init(&srv->clock);
	srv->date_block_s = -1;
	server_render_date(srv);
	random_init(&srv->random);
	wheel_init(&srv->conn_timers, srv->clock.mono_ms);
	wheel_init(&srv->request_timers, srv->clock.mono_ms);
	wheel_init(&srv->sql_calls, srv->clock.mono_ms);
	wheel_init(&srv->sql_transactions, srv->clock.mono_ms);
	pool_init(&srv->conns, sizeof(struct conn));
	pool_init(&srv->requests, sizeof(struct request));
	pool_init(&srv->contexts, sizeof(struct lane_ctx));
	arena_cache_init(&srv->arenas, ARENA_SPARE_MAX);
	if (server_init_buffers(srv, err) == -1 ||
	    ws_init(srv, err) == -1 ||
	    server_init_limits(srv, args, err) == -1 ||
	    server_init_alarms(srv, err) == -1 ||
	    server_init_offload(srv, err) == -1 ||
	    server_init_databases(srv, err) == -1 ||
	    server_init_realtime(srv, args, err) == -1 ||
	    server_init_modules(srv, args, err) == -1 ||
	    server_init_services(srv, err) == -1 ||
	    hooks_start(srv, args->crash, err) == -1) {
		server_free(srv);
		return NULL;
	}
	return srv;
}

static void
close_conn(struct wheel_node *node, void *arg)
{
	struct conn *c = (struct conn *)((char *)node -
	    offsetof(struct conn, timer));

	conn_close(c, "the server ends");
}

/* Hooks that had no drain to run in run now, as far as they go at once. */
static void
server_run_stop_hooks(struct server *srv)
{
	if (srv->modules == NULL || srv->hooks.has_stopped ||
	    !srv->hooks.is_started)
		return;
	hooks_stop(srv);
	ctx_tasks_run(srv);
}

void
server_free(struct server *srv)
{
	if (srv == NULL)
		return;
	wheel_each(&srv->conn_timers, close_conn, srv);
	server_turn(srv);
	assert(srv->conn_count == 0);
	server_run_stop_hooks(srv);
	ctx_tasks_done(srv);
	/* What a thread works on ends before anything that it may use. */
	offload_free(srv->offload);
	db_set_free(srv->databases);
	postbox_free(srv->postbox);
	fetcher_free(srv->fetcher);
	alarms_free(srv->alarms);
	socket_done(srv);
	service_free(srv->service[SERVICE_PUBLIC]);
	service_free(srv->service[SERVICE_ADMIN]);
	module_set_free(srv->modules);
	channel_presence_end(srv);
	hub_free(srv->hub);
	sse_done(srv);
	access_log_free(srv->log);
	peers_free(srv->peers);
	ws_done(srv);
	memo_free(srv->memo);
	head_store_free(srv->heads);
	out_done(&srv->out);
	free(srv->scratch);
	pool_done(&srv->conns);
	pool_done(&srv->requests);
	pool_done(&srv->contexts);
	arena_cache_done(&srv->arenas);
	config_unref(srv->config);
	free(srv);
}

bool
server_has_room(const struct server *srv, enum service_kind service)
{
	size_t spare = service == SERVICE_ADMIN ? SERVER_ADMIN_SPARE : 0;

	return srv->conn_count < srv->conn_max + spare;
}

void
server_accept(struct server *srv, int fd, enum service_kind service,
    const struct sockaddr *peer, socklen_t peer_len)
{
	server_wake(srv);
	if (!server_has_room(srv, service)) {
		srv->stats->connections_refused++;
		close(fd);
		return;
	}
	conn_open(srv, fd, service, peer);
}

/* Connections that were closed, or have something to go on with. */
static void
server_run_queue(struct server *srv)
{
	struct conn *c;

	while ((c = srv->queued) != NULL) {
		srv->queued = c->next_queued;
		c->is_queued = false;
		if (c->session != NULL && c->state == CONN_LINGER)
			session_drop(c);
		if (c->state == CONN_CLOSED)
			conn_free(c);
		else
			conn_continue(c);
	}
}

void
server_turn(struct server *srv)
{
	do {
		server_run_queue(srv);
		/* All that this turn has published leaves in one piece. */
		if (srv->hub != NULL)
			hub_turn(srv->hub);
	} while (srv->queued != NULL);
	if (srv->is_draining && srv->conn_count == 0)
		hooks_stop(srv);
	if (srv->is_clock_fresh) {
		histogram_add(&srv->stats->turn_time,
		    (clock_now_ns() - srv->turn_ns) / 1000, 1);
		srv->is_clock_fresh = false;
	}
}

void
server_tick(struct server *srv)
{
	server_wake(srv);
	wheel_advance(&srv->request_timers, srv->clock.mono_ms,
	    pipeline_on_deadline, srv);
	wheel_advance(&srv->conn_timers, srv->clock.mono_ms,
	    conn_on_deadline, srv);
	sql_tick(srv);
	hub_tick(srv->hub);
	channel_presence_tick(srv);
	if (srv->offload != NULL)
		offload_measure(srv->offload);
	if (srv->log != NULL)
		access_log_flush(srv->log);
}

size_t
server_connection_count(const struct server *srv)
{
	return srv->conn_count;
}

static void
drain_conn(struct wheel_node *node, void *arg)
{
	struct conn *c = (struct conn *)((char *)node -
	    offsetof(struct conn, timer));

	/* Raw TCP has no way to say goodbye: it has until the deadline. */
	if ((c->state == CONN_IDLE && c->service != SERVICE_TCP_ECHO) ||
	    c->state == CONN_OPEN)
		conn_queue(c);
}

void
server_drain(struct server *srv)
{
	struct conn *c;

	if (srv->is_draining)
		return;
	server_wake(srv);
	srv->is_draining = true;
	wheel_each(&srv->conn_timers, drain_conn, srv);
	for (c = srv->queued; c != NULL; c = c->next_queued) {
		if (c->state == CONN_IDLE)
			conn_set_timer(c, SERVER_DRAIN_GRACE_MS);
		else if (c->state == CONN_OPEN)
			c->session->kind->leave(c->session);
	}
}

bool
server_is_drained(const struct server *srv)
{
	return srv->is_draining && srv->conn_count == 0 &&
	    srv->hooks.has_stopped && srv->hooks.stopping == 0;
}

enum server_state
server_state(struct server *srv, struct error *err)
{
	if (srv->hooks.has_failed) {
		if (err != NULL)
			*err = srv->hooks.err;
		return SERVER_FAILED;
	}
	if (srv->hooks.starting > 0)
		return SERVER_STARTING;
	srv->hooks.is_started = true;
	return SERVER_STARTED;
}

void
server_set_access_log(struct server *srv, int fd)
{
	if (srv->log != NULL)
		access_log_set_fd(srv->log, fd);
}

int
server_access_log_error(const struct server *srv)
{
	return srv->log != NULL ? access_log_error(srv->log) : 0;
}

struct event_base *
server_base(struct server *srv)
{
	return srv->base;
}

const struct config *
server_config(const struct server *srv)
{
	return srv->config;
}

const struct server_ops *
server_get_ops(const struct server *srv)
{
	return srv->ops;
}

struct random *
server_random(struct server *srv)
{
	return &srv->random;
}

const struct clock *
server_clock(const struct server *srv)
{
	return &srv->clock;
}

struct stats *
server_stats(struct server *srv)
{
	return srv->stats;
}

unsigned
server_worker(const struct server *srv)
{
	return srv->worker;
}
