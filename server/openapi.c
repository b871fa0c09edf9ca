/* SPDX-License-Identifier: MIT */
/*
 * The routes of the public service as an OpenAPI 3.1 document.
 *
 * Owns nothing beyond a list of routes while it prints.
 * Here: paths, operations, parameters, content, responses, security.  Not
 * here: schemas of single values (openapi_schema.c).
 * Context: the loop's thread.  handlers/openapi.c -> [openapi.c]
 */
#include "server/openapi.h"

#include <stdlib.h>

#include "server/args_rule.h"
#include "server/http.h"
#include "server/internal.h"
#include "server/module.h"
#include "server/pattern.h"

/* A route with its path as OpenAPI writes it: "{id:[0-9]+}" is "{id}". */
struct entry {
	const struct service_route *route;
	char *path;			/* owned */
	unsigned methods;
	unsigned index;
};

/* What a route's operations have in common. */
struct operation {
	const struct service_route *route;
	const struct module_route *module;	/* NULL: the server's own */
	const struct args_spec *args;		/* NULL: nothing declared */
	struct pattern pattern;
	unsigned jwt_methods;	/* that need a token, or take one */
	bool is_jwt_optional, has_basic;
	int rate_status;			/* 0: no limit */
	bool has_params, has_content;
};

/* Paths. */

static char *
entry_path(struct str text)
{
	struct pattern pattern;
	struct buf b;
	size_t i, param = 0;

	if (pattern_parse(text, &pattern, NULL) == -1)
		return NULL;
	buf_init(&b, 0);
	for (i = 0; i < pattern.piece_count; i++) {
		if (pattern.piece[i].kind == PATTERN_LITERAL) {
			buf_add(&b, pattern.piece[i].text);
			continue;
		}
		buf_add_byte(&b, '{');
		buf_add(&b, pattern.name[param++]);
		buf_add_byte(&b, '}');
	}
	return buf_take(&b);
}

static int
entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	if (order == 0)
		order = x->index < y->index ? -1 : 1;
	return order;
}

static void
entries_free(struct entry *list, size_t count)
{
	size_t i;

	for (i = 0; list != NULL && i < count; i++)
		free(list[i].path);
	free(list);
}

/* All routes, those of one path beside each other; NULL: no memory. */
static struct entry *
entries_new(const struct server *srv, const struct service *svc)
{
	struct entry *list = calloc(svc->route_count + 1, sizeof(*list));
	size_t i;

	for (i = 0; list != NULL && i < svc->route_count; i++) {
		list[i].route = &svc->route[i];
		list[i].index = (unsigned)i;
		list[i].methods = route_methods(srv, svc->route[i].config);
		list[i].path = entry_path(svc->route[i].config->path);
		if (list[i].path == NULL) {
			entries_free(list, i);
			return NULL;
		}
	}
	if (list != NULL)
		qsort(list, svc->route_count, sizeof(*list), entry_compare);
	return list;
}

/* Parameters. */

static const struct arg_rule *
find_rule(const struct args_spec *spec, enum lane_where where, struct str name)
{
	size_t i;

	for (i = 0; spec != NULL && i < spec->count; i++)
		if (spec->rule[i].field->where == where &&
		    str_eq(spec->rule[i].name, name))
			return &spec->rule[i];
	return NULL;
}

static void
print_parameter(struct openapi *o, struct str name, const char *in,
    const struct arg_rule *rule, struct str expression)
{
	bool is_path = strcmp(in, "path") == 0;

	openapi_open(o, NULL, '{');
	openapi_text(o, "name", name);
	openapi_text(o, "in", str_of(in));
	if (is_path || rule->field->is_required)
		openapi_json(o, "required", "true");
	if (rule != NULL && rule->field->help != NULL)
		openapi_text(o, "description", str_of(rule->field->help));
	openapi_schema(o, "schema", rule, expression);
	openapi_close(o, '}');
}

