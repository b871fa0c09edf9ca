/* SPDX-License-Identifier: MIT */
/*
 * Streams of modules: pieces now and later, their end, trailers, hints.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ctx.h"
#include "server/internal.h"
#include "server/module.h"
#include "tests/unit/loopback.h"
#include "tests/unit/wire.h"

#define MODULE "\"modules\": [{\"name\": \"probe\", \"file\": \"x.so\"}]"
#define GET11(path)                                                            \
	"GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

/* What a handler has left to do, in steps of a timer or of on_drain(). */
struct job {
	struct op op;
	struct event timer;
	lane_done_fn done;
	unsigned steps;
};

static unsigned ended, drained;

static void
job_on_timer(int fd, short what, void *arg)
{
	struct job *job = arg;
	struct lane_ctx *c = job->op.ctx;

	server_wake(c->srv);
	op_finish(&job->op);
	CTX_CALL(c, job->done(c, job));
}

static void
job_cancel(struct op *op)
{
	evtimer_del(&((struct job *)op)->timer);
}

static int
job_wait(struct lane_ctx *c, struct job *job, lane_done_fn done)
{
	const struct timeval soon = {0, 2000};

	job->done = done;
	evtimer_assign(&job->timer, c->srv->base, job_on_timer, job);
	evtimer_add(&job->timer, &soon);
	op_start(c, &job->op, job_cancel);
	return LANE_ASYNC;
}

static void
count_end(void *ptr)
{
	ended++;
}

static struct job *
job_new(struct lane_ctx *c, unsigned steps)
{
	struct job *job = arena_zalloc(c->arena, sizeof(*job));

	assert_non_null(job);
	assert_int_equal(arena_defer(c->arena, count_end, NULL), 0);
	job->steps = steps;
	return job;
}

static int
begin(struct lane_ctx *c, lane_done_fn on_drain, void *state)
{
	return lane_stream(c, &(struct lane_stream_args){.status = 200,
	    .type = "text/plain", .on_drain = on_drain, .state = state});
}

static int
run_whole(struct lane_ctx *c)
{
	if (begin(c, NULL, NULL) != LANE_ASYNC ||
	    lane_write(c, LANE_STR("one ")) != LANE_OK ||
	    lane_write(c, LANE_STR("")) != LANE_OK ||
	    lane_write(c, LANE_STR("two")) != LANE_OK ||
	    lane_stream_end(c) != 200 ||
	    lane_write(c, LANE_STR("three")) != LANE_GONE)
		return -EIO;
	return lane_stream_end(c);
}

static int
step_timer(struct lane_ctx *c, void *state)
{
	struct job *job = state;

	if (job->steps-- == 0)
		return lane_stream_end(c);
	lane_write(c, LANE_STR("tick "));
	return job_wait(c, job, step_timer);
}

static int
run_timer(struct lane_ctx *c)
{
	struct job *job = job_new(c, 3);
	int rc = begin(c, NULL, NULL);

	job_wait(c, job, step_timer);
	return rc;
}

/* Long after the request's deadline. */
static int
run_long(struct lane_ctx *c)
{
	struct job *job = job_new(c, 200);
	int rc = begin(c, NULL, NULL);

	job_wait(c, job, step_timer);
	return rc;
}

static int
step_late(struct lane_ctx *c, void *state)
{
	int rc = begin(c, NULL, NULL);

	lane_write(c, LANE_STR("late "));
	job_wait(c, state, step_timer);
	return rc;
}

static int
run_late(struct lane_ctx *c)
{
	return job_wait(c, job_new(c, 1), step_late);
}

/* Ends by its status alone. */
static int
step_status(struct lane_ctx *c, void *state)
{
	lane_write(c, LANE_STR("last"));
	return 200;
}

static int
run_status(struct lane_ctx *c)
{
	struct job *job = job_new(c, 0);
	int rc = begin(c, NULL, NULL);

	job_wait(c, job, step_status);
	return rc;
}

static int
step_drain(struct lane_ctx *c, void *state)
{
	static const char line[100] = {0};
	struct job *job = state;

	drained++;
	if (job->steps-- == 0)
		return lane_stream_end(c);
	for (int i = 0; i < 10; i++)
		lane_write(c, (struct lane_str){line, sizeof(line)});
	return LANE_ASYNC;
}

/* A million bytes, none of them written by the handler itself. */
static int
run_drain(struct lane_ctx *c)
{
	return begin(c, step_drain, job_new(c, 1000));
}

