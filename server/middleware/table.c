/* SPDX-License-Identifier: MIT */
/*
 * All middleware, by its kind.  A new one is a file beside this one, a kind in
 * config/config.h, and two lines here.
 *
 * Context: constant.
 */
#include "server/middleware.h"

extern const struct middleware middleware_request_id;
extern const struct middleware middleware_access_log;
extern const struct middleware middleware_security_headers;
extern const struct middleware middleware_cors;
extern const struct middleware middleware_timeout;
extern const struct middleware middleware_headers;
extern const struct middleware middleware_response_time;
extern const struct middleware middleware_ip_filter;
extern const struct middleware middleware_compress;
extern const struct middleware middleware_jwt;
extern const struct middleware middleware_basic_auth;
extern const struct middleware middleware_rate_limit;
extern const struct middleware middleware_module;

const struct middleware *const middleware_table[MIDDLEWARE_KIND_COUNT] = {
	[MIDDLEWARE_REQUEST_ID] = &middleware_request_id,
	[MIDDLEWARE_ACCESS_LOG] = &middleware_access_log,
	[MIDDLEWARE_SECURITY_HEADERS] = &middleware_security_headers,
	[MIDDLEWARE_CORS] = &middleware_cors,
	[MIDDLEWARE_TIMEOUT] = &middleware_timeout,
	[MIDDLEWARE_HEADERS] = &middleware_headers,
	[MIDDLEWARE_RESPONSE_TIME] = &middleware_response_time,
	[MIDDLEWARE_IP_FILTER] = &middleware_ip_filter,
	[MIDDLEWARE_COMPRESS] = &middleware_compress,
	[MIDDLEWARE_JWT] = &middleware_jwt,
	[MIDDLEWARE_BASIC_AUTH] = &middleware_basic_auth,
	[MIDDLEWARE_RATE_LIMIT] = &middleware_rate_limit,
	[MIDDLEWARE_MODULE] = &middleware_module,
};
