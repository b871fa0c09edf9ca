/* SPDX-License-Identifier: MIT */
/*
 * What a module is: a shared object with one struct lane_module in it, loaded
 * by every worker after it has been forked.
 *
 *	#include <corelane/corelane.h>
 *
 *	static int
 *	hello(struct lane_ctx *c)
 *	{
 *		return lane_send(c, 200, "text/plain", LANE_STR("Hello!\n"));
 *	}
 *
 *	static const struct lane_route routes[] = {
 *		{.name = "hello", .path = "/hello", .run = hello}, {0}
 *	};
 *
 *	LANE_MODULE(.name = "hello", .routes = routes);
 */
#ifndef CORELANE_MODULE_H
#define CORELANE_MODULE_H

#include <corelane/types.h>
#include <corelane/response.h>

LANE_BEGIN

struct cJSON;
struct lane_channel_rule;
struct lane_socket_handler;

/*
 * A declared value: a parameter of the path or the query, a field of the
 * content (a JSON object's member or a form's field), a header field, or a key
 * of the module's configuration.  What is declared is checked before the
 * handler runs, told in /openapi.json, and read by lane_arg_*().
 */
enum lane_where {
	LANE_IN_PATH,
	LANE_IN_QUERY,
	LANE_IN_BODY,
	LANE_IN_HEADER,
	LANE_IN_CONFIG
};
enum lane_type {
	LANE_TYPE_TEXT, /* min, max: length in characters */
	LANE_TYPE_INT, /* min, max: range */
	LANE_TYPE_FLOAT,
	LANE_TYPE_BOOL,
	LANE_TYPE_JSON /* body and config: any value, unlooked at */
};
struct lane_field {
	const char *name; /* NULL ends a list */
	enum lane_where where;
	enum lane_type type;
	bool is_required;
	/* A range or a length; none where both are 0, and no upper end where
	 * max is 0 behind a min above it. */
	double min, max;
	const char *pattern; /* PCRE2, the whole text; NULL: any */
	const char *const *one_of; /* ends with NULL; or NULL */
	const char *fallback; /* when absent, as text; NULL: none */
	const char *help;
};

/* How a route takes content. */
enum lane_body_mode {
	LANE_BODY_WHOLE, /* run() when all of it is here */
	LANE_BODY_IGNORE, /* run() at once; it is read and dropped */
	LANE_BODY_STREAM /* run() at once, then on_body() */
};

/*
 * A handler.  With a path it is served there (behind the module's "prefix");
 * with or without, the configuration may bind it as "module.name".
 */
struct lane_route {
	const char *name; /* NULL ends a list */
	const char *methods; /* "GET, POST"; NULL: all */
	const char *path; /* "/users/{id:[0-9]+}"; or NULL */
	lane_fn run;
	const struct lane_field *fields; /* or NULL */
	const char *summary; /* for /openapi.json; or NULL */
	enum lane_body_mode body;
	/*
	 * LANE_BODY_STREAM: a piece of content, borrowed; at the end once with
	 * is_last and nothing.  Returns how many bytes it took; fewer than
	 * given holds the client back until lane_body_more().
	 */
	size_t (*on_body)(
	    struct lane_ctx *c, struct lane_str piece, bool is_last);
	size_t body_bytes; /* limits.body_bytes for this route; 0 */
	/* WebSockets and event streams on this path: <corelane/realtime.h>;
	 * `run` answers all else, and may be NULL then (426). */
	const struct lane_socket_handler *websocket, *events;
	int invalid_status; /* for a wrong field of the content;
					 * 0: 422 */
};
void lane_body_more(struct lane_ctx *c);
/* A LANE_BODY_STREAM route's run() returns this to wait for its content; the
 * on_body() that is the last answers by lane_finish(). */
int lane_body_wait(struct lane_ctx *c) LANE_CHECKED;
/* Goes on as if a continuation had returned `result`; for on_body(). */
void lane_finish(struct lane_ctx *c, int result);

/* Declared values, checked and converted: 0, "", false where one is absent and
 * has no fallback. */
bool lane_has_arg(struct lane_ctx *c, const char *name);
struct lane_value lane_arg(struct lane_ctx *c, const char *name);
int64_t lane_arg_int(struct lane_ctx *c, const char *name);
double lane_arg_float(struct lane_ctx *c, const char *name);
bool lane_arg_bool(struct lane_ctx *c, const char *name);
struct lane_str lane_arg_text(struct lane_ctx *c, const char *name);
/* LANE_TYPE_JSON. */
const struct cJSON *lane_arg_json(struct lane_ctx *c, const char *name);

/*
 * Middleware: "use": "module.name" in the configuration.  before() returns
 * LANE_NEXT, or answers; after() sees the response complete and unsent, and may
 * change its fields.
 */
