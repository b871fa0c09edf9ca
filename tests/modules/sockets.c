/* SPDX-License-Identifier: MIT */
/*
 * A route with sockets of both kinds: what a message asks for is done, and GET
 * tells what was closed, and how.
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One of each worker. */
struct state {
	unsigned opened, closed, code; /* the last one's */
	uint64_t events; /* id of the newest stream */
};

static int
on_open(struct lane_ctx *c, struct lane_socket *s)
{
	struct state *st = lane_state(c);

	st->opened++;
	if (!lane_socket_is_events(s))
		return 200;
	st->events = lane_socket_id(s);
	lane_socket_event(s, &(struct lane_event){.name = "hello",
	    .id = LANE_STR("7"), .data = LANE_STR("one\ntwo"),
	    .retry_ms = 50});
	return LANE_NEXT;
}

static void
on_close(struct lane_ctx *c, struct lane_socket *s, unsigned code,
    struct lane_str reason)
{
	struct state *st = lane_state(c);

	st->closed++;
	st->code = code;
}

static int
after_wait(struct lane_ctx *c, void *state)
{
	lane_log(c, LANE_INFO, "waited");
	lane_socket_send(state, LANE_STR("waited"), true);
	return 200;
}

static int
after_ever(struct lane_ctx *c, void *state)
{
	return 200;
}

/* To the newest stream of this worker, by its id. */
static int
tell_stream(struct lane_ctx *c, struct lane_socket *from, struct lane_str text)
{
	const struct state *st = lane_state(c);
	struct lane_socket *s = lane_socket_find(c, st->events);

	if (s == NULL)
		lane_socket_send(from, LANE_STR("nobody"), true);
	else if (lane_str_eq(text, LANE_STR("tell end")))
		lane_socket_close(s, 1000, "");
	else
		lane_socket_send(s, text, true);
	return 200;
}

static int
on_message(struct lane_ctx *c, struct lane_socket *s, struct lane_str data,
    bool is_text)
{
	const struct timespec stall = {0, 80 * 1000000};

	if (lane_str_eq(data, LANE_STR("wait")))
		return lane_after(c, 50, after_wait, s);
	if (lane_str_eq(data, LANE_STR("ever")))
		return lane_after(c, 3600000, after_ever, s);
	if (lane_str_eq(data, LANE_STR("stall")))
		nanosleep(&stall, NULL);
	if (data.len > 5 && memcmp(data.p, "tell ", 5) == 0)
		return tell_stream(c, s, data);
	lane_socket_send(s, data, is_text);
	return 200;
}

static int
run(struct lane_ctx *c)
{
	const struct state *st = lane_state(c);

	return lane_printf(c, 200, "text/plain", "%u %u %u", st->opened,
	    st->closed, st->code);
}

static int
init(struct lane_init *in)
{
	struct state *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return lane_init_fail(in, NULL, "out of memory");
	lane_init_state(in, st);
	return 0;
}

static const struct lane_socket_handler handler = {
    .open = on_open, .message = on_message, .close = on_close};

static const struct lane_route routes[] = {
    {.name = "both",
	.path = "/both",
	.run = run,
	.websocket = &handler,
	.events = &handler},
    {.name = "alone", .path = "/alone", .websocket = &handler},
    {.name = "stream", .path = "/stream", .events = &handler}, {0}};

LANE_MODULE(.name = "sockets", .routes = routes, .init = init, .fini = free);
