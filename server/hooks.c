/* SPDX-License-Identifier: MIT */
/*
 * The hooks of modules: see hooks.h.
 *
 * Owns: nothing; the counts are in struct server.
 * Invariant: a worker isn't ready before every start hook has ended well.
 * Here: start, stop, crash reports.  Not here: error pages (module.c).
 * Context: a worker's loop.  server.c -> [hooks.c] -> ctx.c
 */
#include "server/hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/ctx.h"
#include "server/internal.h"
#include "server/module.h"

static void
hooks_on_started(struct lane_ctx *c, int result, void *arg)
{
	struct hooks *h = arg;

	h->starting--;
	if ((result >= 0 && result < 400) || h->has_failed)
		return;
	h->has_failed = true;
	if (result >= 400)
		error_set(&h->err, ERROR_SYSTEM,
		    "module %.*s: on_worker_start returned %d",
		    STR_FMT(c->module->config->name), result);
	else
		error_set(&h->err, ERROR_SYSTEM,
		    "module %.*s: on_worker_start: %s",
		    STR_FMT(c->module->config->name),
		    c->mistake != NULL ? c->mistake : strerror(-result));
}

static void
hooks_on_stopped(struct lane_ctx *c, int result, void *arg)
{
	struct hooks *h = arg;

	h->stopping--;
}

static int
hooks_run_start(struct lane_ctx *c, void *state)
{
	return c->module->def->on_worker_start(c);
}

static int
hooks_run_stop(struct lane_ctx *c, void *state)
{
	return c->module->def->on_worker_stop(c);
}

static int
hooks_run_crash(struct lane_ctx *c, void *state)
{
	return c->module->def->on_crash_report(c, state);
}

static int
hooks_start_module(struct server *srv, const struct module *m,
    const struct lane_crash *crash)
{
	union {
		const struct lane_crash *in;
		void *out;
	} lent = {.in = crash};

	if (m->def->on_worker_start != NULL) {
		if (ctx_spawn(srv, m, hooks_run_start, NULL, hooks_on_started,
		    &srv->hooks) != 0)
			return -1;
		srv->hooks.starting++;
	}
	if (crash == NULL || m->def->on_crash_report == NULL)
		return 0;
	return ctx_spawn(srv, m, hooks_run_crash, lent.out, NULL, NULL);
}

int
hooks_start(struct server *srv, const struct lane_crash *crash,
    struct error *err)
{
	size_t i;

	for (i = 0; i < module_set_count(srv->modules); i++)
		if (hooks_start_module(srv, module_set_at(srv->modules, i),
		    crash) != 0)
			return error_nomem(err, "a module's start");
	return 0;
}

bool
hooks_stop(struct server *srv)
{
	size_t i;

	for (i = 0; !srv->hooks.has_stopped &&
	    i < module_set_count(srv->modules); i++) {
		const struct module *m = module_set_at(srv->modules, i);

		if (m->def->on_worker_stop != NULL && ctx_spawn(srv, m,
		    hooks_run_stop, NULL, hooks_on_stopped, &srv->hooks) == 0)
			srv->hooks.stopping++;
	}
	srv->hooks.has_stopped = true;
	return srv->hooks.stopping == 0;
}
