/* SPDX-License-Identifier: MIT */
/*
 * Modules: found, loaded, checked, initialised: see module.h.
 *
 * Owns: what init() made, until fini(); the routes that modules bring.
 * Invariant: what is in a set has passed every check; fini() is called for what
 * init() has accepted, and for nothing else.
 * Here: from the configuration to the set.  Not here: running handlers
 * (handlers/module.c), hooks (hooks.c), declared values (args.c).
 * Context: a worker, while its server is made; `corelane check`, in a child.
 *	server.c -> [module.c] -> service.c
 */
#include "server/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "common/log.h"
#include "config/node.h"
#include "server/args.h"
#include "server/ctx.h"
#include "server/internal.h"

/* Where a bare file name is looked for, after the configuration's folder:
 * relative to the folder of the executable. */
static const char *const module_folders[] = {
	"modules", "../lib/corelane/modules", NULL};

struct module_set {
	struct module *item;
	size_t count;
	struct arena arena;		/* names, and the routes below */
	struct config_routes routes;	/* the file's, then the modules' */
};

/* What is being loaded: for messages. */
struct module_load {
	struct server *srv;
	struct module_set *set;
	struct module *m;
	struct config_problems *problems;
	char path[64];			/* "modules[0]" */
};

static void module_problem(struct module_load *load, const char *key,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
module_problem(struct module_load *load, const char *key, const char *fmt, ...)
{
	char where[128], text[ERROR_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(where, sizeof(where), "%s%s%s", load->path,
	    key != NULL ? "." : "", key != NULL ? key : "");
	config_problem_add(load->problems, load->srv->config,
	    key != NULL && strcmp(key, "file") == 0
	    ? load->m->config->file.pos : load->m->config->pos,
	    where, "%s", text);
}

/* Finding and opening. */

/* The folder of this program, with a slash behind it. */
static struct str
module_program_folder(struct arena *a)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	while (n > 0 && path[n - 1] != '/')
		n--;
	return arena_copy(a, str_from(path, n > 0 ? (size_t)n : 0));
}

static struct str
module_beside_config(struct arena *a, struct str config, struct str file)
{
	size_t len = config.len;

	while (len > 0 && config.p[len - 1] != '/')
		len--;
	return arena_printf(a, "%.*s%.*s", (int)len, config.p, STR_FMT(file));
}

/* The path to load; .p NULL when the file is in none of the places. */
static struct str
module_find_file(struct module_load *load)
{
	struct arena *a = &load->set->arena;
	struct str file = load->m->config->file.path, path, program;
	unsigned i;

	if (str_find(file, '/') < file.len)
		return file;
	path = module_beside_config(a, load->srv->config->file, file);
	if (path.p != NULL && access(path.p, R_OK) == 0)
		return path;
	program = module_program_folder(a);
	for (i = 0; module_folders[i] != NULL; i++) {
		path = arena_printf(a, "%.*s%s/%.*s", STR_FMT(program),
		    module_folders[i], STR_FMT(file));
		if (path.p != NULL && access(path.p, R_OK) == 0)
			return path;
	}
	module_problem(load, "file", "'%.*s' is neither beside this file nor "
	    "in %.*s%s: give its path, like \"./%.*s\"", STR_FMT(file),
	    STR_FMT(program), module_folders[0], STR_FMT(file));
	return str_from(NULL, 0);
}

static const struct lane_module *
module_open(struct module_load *load)
{
	struct str path = module_find_file(load);
	const struct lane_module *def;
	void *dl;

	if (path.p == NULL)
		return NULL;
	dl = dlopen(path.p, RTLD_NOW | RTLD_LOCAL);
	if (dl == NULL) {
		module_problem(load, "file", "can't be loaded: %s", dlerror());
		return NULL;
	}
	def = dlsym(dl, "lane_module");
	if (def == NULL)
		module_problem(load, "file", "'%s' is no module: it has no "
		    "lane_module, which LANE_MODULE() makes", path.p);
	return def;
}

static const struct lane_module *
module_find_given(const struct module_given *given, struct str name)
{
	for (; given != NULL && given->name != NULL; given++)
		if (str_eq(str_of(given->name), name))
			return given->def;
	return NULL;
}

/* Checking. */

static int
module_parse_methods(const char *text, unsigned *ret_methods)
{
	struct str rest = str_of(text), item;
	unsigned methods = 0;
	enum method m;

	if (text == NULL) {
		*ret_methods = METHOD_ALL & ~METHOD_BIT(METHOD_OPTIONS);
		return 0;
	}
	while (str_list_next(&rest, &item)) {
		for (m = 0; m < METHOD_COUNT; m++)
			if (str_eq(item, str_of(config_method_name(m))))
				break;
		if (m == METHOD_COUNT)
			return -1;
		methods |= METHOD_BIT(m);
	}
	*ret_methods = methods;
	return methods != 0 ? 0 : -1;
}

static bool
module_has_two(const struct lane_route *first, const struct lane_route *r)
{
	for (; first < r; first++)
		if (strcmp(first->name, r->name) == 0)
			return true;
	return false;
}

static bool
module_declares_content(const struct lane_field *f)
{
	for (; f != NULL && f->name != NULL; f++)
		if (f->where == LANE_IN_BODY)
			return true;
	return false;
}

/* What is wrong with a route's declaration, or NULL. */
static const char *
module_route_fault(const struct lane_route *first, const struct lane_route *r)
{
	if (r->run == NULL && r->websocket == NULL && r->events == NULL)
		return "has no run(), .websocket or .events";
	if (r->run == NULL && r->body != LANE_BODY_WHOLE)
		return "has no run() for the content that it takes";
	if (module_has_two(first, r))
		return "is there twice";
	if (r->body == LANE_BODY_STREAM && r->on_body == NULL)
		return "streams its content, but has no on_body()";
	if (r->path != NULL && r->path[0] != '/')
		return "has a path that doesn't begin with \"/\"";
	if (r->body != LANE_BODY_WHOLE && module_declares_content(r->fields))
		return "declares fields of its content, which it doesn't wait "
		    "for: LANE_BODY_WHOLE does";
	if (r->invalid_status != 0 &&
	    (r->invalid_status < 400 || r->invalid_status > 499))
		return "has an invalid_status that isn't 4xx";
	return NULL;
}

static int
module_add_route(struct module_load *load, const struct lane_route *def)
{
	struct module *m = load->m;
	struct module_route *route = &m->route[m->route_count];
	const char *fault = module_route_fault(m->def->routes, def);
	struct error err;

	if (fault != NULL) {
		module_problem(load, NULL, "its route '%s' %s", def->name,
		    fault);
		return -1;
	}
	if (module_parse_methods(def->methods, &route->methods) == -1) {
		module_problem(load, NULL, "its route '%s' has bad methods: "
		    "'%s'", def->name, def->methods);
		return -1;
	}
	/* What can only become a socket is asked for by GET. */
	if (def->run == NULL && def->methods == NULL)
		route->methods = METHOD_BIT(METHOD_GET);
	route->module = m;
	route->def = def;
	if (socket_route_init(&route->sockets, def, load->srv->config,
	    &load->set->arena) == -1)
		return -1;
	route->name = arena_printf(&load->set->arena, "%.*s.%s",
	    STR_FMT(m->config->name), def->name);
	m->route_count++;
	error_clear(&err);
	if (def->fields == NULL)
		return route->name.p != NULL ? 0 : -1;
	route->args = args_spec_new(def->fields, &err);
	if (route->args != NULL)
		return 0;
	module_problem(load, NULL, "its route '%s': %s", def->name, err.text);
	return -1;
}

static int
module_add_routes(struct module_load *load)
{
	const struct lane_route *r = load->m->def->routes;
	size_t count = 0;
	int rc = 0;

	while (r != NULL && r[count].name != NULL)
		count++;
	load->m->route = calloc(count + 1, sizeof(*load->m->route));
	if (load->m->route == NULL)
		return -1;
	for (; count > 0; r++, count--)
		rc |= module_add_route(load, r);
	return rc;
}

static int
module_check_channel_rules(struct module_load *load)
{
	const struct lane_channel_rule *rule = load->m->def->channel_rules;
	int rc = 0;

	for (; rule != NULL && rule->name != NULL; rule++) {
		if (rule->may != NULL)
			continue;
		module_problem(load, NULL, "its channel rule '%s' has no may()",
		    rule->name);
		rc = -1;
	}
	return rc;
}

static int
module_check_middleware(struct module_load *load)
{
	const struct lane_middleware *w = load->m->def->middleware;
	int rc = 0;

	for (; w != NULL && w->name != NULL; w++) {
		if (w->before != NULL || w->after != NULL)
			continue;
		module_problem(load, NULL, "its middleware '%s' has neither "
		    "before() nor after()", w->name);
		rc = -1;
	}
	return rc;
}

/* Initialising. */

static int
module_init(struct module_load *load)
{
	struct module *m = load->m;
	size_t before = load->problems->count + load->problems->dropped;
	struct lane_init in = {.module = m, .problems = load->problems};
	struct arena arena;
	int rc = 0;

	snprintf(in.path, sizeof(in.path), "%s.config", load->path);
	arena_init(&arena, NULL);
	if (m->def->config != NULL) {
		in.args = args_from_node(&arena, &(struct args_source){
		    .fields = m->def->config, .node = m->config->config,
		    .config = load->srv->config, .pos = m->config->pos,
		    .path = in.path, .problems = load->problems});
		rc = in.args != NULL ? 0 : -1;
	}
	if (rc == 0 && m->def->init != NULL)
		rc = m->def->init(&in);
	m->is_initialised = rc == 0 && !in.has_failed;
	if (!m->is_initialised &&
	    before == load->problems->count + load->problems->dropped)
		module_problem(load, NULL, "init() failed (%d) without a "
		    "reason: lane_init_fail() gives one", rc);
	cJSON_Delete(in.json);
	arena_done(&arena);
	return m->is_initialised ? 0 : -1;
}

static int
module_load(struct module_load *load, const struct module_given *given)
{
	const struct lane_module *def = module_find_given(given,
	    load->m->config->name);

	if (def == NULL)
		def = module_open(load);
	if (def == NULL)
		return -1;
	if (def->abi != LANE_ABI) {
		module_problem(load, "file", "was built for ABI %u of the "
		    "module API, this server has %u: build it again with this "
		    "server's header", def->abi, (unsigned)LANE_ABI);
		return -1;
	}
	load->m->def = def;
	if (module_add_routes(load) == -1 ||
	    module_check_middleware(load) == -1 ||
	    module_check_channel_rules(load) == -1)
		return -1;
	return module_init(load);
}

/* The routes that modules bring, as if the file had them. */

/* Whether the file has it, with middleware or methods of its own. */
static bool
module_is_bound(const struct config_routes *routes, struct str path,
    struct str handler)
{
	size_t i;

	for (i = 0; i < routes->count; i++) {
		const struct config_route *r = &routes->item[i];

		if (r->handler == HANDLER_MODULE && r->host.len == 0 &&
		    str_eq(r->path, path) && str_eq(r->module_handler, handler))
			return true;
	}
	return false;
}

static int
module_bring_route(struct module_set *set, const struct module_route *route)
{
	const struct config_module *cfg = route->module->config;
	struct config_route *to = &set->routes.item[set->routes.count];
	size_t body_bytes = route->def->body_bytes;

	to->pos = cfg->pos;
	to->path = arena_printf(&set->arena, "%.*s%s", STR_FMT(cfg->prefix),
	    route->def->path);
	if (to->path.p == NULL)
		return -1;
	if (module_is_bound(&route->module->srv->config->routes, to->path,
	    route->name))
		return 0;
	to->methods = route->methods;
	to->middleware = cfg->middleware;
	to->handler = HANDLER_MODULE;
	to->module_handler = route->name;
	to->body_bytes = body_bytes > 0 ? (int64_t)body_bytes : CONFIG_AUTO;
	set->routes.count++;
	return 0;
}

static int
module_bring_routes(struct module_set *set, const struct config *cfg)
{
	size_t i, j, count = cfg->routes.count;

	for (i = 0; i < set->count; i++)
		count += set->item[i].route_count;
	set->routes.item = arena_zalloc(&set->arena,
	    (count + 1) * sizeof(*set->routes.item));
	if (set->routes.item == NULL)
		return -1;
	if (cfg->routes.count > 0)
		memcpy(set->routes.item, cfg->routes.item,
		    cfg->routes.count * sizeof(*set->routes.item));
	set->routes.count = cfg->routes.count;
	for (i = 0; i < set->count; i++) {
		const struct module *m = &set->item[i];

		for (j = 0; m->config->routes && j < m->route_count; j++)
			if (m->route[j].def->path != NULL &&
			    module_bring_route(set, &m->route[j]) == -1)
				return -1;
	}
	return 0;
}

struct module_set *
module_set_new(struct server *srv, const struct module_given *given,
    struct config_problems *problems)
{
	const struct config_modules *cfg = &srv->config->modules;
	struct module_set *set = calloc(1, sizeof(*set));
	struct module_load load = {.srv = srv, .set = set,
	    .problems = problems};
	int rc = 0;
	size_t i;

	if (set == NULL)
		goto fail;
	arena_init(&set->arena, NULL);
	set->item = calloc(cfg->count + 1, sizeof(*set->item));
	for (i = 0; set->item != NULL && i < cfg->count; i++) {
		load.m = &set->item[set->count++];
		load.m->config = &cfg->item[i];
		load.m->srv = srv;
		snprintf(load.path, sizeof(load.path), "modules[%zu]", i);
		rc |= module_load(&load, given);
	}
	if (rc == 0 && set->item != NULL &&
	    module_bring_routes(set, srv->config) == 0)
		return set;
fail:
	if (rc == 0)
		config_problem_add(problems, srv->config,
		    (struct config_pos){0, 0}, "modules", "out of memory");
	module_set_free(set);
	return NULL;
}

void
module_set_free(struct module_set *set)
{
	size_t i, j;

	if (set == NULL)
		return;
	for (i = 0; set->item != NULL && i < set->count; i++) {
		struct module *m = &set->item[i];

		if (m->is_initialised && m->def->fini != NULL)
			m->def->fini(m->state);
		for (j = 0; j < m->route_count; j++)
			args_spec_free(m->route[j].args);
		free(m->route);
	}
	free(set->item);
	arena_done(&set->arena);
	free(set);
}

size_t
module_set_count(const struct module_set *set)
{
	return set != NULL ? set->count : 0;
}

const struct module *
module_set_at(const struct module_set *set, size_t i)
{
	return &set->item[i];
}

const struct config_routes *
module_set_routes(const struct module_set *set)
{
	return &set->routes;
}

/* The module that a name with a dot begins with. */
static const struct module *
module_find(const struct module_set *set, struct str name, struct str *ret_rest)
{
	struct str rest = name, head;
	size_t i;

	if (!str_cut(&rest, '.', &head))
		return NULL;
	*ret_rest = rest;
	for (i = 0; i < set->count; i++)
		if (str_eq(set->item[i].config->name, head))
			return &set->item[i];
	return NULL;
}

const struct module_route *
module_find_route(const struct module_set *set, struct str name,
    struct error *err)
{
	struct str rest;
	const struct module *m = module_find(set, name, &rest);
	struct str have = STR("");
	size_t i;

	for (i = 0; m != NULL && i < m->route_count; i++)
		if (str_eq(m->route[i].name, name))
			return &m->route[i];
	if (m != NULL && m->route_count > 0)
		have = m->route[0].name;
	error_set(err, ERROR_INVALID, "there is no handler '%.*s'%s%.*s%s",
	    STR_FMT(name), have.len > 0 ? "; the module has '" : "",
	    STR_FMT(have), have.len > 0 ? "' and others" : "");
	return NULL;
}

const struct lane_middleware *
module_find_middleware(const struct module_set *set, struct str name,
    const struct module **ret_module, struct error *err)
{
	struct str rest;
	const struct module *m = module_find(set, name, &rest);
	const struct lane_middleware *w = m != NULL ? m->def->middleware : NULL;

	for (; w != NULL && w->name != NULL; w++) {
		if (str_eq(str_of(w->name), rest)) {
			*ret_module = m;
			return w;
		}
	}
	error_set(err, ERROR_INVALID, "there is no middleware '%.*s'",
	    STR_FMT(name));
	return NULL;
}

const struct lane_channel_rule *
module_find_channel_rule(const struct module_set *set, struct str name,
    const struct module **ret_module, struct error *err)
{
	struct str rest;
	const struct module *m = module_find(set, name, &rest);
	const struct lane_channel_rule *rule =
	    m != NULL ? m->def->channel_rules : NULL;
	const struct lane_channel_rule *first = rule;

	for (; rule != NULL && rule->name != NULL; rule++) {
		if (str_eq(str_of(rule->name), rest)) {
			*ret_module = m;
			return rule;
		}
	}
	if (m == NULL)
		error_set(err, ERROR_INVALID, "there is no channel rule "
		    "'%.*s': no module of \"modules\" has this name",
		    STR_FMT(name));
	else if (first == NULL || first->name == NULL)
		error_set(err, ERROR_INVALID, "there is no channel rule "
		    "'%.*s': the module has no .channel_rules",
		    STR_FMT(name));
	else
		error_set(err, ERROR_INVALID, "there is no channel rule "
		    "'%.*s'; the module has '%.*s.%s'%s", STR_FMT(name),
		    STR_FMT(m->config->name), first->name,
		    first[1].name != NULL ? " and others" : "");
	return NULL;
}

/* Errors. */

static void
module_tell_bad_shape(const struct module *m, struct request *r, int rc)
{
	r->srv->stats->handler_errors++;
	log_error("%.*s %.*s: route %.*s: module %.*s: on_request_error "
	    "returned %d without an answer that is an error's (request %.*s)",
	    STR_FMT(r->head->method_name), STR_FMT(request_log_target(r)),
	    STR_FMT(request_route(r)), STR_FMT(m->config->name), rc,
	    STR_FMT(r->id));
}

static bool
module_shape_with(const struct module *m, struct request *r,
    const struct lane_problem *problem)
{
	uint16_t base = r->res.field_base;
	struct lane_ctx *c;
	uint64_t since;
	int rc;

	if (m->def->on_request_error == NULL || (c = ctx_of(r)) == NULL)
		return false;
	c->module = m;
	c->is_answered = c->is_answered_twice = false;
	r->res.field_base = r->res.field_count;
	since = ctx_enter(c);
	rc = m->def->on_request_error(c, problem);
	ctx_leave(c, since);
	if (rc == LANE_NEXT && !c->is_answered) {
		r->res.field_base = base;
		return false;
	}
	if (rc >= 400 && rc <= 599 && c->is_answered && c->ops == NULL &&
	    !c->is_answered_twice && !r->res.is_error) {
		r->res.status = rc;
		return true;
	}
	/* An error in the making of an error: the plain one is good enough. */
	module_tell_bad_shape(m, r, rc);
	ctx_cancel(c);
	response_reset(r);
	r->res.status = problem->status;
	return false;
}

bool
module_shape_error(struct request *r, const struct lane_problem *problem)
{
	const struct module_set *set = r->srv->modules;
	const struct module *own = NULL;
	size_t i;

	if (r->ctx != NULL && r->ctx->route != NULL)
		own = r->ctx->route->module;
	if (own != NULL && module_shape_with(own, r, problem))
		return true;
	for (i = 0; i < module_set_count(set); i++)
		if (&set->item[i] != own &&
		    module_shape_with(&set->item[i], r, problem))
			return true;
	return false;
}
