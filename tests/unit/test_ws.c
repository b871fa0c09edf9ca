/* SPDX-License-Identifier: MIT */
/*
 * WebSockets on a whole server: the handshake, messages and control frames,
 * what closes them, deadlines, limits.
 *
 * Context: a loopback per test.
 */
#include "tests/unit/ws_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

/* "{" + settings + a route */
#define CONFIG(settings)                                                       \
	"{" settings "\"routes\": [{\"path\": \"/ws\","                        \
	" \"handler\": \"echo\", \"message_bytes\": \"100KiB\"}]}"

#define NORMAL "\x03\xe8"
#define TEXT(literal) WS_PART(WS_FIN | WS_TEXT, literal)
#define BINARY(literal) WS_PART(WS_FIN | WS_BINARY, literal)
#define BEGIN(literal) WS_PART(WS_TEXT, literal)
#define MORE(literal) WS_PART(WS_CONTINUATION, literal)
#define LAST(literal) WS_PART(WS_FIN | WS_CONTINUATION, literal)
#define PING(literal) WS_PART(WS_FIN | WS_PING, literal)
#define PONG(literal) WS_PART(WS_FIN | WS_PONG, literal)
#define CLOSE(literal) WS_PART(WS_FIN | WS_CLOSE, literal)

static void
test_handshake(void **state)
{
#define OTHER "GET /ws HTTP/1.1\r\nConnection: close, upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Upgrade: WebSocket\r\n"
	static const struct exchange cases[] = {
	    {"no upgrade: an ordinary request",
		"GET /ws HTTP/1.1\r\nConnection: close", 200, .body = NULL},
	    {"an upgrade to something else", OTHER "Upgrade: h2c", 200,
		.body = NULL},
	    {"an upgrade that Connection doesn't list",
		"GET /ws HTTP/1.1\r\nConnection: close\r\n"
		"Upgrade: websocket", 200, .body = NULL},
	    {"the same, by one who has a key",
		"GET /ws HTTP/1.1\r\nConnection: close\r\n" KEY VERSION
		"Upgrade: websocket", 400, .body = NULL},
	    {"no Upgrade, which a proxy has dropped", "GET /ws HTTP/1.1\r\n"
		"Connection: close\r\n" KEY "Sec-WebSocket-Version: 13", 400,
		.body = NULL},
	    {"HTTP/1.0", "GET /ws HTTP/1.0\r\nConnection: Upgrade\r\n"
		UPGRADE KEY "Sec-WebSocket-Version: 13", 400, .body = NULL},
	    {"POST, where an upgrade is an offer",
		"POST /ws HTTP/1.1\r\nConnection: close, upgrade\r\n" UPGRADE
		KEY VERSION "Content-Length: 0", 200, .body = NULL},
	    {"content", "GET /ws HTTP/1.1\r\nConnection: close, upgrade\r\n"
		UPGRADE KEY VERSION "Content-Length: 0", 400, .body = NULL},
	    {"no key", "GET /ws HTTP/1.1\r\nConnection: close, upgrade\r\n"
		UPGRADE "Sec-WebSocket-Version: 13", 400, .body = NULL},
	    {"a key of 15 bytes", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE VERSION
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA", 400, .body = NULL},
	    {"a key that is no base64", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE VERSION
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==", 400,
		.body = NULL},
	    {"two keys", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE VERSION KEY
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400,
		.body = NULL},
	    {"no version", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 426,
		.has = {"Sec-WebSocket-Version: 13", "Upgrade: websocket"}},
	    {"version 8", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE KEY
		"Sec-WebSocket-Version: 8", 426,
		.has = {"Sec-WebSocket-Version: 13"}},
	    {"extensions that are no list", "GET /ws HTTP/1.1\r\n"
		"Connection: close, upgrade\r\n" UPGRADE KEY VERSION
		"Sec-WebSocket-Extensions: ;=", 400, .body = NULL},
	};
	struct loopback *lo = loopback_open(CONFIG());

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		exchange_run(lo, &cases[i]);
	assert_int_equal(lo->stats.websockets, 0);
	assert_int_equal(lo->stats.websockets_refused, 11);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_accept(void **state)
{
	struct loopback *lo = loopback_open(CONFIG());
	struct wire w;

	wire_open(lo, &w);
	/* Its first message comes with it. */
	wire_send(&w, STR(WS_WIRE_ASK "\r\n\x81\x82\0\0\0\0hi"));
	wire_expect(&w, "hi");
	assert_int_equal(wire_count(&w, "HTTP/1.1 101 Switching Protocols\r\n"),
	    1);
	assert_int_equal(wire_count(&w, "\r\nUpgrade: websocket\r\n"), 1);
	assert_int_equal(wire_count(&w, "\r\nConnection: Upgrade\r\n"), 1);
	assert_int_equal(wire_count(&w,
	    "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), 1);
	assert_int_equal(wire_count(&w, "Sec-WebSocket-Extensions"), 0);
	assert_int_equal(wire_count(&w, "Sec-WebSocket-Protocol"), 0);
	assert_int_equal(wire_count(&w, "Content-Length"), 0);
	assert_int_equal(wire_count(&w, "\r\n\r\n\x81\x02hi"), 1);
	assert_int_equal(lo->stats.websockets, 1);
	assert_int_equal(lo->stats.websockets_active, 1);
	assert_int_equal(lo->stats.connections_active, 0);
	wire_close(&w);
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.websockets_active, 0);
	assert_int_equal(lo->stats.ws_closed_cut, 1);
	loopback_close(lo);
}

/* Of which pages a server takes what; in "origins" by the table of echo. */
static void
test_origin(void **state)
{
	static const struct {
		const char *name, *origins, *host, *origin;
		bool is_allowed;
	} cases[] = {
	    {"none is no browser", "", "x", NULL, true},
	    {"the same host", "", "x", "http://x", true},
	    {"the same host behind TLS", "", "x", "https://x", true},
	    {"in capitals", "", "X", "http://x", true},
	    {"a port that is the scheme's", "", "x:80", "http://x", true},
	    {"the same port", "", "x:8080", "http://x:8080", true},
	    {"another port", "", "x:8080", "http://x", false},
	    {"TLS's port for another scheme", "", "x:443", "http://x", false},
	    {"another host", "", "x", "http://y", false},
	    {"a longer host", "", "x", "http://x.evil", false},
	    {"a host inside a host", "", "x", "http://evil.x", false},
	    {"nobody's", "", "x", "null", false},
	    {"another scheme", "", "x", "file://x", false},
	    {"an address", "", "[::1]:80", "http://[::1]", true},
	    {"an address without its last group", "", "[::1]",
		"http://[::", false},
	    {"any", "\"*\"", "x", "http://y", true},
	    {"a listed one", "\"https://a.b\"", "x", "https://a.b", true},
	    {"listed with another scheme", "\"https://a.b\"", "x",
		"http://a.b", false},
	    {"the host's own, where others are listed", "\"https://a.b\"", "x",
		"http://x", false},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char text[512];
		struct loopback *lo;
		struct reply reply;

		snprintf(text, sizeof(text), "{\"routes\": [{\"path\": \"/ws\","
		    "\"handler\": \"echo\", \"origins\": [%s]}]}",
		    cases[i].origins);
		lo = loopback_open(text);
		snprintf(text, sizeof(text), "GET /ws HTTP/1.1\r\nHost: %s\r\n"
		    "Connection: close, upgrade\r\n" UPGRADE KEY VERSION
		    "%s%s%s\r\n\x88\x80????", cases[i].host,
		    cases[i].origin != NULL ? "Origin: " : "",
		    cases[i].origin != NULL ? cases[i].origin : "",
		    cases[i].origin != NULL ? "\r\n" : "");
		loopback_ask(lo, text, &reply);
		if (reply.status != (cases[i].is_allowed ? 101 : 403))
			fail_msg("%s: %d", cases[i].name, reply.status);
		reply_done(&reply);
		loopback_close(lo);
	}
}

static const struct {
	const char *name;
	struct ws_part in[WS_PARTS], out[WS_PARTS];
} exchanges[] = {
    {"a text", {TEXT("hello"), CLOSE(NORMAL)},
	{TEXT("hello"), CLOSE(NORMAL)}},
    {"bytes", {BINARY("\0\xff"), CLOSE(NORMAL)},
	{BINARY("\0\xff"), CLOSE(NORMAL)}},
    {"nothing", {TEXT(""), CLOSE(NORMAL)},
	{TEXT(""), CLOSE(NORMAL)}},
    {"fragments, a ping in between", {BEGIN("a"),
	MORE("b"), PING("now"),
	MORE(""), LAST("c"),
	CLOSE(NORMAL)},
	{PONG("now"), TEXT("abc"),
	CLOSE(NORMAL)}},
    {"a character cut by a ping", {BEGIN("\xce"),
	PING(""), LAST("\xba"),
	CLOSE(NORMAL)},
	{PONG(""), TEXT("\xce\xba"),
	CLOSE(NORMAL)}},
    {"each ping its pong", {PING("1"), PING("2"),
	PONG("unasked"), PING("3"),
	CLOSE(NORMAL)},
	{PONG("1"), PONG("2"),
	PONG("3"), CLOSE(NORMAL)}},
    {"a close without a code", {CLOSE("")},
	{CLOSE("")}},
    {"a close with code and reason", {CLOSE("\x0f\xa0" "bye")},
	{CLOSE("\x0f\xa0")}},
    {"nothing counts behind a close", {CLOSE(NORMAL),
	TEXT("late"), PING("late")},
	{CLOSE(NORMAL)}},
    {"a message that has no end yet", {BEGIN("a"),
	CLOSE(NORMAL)}, {CLOSE(NORMAL)}},
    {"code 1005", {CLOSE("\x03\xed")},
	{CLOSE("\x03\xea" "close code that can't be sent")}},
    {"half a code", {CLOSE("\x03")},
	{CLOSE("\x03\xea" "close frame of one byte")}},
    {"a reason that is no text", {CLOSE(NORMAL "\xff")},
	{CLOSE("\x03\xef" "close reason isn't UTF-8")}},
    {"a reserved bit", {WS_PART(WS_FIN | 0x20 | WS_TEXT, "a")},
	{CLOSE("\x03\xea" "reserved bit set")}},
    {"compressed, which nobody has agreed on", {WS_PART(WS_FIN | 0x40 | WS_TEXT,
	"a")}, {CLOSE("\x03\xea" "reserved bit set")}},
    {"what continues nothing", {LAST("a")},
	{CLOSE("\x03\xea" "continuation of nothing")}},
    {"a text that isn't one", {TEXT("ok"),
	TEXT("\xed\xa0\x80")}, {TEXT("ok"),
	CLOSE("\x03\xef" "text isn't UTF-8")}},
};

static void
test_exchanges(void **state)
{
	struct loopback *lo = loopback_open(CONFIG());

	for (size_t i = 0; i < 2 * UNIT_COUNT(exchanges); i++) {
		size_t at = i / 2;
		struct buf in;
		struct wire w;

		buf_init(&in, 0);
		ws_wire_put_parts(&in, exchanges[at].in, true);
		ws_wire_open(lo, &w, NULL);
		/* At once, and byte by byte. */
		for (size_t k = 0; k < in.len && i % 2 == 1; k++)
			wire_push(&w, str_from(in.p + k, 1));
		if (i % 2 == 0)
			wire_push(&w, buf_str(&in));
		ws_wire_check_all(&w, exchanges[at].out, exchanges[at].name);
		buf_done(&in);
		wire_close(&w);
	}
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.websockets_active, 0);
	assert_int_equal(lo->stats.ws_closed_normal, 18);
	assert_int_equal(lo->stats.ws_closed_protocol, 10);
	assert_int_equal(lo->stats.ws_closed_data, 4);
	assert_int_equal(lo->stats.ws_closed_other, 2);
	assert_int_equal(lo->stats.ws_closed_cut, 0);
	assert_int_equal(lo->stats.ws_messages_in, 12);
	assert_int_equal(lo->stats.ws_messages_out, 12);
	loopback_close(lo);
}

static void
test_unmasked(void **state)
{
	struct loopback *lo = loopback_open(CONFIG());
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	wire_push(&w, STR("\x81\x02hi"));
	ws_wire_check_all(&w,
	    WS_LIST(CLOSE("\x03\xea" "frame not masked")),
	    "no mask");
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* Each length around the forms of a header and what a read holds, whole and in
 * fragments; one byte more than the limit. */
static void
test_sizes(void **state)
{
	static const size_t sizes[] = {
	    125, 126, 65535, 65536, 70000, 102399, 102400};
	struct loopback *lo = loopback_open(CONFIG());
	char *data = malloc(102401);
	struct wire w;

	assert_non_null(data);
	memset(data, 'x', 102401);
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		size_t len = sizes[i], half = len / 2, got = 0;
		struct str text;

		ws_wire_open(lo, &w, NULL);
		ws_wire_send(&w, WS_FIN | WS_TEXT, str_from(data, len));
		ws_wire_send(&w, WS_BINARY, str_from(data, half));
		ws_wire_send(&w, WS_FIN | WS_CONTINUATION,
		    str_from(data, len - half));
		ws_wire_send(&w, WS_FIN | WS_CLOSE, STR(NORMAL));
		wire_expect_end(&w);
		/* Fragments of ours are of 64 KiB. */
		text = buf_str(&w.text);
		for (size_t k = 0; k < text.len; k++)
			got += text.p[k] == 'x';
		if (got != 2 * len)
			fail_msg("of %zu came %zu", 2 * len, got);
		wire_close(&w);
	}
	ws_wire_open(lo, &w, NULL);
	ws_wire_send(&w, WS_TEXT, str_from(data, 50000));
	ws_wire_send(&w, WS_CONTINUATION, str_from(data, 50000));
	ws_wire_send(&w, WS_CONTINUATION, str_from(data, 2400));
	loopback_settle(lo);
	assert_int_equal(lo->stats.websockets_active, 1);
	/* Its header is enough. */
	wire_send(&w, STR("\x00\x81"));
	wire_send(&w, STR("\0\0\0\0"));
	ws_wire_check_all(&w,
	    WS_LIST(CLOSE("\x03\xf1" "message too long")),
	    "one byte too many");
	wire_close(&w);
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.ws_closed_too_big, 1);
	free(data);
	loopback_close(lo);
}

static void
test_ping(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"websocket\": {\"ping\": \"60ms\", \"pong\": \"60s\"},"));
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	for (int i = 0; i < 3; i++) {
		wire_expect(&w, "\x89");
		unit_check_str(buf_str(&w.text), STR("\x89\0"), "a ping");
		buf_clear(&w.text);
		ws_wire_send(&w, WS_FIN | WS_PONG, STR(""));
	}
	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR(NORMAL));
	wire_expect_end(&w);
	wire_close(&w);
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.ws_closed_normal, 1);
	loopback_close(lo);
}

