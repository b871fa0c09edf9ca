/* SPDX-License-Identifier: MIT */
/*
 * WebSockets as what uses them sees them: what an app is told, and when; how it
 * pauses, sends and closes.
 *
 * Context: a loopback per test.
 */
#include "tests/unit/ws_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "server/handler.h"
#include "server/internal.h"
#include "server/ws.h"
#include "tests/unit/unit.h"

/* "{" + settings + a route */
#define CONFIG(settings)                                                       \
	"{" settings "\"routes\": [{\"path\": \"/ws\","                        \
	" \"handler\": \"echo\"}]}"

#define NORMAL "\x03\xe8"
#define CLOSE(literal) WS_PART(WS_FIN | WS_CLOSE, literal)

struct probe {
	unsigned opened, closed, drained, code;
	int sent[SESSION_GONE + 1];	/* by enum session_sent */
	struct buf text;		/* messages, then the close reason */
	struct ws *w;
};

static struct probe probe;
static struct config_strings probe_protocols;

static void
probe_on_open(struct ws *w)
{
	probe.opened++;
	probe.w = w;
	assert_true(ws_is_open(w));
	assert_ptr_equal(ws_state(w), &probe);
	assert_ptr_equal(ws_of_session(ws_session(w)), w);
}

/* What it is told is what it does. */
static void
probe_on_message(struct ws *w, struct str data, bool is_text)
{
	static char long_reason[300];

	buf_add(&probe.text, data);
	buf_add(&probe.text, STR(";"));
	if (str_eq(data, STR("pause"))) {
		session_pause(ws_session(w));
	} else if (str_eq(data, STR("close"))) {
		ws_close(w, 3001, STR("asked"));
		assert_false(ws_is_open(w));
		assert_int_equal(ws_send(w, WS_TEXT, STR("late")),
		    SESSION_GONE);
		ws_close(w, 3002, STR("twice"));
	} else if (str_eq(data, STR("long"))) {
		memset(long_reason, 'r', sizeof(long_reason));
		memcpy(long_reason + 122, "\xce\xba", 2);
		ws_close(w, 3001, str_from(long_reason, sizeof(long_reason)));
	} else if (str_eq(data, STR("expire"))) {
		ws_set_expiry(w, clock_now_real_ms() / 1000 - 1);
	} else if (str_eq(data, STR("fill"))) {
		static char kib[1024];

		for (int i = 0; i < 300; i++)
			probe.sent[ws_send(w, WS_BINARY,
			    str_from(kib, sizeof(kib)))]++;
	} else if (str_eq(data, STR("cut"))) {
		session_close(ws_session(w), "cut by the test");
		assert_int_equal(ws_send(w, WS_TEXT, STR("late")),
		    SESSION_GONE);
	} else if (str_eq(data, STR("protocol"))) {
		ws_send(w, WS_TEXT, ws_protocol(w));
	}
}

static void
probe_on_drain(struct ws *w)
{
	probe.drained++;
}

static void
probe_on_close(struct ws *w, unsigned code, struct str reason)
{
	assert_ptr_equal(ws_state(w), &probe);
	assert_non_null(ws_server(w));
	probe.closed++;
	probe.code = code;
	buf_add(&probe.text, reason);
}

static const struct ws_app probe_app = {
	.name = "probe",
	.open = probe_on_open,
	.message = probe_on_message,
	.drain = probe_on_drain,
	.close = probe_on_close,
};

static struct ws_options probe_options;

static int
probe_run(struct request *r, const void *state)
{
	return ws_accept(r, &probe_options, &probe, NULL);
}

/* Closes it before its handshake has left. */
static int
probe_run_closed(struct request *r, const void *state)
{
	struct ws *w;
	int res = ws_accept(r, &probe_options, &probe, &w);

	ws_close(w, 3007, STR("not you"));
	return res;
}

static const struct handler probe_handler = {
	.name = "probe", .teardown = free, .run = probe_run,
}, probe_closed_handler = {
	.name = "probe", .teardown = free, .run = probe_run_closed,
};

static struct loopback *
probe_open(const char *config_text, const struct handler *handler)
{
	struct loopback *lo = loopback_open(config_text);

	/* In the place of "echo". */
	lo->srv->service[SERVICE_PUBLIC]->route[0].handler = handler;
	memset(&probe, 0, sizeof(probe));
	buf_init(&probe.text, 0);
	probe_options = (struct ws_options){
		.app = &probe_app, .config = &lo->srv->config->websocket,
		.protocols = probe_protocols, .message_bytes = 1000,
		.queue_bytes = 65536,
	};
	return lo;
}

