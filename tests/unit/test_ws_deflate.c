/* SPDX-License-Identifier: MIT */
/*
 * Proves permessage-deflate: which offers are taken and what is answered, that
 * messages come back as they were, the examples of RFC 7692, and that a bomb
 * costs no more than its limit.
 *
 * Context: no loop.
 */
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "server/ws_deflate.h"
#include "tests/unit/unit.h"

#define NO_TAKEOVER \
	"permessage-deflate; server_no_context_takeover; " \
	"client_no_context_takeover"

static const struct {
	const char *name, *offer;
	const char *answer;		/* window 15, no takeover; NULL: none */
	const char *takeover;		/* window 12, takeover */
} offers[] = {
	{"a bare offer", "permessage-deflate", NO_TAKEOVER,
	    "permessage-deflate; server_max_window_bits=12"},
	{"no field", "", NULL, NULL},
	{"another extension", "x-webkit-deflate-frame", NULL, NULL},
	{"a name is a token: its case counts", "PerMessage-Deflate", NULL,
	    NULL},
	{"what a browser sends", "permessage-deflate; client_max_window_bits",
	    NO_TAKEOVER,
	    "permessage-deflate; server_max_window_bits=12; "
	    "client_max_window_bits=12"},
	{"the client's window with a value",
	    "permessage-deflate; client_max_window_bits=10", NO_TAKEOVER,
	    "permessage-deflate; server_max_window_bits=12; "
	    "client_max_window_bits=10"},
	{"the client's smallest window",
	    "permessage-deflate; client_max_window_bits=8", NO_TAKEOVER,
	    "permessage-deflate; server_max_window_bits=12; "
	    "client_max_window_bits=8"},
	{"the server's window", "permessage-deflate; server_max_window_bits=9",
	    NO_TAKEOVER "; server_max_window_bits=9",
	    "permessage-deflate; server_max_window_bits=9"},
	{"the server's largest window",
	    "permessage-deflate; server_max_window_bits=15",
	    NO_TAKEOVER "; server_max_window_bits=15",
	    "permessage-deflate; server_max_window_bits=12"},
	{"neither side keeps a context",
	    "permessage-deflate; server_no_context_takeover; "
	    "client_no_context_takeover", NO_TAKEOVER,
	    NO_TAKEOVER "; server_max_window_bits=12"},
	{"the server keeps none",
	    "permessage-deflate; server_no_context_takeover", NO_TAKEOVER,
	    "permessage-deflate; server_no_context_takeover; "
	    "server_max_window_bits=12"},
	{"the client keeps none, so its window is no matter",
	    "permessage-deflate; client_no_context_takeover; "
	    "client_max_window_bits", NO_TAKEOVER,
	    "permessage-deflate; client_no_context_takeover; "
	    "server_max_window_bits=12"},
	{"quoted values", "permessage-deflate; server_max_window_bits=\"10\"",
	    NO_TAKEOVER "; server_max_window_bits=10",
	    "permessage-deflate; server_max_window_bits=10"},
	{"quoted pairs in quoted values",
	    "permessage-deflate; server_max_window_bits=\"\\1\\0\"",
	    NO_TAKEOVER "; server_max_window_bits=10",
	    "permessage-deflate; server_max_window_bits=10"},
	{"blanks wherever they may be",
	    " permessage-deflate ;\tserver_max_window_bits = 10 ",
	    NO_TAKEOVER "; server_max_window_bits=10",
	    "permessage-deflate; server_max_window_bits=10"},
	{"the first offer that can be taken",
	    "permessage-deflate; server_max_window_bits=8, "
	    "permessage-deflate; server_max_window_bits=11, "
	    "permessage-deflate",
	    NO_TAKEOVER "; server_max_window_bits=11",
	    "permessage-deflate; server_max_window_bits=11"},
	{"behind another extension, whose quotes hide a comma",
	    "foo; a=\"b,permessage-deflate; c\", permessage-deflate",
	    NO_TAKEOVER, "permessage-deflate; server_max_window_bits=12"},
	{"empty elements", ", ,permessage-deflate,", NO_TAKEOVER,
	    "permessage-deflate; server_max_window_bits=12"},

	{"a window of 8 bits, which zlib can't do",
	    "permessage-deflate; server_max_window_bits=8", NULL, NULL},
	{"an unknown parameter", "permessage-deflate; foo", NULL, NULL},
	{"an unknown parameter behind a known one",
	    "permessage-deflate; client_max_window_bits; foo=1", NULL, NULL},
	{"twice the same",
	    "permessage-deflate; server_max_window_bits=10; "
	    "server_max_window_bits=10", NULL, NULL},
	{"twice the same without a value",
	    "permessage-deflate; client_no_context_takeover; "
	    "client_no_context_takeover", NULL, NULL},
	{"a value where there must be none",
	    "permessage-deflate; server_no_context_takeover=1", NULL, NULL},
	{"and for the client",
	    "permessage-deflate; client_no_context_takeover=true", NULL, NULL},
	{"no value where there must be one",
	    "permessage-deflate; server_max_window_bits", NULL, NULL},
	{"a window too small",
	    "permessage-deflate; server_max_window_bits=7", NULL, NULL},
	{"a window too large",
	    "permessage-deflate; client_max_window_bits=16", NULL, NULL},
	{"a leading zero",
	    "permessage-deflate; client_max_window_bits=010", NULL, NULL},
	{"a sign", "permessage-deflate; client_max_window_bits=+10", NULL,
	    NULL},
	{"a window that no number can hold",
	    "permessage-deflate; client_max_window_bits=99999999999999999999",
	    NULL, NULL},
	{"a window in words",
	    "permessage-deflate; server_max_window_bits=ten", NULL, NULL},
	{"an empty value",
	    "permessage-deflate; client_max_window_bits=", NULL, NULL},
	{"an empty quoted value",
	    "permessage-deflate; client_max_window_bits=\"\"", NULL, NULL},
	{"an open quote",
	    "permessage-deflate; client_max_window_bits=\"10", NULL, NULL},
	{"an empty parameter", "permessage-deflate;", NULL, NULL},
	{"two names", "permessage-deflate foo", NULL, NULL},
	{"a long quoted value isn't cut to a valid one",
	    "permessage-deflate; client_max_window_bits="
	    "\"1000000000000000000000\"", NULL, NULL},
};

