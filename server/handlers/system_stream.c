/* SPDX-License-Identifier: MIT */
/*
 * "system_stream": an event stream of the machine's and the server's figures.
 *
 *	id: 7
 *	data: {"id":7,"timestamp":1732185600123,"metrics":{"cpu_usage":12.5,
 *	    "memory_used":..,"memory_total":..,"process_count":..,"uptime":..},
 *	    "server":{"requests":..,"requests_per_second":..,...}}
 *
 * Memory is in bytes, uptime in seconds, the timestamp in milliseconds.  The
 * figures are read once per worker and interval while anybody looks, and are
 * the same for all; only the id is each client's own, and goes on from the one
 * that it comes back with.
 *
 * Owns a feed per route, and a stream per client.  Invariant: the timer runs
 * while there is a stream.
 * Here: the events.  Not here: /proc (machine.c), the stream (sse.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "server/handler.h"
#include "server/handlers/machine.h"
#include "server/internal.h"
#include "server/sse.h"

struct stream {
	struct stream *next, **prev;	/* of the feed; NULL: not open yet */
	struct feed *feed;
	struct sse *sse;
	uint64_t id;			/* of the last event */
};

struct feed {
	struct server *srv;
	struct sse_options options;
	struct event timer;
	struct timeval interval;
	struct stream *streams;
	struct machine_cpu cpu;		/* at the last reading */
	uint64_t requests, read_ns;	/* the same */
	struct buf text; /* the last reading: what follows the id */
	struct buf event;		/* one client's, while it is made */
};

static const struct sse_app stream_app;

static void
feed_add_server(struct feed *feed, uint64_t since_ns)
{
	const struct server_ops *ops = server_get_ops(feed->srv);
	struct stats_view view;
	const struct stats *s = &view.total;
	double per_second = 0;

	if (ops->stats_view(ops->ctx, &view) == -1)
		return;
	if (since_ns > 0 && s->requests >= feed->requests)
		per_second = (double)(s->requests - feed->requests) * 1e9 /
		    (double)since_ns;
	feed->requests = s->requests;
	buf_printf(&feed->text, ",\"server\":{\"requests\":%" PRIu64
	    ",\"requests_per_second\":%.1f,\"connections\":%" PRIu64
	    ",\"websockets\":%" PRIu64 ",\"event_streams\":%" PRIu64
	    ",\"subscriptions\":%" PRIu64 ",\"workers\":%zu"
	    ",\"memory_bytes\":%" PRIu64 ",\"uptime\":%.1f}",
	    s->requests, per_second,
	    s->connections_active + s->tcp_active + s->websockets_active +
	    s->sse_active, s->websockets_active, s->sse_active,
	    s->subscriptions, view.worker_count, s->memory_bytes,
	    (double)view.uptime_ms / 1000);
	stats_view_done(&view);
}

/* Reads everything anew. */
static void
feed_read(struct feed *feed)
{
	uint64_t now_ns = clock_now_ns();
	struct machine m;

	machine_read(&m);
	buf_clear(&feed->text);
	buf_printf(&feed->text, ",\"timestamp\":%" PRId64
	    ",\"metrics\":{\"cpu_usage\":%.1f,\"memory_used\":%" PRIu64
	    ",\"memory_total\":%" PRIu64 ",\"process_count\":%" PRIu64
	    ",\"uptime\":%.2f}", clock_now_real_ms(),
	    machine_cpu_usage(&feed->cpu, &m.cpu), m.memory_used,
	    m.memory_total, m.process_count, m.uptime_s);
	feed_add_server(feed, feed->read_ns > 0 ? now_ns - feed->read_ns : 0);
	buf_add_byte(&feed->text, '}');
	feed->cpu = m.cpu;
	feed->read_ns = now_ns;
}

/* A client that doesn't read misses this one, and its number. */
static void
stream_send(struct stream *st)
{
	struct feed *feed = st->feed;
	char id[24];
	int n = snprintf(id, sizeof(id), "%" PRIu64, ++st->id);

	buf_clear(&feed->event);
	buf_printf(&feed->event, "{\"id\":%s%.*s", id,
	    STR_FMT(buf_str(&feed->text)));
	if (buf_failed(&feed->text) || buf_failed(&feed->event)) {
		feed->srv->stats->memory_errors++;
		return;
	}
	(void)sse_send(st->sse, &(struct sse_event){
		.id = str_from(id, (size_t)n),
		.data = buf_str(&feed->event),
	});
}

static void
feed_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct feed *feed = arg;
	struct stream *st, *next;

	server_wake(feed->srv);
	feed_read(feed);
	for (st = feed->streams; st != NULL; st = next) {
		next = st->next;
		stream_send(st);
	}
}

/* Everybody gets an event at once: the last reading, unless nobody has looked
 * before. */
static void
stream_open(struct sse *e)
{
	struct stream *st = sse_state(e);
	struct feed *feed = st->feed;
	bool is_first = feed->streams == NULL;

	st->sse = e;
	st->next = feed->streams;
	st->prev = &feed->streams;
	if (st->next != NULL)
		st->next->prev = &st->next;
	feed->streams = st;
	if (is_first) {
		if (event_add(&feed->timer, &feed->interval) == -1)
			session_close(sse_session(e),
			    "no memory for its timer");
		feed_read(feed);
	}
	stream_send(st);
}

static void
stream_close(struct sse *e)
{
	struct stream *st = sse_state(e);

	if (st->prev != NULL) {
		*st->prev = st->next;
		if (st->next != NULL)
			st->next->prev = st->prev;
		if (st->feed->streams == NULL)
			event_del(&st->feed->timer);
	}
	free(st);
}

static const struct sse_app stream_app = {
	.name = "system_stream",
	.open = stream_open,
	.close = stream_close,
};

static int
system_stream_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	int64_t ms = cfg->system_stream.interval_ms;
	struct machine m;

	if (feed == NULL)
		return error_nomem(err, "handler");
	feed->srv = srv;
	feed->options = (struct sse_options){
		.app = &stream_app,
		.config = &server_config(srv)->sse,
		.queue_bytes = server_config(srv)->limits.write_queue_bytes,
	};
	feed->interval.tv_sec = ms / 1000;
	feed->interval.tv_usec = ms % 1000 * 1000;
	event_assign(&feed->timer, server_base(srv), -1, EV_PERSIST,
	    feed_on_timer, feed);
	machine_read(&m);
	feed->cpu = m.cpu;
	buf_init(&feed->text, 0);
	buf_init(&feed->event, 0);
	*ret_state = feed;
	return 0;
}

static void
system_stream_teardown(void *state)
{
	struct feed *feed = state;

	if (feed == NULL)
		return;
	buf_done(&feed->text);
	buf_done(&feed->event);
	free(feed);
}

static int
system_stream_run(struct request *r, const void *state)
{
	const struct feed *feed = state;
	struct stream *st = calloc(1, sizeof(*st));
	uint64_t last;

	if (st == NULL)
		return -ENOMEM;
	st->feed = (struct feed *)(uintptr_t)feed;
	if (str_to_u64(sse_last_id(r), &last) == 0 && last < UINT64_MAX / 2)
		st->id = last;
	return sse_accept(r, &feed->options, st, NULL);
}

const struct handler handler_system_stream = {
	.name = "system_stream",
	.methods = METHOD_BIT(METHOD_GET),
	.has_events = true,
	.setup = system_stream_setup,
	.teardown = system_stream_teardown,
	.run = system_stream_run,
};
