/* SPDX-License-Identifier: MIT */
/*
 * Modules and contexts: what is loaded, what module code returns, what waits
 * and how it ends.
 *
 * Context: a process of its own, the server over a socketpair.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/ctx.h"
#include "server/internal.h"
#include "tests/unit/loopback.h"

/* A wait of the test's own: an operation with a timer. */
struct wait {
	struct op op;
	struct event timer;
	lane_done_fn done;
};

static unsigned cancelled, deferred, stopped, crashes;

static void
wait_on_timer(int fd, short what, void *arg)
{
	struct wait *w = arg;
	struct lane_ctx *c = w->op.ctx;

	server_wake(c->srv);
	op_finish(&w->op);
	CTX_CALL(c, w->done(c, w));
}

static void
wait_cancel(struct op *op)
{
	struct wait *w = (struct wait *)op;

	cancelled++;
	evtimer_del(&w->timer);
}

static int
wait_for(struct lane_ctx *c, int ms, lane_done_fn done)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	struct wait *w = arena_zalloc(c->arena, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	w->done = done;
	evtimer_assign(&w->timer, c->srv->base, wait_on_timer, w);
	evtimer_add(&w->timer, &tv);
	op_start(c, &w->op, wait_cancel);
	return LANE_ASYNC;
}

static void
count_defer(void *ptr)
{
	deferred++;
}

static int
done_204(struct lane_ctx *c, void *state)
{
	return 204;
}

static int
done_next(struct lane_ctx *c, void *state)
{
	return LANE_NEXT;
}

static int
done_async(struct lane_ctx *c, void *state)
{
	return LANE_ASYNC;
}

static int
done_again(struct lane_ctx *c, void *state)
{
	return wait_for(c, 1, done_204);
}

static int
run_plain(struct lane_ctx *c)
{
	return 204;
}

static int
run_missing(struct lane_ctx *c)
{
	return 404;
}

static int
run_errno(struct lane_ctx *c)
{
	return -EIO;
}

static int
run_nomem(struct lane_ctx *c)
{
	return -ENOMEM;
}

static int
run_nonsense(struct lane_ctx *c)
{
	return 7;
}

static int
run_huge(struct lane_ctx *c)
{
	return 1000;
}

static int
run_silent(struct lane_ctx *c)
{
	return LANE_NEXT;
}

static int
run_leak(struct lane_ctx *c)
{
	return LANE_ASYNC;
}

static int
run_wait(struct lane_ctx *c)
{
	return wait_for(c, 1, done_204);
}

static int
run_wait_again(struct lane_ctx *c)
{
	return wait_for(c, 1, done_again);
}

static int
run_wait_silent(struct lane_ctx *c)
{
	return wait_for(c, 1, done_next);
}

static int
run_wait_leak(struct lane_ctx *c)
{
	return wait_for(c, 1, done_async);
}

/* Two things at once: the slow one is cancelled by the answer. */
static int
run_race(struct lane_ctx *c)
{
	if (wait_for(c, 60000, done_async) != LANE_ASYNC)
		return -ENOMEM;
	if (arena_defer(c->arena, count_defer, NULL) == -1)
		return -ENOMEM;
	return wait_for(c, 1, done_204);
}

/* An error at once, beside what was begun. */
static int
run_refuse(struct lane_ctx *c)
{
	return wait_for(c, 60000, done_async) == LANE_ASYNC ? 503 : -ENOMEM;
}

static int
run_endless(struct lane_ctx *c)
{
	if (arena_defer(c->arena, count_defer, NULL) == -1)
		return -ENOMEM;
	return wait_for(c, 600000, done_204);
}

