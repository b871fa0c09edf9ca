/* SPDX-License-Identifier: MIT */
/*
 * A server, a client, and the loop both run on.
 *
 * Owns the loop and what hangs on it until loopback_close().
 * Here: asking and reading.  Not here: what is right (the tests).
 * Context: the test's thread.
 */
#include "tests/unit/loopback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "tests/unit/unit.h"

/* A client: what it still has to send, and what it has read. */
struct client {
	struct loopback *lo;
	int fd;
	struct event *readable, *writable;
	struct str unsent;
	struct buf *text;
	bool is_done, is_late;
};

static int
loopback_stats_view(void *ctx, struct stats_view *ret_view)
{
	struct loopback *lo = ctx;

	memset(ret_view, 0, sizeof(*ret_view));
	ret_view->total = lo->stats;
	ret_view->reload_ok = true;
	ret_view->workers = calloc(1, sizeof(*ret_view->workers));
	if (ret_view->workers == NULL)
		return -1;
	ret_view->worker_count = 1;
	ret_view->workers[0].pid = getpid();
	ret_view->workers[0].state = WORKER_SERVING;
	ret_view->workers[0].stats = lo->stats;
	return 0;
}

static bool
loopback_is_ready(void *ctx, const char **ret_reason)
{
	struct loopback *lo = ctx;

	*ret_reason = lo->unready;
	return lo->unready == NULL;
}

static void
loopback_on_tick(int fd, short what, void *arg)
{
	server_tick(((struct loopback *)arg)->srv);
}

static struct config *
loopback_config(const char *text)
{
	struct config_problems problems;
	struct config *cfg = config_parse(str_of(text), NULL, &problems);

	if (cfg == NULL)
		fail_msg("%s", problems.count > 0
		    ? problems.item[0] : "no config");
	config_problems_done(&problems);
	return cfg;
}

/* Turns the loop until the modules' start hooks have ended, or one failed. */
static void
loopback_start(struct loopback *lo)
{
	while (server_state(lo->srv, NULL) == SERVER_STARTING) {
		event_base_loop(lo->base, EVLOOP_ONCE);
		server_turn(lo->srv);
	}
}

struct loopback *
loopback_open(const char *config_text)
{
	return loopback_open_with(config_text, NULL);
}

struct loopback *
loopback_open_with(const char *config_text, const struct module_given *modules)
{
	const struct timeval tenth = {0, 100000};
	struct config *cfg = loopback_config(config_text);
	struct loopback *lo = calloc(1, sizeof(*lo));
	struct error err;

	assert_non_null(lo);
	lo->base = event_base_new();
	assert_non_null(lo->base);
	lo->ops = (struct server_ops){
	    .stats_view = loopback_stats_view,
	    .is_ready = loopback_is_ready,
	    .ctx = lo,
	};
	lo->peer.sin6_family = AF_INET6;
	lo->peer.sin6_addr = in6addr_loopback;
	lo->srv = server_new(&(struct server_args){
	    .base = lo->base, .config = cfg, .stats = &lo->stats,
	    .ops = &lo->ops, .connections_max = 100, .access_log_fd = -1,
	    .modules = modules},
	    &err);
	if (lo->srv == NULL)
		fail_msg("%s", err.text);
	config_unref(cfg);
	lo->tick = event_new(lo->base, -1, EV_PERSIST, loopback_on_tick, lo);
	assert_non_null(lo->tick);
	event_add(lo->tick, &tenth);
	loopback_start(lo);
	return lo;
}

void
loopback_close(struct loopback *lo)
{
	server_free(lo->srv);
	event_free(lo->tick);
	event_base_free(lo->base);
	free(lo);
}

