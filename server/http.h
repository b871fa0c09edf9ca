/* SPDX-License-Identifier: MIT */
/*
 * HTTP's own tables: statuses (RFC 9110 15, RFC 6585, RFC 8470) and the fields
 * that corelane itself looks at.  What prints or recognises one of them reads
 * it from here.
 *
 * Context: pure functions over constant tables.
 */
#ifndef CORELANE_SERVER_HTTP_H
#define CORELANE_SERVER_HTTP_H

#include <stdbool.h>

#include "common/str.h"

/* X(code, reason phrase, code word of error bodies) */
#define STATUSES(X)                                                            \
	X(100, "Continue", "")                                                 \
	X(101, "Switching Protocols", "")                                      \
	X(103, "Early Hints", "")                                              \
	X(200, "OK", "")                                                       \
	X(201, "Created", "")                                                  \
	X(202, "Accepted", "")                                                 \
	X(203, "Non-Authoritative Information", "")                            \
	X(204, "No Content", "")                                               \
	X(205, "Reset Content", "")                                            \
	X(206, "Partial Content", "")                                          \
	X(300, "Multiple Choices", "")                                         \
	X(301, "Moved Permanently", "")                                        \
	X(302, "Found", "")                                                    \
	X(303, "See Other", "")                                                \
	X(304, "Not Modified", "")                                             \
	X(307, "Temporary Redirect", "")                                       \
	X(308, "Permanent Redirect", "")                                       \
	X(400, "Bad Request", "BAD_REQUEST")                                   \
	X(401, "Unauthorized", "UNAUTHORIZED")                                 \
	X(402, "Payment Required", "PAYMENT_REQUIRED")                         \
	X(403, "Forbidden", "FORBIDDEN")                                       \
	X(404, "Not Found", "NOT_FOUND")                                       \
	X(405, "Method Not Allowed", "METHOD_NOT_ALLOWED")                     \
	X(406, "Not Acceptable", "NOT_ACCEPTABLE")                             \
	X(408, "Request Timeout", "REQUEST_TIMEOUT")                           \
	X(409, "Conflict", "CONFLICT")                                         \
	X(410, "Gone", "GONE")                                                 \
	X(411, "Length Required", "LENGTH_REQUIRED")                           \
	X(412, "Precondition Failed", "PRECONDITION_FAILED")                   \
	X(413, "Content Too Large", "CONTENT_TOO_LARGE")                       \
	X(414, "URI Too Long", "URI_TOO_LONG")                                 \
	X(415, "Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE")             \
	X(416, "Range Not Satisfiable", "RANGE_NOT_SATISFIABLE")               \
	X(417, "Expectation Failed", "EXPECTATION_FAILED")                     \
	X(418, "I'm a teapot", "TEAPOT")                                       \
	X(421, "Misdirected Request", "MISDIRECTED_REQUEST")                   \
	X(422, "Unprocessable Content", "UNPROCESSABLE_CONTENT")               \
	X(425, "Too Early", "TOO_EARLY")                                       \
	X(426, "Upgrade Required", "UPGRADE_REQUIRED")                         \
	X(428, "Precondition Required", "PRECONDITION_REQUIRED")               \
	X(429, "Too Many Requests", "TOO_MANY_REQUESTS")                       \
	X(431, "Request Header Fields Too Large", "HEADER_FIELDS_TOO_LARGE")   \
	X(451, "Unavailable For Legal Reasons", "UNAVAILABLE_LEGALLY")         \
	X(500, "Internal Server Error", "INTERNAL_ERROR")                      \
	X(501, "Not Implemented", "NOT_IMPLEMENTED")                           \
	X(502, "Bad Gateway", "BAD_GATEWAY")                                   \
	X(503, "Service Unavailable", "SERVICE_UNAVAILABLE")                   \
	X(504, "Gateway Timeout", "GATEWAY_TIMEOUT")                           \
	X(505, "HTTP Version Not Supported", "HTTP_VERSION_NOT_SUPPORTED")     \
	X(507, "Insufficient Storage", "INSUFFICIENT_STORAGE")                 \
	X(511, "Network Authentication Required", "NETWORK_AUTH_REQUIRED")

/* The whole status line, "HTTP/1.1 200 OK\r\n"; an unlisted code from 100 to
 * 599 keeps its number and has an empty phrase.  Lent for ever. */
struct str status_line(int status);

/* "Not Found"; for an unlisted code its class x00's phrase. */
struct str status_reason(int status);

/* "NOT_FOUND"; for an unlisted code its class x00's word. */
struct str status_word(int status);

/* Whether a response of this status may carry content (RFC 9110 6.4.1). */
static inline bool
status_has_content(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* X(identifier, name as it is sent) */
#define FIELDS(X)                                                              \
	X(HOST, "Host")                                                        \
	X(CONNECTION, "Connection")                                            \
	X(CONTENT_LENGTH, "Content-Length")                                    \
	X(TRANSFER_ENCODING, "Transfer-Encoding")                              \
	X(EXPECT, "Expect")                                                    \
	X(UPGRADE, "Upgrade")                                                  \
	X(ACCEPT, "Accept")                                                    \
	X(ACCEPT_ENCODING, "Accept-Encoding")                                  \
	X(AUTHORIZATION, "Authorization")                                      \
	X(CONTENT_TYPE, "Content-Type")                                        \
	X(COOKIE, "Cookie")                                                    \
	X(ORIGIN, "Origin")                                                    \
	X(REFERER, "Referer")                                                  \
	X(USER_AGENT, "User-Agent")                                            \
	X(RANGE, "Range")                                                      \
	X(IF_NONE_MATCH, "If-None-Match")                                      \
	X(IF_MODIFIED_SINCE, "If-Modified-Since")                              \
	X(X_REQUEST_ID, "X-Request-ID")                                        \
	X(TRACEPARENT, "traceparent")                                          \
	X(CORS_METHOD, "Access-Control-Request-Method")                        \
	X(CORS_HEADERS, "Access-Control-Request-Headers")

enum field_id {
	FIELD_OTHER,
#define X(id, name) FIELD_##id,
	FIELDS(X)
#undef X
	FIELD_COUNT
};

/* Which known field a name is, ASCII case ignored. */
enum field_id field_id_of(struct str name);
struct str field_name(enum field_id id);

/* Whether only the server may send it: what says where a message ends and what
 * becomes of the connection, and Date. */
bool field_is_reserved(struct str name);

/* Whether every byte is a tchar (RFC 9110 5.6.2) and there is at least one. */
bool is_token(struct str s);

/* Whether `s` can be sent as a field value: no CR, LF, NUL or other control
 * bytes but HTAB (RFC 9110 5.5). */
bool is_field_value(struct str s);

#endif
