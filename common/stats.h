/* SPDX-License-Identifier: MIT */
/*
 * What corelane counts: one table, from which the Prometheus text, the JSON of
 * /stats, `corelane status` and the dashboard are all printed.
 *
 * A worker counts in a private `struct stats` of its own (an increment of
 * ordinary memory) and publishes a copy into its slot of the shared region ten
 * times a second; workers/shared.h says how.  A reader sees a `struct
 * stats_view`: one row per live worker and the totals, in which the counters
 * of workers that are gone stay included, so that no total ever falls.
 *
 *	struct stats *s = server_stats(srv);
 *	s->requests++;
 *	histogram_add(&s->request_time, us, 1);
 *
 * Here: what is counted and how it is printed.  Not here: where it lives.
 * Context: one writer per struct; printing works on a private copy.
 */
#ifndef CORELANE_COMMON_STATS_H
#define CORELANE_COMMON_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/channel_log.h"
#include "common/histogram.h"
#include "common/metric_names.h"

/*
 * X(field, family, labels, help)
 *
 * `family` is the Prometheus name without the "corelane_" in front and the
 * "_total" behind; fields of one family stand together and differ in their
 * labels.  The JSON key is the field's name.  A field "..._ms" of a family
 * "..._seconds" is printed there as seconds, which Prometheus wants.
 */
#define STATS_COUNTERS(X)                                                      \
	X(connections, connections, "", "connections accepted")                \
	X(connections_refused, connections_refused, "",                        \
	    "connections closed at accept because a limit was reached")        \
	X(accept_errors, accept_errors, "",                                    \
	    "accepts that failed (file descriptors, memory)")                  \
	X(requests, requests, "", "HTTP requests answered")                    \
	X(responses_1xx, responses, "code=\"1xx\"", "HTTP responses by class") \
	X(responses_2xx, responses, "code=\"2xx\"", "HTTP responses by class") \
	X(responses_3xx, responses, "code=\"3xx\"", "HTTP responses by class") \
	X(responses_4xx, responses, "code=\"4xx\"", "HTTP responses by class") \
	X(responses_5xx, responses, "code=\"5xx\"", "HTTP responses by class") \
	X(requests_malformed, requests_malformed, "",                          \
	    "requests refused because of their syntax or framing")             \
	X(requests_aborted, requests_aborted, "",                              \
	    "requests whose client went away before the answer was complete")  \
	X(auth_failures, auth_failures, "",                                    \
	    "requests refused for who asks: no or a bad token or password")    \
	X(rate_limited, rate_limited, "",                                      \
	    "requests refused because their client asks too often")            \
	X(handler_errors, handler_errors, "",                                  \
	    "handlers that failed, answered with a 500")                       \
	X(timeouts_head, timeouts, "phase=\"head\"", "timeouts by phase")      \
	X(timeouts_body, timeouts, "phase=\"body\"", "timeouts by phase")      \
	X(timeouts_write, timeouts, "phase=\"write\"", "timeouts by phase")    \
	X(timeouts_idle, timeouts, "phase=\"idle\"", "timeouts by phase")      \
	X(timeouts_request, timeouts, "phase=\"request\"",                     \
	    "timeouts by phase")                                               \
	X(bodies_spilled, bodies_spilled, "",                                  \
	    "request bodies moved to a temporary file")                        \
	X(bytes_in, received_bytes, "", "bytes received from clients")         \
	X(bytes_out, sent_bytes, "", "bytes sent to clients")                  \
	X(tcp_messages, tcp_messages, "",                                      \
	    "reads answered on raw TCP listeners")                             \
	X(websockets, websockets, "", "WebSockets opened")                     \
	X(websockets_refused, websockets_refused, "",                          \
	    "WebSocket handshakes refused")                                    \
	X(ws_messages_in, websocket_messages, "direction=\"in\"",              \
	    "WebSocket messages")                                              \
	X(ws_messages_out, websocket_messages, "direction=\"out\"",            \
	    "WebSocket messages")                                              \
	X(ws_closed_normal, websocket_closes, "cause=\"normal\"",              \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_protocol, websocket_closes, "cause=\"protocol\"",          \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_data, websocket_closes, "cause=\"bad_data\"",              \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_too_big, websocket_closes, "cause=\"too_big\"",            \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_silent, websocket_closes, "cause=\"silent\"",              \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_cut, websocket_closes, "cause=\"cut_off\"",                \
	    "WebSockets closed, by cause")                                     \
	X(ws_closed_other, websocket_closes, "cause=\"other\"",                \
	    "WebSockets closed, by cause")                                     \
	X(sse_streams, event_streams, "", "event streams opened")              \
	X(sse_events, event_stream_events, "", "events sent, deliveries too")  \
	X(published, channel_published, "",                                    \
	    "messages published in channels by this server")                   \
	X(publish_errors, channel_publish_errors, "",                          \
	    "messages that could not be published")                            \
	X(delivered, channel_deliveries, "",                                   \
	    "messages given to subscribers of channels")                       \
	X(slow_dropped, channel_dropped, "",                                   \
	    "messages that slow subscribers were not given")                   \
	X(slow_closed, channel_slow_disconnects, "",                           \
	    "subscribers disconnected because they were too slow")             \
	X(recovered, channel_recoveries, "result=\"whole\"",                   \
	    "clients that came back with a position")                          \
	X(not_recovered, channel_recoveries, "result=\"lost\"",                \
	    "clients that came back with a position")                          \
	X(log_dropped, log_lines_dropped, "",                                  \
	    "log lines dropped because they could not be written")             \
	X(memory_errors, memory_errors, "",                                    \
	    "requests or connections given up for want of memory")             \
	X(loop_stalls, loop_stalls, "",                                        \
	    "times that a module held the event loop for 50 ms or more")       \
	X(offload_jobs, offload_jobs, "", "jobs given to the pool of threads") \
	X(offload_rejected, offload_rejected, "",                              \
	    "jobs refused because too many were waiting for the pool")         \
	X(sql_queries, sql_queries, "", "SQL statements given to a database")  \
	X(sql_errors, sql_errors, "",                                          \
	    "SQL statements that failed, broken constraints aside")            \
	X(sql_rejected, sql_rejected, "",                                      \
	    "SQL statements refused because too many were waiting")            \
	X(fetches, fetches, "", "sub-requests made by modules")                \
	X(fetch_errors, fetch_errors, "",                                      \
	    "sub-requests that got no answer")

