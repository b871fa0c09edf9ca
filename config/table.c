/* SPDX-License-Identifier: MIT */
/*
 * The table of the configuration: every key outside routes, middleware,
 * modules and databases.  Whoever adds a key adds one row here (or in
 * table_handlers.c, table_middleware.c, table_modules.c) and one member in
 * config.h; parser, defaults, messages, --print, schema and reference follow.
 *
 * Owns the rows: constant.  A default stands as the file would say it, and is
 * read by the same code; a test reads them all.
 *
 * Here: keys, ranges, defaults, help, and what two keys must agree on.
 * Not here: how a kind is read (read.c), the syntax of texts (syntax.c).
 * Context: constant.  Reading order: field.h -> [table.c] -> read.c.
 */
#include "common/log.h"
#include "config/address.h"
#include "config/config.h"
#include "config/field.h"
#include "config/syntax.h"

#define C struct config

/* A key of later builds: "TLS is". */
#define ABSENT(what)                                                           \
	.kind = FIELD_ABSENT, .help = what " not part of this build"

static const char *const log_levels[] = {
	"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const access_formats[] = {"json", "combined", NULL};
static const char *const protocols[] = {"http", "tcp", NULL};

_Static_assert(LOG_DEBUG == 0 && LOG_INFO == 1 && LOG_WARN == 2 &&
    LOG_ERROR == 3 && LOG_TEXT == 0 && LOG_JSON == 1,
    "log_levels and log_formats follow common/log.h");
_Static_assert(offsetof(C, listen_count) == offsetof(C, listen) +
    sizeof(void *), "FIELD_LIST is an array and, right behind it, its count");

/* listen[] and admin ----------------------------------------------------- */

static void
listen_check(const struct section_scope *scope)
{
	const struct config_listen *l = scope->base;

	if (!scope_is_good(scope, "protocol") ||
	    !scope_is_good(scope, "handler"))
		return;
	if (l->protocol == PROTOCOL_HTTP && l->handler.len > 0)
		scope_report(scope, "handler", "is for \"protocol\": \"tcp\"; "
		    "what HTTP serves stands in \"routes\"");
	if (l->protocol == PROTOCOL_TCP && l->handler.len == 0)
		scope_report(scope, "handler", "is missing: with \"protocol\": "
		    "\"tcp\" write \"handler\": \"echo\"");
	if (l->handler.len > 0 && !str_eq(l->handler, STR("echo")))
		scope_report(scope, "handler", "must be \"echo\", the one "
		    "handler for tcp in this build");
}

static const struct field listen_fields[] = {
	{.key = "address", .kind = FIELD_ADDRESS, .flags = FIELD_REQUIRED,
	    AT(struct config_listen, address),
	    .help = "where to listen: \"127.0.0.1:8080\", \"[::1]:80\", "
	    "\"*:80\" (all IPv4), \"[::]:80\" (all IPv6), \"localhost:80\", "
	    "\"unix:/path\"; port 0 takes a free one"},
	{.key = "protocol", .kind = FIELD_ENUM, .def = JSON("http"),
	    AT(struct config_listen, protocol), .names = protocols,
	    .help = "what is spoken there"},
	{.key = "handler", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(struct config_listen, handler),
	    .help = "what serves a tcp listener: \"echo\""},
	{.key = "tls", ABSENT("TLS is")},
	{.key = NULL},
};

static const struct section listen_section = {
	.name = "listen[]",
	.help = "The addresses that serve. Every worker serves all of them.",
	.fields = listen_fields,
	.bytes = sizeof(struct config_listen),
	.check = listen_check,
};

static const struct field admin_fields[] = {
	{.key = "address", .kind = FIELD_ADDRESS, .flags = FIELD_REQUIRED,
	    AT(struct config_listen, address),
	    .help = "where to listen; keep it private"},
	{.key = NULL},
};

static const struct section admin_section = {
	.name = "admin",
	.help = "The operator's address: `/metrics`, `/stats`, `/health`, "
	    "`/ready` and `/openapi.json`.",
	.fields = admin_fields,
	.bytes = sizeof(struct config_listen),
};

/* log and access_log ------------------------------------------------------ */

static const struct field log_fields[] = {
	{.key = "level", .kind = FIELD_ENUM, .def = JSON("info"),
	    AT(C, log.level), .names = log_levels,
	    .help = "the least important line to write"},
	{.key = "format", .kind = FIELD_ENUM, .def = JSON("text"),
	    AT(C, log.format), .names = log_formats,
	    .help = "how a line looks"},
	{.key = "file", .kind = FIELD_OUTPUT, .def = JSON("stderr"),
	    AT(C, log.file), .help = "where lines go"},
	{.key = NULL},
};

static const struct section log_section = {
	.name = "log",
	.help = "What the server itself has to say.",
	.fields = log_fields,
};

static const struct field access_log_fields[] = {
	{.key = "format", .kind = FIELD_ENUM, .def = JSON("json"),
	    AT(C, access_log.format), .names = access_formats,
	    .help = "how a line looks"},
	{.key = "file", .kind = FIELD_OUTPUT, .def = JSON("stdout"),
	    AT(C, access_log.file), .help = "where lines go"},
	{.key = NULL},
};

static const struct section access_log_section = {
	.name = "access_log",
	.help = "One line per request.",
	.fields = access_log_fields,
};

/* limits ------------------------------------------------------------------ */

static void
limits_check(const struct section_scope *scope)
{
	const C *cfg = scope->base;

	if (scope_is_good(scope, "header_bytes") &&
	    scope_is_good(scope, "target_bytes") &&
	    cfg->limits.header_bytes < cfg->limits.target_bytes)
		scope_report(scope, "header_bytes", "must be at least "
		    "\"target_bytes\" (%zu bytes): the target is a part of the "
		    "head", cfg->limits.target_bytes);
}

static const struct field limits_fields[] = {
	{.key = "connections", .kind = FIELD_INT, .flags = FIELD_AUTO,
	    .def = JSON("auto"), AT(C, limits.connections),
	    .min = 1, .max = 10000000,
	    .help = "open connections per worker; \"auto\": as many as the "
	    "limit on open files allows"},
	{.key = "connections_per_ip", .kind = FIELD_INT, .def = JSON(0),
	    AT(C, limits.connections_per_ip), .min = 0, .max = 10000000,
	    .help = "open connections of one client per worker; 0: any number"},
	{.key = "target_bytes", .kind = FIELD_SIZE, .def = JSON("8KiB"),
	    AT(C, limits.target_bytes), .min = 64, .max = MIB,
	    .help = "length of a request's target; longer is answered with "
	    "414"},
	{.key = "header_bytes", .kind = FIELD_SIZE, .def = JSON("16KiB"),
	    AT(C, limits.header_bytes), .min = 256, .max = MIB,
	    .help = "length of a request's whole head; longer is answered with "
	    "431"},
	{.key = "header_count", .kind = FIELD_INT, .def = JSON(100),
	    AT(C, limits.header_count), .min = 1, .max = 10000,
	    .help = "header fields of a request; more are answered with 431"},
	{.key = "body_bytes", .kind = FIELD_SIZE, .def = JSON("1MiB"),
	    AT(C, limits.body_bytes), .min = 0, .max = 1024 * GIB,
	    .help = "length of a request's body; longer is answered with 413"},
	{.key = "requests_per_connection", .kind = FIELD_INT, .def = JSON(0),
	    AT(C, limits.requests_per_connection), .min = 0, .max = 1000000000,
	    .help = "requests before a connection is closed; 0: any number"},
	{.key = "write_queue_bytes", .kind = FIELD_SIZE, .def = JSON("1MiB"),
	    AT(C, limits.write_queue_bytes), .min = 4 * KIB, .max = GIB,
	    .help = "unsent bytes of one connection; at more its next requests "
	    "wait"},
	{.key = "offload_queue", .kind = FIELD_INT, .def = JSON(1024),
	    AT(C, limits.offload_queue), .min = 1, .max = 1000000,
	    .help = "blocking work that may wait for a thread, per worker; "
	    "more is answered with 503"},
	{.key = "rate_cells", .kind = FIELD_INT, .def = JSON(65536),
	    AT(C, limits.rate_cells), .min = 1024, .max = 16777216,
	    .help = "clients that `rate_limit` can tell apart, for all workers "
	    "together"},
	{.key = NULL},
};

static const struct section limits_section = {
	.name = "limits",
	.help = "How much a client may ask for.",
	.fields = limits_fields,
	.check = limits_check,
};

/* timeouts ---------------------------------------------------------------- */

#define TIMEOUT(name, default, least, meaning)                                 \
	{.key = #name, .kind = FIELD_DURATION, .def = JSON(default),           \
	    AT(C, timeouts.name##_ms), .min = (least), .max = 24 * HOUR_MS,    \
	    .help = meaning}

static const struct field timeouts_fields[] = {
	TIMEOUT(head, "10s", 1, "until a request's head is complete"),
	TIMEOUT(body, "30s", 1, "between two pieces of a request's body"),
	TIMEOUT(write, "30s", 1, "for a client to take the next piece of a "
	    "response"),
	TIMEOUT(idle, "75s", 1, "between two requests on a connection"),
	TIMEOUT(request, "30s", 1, "for a handler to answer"),
	TIMEOUT(drain, "30s", 0, "for open requests to end before a worker "
	    "stops"),
	TIMEOUT(watchdog, "5s", SECOND_MS, "without a sign of life until a "
	    "worker is replaced"),
	{.key = NULL},
};

static const struct section timeouts_section = {
	.name = "timeouts",
	.help = "How long to wait.",
	.fields = timeouts_fields,
};

/* tcp, buffers, quarantine ------------------------------------------------ */

static const struct field tcp_fields[] = {
	{.key = "nodelay", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(C, tcp.nodelay),
	    .help = "send small pieces at once (TCP_NODELAY)"},
	{.key = "linger", .kind = FIELD_SECONDS, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, tcp.linger_s), .min = 0, .max = 3600,
	    .help = "SO_LINGER of accepted connections; null: off"},
	{.key = "backlog", .kind = FIELD_INT, .def = JSON(4096),
	    AT(C, tcp.backlog), .min = 1, .max = 65535,
	    .help = "connections waiting to be accepted, per listening socket; "
	    "the kernel's somaxconn bounds it too"},
	{.key = "keepalive", .kind = FIELD_SECONDS, .def = JSON("60s"),
	    AT(C, tcp.keepalive_s), .min = 0, .max = 32767,
	    .help = "idle time until TCP probes the client; \"0s\": never"},
	{.key = NULL},
};

static const struct section tcp_section = {
	.name = "tcp",
	.help = "Options of the sockets.",
	.fields = tcp_fields,
};

static const struct field buffers_fields[] = {
	{.key = "read", .kind = FIELD_SIZE, .def = JSON("64KiB"),
	    AT(C, buffers.read), .min = 4 * KIB, .max = 16 * MIB,
	    .help = "what a worker reads at once, from any connection"},
	{.key = "body_memory", .kind = FIELD_SIZE, .def = JSON("256KiB"),
	    AT(C, buffers.body_memory), .min = 0, .max = GIB,
	    .help = "larger request bodies wait in a temporary file"},
	{.key = "websocket", .kind = FIELD_SIZE, .def = JSON("64KiB"),
	    AT(C, buffers.websocket), .min = 1 * KIB, .max = GIB,
	    .help = "longer WebSocket messages leave in fragments of this "
	    "size, so that a ping gets in between"},
	{.key = NULL},
};

static const struct section buffers_section = {
	.name = "buffers",
	.help = "Memory.",
	.fields = buffers_fields,
};

static const struct field quarantine_fields[] = {
	{.key = "crashes", .kind = FIELD_INT, .def = JSON(3),
	    AT(C, quarantine.crashes), .min = 0, .max = 1000,
	    .help = "worker deaths in a route until it answers 503; 0: never"},
	{.key = "window", .kind = FIELD_DURATION, .def = JSON("60s"),
	    AT(C, quarantine.window_ms), .min = SECOND_MS, .max = 24 * HOUR_MS,
	    .help = "the time in which they are counted"},
	{.key = NULL},
};

static const struct section quarantine_section = {
	.name = "quarantine",
	.help = "Routes that kill workers. Checked, and not acted on by this "
	    "build yet.",
	.fields = quarantine_fields,
};

/* The root ---------------------------------------------------------------- */

/* The node of listen[i].address; NULL where "listen" is a default. */
static struct node *
root_find_listen(const struct node *root, size_t i)
{
	const struct node *list = node_find(root, "listen");
	struct node *n = list != NULL ? list->child : NULL;

	while (n != NULL && n->index != i)
		n = n->next;
	return n != NULL ? node_find(n, "address") : NULL;
}

/* n: an address that listen[taken_by] has too. */
static void
root_report_address(const struct section_scope *scope, struct node *n,
    size_t taken_by)
{
	if (n != NULL && !n->is_bad)
		node_report(n, scope->report, "the same address as listen[%zu]",
		    taken_by);
}

static bool
listen_is_same(const struct config_listen *a, const struct config_listen *b)
{
	struct address x, y;

	return a->address.p != NULL && b->address.p != NULL &&
	    address_parse(a->address, &x, NULL) == 0 &&
	    address_parse(b->address, &y, NULL) == 0 &&
	    address_is_same(&x, &y);
}

static void
root_check_addresses(const struct section_scope *scope)
{
	const struct node *admin = node_find(scope->node, "admin");
	const C *cfg = scope->base;
	size_t i, j;

	for (i = 0; i < cfg->listen_count; i++) {
		for (j = 0; j < i; j++)
			if (listen_is_same(&cfg->listen[i], &cfg->listen[j]))
				break;
		if (j < i)
			root_report_address(scope,
			    root_find_listen(scope->node, i), j);
		else if (cfg->admin != NULL && admin != NULL &&
		    listen_is_same(&cfg->listen[i], cfg->admin))
			root_report_address(scope, node_find(admin, "address"),
			    i);
	}
}

static void
root_check(const struct section_scope *scope)
{
	const C *cfg = scope->base;

	if (scope_is_good(scope, "workers") &&
	    scope_is_good(scope, "max_workers") &&
	    cfg->workers != CONFIG_AUTO && cfg->max_workers != CONFIG_AUTO &&
	    cfg->workers > cfg->max_workers)
		scope_report(scope, "workers", "must be at most "
		    "\"max_workers\" (%d)", cfg->max_workers);
	root_check_addresses(scope);
	modules_check_names(scope);
}

static const struct field root_fields[] = {
	{.key = "$schema", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, schema),
	    .help = "for editors: \"corelane.schema.json\""},
	{.key = "workers", .kind = FIELD_INT, .flags = FIELD_AUTO,
	    .def = JSON("auto"), AT(C, workers), .min = 1, .max = 120,
	    .help = "worker processes; \"auto\": one per usable core"},
	{.key = "max_workers", .kind = FIELD_INT, .flags = FIELD_AUTO,
	    .def = JSON("auto"), AT(C, max_workers), .min = 1, .max = 120,
	    .help = "how far `corelane scale` may go; \"auto\": twice "
	    "\"workers\", at least 8"},
	{.key = "cpu_affinity", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(C, cpu_affinity), .help = "pin each worker to its own core"},
	{.key = "user", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, user),
	    .help = "who to become after binding, when started as root"},
	{.key = "group", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, group),
	    .help = "the group for it; null: the user's own"},
	{.key = "run_dir", .kind = FIELD_PATH, .def = JSON("run"),
	    AT(C, run_dir), .help = "folder of control socket and lock"},
	{.key = "offload_threads", .kind = FIELD_INT, .def = JSON(4),
	    AT(C, offload_threads), .min = 0, .max = 256,
	    .help = "threads per worker for blocking work"},
	{.key = "listen", .kind = FIELD_LIST,
	    .def = JSON([{"address": "127.0.0.1:8080"}]), AT(C, listen),
	    .section = &listen_section, .min = 1, .max = 64,
	    .help = "where to serve"},
	{.key = "admin", .kind = FIELD_POINTER, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, admin), .section = &admin_section,
	    .help = "the operator's address; null: none"},
	{.key = "log", .kind = FIELD_SECTION, .section = &log_section,
	    .help = "the server's log"},
	{.key = "access_log", .kind = FIELD_SECTION, .flags = FIELD_NULLABLE,
	    .section = &access_log_section, WHEN(C, access_log.enabled, true),
	    .help = "one line per request; null or absent: none"},
	{.key = "limits", .kind = FIELD_SECTION, .section = &limits_section,
	    .help = "how much a client may ask for"},
	{.key = "timeouts", .kind = FIELD_SECTION, .section = &timeouts_section,
	    .help = "how long to wait"},
	{.key = "tcp", .kind = FIELD_SECTION, .section = &tcp_section,
	    .help = "socket options"},
	{.key = "buffers", .kind = FIELD_SECTION, .section = &buffers_section,
	    .help = "memory"},
	{.key = "quarantine", .kind = FIELD_SECTION,
	    .section = &quarantine_section, .help = "routes that kill workers"},
	{.key = "middleware", .kind = FIELD_LIST, .def = JSON([]),
	    AT(C, middleware), .section = &middleware_section, .max = 64,
	    .help = "what every request passes, in this order"},
	{.key = "modules", .kind = FIELD_LIST, .def = JSON([]), AT(C, modules),
	    .section = &module_section, .max = 64,
	    .help = "handlers and middleware of your own"},
	{.key = "databases", .kind = FIELD_DICT, .def = JSON({}),
	    AT(C, databases), .section = &database_section, .max = 16,
	    .check_key = syntax_database_name,
	    .help = "databases that modules ask, by name"},
	{.key = "websocket", .kind = FIELD_SECTION,
	    .section = &websocket_section, .help = "WebSocket connections"},
	{.key = "sse", .kind = FIELD_SECTION, .section = &sse_section,
	    .help = "event streams"},
	{.key = "channels", .kind = FIELD_LIST, .def = JSON([{"match": "*"}]),
	    AT(C, channels), .section = &channel_section, .min = 1,
	    .max = 1000, .help = "rules for channels"},
	{.key = "channel_log", .kind = FIELD_SECTION,
	    .section = &channel_log_section,
	    .help = "the memory of channels"},
	{.key = "cluster", .kind = FIELD_POINTER, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(C, cluster), .section = &cluster_section,
	    .help = "joins the channels of several machines; null: this one "
	    "alone"},
	{.key = "routes", .kind = FIELD_LIST, .def = JSON([]), AT(C, routes),
	    .section = &route_section, .max = 10000,
	    .help = "what is served where"},
	{.key = NULL},
};

const struct section config_section = {
	.name = "",
	.help = "The keys at the top of the file.",
	.fields = root_fields,
	.check = root_check,
};