static int
step_full(struct lane_ctx *c, void *state)
{
	if (drained++ > 0)
		return lane_stream_end(c);
	return lane_write(c, LANE_STR("abc")) == LANE_OK ? LANE_ASYNC : -EIO;
}

static int
run_full(struct lane_ctx *c)
{
	int rc = lane_stream(c, &(struct lane_stream_args){.status = 201,
	    .on_drain = step_full, .queue_bytes = 10});

	if (lane_write(c, LANE_STR("12345678")) != LANE_OK ||
	    lane_write(c, LANE_STR("12345678")) != LANE_FULL ||
	    lane_write(c, LANE_STR("")) != LANE_FULL ||
	    lane_write(c, LANE_STR("lost")) != LANE_DROPPED)
		return -EIO;
	return rc;
}

static int
run_fails(struct lane_ctx *c)
{
	begin(c, NULL, NULL);
	lane_write(c, LANE_STR("never sent"));
	return -EIO;
}

static int
run_other(struct lane_ctx *c)
{
	begin(c, NULL, NULL);
	lane_write(c, LANE_STR("never sent"));
	return 404;
}

static int
step_fails(struct lane_ctx *c, void *state)
{
	lane_write(c, LANE_STR("half"));
	return -EIO;
}

static int
run_cut(struct lane_ctx *c)
{
	struct job *job = job_new(c, 0);
	int rc = begin(c, NULL, NULL);

	lane_write(c, LANE_STR("begun "));
	job_wait(c, job, step_fails);
	return rc;
}

static int
step_twice(struct lane_ctx *c, void *state)
{
	return lane_send(c, 200, NULL, LANE_STR("another"));
}

static int
run_cut_twice(struct lane_ctx *c)
{
	struct job *job = job_new(c, 0);
	int rc = begin(c, NULL, NULL);

	lane_write(c, LANE_STR("begun "));
	job_wait(c, job, step_twice);
	return rc;
}

/* Nobody will ever write to it, or end it. */
static int
run_stuck(struct lane_ctx *c)
{
	int rc = begin(c, NULL, NULL);

	lane_write(c, LANE_STR("begun "));
	return rc;
}

static int
drain_fails(struct lane_ctx *c, void *state)
{
	return -EIO;
}

static int
run_drain_fails(struct lane_ctx *c)
{
	int rc = begin(c, drain_fails, NULL);

	lane_write(c, LANE_STR("begun "));
	return rc;
}

static int
run_trailer(struct lane_ctx *c)
{
	if (lane_trailer(c, "X-Sum", LANE_STR("early")) != -EINVAL)
		return -EIO;
	begin(c, NULL, NULL);
	lane_write(c, LANE_STR("x"));
	if (lane_trailer(c, "X-Sum", LANE_STR("7")) != 0 ||
	    lane_trailer(c, "X-More", LANE_STR("8")) != 0 ||
	    lane_trailer(c, "X-Bad", LANE_STR("7\r\nX: y")) != -EINVAL ||
	    lane_trailer(c, "Content-Length", LANE_STR("7")) != -EINVAL ||
	    lane_trailer(c, "set-cookie", LANE_STR("a=b")) != -EINVAL)
		return -EIO;
	return lane_stream_end(c);
}

static int
step_hinted(struct lane_ctx *c, void *state)
{
	if (lane_early_hint(c, LANE_STR("</b.css>; rel=preload")) != 0)
		return -EIO;
	if (lane_send(c, 200, NULL, LANE_STR("page")) != 200 ||
	    lane_early_hint(c, LANE_STR("</c.css>")) != -EINVAL)
		return -EIO;
	return 200;
}

static int
run_hint(struct lane_ctx *c)
{
	if (lane_early_hint(c, LANE_STR("</a.css>; rel=preload")) != 0 ||
	    lane_early_hint(c, LANE_STR("x\r\ny")) != -EINVAL)
		return -EIO;
	return job_wait(c, job_new(c, 0), step_hinted);
}

/* Content goes back while it arrives, a thousand bytes at a time. */
static int
echo_drain(struct lane_ctx *c, void *state)
{
	lane_body_more(c);
	return LANE_ASYNC;
}

static int
run_echo(struct lane_ctx *c)
{
	int rc = lane_stream(c, &(struct lane_stream_args){.status = 200,
	    .on_drain = echo_drain, .queue_bytes = 1000});

	return rc == LANE_ASYNC ? lane_body_wait(c) : rc;
}

