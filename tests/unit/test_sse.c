/* SPDX-License-Identifier: MIT */
/*
 * Event streams: the text of events as a browser reads it, and the life of a
 * stream.
 */
#include "server/sse.h"

#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tests/unit/wire.h"

static const struct {
	const char *name;
	struct sse_event event;
	const char *text;
} formats[] = {
	{"one line", {.data = STR_INIT("a")}, "data: a\n\n"},
	{"no data is an event all the same", {.data = STR_INIT("")},
	    "data: \n\n"},
	{"LF", {.data = STR_INIT("a\nb")}, "data: a\ndata: b\n\n"},
	{"CR", {.data = STR_INIT("a\rb")}, "data: a\ndata: b\n\n"},
	{"CRLF is one end", {.data = STR_INIT("a\r\nb")},
	    "data: a\ndata: b\n\n"},
	{"LF CR are two", {.data = STR_INIT("a\n\rb")},
	    "data: a\ndata: \ndata: b\n\n"},
	{"an end at the end", {.data = STR_INIT("a\n")},
	    "data: a\ndata: \n\n"},
	{"CRLF at the end", {.data = STR_INIT("a\r\n")},
	    "data: a\ndata: \n\n"},
	{"an end in front", {.data = STR_INIT("\na")},
	    "data: \ndata: a\n\n"},
	{"a client takes away one blank", {.data = STR_INIT(" a")},
	    "data:  a\n\n"},
	{"what looks like a field is data",
	    {.data = STR_INIT("a\n\nid: 7\nevent: x")},
	    "data: a\ndata: \ndata: id: 7\ndata: event: x\n\n"},
	{"a colon in front", {.data = STR_INIT(":a")}, "data: :a\n\n"},
	{"all fields",
	    {.id = STR_INIT("5:1"), .name = STR_INIT("join"),
		.data = STR_INIT("x"), .retry_ms = 1500},
	    "retry: 1500\nid: 5:1\nevent: join\ndata: x\n\n"},
	{"an empty id unsets it", {.id = STR_INIT(""), .data = STR_INIT("x")},
	    "id: \ndata: x\n\n"},
	{"an id with LF", {.id = STR_INIT("1\ndata: y"),
	    .data = STR_INIT("x")}, "data: x\n\n"},
	{"an id with CR", {.id = STR_INIT("1\rdata: y"),
	    .data = STR_INIT("x")}, "data: x\n\n"},
	{"an id with NUL", {.id = STR_INIT("1\0" "2"),
	    .data = STR_INIT("x")}, "data: x\n\n"},
	{"a name with LF", {.name = STR_INIT("a\n\ndata: y"),
	    .data = STR_INIT("x")}, "data: x\n\n"},
	{"a name with CR", {.name = STR_INIT("a\r"), .data = STR_INIT("x")},
	    "data: x\n\n"},
};

static void
test_events_have_their_text(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < UNIT_COUNT(formats); i++) {
		buf_clear(&b);
		sse_format(&b, &formats[i].event);
		unit_check_str(buf_str(&b), str_of(formats[i].text),
		    formats[i].name);
	}
	buf_done(&b);
}

/* Data with every byte, but CR: read as a client does it is what it was. */
static void
test_data_comes_back_as_it_was(void **state)
{
	struct str rest, line;
	struct buf text, back;
	char data[1024];
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 % 256 == '\r' ? '\n' : i * 7 % 256);
	buf_init(&text, 0);
	buf_init(&back, 0);
	sse_format(&text, &(struct sse_event){
	    .data = str_from(data, sizeof(data))});
	rest = str_from(text.p, text.len - 2);
	while (str_cut(&rest, '\n', &line)) {
		assert_true(str_has_prefix(line, STR("data: ")));
		if (back.len > 0 || line.p != text.p)
			buf_add_byte(&back, '\n');
		buf_add(&back, str_from(line.p + 6, line.len - 6));
	}
	assert_int_equal(back.len, sizeof(data));
	assert_memory_equal(back.p, data, sizeof(data));
	buf_done(&text);
	buf_done(&back);
}

#define STREAM(sse)                                                            \
	"{\"sse\": {" sse "}, \"timeouts\": {\"drain\": \"2s\"},"              \
	" \"middleware\": [{\"use\": \"compress\"}],"                          \
	" \"routes\": [{\"path\": \"/s\","                                     \
	" \"handler\": \"system_stream\", \"interval\": \"1h\"}]}"

#define ASK                                                                    \
	"GET /s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n"

