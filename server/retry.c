/* SPDX-License-Identifier: MIT */
/*
 * lane_retry(): once more, after a while.
 *
 * Owns nothing: struct retry is in its context's arena.
 * Invariant: while a retry waits, nothing of its last attempt is under way.
 * Here: when and how often.  Not here: what is attempted.
 * Context: a worker's loop.  ctx.c: ctx_take() -> [retry.c]
 */
#include "server/retry.h"

#include <corelane/corelane.h>

#include <errno.h>

#include "server/alarm.h"
#include "server/ctx.h"
#include "server/internal.h"

#define RETRY_ATTEMPTS 3
#define RETRY_BASE_MS 100
#define RETRY_CAP_MS 10000

struct retry {
	struct op op; /* first; under way while it waits */
	struct alarm alarm;
	struct retry *outer; /* the attempt that this one is part of */
	struct lane_retry_args args;
	unsigned made; /* attempts */
	uint64_t wait_ms; /* before jitter */
	uint16_t field_base; /* fields of the response when it began */
};

/* Half as long to one and a half: those that failed together don't come back
 * together. */
static uint64_t
retry_jitter(struct retry *re)
{
	uint64_t ms = re->wait_ms;

	ms = ms / 2 + random_u64(&re->op.ctx->srv->random) % (ms + 1);
	return ms < re->args.cap_ms ? ms : re->args.cap_ms;
}

static void
retry_on_cancel(struct op *op)
{
	struct retry *re = (struct retry *)op;

	alarm_clear(op->ctx->srv->alarms, &re->alarm);
}

static void
retry_on_alarm(struct alarm *alarm)
{
	struct retry *re =
	    (struct retry *)((char *)alarm - offsetof(struct retry, alarm));
	struct lane_ctx *c = re->op.ctx;

	op_finish(&re->op);
	c->retry = re;
	re->made++;
	CTX_CALL(c, re->args.attempt(c, re->args.state));
}

static void
retry_wait(struct retry *re, uint64_t ms)
{
	struct lane_ctx *c = re->op.ctx;

	op_start(c, &re->op, retry_on_cancel);
	alarm_set(c->srv->alarms, &re->alarm, ms);
}

static bool
retry_is_within(const struct retry *re, const struct retry *outer)
{
	while (re != NULL && re != outer)
		re = re->outer;
	return re == outer;
}

/* The first operation under way that belongs to an attempt of it, or NULL. */
static struct op *
retry_find_op(const struct lane_ctx *c, const struct retry *re)
{
	struct op *op = c->ops;

	while (op != NULL && !retry_is_within(op->retry, re))
		op = op->next;
	return op;
}

static bool
retry_may_go_on(const struct lane_ctx *c, const struct retry *re, int result)
{
	if (result >= 0 && (result < 500 || result > 599))
		return false;
	/* What has begun to leave can't be said differently. */
	return re->made < re->args.attempts && c->stream == NULL &&
	    !c->is_answered_twice;
}

/* Drops the failed attempt, all but what was there before it. */
static void
retry_drop_attempt(struct lane_ctx *c, struct retry *re)
{
	struct request *r = c->request;
	struct op *op;
	uint16_t base;

	while ((op = retry_find_op(c, re)) != NULL) {
		op_finish(op);
		op->cancel(op);
	}
	c->is_answered = false;
	if (r == NULL)
		return;
	base = r->res.field_base;
	r->res.field_base = re->field_base;
	response_reset(r);
	r->res.field_base = base;
}

static void
retry_again(struct lane_ctx *c, struct retry *re)
{
	uint64_t ms = retry_jitter(re);

	retry_drop_attempt(c, re);
	re->wait_ms *= 2;
	if (re->wait_ms > re->args.cap_ms)
		re->wait_ms = re->args.cap_ms;
	/* It waits as what it is part of. */
	c->module = re->op.module;
	c->retry = re->outer;
	retry_wait(re, ms);
	c->retry = NULL;
}

bool
retry_take(struct lane_ctx *c, int result)
{
	struct retry *re = c->retry;

	c->retry = NULL;
	for (; re != NULL; re = re->outer) {
		if (result == LANE_ASYNC && retry_find_op(c, re) != NULL)
			return true;
		if (retry_may_go_on(c, re, result)) {
			retry_again(c, re);
			return true;
		}
	}
	return false;
}

int
lane_retry(struct lane_ctx *c, const struct lane_retry_args *args)
{
	struct retry *re;

	if (!ctx_may_wait(c))
		return -ECANCELED;
	re = lane_alloc(c, sizeof(*re));
	if (re == NULL)
		return -ENOMEM;
	re->args = *args;
	if (re->args.attempts == 0)
		re->args.attempts = RETRY_ATTEMPTS;
	if (re->args.base_ms == 0)
		re->args.base_ms = RETRY_BASE_MS;
	if (re->args.cap_ms == 0)
		re->args.cap_ms = RETRY_CAP_MS;
	re->wait_ms = re->args.base_ms;
	re->outer = c->retry;
	re->alarm.fn = retry_on_alarm;
	if (c->request != NULL)
		re->field_base = c->request->res.field_count;
	re->op.ctx = c;
	retry_wait(re, 0);
	return LANE_ASYNC;
}