static size_t
echo_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	if (is_last) {
		lane_finish(c, lane_stream_end(c));
		return 0;
	}
	if (piece.len > 1000)
		piece.len = 1000;
	return lane_write(c, piece) == LANE_DROPPED ? 0 : piece.len;
}

static size_t
forget_body(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	lane_write(c, piece);
	return piece.len;
}

static int
run_forget(struct lane_ctx *c)
{
	int rc = begin(c, NULL, NULL);

	return rc == LANE_ASYNC ? lane_body_wait(c) : rc;
}

static const struct lane_route routes[] = {
    {.name = "forget", .path = "/forget", .run = run_forget,
	.on_body = forget_body, .body = LANE_BODY_STREAM},
    {.name = "echo", .path = "/echo", .run = run_echo, .on_body = echo_body,
	.body = LANE_BODY_STREAM},
    {.name = "whole", .path = "/whole", .run = run_whole},
    {.name = "timer", .path = "/timer", .run = run_timer},
    {.name = "long", .path = "/long", .run = run_long},
    {.name = "late", .path = "/late", .run = run_late},
    {.name = "status", .path = "/status", .run = run_status},
    {.name = "drain", .path = "/drain", .run = run_drain},
    {.name = "full", .path = "/full", .run = run_full},
    {.name = "fails", .path = "/fails", .run = run_fails},
    {.name = "other", .path = "/other", .run = run_other},
    {.name = "cut", .path = "/cut", .run = run_cut},
    {.name = "cut_twice", .path = "/cut_twice", .run = run_cut_twice},
    {.name = "stuck", .path = "/stuck", .run = run_stuck},
    {.name = "drain_fails", .path = "/drain_fails", .run = run_drain_fails},
    {.name = "trailer", .path = "/trailer", .run = run_trailer},
    {.name = "hint", .path = "/hint", .run = run_hint},
    {.name = NULL},
};
static const struct lane_module probe = {
	.abi = LANE_ABI, .name = "probe", .routes = routes,
};
static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