static void
test_silence(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"websocket\": {\"ping\": \"60ms\", \"pong\": \"60ms\"},"));
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	wire_expect_end(&w);
	unit_check_str(buf_str(&w.text), STR("\x89\0"), "one ping");
	wire_close(&w);
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.ws_closed_silent, 1);
	assert_int_equal(lo->stats.ws_closed_cut, 0);
	loopback_close(lo);
}

static void
test_lifetime(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"websocket\": {\"lifetime\": \"60ms\"},"));
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	wire_expect(&w, "come back");
	assert_int_equal(lo->stats.websockets_active, 1);
	/* What crosses our close frame is dropped. */
	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("late"));
	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR("\x03\xf4"));
	ws_wire_check_all(&w,
	    WS_LIST(CLOSE("\x03\xf4" "its time is over: come back")),
	    "1012");
	wire_close(&w);
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.ws_closed_other, 1);
	assert_int_equal(lo->stats.ws_messages_in, 0);
	loopback_close(lo);
}

static void
test_no_answer_to_close(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"timeouts\": {\"write\": \"100ms\"},"
	    "\"websocket\": {\"lifetime\": \"60ms\"},"));
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	wire_expect(&w, "come back");
	wire_expect_end(&w);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

/* A client that sends and never reads: is cut, and doesn't fill the memory. */
static void
test_never_reads(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"timeouts\": {\"write\": \"200ms\"},"
	    "\"limits\": {\"write_queue_bytes\": \"64KiB\"},"));
	char *data = calloc(1, 20000);
	struct buf in;
	struct wire w;

	assert_non_null(data);
	buf_init(&in, 0);
	for (int i = 0; i < 100; i++)
		ws_wire_put(&in, WS_FIN | WS_BINARY, str_from(data, 20000),
		    true);
	ws_wire_open_small(lo, &w);
	/* Isn't read from, once that much is queued. */
	assert_in_range(wire_push(&w, buf_str(&in)), 40000, in.len - 1);
	assert_in_range(lo->stats.ws_messages_in, 4, 40);
	loopback_wait_empty(lo);
	assert_int_equal(lo->stats.timeouts_write, 1);
	assert_int_equal(lo->stats.ws_closed_cut, 1);
	wire_close(&w);
	loopback_check_quiet(lo);
	buf_done(&in);
	free(data);
	loopback_close(lo);
}