static void
probe_close(struct loopback *lo)
{
	loopback_check_quiet(lo);
	assert_int_equal(lo->stats.websockets_active, 0);
	buf_done(&probe.text);
	loopback_close(lo);
}

static void
test_app_is_told(void **state)
{
	static const struct {
		const char *name, *message, *text;
		unsigned code;
	} cases[] = {
	    {"its own close", "close", "close;asked", 3001},
	    {"its own cut", "cut", "cut;", WS_CLOSE_ABNORMAL},
	    {"its expiry", "expire", "expire;expired", WS_CLOSE_EXPIRED},
	};
	static const struct ws_part closed[WS_PARTS] = {
		CLOSE("\x0f\xa0" "bye")};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct loopback *lo = probe_open(CONFIG(), &probe_handler);
		struct wire w;

		ws_wire_open(lo, &w, NULL);
		ws_wire_send(&w, WS_FIN | WS_TEXT, str_of(cases[i].message));
		wire_push(&w, STR("\x88\x80????"));
		wire_expect_end(&w);
		wire_close(&w);
		loopback_wait_empty(lo);
		unit_check_str(buf_str(&probe.text), str_of(cases[i].text),
		    cases[i].name);
		assert_int_equal(probe.code, cases[i].code);
		assert_int_equal(probe.opened, 1);
		assert_int_equal(probe.closed, 1);
		probe_close(lo);
	}
	/* The peer's. */
	for (size_t i = 0; i < 2; i++) {
		struct loopback *lo = probe_open(CONFIG(), &probe_handler);
		struct wire w;

		ws_wire_open(lo, &w, NULL);
		if (i == 0) {
			ws_wire_send(&w, closed[0].first, closed[0].content);
			wire_expect_end(&w);
		}
		wire_close(&w);
		loopback_wait_empty(lo);
		assert_int_equal(probe.code, i == 0 ? 4000 : WS_CLOSE_ABNORMAL);
		unit_check_str(buf_str(&probe.text), i == 0 ? STR("bye")
		    : STR(""), "the peer's reason");
		assert_int_equal(probe.closed, 1);
		probe_close(lo);
	}
}

static void
test_app_is_told_of_refusals(void **state)
{
	struct loopback *lo = probe_open(CONFIG(), &probe_handler);
	struct wire w;

	wire_open(lo, &w);
	wire_send(&w, STR("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"));
	wire_expect(&w, "400 Bad Request");
	assert_int_equal(probe.opened, 0);
	assert_int_equal(probe.closed, 1);
	wire_close(&w);
	probe_close(lo);

	lo = probe_open(CONFIG(), &probe_closed_handler);
	wire_open(lo, &w);
	wire_send(&w, STR(WS_WIRE_ASK "\r\n"));
	wire_expect(&w, "\x88\x09\x0b\xbfnot you");
	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR("\x0b\xbf"));
	wire_expect_end(&w);
	wire_close(&w);
	loopback_wait_empty(lo);
	assert_int_equal(probe.code, 3007);
	assert_int_equal(probe.closed, 1);
	probe_close(lo);
}

/* 123 bytes, of which the last would be half a character. */
static void
test_reason_is_cut(void **state)
{
	struct loopback *lo = probe_open(CONFIG(), &probe_handler);
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("long"));
	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR("\x0b\xb9"));
	wire_expect_end(&w);
	assert_int_equal(w.text.len, 2 + 2 + 122);
	assert_int_equal(wire_count(&w, "r"), 122);
	assert_int_equal(probe.text.len, 5 + 122);
	wire_close(&w);
	probe_close(lo);
}

static void
test_pause(void **state)
{
	struct loopback *lo = probe_open(CONFIG(), &probe_handler);
	struct buf in;
	struct wire w;

	buf_init(&in, 0);
	ws_wire_put(&in, WS_FIN | WS_TEXT, STR("pause"), true);
	ws_wire_put(&in, WS_FIN | WS_TEXT, STR("second"), true);
	ws_wire_put(&in, WS_FIN | WS_TEXT, STR("pause"), true);
	ws_wire_put(&in, WS_FIN | WS_CLOSE, STR(NORMAL), true);
	ws_wire_open(lo, &w, NULL);
	wire_send(&w, buf_str(&in));
	unit_check_str(buf_str(&probe.text), STR("pause;"), "one message");
	loopback_ticks(lo, 2);
	unit_check_str(buf_str(&probe.text), STR("pause;"), "still");
	assert_true(session_is_paused(ws_session(probe.w)));
	session_resume(ws_session(probe.w));
	loopback_settle(lo);
	unit_check_str(buf_str(&probe.text), STR("pause;second;pause;"),
	    "two more");
	assert_int_equal(probe.closed, 0);
	session_resume(ws_session(probe.w));
	loopback_settle(lo);
	assert_int_equal(probe.closed, 1);
	assert_int_equal(probe.code, WS_CLOSE_NORMAL);
	wire_expect_end(&w);
	wire_close(&w);
	buf_done(&in);
	probe_close(lo);
}

