/* SPDX-License-Identifier: MIT */
/*
 * Heads: what is taken, what is refused, and that it makes no difference how
 * the bytes arrive.
 */
#include "server/head.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static const struct head_limits limits = {
	.head_bytes = 2048, .target_bytes = 256, .field_count = 10,
};

#define LINE "GET / HTTP/1.1\r\nHost: h\r\n"

struct refusal_case {
	const char *sentence;
	const char *text;
	int status;		/* 0: taken */
};

static const struct refusal_case cases[] = {
	{"a plain request is taken", LINE "\r\n", 0},
	{"empty lines in front are skipped", "\r\n\r\n" LINE "\r\n", 0},
	{"but not many", "\r\n\r\n\r\n\r\n\r\n" LINE "\r\n", 400},
	{"a bare LF never ends a line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
	{"a bare LF never ends a head", LINE "\n", 400},
	{"two CR before an LF are one too many", LINE "A: b\r\r\n\r\n", 400},
	{"a head can't end with CR CR LF", LINE "\r\r\n", 400},
	{"a TLS hello is refused at its first byte", "\x16\x03\x01", 400},
	{"a CR without its LF is refused", LINE "A: b\rc\r\n\r\n", 400},
	{"a CR in front of a field is refused", LINE "\rX: a\r\n\r\n", 400},
	{"a folded line is refused", LINE "A: b\r\n c\r\n\r\n", 400},
	{"a folded Content-Length is refused",
	    LINE "Content-Length:\r\n 5\r\n\r\n", 400},
	{"white space before the first field is refused",
	    "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
	{"a space before the colon is refused", LINE "A : b\r\n\r\n", 400},
	{"a space before the colon of Transfer-Encoding is refused",
	    LINE "Transfer-Encoding : chunked\r\n\r\n", 400},
	{"a space inside a name is refused", LINE "A b: c\r\n\r\n", 400},
	{"a field without a colon is refused", LINE "nothing\r\n\r\n", 400},
	{"an empty name is refused", LINE ": b\r\n\r\n", 400},
	{"a control byte in a value is refused", LINE "A: \x01\r\n\r\n", 400},
	{"obs-text in a value is taken", LINE "A: \xff\r\n\r\n", 0},
	{"an empty value is taken", LINE "A:\r\n\r\n", 0},

	{"no Host in 1.1 is refused", "GET / HTTP/1.1\r\n\r\n", 400},
	{"no Host in 1.0 is taken", "GET / HTTP/1.0\r\n\r\n", 0},
	{"two Hosts are refused", LINE "Host: h\r\n\r\n", 400},
	{"an empty Host is refused", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"a Host with a path is refused",
	    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"a Host with userinfo is refused",
	    "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
	{"a Host with a space is refused",
	    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"a Host with a port is taken",
	    "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", 0},
	{"a Host with a bad port is refused",
	    "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400},
	{"an IPv6 Host is taken",
	    "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
	{"colons alone are no IPv6 Host",
	    "GET / HTTP/1.1\r\nHost: [:::::]\r\n\r\n", 400},
	{"a bad escape in Host is refused",
	    "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", 400},
	{"a cut escape in Host is refused",
	    "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n", 400},
	{"an unclosed bracket is refused",
	    "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},

	{"HTTP/0.9 is refused", "GET /\r\n\r\n", 505},
	{"HTTP/2.0 is refused", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
	{"HTTP/1.2 is read as 1.1", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 0},
	{"HTTP/1.10 is refused", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
	{"another protocol is refused", "SOURCE / ICE/1.0\r\n\r\n", 400},
	{"two spaces before the target are refused",
	    "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"two spaces before the version are refused",
	    "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"an unknown method is not implemented",
	    "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
	{"a lower-case method is another method",
	    "get / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
	{"CONNECT is not implemented",
	    "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 501},
	{"TRACE is not implemented",
	    "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 501},

	{"OPTIONS * is taken", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	{"GET * is refused", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"OPTIONS *x is refused",
	    "OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a relative target is refused",
	    "GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"an absolute target is taken",
	    "GET http://a/b HTTP/1.1\r\nHost: h\r\n\r\n", 0},
	{"another scheme is refused",
	    "GET ftp://a/b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"userinfo in a target is refused",
	    "GET http://u@a/b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a fragment is refused", "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a bad escape is refused",
	    "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a cut escape is refused",
	    "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"an escaped NUL is refused",
	    "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"an escaped NUL in the query is refused",
	    "GET /?%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a raw byte past ASCII is refused",
	    "GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"a path above the root is refused",
	    "GET /a/../../b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"an escaped path above the root is refused",
	    "GET /%2e%2e/b HTTP/1.1\r\nHost: h\r\n\r\n", 400},

	{"Content-Length is taken", LINE "Content-Length: 5\r\n\r\n", 0},
	{"leading zeros are taken", LINE "Content-Length: 005\r\n\r\n", 0},
	{"two Content-Lengths are refused, equal or not",
	    LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
	{"a list in Content-Length is refused",
	    LINE "Content-Length: 5, 5\r\n\r\n", 400},
	{"a sign in Content-Length is refused",
	    LINE "Content-Length: +5\r\n\r\n", 400},
	{"hex in Content-Length is refused",
	    LINE "Content-Length: 0x5\r\n\r\n", 400},
	{"an empty Content-Length is refused",
	    LINE "Content-Length:\r\n\r\n", 400},
	{"a Content-Length past 2^64 is refused",
	    LINE "Content-Length: 18446744073709551621\r\n\r\n", 400},
	{"both lengths are refused", LINE
	    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"both lengths are refused the other way round", LINE
	    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
	{"chunked is taken", LINE "Transfer-Encoding: chunked\r\n\r\n", 0},
	{"Chunked is taken", LINE "Transfer-Encoding: Chunked\r\n\r\n", 0},
	{"chunked twice is refused", LINE
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	    400},
	{"chunked, chunked is refused",
	    LINE "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
	{"identity after chunked is refused", LINE
	    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
	    400},
	{"gzip, chunked is not implemented",
	    LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"an empty element before chunked is refused",
	    LINE "Transfer-Encoding: ,chunked\r\n\r\n", 400},
	{"chunked with a parameter is refused",
	    LINE "Transfer-Encoding: chunked;q=1\r\n\r\n", 400},
	{"chunked, identity is refused",
	    LINE "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
	{"xchunked is refused",
	    LINE "Transfer-Encoding: xchunked\r\n\r\n", 400},
	{"a vertical tab before chunked is refused",
	    LINE "Transfer-Encoding: \x0b" "chunked\r\n\r\n", 400},
	{"Transfer-Encoding in 1.0 is refused",
	    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"an unknown expectation is refused",
	    LINE "Expect: the-impossible\r\n\r\n", 417},
	{"too many fields are refused",
	    LINE "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n"
	    "i:1\r\nj:1\r\n\r\n", 431},
};

/* One verdict for bytes that arrive `step` at a time. */
static int
verdict(const char *text, size_t step, struct head_store *store,
    struct head **ret_head)
{
	struct head_scan scan = {0};
	struct head_refusal refusal = {0, NULL};
	size_t len = strlen(text), have = 0;
	enum head_result res = HEAD_MORE;

	while (res == HEAD_MORE && have < len) {
		have = have + step < len ? have + step : len;
		res = head_find(&scan, text, have, &limits, &refusal);
	}
	if (res != HEAD_WHOLE)
		return res == HEAD_BAD ? refusal.status : -1;
	*ret_head = head_parse(store, str_from(text + scan.skip,
	    scan.len - scan.skip), &limits, &refusal);
	return *ret_head != NULL ? 0 : refusal.status;
}

static void
test_refusals(void **state)
{
	struct head_store *store = head_store_new(&limits);
	static const size_t steps[] = {10000, 1, 2, 7};
	struct head *head;
	size_t i, k;

	for (i = 0; i < UNIT_COUNT(cases); i++) {
		for (k = 0; k < UNIT_COUNT(steps); k++) {
			int got = verdict(cases[i].text, steps[k], store,
			    &head);

			if (got != cases[i].status)
				fail_msg("%s (by %zu): %d instead of %d",
				    cases[i].sentence, steps[k], got,
				    cases[i].status);
		}
	}
	head_store_free(store);
}

static void
test_limits_hold_before_the_end(void **state)
{
	char text[4096];
	struct head_scan scan = {0};
	struct head_refusal refusal;

	/* A target that never ends. */
	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(head_find(&scan, text, 400, &limits, &refusal),
	    HEAD_BAD);
	assert_int_equal(refusal.status, 414);
	/* Fields that never end. */
	memcpy(text, "GET / HTTP/1.1\r\nA:", 18);
	scan = (struct head_scan){0};
	assert_int_equal(head_find(&scan, text, 2000, &limits, &refusal),
	    HEAD_MORE);
	assert_int_equal(head_find(&scan, text, 2100, &limits, &refusal),
	    HEAD_BAD);
	assert_int_equal(refusal.status, 431);
}

static void
check_str(struct str got, const char *want)
{
	if (want == NULL) {
		assert_null(got.p);
		return;
	}
	assert_non_null(got.p);
	if (!str_eq(got, str_of(want)))
		fail_msg("'%.*s' instead of '%s'", STR_FMT(got), want);
}

static void
test_what_a_head_says(void **state)
{
	struct head_store *store = head_store_new(&limits);
	struct head *h = NULL;

	assert_int_equal(verdict("POST /a%20b/./c/../d?x=%41 HTTP/1.1\r\n"
	    "Host: example:80\r\nX-Two: 1\r\nConnection: foo, Close\r\n"
	    "content-length:  12 \r\nX-two: 2\r\n\r\n", 10000, store, &h), 0);
	assert_int_equal(h->method, METHOD_POST);
	check_str(h->path, "/a b/d");
	check_str(h->query, "x=%41");
	check_str(h->authority, "example:80");
	assert_int_equal(h->framing, BODY_LENGTH);
	assert_int_equal(h->content_length, 12);
	assert_false(h->keep_alive);
	check_str(head_find_field(h, STR("x-TWO")), "1");
	check_str(head_find_field(h, STR("x-three")), NULL);

	assert_int_equal(verdict("GET http://other/%2F%2f?q HTTP/1.1\r\n"
	    "Host: example\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
	    10000, store, &h), 0);
	check_str(h->authority, "other");
	check_str(h->path, "/%2F%2f");
	assert_true(h->has_upgrade);
	assert_true(h->keep_alive);

	assert_int_equal(verdict("GET / HTTP/1.0\r\n\r\n", 100, store, &h), 0);
	assert_false(h->keep_alive);
	assert_int_equal(verdict("GET / HTTP/1.0\r\nConnection: x\r\n"
	    "Connection: Keep-Alive\r\n\r\n", 100, store, &h), 0);
	assert_true(h->keep_alive);
	head_store_free(store);
}

static void
test_a_copy_stands_alone(void **state)
{
	static const char text[] = "GET /a%20b?q HTTP/1.1\r\nHost: h\r\n"
	    "A: one\r\n\r\n";
	struct head_store *store = head_store_new(&limits);
	char *bytes = strdup(text);
	struct head *h = NULL, *copy;
	struct arena a;

	arena_init(&a, NULL);
	assert_int_equal(verdict(bytes, 100, store, &h), 0);
	copy = head_copy(h, &a);
	memset(bytes, 'x', strlen(text));
	free(bytes);
	head_store_free(store);
	check_str(copy->path, "/a b");
	check_str(copy->query, "q");
	check_str(copy->authority, "h");
	check_str(copy->target, "/a%20b?q");
	check_str(copy->method_name, "GET");
	check_str(head_find_field(copy, STR("a")), "one");
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_limits_hold_before_the_end),
		cmocka_unit_test(test_what_a_head_says),
		cmocka_unit_test(test_a_copy_stands_alone),
	};

	return UNIT_RUN(tests);
}