/* One that reads late gets all of it. */
static void
test_reads_late(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"limits\": {\"write_queue_bytes\": \"64KiB\"},"));
	struct buf in, want;
	char data[9999];
	size_t at = 0;
	struct wire w;

	buf_init(&in, 0);
	buf_init(&want, 0);
	for (int i = 0; i < 200; i++) {
		memset(data, 'a' + i % 26, sizeof(data));
		ws_wire_put(&in, WS_FIN | WS_TEXT, str_from(data, sizeof(data)),
		    true);
		ws_wire_put(&want, WS_FIN | WS_TEXT,
		    str_from(data, sizeof(data)), false);
	}
	ws_wire_put(&in, WS_FIN | WS_CLOSE, STR(NORMAL), true);
	ws_wire_put(&want, WS_FIN | WS_CLOSE, STR(NORMAL), false);
	ws_wire_open_small(lo, &w);
	while (at < in.len) {
		ssize_t n;
		char piece[65536];

		at += wire_push(&w, str_from(in.p + at, in.len - at));
		while ((n = recv(w.fd, piece, sizeof(piece), 0)) > 0)
			buf_add(&w.text, str_from(piece, (size_t)n));
	}
	wire_expect_end(&w);
	if (!str_eq(buf_str(&w.text), buf_str(&want)))
		fail_msg("%zu bytes of %zu", w.text.len, want.len);
	wire_close(&w);
	loopback_check_quiet(lo);
	buf_done(&in);
	buf_done(&want);
	loopback_close(lo);
}

