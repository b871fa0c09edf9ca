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

#include "server/handlers/file_cache.h"
#include "server/internal.h"

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

static void
check_route(struct server *srv, struct route_table *table, size_t index,
    struct config_problems *problems)
{
	struct config_route *cfg = &srv->config->routes.item[index];
	const struct handler *h = handler_table[cfg->handler];
	struct route_spec spec = {cfg->path, cfg->host,
	    cfg->methods != 0 ? cfg->methods : h->methods, cfg};
	const struct config_route *other;
	struct error err;
	char path[64], own[96];
	void *found = NULL;

	snprintf(path, sizeof(path), "routes[%zu]", index);
	error_clear(&err);
	if (route_table_add(table, &spec, &found, &err) == -1) {
		other = found;
		if (err.code == ERROR_BUSY && other != NULL)
			config_problem_add(problems, srv->config, cfg->pos,
			    path, "is the same as routes[%zu] (line %u): "
			    "remove one, or give them different methods or "
			    "hosts",
			    (size_t)(other - srv->config->routes.item),
			    other->pos.line);
		else
			config_problem_add(problems, srv->config, cfg->pos,
			    path, "%s", err.text);
	}
	check_setup(srv, cfg, path, problems);
	snprintf(own, sizeof(own), "%s.middleware", path);
	check_middleware(srv, &cfg->middleware, own, problems);
}

size_t
server_check(struct config *cfg, struct config_problems *problems)
{
	size_t i, before = problems->count + problems->dropped;
	struct route_table *table = route_table_new();
	struct stats *stats = calloc(1, sizeof(*stats));
	struct server srv = {0};

	srv.base = event_base_new();
	srv.stats = stats;
	srv.config = cfg;
	if (table == NULL || srv.base == NULL || stats == NULL) {
		config_problem_add(problems, cfg, (struct config_pos){0, 0},
		    NULL, "out of memory");
	} else {
		clock_init(&srv.clock);
		random_init(&srv.random);
		check_middleware(&srv, &cfg->middleware, "middleware",
		    problems);
		for (i = 0; i < cfg->routes.count; i++)
			check_route(&srv, table, i, problems);
	}
	route_table_free(table);
	free(stats);
	if (srv.base != NULL)
		event_base_free(srv.base);
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

static void
print_routes(const struct config_routes *routes,
    const struct config_middlewares *global, struct buf *out)
{
	size_t i, start, width = pattern_width(routes);

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
		buf_add(out, cfg->handler == HANDLER_MODULE ?
		    cfg->module_handler :
		    str_of(config_handler_name(cfg->handler)));
		print_pad(start, 10, out);
		if (global != NULL)
			print_chain(global, &is_first, out);
		print_chain(&cfg->middleware, &is_first, out);
		while (out->len > 0 && out->p[out->len - 1] == ' ')
			out->len--;
		buf_add_byte(out, '\n');
	}
}

void
server_print_routes(const struct config *cfg, struct buf *out)
{
	print_routes(&cfg->routes, &cfg->middleware, out);
	if (cfg->admin != NULL) {
		buf_printf(out, "\non the admin address %.*s:\n",
		    STR_FMT(cfg->admin->address));
		print_routes(service_admin_routes(), NULL, out);
	}
}
