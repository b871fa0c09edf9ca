/* SPDX-License-Identifier: MIT */
/* common/error: the chain of contexts, and where it is cut. */
#include <errno.h>

#include "common/error.h"
#include "tests/unit/unit.h"

static void
contexts_go_in_front(void **state)
{
	struct error err;

	(void)state;
	errno = ENOENT;
	assert_int_equal(error_sys(&err, "open '%s'", "x.json"), -1);
	assert_int_equal(error_wrap(&err, "configuration %d", 2), -1);
	assert_string_equal(err.text,
	    "configuration 2: open 'x.json': No such file or directory");
	assert_int_equal(err.code, ERROR_SYSTEM);
	assert_int_equal(err.sys, ENOENT);
	assert_int_equal(error_set(&err, ERROR_BUSY, "again: %s", err.text),
	    -1);
	assert_string_equal(err.text, "again: configuration 2: "
	    "open 'x.json': No such file or directory");
	assert_int_equal(err.code, ERROR_BUSY);
	assert_int_equal(err.sys, 0);
	assert_int_equal(error_nomem(&err, "a route"), -1);
	assert_int_equal(err.code, ERROR_MEMORY);
	assert_non_null(strstr(err.text, "a route"));
	error_clear(&err);
	assert_int_equal(err.code, ERROR_NONE);
	assert_string_equal(err.text, "");
}

static void
nobody_asked(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERROR_LIMIT, "x"), -1);
	assert_int_equal(error_sys(NULL, "x"), -1);
	assert_int_equal(error_wrap(NULL, "x"), -1);
	assert_int_equal(error_nomem(NULL, "x"), -1);
}

static void
a_long_text_is_cut_with_an_ellipsis(void **state)
{
	const size_t full = ERROR_TEXT_BYTES - 1;
	struct error err;

	(void)state;
	error_set(&err, ERROR_INVALID, "%*d", (int)full, 1);
	assert_int_equal(strlen(err.text), full);
	assert_int_equal(err.text[full - 1], '1');
	error_wrap(&err, "context");
	assert_int_equal(strlen(err.text), full);
	assert_memory_equal(err.text, "context: ", 9);
	assert_string_equal(err.text + full - 3, "...");
	error_set(&err, ERROR_INVALID, "%*d", (int)full + 1, 1);
	assert_int_equal(strlen(err.text), full);
	assert_string_equal(err.text + full - 3, "...");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contexts_go_in_front),
		cmocka_unit_test(nobody_asked),
		cmocka_unit_test(a_long_text_is_cut_with_an_ellipsis),
	};

	return UNIT_RUN(tests);
}