/* Pings of a client that doesn't read are owed one pong, not all. */
static void
test_ping_flood(void **state)
{
	struct loopback *lo = loopback_open(CONFIG());
	char content[125];
	struct buf in;
	struct wire w;

	buf_init(&in, 0);
	memset(content, '.', sizeof(content));
	for (int i = 0; i < 5000; i++)
		ws_wire_put(&in, WS_FIN | WS_PING, str_from(content,
		    sizeof(content)), true);
	ws_wire_put(&in, WS_FIN | WS_PING, STR("the last"), true);
	ws_wire_open_small(lo, &w);
	wire_send(&w, buf_str(&in));
	/* All of that has been read. */
	wire_expect(&w, "\x8a\x08the last");
	assert_in_range(w.text.len, 16384, 200000);
	ws_wire_send(&w, WS_FIN | WS_PING, STR("again"));
	wire_expect(&w, "\x8a\x05" "again");
	buf_done(&in);
	wire_close(&w);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_drain(void **state)
{
	struct loopback *lo = loopback_open(
	    CONFIG("\"timeouts\": {\"drain\": \"1s\"},"));
	struct wire w[20];

	for (size_t i = 0; i < UNIT_COUNT(w); i++)
		ws_wire_open(lo, &w[i], NULL);
	server_drain(lo->srv);
	for (size_t i = 0; i < UNIT_COUNT(w); i++) {
		wire_expect(&w[i], "restarting");
		ws_wire_send(&w[i], WS_FIN | WS_CLOSE, STR("\x03\xf4"));
		ws_wire_check_all(&w[i],
		    WS_LIST(CLOSE("\x03\xf4" "the server is restarting")),
		    "1012");
		wire_close(&w[i]);
	}
	loopback_check_quiet(lo);
	assert_true(server_is_drained(lo->srv));
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake),
	    cmocka_unit_test(test_accept),
	    cmocka_unit_test(test_origin),
	    cmocka_unit_test(test_exchanges),
	    cmocka_unit_test(test_unmasked),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_ping),
	    cmocka_unit_test(test_silence),
	    cmocka_unit_test(test_lifetime),
	    cmocka_unit_test(test_no_answer_to_close),
	    cmocka_unit_test(test_never_reads),
	    cmocka_unit_test(test_reads_late),
	    cmocka_unit_test(test_ping_flood),
	    cmocka_unit_test(test_drain),
	};

	return UNIT_RUN(tests);
}
