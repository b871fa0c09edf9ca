/* SPDX-License-Identifier: MIT */
/*
 * The table of the configuration: the entries of "middleware", chosen by "use".
 *
 * Owns the rows: constant.  The variants stand in the order of enum
 * config_middleware_kind.
 *
 * Here: keys, defaults, help.  Not here: what they do (server/middleware/).
 * Context: constant.  Reading order: table.c -> [table_middleware.c].
 */
#include "config/config.h"
#include "config/field.h"
#include "config/syntax.h"

#define M struct config_middleware

static const struct field request_id_fields[] = {
	{.key = "header", .kind = FIELD_STRING, .def = JSON("X-Request-ID"),
	    AT(M, request_id.header), .check = syntax_field_name,
	    .help = "the field that carries the id, both ways"},
	{.key = "trust", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(M, request_id.trust),
	    .help = "keep the id that a client sends, if it is a sane one"},
	{.key = "traceparent", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(M, request_id.traceparent),
	    .help = "take the id from a W3C `traceparent` field"},
	{.key = NULL},
};

static const char *const log_when[] = {"always", "errors", "never", NULL};

static const struct field access_log_fields[] = {
	{.key = "when", .kind = FIELD_ENUM, .def = JSON("always"),
	    AT(M, access_log.when), .names = log_when,
	    .help = "which requests get a line; errors are statuses from 400"},
	{.key = "slow", .kind = FIELD_DURATION, .def = JSON("0s"),
	    AT(M, access_log.slow_ms), .min = 0, .max = HOUR_MS,
	    .help = "slower ones get a line in any case; \"0s\": off"},
	{.key = NULL},
};

#define SECURITY_HEADER(name, default, field)                                  \
	{.key = #name, .kind = FIELD_STRING, .def = JSON(default),             \
	    AT(M, security_headers.name), .check = syntax_field_value,         \
	    .help = "`" field "`; \"\": don't send it"}

static const struct field security_headers_fields[] = {
	SECURITY_HEADER(content_type_options, "nosniff",
	    "X-Content-Type-Options"),
	SECURITY_HEADER(frame_options, "DENY", "X-Frame-Options"),
	SECURITY_HEADER(xss_protection, "1; mode=block", "X-XSS-Protection"),
	SECURITY_HEADER(strict_transport_security,
	    "max-age=31536000; includeSubDomains",
	    "Strict-Transport-Security"),
	SECURITY_HEADER(content_security_policy, "default-src 'self'",
	    "Content-Security-Policy"),
	SECURITY_HEADER(referrer_policy, "", "Referrer-Policy"),
	{.key = NULL},
};

static void
cors_check(const struct section_scope *scope)
{
	const M *m = scope->base;
	size_t i;

	if (!scope_is_good(scope, "origins") || !m->cors.credentials)
		return;
	/* Fetch 3.2.3: browsers refuse "*" with credentials, and echoing any
	    * origin instead would open every session to every site. */
	for (i = 0; i < m->cors.origins.count; i++)
		if (str_eq(m->cors.origins.item[i], STR("*")))
			scope_report(scope, "credentials", "can't be true "
			    "while \"origins\" has \"*\": list the origins "
			    "that may send credentials");
}