static const struct lane_route routes[] = {
    {.name = "plain", .path = "/plain", .run = run_plain},
    {.name = "get", .path = "/get", .methods = "GET, POST", .run = run_plain},
    {.name = "bound", .run = run_plain},
    {.name = "missing", .path = "/missing", .run = run_missing},
    {.name = "errno", .path = "/errno", .run = run_errno},
    {.name = "nomem", .path = "/nomem", .run = run_nomem},
    {.name = "nonsense", .path = "/nonsense", .run = run_nonsense},
    {.name = "huge", .path = "/huge", .run = run_huge},
    {.name = "silent", .path = "/silent", .run = run_silent},
    {.name = "leak", .path = "/leak", .run = run_leak},
    {.name = "wait", .path = "/wait", .run = run_wait},
    {.name = "again", .path = "/again", .run = run_wait_again},
    {.name = "wait_silent", .path = "/wait_silent", .run = run_wait_silent},
    {.name = "wait_leak", .path = "/wait_leak", .run = run_wait_leak},
    {.name = "race", .path = "/race", .run = run_race},
    {.name = "refuse", .path = "/refuse", .run = run_refuse},
    {.name = "endless", .path = "/endless", .run = run_endless},
    {.name = NULL},
};

static int
before_stop(struct lane_ctx *c)
{
	return 403;
}

static int
before_wait(struct lane_ctx *c)
{
	return wait_for(c, 1, done_next);
}

static const struct lane_middleware middleware[] = {
    {.name = "stop", .before = before_stop},
    {.name = "wait", .before = before_wait},
    {.name = NULL},
};

static int
start(struct lane_ctx *c)
{
	return wait_for(c, 1, done_204);
}

static int
stop(struct lane_ctx *c)
{
	stopped++;
	return LANE_NEXT;
}

static int
crash_report(struct lane_ctx *c, const struct lane_crash *crash)
{
	crashes++;
	assert_int_equal(crash->signal, 11);
	return 200;
}

static int
shape_error(struct lane_ctx *c, const struct lane_problem *problem)
{
	if (problem->status != 503)
		return LANE_NEXT;
	return lane_send(c, 503, "text/x-mine", LANE_STR("mine"));
}

static const struct lane_module probe = {
    .abi = LANE_ABI,
    .name = "probe",
    .routes = routes,
    .middleware = middleware,
    .on_worker_start = start,
    .on_worker_stop = stop,
    .on_crash_report = crash_report,
    .on_request_error = shape_error,
};

static const struct module_given given[] = {{"probe", &probe}, {NULL, NULL}};

#define MODULE                                                                 \
	"\"modules\": [{\"name\": \"probe\", \"file\": \"x.so\", "             \
	"\"prefix\": \"/p\"}]"
#define ROUTES                                                                 \
	"\"routes\": ["                                                        \
	"{\"path\": \"/bound/{id}\", \"handler\": \"probe.bound\"},"           \
	"{\"path\": \"/stopped\", \"handler\": \"probe.plain\", "              \
	"\"middleware\": [{\"use\": \"probe.wait\"}, "                         \
	"{\"use\": \"probe.stop\"}]},"                                         \
	"{\"path\": \"/waited\", \"handler\": \"probe.plain\", "               \
	"\"middleware\": [{\"use\": \"probe.wait\"}, "                         \
	"{\"use\": \"headers\", \"set\": {\"X-Ran\": \"yes\"}}]}]"

