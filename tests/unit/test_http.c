/* SPDX-License-Identifier: MIT */
/*
 * Proves the tables of http.c, and the lists of accept.c.
 *
 * Context: pure functions.
 */
#include "server/http.h"

#include <ctype.h>

#include "server/accept.h"
#include "tests/unit/unit.h"

static void
test_field_ids(void **state)
{
	char name[64];

	for (enum field_id id = FIELD_OTHER + 1; id < FIELD_COUNT; id++) {
		struct str known = field_name(id);

		unit_check(field_id_of(known) == id, known.p);
		for (size_t i = 0; i < known.len; i++)
			name[i] = (char)toupper((unsigned char)known.p[i]);
		unit_check(field_id_of(str_from(name, known.len)) == id,
		    known.p);
		/* Any other bit of any byte makes it another name. */
		for (size_t i = 0; i < known.len * 8; i++) {
			memcpy(name, known.p, known.len);
			name[i / 8] = (char)(name[i / 8] ^ (1 << i % 8));
			if (i % 8 == 5 && isalpha((unsigned char)name[i / 8]))
				continue;
			unit_check(field_id_of(str_from(name, known.len)) ==
			    FIELD_OTHER, known.p);
		}
	}
	assert_int_equal(field_id_of(STR("")), FIELD_OTHER);
	assert_int_equal(field_id_of(STR("Hos")), FIELD_OTHER);
	assert_int_equal(field_id_of(STR("Hosts")), FIELD_OTHER);
}

static void
test_status(void **state)
{
	unit_check_str(status_line(200), STR("HTTP/1.1 200 OK\r\n"), "200");
	unit_check_str(status_line(404), STR("HTTP/1.1 404 Not Found\r\n"),
	    "404");
	unit_check_str(status_line(299), STR("HTTP/1.1 299 \r\n"),
	    "an unlisted one keeps its number");
	unit_check_str(status_line(599), STR("HTTP/1.1 599 \r\n"), "the last");
	unit_check_str(status_line(100), STR("HTTP/1.1 100 Continue\r\n"),
	    "the first");
	unit_check_str(status_line(600), status_line(500), "no status");
	unit_check_str(status_line(-1), status_line(500), "a mistake");
	unit_check_str(status_reason(499), STR("Bad Request"), "its class's");
	unit_check_str(status_word(499), STR("BAD_REQUEST"), "its class's");
	unit_check_str(status_word(404), STR("NOT_FOUND"), "its own");
}

static void
test_bytes(void **state)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		struct str s = str_from(&byte, 1);
		bool token = c < 128 && c != 0 &&
		    (isalnum(c) || strchr(others, c) != NULL);

		if (is_token(s) != token)
			fail_msg("token: byte %d", c);
		if (is_field_value(s) != ((c >= 32 && c != 127) || c == '\t'))
			fail_msg("value: byte %d", c);
	}
	assert_false(is_token(STR("")));
	assert_true(is_field_value(STR("")));
	assert_false(is_field_value(STR("a\r\nb: c")));
	assert_true(field_is_reserved(STR("content-length")));
	assert_false(field_is_reserved(STR("Content-Type")));
}

/* Values are looked at eight bytes at a time. */
static void
a_control_byte_is_found_anywhere(void **state)
{
	static const char bad[] = {'\0', '\n', '\r', 0x1f, 0x7f};
	char value[20];
	size_t i, at;

	for (i = 0; i < sizeof(bad); i++) {
		for (at = 0; at < sizeof(value); at++) {
			memset(value, '\t', sizeof(value));
			value[(at + 7) % sizeof(value)] = (char)0xff;
			value[(at + 9) % sizeof(value)] = 0x20;
			assert_true(is_field_value(
			    str_from(value, sizeof(value))));
			value[at] = bad[i];
			assert_false(is_field_value(
			    str_from(value, sizeof(value))));
			assert_true(is_field_value(str_from(value, at)));
		}
	}
}

static void
test_accept(void **state)
{
	static const struct {
		const char *list, *name;
		int quality;
	} cases[] = {
		{"gzip", "gzip", 1000},
		{"GZip", "gzip", 1000},
		{"gzip;q=0.5", "gzip", 500},
		{"gzip ; q=0.125", "gzip", 125},
		{"gzip;Q=1.000", "gzip", 1000},
		{"gzip;q=0", "gzip", 0},
		{"gzip;q=0.000", "gzip", 0},
		{"gzip;q=1.001", "gzip", 0},
		{"gzip;q=2", "gzip", 0},
		{"gzip;q=0.1234", "gzip", 0},
		{"gzip;q=", "gzip", 0},
		{"gzip;q=-1", "gzip", 0},
		{"gzip;level=9;q=0.3", "gzip", 300},
		{"br, gzip;q=0.2, *;q=0.1", "gzip", 200},
		{"br, gzip;q=0.2, *;q=0.1", "*", 100},
		{"gzip;q=0.2, gzip;q=0.7", "gzip", 700},
		{"gzipped, xgzip", "gzip", -1},
		{"", "gzip", -1},
		{", ,", "gzip", -1},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check(accept_quality(str_of(cases[i].list),
		    str_of(cases[i].name)) == cases[i].quality, cases[i].list);
	assert_int_equal(accept_quality(str_from(NULL, 0), STR("gzip")), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_field_ids),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(a_control_byte_is_found_anywhere),
		cmocka_unit_test(test_accept),
	};

	return UNIT_RUN(tests);
}
