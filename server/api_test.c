/* SPDX-License-Identifier: MIT */
/*
 * A module's tests: the server that <corelane/test.h> puts around it.
 *
 * Owns the loop, the server and the last answer, until lane_test_free().
 * Invariant: between two calls no connection is open but sockets'.
 * Here: asking.  Not here: WebSockets (api_test_socket.c), what is right (the
 * module's tests).
 * Context: the test's own thread; part of libcorelane-test only.
 */
#include "server/api_test.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/body.h"
#include "server/module.h"

#define TEST_TICK_US 10000
#define TEST_CONNECTIONS 16

/* One call: the client's side of a pair of sockets. */
struct test_client {
	struct lane_test *t;
	int fd;
	struct str unsent;
	bool is_done, is_late;
};

static int
test_stats_view(void *ctx, struct stats_view *ret_view)
{
	struct lane_test *t = ctx;

	memset(ret_view, 0, sizeof(*ret_view));
	ret_view->workers = calloc(1, sizeof(*ret_view->workers));
	if (ret_view->workers == NULL)
		return -1;
	ret_view->worker_count = 1;
	ret_view->workers[0].pid = getpid();
	ret_view->workers[0].state = WORKER_SERVING;
	ret_view->workers[0].stats = t->stats;
	ret_view->total = t->stats;
	ret_view->reload_ok = true;
	ret_view->workers_wanted = 1;
	return 0;
}

static bool
test_is_ready(void *ctx, const char **ret_reason)
{
	*ret_reason = NULL;
	return true;
}

static void
test_on_tick(int fd, short what, void *arg)
{
	server_tick(((struct lane_test *)arg)->srv);
}

void
test_turn(struct lane_test *t)
{
	event_base_loop(t->base, EVLOOP_ONCE);
	server_turn(t->srv);
}

/* Making and ending. */

static struct config *
test_config(const struct lane_module *module, const char *text)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;
	struct buf plain;
	size_t i;

	buf_init(&plain, 0);
	buf_printf(&plain, "{\"modules\": [{\"name\": \"%s\", \"file\": "
	    "\"%s.so\"}]}", module->name, module->name);
	if (!buf_failed(&plain))
		cfg = config_parse(text != NULL ? str_of(text)
		    : buf_str(&plain), "test.json", &problems);
	for (i = 0; i < problems.count; i++)
		fprintf(stderr, "%s\n", problems.item[i]);
	config_problems_done(&problems);
	buf_done(&plain);
	return cfg;
}

static int
test_serve(struct lane_test *t, const struct lane_module *module,
    struct config *cfg, struct error *err)
{
	const struct module_given given[] = {{module->name, module},
	    {NULL, NULL}};
	const struct timeval tick = {0, TEST_TICK_US};

	t->ops = (struct server_ops){
	    .stats_view = test_stats_view,
	    .is_ready = test_is_ready,
	    .ctx = t,
	};
	t->srv = server_new(&(struct server_args){.base = t->base,
	    .config = cfg, .stats = &t->stats, .ops = &t->ops,
	    .connections_max = TEST_CONNECTIONS, .access_log_fd = -1,
	    .modules = given}, err);
	if (t->srv == NULL)
		return -1;
	t->tick = event_new(t->base, -1, EV_PERSIST, test_on_tick, t);
	if (t->tick == NULL || event_add(t->tick, &tick) == -1)
		return error_nomem(err, "an event");
	while (server_state(t->srv, err) == SERVER_STARTING)
		test_turn(t);
	return server_state(t->srv, err) == SERVER_STARTED ? 0 : -1;
}