#define STATS_GAUGES(X)                                                        \
	X(connections_active, connections_open, "protocol=\"http\"",           \
	    "open connections")                                                \
	X(tcp_active, connections_open, "protocol=\"tcp\"",                    \
	    "open connections")                                                \
	X(websockets_active, connections_open, "protocol=\"websocket\"",       \
	    "open connections")                                                \
	X(sse_active, connections_open, "protocol=\"sse\"",                    \
	    "open connections")                                                \
	X(subscriptions, channel_subscriptions, "",                            \
	    "subscriptions to channels")                                       \
	X(connections_idle, connections_idle, "",                              \
	    "HTTP connections waiting for a request")                          \
	X(requests_active, requests_in_flight, "",                             \
	    "requests being answered")                                         \
	X(offload_queue, offload_waiting, "", "jobs waiting for the pool")     \
	X(offload_running, offload_running, "", "jobs that the pool works on") \
	X(sql_waiting, sql_waiting, "",                                        \
	    "SQL statements waiting for an answer")                            \
	X(memory_bytes, worker_memory_bytes, "",                               \
	    "resident memory of the worker")                                   \
	X(cpu_ms, worker_cpu_seconds, "",                                      \
	    "processor time the worker has used")

#define STATS_HISTOGRAMS(X)                                                    \
	X(request_time, request_duration_seconds,                              \
	    "from the read that completes a request to its last byte handed "  \
	    "to the kernel")                                                   \
	X(turn_time, loop_turn_seconds,                                        \
	    "one turn of the event loop: how long anything may have waited")   \
	X(sql_time, sql_duration_seconds,                                      \
	    "an SQL statement, from its call to its answer, waits included")

struct stats {
#define X(field, family, labels, help) uint64_t field;
	STATS_COUNTERS(X)
	STATS_GAUGES(X)
#undef X
#define X(field, family, help) struct histogram field;
	STATS_HISTOGRAMS(X)
#undef X
	/* Modules' own, named in a struct metric_names.  Last, because only
	 * the histograms in use are copied, published and read: beyond
	 * user_histogram_count there is nothing. */
	uint64_t user_counter[METRIC_COUNTERS];
	uint64_t user_histogram_count;
	struct histogram user_histogram[METRIC_HISTOGRAMS];
};

enum worker_state {
	WORKER_NONE,		/* the slot is free */
	WORKER_STARTING,
	WORKER_SERVING,
	WORKER_DRAINING,
	WORKER_DEAD		/* between its death and its replacement */
};

const char *worker_state_name(enum worker_state state);