static const struct field cors_fields[] = {
	{.key = "origins", .kind = FIELD_STRINGS, .def = JSON(["*"]),
	    AT(M, cors.origins), .check = syntax_not_empty,
	    .help = "who may read the answers: \"https://example.org\", or "
	    "\"*\" for anyone"},
	{.key = "methods", .kind = FIELD_STRINGS,
	    .def = JSON(["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
	    AT(M, cors.methods), .check = syntax_method,
	    .help = "allowed methods"},
	{.key = "headers", .kind = FIELD_STRINGS,
	    .def = JSON(["Content-Type", "Authorization"]),
	    AT(M, cors.headers), .check = syntax_field_name,
	    .help = "allowed request fields"},
	{.key = "expose", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(M, cors.expose), .check = syntax_field_name,
	    .help = "response fields that scripts may read"},
	{.key = "credentials", .kind = FIELD_BOOL, .def = JSON(false),
	    AT(M, cors.credentials),
	    .help = "allow cookies and authorization; needs named origins"},
	{.key = "max_age", .kind = FIELD_SECONDS, .def = JSON("1d"),
	    AT(M, cors.max_age_s), .min = 0, .max = 30 * DAY_S,
	    .help = "how long a browser remembers the answer"},
	{.key = NULL},
};

static const int timeout_statuses[] = {503, 408, 504, 0};

static const struct field timeout_fields[] = {
	{.key = "after", .kind = FIELD_DURATION, .flags = FIELD_AUTO,
	    .def = JSON("auto"), AT(M, timeout.after_ms),
	    .min = 1, .max = 24 * HOUR_MS,
	    .help = "for the handler to answer; \"auto\": `timeouts.request`"},
	{.key = "status", .kind = FIELD_INT, .def = JSON(503),
	    AT(M, timeout.status), .numbers = timeout_statuses,
	    .help = "the answer after that"},
	{.key = NULL},
};

static const struct field headers_fields[] = {
	{.key = "set", .kind = FIELD_MAP, .def = JSON({}), AT(M, headers.set),
	    .check_key = syntax_response_field, .check = syntax_field_value,
	    .help = "response fields that replace others of the same name"},
	{.key = "add", .kind = FIELD_MAP, .def = JSON({}), AT(M, headers.add),
	    .check_key = syntax_response_field, .check = syntax_field_value,
	    .help = "response fields to add"},
	{.key = "remove", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(M, headers.remove), .check = syntax_response_field,
	    .help = "response fields to take out"},
	{.key = NULL},
};

static const struct field response_time_fields[] = {
	{.key = "header", .kind = FIELD_STRING, .def = JSON("X-Response-Time"),
	    AT(M, response_time.header), .check = syntax_response_field,
	    .help = "the field that tells how long the answer took"},
	{.key = NULL},
};

static const struct field ip_filter_fields[] = {
	{.key = "allow", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(M, ip_filter.allow), .check = syntax_not_empty,
	    .help = "addresses and networks (\"10.0.0.0/8\") that may come in; "
	    "empty: all but the denied"},
	{.key = "deny", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(M, ip_filter.deny), .check = syntax_not_empty,
	    .help = "addresses and networks that may not"},
	{.key = NULL},
};

static const struct field compress_fields[] = {
	{.key = "min_bytes", .kind = FIELD_SIZE, .def = JSON(256),
	    AT(M, compress.min_bytes), .min = 0, .max = GIB,
	    .help = "smaller bodies are sent as they are"},
	{.key = "level", .kind = FIELD_INT, .def = JSON(5),
	    AT(M, compress.level), .min = 1, .max = 9,
	    .help = "1: fast, 9: small"},
	{.key = "types", .kind = FIELD_STRINGS,
	    .def = JSON(["text/*", "application/json", "application/javascript",
	    "application/xml", "application/manifest+json", "application/wasm",
	    "image/svg+xml"]),
	    AT(M, compress.types), .check = syntax_media_range,
	    .help = "media types that are worth it"},
	{.key = NULL},
};

static void
jwt_check(const struct section_scope *scope)
{
	const M *m = scope->base;

	if (scope_is_good(scope, "algorithms") && m->jwt.algorithms.count == 0)
		scope_report(scope, "algorithms", "must name those that "
		    "tokens may be signed with, like [\"ES256\"]");
	if (m->jwt.secret.len == 0 && m->jwt.key.len == 0 &&
	    m->jwt.jwks.len == 0 && scope_is_good(scope, "secret") &&
	    scope_is_good(scope, "key") && scope_is_good(scope, "jwks"))
		scope_report(scope, "secret", "is missing, as are \"key\" and "
		    "\"jwks\": one of them must tell how tokens are checked");
}

static const struct field jwt_fields[] = {
	{.key = "algorithms", .kind = FIELD_STRINGS, .flags = FIELD_REQUIRED,
	    AT(M, jwt.algorithms), .check = syntax_not_empty,
	    .help = "what tokens may be signed with: of HS256, HS384, HS512, "
	    "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, "
	    "EdDSA"},
	{.key = "secret", .kind = FIELD_STRING,
	    .flags = FIELD_NULLABLE | FIELD_SECRET | FIELD_FROM_FILE,
	    .def = JSON(null), AT(M, jwt.secret), .check = syntax_not_empty,
	    .help = "for HS256 to HS512: at least 32, 48 or 64 bytes"},
	{.key = "key", .kind = FIELD_PATH, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.key),
	    .help = "a file with the issuer's public key or certificate (PEM)"},
	{.key = "jwks", .kind = FIELD_PATH, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.jwks),
	    .help = "a file with the issuer's keys as a JWK set; read again "
	    "when it changes"},
	{.key = "issuer", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.issuer), .check = syntax_not_empty,
	    .help = "what `iss` must be; null: not looked at"},
	{.key = "audience", .kind = FIELD_STRINGS, .def = JSON([]),
	    AT(M, jwt.audience), .check = syntax_not_empty,
	    .help = "of which `aud` must name one; empty: not looked at"},
	{.key = "leeway", .kind = FIELD_SECONDS, .def = JSON("30s"),
	    AT(M, jwt.leeway_s), .min = 0, .max = 3600,
	    .help = "how far the issuer's clock may be off"},
	{.key = "methods", .kind = FIELD_METHODS, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.methods),
	    .help = "which requests need a token; null: all"},
	{.key = "required", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(M, jwt.required),
	    .help = "401 without a token; false: only for a bad one"},
	{.key = "claims", .kind = FIELD_MAP, .def = JSON({}),
	    AT(M, jwt.claims), .check_key = syntax_not_empty,
	    .check = syntax_not_empty,
	    .help = "claims and the value that each must be, or have among its "
	    "members or words; else 403"},
	{.key = "cookie", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.cookie), .check = syntax_field_name,
	    .help = "a cookie that may carry the token, where `Authorization` "
	    "doesn't"},
	{.key = "query", .kind = FIELD_BOOL, .def = JSON(false),
	    AT(M, jwt.query),
	    .help = "take it of `?access_token=`, too: where a browser can't "
	    "send a field, as for a WebSocket; logs don't show it"},
	{.key = "realm", .kind = FIELD_STRING, .def = JSON("corelane"),
	    AT(M, jwt.realm), .check = syntax_realm,
	    .help = "what `WWW-Authenticate` calls it"},
	{.key = "signing_key", .kind = FIELD_PATH, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, jwt.signing_key),
	    .help = "a file with a private key (PEM), for `corelane token` "
	    "alone: the server never reads it"},
	{.key = "max_bytes", .kind = FIELD_SIZE, .def = JSON("8KiB"),
	    AT(M, jwt.max_bytes), .min = 256, .max = 64 * KIB,
	    .help = "length of a token; longer is answered with 401"},
	{.key = NULL},
};

