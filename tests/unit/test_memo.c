/* SPDX-License-Identifier: MIT */
/*
 * Remembered heads: only what may be, only byte for byte, and standing alone.
 */
#include "server/memo.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static const struct head_limits limits = {
	.head_bytes = 4096, .target_bytes = 512, .field_count = 40,
};

#define PLAIN "GET /plaintext HTTP/1.1\r\nHost: example\r\nA: b\r\n\r\n"

/* Parses and offers a text of its own life, as a read buffer has. */
static void
offer(struct memo *m, const char *text)
{
	struct head_store *store = head_store_new(&limits);
	struct head_refusal refusal;
	char *copy = strdup(text);
	struct head *h = head_parse(store, str_of(copy), &limits, &refusal);

	assert_non_null(h);
	h->is_routed = true;
	h->match = (struct route_match){.param_count = 1};
	h->match.value[0] = str_from(h->path.p + 1, 4);
	memo_offer(m, 7, h);
	free(copy);
	head_store_free(store);
}

static void
test_a_head_is_known_at_its_third_coming(void **state)
{
	struct memo *m = memo_new();
	struct head *h;

	assert_null(memo_find(m, 7, PLAIN, strlen(PLAIN)));
	offer(m, PLAIN);
	assert_null(memo_find(m, 7, PLAIN, strlen(PLAIN)));
	offer(m, PLAIN);
	h = memo_find(m, 7, PLAIN PLAIN, 2 * strlen(PLAIN));
	assert_non_null(h);
	assert_int_equal(h->raw.len, strlen(PLAIN));
	unit_check_str(h->path, STR("/plaintext"), "path");
	unit_check_str(h->authority, STR("example"), "authority");
	unit_check_str(h->match.value[0], STR("plai"), "a parameter");
	unit_check_str(head_find_field(h, STR("a")), STR("b"), "a field");
	memo_free(m);
}

static void
test_what_differs_is_not_known(void **state)
{
	struct memo *m = memo_new();
	static const char other[] =
	    "GET /plaintext HTTP/1.1\r\nHost: example\r\nA: c\r\n\r\n";

	offer(m, PLAIN);
	offer(m, PLAIN);
	assert_null(memo_find(m, 7, other, strlen(other)));
	assert_null(memo_find(m, 8, PLAIN, strlen(PLAIN)));
	assert_null(memo_find(m, 7, PLAIN, strlen(PLAIN) - 1));
	assert_non_null(memo_find(m, 7, PLAIN, strlen(PLAIN)));
	memo_free(m);
}

static void
test_what_a_head_says_of_its_connection_is_kept(void **state)
{
	static const char closes[] = "GET /plaintext HTTP/1.1\r\n"
	    "Host: example\r\nConnection: close\r\n\r\n";
	static const char old[] = "GET /plaintext HTTP/1.0\r\n"
	    "Connection: keep-alive\r\n\r\n";
	struct memo *m = memo_new();
	struct head *h;

	offer(m, closes);
	offer(m, closes);
	h = memo_find(m, 7, closes, strlen(closes));
	assert_non_null(h);
	assert_false(h->keep_alive);
	offer(m, old);
	offer(m, old);
	h = memo_find(m, 7, old, strlen(old));
	assert_non_null(h);
	assert_true(h->keep_alive);
	assert_int_equal(h->minor, 0);
	memo_free(m);
}

static void
test_some_heads_are_never_kept(void **state)
{
	static const char *const texts[] = {
		"POST /plaintext HTTP/1.1\r\nHost: e\r\n"
		"Content-Length: 1\r\n\r\n",
		"POST /plaintext HTTP/1.1\r\nHost: e\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"GET /plaintext HTTP/1.1\r\nHost: e\r\nConnection: upgrade\r\n"
		"Upgrade: websocket\r\n\r\n",
		"GET /pl%61intext HTTP/1.1\r\nHost: example\r\n\r\n",
	};
	struct memo *m = memo_new();
	size_t i;

	for (i = 0; i < UNIT_COUNT(texts); i++) {
		offer(m, texts[i]);
		offer(m, texts[i]);
		unit_check(memo_find(m, 7, texts[i], strlen(texts[i])) == NULL,
		    texts[i]);
	}
	memo_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_head_is_known_at_its_third_coming),
		cmocka_unit_test(test_what_differs_is_not_known),
		cmocka_unit_test(
		    test_what_a_head_says_of_its_connection_is_kept),
		cmocka_unit_test(test_some_heads_are_never_kept),
	};

	return UNIT_RUN(tests);
}
