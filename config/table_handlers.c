/* SPDX-License-Identifier: MIT */
/*
 * The table of the configuration: the entries of "routes", chosen by "handler".
 *
 * Owns the rows: constant.  The variants stand in the order of enum
 * config_handler_kind.
 *
 * Here: keys, defaults, help.  Not here: what they do (server/handlers/), the
 * syntax of patterns (server/route.c).
 * Context: constant.  Reading order: table.c -> [table_handlers.c].
 */
#include "config/config.h"
#include "config/field.h"
#include "config/syntax.h"

#define R struct config_route

static void
respond_check(const struct section_scope *scope)
{
	R *r = scope->base;

	if (node_find(scope->node, "body") != NULL &&
	    node_find(scope->node, "json") != NULL)
		scope_report(scope, "json", "can't stand beside \"body\": "
		    "write one of the two");
	if (r->respond.body.p == NULL)
		r->respond.body = STR("");
}

static const struct field respond_fields[] = {
	{.key = "status", .kind = FIELD_INT, .def = JSON(200),
	    AT(R, respond.status), .min = 200, .max = 599,
	    .help = "the response's status"},
	{.key = "headers", .kind = FIELD_MAP, .def = JSON({}),
	    AT(R, respond.headers), .check_key = syntax_response_field,
	    .check = syntax_field_value, .help = "the response's fields"},
	{.key = "body", .kind = FIELD_STRING, .flags = FIELD_FROM_FILE,
	    AT(R, respond.body), WHEN(R, respond.is_json, false),
	    .help = "the response's body; text/plain unless \"headers\" say "
	    "otherwise"},
	{.key = "json", .kind = FIELD_JSON, AT(R, respond.body),
	    WHEN(R, respond.is_json, true),
	    .help = "a body of JSON instead, with its content type"},
	{.key = "delay", .kind = FIELD_DURATION, .def = JSON("0s"),
	    AT(R, respond.delay_ms), .max = 3600000,
	    .help = "how long the answer waits; other requests don't"},
	{.key = NULL},
};

static const int redirect_statuses[] = {301, 302, 303, 307, 308, 0};

static const struct field redirect_fields[] = {
	{.key = "to", .kind = FIELD_STRING, .flags = FIELD_REQUIRED,
	    AT(R, redirect.to), .check = syntax_field_value,
	    .help = "where to; \"{name}\" stands for a parameter of the path"},
	{.key = "status", .kind = FIELD_INT, .def = JSON(302),
	    AT(R, redirect.status), .numbers = redirect_statuses,
	    .help = "301 and 308 are for ever, 307 and 308 keep the method"},
	{.key = "keep_query", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(R, redirect.keep_query), .help = "append the request's query"},
	{.key = NULL},
};

static const struct field static_fields[] = {
	{.key = "root", .kind = FIELD_PATH, .flags = FIELD_REQUIRED,
	    AT(R, stat.root), .help = "the folder; nothing outside is served"},
	{.key = "index", .kind = FIELD_STRINGS, .def = JSON(["index.html"]),
	    AT(R, stat.index), .check = syntax_not_empty,
	    .help = "what a folder's name serves: the first that is there"},
	{.key = "types", .kind = FIELD_MAP, .def = JSON({}),
	    AT(R, stat.types), .check_key = syntax_extension,
	    .check = syntax_media_type,
	    .help = "media types by extension, beside the built-in ones"},
	{.key = "default_type", .kind = FIELD_STRING,
	    .def = JSON("application/octet-stream"), AT(R, stat.default_type),
	    .check = syntax_media_type,
	    .help = "the media type of other extensions"},
	{.key = NULL},
};

static const struct field echo_fields[] = {
	{.key = "stream", .kind = FIELD_BOOL, .def = JSON(false),
	    AT(R, echo.stream),
	    .help = "answer while the body still arrives"},
	{.key = "message_bytes", .kind = FIELD_SIZE, .def = JSON("16MiB"),
	    AT(R, echo.message_bytes), .min = 1, .max = GIB,
	    .help = "length of a WebSocket's message; longer closes with 1009"},
	{.key = "origins", .kind = FIELD_STRINGS, .def = JSON(["*"]),
	    AT(R, echo.origins), .check = syntax_origin,
	    .help = "pages whose scripts may open a WebSocket here: "
	    "\"https://example.org\", \"*\" for any; none: this host's own"},
	{.key = NULL},
};

static const struct field no_fields[] = {{.key = NULL}};