static void
basic_auth_check(const struct section_scope *scope)
{
	const M *m = scope->base;

	if (m->basic_auth.users.count == 0 && m->basic_auth.file.len == 0 &&
	    scope_is_good(scope, "users") && scope_is_good(scope, "file"))
		scope_report(scope, "users", "is missing, as is \"file\": "
		    "nobody could come in");
}

static const struct field basic_auth_fields[] = {
	{.key = "realm", .kind = FIELD_STRING, .def = JSON("corelane"),
	    AT(M, basic_auth.realm), .check = syntax_realm,
	    .help = "what browsers show when they ask"},
	{.key = "users", .kind = FIELD_MAP, .flags = FIELD_SECRET,
	    .def = JSON({}), AT(M, basic_auth.users),
	    .check_key = syntax_user, .check = syntax_not_empty,
	    .help = "names, and the crypt(3) hash of each password: bcrypt, "
	    "yescrypt, scrypt or sha512crypt (`mkpasswd`, `htpasswd -nB`)"},
	{.key = "file", .kind = FIELD_PATH, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, basic_auth.file),
	    .help = "a file with more of them, `name:hash` a line; read again "
	    "when it changes"},
	{.key = "cache", .kind = FIELD_DURATION, .def = JSON("60s"),
	    AT(M, basic_auth.cache_ms), .min = 0, .max = HOUR_MS,
	    .help = "how long a right password is remembered, which costs a "
	    "tenth of a second to check; \"0s\": never"},
	{.key = NULL},
};

static const char *const rate_by[] = {
	"ip", "header", "claim", "route", "user", NULL};
static const int rate_statuses[] = {429, 503, 0};

static void
rate_limit_check(const struct section_scope *scope)
{
	const M *m = scope->base;
	bool needs_name = m->rate_limit.by == RATE_BY_HEADER ||
	    m->rate_limit.by == RATE_BY_CLAIM;

	if (!scope_is_good(scope, "by") || !scope_is_good(scope, "name"))
		return;
	if (needs_name && m->rate_limit.name.len == 0)
		scope_report(scope, "name", "is missing: which %s tells "
		    "clients apart?", rate_by[m->rate_limit.by]);
	if (!needs_name && m->rate_limit.name.len > 0)
		scope_report(scope, "name", "is for \"by\": \"header\" and "
		    "\"claim\"");
}

static const struct field rate_limit_fields[] = {
	{.key = "requests", .kind = FIELD_INT, .flags = FIELD_REQUIRED,
	    AT(M, rate_limit.requests), .min = 1, .max = 1000000,
	    .help = "so many"},
	{.key = "per", .kind = FIELD_DURATION, .def = JSON("1s"),
	    AT(M, rate_limit.per_ms), .min = 1, .max = 24 * HOUR_MS,
	    .help = "in this time, evenly: all workers together"},
	{.key = "burst", .kind = FIELD_INT, .flags = FIELD_AUTO,
	    .def = JSON("auto"), AT(M, rate_limit.burst), .min = 1,
	    .max = 1000000,
	    .help = "so many at once after a pause; \"auto\": `requests`"},
	{.key = "by", .kind = FIELD_ENUM, .def = JSON("ip"),
	    AT(M, rate_limit.by), .names = rate_by,
	    .help = "whose requests are counted together: \"user\" is that of "
	    "`basic_auth`, \"claim\" one of `jwt`, both in front of this; "
	    "without it the address counts"},
	{.key = "name", .kind = FIELD_STRING, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(M, rate_limit.name),
	    .check = syntax_not_empty,
	    .help = "the header or claim: \"X-API-Key\", \"sub\""},
	{.key = "ipv6_prefix", .kind = FIELD_INT, .def = JSON(64),
	    AT(M, rate_limit.ipv6_prefix), .min = 16, .max = 128,
	    .help = "bits of an IPv6 address that make a client: a household "
	    "has 64"},
	{.key = "status", .kind = FIELD_INT, .def = JSON(429),
	    AT(M, rate_limit.status), .numbers = rate_statuses,
	    .help = "the answer to those who ask too often"},
	{.key = NULL},
};