static void
print_path_parameters(struct openapi *o, const struct operation *op)
{
	const struct pattern *p = &op->pattern;
	size_t i, param = 0;
	struct str name, expression;

	for (i = 0; i < p->piece_count; i++) {
		if (p->piece[i].kind == PATTERN_LITERAL)
			continue;
		name = p->name[param++];
		expression = p->piece[i].kind == PATTERN_EXPRESSION ?
		    p->piece[i].text : (struct str){NULL, 0};
		print_parameter(o, name, "path",
		    find_rule(op->args, LANE_IN_PATH, name), expression);
	}
}

static void
print_parameters(struct openapi *o, const struct operation *op)
{
	const struct arg_rule *rule;
	size_t i;

	if (!op->has_params)
		return;
	openapi_open(o, "parameters", '[');
	print_path_parameters(o, op);
	for (i = 0; op->args != NULL && i < op->args->count; i++) {
		rule = &op->args->rule[i];
		if (rule->field->where == LANE_IN_QUERY)
			print_parameter(o, rule->name, "query", rule,
			    (struct str){NULL, 0});
		else if (rule->field->where == LANE_IN_HEADER)
			print_parameter(o, rule->name, "header", rule,
			    (struct str){NULL, 0});
	}
	openapi_close(o, ']');
}

/* Content. */

/* Returns whether any of them is required. */
static bool
print_required(struct openapi *o, const struct args_spec *args)
{
	const struct lane_field *f;
	bool is_any = false;
	size_t i;

	for (i = 0; i < args->count; i++) {
		f = args->rule[i].field;
		if (f->where != LANE_IN_BODY || !f->is_required)
			continue;
		if (!is_any)
			openapi_open(o, "required", '[');
		is_any = true;
		openapi_text(o, NULL, str_of(f->name));
	}
	if (is_any)
		openapi_close(o, ']');
	return is_any;
}

static bool
print_content_schema(struct openapi *o, const struct args_spec *args)
{
	const struct arg_rule *rule;
	bool is_required;
	size_t i;

	openapi_open(o, "schema", '{');
	openapi_text(o, "type", STR("object"));
	openapi_open(o, "properties", '{');
	for (i = 0; i < args->count; i++) {
		rule = &args->rule[i];
		if (rule->field->where == LANE_IN_BODY)
			openapi_schema(o, rule->field->name, rule,
			    (struct str){NULL, 0});
	}
	openapi_close(o, '}');
	is_required = print_required(o, args);
	openapi_close(o, '}');
	return is_required;
}

static void
print_content(struct openapi *o, const struct operation *op)
{
	static const char *const types[] = {"application/json",
	    "application/x-www-form-urlencoded", "multipart/form-data"};
	bool is_required = false;
	size_t i;

	if (!op->has_content)
		return;
	openapi_open(o, "requestBody", '{');
	openapi_open(o, "content", '{');
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		openapi_open(o, types[i], '{');
		is_required = print_content_schema(o, op->args);
		openapi_close(o, '}');
	}
	openapi_close(o, '}');
	openapi_json(o, "required", is_required ? "true" : "false");
	openapi_close(o, '}');
}

/* Responses. */

static void
print_response(struct openapi *o, int status)
{
	char key[8];

	snprintf(key, sizeof(key), "%d", status);
	openapi_open(o, key, '{');
	if (status < 400)
		openapi_text(o, "description", status_reason(status));
	else
		openapi_json(o, "$ref", "\"#/components/responses/Error\"");
	openapi_close(o, '}');
}

static int
good_status(const struct config_route *cfg)
{
	switch (cfg->handler) {
	case HANDLER_RESPOND:
		return cfg->respond.status;
	case HANDLER_REDIRECT:
		return cfg->redirect.status;
	default:
		return 200;
	}
}