struct lane_middleware {
	const char *name; /* NULL ends a list */
	lane_fn before; /* or NULL */
	void (*after)(struct lane_ctx *c); /* or NULL */
	const struct lane_field *config; /* keys beside "use"; or NULL */
};
/* A key of the middleware's own entry, for its hooks. */
struct lane_value lane_option(struct lane_ctx *c, const char *name);

/* What killed a worker, for the next one to tell. */
struct lane_crash {
	unsigned worker;
	int pid;
	int signal; /* or 0 */
	int exit_code; /* where there was no signal */
	int64_t time_s; /* Unix */
	uint64_t fault_address; /* SIGSEGV and SIGBUS; else 0 */
	struct lane_str request; /* "GET /users/7"; p == NULL: none */
	struct lane_str request_id;
	struct lane_str phase; /* "handler", "offload", "idle" ... */
};

/* What init() gets. */
struct lane_init;

struct lane_module {
	unsigned abi; /* LANE_ABI: by LANE_MODULE */
	const char *name; /* what the configuration calls it */
	const char *version; /* or NULL */
	/* The keys of "config", checked before init(); NULL: whatever it is,
	 * see lane_config_json(). */
	const struct lane_field *config;
	const struct lane_route *routes; /* or NULL */
	const struct lane_middleware *middleware; /* or NULL */
	const struct lane_channel_rule *channel_rules; /* or NULL */

	/* Any may be NULL. */

	/* In every worker, and in `corelane check`: reads its configuration,
	 * makes its state.  Returns 0, or lane_init_fail(). */
	int (*init)(struct lane_init *in);
	/* state: of lane_init_state(). */
	void (*fini)(void *state);
	/* A background task at a worker's start: the worker serves once it has
	 * returned a status (200) or LANE_NEXT; a failure fails the start. */
	lane_fn on_worker_start;
	/* The same when a worker stops: waited for, as long as it drains. */
	lane_fn on_worker_stop;
	/* A background task in the worker that replaces a dead one. */
	int (*on_crash_report)(
	    struct lane_ctx *c, const struct lane_crash *crash);
	/* Shapes an error's response: answers, or returns LANE_NEXT. */
	int (*on_request_error)(
	    struct lane_ctx *c, const struct lane_problem *problem);
};

#ifdef __cplusplus
#define LANE_MODULE_EXPORT extern "C" LANE_EXPORT const struct lane_module
#else
#define LANE_MODULE_EXPORT                                                     \
	extern LANE_EXPORT const struct lane_module lane_module;               \
	LANE_EXPORT const struct lane_module
#define LANE_MODULE(...)                                                       \
	LANE_MODULE_EXPORT lane_module = {.abi = LANE_ABI, __VA_ARGS__}
#endif

/* For init(): the configuration's keys, and the module's own state. */
struct lane_value lane_config(struct lane_init *in, const char *key);
int64_t lane_config_int(struct lane_init *in, const char *key);
double lane_config_float(struct lane_init *in, const char *key);
bool lane_config_bool(struct lane_init *in, const char *key);
struct lane_str lane_config_text(struct lane_init *in, const char *key);
/* All of "config"; lent until init() returns. */
const struct cJSON *lane_config_json(struct lane_init *in);
/* Tells what is wrong with a key ("a.b[2]"; NULL: with the whole), with file,
 * line and column.  Returns -1, for init() to return. */
int lane_init_fail(struct lane_init *in, const char *key, const char *fmt, ...)
    LANE_PRINTF(3, 4);
/* taken: fini() gets it. */
void lane_init_state(struct lane_init *in, void *state);

/* The state that init() has made. */
void *lane_state(struct lane_ctx *c);

/*
 * Metrics of the module's own, in /metrics and /stats beside the server's,
 * summed over the workers and never falling.  Made in init(), used ever after;
 * name: "orders_total"; the server puts "corelane_<module>_" in front.  NULL
 * when the table is full (64 counters, 8 histograms of all modules together);
 * every call takes NULL.
 */
struct lane_counter;
struct lane_histogram;
struct lane_counter *lane_counter(
    struct lane_init *in, const char *name, const char *help);
struct lane_histogram *lane_histogram(
    struct lane_init *in, const char *name, const char *help);
void lane_count(struct lane_counter *counter, uint64_t n);
void lane_observe_us(struct lane_histogram *histogram, uint64_t us);

/* The server's own figures, over all workers: for pages that show them. */
struct lane_figures {
	uint64_t requests, errors; /* answered; of those from 500 on */
	uint64_t connections_active, connections_total;
	uint64_t uptime_s;
	uint64_t memory_bytes; /* resident, of all workers */
	uint64_t request_us_total; /* time taken by all requests */
	unsigned workers;
};
void lane_figures(struct lane_ctx *c, struct lane_figures *ret_figures);

LANE_END

#endif
