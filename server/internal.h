/* SPDX-License-Identifier: MIT */
/*
 * What one server owns, for the files that make it up.  Handlers and middleware
 * use the accessors at the end.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_INTERNAL_H
#define CORELANE_SERVER_INTERNAL_H

#include <event2/event_struct.h>

#include <corelane/module.h>

#include "common/arena.h"
#include "common/clock.h"
#include "common/pool.h"
#include "common/random.h"
#include "common/wheel.h"
#include "server/out.h"
#include "server/server.h"
#include "server/service.h"
#include "server/hooks.h"

struct access_log;
struct alarms;
struct channel_seat;
struct conn;
struct db_set;
struct fetcher;
struct head_store;
struct hub;
struct memo;
struct offload;
struct peers;
struct rate_table;
struct postbox;
struct socket_table;
struct sse_shared;
struct ws_shared;

/* "Server: corelane\r\nDate: <IMF-fixdate>\r\n" */
#define SERVER_DATE_BLOCK_BYTES (18 + 6 + CLOCK_DATE_BYTES + 2)

/* While draining an idle client may still be sending: closing at once would
 * lose that request (31 of 160 with a round trip of 10 ms). */
#define SERVER_DRAIN_GRACE_MS 1000

struct server {
	struct event_base *base;	/* borrowed */
	struct config *config;		/* a reference */
	struct stats *stats;		/* borrowed */
	const struct server_ops *ops;	/* borrowed */
	unsigned worker;
	struct recorder *recorder;	/* borrowed; NULL: none */
	struct rate_table *rate;	/* borrowed; NULL: none */
	struct metric_names *metrics;	/* borrowed; NULL: none */

	/* One of each, used by one connection at a time. */
	char *scratch;			/* where every read goes */
	size_t scratch_bytes;
	struct out out;
	struct head_store *heads;
	struct head_limits head_limits;
	struct head_scan scan;		/* of the head being read */
	struct memo *memo;

	struct pool conns, requests;
	struct pool contexts;	/* without a request */
	struct arena_cache arenas;
	struct wheel conn_timers, request_timers;
	struct clock clock;
	uint32_t batch_count;		/* requests answered by this batch */
	bool is_clock_fresh;		/* read in this turn already */
	uint64_t turn_ns;		/* when this turn began */
	struct random random;
	char date_block[SERVER_DATE_BLOCK_BYTES + 1];
	int64_t date_block_s;

	struct module_set *modules;	/* NULL: not loaded */
	struct lane_ctx *tasks;		/* background: ctx.h */
	struct lane_ctx *new_tasks, **new_tasks_last;	/* not run yet */
	struct event task_event;
	bool has_no_tasks;		/* nor will it have any again */
	struct hooks hooks;
	struct lane_figures figures;	/* lane_figures(): the others' */
	uint64_t figures_until_ms;	/* good enough before */
	struct service *service[SERVICE_KIND_COUNT];	/* NULL for raw TCP */
	struct access_log *log;		/* NULL: none */
	struct peers *peers;		/* NULL: no limit per address */
	struct offload *offload;	/* NULL: offload_threads is 0 */
	struct alarms *alarms;		/* precise to a millisecond */
	struct db_set *databases;
	struct wheel sql_calls, sql_transactions;	/* db/api.c */
	struct fetcher *fetcher;	/* NULL: nothing fetched yet */
	struct hub *hub;
	struct channel_seat *seats_left; /* channel_presence.c */
	struct ws_shared *ws;		/* what all WebSockets share: ws.c */
	struct sse_shared *sse;		/* and all event streams: sse.c */
	struct socket_table *sockets;	/* of modules: socket.h */
	struct postbox *postbox;	/* of lane_post(); NULL: none yet */

	struct conn *queued;		/* looked at when the turn ends */
	struct conn *turn; /* whose scratch and batch are in use; or NULL */
	size_t conn_count, conn_max;
	bool is_draining;
	uint64_t drain_ms;		/* CLOCK_MONOTONIC when it began */
};

struct event_base *server_base(struct server *srv);
const struct config *server_config(const struct server *srv);
const struct server_ops *server_get_ops(const struct server *srv);
struct random *server_random(struct server *srv);
const struct clock *server_clock(const struct server *srv);
struct stats *server_stats(struct server *srv);
unsigned server_worker(const struct server *srv);

/* Reads the clock once per loop turn; every callback of the loop calls it. */
void server_wake(struct server *srv);

#endif