static void
print_responses(struct openapi *o, const struct operation *op, enum method m)
{
	int invalid = op->module != NULL ? op->module->def->invalid_status : 0;

	bool is_socket = op->module != NULL &&
	    op->module->def->websocket != NULL;

	openapi_open(o, "responses", '{');
	if (is_socket && m == METHOD_GET)
		print_response(o, 101);
	/* A stream of events, too, is a 200. */
	if (!is_socket || op->module->def->run != NULL ||
	    op->module->def->events != NULL)
		print_response(o, good_status(op->route->config));
	if (op->args != NULL)
		print_response(o, 400);
	if (op->has_basic || op->jwt_methods & METHOD_BIT(m))
		print_response(o, 401);
	if (op->route->config->handler == HANDLER_STATIC)
		print_response(o, 404);
	if (op->has_content) {
		print_response(o, 413);
		print_response(o, 415);
		if (invalid != 400)
			print_response(o, invalid != 0 ? invalid : 422);
	}
	if (op->module != NULL && op->module->def->run == NULL)
		print_response(o, is_socket ? 426 : 406);
	if (op->rate_status != 0)
		print_response(o, op->rate_status);
	openapi_open(o, "default", '{');
	openapi_json(o, "$ref", "\"#/components/responses/Error\"");
	openapi_close(o, '}');
	openapi_close(o, '}');
}

/* Operations. */

/* What the middleware of a list asks for. */
static void
operation_add(struct operation *op, const struct config_middlewares *list)
{
	const struct config_middleware *m;
	size_t i;

	for (i = 0; i < list->count; i++) {
		m = &list->item[i];
		if (m->kind == MIDDLEWARE_JWT) {
			op->jwt_methods |= m->jwt.methods != 0 ?
			    m->jwt.methods : METHOD_ALL;
			op->is_jwt_optional = !m->jwt.required;
		} else if (m->kind == MIDDLEWARE_BASIC_AUTH) {
			op->has_basic = true;
		} else if (m->kind == MIDDLEWARE_RATE_LIMIT) {
			op->rate_status = m->rate_limit.status;
		}
	}
}

static void
operation_init(struct operation *op, const struct server *srv,
    const struct entry *e)
{
	size_t i;

	*op = (struct operation){.route = e->route};
	(void)pattern_parse(e->route->config->path, &op->pattern, NULL);
	if (e->route->config->handler == HANDLER_MODULE)
		op->module = e->route->state;
	if (op->module != NULL)
		op->args = op->module->args;
	operation_add(op, &srv->config->middleware);
	operation_add(op, &e->route->config->middleware);
	op->has_params = op->pattern.name_count > 0;
	for (i = 0; op->args != NULL && i < op->args->count; i++)
		op->has_params |= op->args->rule[i].field->where !=
		    LANE_IN_BODY;
	op->has_content = op->args != NULL && op->args->has_body;
}

/* All of one object must be there, or of another; an empty one: nothing. */
static void
print_security(struct openapi *o, const struct operation *op, enum method m)
{
	bool has_jwt = op->jwt_methods & METHOD_BIT(m);

	if (!has_jwt && !op->has_basic)
		return;
	openapi_open(o, "security", '[');
	openapi_open(o, NULL, '{');
	if (has_jwt)
		openapi_json(o, "jwt", "[]");
	if (op->has_basic)
		openapi_json(o, "basic_auth", "[]");
	openapi_close(o, '}');
	if (has_jwt && op->is_jwt_optional && !op->has_basic)
		openapi_json(o, NULL, "{}");
	openapi_close(o, ']');
}

static void
print_server(struct openapi *o, struct str host)
{
	if (host.len == 0)
		return;
	openapi_open(o, "servers", '[');
	openapi_open(o, NULL, '{');
	openapi_key(o, "url");
	buf_printf(o->out, "\"//%.*s\"", STR_FMT(host));
	openapi_close(o, '}');
	openapi_close(o, ']');
}

static void
print_operation(struct openapi *o, const struct operation *op, enum method m)
{
	static const char *const keys[METHOD_COUNT] = {
		[METHOD_GET] = "get", [METHOD_HEAD] = "head",
		[METHOD_POST] = "post", [METHOD_PUT] = "put",
		[METHOD_DELETE] = "delete", [METHOD_PATCH] = "patch",
		[METHOD_OPTIONS] = "options",
	};
	const struct config_route *cfg = op->route->config;
	bool may_have_content = m != METHOD_GET && m != METHOD_HEAD;

	openapi_open(o, keys[m], '{');
	if (op->module != NULL && op->module->def->summary != NULL)
		openapi_text(o, "summary", str_of(op->module->def->summary));
	openapi_open(o, "tags", '[');
	openapi_text(o, NULL, op->module != NULL ?
	    op->module->module->config->name :
	    str_of(config_handler_name(cfg->handler)));
	openapi_close(o, ']');
	print_server(o, cfg->host);
	print_parameters(o, op);
	if (may_have_content)
		print_content(o, op);
	print_responses(o, op, m);
	print_security(o, op, m);
	openapi_close(o, '}');
}

