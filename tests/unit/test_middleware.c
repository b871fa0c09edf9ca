/* SPDX-License-Identifier: MIT */
/*
 * Proves the middleware, each through the whole server.
 *
 * Context: a loopback.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <zlib.h>

#include "tests/unit/loopback.h"
#include "tests/unit/unit.h"

#define ROUTES                                                                 \
	"\"routes\": [{\"path\": \"/\", \"handler\": \"respond\","             \
	"\"body\": \"root\"},"                                                 \
	"{\"path\": \"/echo\", \"handler\": \"echo\"}]"
#define WITH(middleware)                                                       \
	"{\"middleware\": [" middleware "], " ROUTES "}"

static void
exchanges_run(const char *config, const struct exchange *x, size_t count)
{
	struct loopback *lo = loopback_open(config);

	for (size_t i = 0; i < count; i++)
		exchange_run(lo, &x[i]);
	loopback_close(lo);
}

#define PREFLIGHT(origin)                                                      \
	"OPTIONS / HTTP/1.0\r\nOrigin: " origin                                \
	"\r\nAccess-Control-Request-Method: PUT"                               \
	"\r\nAccess-Control-Request-Headers: x-one"
#define PREFLIGHT_VARY                                                         \
	"Vary: Origin, Access-Control-Request-Method, "                        \
	"Access-Control-Request-Headers"

static void
test_cors_list(void **state)
{
	static const struct exchange x[] = {
		{"a preflight is answered", PREFLIGHT("https://a.example"), 204,
		    {"Access-Control-Allow-Origin: https://a.example",
		    "Access-Control-Allow-Methods: GET, PUT",
		    "Access-Control-Allow-Headers: X-One, X-Two",
		    "Access-Control-Allow-Credentials: true",
		    "Access-Control-Max-Age: 60", PREFLIGHT_VARY}, {0}, ""},
		{"of another origin it isn't", PREFLIGHT("https://b.example"),
		    403, {PREFLIGHT_VARY}, {"Access-Control-"}, NULL},
		{"a request of the origin",
		    "GET / HTTP/1.0\r\nOrigin: https://a.example", 200,
		    {"Access-Control-Allow-Origin: https://a.example",
		    "Access-Control-Allow-Credentials: true",
		    "Access-Control-Expose-Headers: X-Shown", "Vary: Origin"},
		    {"Access-Control-Allow-Methods:"}, "root"},
		{"its errors can be read too",
		    "GET /nothing HTTP/1.0\r\nOrigin: https://a.example", 404,
		    {"Access-Control-Allow-Origin: https://a.example"}, {0},
		    NULL},
		{"a request of another origin goes on",
		    "GET / HTTP/1.0\r\nOrigin: https://b.example", 200,
		    {"Vary: Origin"}, {"Access-Control-"}, "root"},
		{"as does one with a longer one",
		    "GET / HTTP/1.0\r\nOrigin: https://a.example.evil", 200,
		    {"Vary: Origin"}, {"Access-Control-"}, "root"},
		{"and one without", "GET / HTTP/1.0", 200, {"Vary: Origin"},
		    {"Access-Control-"}, "root"},
		{"OPTIONS without the request method is no preflight",
		    "OPTIONS / HTTP/1.0\r\nOrigin: https://a.example", 204,
		    {"Access-Control-Allow-Origin: https://a.example"},
		    {"Access-Control-Allow-Methods:"}, NULL},
	};

	exchanges_run(WITH("{\"use\": \"cors\", \"origins\": "
	    "[\"https://c.example:8443\", \"https://a.example\"],"
	    "\"methods\": [\"GET\", \"PUT\"],"
	    "\"headers\": [\"X-One\", \"X-Two\"],"
	    "\"expose\": [\"X-Shown\"], \"credentials\": true,"
	    "\"max_age\": \"60s\"}"), x, UNIT_COUNT(x));
}

static void
test_cors_any(void **state)
{
	static const struct exchange x[] = {
		{"a preflight", PREFLIGHT("https://a.example"), 204,
		    {"Access-Control-Allow-Origin: *",
		    "Access-Control-Allow-Methods: GET, POST",
		    "Access-Control-Allow-Headers: x-one"},
		    {"Access-Control-Allow-Credentials:"}, ""},
		{"a request", "GET / HTTP/1.0\r\nOrigin: null", 200,
		    {"Access-Control-Allow-Origin: *"}, {"Vary:"}, "root"},
	};

	exchanges_run(WITH("{\"use\": \"cors\", \"origins\": [\"*\"],"
	    "\"methods\": [\"GET\", \"POST\"], \"headers\": [\"*\"]}"), x,
	    UNIT_COUNT(x));
}

static bool
is_hex(struct str s, size_t len)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isxdigit((unsigned char)s.p[i]) ||
		    isupper((unsigned char)s.p[i]))
			return false;
	return s.len == len;
}

static void
test_request_id(void **state)
{
	static const struct {
		const char *name, *id;
		bool is_kept;
	} cases[] = {
		{"a plain one", "abc-123_X.:/+=", true},
		{"one character", "a", true},
		{"a space", "a b", false},
		{"a quote", "a\"b", false},
		{"nothing", "", false},
		{"a comma", "a,b", false},
	};
	struct loopback *lo = loopback_open(WITH("{\"use\": \"request_id\"}"));
	struct reply reply;
	char request[512];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str id;

		snprintf(request, sizeof(request), "GET / HTTP/1.0\r\n"
		    "x-request-id: %s\r\n\r\n", cases[i].id);
		loopback_ask(lo, request, &reply);
		id = reply_field(&reply, "X-Request-ID");
		unit_check(cases[i].is_kept ? str_eq(id, str_of(cases[i].id))
		    : is_hex(id, 32), cases[i].name);
		reply_done(&reply);
	}
	loopback_close(lo);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void
test_traceparent(void **state)
{
	static const struct {
		const char *sent;
		bool is_continued, is_sampled;
	} cases[] = {
		{"00-" TRACE "-" PARENT "-01", true, true},
		{"00-" TRACE "-" PARENT "-00", true, false},
		{"00-" TRACE "-" PARENT "-0b", true, true},
		{"cc-" TRACE "-" PARENT "-01", true, true},
		{"cc-" TRACE "-" PARENT "-01-more", true, true},
		{"cc-" TRACE "-" PARENT "-01more", false, false},
		{"00-" TRACE "-" PARENT "-01-more", false, false},
		{"ff-" TRACE "-" PARENT "-01", false, false},
		{"00-00000000000000000000000000000000-" PARENT "-01", false,
		    false},
		{"00-" TRACE "-0000000000000000-01", false, false},
		{"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01", false,
		    false},
		{"00-" TRACE "-" PARENT "-0", false, false},
		{"00-" TRACE "_" PARENT "-01", false, false},
		{"", false, false},
	};
	struct loopback *lo = loopback_open(WITH("{\"use\": \"request_id\"}"));
	struct reply reply;
	char request[512];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str t;

		snprintf(request, sizeof(request), "GET / HTTP/1.0\r\n"
		    "traceparent: %s\r\n\r\n", cases[i].sent);
		loopback_ask(lo, request, &reply);
		t = reply_field(&reply, "traceparent");
		unit_check(t.len == 55 && memcmp(t.p, "00-", 3) == 0 &&
		    is_hex(str_from(t.p + 3, 32), 32) &&
		    is_hex(str_from(t.p + 36, 16), 16), cases[i].sent);
		unit_check((memcmp(t.p + 3, TRACE, 32) == 0) ==
		    cases[i].is_continued, cases[i].sent);
		unit_check(memcmp(t.p + 36, PARENT, 16) != 0, cases[i].sent);
		unit_check((t.p[54] == '1') == cases[i].is_sampled,
		    cases[i].sent);
		reply_done(&reply);
	}
	loopback_close(lo);
}

static void
test_fields(void **state)
{
	static const struct exchange x[] = {
		{"security headers on a page", "GET / HTTP/1.0", 200,
		    {"X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
		    "X-Set: new", "X-Add: one", "X-Add: two"},
		    {"Referrer-Policy:", "X-Set: old"}, "root"},
		{"and on an error", "GET /nothing HTTP/1.0", 404,
		    {"X-Content-Type-Options: nosniff", "X-Set: new"}, {0},
		    NULL},
	};

	exchanges_run(WITH(
	    "{\"use\": \"headers\", \"set\": {\"X-Frame-Options\": \"DENY\","
	    "\"X-Set\": \"new\"}, \"add\": {\"X-Add\": \"two\"},"
	    "\"remove\": [\"referrer-policy\"]},"
	    "{\"use\": \"headers\", \"add\": {\"X-Add\": \"one\","
	    "\"X-Set\": \"old\"}},"
	    "{\"use\": \"security_headers\", \"frame_options\": \"SAMEORIGIN\""
	    "}"), x, 1);
	exchanges_run(WITH("{\"use\": \"headers\", \"set\": {\"X-Set\": "
	    "\"new\"}}, {\"use\": \"security_headers\"}"), x + 1, 1);
}

static void
test_response_time(void **state)
{
	struct loopback *lo = loopback_open(
	    WITH("{\"use\": \"response_time\"}"));
	struct reply reply;
	struct str time;
	size_t point;

	loopback_ask(lo, "GET / HTTP/1.0\r\n\r\n", &reply);
	time = reply_field(&reply, "X-Response-Time");
	point = str_find(time, '.');
	assert_true(point > 0 && time.len == point + 6);
	unit_check_str(str_from(time.p + time.len - 2, 2), STR("ms"), "unit");
	reply_done(&reply);
	loopback_close(lo);
}

static void
test_ip_filter(void **state)
{
	static const struct {
		const char *peer;
		int status;
	} cases[] = {
		{"::ffff:10.1.2.3", 200}, {"::ffff:10.1.2.4", 403},
		{"::ffff:11.0.0.1", 403}, {"fd00::1", 200},
		{"fdff::1", 200}, {"fe00::1", 403}, {"2001:db8::1", 200},
		{"2001:db8::2", 403}, {"::ffff:192.168.5.255", 200},
		{"::ffff:192.168.6.0", 403}, {"::10.1.2.3", 403},
	};
	struct loopback *lo = loopback_open(WITH("{\"use\": \"ip_filter\","
	    "\"allow\": [\"10.0.0.0/8\", \"fd00::/8\", \"2001:db8::1\","
	    "\"192.168.4.0/23\"], \"deny\": [\"10.1.2.4\"]}"));

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		inet_pton(AF_INET6, cases[i].peer, &lo->peer.sin6_addr);
		exchange_run(lo, &(struct exchange){cases[i].peer,
		    "GET / HTTP/1.0", cases[i].status, {0}, {0}, NULL});
	}
	loopback_close(lo);
}

#define REPEAT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const char compress_config[] =
    "{\"middleware\": [{\"use\": \"compress\", \"min_bytes\": 50,"
    "\"types\": [\"text/*\", \"application/json\"]}], \"routes\": ["
    "{\"path\": \"/text\", \"handler\": \"respond\", \"body\": \"" REPEAT
    "\"},"
    "{\"path\": \"/short\", \"handler\": \"respond\", \"body\": \"short\"},"
    "{\"path\": \"/image\", \"handler\": \"respond\", \"headers\":"
    "{\"Content-Type\": \"image/png\"}, \"body\": \"" REPEAT "\"},"
    "{\"path\": \"/keep\", \"handler\": \"respond\", \"headers\":"
    "{\"Cache-Control\": \"public, no-transform\"}, \"body\": \"" REPEAT
    "\"},"
    "{\"path\": \"/br\", \"handler\": \"respond\", \"headers\":"
    "{\"Content-Encoding\": \"br\"}, \"body\": \"" REPEAT "\"},"
    "{\"path\": \"/tag\", \"handler\": \"respond\", \"headers\":"
    "{\"ETag\": \"\\\"x\\\"\"}, \"body\": \"" REPEAT "\"},"
    "{\"path\": \"/echo\", \"handler\": \"echo\"}]}";

static void
test_compress_when(void **state)
{
	static const struct exchange x[] = {
		{"without Accept-Encoding", "GET /text HTTP/1.0", 200,
		    {"Vary: Accept-Encoding", "Content-Length: 62"},
		    {"Content-Encoding:"}, REPEAT},
		{"with gzip", "GET /text HTTP/1.0\r\nAccept-Encoding: br, GZIP",
		    200, {"Vary: Accept-Encoding", "Content-Encoding: gzip"},
		    {"Content-Length: 62"}, NULL},
		{"HEAD says the same",
		    "HEAD /text HTTP/1.0\r\nAccept-Encoding: gzip", 200,
		    {"Vary: Accept-Encoding", "Content-Encoding: gzip"},
		    {"Content-Length: 62"}, ""},
		{"with anything", "GET /text HTTP/1.0\r\nAccept-Encoding: *",
		    200, {"Content-Encoding: gzip"}, {0}, NULL},
		{"without gzip", "GET /text HTTP/1.0\r\n"
		    "Accept-Encoding: *, gzip;q=0", 200,
		    {"Vary: Accept-Encoding"}, {"Content-Encoding:"}, REPEAT},
		{"rather not", "GET /text HTTP/1.0\r\n"
		    "Accept-Encoding: gzip;q=0.5, identity;q=0.8", 200,
		    {"Vary: Accept-Encoding"}, {"Content-Encoding:"}, REPEAT},
		{"short", "GET /short HTTP/1.0\r\nAccept-Encoding: gzip", 200,
		    {0}, {"Vary:", "Content-Encoding:"}, "short"},
		{"another type", "GET /image HTTP/1.0\r\nAccept-Encoding: gzip",
		    200, {0}, {"Vary:", "Content-Encoding:"}, REPEAT},
		{"no-transform", "GET /keep HTTP/1.0\r\nAccept-Encoding: gzip",
		    200, {0}, {"Vary:", "Content-Encoding:"}, REPEAT},
		{"encoded already", "GET /br HTTP/1.0\r\nAccept-Encoding: gzip",
		    200, {"Content-Encoding: br"}, {"Content-Encoding: gzip"},
		    REPEAT},
		{"a tag turns weak", "GET /tag HTTP/1.0\r\n"
		    "Accept-Encoding: gzip", 200, {"ETag: W/\"x\""}, {0}, NULL},
		{"and stays strong", "GET /tag HTTP/1.0", 200,
		    {"ETag: \"x\""}, {0}, REPEAT},
	};

	exchanges_run(compress_config, x, UNIT_COUNT(x));
}

static void
test_compress_what(void **state)
{
	static const char *const requests[] = {
		"GET /text HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n",
		"GET /text HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n",
		"POST /echo HTTP/1.0\r\nAccept-Encoding: gzip\r\n"
		"Content-Type: application/json\r\nContent-Length: 62\r\n\r\n"
		REPEAT,
	};
	struct loopback *lo = loopback_open(compress_config);
	struct reply reply;

	for (size_t i = 0; i < UNIT_COUNT(requests); i++) {
		char out[128];
		z_stream z = {.next_out = (Bytef *)out,
		    .avail_out = sizeof(out)};

		loopback_ask(lo, requests[i], &reply);
		unit_check_str(reply_field(&reply, "Content-Encoding"),
		    STR("gzip"), requests[i]);
		assert_true(reply.body.len < 62);
		assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
		memcpy(out + 64, reply.body.p, reply.body.len);
		z.next_in = (Bytef *)out + 64;
		z.avail_in = (uInt)reply.body.len;
		z.avail_out = 64;
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		unit_check_str(str_from(out, z.total_out), STR(REPEAT),
		    requests[i]);
		inflateEnd(&z);
		reply_done(&reply);
	}
	loopback_close(lo);
}

static void
test_timeout(void **state)
{
	static const struct exchange x[] = {
		{"past the route's own", "GET /late HTTP/1.0", 504, {0}, {0},
		    NULL},
		{"in time", "GET /soon HTTP/1.0", 200, {0}, {0}, "soon"},
	};

	exchanges_run("{\"routes\": ["
	    "{\"path\": \"/late\", \"handler\": \"respond\","
	    "\"delay\": \"10m\", \"middleware\": [{\"use\": \"timeout\","
	    "\"after\": \"100ms\", \"status\": 504}]},"
	    "{\"path\": \"/soon\", \"handler\": \"respond\", \"body\": \"soon\""
	    ",\"delay\": \"1ms\", \"middleware\": [{\"use\": \"timeout\","
	    "\"after\": \"10s\"}]}]}", x, UNIT_COUNT(x));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cors_list),
		cmocka_unit_test(test_cors_any),
		cmocka_unit_test(test_request_id),
		cmocka_unit_test(test_traceparent),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_response_time),
		cmocka_unit_test(test_ip_filter),
		cmocka_unit_test(test_compress_when),
		cmocka_unit_test(test_compress_what),
		cmocka_unit_test(test_timeout),
	};

	return UNIT_RUN(tests);
}
