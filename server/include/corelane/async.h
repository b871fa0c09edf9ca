/* SPDX-License-Identifier: MIT */
/*
 * Waiting without blocking the loop: work on the pool, timers, sub-requests.
 * (SQL, of the same shape, is in <corelane/sql.h>.)
 *
 * Each call starts something, names the function that goes on, and returns
 * LANE_ASYNC, or what to return instead: 503 with Retry-After where a queue is
 * full, a negative errno.  The continuation is never called from inside the
 * call.  Several things may be under way at once; a continuation that waits for
 * the others returns LANE_ASYNC.  The first to return anything else answers,
 * and what is still under way is cancelled.
 *
 * When the client goes away, or the request's deadline passes, everything is
 * cancelled: no continuation runs any more, defers run, the arena goes.  Work
 * that a pool thread has begun ends there, its state kept until then, and its
 * continuation isn't called.
 *
 *	struct hash { struct lane_str text; char hex[65]; };
 *
 *	static void hash_work(void *state);		(on a pool thread)
 *
 *	static int
 *	hash_done(struct lane_ctx *c, void *state)
 *	{
 *		struct hash *h = state;
 *
 *		return lane_send(c, 200, "text/plain", lane_str_of(h->hex));
 *	}
 *
 *	static int
 *	hash(struct lane_ctx *c)
 *	{
 *		struct hash *h = lane_alloc(c, sizeof(*h));
 *
 *		if (h == NULL)
 *			return -ENOMEM;
 *		h->text = lane_body(c);
 *		return lane_offload(c, hash_work, hash_done, h);
 *	}
 */
#ifndef CORELANE_ASYNC_H
#define CORELANE_ASYNC_H

#include <corelane/types.h>

LANE_BEGIN

/*
 * Memory of the context: zeroed, aligned to 16 bytes, lent until it ends.
 * NULL (.p NULL) when there is no memory: return -ENOMEM then, a 503.
 */
void *lane_alloc(struct lane_ctx *c, size_t bytes);
struct lane_str lane_copy(struct lane_ctx *c, struct lane_str s);
struct lane_str lane_format(struct lane_ctx *c, const char *fmt, ...)
    LANE_PRINTF(2, 3);

/* Has fn(ptr) called when the context ends, however it does; the newest first.
 * Returns 0, or -ENOMEM, and then fn(ptr) has been called already. */
int lane_defer(
    struct lane_ctx *c, void (*fn)(void *ptr), void *ptr) LANE_CHECKED;

/*
 * Blocking or long work, on a thread of the worker's pool.  work() gets no
 * context: it reads and writes `state`, which lives until both it and the
 * context have ended.  Requests take turns: one that asks for a thousand things
 * doesn't hold up the others.
 */
int lane_offload(struct lane_ctx *c, void (*work)(void *state),
    lane_done_fn done, void *state) LANE_CHECKED;

/* Goes on after that many milliseconds. */
int lane_after(struct lane_ctx *c, unsigned ms, lane_done_fn done,
    void *state) LANE_CHECKED;

/*
 * A thing outside that will call back: a library with threads of its own, an
 * event of the module's.  lane_hold() gives a handle, which counts as under
 * way; lane_post() goes on with the context that it stands for, and does
 * nothing when that has ended: a handle never dangles.
 *
 * lane_post() may be called from any thread, once per handle.  Returns 0, or
 * -ESRCH for a handle that can't be known any more.
 */
typedef uint64_t lane_handle;
int lane_hold(struct lane_ctx *c, lane_done_fn done, void *state,
    lane_handle *ret_handle) LANE_CHECKED;
int lane_post(lane_handle handle);

/*
 * A sub-request to another server, over HTTP/1.1 or HTTP/2, http or https;
 * connections are kept and used again.
 *
 *	return lane_fetch(c, &(struct lane_fetch_args){
 *	    .url = "http://127.0.0.1:9000/price?id=7", .timeout_ms = 500,
 *	    .done = price_done, .state = st});
 */
struct lane_fetched;

struct lane_fetch_args {
	const char *url;
	const char *method; /* NULL: GET, or POST with a body */
	const char *const *headers; /* "Name: value", ends with NULL; or
					 * NULL */
	struct lane_str body; /* copied */
	unsigned timeout_ms; /* the whole of it; 0: 10 s */
	unsigned connect_ms; /* 0: 2 s */
	size_t max_bytes; /* of the answer; 0: 1 MiB */
	unsigned redirects; /* most to follow; 0: none */
	int (*done)(
	    struct lane_ctx *c, void *state, const struct lane_fetched *answer);
	void *state;
};
struct lane_fetched {
	int status; /* 0: no answer, see error */
	const char *error; /* NULL, or what went wrong */
	struct lane_str body; /* lent until the context ends */
	const struct lane_fetched_fields *fields;
};
int lane_fetch(
    struct lane_ctx *c, const struct lane_fetch_args *args) LANE_CHECKED;
struct lane_str lane_fetched_header(
    const struct lane_fetched *answer, const char *name);

/*
 * A background task: a context without a request, in the module whose context
 * `c` is.  fn() returns as a handler does; its status is dropped, a negative
 * errno logged.  It doesn't end with `c`.  Returns 0 or a negative errno.
 */
int lane_spawn(struct lane_ctx *c, lane_done_fn fn, void *state);

/* Milliseconds of CLOCK_MONOTONIC, and seconds since 1970, as this loop turn
 * has them. */
int64_t lane_now_ms(struct lane_ctx *c);
int64_t lane_time_s(struct lane_ctx *c);

/* Microseconds of CLOCK_MONOTONIC at this moment: for lane_observe_us().
 * Context: any thread. */
uint64_t lane_clock_us(void);

/* The log, with the request's id. */
enum lane_log_level { LANE_DEBUG, LANE_INFO, LANE_WARN, LANE_ERROR };
void lane_log(struct lane_ctx *c, enum lane_log_level level, const char *fmt,
    ...) LANE_PRINTF(3, 4);

LANE_END

#endif