static void
streams_are_chunked(void **state)
{
	static const struct {
		const char *name, *request;
		int status;
		const char *body;
	} cases[] = {
	    {"written and ended at once", GET11("/whole"), 200,
		"7\r\none two\r\n0\r\n\r\n"},
	    {"written later", GET11("/timer"), 200, "5\r\ntick \r\n"
		"5\r\ntick \r\n5\r\ntick \r\n0\r\n\r\n"},
	    {"begun later", GET11("/late"), 200,
		"5\r\nlate \r\n5\r\ntick \r\n0\r\n\r\n"},
	    {"ended by the status", GET11("/status"), 200,
		"4\r\nlast\r\n0\r\n\r\n"},
	    {"a full queue", GET11("/full"), 201, "10\r\n1234567812345678\r\n"
		"3\r\nabc\r\n0\r\n\r\n"},
	    {"until the close in 1.0", "GET /timer HTTP/1.0\r\n\r\n", 200,
		"tick tick tick "},
	    {"a failure before it has begun", GET11("/fails"), 500, NULL},
	    {"another status before it has begun", GET11("/other"), 404, NULL},
	    {"a failure on the way", GET11("/cut"), 200,
		"6\r\nbegun \r\n"},
	    {"a second answer on the way", GET11("/cut_twice"), 200,
		"6\r\nbegun \r\n"},
	    {"nothing under way", GET11("/stuck"), 200, "6\r\nbegun \r\n"},
	    {"content that ends and nobody else", "POST /forget HTTP/1.1\r\n"
		"Host: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
		"begun", 200, "5\r\nbegun\r\n"},
	    {"on_drain() fails", GET11("/drain_fails"), 200,
		"6\r\nbegun \r\n"},
	};
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct reply reply;

		drained = 0;
		loopback_ask(lo, cases[i].request, &reply);
		unit_check(reply.status == cases[i].status, cases[i].name);
		if (cases[i].body != NULL)
			unit_check_str(reply.body, str_of(cases[i].body),
			    cases[i].name);
		else
			unit_check(memmem(reply.body.p, reply.body.len,
			    "never sent", 10) == NULL, cases[i].name);
		reply_done(&reply);
	}
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
a_stream_is_drawn_by_its_client(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct reply reply;
	struct wire w;
	unsigned before;

	drained = 0;
	loopback_ask(lo, "GET /drain HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.body.len, 1000000);
	assert_int_equal(drained, 1001);
	reply_done(&reply);

	/* One that doesn't read stops it. */
	drained = 0;
	wire_open_small(lo, &w);
	wire_send(&w, STR("GET /drain HTTP/1.1\r\nHost: x\r\n\r\n"));
	loopback_ticks(lo, 3);
	before = drained;
	assert_in_range(before, 1, 1000);
	loopback_ticks(lo, 3);
	assert_int_equal(drained, before);
	ended = 0;
	wire_close(&w);
	loopback_wait_empty(lo);
	assert_int_equal(ended, 1);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
content_streams_through(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct str head = STR("POST /echo HTTP/1.0\r\n"
	    "Content-Length: 300000\r\n\r\n");
	char *request = malloc(head.len + 300000);
	struct reply reply;

	assert_non_null(request);
	memcpy(request, head.p, head.len);
	for (size_t i = 0; i < 300000; i++)
		request[head.len + i] = (char)('a' + i % 23);
	loopback_send(lo, str_from(request, head.len + 300000), &reply);
	assert_true(str_has_suffix(buf_str(&reply.text),
	    str_from(request + head.len, 300000)));
	assert_true(str_has_prefix(buf_str(&reply.text), STR("HTTP/1.1 200 ")));
	reply_done(&reply);
	free(request);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
a_stream_outlasts_the_deadline(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE
	    ", \"timeouts\": {\"request\": \"100ms\"}}", given);
	struct reply reply;

	loopback_ask(lo, "GET /long HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.body.len, 200 * strlen("tick "));
	reply_done(&reply);
	loopback_close(lo);
}

static void
who_leaves_ends_it(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct wire w;

	ended = 0;
	wire_open(lo, &w);
	wire_send(&w, STR("GET /long HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(&w, "tick ");
	assert_int_equal(ended, 0);
	wire_close(&w);
	loopback_wait_empty(lo);
	assert_int_equal(ended, 1);
	assert_int_equal(lo->stats.requests_aborted, 1);
	loopback_check_quiet(lo);

	/* HEAD has no content: the stream is over with the head. */
	wire_open(lo, &w);
	wire_send(&w, STR("HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /whole HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(&w, "0\r\n\r\n");
	assert_int_equal(wire_count(&w, "tick"), 0);
	assert_int_equal(wire_count(&w, "one two"), 1);
	assert_int_equal(ended, 2);
	wire_close(&w);
	loopback_wait_empty(lo);
	loopback_close(lo);
}

static void
trailers_go_to_who_takes_them(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct reply reply;

	loopback_ask(lo, "GET /trailer HTTP/1.1\r\nHost: x\r\n"
	    "TE: gzip, trailers\r\nConnection: close\r\n\r\n", &reply);
	unit_check_str(reply.body, STR("1\r\nx\r\n0\r\nX-Sum: 7\r\n"
	    "X-More: 8\r\n\r\n"), "with TE");
	reply_done(&reply);
	loopback_ask(lo, GET11("/trailer"), &reply);
	unit_check_str(reply.body, STR("1\r\nx\r\n0\r\n\r\n"), "without TE");
	reply_done(&reply);
	loopback_ask(lo, "GET /trailer HTTP/1.0\r\nTE: trailers\r\n\r\n",
	    &reply);
	unit_check_str(reply.body, STR("x"), "in 1.0");
	reply_done(&reply);
	loopback_close(lo);
}

static void
hints_come_first(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct reply reply;
	uint64_t before;

	before = lo->stats.responses_1xx;
	loopback_ask(lo, GET11("/hint"), &reply);
	assert_int_equal(reply.status, 103);
	unit_check_str(reply.head, STR("HTTP/1.1 103 Early Hints\r\n"
	    "Link: </a.css>; rel=preload\r\n\r\n"), "the first hint");
	assert_true(str_has_prefix(reply.body,
	    STR("HTTP/1.1 103 Early Hints\r\n"
	    "Link: </b.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n")));
	assert_true(str_has_suffix(reply.body, STR("\r\n\r\npage")));
	assert_int_equal(lo->stats.responses_1xx - before, 2);
	reply_done(&reply);
	loopback_ask(lo, "GET /hint HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 200);
	unit_check_str(reply.body, STR("page"), "no hint in 1.0");
	reply_done(&reply);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_chunked),
		cmocka_unit_test(a_stream_is_drawn_by_its_client),
		cmocka_unit_test(content_streams_through),
		cmocka_unit_test(a_stream_outlasts_the_deadline),
		cmocka_unit_test(who_leaves_ends_it),
		cmocka_unit_test(trailers_go_to_who_takes_them),
		cmocka_unit_test(hints_come_first),
	};

	return UNIT_RUN(tests);
}
