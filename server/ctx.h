/* SPDX-License-Identifier: MIT */
/*
 * A context: a request, or a background task, as a module sees it, and all that
 * is under way for it.
 *
 *	lane_ctx --ops--> op -- op -- op	each part of what waits:
 *	    |				 	a job, a query, a timer ...
 *	    `-> request (NULL: background)
 *
 * An operation is embedded in whatever waits.  It ends in one of two ways:
 *
 *	op_finish(op), then CTX_CALL(c, done(c, ...))	it has come
 *	op->cancel(op)		the context ends: it must not come any more
 *
 * What a continuation returns is looked at by ctx_take(): LANE_ASYNC waits for
 * what else is under way (and is the module's mistake when nothing is); all
 * else answers, and the rest is cancelled.
 *
 * Memory that a pool thread still works on is kept by ctx_hold(): the arena and
 * the content of the request go with the last ctx_release(), after the request
 * itself.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_CTX_H
#define CORELANE_SERVER_CTX_H

#include <corelane/corelane.h>

#include "common/arena.h"
#include "common/str.h"
#include "server/request.h"

struct args;
struct chain_link;
struct form;
struct lane_socket;
struct module;
struct module_route;
struct op;
struct offload_line;
struct query_list;
struct request;
struct retry;
struct server;
struct socket_given;
struct spool;
struct stream;

struct op {
	struct op *next, **prev; /* prev NULL: not under way */
	struct lane_ctx *ctx;
	const struct module *module; /* whose continuation it is */
	struct retry *retry; /* and of which attempt; NULL: none */
	/* Drops it without going on; the op is off the list already. */
	void (*cancel)(struct op *op);
};

struct lane_ctx {
	struct server *srv;
	struct request *request; /* NULL: background, or it has ended */
	struct arena *arena; /* the request's, or `own` */
	const struct module *module; /* whose code runs; may be NULL */
	const struct module_route *route; /* the handler's; or NULL */
	const struct args *options;	/* lane_option(): of the middleware */
	struct op *ops;
	struct retry *retry; /* whose attempt runs: see retry.h */
	struct offload_line *line; /* its jobs; made by the first one */
	unsigned hold_count;
	bool is_running; /* module code is on the stack */
	bool is_answered; /* a response has been completed */
	bool is_answered_twice;
	bool is_ended;
	bool is_task;			/* background, or a socket's */
	bool is_authorizing; /* LANE_NEXT goes on with socket_accept() */
	struct socket_given *given; /* lane_socket_give(); NULL: nothing */
	struct lane_socket *socket; /* whose callback this is; or NULL */
	const char *mistake;		/* the module's, for the log */
	bool has_finished;		/* lane_finish() was called */
	int finish_result;
	struct op body_op;		/* lane_body_wait() */
	/* Made when first asked for. */
	struct query_list *query;
	struct form *form;
	struct str body_map; /* content that lies in a file */
	struct args *args; /* checked values of a declared route */
	struct stream *stream;
	/* Background tasks, and what outlives its request. */
	struct arena own;
	struct spool *spool;
	lane_done_fn task; /* background: what runs */
	void *task_state;
	void (*on_end)(struct lane_ctx *c, int result, void *arg);
	void *on_end_arg;
	struct lane_ctx *next_task, **prev_task; /* of server->tasks */
	struct lane_ctx *next_new;
};

/* The context of a request, made at the first call; NULL: no memory. */
struct lane_ctx *ctx_of(struct request *r);

/*
 * A background task, run at once from the loop (or the next turn, from inside
 * another); on_end, which may be NULL, gets its result: a status, LANE_NEXT, or
 * a negative errno, -ECANCELED when the server goes first.
 * Returns 0, -ENOMEM, or -ECANCELED once the server has ended its tasks.
 */
int ctx_spawn(struct server *srv, const struct module *module, lane_done_fn fn,
    void *state, void (*on_end)(struct lane_ctx *c, int result, void *arg),
    void *arg);

/*
 * A context without a request whose module code the caller runs at once, by
 * CTX_CALL(); on_end as above.  Returns NULL when there is no memory.
 */
struct lane_ctx *ctx_begin(struct server *srv, const struct module *module,
    void (*on_end)(struct lane_ctx *c, int result, void *arg), void *arg);
/* Ends one: on_end gets -ECANCELED. */
void ctx_abort(struct lane_ctx *c);

/* Cancels what is under way: nothing goes on any more. */
void ctx_cancel(struct lane_ctx *c);

/*
 * For request_free(): the request ends.  Returns true when its arena and spool
 * have been taken over, because a pool thread is at work on them.
 */
bool ctx_end(struct lane_ctx *c);
void ctx_hold(struct lane_ctx *c);
void ctx_release(struct lane_ctx *c);

/*
 * Whether an operation may begin.  Defers run when the context has ended, and
 * may call what they like: what they begin would outlive its memory, and is
 * refused with -ECANCELED.
 */
static inline bool
ctx_may_wait(const struct lane_ctx *c)
{
	return !c->is_ended;
}

/* cancel: see struct op. */
void op_start(struct lane_ctx *c, struct op *op, void (*cancel)(struct op *));
/* Takes it off; the context runs for the op's module now.  A second call, or
 * one for an op that was never started, does nothing. */
void op_finish(struct op *op);

/*
 * Runs module code, an expression of type int that uses `c`, and goes on with
 * what it returns; `c` may be gone afterwards.
 *
 *	op_finish(&wait->op);
 *	CTX_CALL(c, wait->done(c, wait->state));
 */
#define CTX_CALL(c, call)                                                      \
	do {                                                                   \
		struct lane_ctx *ctx_call_ = (c);                              \
		uint64_t since_ = ctx_enter(ctx_call_);                        \
		int result_ = (call);                                          \
		ctx_leave(ctx_call_, since_);                                  \
		ctx_take(ctx_call_, result_);                                  \
	} while (0)

/* The two sides of module code: the loop watchdog's clock, in nanoseconds.
 * ctx_leave() logs and counts what held the loop for LOOP_STALL_MS. */
#define LOOP_STALL_MS 50
uint64_t ctx_enter(struct lane_ctx *c);
void ctx_leave(struct lane_ctx *c, uint64_t since_ns);

/* What a continuation returned. */
void ctx_take(struct lane_ctx *c, int result);

/* What a handler or a `before` hook returned, as the pipeline takes it: tells
 * the module's mistakes, and turns them into -EPROTO. */
int ctx_result(struct lane_ctx *c, int result, bool is_handler);

/* For what can't be begun, because too much waits already: a 503 with
 * Retry-After, to be returned; -EAGAIN in a background task.  reason: a
 * literal. */
int ctx_busy(struct lane_ctx *c, const char *reason);

/* For the server: the loop's side of ctx_spawn(); done: ends every task. */
int ctx_tasks_init(struct server *srv);
void ctx_tasks_run(struct server *srv);
void ctx_tasks_done(struct server *srv);

/* Slices of both kinds. */
static inline struct lane_str
lane_of(struct str s)
{
	return (struct lane_str){s.p, s.len};
}

static inline struct str
str_of_lane(struct lane_str s)
{
	return str_from(s.p, s.len);
}

#endif
