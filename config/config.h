/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what a file says, checked, with defaults filled in, and
 * never changed again.  Reading never acts: nothing is bound, opened for
 * serving, or logged here.
 *
 *	struct config_problems problems;
 *	struct config *cfg = config_load("corelane.json", &problems);
 *	if (cfg == NULL)
 *		for (i = 0; i < problems.count; i++)
 *			fprintf(stderr, "%s\n", problems.item[i]);
 *	...
 *	config_problems_done(&problems);
 *	config_unref(cfg);
 *
 * Every string is a slice with a NUL behind it, lent by the config; paths are
 * absolute, resolved against the folder of the file.  Durations are in
 * milliseconds, sizes in bytes, and their names say so.
 *
 * config/table.c holds the one table of keys, defaults, ranges and help;
 * parser, --print, schema and the README's reference are all made from it.
 *
 * Context: any process; single thread while loading, read-only afterwards.
 */
#ifndef CORELANE_CONFIG_CONFIG_H
#define CORELANE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/str.h"
#include "config/method.h"

struct node;

/* Stands for "auto" or null in a numeric key whose text says so. */
#define CONFIG_AUTO (-1)

/* Where a value stands in its file: for messages of later checks. */
struct config_pos {
	unsigned line, column;		/* from 1; 0: a default */
};

/* A list of strings. */
struct config_strings {
	struct str *item;
	size_t count;
};

/* Header fields to set, in the order of the file. */
struct config_field {
	struct str name, value;
};
struct config_fields {
	struct config_field *item;
	size_t count;
};

enum config_protocol { PROTOCOL_HTTP, PROTOCOL_TCP };

/* One entry of "listen", or the admin address. */
struct config_listen {
	struct config_pos pos;
	struct str address; /* "127.0.0.1:8080", "[::]:80", "unix:..." */
	enum config_protocol protocol;
	struct str handler;		/* PROTOCOL_TCP: "echo" */
};

enum config_middleware_kind {
	MIDDLEWARE_REQUEST_ID,
	MIDDLEWARE_ACCESS_LOG,
	MIDDLEWARE_SECURITY_HEADERS,
	MIDDLEWARE_CORS,
	MIDDLEWARE_TIMEOUT,
	MIDDLEWARE_HEADERS,
	MIDDLEWARE_RESPONSE_TIME,
	MIDDLEWARE_IP_FILTER,
	MIDDLEWARE_COMPRESS,
	MIDDLEWARE_JWT,
	MIDDLEWARE_BASIC_AUTH,
	MIDDLEWARE_RATE_LIMIT,
	MIDDLEWARE_MODULE, /* a module's: "use": "api.audit" */
	MIDDLEWARE_KIND_COUNT
};

/* One entry of a "middleware" list: "use" and that middleware's own keys. */
struct config_middleware {
	struct config_pos pos;
	enum config_middleware_kind kind;
	union {
		struct {
			struct str header;	/* "X-Request-ID" */
			bool trust;		/* keep a client's id */
			bool traceparent;	/* W3C trace context */
		} request_id;
		struct {
			enum config_log_when {
				LOG_ALWAYS, LOG_ERRORS, LOG_NEVER
			} when; /* which requests of this route */
			int64_t slow_ms;	/* slower ones always; 0: off */
		} access_log;
		struct {
			/* each sent unless it is empty */
			struct str content_type_options;
			struct str frame_options;
			struct str xss_protection;
			struct str strict_transport_security;
			struct str content_security_policy;
			struct str referrer_policy;
		} security_headers;
		struct {
			struct config_strings origins;	/* "*": any */
			struct config_strings methods;
			/* allowed request fields */
			struct config_strings headers;
			struct config_strings expose;
			bool credentials;
			int64_t max_age_s;
		} cors;
		struct {
			int64_t after_ms; /* CONFIG_AUTO: timeouts.request */
			int status;		/* 503, or 408 or 504 */
		} timeout;
		struct {
			struct config_fields set;	/* replaces */
			struct config_fields add;
			struct config_strings remove;
		} headers;
		struct {
			struct str header;	/* "X-Response-Time" */
		} response_time;
		struct {
			struct config_strings allow;	/* addresses, CIDR */
			struct config_strings deny;
		} ip_filter;
		struct {
			size_t min_bytes;
			int level;		/* 1 to 9 */
			/* media types, "text/" + "*" */
			struct config_strings types;
		} compress;
		struct {
			struct config_strings algorithms; /* "ES256" */
			struct str secret;	/* empty: none, as the next */
			struct str key, jwks, signing_key; /* files */
			struct str issuer;
			struct config_strings audience;
			int64_t leeway_s;
			unsigned methods; /* METHOD_BIT()s; 0: all */
			bool required;	/* false: goes on without a token */
			struct config_fields claims; /* and values */
			struct str cookie;	/* empty: none */
			bool query;	/* ?access_token= carries it, too */
			struct str realm;
			size_t max_bytes;	/* of a token */
		} jwt;
		struct {
			struct str realm;
			struct config_fields users; /* name to hash */
			struct str file; /* lines "name:hash"; empty: none */
			int64_t cache_ms;	/* 0: off */
		} basic_auth;
		struct {
			int64_t requests, per_ms;
			int64_t burst;	/* CONFIG_AUTO: requests */
			enum config_rate_by {
				RATE_BY_IP,
				RATE_BY_HEADER,
				RATE_BY_CLAIM,
				RATE_BY_ROUTE,
				RATE_BY_USER
			} by;
			struct str name; /* of the header or claim */
			int64_t ipv6_prefix;	/* bits */
			int status;
		} rate_limit;
		struct {
			struct str module_middleware; /* "api.audit" */
			/* its other keys: an object; NULL: none */
			const struct node *config;
		};
	};
};