static void
what_module_code_returns_is_taken_or_told(void **state)
{
	static const struct exchange cases[] = {
	    {"a status is the answer", "GET /p/plain", 204, {0}, {0}, NULL},
	    {"a bound handler", "GET /bound/7", 204, {0}, {0}, NULL},
	    {"its own methods", "DELETE /p/get", 405,
		{"Allow: GET, HEAD, "
		    "POST, OPTIONS"},
		{0}, NULL},
	    {"an error without content", "GET /p/missing", 404, {0}, {0}, NULL},
	    {"an errno", "GET /p/errno", 500, {0}, {0}, NULL},
	    {"no memory", "GET /p/nomem", 503, {0}, {0}, NULL},
	    {"a number that means nothing", "GET /p/nonsense", 500, {0}, {0},
		NULL},
	    {"a status beyond all", "GET /p/huge", 500, {0}, {0}, NULL},
	    {"no answer", "GET /p/silent", 500, {0}, {0}, NULL},
	    {"async with nothing under way", "GET /p/leak", 500, {0}, {0},
		NULL},
	    {"a wait", "GET /p/wait", 204, {0}, {0}, NULL},
	    {"two waits", "GET /p/again", 204, {0}, {0}, NULL},
	    {"a continuation without an answer", "GET /p/wait_silent", 500, {0},
		{0}, NULL},
	    {"a continuation that leaks", "GET /p/wait_leak", 500, {0}, {0},
		NULL},
	    {"middleware that answers after one that waited", "GET /stopped",
		403, {0}, {0}, NULL},
	    {"middleware that waits, then the rest and the handler",
		"GET /waited", 204, {"X-Ran: yes"}, {0}, NULL},
	};
	struct loopback *lo =
	    loopback_open_with("{" MODULE ", " ROUTES "}", given);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct reply reply;
		char text[200];

		snprintf(text, sizeof(text),
		    "%s HTTP/1.1\r\nHost: x\r\n"
		    "Connection: close\r\n\r\n",
		    cases[i].request);
		loopback_ask(lo, text, &reply);
		if (reply.status != cases[i].status)
			fail_msg("%s: %d", cases[i].name, reply.status);
		for (size_t j = 0; cases[i].has[j] != NULL; j++)
			unit_check(memmem(reply.head.p, reply.head.len,
			    cases[i].has[j],
			    strlen(cases[i].has[j])) != NULL,
			    cases[i].name);
		reply_done(&reply);
	}
	assert_int_equal(lo->stats.handler_errors, 8);
	loopback_close(lo);
}