#define VARIANT_SECTION(id, meaning)                                           \
	static const struct section id##_section = {                           \
	    .name = #id, .help = meaning, .fields = id##_fields}

VARIANT_SECTION(request_id, "An id for every request, in the response, the "
    "log and error bodies.");
VARIANT_SECTION(access_log, "Which requests the access log tells.");
VARIANT_SECTION(security_headers, "Response fields that tell browsers to be "
    "careful.");
static const struct section cors_section = {
	.name = "cors",
	.help = "Which other sites' scripts may use this one.",
	.fields = cors_fields,
	.check = cors_check,
};
VARIANT_SECTION(timeout, "An answer when the handler takes too long.");
VARIANT_SECTION(headers, "Response fields to set, add and remove.");
VARIANT_SECTION(response_time, "How long the answer took, as a response "
    "field.");
VARIANT_SECTION(ip_filter, "Who may come in, by address; others get 403.");
VARIANT_SECTION(compress, "Smaller responses for clients that can unpack "
    "them.");

#define CHECKED_SECTION(id, meaning)                                           \
	static const struct section id##_section = {                           \
	    .name = #id, .help = meaning, .fields = id##_fields,               \
	    .check = id##_check}

CHECKED_SECTION(jwt, "Who is asking, by JSON Web Token; others get 401. Later "
    "parts find its claims as attributes `jwt.sub` and so on.");
CHECKED_SECTION(basic_auth, "Who is asking, by name and password; others get "
    "401.");
CHECKED_SECTION(rate_limit, "How often a client may ask; who asks more often "
    "gets 429 and is told when to come back.");

static const struct field module_fields[] = {{.key = NULL}};
static const struct field module_rest = {
	.kind = FIELD_NODE,
	AT(M, config),
};
static const struct section module_middleware_section = {
	.name = "MODULE.NAME",
	.help = "What a module of \"modules\" brings; it knows the keys.",
	.fields = module_fields,
	.rest = &module_rest,
};

static const struct variant variants[] = {
	[MIDDLEWARE_REQUEST_ID] = {"request_id", &request_id_section},
	[MIDDLEWARE_ACCESS_LOG] = {"access_log", &access_log_section},
	[MIDDLEWARE_SECURITY_HEADERS] = {
	    "security_headers", &security_headers_section},
	[MIDDLEWARE_CORS] = {"cors", &cors_section},
	[MIDDLEWARE_TIMEOUT] = {"timeout", &timeout_section},
	[MIDDLEWARE_HEADERS] = {"headers", &headers_section},
	[MIDDLEWARE_RESPONSE_TIME] = {
	    "response_time", &response_time_section},
	[MIDDLEWARE_IP_FILTER] = {"ip_filter", &ip_filter_section},
	[MIDDLEWARE_COMPRESS] = {"compress", &compress_section},
	[MIDDLEWARE_JWT] = {"jwt", &jwt_section},
	[MIDDLEWARE_BASIC_AUTH] = {"basic_auth", &basic_auth_section},
	[MIDDLEWARE_RATE_LIMIT] = {"rate_limit", &rate_limit_section},
	[MIDDLEWARE_MODULE] = {"MODULE.NAME", &module_middleware_section,
	    offsetof(M, module_middleware)},
	[MIDDLEWARE_KIND_COUNT] = {NULL},
};

static const struct field common_fields[] = {
	{.key = "use", .kind = FIELD_SELECTOR, .flags = FIELD_REQUIRED,
	    AT(M, kind), .variants = variants, .help = "which middleware"},
	{.key = NULL},
};

const struct section middleware_section = {
	.name = "middleware[]",
	.help = "What requests pass on their way to a handler, and responses "
	    "on their way back.",
	.fields = common_fields,
	.bytes = sizeof(M),
	.variants = variants,
};

const char *
config_middleware_name(enum config_middleware_kind kind)
{
	return variants[kind].name;
}
