/* SPDX-License-Identifier: MIT */
/*
 * A module that waits in every way there is, as its query says: for tests with
 * real clients, who may leave in the middle.
 *
 * Context: a worker's loop, the pool, and threads of its own.
 */
#include <corelane/corelane.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of one worker; /counts tells them.  The last two are other threads'. */
static unsigned started, done, ended, working, worked;

/* What work is held by until /release, where its query says "gated". */
static sem_t gate;

static int
init(struct lane_init *in)
{
	return sem_init(&gate, 0, 0);
}

static unsigned
load(const unsigned *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void
add(unsigned *count)
{
	__atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
}

static void
count_end(void *ptr)
{
	ended++;
}

static int
begin(struct lane_ctx *c)
{
	started++;
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

static int
counts(struct lane_ctx *c)
{
	return lane_printf(c, 200, "application/json",
	    "{\"started\": %u, "
	    "\"done\": %u, \"ended\": %u, \"working\": %u, "
	    "\"worked\": %u}",
	    started, done, ended, load(&working), load(&worked));
}

static int
tell_done(struct lane_ctx *c, void *state)
{
	done++;
	return lane_send(c, 200, "text/plain", LANE_STR("done"));
}

static int
release(struct lane_ctx *c)
{
	for (int64_t n = number(c, "n"); n > 0; n--)
		sem_post(&gate);
	return 204;
}

struct task {
	int64_t ms;
	bool is_gated;
	lane_handle handle;
};

static void
task_read(struct lane_ctx *c, struct task *t)
{
	t->ms = number(c, "ms");
	t->is_gated = number(c, "gated") != 0;
}

static void
task_run(const struct task *t)
{
	struct timespec ts = {t->ms / 1000, t->ms % 1000 * 1000000};

	add(&working);
	if (t->is_gated)
		sem_wait(&gate);
	nanosleep(&ts, NULL);
}

static void
work(void *state)
{
	task_run(state);
	add(&worked);
}

static int
offload(struct lane_ctx *c)
{
	struct task *t = lane_alloc(c, sizeof(*t));

	if (t == NULL || begin(c) != 0)
		return -ENOMEM;
	task_read(c, t);
	return lane_offload(c, work, tell_done, t);
}

static int
after(struct lane_ctx *c)
{
	if (begin(c) != 0)
		return -ENOMEM;
	return lane_after(c, (unsigned)number(c, "ms"), tell_done, NULL);
}

/* It outlives the request that it posts to, as a library's thread might. */
static void *
post_later(void *arg)
{
	struct task t = *(struct task *)arg;

	free(arg);
	task_run(&t);
	(void)lane_post(t.handle);
	add(&worked);
	return NULL;
}

static int
hold(struct lane_ctx *c)
{
	struct task *t = malloc(sizeof(*t));
	pthread_t thread;
	int rc;

	if (t == NULL || begin(c) != 0) {
		free(t);
		return -ENOMEM;
	}
	task_read(c, t);
	rc = lane_hold(c, tell_done, NULL, &t->handle);
	if (rc != LANE_ASYNC ||
	    pthread_create(&thread, NULL, post_later, t) != 0) {
		free(t);
		return rc != LANE_ASYNC ? rc : -EAGAIN;
	}
	pthread_detach(thread);
	return rc;
}

static int
fetched(struct lane_ctx *c, void *state, const struct lane_fetched *answer)
{
	struct lane_str want = lane_fetched_header(answer, "X-Want");

	done++;
	return lane_printf(c, 200, "text/plain", "%d|%s|%.*s|%.*s",
	    answer->status, answer->error != NULL ? answer->error : "",
	    (int)(want.p != NULL ? want.len : 1), want.p != NULL ? want.p : "-",
	    LANE_FMT(answer->body));
}

static int
fetch(struct lane_ctx *c)
{
	const char **headers = lane_alloc(c, 2 * sizeof(*headers));

	if (headers == NULL || begin(c) != 0)
		return -ENOMEM;
	headers[0] = text(c, "header");
	return lane_fetch(c,
	    &(struct lane_fetch_args){.url = text(c, "url"),
		.method = text(c, "method"),
		.headers = headers,
		.body = lane_query(c, "body"),
		.timeout_ms = (unsigned)number(c, "timeout"),
		.max_bytes = (size_t)number(c, "max"),
		.redirects = (unsigned)number(c, "redirects"),
		.done = fetched});
}

struct fan {
	unsigned left, good;
};

static int
fan_done(struct lane_ctx *c, void *state, const struct lane_fetched *answer)
{
	struct fan *f = state;

	f->good += answer->status == 200;
	if (--f->left > 0)
		return LANE_ASYNC;
	return lane_printf(c, 200, "text/plain", "%u", f->good);
}

/* Many at once, the same URL. */
static int
fan(struct lane_ctx *c)
{
	struct fan *f = lane_alloc(c, sizeof(*f));
	int64_t n = number(c, "n");
	int rc = LANE_ASYNC;

	if (f == NULL)
		return -ENOMEM;
	f->left = (unsigned)n;
	for (; rc == LANE_ASYNC && n > 0; n--)
		rc = lane_fetch(c,
		    &(struct lane_fetch_args){
			.url = text(c, "url"), .done = fan_done, .state = f});
	return rc;
}

static const struct lane_route routes[] = {
    {.name = "counts", .path = "/counts", .run = counts},
    {.name = "release", .path = "/release", .run = release},
    {.name = "offload", .path = "/offload", .run = offload},
    {.name = "after", .path = "/after", .run = after},
    {.name = "hold", .path = "/hold", .run = hold},
    {.name = "fetch", .path = "/fetch", .run = fetch},
    {.name = "fan", .path = "/fan", .run = fan},
    {.name = NULL},
};

LANE_MODULE(.name = "waits", .init = init, .routes = routes);