struct lane_test *
lane_test_new(const struct lane_module *module, const char *config)
{
	struct config *cfg = test_config(module, config);
	struct lane_test *t = cfg != NULL ? calloc(1, sizeof(*t)) : NULL;
	struct error err;

	if (t == NULL) {
		config_unref(cfg);
		return NULL;
	}
	error_clear(&err);
	buf_init(&t->text, 0);
	buf_init(&t->body, 0);
	t->base = event_base_new();
	if (t->base == NULL)
		error_nomem(&err, "an event loop");
	if (t->base == NULL || test_serve(t, module, cfg, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		lane_test_free(t);
		t = NULL;
	}
	config_unref(cfg);
	return t;
}

void
lane_test_free(struct lane_test *t)
{
	if (t == NULL)
		return;
	while (t->sockets != NULL)
		(void)lane_test_close(t->sockets, 0);
	server_free(t->srv);
	if (t->tick != NULL)
		event_free(t->tick);
	if (t->base != NULL)
		event_base_free(t->base);
	buf_done(&t->text);
	buf_done(&t->body);
	free(t);
}

/* Asking. */

static void
test_on_readable(int fd, short what, void *arg)
{
	struct test_client *cl = arg;
	char piece[16384];
	ssize_t n = recv(fd, piece, sizeof(piece), 0);

	if (n > 0)
		buf_add(&cl->t->text, str_from(piece, (size_t)n));
	else if (n == 0 || errno != EAGAIN)
		cl->is_done = true;
}

static void
test_on_writable(int fd, short what, void *arg)
{
	struct test_client *cl = arg;
	ssize_t n = send(fd, cl->unsent.p, cl->unsent.len, MSG_NOSIGNAL);

	if (n > 0) {
		cl->unsent.p += n;
		cl->unsent.len -= (size_t)n;
	}
}

static void
test_on_late(int fd, short what, void *arg)
{
	((struct test_client *)arg)->is_late = true;
}

/* Sends all, reads all; or leaves after the request's abort_after_ms. */
static void
test_talk(struct test_client *cl, unsigned abort_after_ms)
{
	const struct timeval late = {abort_after_ms / 1000,
	    abort_after_ms % 1000 * 1000};
	struct event_base *base = cl->t->base;
	struct event *readable = event_new(base, cl->fd, EV_READ | EV_PERSIST,
	    test_on_readable, cl);
	struct event *writable = event_new(base, cl->fd, EV_WRITE,
	    test_on_writable, cl);
	struct event *limit = event_new(base, -1, 0, test_on_late, cl);

	if (readable != NULL && writable != NULL && limit != NULL) {
		event_add(readable, NULL);
		if (abort_after_ms > 0)
			event_add(limit, &late);
		while (!cl->is_done && !cl->is_late) {
			if (cl->unsent.len > 0)
				event_add(writable, NULL);
			test_turn(cl->t);
		}
	}
	if (readable != NULL)
		event_free(readable);
	if (writable != NULL)
		event_free(writable);
	if (limit != NULL)
		event_free(limit);
}

void
test_write_headers(struct buf *out, const char *const *h)
{
	for (; h != NULL && *h != NULL; h++)
		buf_printf(out, "%s\r\n", *h);
}

static void
test_write_request(struct buf *out, const struct lane_test_request *request)
{
	const char *method = request->method != NULL ? request->method
	    : request->body.p != NULL ? "POST" : "GET";

	buf_printf(out, "%s %s HTTP/1.1\r\nHost: test\r\n"
	    "Connection: close\r\n", method, request->path);
	test_write_headers(out, request->headers);
	if (request->body.p != NULL)
		buf_printf(out, "Content-Length: %zu\r\n", request->body.len);
	buf_add(out, STR("\r\n"));
	if (request->body.p != NULL)
		buf_add(out, str_from(request->body.p, request->body.len));
}

static void
test_unchunk(struct lane_test *t, struct str raw)
{
	struct body_reader reader;
	struct str piece;

	body_reader_init(&reader, BODY_CHUNKED, 0, SIZE_MAX);
	while (body_read(&reader, &raw, &piece) == BODY_PIECE)
		buf_add(&t->body, piece);
}

/* Takes apart what came back.  Informational responses are skipped. */
struct lane_test_answer
test_parse(struct lane_test *t)
{
	struct lane_test_answer a = {0};
	struct lane_str coding;
	struct str rest;
	const char *end;

	buf_add_byte(&t->text, '\0');
	if (buf_failed(&t->text))
		return a;
	t->text.len--;
	rest = buf_str(&t->text);
	do {
		end = strstr(rest.p, "\r\n\r\n");
		if (end == NULL ||
		    sscanf(rest.p, "HTTP/1.1 %d", &a.status) != 1)
			return (struct lane_test_answer){0};
		a.head.p = rest.p;
		a.head.len = (size_t)(end + 4 - rest.p);
		rest = str_from(end + 4, rest.len - a.head.len);
	} while (a.status < 200 && a.status != 101);
	coding = lane_test_header(&a, "Transfer-Encoding");
	if (coding.p != NULL) {
		test_unchunk(t, rest);
		rest = buf_str(&t->body);
	}
	a.body.p = rest.p;
	a.body.len = rest.len;
	return a;
}

int
test_connect(struct lane_test *t)
{
	struct sockaddr_in6 peer = {.sin6_family = AF_INET6,
	    .sin6_addr = in6addr_loopback};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    pair) == -1)
		return -1;
	server_accept(t->srv, pair[1], SERVICE_PUBLIC,
	    (struct sockaddr *)&peer, sizeof(peer));
	return pair[0];
}

struct lane_test_answer
lane_test_call(struct lane_test *t, const struct lane_test_request *request)
{
	struct test_client cl = {.t = t};
	size_t others = t->socket_count;
	struct buf out;

	t->text.len = t->body.len = 0;
	buf_init(&out, 0);
	test_write_request(&out, request);
	if (buf_failed(&out) || (cl.fd = test_connect(t)) == -1) {
		buf_done(&out);
		return (struct lane_test_answer){0};
	}
	cl.unsent = buf_str(&out);
	test_talk(&cl, request->abort_after_ms);
	close(cl.fd);
	buf_done(&out);
	while (server_connection_count(t->srv) > others)
		test_turn(t);
	return cl.is_done ? test_parse(t) : (struct lane_test_answer){0};
}

struct lane_str
lane_test_header(const struct lane_test_answer *answer, const char *name)
{
	struct str rest = {answer->head.p, answer->head.len}, line, key;

	while (str_cut(&rest, '\n', &line)) {
		line = str_trim(str_from(line.p,
		    line.len > 0 ? line.len - 1 : 0));
		if (str_cut(&line, ':', &key) && line.p != NULL &&
		    str_eq_nocase(key, str_of(name))) {
			line = str_trim(line);
			return (struct lane_str){line.p, line.len};
		}
	}
	return (struct lane_str){NULL, 0};
}

static void
test_on_over(int fd, short what, void *arg)
{
	*(bool *)arg = true;
}

void
lane_test_run(struct lane_test *t, unsigned ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	bool is_over = false;
	struct event *limit = event_new(t->base, -1, 0, test_on_over, &is_over);

	if (limit == NULL)
		return;
	event_add(limit, &tv);
	while (!is_over)
		test_turn(t);
	event_free(limit);
}