/* Returns how many entries have this path: one item of the document. */
static size_t
print_path(struct openapi *o, const struct server *srv, const struct entry *e,
    size_t count)
{
	unsigned done = METHOD_BIT(METHOD_OPTIONS);	/* the server's own */
	struct operation op;
	enum method m;
	size_t i;

	openapi_open(o, e->path, '{');
	for (i = 0; i < count && strcmp(e[i].path, e->path) == 0; i++) {
		operation_init(&op, srv, &e[i]);
		/* What a GET says, its HEAD needn't repeat. */
		if (e[i].methods & METHOD_BIT(METHOD_GET))
			done |= METHOD_BIT(METHOD_HEAD);
		for (m = 0; m < METHOD_COUNT; m++)
			if (e[i].methods & ~done & METHOD_BIT(m))
				print_operation(o, &op, m);
		done |= e[i].methods;
	}
	openapi_close(o, '}');
	return i;
}

static void
print_components(struct openapi *o)
{
	openapi_json(o, "components", "{\"securitySchemes\":{"
	    "\"jwt\":{\"type\":\"http\",\"scheme\":\"bearer\","
	    "\"bearerFormat\":\"JWT\"},"
	    "\"basic_auth\":{\"type\":\"http\",\"scheme\":\"basic\"}},"
	    "\"responses\":{\"Error\":{\"description\":\"What went wrong\","
	    "\"content\":{\"application/json\":{\"schema\":"
	    "{\"$ref\":\"#/components/schemas/Error\"}},"
	    "\"application/problem+json\":{\"schema\":"
	    "{\"$ref\":\"#/components/schemas/Problem\"}}}}},"
	    "\"schemas\":{\"Error\":{\"type\":\"object\","
	    "\"required\":[\"error\"],\"properties\":{\"error\":"
	    "{\"type\":\"object\",\"required\":[\"code\",\"message\"],"
	    "\"properties\":{\"code\":{\"type\":\"string\"},"
	    "\"message\":{\"type\":\"string\"},"
	    "\"field\":{\"type\":\"string\"},"
	    "\"request_id\":{\"type\":\"string\"}}}}},"
	    "\"Problem\":{\"type\":\"object\",\"required\":[\"type\","
	    "\"title\",\"status\"],\"properties\":{"
	    "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
	    "\"status\":{\"type\":\"integer\"},"
	    "\"detail\":{\"type\":\"string\"},"
	    "\"instance\":{\"type\":\"string\"},"
	    "\"code\":{\"type\":\"string\"},\"field\":{\"type\":\"string\"},"
	    "\"request_id\":{\"type\":\"string\"}}}}}");
}

int
openapi_print(const struct server *srv, struct buf *out)
{
	const struct service *svc = srv->service[SERVICE_PUBLIC];
	struct openapi o = {.out = out, .is_first = true};
	struct entry *list = entries_new(srv, svc);
	size_t i;

	if (list == NULL)
		return -1;
	openapi_open(&o, NULL, '{');
	openapi_text(&o, "openapi", STR("3.1.0"));
	openapi_json(&o, "info", "{\"title\":\"corelane\",\"version\":\""
	    CORELANE_VERSION "\"}");
	openapi_open(&o, "paths", '{');
	for (i = 0; i < svc->route_count;)
		i += print_path(&o, srv, &list[i], svc->route_count - i);
	openapi_close(&o, '}');
	print_components(&o);
	openapi_close(&o, '}');
	buf_add_byte(out, '\n');
	entries_free(list, svc->route_count);
	return buf_failed(out) ? -1 : 0;
}