/* A client that is read again only because it is being closed. */
static void
test_close_while_paused(void **state)
{
	struct loopback *lo = probe_open(CONFIG(), &probe_handler);
	struct wire w;

	ws_wire_open(lo, &w, NULL);
	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("pause"));
	ws_close(probe.w, WS_CLOSE_TRY_LATER, STR(""));
	wire_expect(&w, "\x88\x02\x03\xf5");
	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("late"));
	ws_wire_send(&w, WS_FIN | WS_CLOSE, STR("\x03\xf5"));
	wire_expect_end(&w);
	unit_check_str(buf_str(&probe.text), STR("pause;"), "nothing more");
	wire_close(&w);
	probe_close(lo);
}

static void
test_queue(void **state)
{
	struct loopback *lo = probe_open(CONFIG(), &probe_handler);
	struct wire w;

	ws_wire_open_small(lo, &w);
	ws_wire_send(&w, WS_FIN | WS_TEXT, STR("fill"));
	assert_in_range(probe.sent[SESSION_OK], 63, 200);
	assert_int_equal(probe.sent[SESSION_FULL], 1);
	assert_int_equal(probe.sent[SESSION_DROPPED],
	    299 - probe.sent[SESSION_OK]);
	assert_int_equal(probe.drained, 0);
	assert_int_equal(lo->stats.ws_messages_out, probe.sent[SESSION_OK] + 1);
	wire_expect(&w, "\x82\x7e\x04");
	while (probe.drained == 0) {
		char piece[4096];

		while (recv(w.fd, piece, sizeof(piece), 0) > 0)
			;
		loopback_turn(lo);
	}
	wire_close(&w);
	loopback_wait_empty(lo);
	assert_int_equal(probe.drained, 1);
	probe_close(lo);
}

static void
test_protocols(void **state)
{
	static struct str ours[] = {STR_INIT("b.v2"), STR_INIT("b.v1")};
	static const struct {
		const char *fields, *answer, *told;
	} cases[] = {
	    {"", NULL, "\x81\0"},
	    {"Sec-WebSocket-Protocol: other\r\n", NULL, "\x81\0"},
	    {"Sec-WebSocket-Protocol: b.v1\r\n", "b.v1", "\x81\x04" "b.v1"},
	    {"Sec-WebSocket-Protocol: b.v1, b.v2\r\n", "b.v2",
		"\x81\x04" "b.v2"},
	    {"Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: b.v2\r\n",
		"b.v2", "\x81\x04" "b.v2"},
	};

	probe_protocols = (struct config_strings){ours, UNIT_COUNT(ours)};
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct loopback *lo = probe_open(CONFIG(), &probe_handler);
		char line[64];
		struct wire w;

		wire_open(lo, &w);
		wire_send(&w, STR(WS_WIRE_ASK));
		wire_send(&w, str_of(cases[i].fields));
		wire_send(&w, STR("\r\n"));
		wire_expect(&w, "\r\n\r\n");
		snprintf(line, sizeof(line), "\r\nSec-WebSocket-Protocol: %s"
		    "\r\n", cases[i].answer != NULL ? cases[i].answer : "");
		assert_int_equal(wire_count(&w, line), cases[i].answer != NULL);
		assert_int_equal(wire_count(&w, "-Protocol"),
		    cases[i].answer != NULL);
		ws_wire_send(&w, WS_FIN | WS_TEXT, STR("protocol"));
		wire_expect(&w, cases[i].told);
		wire_close(&w);
		probe_close(lo);
	}
	probe_protocols = (struct config_strings){NULL, 0};
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_app_is_told),
	    cmocka_unit_test(test_app_is_told_of_refusals),
	    cmocka_unit_test(test_reason_is_cut),
	    cmocka_unit_test(test_pause),
	    cmocka_unit_test(test_close_while_paused),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_protocols),
	};

	return UNIT_RUN(tests);
}