/* One worker as a reader sees it. */
struct stats_worker {
	unsigned index;			/* its number: "worker 3" */
	unsigned generation;		/* which configuration it runs */
	pid_t pid;
	enum worker_state state;
	int cpu;			/* pinned to, or -1 */
	int64_t started_real_ms;
	uint64_t heartbeat_age_ms;
	uint64_t restarts;		/* of this index since the start */
	struct stats stats;
};

/*
 * What joins this machine's channels to others' has done: the bridge.
 * X(field, family, type, help): in the JSON "cluster" has the field's name.
 */
#define STATS_CLUSTER(X)                                                       \
	X(connected, cluster_connected, "gauge",                               \
	    "1 while the bridge is connected to the cluster's engine")         \
	X(subscriptions, cluster_subscriptions, "gauge",                       \
	    "channels and patterns that the bridge listens to")                \
	X(lag_messages, cluster_lag_messages, "gauge",                         \
	    "messages published here that other machines can't have yet")      \
	X(lag_bytes, cluster_lag_bytes, "gauge",                               \
	    "how far the bridge is behind the head of the channels' log")      \
	X(sent, cluster_sent, "counter",                                       \
	    "messages given to the cluster's engine")                          \
	X(received, cluster_received, "counter",                               \
	    "messages of other machines published here")                       \
	X(dropped, cluster_dropped, "counter",                                 \
	    "messages that were evicted here before they could be sent")       \
	X(missed, cluster_missed, "counter",                                   \
	    "messages of other machines that never came")                      \
	X(refused, cluster_refused, "counter",                                 \
	    "messages of other machines that could not be published here")     \
	X(reconnects, cluster_reconnects, "counter",                           \
	    "connections made anew to the cluster's engine")                   \
	X(restarts, cluster_restarts, "counter",                               \
	    "bridges that died and were replaced")

struct stats_cluster {
	bool is_configured;		/* false: the rest is 0 */
#define X(field, family, type, help) uint64_t field;
	STATS_CLUSTER(X)
#undef X
};

/* The whole server as a reader sees it. */
struct stats_view {
	pid_t supervisor_pid;
	unsigned generation;
	int64_t started_real_ms;
	uint64_t uptime_ms;
	uint64_t reloads;		/* that succeeded */
	uint64_t reloads_failed;
	int64_t reload_real_ms;		/* the last one; 0: none yet */
	bool reload_ok; /* how the last one ended; true: none yet */
	uint64_t crashes;		/* workers that died of themselves */
	uint64_t stalls;		/* workers killed by the watchdog */
	uint64_t lock_repairs;		/* rwlocks re-made after a death */
	unsigned workers_wanted;
	bool draining;			/* the whole server is stopping */
	struct channel_log_figures channels; /* ring_bytes 0: no log */
	struct stats_cluster cluster;
	size_t worker_count;
	struct stats_worker *workers;	/* owned; by index, then generation */
	const struct metric_names *names; /* lent for ever; or NULL */
	struct stats total; /* live workers and retired ones; last: large */
};

/* Frees what the view owns, not the view. */
void stats_view_done(struct stats_view *view);

/* How many of modules' histograms are in use; also where a dying worker has
 * written over its own counts. */
static inline size_t
stats_user_histograms(const struct stats *s)
{
	return s->user_histogram_count < METRIC_HISTOGRAMS
	    ? s->user_histogram_count : METRIC_HISTOGRAMS;
}

/* How much of `s` there is to copy. */
static inline size_t
stats_bytes(const struct stats *s)
{
	return offsetof(struct stats, user_histogram) +
	    stats_user_histograms(s) * sizeof(s->user_histogram[0]);
}

/* to = from; what lies beyond stays as it is. */
void stats_copy(struct stats *to, const struct stats *from);

/* No counts at all. */
void stats_clear(struct stats *s);

/* into += from: counters, gauges and histograms alike. */
void stats_merge(struct stats *into, const struct stats *from);

/* into += from, but without the gauges: a dead worker has no connections. */
void stats_retire(struct stats *into, const struct stats *from);

/*
 * Prints the view: Prometheus text format 0.0.4, or OpenMetrics 1.0 with its
 * "# EOF"; the JSON of /stats and `status --json`; the table of `corelane
 * status`.  Check buf_failed(out).
 */
void stats_print_prometheus(const struct stats_view *view, bool openmetrics,
    struct buf *out);
void stats_print_json(const struct stats_view *view, struct buf *out);
void stats_print_table(const struct stats_view *view, struct buf *out);

/* Whether "corelane_<name>" is a family of the server's own (without
 * "_total"). */
bool stats_has_family(const char *name);

#endif
