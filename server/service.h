/* SPDX-License-Identifier: MIT */
/*
 * What a listener serves: a route table, whose routes know their handler and
 * the whole chain of middleware that runs before and after it.  Built from the
 * configuration when a server is made, constant afterwards.
 *
 *	service -> route table -> service_route -> chain: [global..., own...]
 *	                                        `-> handler and its state
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_SERVICE_H
#define CORELANE_SERVER_SERVICE_H

#include "common/error.h"
#include "config/config.h"
#include "server/handler.h"
#include "server/middleware.h"
#include "server/route.h"

struct server;

/* One middleware with the state that its setup() made. */
struct chain_link {
	const struct middleware *middleware;
	void *state;
	bool is_shared;		/* the global list's: freed with the service */
};

struct chain {
	struct chain_link *link;	/* owned */
	unsigned count;
};

struct service_route {
	const struct config_route *config;
	const struct handler *handler;
	void *state;			/* the handler's */
	enum handler_body body;
	uint64_t body_bytes; /* how much content it takes */
	uint32_t label;			/* flight.h's; 0: none */
	struct chain chain;
};

struct service {
	struct route_table *routes;
	struct service_route *route;	/* owned, in the order of the file */
	size_t route_count;
	struct chain chain;		/* for requests without a route */
	unsigned key;			/* tells services apart (memo.h) */
};

/* routes: borrowed for the service's life, as is middleware.  key: differs
 * between the services of one server. */
struct service *service_new(struct server *srv,
    const struct config_routes *routes,
    const struct config_middlewares *middleware, unsigned key,
    struct error *err) __attribute__((warn_unused_result));
void service_free(struct service *svc);

/* What a route answers to: as configured, or what its handler says. */
unsigned route_methods(const struct server *srv,
    const struct config_route *cfg);

/* The routes that the admin address has by itself: lent for ever. */
const struct config_routes *service_admin_routes(void);

#endif