struct config_middlewares {
	struct config_middleware *item;
	size_t count;
};

enum config_handler_kind {
	HANDLER_RESPOND,
	HANDLER_REDIRECT,
	HANDLER_STATIC,
	HANDLER_ECHO,
	HANDLER_HEALTH,
	HANDLER_READY,
	HANDLER_METRICS,
	HANDLER_STATS,
	HANDLER_OPENAPI,
	HANDLER_CHANNEL,
	HANDLER_SYSTEM_STREAM,
	HANDLER_MODULE, /* a module's: "api.users" */
	HANDLER_KIND_COUNT
};

/* One entry of "routes": a pattern, a handler and that handler's own keys. */
struct config_route {
	struct config_pos pos;
	struct str path;		/* "/users/{id:[0-9]+}" */
	struct str host;		/* empty: any */
	unsigned methods; /* METHOD_BIT()s; 0: the handler's own */
	int64_t body_bytes; /* CONFIG_AUTO: the handler's, or of limits */
	struct config_middlewares middleware;	/* after the global ones */
	enum config_handler_kind handler;
	union {
		struct {
			int status;		/* 200 */
			struct config_fields headers;
			struct str body; /* "body", or the text of "json" */
			bool is_json;
			int64_t delay_ms;	/* waited first; 0: none */
		} respond;
		struct {
			struct str to; /* may use "{path}" of the pattern */
			int status;		/* 301, 302, 303, 307, 308 */
			bool keep_query;
		} redirect;
		struct {
			struct str root;	/* a folder */
			struct config_strings index;	/* {"index.html"} */
			struct config_fields types; /* ".ext" to media type */
			struct str default_type; /* application/octet-stream */
		} stat;
		struct {
			bool stream; /* answer while the body arrives */
			size_t message_bytes;	/* of a WebSocket's */
			struct config_strings origins;	/* "*": any */
		} echo;
		struct {
			struct config_strings origins;	/* none: same host */
			bool publish;	/* by POST and by clients */
		} channel;
		struct {
			int64_t interval_ms;
		} system_stream;
		struct str module_handler; /* "api.users" */
	};
};

struct config_routes {
	struct config_route *item;
	size_t count;
};

/* A shared object, and where the file names it. */
struct config_library {
	struct str path; /* absolute; or a bare name, to be looked for */
	struct config_pos pos;
};

/* One entry of "modules". */
struct config_module {
	struct config_pos pos;
	struct str name;
	struct config_library file;
	struct str prefix; /* of the module's own paths: "" or "/api" */
	bool routes; /* serve the module's own paths */
	struct config_middlewares middleware; /* of those */
	const struct node *config; /* an object, or NULL; lent */
};
struct config_modules {
	struct config_module *item;
	size_t count;
};

/* One entry of "databases". */
struct config_database {
	struct config_pos pos;
	struct str name;
	/* "sqlite:/path", "sqlite::memory:", "postgresql://..." */
	struct str url;
	int connections; /* per worker; SQLite: readers */
	int queue; /* statements that may wait */
	int64_t timeout_ms, connect_ms;
};
struct config_databases {
	struct config_database *item;
	size_t count;
};

/* One rule of "channels". */
enum config_slow { SLOW_DISCONNECT, SLOW_DROP_OLDEST, SLOW_LATEST };
enum config_presence { PRESENCE_COUNT, PRESENCE_MEMBERS };
struct config_channel {
	struct config_pos pos;
	struct str match;		/* "room.*" */
	struct {
		int64_t messages;	/* 0: none */
		int64_t age_ms;
		size_t bytes;
	} history;
	/* "anyone", "nobody", "token" or "module.name" */
	struct str subscribe, publish;
	size_t message_bytes;
	size_t queue_bytes;
	enum config_slow on_slow;
	enum config_presence presence;
	int members_max;
	bool join_leave;
};
struct config_channels {
	struct config_channel *item;
	size_t count;
};

enum config_engine { ENGINE_REDIS };
struct config_cluster {
	struct config_pos pos;
	enum config_engine engine;
	struct str url;		/* "redis://user:password@host:6379/0" */
	struct str prefix;
	int64_t connect_ms, timeout_ms;
	int64_t history, history_age_ms;	/* messages kept per channel */
};

