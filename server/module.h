/* SPDX-License-Identifier: MIT */
/*
 * Modules: loaded from the configuration, checked, and turned into what the
 * server knows already: routes, handlers and middleware.
 *
 *	config "modules" -> dlopen -> ABI -> declared configuration -> init()
 *	    routes with a path ----> struct config_route, beside the file's
 *	    every route -----------> "module.name" for the file's own routes
 *	    middleware ------------> "module.name" for "use"
 *	    channel rules ---------> "module.name" for who may subscribe
 *	    hooks -----------------> start, stop, crash reports, errors
 *
 * A module is never unloaded: code that has been mapped stays for the life of
 * the process, and new code comes with new processes.
 *
 * Context: a worker, while its server is made; `corelane check`, in a child.
 */
#ifndef CORELANE_SERVER_MODULE_H
#define CORELANE_SERVER_MODULE_H

#include <corelane/corelane.h>

#include "common/error.h"
#include "config/config.h"
#include "server/request.h"
#include "server/socket.h"

struct args;
struct args_spec;
struct module_set;
struct server;

/* A handler of a module, bound by a route. */
struct module_route {
	const struct module *module;
	const struct lane_route *def;
	struct args_spec *args;		/* NULL: nothing is declared */
	struct str name;		/* "api.user" */
	unsigned methods;
	struct socket_route sockets;	/* its WebSockets and streams */
};

struct module {
	const struct lane_module *def;
	const struct config_module *config;
	struct server *srv;
	void *state;			/* init()'s */
	struct module_route *route;
	size_t route_count;
	bool is_initialised;		/* fini() is due */
};

/* One "use": "module.name". */
struct module_use {
	const struct module *module;
	const struct lane_middleware *def;
	struct args *options;		/* NULL: none are declared */
	struct arena arena;		/* of the options */
};

/* A module that is there already: a test's.  Instead of a file. */
struct module_given {
	const char *name;
	const struct lane_module *def;
};

/* What init() works on. */
struct lane_init {
	struct module *module;
	struct config_problems *problems;
	char path[128];			/* "modules[0].config" */
	struct args *args;		/* of declared keys; or NULL */
	struct cJSON *json;		/* made when asked for */
	bool has_failed;
};

/*
 * Loads every module of srv->config and runs its init().  given: ends with a
 * NULL name; or NULL.  Returns NULL when problems were added.
 */
struct module_set *module_set_new(struct server *srv,
    const struct module_given *given, struct config_problems *problems)
    __attribute__((warn_unused_result));
void module_set_free(struct module_set *set);

size_t module_set_count(const struct module_set *set);
const struct module *module_set_at(const struct module_set *set, size_t i);

/* "module.name", or NULL with err. */
const struct module_route *module_find_route(const struct module_set *set,
    struct str name, struct error *err);

/* "module.name" of middleware, or NULL with err. */
const struct lane_middleware *module_find_middleware(
    const struct module_set *set, struct str name,
    const struct module **ret_module, struct error *err);

/* "module.name" of a channel rule, or NULL with err. */
const struct lane_channel_rule *module_find_channel_rule(
    const struct module_set *set, struct str name,
    const struct module **ret_module, struct error *err);

/* The configured routes with those of modules behind them; lent. */
const struct config_routes *module_set_routes(const struct module_set *set);

/* Runs the module's on_request_error: the first that there is of the route's
 * module and then all others.  Returns true when it has answered. */
bool module_shape_error(struct request *r, const struct lane_problem *problem);

#endif
