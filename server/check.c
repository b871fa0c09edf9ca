/* SPDX-License-Identifier: MIT */
/*
 * What a configuration means to this layer: checked without serving, and
 * printed as the route table.
 *
 * Owns nothing.  Invariant: nothing is bound, started or changed.
 * Here: `corelane check` and `corelane routes`.
 * Context: the command's process, or the supervisor before a reload.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/channel.h"
#include "server/db/db.h"
#include "server/fetch.h"
#include "server/handlers/file_cache.h"
#include "server/internal.h"
#include "server/module.h"

/* Enough of a server for setup(): its configuration and nothing that runs. */
static void
check_setup(struct server *srv, const struct config_route *cfg,
    const char *path, struct config_problems *problems)
{
	const struct handler *h = handler_table[cfg->handler];
	struct error err;
	void *state = NULL;

	if (h->setup == NULL)
		return;
	error_clear(&err);
	if (h->setup(cfg, srv, &state, &err) == -1)
		config_problem_add(problems, srv->config, cfg->pos, path,
		    "%s", err.text);
	else if (h->teardown != NULL && state != NULL)
		h->teardown(state);
}

static void
check_middleware(struct server *srv, const struct config_middlewares *list,
    const char *path, struct config_problems *problems)
{
	const struct middleware *m;
	struct error err;
	char where[128];
	void *state;
	size_t i;

	for (i = 0; i < list->count; i++) {
		m = middleware_table[list->item[i].kind];
		state = NULL;
		error_clear(&err);
		if (m->setup == NULL)
			continue;
		snprintf(where, sizeof(where), "%s[%zu]", path, i);
		if (m->setup(&list->item[i], srv, &state, &err) == -1)
			config_problem_add(problems, srv->config,
			    list->item[i].pos, where, "%s", err.text);
		else if (m->teardown != NULL && state != NULL)
			m->teardown(state);
	}
}

/* Where a route stands: a module's own ones stand where it is configured. */
static void
check_place(const struct config *cfg, size_t index, char *out, size_t size)
{
	if (index < cfg->routes.count)
		snprintf(out, size, "routes[%zu]", index);
	else
		snprintf(out, size, "modules");
}

static void
check_add_route(struct server *srv, struct route_table *table,
    const struct config_routes *routes, size_t index,
    struct config_problems *problems)
{
	struct config_route *cfg = &routes->item[index];
	struct route_spec spec = {cfg->path, cfg->host, route_methods(srv, cfg),
	    cfg};
	const struct config_route *other;
	struct error err;
	char path[64], at[64];
	void *found = NULL;

	check_place(srv->config, index, path, sizeof(path));
	error_clear(&err);
	if (route_table_add(table, &spec, &found, &err) == 0)
		return;
	other = found;
	if (err.code != ERROR_BUSY || other == NULL) {
		config_problem_add(problems, srv->config, cfg->pos, path,
		    "%s", err.text);
		return;
	}
	check_place(srv->config, (size_t)(other - routes->item), at,
	    sizeof(at));
	config_problem_add(problems, srv->config, cfg->pos, path,
	    "'%.*s' is the same as %s (line %u): remove one, or give them "
	    "different methods or hosts", STR_FMT(cfg->path), at,
	    other->pos.line);
}

static void
check_route(struct server *srv, struct route_table *table,
    const struct config_routes *routes, size_t index,
    struct config_problems *problems)
{
	struct config_route *cfg = &routes->item[index];
	char path[64], own[96];

	check_add_route(srv, table, routes, index, problems);
	check_place(srv->config, index, path, sizeof(path));
	check_setup(srv, cfg, path, problems);
	snprintf(own, sizeof(own), "%s.middleware", path);
	check_middleware(srv, &cfg->middleware, own, problems);
}

static void
check_databases(const struct config *cfg, struct config_problems *problems)
{
	struct error err;
	size_t i;

	for (i = 0; i < cfg->databases.count; i++) {
		const struct config_database *db = &cfg->databases.item[i];
		char path[128];

		if (db_check(db, cfg->offload_threads > 0, &err) == 0)
			continue;
		snprintf(path, sizeof(path), "databases.%.*s",
		    STR_FMT(db->name));
		config_problem_add(problems, cfg, db->pos, path, "%s",
		    err.text);
	}
}

/* Enough of a server for setup(); the modules, if any, are loaded. */
static void
check_all(struct server *srv, struct config_problems *problems)
{
	const struct config_routes *routes = srv->modules != NULL
	    ? module_set_routes(srv->modules) : &srv->config->routes;
	struct route_table *table = route_table_new();
	size_t i;

	if (table == NULL) {
		config_problem_add(problems, srv->config,
		    (struct config_pos){0, 0}, NULL, "out of memory");
		return;
	}
	check_databases(srv->config, problems);
	channel_check_rules(srv, problems);
	check_middleware(srv, &srv->config->middleware, "middleware", problems);
	for (i = 0; i < routes->count; i++)
		check_route(srv, table, routes, i, problems);
	route_table_free(table);
}

static bool
check_open(struct server *srv, struct config *cfg,
    struct config_problems *problems)
{
	srv->config = cfg;
	srv->base = event_base_new();
	srv->stats = calloc(1, sizeof(*srv->stats));
	clock_init(&srv->clock);
	random_init(&srv->random);
	if (srv->base != NULL && srv->stats != NULL)
		return true;
	config_problem_add(problems, cfg, (struct config_pos){0, 0}, NULL,
	    "out of memory");
	return false;
}

static void
check_close(struct server *srv)
{
	module_set_free(srv->modules);
	free(srv->stats);
	if (srv->base != NULL)
		event_base_free(srv->base);
}