static const struct section respond_section = {
	.name = "respond",
	.help = "A fixed answer.",
	.fields = respond_fields,
	.check = respond_check,
};
static const struct section redirect_section = {
	.name = "redirect",
	.help = "The way to another place.",
	.fields = redirect_fields,
};
static const struct section static_section = {
	.name = "static",
	.help = "The files of a folder; the path's tail names the file.",
	.fields = static_fields,
};
static const struct section echo_section = {
	.name = "echo",
	.help = "The request's body, sent back; on a WebSocket its messages.",
	.fields = echo_fields,
};
static const struct section health_section = {
	.name = "health",
	.help = "200 while the server lives.",
	.fields = no_fields,
};
static const struct section ready_section = {
	.name = "ready",
	.help = "200 while it takes requests, 503 while it doesn't.",
	.fields = no_fields,
};
static const struct section metrics_section = {
	.name = "metrics",
	.help = "All workers' statistics in Prometheus' format.",
	.fields = no_fields,
};
static const struct section stats_section = {
	.name = "stats",
	.help = "All workers' statistics as JSON.",
	.fields = no_fields,
};

static const struct section openapi_section = {
	.name = "openapi",
	.help = "The public routes as an OpenAPI document.",
	.fields = no_fields,
};

static const struct field channel_handler_fields[] = {
	{.key = "origins", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(R, channel.origins), .check = syntax_origin,
	    .help = "pages whose scripts may open a WebSocket or POST here: "
	    "\"https://example.org\", \"*\" for any; none: this host's own"},
	{.key = "publish", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(R, channel.publish),
	    .help = "clients may publish here, where the channel's rule lets "
	    "them"},
	{.key = NULL},
};
static const struct section channel_handler_section = {
	.name = "channel",
	.help = "Channels: WebSocket, event stream, POST to publish, GET for "
	    "what there is. The path's {channel} names one.",
	.fields = channel_handler_fields,
};

static const struct field system_stream_fields[] = {
	{.key = "interval", .kind = FIELD_DURATION, .def = JSON("1s"),
	    AT(R, system_stream.interval_ms), .min = 100, .max = HOUR_MS,
	    .help = "between two events"},
	{.key = NULL},
};
static const struct section system_stream_section = {
	.name = "system_stream",
	.help = "An event stream of the machine's and the server's figures.",
	.fields = system_stream_fields,
};

static const struct section module_handler_section = {
	.name = "MODULE.NAME",
	.help = "What a module of \"modules\" brings.",
	.fields = no_fields,
};

static const struct variant variants[] = {
	[HANDLER_RESPOND] = {"respond", &respond_section},
	[HANDLER_REDIRECT] = {"redirect", &redirect_section},
	[HANDLER_STATIC] = {"static", &static_section},
	[HANDLER_ECHO] = {"echo", &echo_section},
	[HANDLER_HEALTH] = {"health", &health_section},
	[HANDLER_READY] = {"ready", &ready_section},
	[HANDLER_METRICS] = {"metrics", &metrics_section},
	[HANDLER_STATS] = {"stats", &stats_section},
	[HANDLER_OPENAPI] = {"openapi", &openapi_section},
	[HANDLER_CHANNEL] = {"channel", &channel_handler_section},
	[HANDLER_SYSTEM_STREAM] = {"system_stream", &system_stream_section},
	[HANDLER_MODULE] = {"MODULE.NAME", &module_handler_section,
	    offsetof(R, module_handler)},
	[HANDLER_KIND_COUNT] = {NULL},
};

static const char *const later[] = {"proxy", "dashboard", NULL};

static const struct field common_fields[] = {
	{.key = "path", .kind = FIELD_STRING, .flags = FIELD_REQUIRED,
	    AT(R, path), .check = syntax_route_path,
	    .help = "the pattern: \"/users/{id}\", \"{id:[0-9]+}\" for an "
	    "expression, \"{path:.*}\" at the end for the tail"},
	{.key = "host", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(R, host),
	    .help = "the one host that is meant; null: any"},
	{.key = "methods", .kind = FIELD_METHODS, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(R, methods),
	    .help = "what may be asked; null: what the handler knows"},
	{.key = "body_bytes", .kind = FIELD_SIZE, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(R, body_bytes), .max = 1024 * GIB,
	    .help = "length of a request's body; longer is answered with 413; "
	    "null: the handler's own limit, or `limits.body_bytes`"},
	{.key = "middleware", .kind = FIELD_LIST, .def = JSON([]),
	    AT(R, middleware), .section = &middleware_section, .max = 64,
	    .help = "more of it, after the global ones"},
	{.key = "handler", .kind = FIELD_SELECTOR, .flags = FIELD_REQUIRED,
	    AT(R, handler), .variants = variants, .help = "what answers"},
	{.key = NULL},
};

const struct section route_section = {
	.name = "routes[]",
	.help = "What is served where.",
	.fields = common_fields,
	.bytes = sizeof(R),
	.variants = variants,
	.later = later,
};

const char *
config_handler_name(enum config_handler_kind kind)
{
	return variants[kind].name;
}
