/* SPDX-License-Identifier: MIT */
/*
 * "MODULE.NAME": a handler or a middleware of a module.
 *
 * Owns nothing.  Here: that this build can't load one.
 * Context: a worker, while its server is made.
 */
#include "server/handler.h"
#include "server/middleware.h"

static int
module_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	return error_set(err, ERROR_INVALID,
	    "modules can't be loaded by "
	    "this build, so there is no '%.*s'",
	    STR_FMT(cfg->module_handler));
}

static int
module_run(struct request *r, const void *state)
{
	return response_error(r, 501, NULL);
}

const struct handler handler_module = {
    .name = "module",
    .methods = METHOD_ALL,
    .setup = module_setup,
    .run = module_run,
};

static int
module_middleware_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	return error_set(err, ERROR_INVALID,
	    "modules can't be loaded by "
	    "this build, so there is no '%.*s'",
	    STR_FMT(cfg->module_middleware));
}

const struct middleware middleware_module = {
    .name = "module",
    .setup = module_middleware_setup,
};
