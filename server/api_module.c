/* SPDX-License-Identifier: MIT */
/*
 * What modules call at their start, and for streamed content: the part of
 * <corelane/module.h> that is neither declared values (args.c) nor metrics.
 *
 * Owns nothing.  Context: init() while a server is made; else the loop.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "common/buf.h"
#include "config/node.h"
#include "server/args.h"
#include "server/ctx.h"
#include "server/handler.h"
#include "server/internal.h"
#include "server/module.h"

void *
lane_state(struct lane_ctx *c)
{
	return c->module != NULL ? c->module->state : NULL;
}

void
lane_init_state(struct lane_init *in, void *state)
{
	in->module->state = state;
}

struct lane_value
lane_config(struct lane_init *in, const char *key)
{
	if (in->args == NULL)
		return (struct lane_value){.kind = LANE_NULL};
	return args_get(in->args, key);
}

int64_t
lane_config_int(struct lane_init *in, const char *key)
{
	struct lane_value v = lane_config(in, key);

	return v.kind == LANE_INT ? v.u.i : 0;
}

double
lane_config_float(struct lane_init *in, const char *key)
{
	struct lane_value v = lane_config(in, key);

	return v.kind == LANE_FLOAT ? v.u.f
	    : v.kind == LANE_INT ? (double)v.u.i : 0;
}

bool
lane_config_bool(struct lane_init *in, const char *key)
{
	struct lane_value v = lane_config(in, key);

	return v.kind == LANE_BOOL && v.u.b;
}

struct lane_str
lane_config_text(struct lane_init *in, const char *key)
{
	struct lane_value v = lane_config(in, key);

	return v.kind == LANE_TEXT ? v.u.s : (struct lane_str){NULL, 0};
}

const struct cJSON *
lane_config_json(struct lane_init *in)
{
	const struct node *node = in->module->config->config;
	struct buf text;

	if (in->json == NULL && node != NULL) {
		buf_init(&text, 0);
		node_add_json(&text, node);
		if (!buf_failed(&text))
			in->json = cJSON_ParseWithLength(buf_str(&text).p,
			    buf_str(&text).len);
		buf_done(&text);
	}
	return in->json;
}

/* The node of "a.b[2]", or the nearest above it that is there. */
static const struct node *
init_find(const struct node *n, const char *key)
{
	char name[64];
	int taken;
	unsigned index;

	while (n != NULL && *key != '\0') {
		const struct node *at = NULL;

		taken = 0;
		if (sscanf(key, "[%u]%n", &index, &taken) == 1 && taken > 0) {
			for (at = n->child; at != NULL && at->index != index;)
				at = at->next;
		} else if (sscanf(key, "%63[^.[]%n", name, &taken) == 1) {
			at = node_find(n, name);
		}
		if (at == NULL || taken == 0)
			break;
		n = at;
		key += taken;
		key += *key == '.';
	}
	return n;
}

int
lane_init_fail(struct lane_init *in, const char *key, const char *fmt, ...)
{
	const struct config_module *cfg = in->module->config;
	const struct node *n = init_find(cfg->config, key != NULL ? key : "");
	char path[256], text[ERROR_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s%s%s", in->path,
	    key != NULL && key[0] != '[' ? "." : "", key != NULL ? key : "");
	config_problem_add(in->problems, in->module->srv->config,
	    n != NULL ? n->pos : cfg->pos, path, "%s", text);
	in->has_failed = true;
	return -1;
}

/* Streamed content. */

void
lane_body_more(struct lane_ctx *c)
{
	if (c->request != NULL)
		request_body_more(c->request);
}

static void
body_wait_cancel(struct op *op)
{
}

int
lane_body_wait(struct lane_ctx *c)
{
	if (c->request == NULL || c->route == NULL ||
	    c->route->def->body != LANE_BODY_STREAM)
		return -EINVAL;
	if (c->body_op.prev == NULL)
		op_start(c, &c->body_op, body_wait_cancel);
	return LANE_ASYNC;
}

void
lane_finish(struct lane_ctx *c, int result)
{
	c->has_finished = true;
	c->finish_result = result;
}