static void
offers_are_answered(void **state)
{
	const struct ws_deflate_options plain = {false, 15, 3};
	const struct ws_deflate_options keeping = {true, 12, 3};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(offers) * 2; i++) {
		size_t k = i / 2;
		const struct ws_deflate_options *options =
		    i % 2 == 0 ? &plain : &keeping;
		const char *want = i % 2 == 0 ? offers[k].answer
		    : offers[k].takeover;
		struct ws_deflate agreed;
		char answer[WS_DEFLATE_ANSWER_MAX];
		size_t len;
		bool ok = ws_deflate_negotiate(str_of(offers[k].offer),
		    options, &agreed, answer, &len);

		unit_check(ok == (want != NULL), offers[k].name);
		unit_check_str(str_from(answer, len),
		    str_of(want != NULL ? want : ""), offers[k].name);
		unit_check(ok == (agreed.server_bits != 0), offers[k].name);
	}
}

static void
what_was_agreed_is_what_was_answered(void **state)
{
	const struct ws_deflate_options keeping = {true, 12, 3};
	struct ws_deflate agreed;
	char answer[WS_DEFLATE_ANSWER_MAX];
	size_t len;

	(void)state;
	assert_true(ws_deflate_negotiate(STR("permessage-deflate"), &keeping,
	    &agreed, answer, &len));
	assert_int_equal(agreed.server_bits, 12);
	/* Nobody has told the client to keep less. */
	assert_int_equal(agreed.client_bits, 15);
	assert_true(agreed.server_takeover);
	assert_true(agreed.client_takeover);
	assert_true(ws_deflate_negotiate(STR("permessage-deflate; "
	    "client_max_window_bits=9; server_no_context_takeover"), &keeping,
	    &agreed, answer, &len));
	assert_int_equal(agreed.client_bits, 9);
	assert_false(agreed.server_takeover);
	assert_true(agreed.client_takeover);
}