static void
client_on_readable(int fd, short what, void *arg)
{
	struct client *cl = arg;
	char piece[16384];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	if (n > 0)
		buf_add(cl->text, str_from(piece, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		cl->is_done = true;
}

static void
client_on_writable(int fd, short what, void *arg)
{
	struct client *cl = arg;
	ssize_t n = send(fd, cl->unsent.p, cl->unsent.len, MSG_NOSIGNAL);

	if (n > 0) {
		cl->unsent.p += n;
		cl->unsent.len -= (size_t)n;
	}
	/* A server that has refused the rest is no failure of the client. */
	if (cl->unsent.len == 0 || (n == -1 && errno != EAGAIN))
		event_del(cl->writable);
}

static void
client_on_late(int fd, short what, void *arg)
{
	((struct client *)arg)->is_late = true;
}

static void
client_run(struct client *cl)
{
	const struct timeval late = {LOOPBACK_SECONDS_MAX, 0};
	struct event *limit = event_new(cl->lo->base, -1, 0, client_on_late,
	    cl);

	assert_non_null(limit);
	event_add(limit, &late);
	while (!cl->is_done && !cl->is_late) {
		event_base_loop(cl->lo->base, EVLOOP_ONCE);
		server_turn(cl->lo->srv);
	}
	event_free(limit);
}

void
loopback_send(struct loopback *lo, struct str request, struct reply *ret_reply)
{
	struct client cl = {.lo = lo, .unsent = request,
	    .text = &ret_reply->text};
	int pair[2];

	memset(ret_reply, 0, sizeof(*ret_reply));
	buf_init(&ret_reply->text, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, pair), 0);
	cl.readable = event_new(lo->base, pair[0], EV_READ | EV_PERSIST,
	    client_on_readable, &cl);
	cl.writable = event_new(lo->base, pair[0], EV_WRITE | EV_PERSIST,
	    client_on_writable, &cl);
	assert_true(cl.readable != NULL && cl.writable != NULL);
	event_add(cl.readable, NULL);
	event_add(cl.writable, NULL);
	server_accept(lo->srv, pair[1], lo->service,
	    (struct sockaddr *)&lo->peer, sizeof(lo->peer));
	client_run(&cl);
	event_free(cl.readable);
	event_free(cl.writable);
	close(pair[0]);
	if (cl.is_late)
		fail_msg("no end after %d s: %.*s", LOOPBACK_SECONDS_MAX,
		    STR_FMT(buf_str(&ret_reply->text)));
}

void
loopback_ask(struct loopback *lo, const char *request, struct reply *ret_reply)
{
	const char *end;

	loopback_send(lo, str_of(request), ret_reply);
	end = ret_reply->text.len > 0
	    ? strstr(ret_reply->text.p, "\r\n\r\n") : NULL;
	if (end == NULL ||
	    sscanf(ret_reply->text.p, "HTTP/1.1 %d", &ret_reply->status) != 1)
		fail_msg("no response to: %s", request);
	ret_reply->head = str_from(ret_reply->text.p,
	    (size_t)(end + 4 - ret_reply->text.p));
	ret_reply->body = str_from(end + 4,
	    ret_reply->text.len - ret_reply->head.len);
}

struct str
reply_field(const struct reply *reply, const char *name)
{
	struct str rest = reply->head, line, key;

	while (str_cut(&rest, '\n', &line)) {
		line = str_trim(str_from(line.p,
		    line.len > 0 ? line.len - 1 : 0));
		if (str_cut(&line, ':', &key) && line.p != NULL &&
		    str_eq_nocase(key, str_of(name)))
			return str_trim(line);
	}
	return str_from(NULL, 0);
}

void
reply_done(struct reply *reply)
{
	buf_done(&reply->text);
}

static bool
reply_has_line(const struct reply *reply, const char *line, const char *end)
{
	char text[1024];

	snprintf(text, sizeof(text), "\r\n%s%s", line, end);
	return memmem(reply->head.p, reply->head.len, text, strlen(text)) !=
	    NULL;
}

void
exchange_run(struct loopback *lo, const struct exchange *x)
{
	struct reply reply;
	char request[8192];

	snprintf(request, sizeof(request), "%s\r\nHost: x\r\n\r\n", x->request);
	loopback_ask(lo, request, &reply);
	if (reply.status != x->status)
		fail_msg("%s: %.*s", x->name, STR_FMT(buf_str(&reply.text)));
	for (size_t i = 0; i < UNIT_COUNT(x->has) && x->has[i] != NULL; i++)
		if (!reply_has_line(&reply, x->has[i], "\r\n"))
			fail_msg("%s: no '%s' in %.*s", x->name, x->has[i],
			    STR_FMT(reply.head));
	for (size_t i = 0; i < UNIT_COUNT(x->lacks) && x->lacks[i] != NULL; i++)
		if (reply_has_line(&reply, x->lacks[i], ""))
			fail_msg("%s: '%s' in %.*s", x->name, x->lacks[i],
			    STR_FMT(reply.head));
	if (x->body != NULL)
		unit_check_str(reply.body, str_of(x->body), x->name);
	reply_done(&reply);
}
