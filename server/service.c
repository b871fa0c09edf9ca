/* SPDX-License-Identifier: MIT */
/*
 * Services: from configured routes to a table that the pipeline runs.
 *
 * Owns: the route table, the states of handlers and middleware, the chains.
 * Invariant: constant once made.
 * Here: assembling.  Not here: matching (route.c), running (pipeline.c).
 * Context: a worker, while its server is made.
 */
#include "server/service.h"

#include <stdlib.h>

#include "server/flight.h"
#include "server/internal.h"
#include "server/module.h"

static void
chain_done(struct chain *chain)
{
	unsigned i;

	for (i = 0; i < chain->count; i++) {
		struct chain_link *link = &chain->link[i];

		if (!link->is_shared && link->middleware->teardown != NULL)
			link->middleware->teardown(link->state);
	}
	free(chain->link);
	*chain = (struct chain){NULL, 0};
}

/* Appends what is configured to what is inherited. */
static int
chain_init(struct chain *chain, struct server *srv,
    const struct chain *inherited, const struct config_middlewares *own,
    struct error *err)
{
	size_t base = inherited != NULL ? inherited->count : 0, i;

	chain->count = 0;
	chain->link = calloc(base + own->count + 1, sizeof(*chain->link));
	if (chain->link == NULL)
		return error_nomem(err, "middleware");
	for (i = 0; i < base; i++) {
		chain->link[i] = inherited->link[i];
		chain->link[i].is_shared = true;
	}
	chain->count = (unsigned)base;
	for (i = 0; i < own->count; i++) {
		const struct config_middleware *cfg = &own->item[i];
		struct chain_link *link = &chain->link[chain->count];

		link->middleware = middleware_table[cfg->kind];
		if (link->middleware->setup != NULL &&
		    link->middleware->setup(cfg, srv, &link->state, err) == -1)
			return error_wrap(err, "line %u: middleware %s",
			    cfg->pos.line, link->middleware->name);
		chain->count++;
	}
	return 0;
}

unsigned
route_methods(const struct server *srv, const struct config_route *cfg)
{
	const struct module_route *route = NULL;

	if (cfg->methods != 0)
		return cfg->methods;
	if (cfg->handler == HANDLER_MODULE && srv->modules != NULL)
		route = module_find_route(srv->modules, cfg->module_handler,
		    NULL);
	return route != NULL ? route->methods
	    : handler_table[cfg->handler]->methods;
}

/* What the file says, or the handler, or all have. */
static uint64_t
service_body_bytes(const struct server *srv, const struct service_route *route)
{
	const struct module_route *own = route->state;

	if (route->config->body_bytes != CONFIG_AUTO)
		return (uint64_t)route->config->body_bytes;
	if (route->config->handler == HANDLER_MODULE && own != NULL &&
	    own->def->body_bytes > 0)
		return own->def->body_bytes;
	return srv->config->limits.body_bytes;
}

static int
service_add_route(struct service *svc, struct server *srv,
    const struct config_route *cfg, struct error *err)
{
	struct service_route *route = &svc->route[svc->route_count++];
	const struct handler *h = handler_table[cfg->handler];
	struct route_spec spec = {
		.pattern = cfg->path,
		.host = cfg->host,
		.methods = route_methods(srv, cfg),
		.target = route,
	};
	void *other;

	route->config = cfg;
	route->handler = h;
	route->label = flight_add_route(srv, cfg);
	if (h->setup != NULL && h->setup(cfg, srv, &route->state, err) == -1)
		return cfg->handler == HANDLER_MODULE ? -1
		    : error_wrap(err, "handler %s", h->name);
	route->body_bytes = service_body_bytes(srv, route);
	if (h->body != NULL)
		route->body = h->body(route->state);
	if (chain_init(&route->chain, srv, &svc->chain, &cfg->middleware,
	    err) == -1)
		return -1;
	return route_table_add(svc->routes, &spec, &other, err);
}

struct service *
service_new(struct server *srv, const struct config_routes *routes,
    const struct config_middlewares *middleware, unsigned key,
    struct error *err)
{
	struct service *svc = calloc(1, sizeof(*svc));
	size_t i;

	if (svc == NULL) {
		error_nomem(err, "service");
		return NULL;
	}
	svc->key = key;
	svc->routes = route_table_new();
	svc->route = calloc(routes->count + 1, sizeof(*svc->route));
	if (svc->routes == NULL || svc->route == NULL) {
		error_nomem(err, "routes");
		goto fail;
	}
	if (chain_init(&svc->chain, srv, NULL, middleware, err) == -1)
		goto fail;
	for (i = 0; i < routes->count; i++) {
		if (service_add_route(svc, srv, &routes->item[i], err) == -1) {
			error_wrap(err, "line %u: route '%.*s'",
			    routes->item[i].pos.line,
			    STR_FMT(routes->item[i].path));
			goto fail;
		}
	}
	return svc;
fail:
	service_free(svc);
	return NULL;
}

void
service_free(struct service *svc)
{
	size_t i;

	if (svc == NULL)
		return;
	for (i = 0; svc->route != NULL && i < svc->route_count; i++) {
		struct service_route *route = &svc->route[i];

		chain_done(&route->chain);
		if (route->handler->teardown != NULL && route->state != NULL)
			route->handler->teardown(route->state);
	}
	free(svc->route);
	chain_done(&svc->chain);
	route_table_free(svc->routes);
	free(svc);
}

#define ADMIN_ROUTE(is_path, is_handler)                                       \
	{.path = STR_INIT(is_path), .handler = (is_handler),                   \
	    .body_bytes = CONFIG_AUTO}

const struct config_routes *
service_admin_routes(void)
{
	static struct config_route route[] = {
		ADMIN_ROUTE("/health", HANDLER_HEALTH),
		ADMIN_ROUTE("/ready", HANDLER_READY),
		ADMIN_ROUTE("/metrics", HANDLER_METRICS),
		ADMIN_ROUTE("/stats", HANDLER_STATS),
		ADMIN_ROUTE("/openapi.json", HANDLER_OPENAPI),
	};
	static const struct config_routes routes = {
		route, sizeof(route) / sizeof(route[0])
	};

	return &routes;
}