static void
the_syntax_of_the_field(void **state)
{
	static const struct {
		const char *name, *field;
		bool valid;
	} fields[] = {
		{"empty", "", true},
		{"one extension", "foo", true},
		{"parameters of all kinds", "foo; a; b=c; d=\"e\", bar", true},
		{"empty elements", ", foo ,, bar ,", true},
		{"an empty parameter", "foo;", false},
		{"no name", "; a=b", false},
		{"no value", "foo; a=", false},
		{"no token for a value", "foo; a=b@c", false},
		{"no token in quotes", "foo; a=\"b c\"", false},
		{"an open quote", "foo; a=\"b", false},
		{"a backslash at the end", "foo; a=\"b\\", false},
		{"text behind a quote", "foo; a=\"b\"c", false},
		{"a byte beyond ASCII", "fo\xc3\xb6", false},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(fields); i++)
		unit_check(ws_extensions_are_valid(str_of(fields[i].field)) ==
		    fields[i].valid, fields[i].name);
}

static const struct {
	const char *name;
	struct str in;
	enum ws_inflate want;
	struct str out;
} messages[] = {
	/* RFC 7692 7.2.3.1 to 7.2.3.6 */
	{"one compressed block", STR_INIT("\xf2\x48\xcd\xc9\xc9\x07\x00"),
	    WS_INFLATED, STR_INIT("Hello")},
	{"a block without compression",
	    STR_INIT("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
	    WS_INFLATED, STR_INIT("Hello")},
	{"a block that says it is the last",
	    STR_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
	    WS_INFLATED, STR_INIT("Hello")},
	{"two blocks",
	    STR_INIT("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
	    WS_INFLATED, STR_INIT("Hello")},
	{"an empty message", STR_INIT("\x00"), WS_INFLATED, STR_INIT("")},

	{"blocks behind one that says it is the last",
	    STR_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00"
	    "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
	    WS_INFLATED, STR_INIT("HelloHello")},
	{"a copy from before a block that says it is the last",
	    STR_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"),
	    WS_INFLATED, STR_INIT("HelloHello")},
	{"the last block, and no empty one behind it",
	    STR_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00"),
	    WS_INFLATED, STR_INIT("Hello")},
	{"no bytes at all", STR_INIT(""), WS_INFLATE_BAD, STR_INIT("")},
	{"a block that doesn't end", STR_INIT("\xf2\x48\xcd"), WS_INFLATE_BAD,
	    STR_INIT("")},
	{"a block without compression that doesn't end",
	    STR_INIT("\x00\x05\x00\xfa\xffHe"), WS_INFLATE_BAD, STR_INIT("")},
	{"a block of no known kind", STR_INIT("\x06\x00"), WS_INFLATE_BAD,
	    STR_INIT("")},
	{"a copy of what never was",
	    STR_INIT("\xf2\x00\x11\x00\x00"), WS_INFLATE_BAD, STR_INIT("")},
};

static const struct ws_deflate plain = {.server_bits = 12, .client_bits = 15};

static void
messages_of_clients(void **state)
{
	struct ws_zlib *z = ws_zlib_new(3);

	(void)state;
	assert_non_null(z);
	/* Twice: none is disturbed by what was before. */
	for (size_t i = 0; i < UNIT_COUNT(messages) * 2; i++) {
		size_t k = i % UNIT_COUNT(messages);
		struct buf out;
		enum ws_inflate res;

		buf_init(&out, 0);
		res = ws_inflate_message(z, NULL, &plain, messages[k].in, 100,
		    &out);
		unit_check(res == messages[k].want, messages[k].name);
		if (res == WS_INFLATED)
			unit_check_str(buf_str(&out), messages[k].out,
			    messages[k].name);
		buf_done(&out);
	}
	ws_zlib_free(z);
}

/* RFC 7692 7.2.3.2: the window goes on. */
static void
a_context_is_kept_where_it_was_agreed_on(void **state)
{
	const struct ws_deflate both = {15, 15, true, true};
	struct ws_zlib *z = ws_zlib_new(6);
	struct ws_context *ctx = ws_context_new(6);
	struct buf first, second, empty, out;

	(void)state;
	assert_true(z != NULL && ctx != NULL);
	buf_init(&first, 0);
	buf_init(&second, 0);
	buf_init(&empty, 0);
	buf_init(&out, 0);
	assert_int_equal(ws_deflate_message(z, ctx, &both, STR("Hello"),
	    &first), 0);
	assert_int_equal(ws_deflate_message(z, ctx, &both, STR(""), &empty),
	    0);
	assert_int_equal(ws_deflate_message(z, ctx, &both, STR("Hello"),
	    &second), 0);
	unit_check_str(buf_str(&first), STR("\xf2\x48\xcd\xc9\xc9\x07\x00"),
	    "the first message");
	unit_check_str(buf_str(&empty), STR("\x00"), "an empty one");
	unit_check_str(buf_str(&second), STR("\xf2\x00\x11\x00\x00"),
	    "the second is a copy");
	assert_int_equal(ws_inflate_message(z, ctx, &both, buf_str(&first), 9,
	    &out), WS_INFLATED);
	assert_int_equal(ws_inflate_message(z, ctx, &both, buf_str(&empty), 9,
	    &out), WS_INFLATED);
	assert_int_equal(ws_inflate_message(z, ctx, &both, buf_str(&second), 9,
	    &out), WS_INFLATED);
	unit_check_str(buf_str(&out), STR("HelloHello"), "both");
	/* Of another connection's window nothing is there. */
	assert_int_equal(ws_inflate_message(z, NULL, &plain, buf_str(&second),
	    9, &out), WS_INFLATE_BAD);
	buf_done(&first);
	buf_done(&second);
	buf_done(&empty);
	buf_done(&out);
	ws_context_free(ctx);
	ws_zlib_free(z);
}

/* A client that says 8 has a zlib, which takes 9, but looks 250 bytes back at
 * the most. */
static void
a_client_may_have_a_window_of_8_bits(void **state)
{
	const struct ws_deflate agreed = {9, 8, true, true};
	struct ws_zlib *z = ws_zlib_new(9);
	struct ws_context *to = ws_context_new(9), *from = ws_context_new(9);
	char text[500];

	(void)state;
	assert_true(z != NULL && to != NULL && from != NULL);
	/* As far back as it gets, into the message before, too. */
	for (size_t i = 0; i < 240; i++)
		text[i] = (char)i;
	memcpy(text + 240, text, 240);
	for (int i = 0; i < 3; i++) {
		struct buf packed, out;

		buf_init(&packed, 0);
		buf_init(&out, 0);
		assert_int_equal(ws_deflate_message(z, to, &agreed,
		    str_from(text, 480), &packed), 0);
		assert_int_equal(ws_inflate_message(z, from, &agreed,
		    buf_str(&packed), 480, &out), WS_INFLATED);
		unit_check_str(buf_str(&out), str_from(text, 480), "same");
		buf_done(&packed);
		buf_done(&out);
	}
	ws_context_free(to);
	ws_context_free(from);
	ws_context_free(NULL);
	ws_zlib_free(z);
	ws_zlib_free(NULL);
}

/* Words of few letters: long and short copies, near and far. */
static char *
text_make(size_t len)
{
	char *p = malloc(len + 1);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = i >= 7 && (x >> 28) != 0 ? p[i - 7]
		    : (char)('a' + (x >> 20) % 20);
	}
	return p;
}

static void
messages_come_back_as_they_were(void **state)
{
	static const size_t lens[] = {1, 2, 5, 100, 5000, 16380, 16384, 16385,
		100000, 1000000};
	struct ws_zlib *z = ws_zlib_new(3);
	char *text = text_make(1000000);

	(void)state;
	assert_non_null(z);
	for (size_t i = 0; i < UNIT_COUNT(lens) * 7 * 2; i++) {
		bool keeps = i % 2 == 0;
		const struct ws_deflate agreed = {
			.server_bits = (uint8_t)(9 + i / 2 % 7),
			.client_bits = (uint8_t)(9 + i / 2 % 7),
			.server_takeover = keeps, .client_takeover = keeps};
		struct str in = str_from(text, lens[i / 14]);
		struct ws_context *ctx = keeps ? ws_context_new(3) : NULL;

		for (int turn = 0; turn < 3; turn++) {
			struct buf packed, out;

			buf_init(&packed, 0);
			buf_init(&out, 0);
			buf_add(&out, STR("before"));
			assert_int_equal(ws_deflate_message(z, ctx, &agreed,
			    in, &packed), 0);
			assert_int_equal(ws_inflate_message(z, ctx, &agreed,
			    buf_str(&packed), in.len, &out), WS_INFLATED);
			assert_int_equal(out.len, 6 + in.len);
			assert_memory_equal(out.p + 6, in.p, in.len);
			buf_done(&packed);
			buf_done(&out);
		}
		ws_context_free(ctx);
	}
	free(text);
	ws_zlib_free(z);
}

/* A client that agreed on a window has no larger one. */
static void
a_message_needs_no_larger_window_than_agreed(void **state)
{
	struct ws_zlib *z = ws_zlib_new(9);
	char *text = text_make(100000);

	(void)state;
	assert_non_null(z);
	for (uint8_t bits = 9; bits <= 15; bits++) {
		const struct ws_deflate agreed = {bits, 15, false, false};
		struct buf packed;
		z_stream s = {0};
		char *out = malloc(100000);

		assert_non_null(out);
		buf_init(&packed, 0);
		assert_int_equal(ws_deflate_message(z, NULL, &agreed,
		    str_from(text, 100000), &packed), 0);
		assert_int_equal(inflateInit2(&s, -bits), Z_OK);
		s.next_in = (z_const Bytef *)packed.p;
		s.avail_in = (uInt)packed.len;
		/* In small steps: what is further back has to be kept. */
		while (s.total_out < 100000) {
			s.next_out = (Bytef *)out + s.total_out;
			s.avail_out = 100;
			assert_int_equal(inflate(&s, Z_SYNC_FLUSH), Z_OK);
		}
		assert_memory_equal(out, text, 100000);
		inflateEnd(&s);
		free(out);
		buf_done(&packed);
	}
	free(text);
	ws_zlib_free(z);
}

static void
a_bomb_stops_at_its_limit(void **state)
{
	static const size_t limits[] = {0, 1, 16383, 16384, 16385, 99999};
	struct ws_zlib *z = ws_zlib_new(9);
	struct buf bomb;
	char *zeros = calloc(1, 100000);

	(void)state;
	assert_true(z != NULL && zeros != NULL);
	buf_init(&bomb, 0);
	assert_int_equal(ws_deflate_message(z, NULL, &plain,
	    str_from(zeros, 100000), &bomb), 0);
	assert_true(bomb.len < 500);
	for (size_t i = 0; i < UNIT_COUNT(limits); i++) {
		struct buf out;

		buf_init(&out, 0);
		assert_int_equal(ws_inflate_message(z, NULL, &plain,
		    buf_str(&bomb), limits[i], &out), WS_INFLATE_TOO_BIG);
		assert_true(out.len <= limits[i]);
		buf_done(&out);
	}
	buf_done(&bomb);
	free(zeros);
	ws_zlib_free(z);
}

static void
no_room_is_told(void **state)
{
	struct ws_zlib *z = ws_zlib_new(3);
	struct buf out;

	(void)state;
	assert_non_null(z);
	buf_init(&out, 3);
	assert_int_equal(ws_deflate_message(z, NULL, &plain,
	    STR("0123456789"), &out), -1);
	buf_clear(&out);
	assert_int_equal(ws_inflate_message(z, NULL, &plain,
	    messages[0].in, 100, &out), WS_INFLATE_NOMEM);
	buf_done(&out);
	ws_zlib_free(z);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers_are_answered),
		cmocka_unit_test(what_was_agreed_is_what_was_answered),
		cmocka_unit_test(the_syntax_of_the_field),
		cmocka_unit_test(messages_of_clients),
		cmocka_unit_test(a_context_is_kept_where_it_was_agreed_on),
		cmocka_unit_test(a_client_may_have_a_window_of_8_bits),
		cmocka_unit_test(messages_come_back_as_they_were),
		cmocka_unit_test(a_message_needs_no_larger_window_than_agreed),
		cmocka_unit_test(a_bomb_stops_at_its_limit),
		cmocka_unit_test(no_room_is_told),
	};

	return UNIT_RUN(tests);
}
