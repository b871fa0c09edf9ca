/* SPDX-License-Identifier: MIT */
/*
 * A module by an author who reads no documentation: it does what each request's
 * query says, right or wrong, with every part of the public API.
 *
 * Context: a worker's loop, the pool, and threads of its own.
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Contexts that have begun, and have ended; continuations that have run after
 * their context had answered.  Of one worker. */
static unsigned begun, ended, late, spawned, dropped;
static struct lane_counter *requests;

static int
init(struct lane_init *in)
{
	requests = lane_counter(in, "requests_total", "Requests begun.");
	return 0;
}

static void
count_end(void *ptr)
{
	ended++;
}

static int
begin(struct lane_ctx *c)
{
	begun++;
	lane_count(requests, 1);
	return lane_defer(c, count_end, NULL);
}

static int64_t
number(struct lane_ctx *c, const char *name)
{
	int64_t value;

	return lane_query_int(c, name, 0, &value) == 0 ? value : 0;
}

/* NULL where the query hasn't got it. */
static const char *
text(struct lane_ctx *c, const char *name)
{
	struct lane_str value = lane_query(c, name);

	return value.p != NULL ? lane_copy(c, value).p : NULL;
}

static bool
is(struct lane_ctx *c, const char *name, const char *value)
{
	return lane_str_eq(lane_query(c, name), lane_str_of(value));
}

static int
done(struct lane_ctx *c, void *state)
{
	return lane_send(c, 200, "text/plain", LANE_STR("done"));
}

static int
counts(struct lane_ctx *c)
{
	return lane_printf(c, 200, "application/json",
	    "{\"begun\": %u, \"ended\": %u, \"late\": %u, \"spawned\": %u, "
	    "\"dropped\": %u}", begun, ended, late, spawned, dropped);
}

/* Waiting. */

