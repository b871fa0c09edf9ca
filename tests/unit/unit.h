/* SPDX-License-Identifier: MIT */
/*
 * What unit tests share: cmocka with the headers it wants before it, and checks
 * that name the case of a table that failed.
 *
 *	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
 *		unit_check(f(cases[i].in) == cases[i].out, cases[i].name);
 *
 * Context: one process per test file.
 */
#ifndef CORELANE_TESTS_UNIT_H
#define CORELANE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/str.h"

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNIT_RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

static inline void
unit_check(bool ok, const char *name)
{
	if (!ok)
		fail_msg("%s", name);
}

/* Fails with both texts where `got` isn't `want`. */
static inline void
unit_check_str(struct str got, struct str want, const char *name)
{
	if (!str_eq(got, want))
		fail_msg("%s: got '%.*s', not '%.*s'", name, STR_FMT(got),
		    STR_FMT(want));
}

#endif
