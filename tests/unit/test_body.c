/* SPDX-License-Identifier: MIT */
/*
 * Content on the wire: strict, and the same however it is cut.
 */
#include "server/body.h"

#include <stdio.h>

#include "tests/unit/unit.h"

struct body_case {
	const char *sentence;
	const char *wire;
	const char *content;	/* NULL: refused */
	size_t behind;		/* bytes that belong to the next request */
};

static const struct body_case cases[] = {
	{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", 0},
	{"two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello", 0},
	{"no content", "0\r\n\r\n", "", 0},
	{"hex of either case",
	    "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
	    "01234567890123456789", 0},
	{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", 0},
	{"the next request stays", "1\r\na\r\n0\r\n\r\nGET", "a", 3},
	{"an extension is dropped", "1;a=b;c=\"d\"\r\na\r\n0\r\n\r\n", "a", 0},
	{"trailers are dropped",
	    "1\r\na\r\n0\r\nA: b\r\nHost: x\r\n\r\n", "a", 0},
	{"no size", "\r\nhello", NULL, 0},
	{"a sign", "+5\r\nhello\r\n", NULL, 0},
	{"0x", "0x5\r\nhello\r\n", NULL, 0},
	{"a space before", " 5\r\nhello\r\n", NULL, 0},
	{"a space behind", "5 \r\nhello\r\n", NULL, 0},
	{"garbage behind", "5 garbage\r\nhello\r\n", NULL, 0},
	{"a bare LF behind a size", "5\nhello\r\n", NULL, 0},
	{"a CR alone behind a size", "5\rXhello\r\n", NULL, 0},
	{"a bare LF in an extension", "5;a\nhello\r\n", NULL, 0},
	{"a control byte in an extension", "5;\x01\r\nhello\r\n", NULL, 0},
	{"data longer than its size", "5\r\nhelloXX0\r\n", NULL, 0},
	{"data shorter than its size", "6\r\nhello\r\n0\r\n\r\n", NULL, 0},
	{"a bare LF behind data", "5\r\nhello\n0\r\n\r\n", NULL, 0},
	{"a size past 60 bits", "1000000000000000\r\n", NULL, 0},
	{"a trailer without a name", "0\r\n: b\r\n\r\n", NULL, 0},
	{"a folded trailer", "0\r\n a\r\n\r\n", NULL, 0},
	{"a bare LF in trailers", "0\r\nA: b\n\r\n", NULL, 0},
	{"a space before a trailer's colon", "0\r\nA : b\r\n\r\n", NULL, 0},
	{"a CR in front of nothing", "0\r\n\rX", NULL, 0},
};

/* Reads `wire` in steps; returns the result, content in `out`. */
static enum body_result
read_all(struct body_reader *b, const char *wire, size_t step, char *out,
    size_t *ret_behind)
{
	size_t at = 0, len = strlen(wire), n = 0;
	enum body_result res = BODY_MORE;
	struct str in = {wire, 0}, piece;

	while (res == BODY_MORE && at < len) {
		size_t more = at + step < len ? step : len - at;

		in = str_from(in.p, in.len + more);
		at += more;
		while ((res = body_read(b, &in, &piece)) == BODY_PIECE) {
			memcpy(out + n, piece.p, piece.len);
			n += piece.len;
		}
	}
	out[n] = '\0';
	*ret_behind = (size_t)(wire + len - in.p);
	return res;
}

static void
test_chunked(void **state)
{
	static const size_t steps[] = {1000, 1, 2, 3};
	struct body_reader b;
	char out[256];
	size_t i, k, behind;

	for (i = 0; i < UNIT_COUNT(cases); i++) {
		for (k = 0; k < UNIT_COUNT(steps); k++) {
			const struct body_case *c = &cases[i];
			enum body_result res;

			body_reader_init(&b, BODY_CHUNKED, 0, 1000);
			res = read_all(&b, c->wire, steps[k], out, &behind);
			if (res != (c->content != NULL ? BODY_END : BODY_BAD))
				fail_msg("%s (by %zu): %d", c->sentence,
				    steps[k], res);
			if (c->content == NULL) {
				assert_int_equal(b.refusal.status, 400);
				assert_non_null(b.refusal.reason);
				continue;
			}
			assert_string_equal(out, c->content);
			assert_int_equal(b.total, strlen(c->content));
			if (steps[k] == 1000)
				assert_int_equal(behind, c->behind);
		}
	}
}

static void
test_endless_lines_are_cut(void **state)
{
	struct body_reader b;
	struct str in, piece;
	char line[BODY_TRAILER_MAX + 100];

	memset(line, 'a', sizeof(line));
	memcpy(line, "1;", 2);
	body_reader_init(&b, BODY_CHUNKED, 0, 1000);
	in = str_from(line, sizeof(line));
	assert_int_equal(body_read(&b, &in, &piece), BODY_BAD);
	memcpy(line, "0\r\na:", 5);
	body_reader_init(&b, BODY_CHUNKED, 0, 1000);
	in = str_from(line, sizeof(line));
	assert_int_equal(body_read(&b, &in, &piece), BODY_BAD);
	memset(line, '0', sizeof(line));
	body_reader_init(&b, BODY_CHUNKED, 0, 1000);
	in = str_from(line, sizeof(line));
	assert_int_equal(body_read(&b, &in, &piece), BODY_BAD);
}

static void
test_a_chunk_past_the_limit_is_refused_at_its_size(void **state)
{
	static const struct {
		const char *wire;
		enum body_result end;
	} sizes[] = {
		{"5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n", BODY_END},
		{"B\r\n", BODY_BAD},
		{"5\r\nhello\r\n6\r\n", BODY_BAD},
		{"FFFFFFFF\r\n", BODY_BAD},
		{"fffffffffffffff\r\n", BODY_BAD},
	};
	struct body_reader b;
	char out[64];
	size_t i, behind;

	for (i = 0; i < UNIT_COUNT(sizes); i++) {
		body_reader_init(&b, BODY_CHUNKED, 0, 10);
		unit_check(read_all(&b, sizes[i].wire, 1, out, &behind) ==
		    sizes[i].end, sizes[i].wire);
		if (sizes[i].end == BODY_BAD)
			assert_int_equal(b.refusal.status, 413);
	}
}

static void
test_counted(void **state)
{
	struct body_reader b;
	struct str in = STR("helloGET"), piece;

	body_reader_init(&b, BODY_LENGTH, 5, 1000);
	assert_int_equal(body_read(&b, &in, &piece), BODY_PIECE);
	assert_true(str_eq(piece, STR("hello")));
	assert_true(str_eq(in, STR("GET")));
	assert_int_equal(body_read(&b, &in, &piece), BODY_END);
	body_reader_init(&b, BODY_LENGTH, 0, 1000);
	assert_true(body_is_done(&b));
	body_reader_init(&b, BODY_NONE, 0, 1000);
	assert_true(body_is_done(&b));
}

static void
test_what_is_given_back_comes_again(void **state)
{
	struct body_reader b;
	struct str in = STR("5\r\nhello\r\n0\r\n\r\n"), piece;

	body_reader_init(&b, BODY_CHUNKED, 0, 1000);
	assert_int_equal(body_read(&b, &in, &piece), BODY_PIECE);
	body_unread(&b, &in, 3);
	assert_int_equal(b.total, 2);
	assert_int_equal(body_read(&b, &in, &piece), BODY_PIECE);
	assert_true(str_eq(piece, STR("llo")));
	assert_int_equal(body_read(&b, &in, &piece), BODY_END);
	assert_int_equal(b.total, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_endless_lines_are_cut),
		cmocka_unit_test(
		    test_a_chunk_past_the_limit_is_refused_at_its_size),
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_what_is_given_back_comes_again),
	};

	return UNIT_RUN(tests);
}