static void
the_answer_cancels_what_is_still_under_way(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct reply reply;

	cancelled = deferred = 0;
	loopback_ask(lo, "GET /p/race HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 204);
	assert_int_equal(cancelled, 1);
	assert_int_equal(deferred, 1);
	reply_done(&reply);
	loopback_close(lo);
}

static void
an_error_at_once_cancels_too_and_is_shaped(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE "}", given);
	struct reply reply;

	cancelled = 0;
	loopback_ask(lo, "GET /p/refuse HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 503);
	assert_int_equal(cancelled, 1);
	assert_true(str_eq(reply.body, STR("mine")));
	reply_done(&reply);
	loopback_close(lo);
}

static void
a_deadline_cancels_and_answers(void **state)
{
	struct loopback *lo = loopback_open_with("{" MODULE ", \"timeouts\": "
	    "{\"request\": \"100ms\"}}",
	    given);
	struct reply reply;

	cancelled = deferred = 0;
	loopback_ask(lo, "GET /p/endless HTTP/1.0\r\n\r\n", &reply);
	assert_int_equal(reply.status, 503);
	assert_int_equal(cancelled, 1);
	assert_int_equal(deferred, 1);
	reply_done(&reply);
	loopback_close(lo);
}

static void
hooks_run_at_start_and_stop(void **state)
{
	struct loopback *lo;

	stopped = crashes = 0;
	lo = loopback_open_with("{" MODULE "}", given);
	assert_int_equal(server_state(lo->srv, NULL), SERVER_STARTED);
	server_drain(lo->srv);
	while (!server_is_drained(lo->srv)) {
		event_base_loop(lo->base, EVLOOP_ONCE);
		server_turn(lo->srv);
	}
	assert_int_equal(stopped, 1);
	loopback_close(lo);
	assert_int_equal(stopped, 1);
	lo = loopback_open_with("{" MODULE "}", given);
	loopback_close(lo);
	assert_int_equal(stopped, 2);
}

/* Loads and expects one problem with this text in it. */
static void
check_refused(
    const struct lane_module *def, const char *config, const char *text)
{
	const struct module_given one[] = {{"probe", def}, {NULL, NULL}};
	struct config_problems problems;
	struct config *cfg = config_parse(str_of(config), "m.json", &problems);
	struct stats stats = {0};
	struct server_ops ops = {0};
	struct event_base *base = event_base_new();
	struct server *srv;
	struct error err;

	unit_check(cfg != NULL, problems.count > 0 ? problems.item[0] : text);
	config_problems_done(&problems);
	srv = server_new(&(struct server_args){.base = base,
	    .config = cfg,
	    .stats = &stats,
	    .ops = &ops,
	    .connections_max = 1,
	    .access_log_fd = -1,
	    .modules = one},
	    &err);
	if (srv != NULL || strstr(err.text, text) == NULL)
		fail_msg("'%s', not '%s'", srv != NULL ? "" : err.text, text);
	config_unref(cfg);
	event_base_free(base);
}

static int
init_fails(struct lane_init *in)
{
	return lane_init_fail(in, "a.b", "must be %d", 7);
}

static int
init_fails_silently(struct lane_init *in)
{
	return -1;
}

static void
a_bad_module_is_refused_with_its_reason(void **state)
{
	static const struct lane_route
	    twice[] = {{.name = "x", .run = run_plain},
		{.name = "x", .run = run_plain}, {.name = NULL}},
	    no_run[] = {{.name = "x"}, {.name = NULL}},
	    bad_method[] = {{.name = "x",
				.methods = "GET, FETCH",
				.run = run_plain},
		{.name = NULL}},
	    bad_path[] = {
		{.name = "x", .path = "x", .run = run_plain}, {.name = NULL}};
	const struct lane_module old = {.abi = 77, .name = "probe"},
	    fails = {.abi = LANE_ABI,
	    .name = "probe",
	    .init = init_fails},
	    silent = {.abi = LANE_ABI,
	    .name = "probe",
	    .init = init_fails_silently};
	struct lane_module m = {.abi = LANE_ABI, .name = "probe"};

	check_refused(&old, "{" MODULE "}", "ABI 77");
	m.routes = twice;
	check_refused(&m, "{" MODULE "}", "is there twice");
	m.routes = no_run;
	check_refused(&m, "{" MODULE "}", "has no run()");
	m.routes = bad_method;
	check_refused(&m, "{" MODULE "}", "'GET, FETCH'");
	m.routes = bad_path;
	check_refused(&m, "{" MODULE "}", "begin with \"/\"");
	check_refused(&fails,
	    "{\"modules\": [{\"name\": \"probe\", \"file\": "
	    "\"x.so\",\n \"config\": {\"a\": {\"b\": 6}}}]}",
	    "m.json:2:24: modules[0].config.a.b: must be 7");
	check_refused(&silent, "{" MODULE "}", "without a reason");
	check_refused(&probe,
	    "{" MODULE ", \"routes\": [{\"path\": \"/x\", "
	    "\"handler\": \"probe.nothing\"}]}",
	    "no handler 'probe.nothing'");
	check_refused(&probe,
	    "{" MODULE ", \"middleware\": [{\"use\": "
	    "\"probe.nothing\"}]}",
	    "no middleware 'probe.nothing'");
	check_refused(&probe,
	    "{\"modules\": [{\"name\": \"absent\", "
	    "\"file\": \"absent.so\"}]}",
	    "absent.so");
}

static void
a_crash_is_reported_once_to_the_next_worker(void **state)
{
	const struct lane_crash crash = {.worker = 1, .signal = 11};
	struct config_problems problems;
	struct config *cfg = config_parse(STR("{" MODULE "}"), NULL, &problems);
	struct stats stats = {0};
	struct server_ops ops = {0};
	struct event_base *base = event_base_new();
	struct server *srv;
	struct error err;

	crashes = 0;
	config_problems_done(&problems);
	srv = server_new(&(struct server_args){.base = base,
	    .config = cfg,
	    .stats = &stats,
	    .ops = &ops,
	    .connections_max = 1,
	    .access_log_fd = -1,
	    .modules = given,
	    .crash = &crash},
	    &err);
	assert_non_null(srv);
	while (server_state(srv, NULL) == SERVER_STARTING)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(crashes, 1);
	server_free(srv);
	config_unref(cfg);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_module_code_returns_is_taken_or_told),
	    cmocka_unit_test(the_answer_cancels_what_is_still_under_way),
	    cmocka_unit_test(an_error_at_once_cancels_too_and_is_shaped),
	    cmocka_unit_test(a_deadline_cancels_and_answers),
	    cmocka_unit_test(hooks_run_at_start_and_stop),
	    cmocka_unit_test(a_bad_module_is_refused_with_its_reason),
	    cmocka_unit_test(a_crash_is_reported_once_to_the_next_worker),
	};

	return UNIT_RUN(tests);
}