/* Every WebSocket. */
struct config_websocket {
	size_t message_bytes;
	int64_t ping_ms;		/* 0: never */
	int64_t pong_ms;
	int64_t lifetime_ms;		/* 0: for ever */
	struct {
		bool enabled;
		size_t min_bytes;
		int level, window_bits;
		bool takeover;
	} deflate;
};

/* Every event stream. */
struct config_sse {
	int64_t heartbeat_ms;		/* 0: never */
	int64_t retry_ms;
	int64_t lifetime_ms;		/* 0: for ever */
};

enum config_access_format { ACCESS_JSON, ACCESS_COMBINED };

struct config {
	struct str file;		/* absolute path of the file */
	struct str name;		/* the file as given: in messages */
	struct str text_hash;		/* hex, of the effective values */
	struct str schema;		/* "$schema": for editors */

	int workers;			/* CONFIG_AUTO: one per usable core */
	int max_workers; /* CONFIG_AUTO: twice that, at least 8 */
	bool cpu_affinity;
	struct str user, group;		/* empty: stay who we are */
	struct str run_dir;
	int offload_threads;

	struct config_listen *listen;
	size_t listen_count;
	struct config_listen *admin;	/* NULL: none */

	struct {
		int level;		/* enum log_level */
		int format;		/* enum log_format */
		struct str file;	/* "stderr", "stdout" or a path */
	} log;
	struct {
		bool enabled;
		enum config_access_format format;
		struct str file;
	} access_log;

	struct {
		/* per worker; CONFIG_AUTO: as files allow */
		int64_t connections;
		int64_t connections_per_ip;	/* per worker; 0: no limit */
		size_t target_bytes;
		size_t header_bytes;	/* the whole head */
		int64_t header_count;
		size_t body_bytes;
		int64_t requests_per_connection;	/* 0: no limit */
		size_t write_queue_bytes; /* unsent bytes of one connection */
		int64_t offload_queue; /* jobs that may wait, per worker */
		int64_t rate_cells; /* clients that rate_limit tells apart */
	} limits;
	struct {
		int64_t head_ms, body_ms, write_ms, idle_ms;
		int64_t request_ms;	/* the handler's */
		int64_t drain_ms, watchdog_ms;
	} timeouts;
	struct {
		bool nodelay;
		int64_t linger_s;	/* CONFIG_AUTO: off */
		int backlog;
		int64_t keepalive_s;	/* 0: off */
	} tcp;
	struct {
		size_t read;		/* the worker's one scratch buffer */
		size_t body_memory;	/* larger request bodies go to a file */
		size_t websocket;	/* the longest fragment that is sent */
	} buffers;
	struct config_websocket websocket;
	struct config_sse sse;
	struct {
		int crashes;		/* 0: off */
		int64_t window_ms;
	} quarantine;

	struct config_middlewares middleware;
	struct config_modules modules;
	struct config_databases databases;
	struct config_channels channels; /* never empty: a rule for all */
	struct {
		size_t bytes;		/* of messages */
		int64_t channels, members;
	} channel_log;
	struct config_cluster *cluster;	/* NULL: this machine alone */
	struct config_routes routes;
};

/* Every problem of a file, each as "file:line:column: path: what, and what to
 * write"; without a path where the file as a whole is meant. */
struct config_problems {
	char **item;			/* owned */
	struct config_pos *pos;		/* owned: of each; they are in order */
	size_t count;
	size_t dropped;			/* beyond CONFIG_PROBLEMS_MAX */
};
#define CONFIG_PROBLEMS_MAX 100

/*
 * Reads and checks the file.  Returns a config with one reference, or NULL;
 * `ret_problems` is always valid afterwards and the caller's to free.  A file
 * can load with no problem only.  "-" reads standard input.
 */
struct config *config_load(const char *path,
    struct config_problems *ret_problems) __attribute__((warn_unused_result));

/* The same for a text in memory; `name` stands for the file in messages and its
 * folder is what relative paths are resolved against (NULL: "config"). */
struct config *config_parse(struct str text, const char *name,
    struct config_problems *ret_problems) __attribute__((warn_unused_result));

/* Adds a problem at a place of a loaded config's file: for checks that later
 * layers make (a duplicate route).  path: "routes[3]". */
void config_problem_add(struct config_problems *problems,
    const struct config *cfg, struct config_pos pos, const char *path,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void config_problems_done(struct config_problems *problems);

struct config *config_ref(struct config *cfg);
void config_unref(struct config *cfg);

/* Prints the effective values as JSON, defaults included, secrets hidden. */
void config_print(const struct config *cfg, struct buf *out);

/* Prints the JSON schema (draft 2020-12), and the Markdown reference for the
 * README. */
void config_print_schema(struct buf *out);
void config_print_reference(struct buf *out);

/* "workers: auto" resolved for this machine: sched_getaffinity and the cgroup
 * CPU quota (v2 and v1), at least 1. */
int config_usable_cpus(void);

const char *config_handler_name(enum config_handler_kind kind);
const char *config_middleware_name(enum config_middleware_kind kind);
const char *config_method_name(enum method method);

/* Appends a database's url with "***" for its password: for people to see. */
void config_add_url(struct buf *out, struct str url);

#endif