static void
sleep_ms(void *state)
{
	const int64_t *ms = state;
	struct timespec ts = {*ms / 1000, *ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

static int
offload(struct lane_ctx *c)
{
	int64_t *ms = lane_alloc(c, sizeof(*ms));
	int64_t n = number(c, "n");
	int rc = LANE_ASYNC;

	if (ms == NULL || begin(c) != 0)
		return -ENOMEM;
	*ms = number(c, "ms");
	do
		rc = lane_offload(c, sleep_ms, done, ms);
	while (rc == LANE_ASYNC && --n > 0);
	return rc;
}

static int
after(struct lane_ctx *c)
{
	if (begin(c) != 0)
		return -ENOMEM;
	return lane_after(c, (unsigned)number(c, "ms"), done, NULL);
}

struct post {
	lane_handle handle;
	int64_t ms, times;
};

/* It outlives the request that it posts to, and the worker's server. */
static void *
post_later(void *arg)
{
	struct post p = *(struct post *)arg;

	free(arg);
	sleep_ms(&p.ms);
	while (p.times-- > 0)
		(void)lane_post(p.handle);
	return NULL;
}

static int
hold(struct lane_ctx *c)
{
	struct post *p = malloc(sizeof(*p));
	pthread_t thread;
	int rc;

	if (p == NULL || begin(c) != 0) {
		free(p);
		return -ENOMEM;
	}
	p->ms = number(c, "ms");
	p->times = number(c, "times");
	rc = lane_hold(c, done, NULL, &p->handle);
	if (rc != LANE_ASYNC ||
	    pthread_create(&thread, NULL, post_later, p) != 0) {
		free(p);
		return rc != LANE_ASYNC ? rc : -EAGAIN;
	}
	pthread_detach(thread);
	return rc;
}

static int
fetched(struct lane_ctx *c, void *state, const struct lane_fetched *answer)
{
	return lane_printf(c, 200, "text/plain", "%d", answer->status);
}

static int
fetch(struct lane_ctx *c)
{
	if (begin(c) != 0)
		return -ENOMEM;
	return lane_fetch(c, &(struct lane_fetch_args){
	    .url = text(c, "url"), .done = fetched});
}

static int
attempt(struct lane_ctx *c, void *state)
{
	int64_t *left = state;

	if (--*left > 0)
		return lane_fail(c, 503, "not yet");
	return done(c, NULL);
}

static int
retry(struct lane_ctx *c)
{
	int64_t *left = lane_alloc(c, sizeof(*left));

	if (left == NULL || begin(c) != 0)
		return -ENOMEM;
	*left = number(c, "n");
	return lane_retry(c, &(struct lane_retry_args){
	    .attempts = 5, .base_ms = (unsigned)number(c, "ms"),
	    .attempt = attempt, .state = left});
}

/* SQL, as the query has it. */

static int
rows_done(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	return lane_send(c, 200, "text/plain", lane_rows_text(rows, 0, 0));
}

static int
sql(struct lane_ctx *c)
{
	struct lane_value param[] = {lane_text(lane_query(c, "p"))};

	if (begin(c) != 0)
		return -ENOMEM;
	return lane_sql(c, .database = text(c, "db"), .sql = text(c, "sql"),
	    .params = param, .param_count = param[0].u.s.p != NULL,
	    .retries = (unsigned)number(c, "retries"), .done = rows_done);
}

struct step {
	struct lane_tx *tx;
	bool is_forgotten, is_twice;
	int64_t ms;
};

static int
step_commit(struct lane_ctx *c, void *state)
{
	struct step *s = state;
	int rc;

	if (s->is_forgotten)
		return done(c, NULL);
	rc = lane_commit(c, s->tx, rows_done, NULL);
	return s->is_twice ? lane_commit(c, s->tx, rows_done, NULL) : rc;
}

static int
step_done(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	struct step *s = state;

	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	return lane_after(c, (unsigned)s->ms, step_commit, s);
}

static int
step_begun(struct lane_ctx *c, void *state, struct lane_tx *tx,
    struct lane_rows *rows)
{
	struct step *s = state;

	if (tx == NULL)
		return lane_rows_fail(c, rows);
	s->tx = tx;
	return lane_sql(c, .tx = tx, .sql = text(c, "sql"), .done = step_done,
	    .state = s);
}

static int
transaction(struct lane_ctx *c)
{
	struct step *s = lane_alloc(c, sizeof(*s));

	if (s == NULL || begin(c) != 0)
		return -ENOMEM;
	s->ms = number(c, "ms");
	s->is_forgotten = is(c, "end", "forgotten");
	s->is_twice = is(c, "end", "twice");
	return lane_begin(c, &(struct lane_tx_args){
	    .database = text(c, "db"), .done = step_begun, .state = s});
}

/* Content, both ways. */

struct flow {
	int64_t left, dropped;
	size_t got;
	int64_t ms;
};

static int
flow_more(struct lane_ctx *c, void *state)
{
	static const char block[8192];
	struct flow *f = state;

	while (f->left > 0) {
		f->left--;
		if (lane_write(c, (struct lane_str){block, sizeof(block)}) !=
		    LANE_OK)
			return LANE_ASYNC;
	}
	(void)lane_trailer(c, "X-Sum", LANE_STR("7"));
	return lane_stream_end(c);
}

static int
stream(struct lane_ctx *c)
{
	struct flow *f = lane_alloc(c, sizeof(*f));

	if (f == NULL || begin(c) != 0)
		return -ENOMEM;
	f->left = number(c, "n");
	(void)lane_early_hint(c, LANE_STR("</x.css>; rel=preload"));
	if (is(c, "length", "1"))
		(void)lane_set(c, "Content-Length", LANE_STR("3"));
	return lane_stream(c, &(struct lane_stream_args){
	    .status = number(c, "status") != 0 ? (int)number(c, "status") : 200,
	    .type = "text/plain", .on_drain = flow_more, .state = f,
	    .queue_bytes = 16384});
}

/* Writes whatever the client takes: how often there was room, and not. */
static int
flood_tick(struct lane_ctx *c, void *state)
{
	static const char block[8192];
	struct flow *f = state;
	enum lane_write_result rc =
	    lane_write(c, (struct lane_str){block, sizeof(block)});

	if (rc == LANE_GONE)
		late++;
	f->dropped += rc == LANE_DROPPED;
	dropped += rc == LANE_DROPPED;
	if (rc == LANE_GONE || f->dropped == 3 || --f->left <= 0)
		return lane_stream_end(c);
	return lane_after(c, 1, flood_tick, f);
}

static int
flood(struct lane_ctx *c)
{
	struct flow *f = lane_alloc(c, sizeof(*f));
	int rc;

	if (f == NULL || begin(c) != 0)
		return -ENOMEM;
	f->left = number(c, "n");
	rc = lane_stream(c, &(struct lane_stream_args){
	    .status = 200, .type = "text/plain", .queue_bytes = 65536});
	return rc == LANE_ASYNC ? lane_after(c, 0, flood_tick, f) : rc;
}

static int
upload(struct lane_ctx *c)
{
	struct flow *f = lane_alloc(c, sizeof(*f));

	if (f == NULL || begin(c) != 0 ||
	    lane_attr_set_pointer(c, "flow", &begun, f) != 0)
		return -ENOMEM;
	f->ms = number(c, "ms");
	return is(c, "early", "1") ? done(c, NULL) : lane_body_wait(c);
}

static int
upload_more(struct lane_ctx *c, void *state)
{
	lane_body_more(c);
	return LANE_ASYNC;
}

static size_t
upload_piece(struct lane_ctx *c, struct lane_str piece, bool is_last)
{
	struct flow *f = lane_attr_pointer(c, "flow", &begun);

	if (is_last) {
		lane_finish(c, lane_printf(c, 200, "text/plain", "%zu",
		    f->got));
		return 0;
	}
	/* By halves, with a wait between them. */
	if (f->ms > 0 && piece.len > 1) {
		f->got += piece.len / 2;
		(void)!lane_after(c, (unsigned)f->ms, upload_more, NULL);
		return piece.len / 2;
	}
	f->got += piece.len;
	return piece.len;
}

static int
form(struct lane_ctx *c)
{
	struct lane_str name, value;
	struct lane_upload file;
	unsigned items = 0, files = 0;
	int rc;

	if (begin(c) != 0)
		return -ENOMEM;
	rc = lane_form_read(c);
	if (rc != 0)
		return rc;
	while (lane_form_item(c, items, &name, &value))
		items++;
	while (lane_upload_item(c, files, &file))
		files++;
	rc = lane_set(c, "X-Form", lane_form(c, "a"));
	return lane_printf(c, 200, "text/plain", "%u %u %d", items, files, rc);
}

static int
json(struct lane_ctx *c)
{
	const struct cJSON *tree;
	int rc = begin(c) != 0 ? -ENOMEM : lane_body_json(c, 0, &tree);

	return rc != 0 ? rc : done(c, NULL);
}

/* What a client sends becomes fields and cookies of the response. */
static int
fields(struct lane_ctx *c)
{
	struct lane_str v = lane_query(c, "v");
	const char *name = text(c, "name");
	int set, add, cookie;

	if (begin(c) != 0 || name == NULL)
		return -ENOMEM;
	set = lane_set(c, "X-Value", v);
	add = lane_add(c, name, LANE_STR("x"));
	cookie = lane_set_cookie(c, &(struct lane_cookie){
	    .name = "sid", .value = v, .path = "/"});
	return lane_printf(c, 200, "text/plain", "%d %d %d", set, add, cookie);
}

static int
large(struct lane_ctx *c)
{
	char *p = lane_alloc(c, 70000);

	if (p == NULL || begin(c) != 0)
		return -ENOMEM;
	memset(p, 'x', 70000);
	(void)lane_set(c, "X-Large", (struct lane_str){p, 70000});
	return done(c, NULL);
}

static int
redirect(struct lane_ctx *c)
{
	return lane_redirect(c, 302, lane_query(c, "to"));
}

static int
param(struct lane_ctx *c)
{
	struct lane_str name = lane_param(c, "name");

	return lane_send(c, 200, "text/plain", name);
}

/* Mistakes. */

static int
nothing(struct lane_ctx *c, void *state)
{
	return LANE_ASYNC;
}

static int
come_late(struct lane_ctx *c, void *state)
{
	late++;
	return LANE_ASYNC;
}

static int
twice(struct lane_ctx *c)
{
	int rc = done(c, NULL);

	(void)rc;
	return done(c, NULL);
}

/* Answers at once, and leaves something under way. */
static int
leaves(struct lane_ctx *c)
{
	if (begin(c) != 0)
		return -ENOMEM;
	(void)!lane_after(c, 20, come_late, NULL);
	return lane_stream(c, &(struct lane_stream_args){.status = 200}) ==
	    LANE_ASYNC ? 200 : 500;
}

static int
leaves_text(struct lane_ctx *c)
{
	static char block[4 << 20];

	if (begin(c) != 0)
		return -ENOMEM;
	(void)!lane_after(c, 20, come_late, NULL);
	return lane_send_lent(c, 200, "text/plain",
	    (struct lane_str){block, sizeof(block)});
}

static int
answer_then_wait(struct lane_ctx *c, void *state)
{
	int rc = done(c, NULL);

	return rc < 0 ? rc : LANE_ASYNC;
}

/* An answer, and a wait that ends with nothing more. */
static int
stalls(struct lane_ctx *c)
{
	int rc = lane_after(c, 1, answer_then_wait, NULL);

	return rc == LANE_ASYNC ? lane_after(c, 5, nothing, NULL) : rc;
}

static int
result(struct lane_ctx *c)
{
	if (is(c, "n", "min"))
		return INT_MIN;
	return (int)number(c, "n");
}

static int
empty_of_204(struct lane_ctx *c)
{
	return lane_send(c, (int)number(c, "n"), "text/plain",
	    LANE_STR("content"));
}

static int
never(struct lane_ctx *c)
{
	lane_handle handle;

	if (begin(c) != 0)
		return -ENOMEM;
	return lane_hold(c, done, NULL, &handle);
}

/* Defers. */

static int
spawn_done(struct lane_ctx *c, void *state)
{
	spawned++;
	return 200;
}

static const struct lane_fetch_args no_fetch = {
    .url = "http://127.0.0.1:1/", .done = fetched};

static int
begun_late(struct lane_ctx *c, void *state, struct lane_tx *tx,
    struct lane_rows *rows)
{
	late++;
	return 200;
}

/* Begins everything that can be begun, in a context that has ended. */
static void
defer_all(void *ptr)
{
	struct lane_ctx *c = ptr;
	lane_handle handle;
	char *p = lane_alloc(c, 10000);

	if (p != NULL)
		memset(p, 1, 10000);
	(void)lane_format(c, "%d", 7);
	(void)!lane_defer(c, count_end, NULL);
	(void)!lane_after(c, 1, come_late, NULL);
	(void)!lane_offload(c, sleep_ms, come_late, lane_alloc(c, 8));
	(void)!lane_hold(c, come_late, NULL, &handle);
	(void)!lane_fetch(c, &no_fetch);
	(void)!lane_retry(c, &(struct lane_retry_args){.attempt = come_late});
	(void)!lane_sql(c, .sql = "SELECT 1", .done = rows_done);
	(void)!lane_begin(c, &(struct lane_tx_args){.done = begun_late});
	(void)!lane_body_wait(c);
	(void)!lane_send(c, 200, "text/plain", LANE_STR("never"));
	(void)lane_set(c, "X", LANE_STR("y"));
	(void)!lane_stream(c, &(struct lane_stream_args){.status = 200});
	(void)lane_write(c, LANE_STR("never"));
	lane_body_more(c);
	lane_finish(c, 200);
	lane_log(c, LANE_INFO, "a defer at %lld, of %.*s",
	    (long long)lane_time_s(c), LANE_FMT(lane_path(c)));
	(void)lane_spawn(c, spawn_done, NULL);
}

static int
defers(struct lane_ctx *c)
{
	if (begin(c) != 0 || lane_defer(c, defer_all, c) != 0)
		return -ENOMEM;
	begun++; /* the defer adds one that counts an end */
	if (is(c, "how", "offload"))
		return offload(c);
	return lane_after(c, (unsigned)number(c, "ms"), done, NULL);
}

static int
spawn_again(struct lane_ctx *c, void *state)
{
	intptr_t left = (intptr_t)state;

	spawned++;
	if (left != 0)
		(void)lane_spawn(c, spawn_again, (void *)(left - 1));
	return 200;
}

static int
spawn(struct lane_ctx *c)
{
	(void)lane_spawn(c, spawn_again, (void *)(intptr_t)number(c, "n"));
	return done(c, NULL);
}

/* Middleware. */

static int
use_wait(struct lane_ctx *c, void *state)
{
	return LANE_NEXT;
}

static int
use_before(struct lane_ctx *c)
{
	lane_handle handle;

	if (is(c, "use", "wait"))
		return lane_after(c, (unsigned)number(c, "use_ms"), use_wait,
		    NULL);
	/* Goes on, and leaves something under way. */
	if (is(c, "use", "leave"))
		(void)!lane_after(c, 5, come_late, NULL);
	if (is(c, "use", "hold"))
		(void)!lane_hold(c, come_late, NULL, &handle);
	return LANE_NEXT;
}

static void
use_after(struct lane_ctx *c)
{
	(void)lane_set(c, "X-After", LANE_STR("yes"));
	if (is(c, "after", "answer"))
		(void)!lane_send(c, 200, "text/html", LANE_STR("another"));
	if (is(c, "after", "stream"))
		(void)!lane_stream(c, &(struct lane_stream_args){
		    .status = 200});
	if (is(c, "after", "fail"))
		(void)!lane_fail(c, 500, "another");
	if (is(c, "after", "wait"))
		(void)!lane_after(c, 1, come_late, NULL);
}

static int
shape(struct lane_ctx *c, const struct lane_problem *problem)
{
	if (is(c, "shape", "errno")) {
		(void)!lane_send(c, 400, "text/html", LANE_STR("half"));
		return -EIO;
	}
	if (is(c, "shape", "fail"))
		return lane_fail(c, problem->status, "shaped badly");
	if (is(c, "shape", "async"))
		return lane_after(c, 1, come_late, NULL);
	if (is(c, "shape", "stream"))
		return lane_stream(c, &(struct lane_stream_args){
		    .status = problem->status});
	if (is(c, "shape", "ok"))
		return lane_send(c, 200, "text/plain", LANE_STR("all is well"));
	return LANE_NEXT;
}

static const struct lane_field declared[] = {
    {.name = "id", .where = LANE_IN_PATH, .type = LANE_TYPE_INT, .min = 1,
	.max = 100, .is_required = true},
    {.name = "name", .where = LANE_IN_BODY, .type = LANE_TYPE_TEXT, .min = 1,
	.max = 5, .is_required = true},
    {.name = "age", .where = LANE_IN_BODY, .type = LANE_TYPE_INT, .min = -1,
	.max = 9007199254740991},
    {.name = NULL},
};

static int
declared_run(struct lane_ctx *c)
{
	return lane_printf(c, 200, "text/plain", "%lld %.*s %lld",
	    (long long)lane_arg_int(c, "id"),
	    LANE_FMT(lane_arg_text(c, "name")),
	    (long long)lane_arg_int(c, "age"));
}

static const struct lane_route routes[] = {
    {.name = "counts", .path = "/counts", .run = counts},
    {.name = "offload", .path = "/offload", .run = offload},
    {.name = "after", .path = "/after", .run = after},
    {.name = "hold", .path = "/hold", .run = hold},
    {.name = "never", .path = "/never", .run = never},
    {.name = "fetch", .path = "/fetch", .run = fetch},
    {.name = "retry", .path = "/retry", .run = retry},
    {.name = "sql", .path = "/sql", .run = sql},
    {.name = "transaction", .path = "/transaction", .run = transaction},
    {.name = "stream", .path = "/stream", .run = stream},
    {.name = "flood", .path = "/flood", .run = flood},
    {.name = "upload", .path = "/upload", .run = upload,
	.body = LANE_BODY_STREAM, .on_body = upload_piece,
	.body_bytes = 64 << 20},
    {.name = "form", .path = "/form", .run = form, .body_bytes = 64 << 20},
    {.name = "json", .path = "/json-in", .run = json},
    {.name = "fields", .path = "/fields", .run = fields},
    {.name = "large", .path = "/large", .run = large},
    {.name = "redirect", .path = "/redirect", .run = redirect},
    {.name = "param", .path = "/param/{name}", .run = param},
    {.name = "twice", .path = "/twice", .run = twice},
    {.name = "leaves", .path = "/leaves", .run = leaves},
    {.name = "leaves_text", .path = "/leaves-text", .run = leaves_text},
    {.name = "stalls", .path = "/stalls", .run = stalls},
    {.name = "result", .path = "/result", .run = result},
    {.name = "content", .path = "/content", .run = empty_of_204},
    {.name = "defers", .path = "/defers", .run = defers},
    {.name = "spawn", .path = "/spawn", .run = spawn},
    {.name = "declared", .path = "/declared/{id}", .methods = "POST",
	.run = declared_run, .fields = declared},
    {.name = NULL},
};

static const struct lane_middleware middleware[] = {
    {.name = "use", .before = use_before, .after = use_after},
    {.name = NULL},
};

LANE_MODULE(.name = "hostile", .init = init, .routes = routes,
    .middleware = middleware, .on_request_error = shape);