static void
test_the_head_is_a_streams(void **state)
{
	struct loopback *lo = loopback_open(STREAM("\"retry\": \"3s\""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR(ASK "Last-Event-ID: 7\r\n\r\n"));
	wire_expect(&w, "}}\n\n");
	assert_int_equal(wire_count(&w, "HTTP/1.1 200 OK\r\n"), 1);
	assert_int_equal(
	    wire_count(&w, "\r\nContent-Type: text/event-stream\r\n"), 1);
	assert_int_equal(wire_count(&w, "\r\nCache-Control: no-cache\r\n"), 1);
	assert_int_equal(wire_count(&w, "\r\nX-Accel-Buffering: no\r\n"), 1);
	assert_int_equal(wire_count(&w, "\r\nConnection: close\r\n"), 1);
	assert_int_equal(wire_count(&w, "Content-Encoding"), 0);
	assert_int_equal(wire_count(&w, "Transfer-Encoding"), 0);
	assert_int_equal(wire_count(&w, "\r\n\r\nretry: 3000\n\nid: 8\n"), 1);
	assert_int_equal(lo->stats.sse_active, 1);
	assert_int_equal(lo->stats.connections_active, 0);
	wire_close(&w);
	loopback_wait_empty(lo);
	assert_int_equal(lo->stats.sse_active, 0);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

static void
test_the_last_id_may_be_in_the_query(void **state)
{
	struct loopback *lo = loopback_open(STREAM(""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("GET /s?a=b&last_event_id=41 HTTP/1.1\r\n"
	    "Host: x\r\n\r\n"));
	wire_expect(&w, "\nid: 42\n");
	wire_close(&w);
	loopback_close(lo);
}

static void
test_silence_is_filled_with_comments(void **state)
{
	struct loopback *lo = loopback_open(STREAM("\"heartbeat\": \"100ms\""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR(ASK "\r\n"));
	wire_expect(&w, "}}\n\n:\n\n:\n\n");
	wire_close(&w);
	loopback_close(lo);
}

static void
test_a_life_ends(void **state)
{
	struct loopback *lo = loopback_open(STREAM("\"lifetime\": \"200ms\""));
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR(ASK "\r\n"));
	wire_expect_end(&w);
	/* When to come back: at once, and at the end again. */
	assert_int_equal(wire_count(&w, "retry: "), 2);
	wire_close(&w);
	loopback_wait_empty(lo);
	loopback_close(lo);
}

static void
test_a_drain_sends_clients_away(void **state)
{
	struct loopback *lo = loopback_open(STREAM("\"retry\": \"1s\""));
	struct wire w[3];
	size_t i;

	for (i = 0; i < UNIT_COUNT(w); i++) {
		wire_open(lo, &w[i]);
		wire_send(&w[i], STR(ASK "\r\n"));
		wire_expect(&w[i], "}}\n\n");
	}
	server_drain(lo->srv);
	for (i = 0; i < UNIT_COUNT(w); i++) {
		const char *again;
		long ms;

		wire_expect_end(&w[i]);
		again = strstr(w[i].text.p, "}}\n\nretry: ");
		assert_non_null(again);
		ms = strtol(again + 11, NULL, 10);
		assert_in_range(ms, 1000, 2000);
		wire_close(&w[i]);
	}
	loopback_wait_empty(lo);
	loopback_close(lo);
}

static void
test_what_a_client_sends_is_dropped(void **state)
{
	struct loopback *lo = loopback_open(STREAM(""));
	char junk[4096];
	struct wire w;
	size_t sent = 0;

	memset(junk, 'x', sizeof(junk));
	wire_open(lo, &w);
	wire_send(&w, STR(ASK "\r\n"));
	wire_expect(&w, "}}\n\n");
	wire_send(&w, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
	loopback_settle(lo);
	assert_int_equal(lo->stats.sse_active, 1);
	assert_int_equal(lo->stats.requests, 1);
	/* But not for ever. */
	while (lo->stats.sse_active > 0 && sent < 1 << 20)
		sent += wire_push(&w, str_from(junk, sizeof(junk)));
	assert_true(sent < 1 << 17);
	wire_close(&w);
	loopback_close(lo);
}

static void
test_only_a_get_is_a_stream(void **state)
{
	static const struct exchange cases[] = {
		{"HEAD has its fields", "HEAD /s HTTP/1.0", 200,
		    {"Content-Type: text/event-stream"}, .body = ""},
		{"POST isn't there", "POST /s HTTP/1.0", 405,
		    {"Allow: GET, HEAD, OPTIONS"}, .body = NULL},
	};
	struct loopback *lo = loopback_open(STREAM(""));

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		exchange_run(lo, &cases[i]);
	loopback_check_quiet(lo);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_have_their_text),
		cmocka_unit_test(test_data_comes_back_as_it_was),
		cmocka_unit_test(test_the_head_is_a_streams),
		cmocka_unit_test(test_the_last_id_may_be_in_the_query),
		cmocka_unit_test(test_silence_is_filled_with_comments),
		cmocka_unit_test(test_a_life_ends),
		cmocka_unit_test(test_a_drain_sends_clients_away),
		cmocka_unit_test(test_what_a_client_sends_is_dropped),
		cmocka_unit_test(test_only_a_get_is_a_stream),
	};

	return UNIT_RUN(tests);
}