size_t
server_check(struct config *cfg, struct config_problems *problems)
{
	size_t before = problems->count + problems->dropped;
	struct server srv = {0};

	if (check_open(&srv, cfg, problems))
		check_all(&srv, problems);
	check_close(&srv);
	return problems->count + problems->dropped - before;
}

/* "GET,HEAD", or "*" where OPTIONS, which answers itself, is all that lacks. */
static void
print_methods(unsigned methods, struct buf *out)
{
	size_t start = out->len;
	enum method m;

	if ((methods | METHOD_BIT(METHOD_OPTIONS)) == METHOD_ALL) {
		buf_add(out, STR("*"));
		return;
	}
	for (m = 0; m < METHOD_COUNT; m++) {
		if (methods & METHOD_BIT(m))
			buf_printf(out, "%s%s", out->len > start ? "," : "",
			    config_method_name(m));
	}
}

static void
print_chain(const struct config_middlewares *list, bool *is_first,
    struct buf *out)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct str name = list->item[i].kind == MIDDLEWARE_MODULE ?
		    list->item[i].module_middleware :
		    str_of(config_middleware_name(list->item[i].kind));

		buf_printf(out, "%s%.*s", *is_first ? "" : ", ", STR_FMT(name));
		*is_first = false;
	}
}

/* Pads the column that began at `start`. */
static void
print_pad(size_t start, size_t width, struct buf *out)
{
	do
		buf_add_byte(out, ' ');
	while (!out->failed && out->len - start < width);
}

size_t
server_file_count(const struct config *cfg)
{
	size_t i, count = 0;

	for (i = 0; i < cfg->routes.count; i++)
		if (cfg->routes.item[i].handler == HANDLER_STATIC)
			count += FILE_CACHE_MAX + 1;
	for (i = 0; i < cfg->databases.count; i++)
		count += db_file_count(&cfg->databases.item[i]);
	/* Which module sends requests of its own shows only then. */
	if (cfg->modules.count > 0)
		count += FETCH_CONNECTIONS_MAX;
	return count;
}

static size_t
pattern_width(const struct config_routes *routes)
{
	size_t i, n, width = 8;

	for (i = 0; i < routes->count; i++) {
		n = routes->item[i].host.len + routes->item[i].path.len + 2;
		if (n > width)
			width = n;
	}
	return width < 60 ? width : 60;
}

static struct str
handler_name(const struct config_route *cfg)
{
	return cfg->handler == HANDLER_MODULE ? cfg->module_handler
	    : str_of(config_handler_name(cfg->handler));
}

/* "api.user", or "chat.socket (websocket, events)". */
static void
print_handler(const struct module_set *set, const struct config_route *cfg,
    struct buf *out)
{
	const struct module_route *route = NULL;
	bool websocket = handler_table[cfg->handler]->has_websocket;
	bool events = handler_table[cfg->handler]->has_events;

	buf_add(out, handler_name(cfg));
	if (set != NULL && cfg->handler == HANDLER_MODULE)
		route = module_find_route(set, cfg->module_handler, NULL);
	if (route != NULL) {
		websocket = route->def->websocket != NULL;
		events = route->def->events != NULL;
	}
	if (websocket || events)
		buf_printf(out, " (%s%s%s)", websocket ? "websocket" : "",
		    websocket && events ? ", " : "", events ? "events" : "");
}

static size_t
handler_width(const struct module_set *set, const struct config_routes *routes)
{
	struct buf text;
	size_t i, width = 10;

	buf_init(&text, 0);
	for (i = 0; i < routes->count; i++) {
		buf_clear(&text);
		print_handler(set, &routes->item[i], &text);
		if (text.len + 1 > width)
			width = text.len + 1;
	}
	buf_done(&text);
	return width < 40 ? width : 40;
}

static void
print_routes(const struct module_set *set, const struct config_routes *routes,
    const struct config_middlewares *global, struct buf *out)
{
	size_t i, start, width = pattern_width(routes);
	size_t wide = handler_width(set, routes);

	for (i = 0; i < routes->count; i++) {
		const struct config_route *cfg = &routes->item[i];
		bool is_first = true;

		start = out->len;
		print_methods(cfg->methods != 0 ? cfg->methods
		    : handler_table[cfg->handler]->methods, out);
		print_pad(start, 16, out);
		start = out->len;
		buf_printf(out, "%.*s%.*s", STR_FMT(cfg->host),
		    STR_FMT(cfg->path));
		print_pad(start, width, out);
		start = out->len;
		print_handler(set, cfg, out);
		print_pad(start, wide, out);
		if (global != NULL)
			print_chain(global, &is_first, out);
		print_chain(&cfg->middleware, &is_first, out);
		while (out->len > 0 && out->p[out->len - 1] == ' ')
			out->len--;
		buf_add_byte(out, '\n');
	}
}

static void
print_table(const struct config *cfg, const struct module_set *set,
    struct buf *out)
{
	print_routes(set, module_set_routes(set), &cfg->middleware, out);
	if (cfg->admin != NULL) {
		buf_printf(out, "\non the admin address %.*s:\n",
		    STR_FMT(cfg->admin->address));
		print_routes(NULL, service_admin_routes(), NULL, out);
	}
}

size_t
server_check_modules(struct config *cfg, struct config_problems *problems,
    struct buf *out)
{
	size_t before = problems->count + problems->dropped;
	struct server srv = {0};

	if (check_open(&srv, cfg, problems))
		srv.modules = module_set_new(&srv, NULL, problems);
	if (srv.modules != NULL)
		check_all(&srv, problems);
	if (srv.modules != NULL && out != NULL)
		print_table(cfg, srv.modules, out);
	check_close(&srv);
	return problems->count + problems->dropped - before;
}
