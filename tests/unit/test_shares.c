/* SPDX-License-Identifier: MIT */
/*
 * The plan of who accepts from which sockets: every share has one owner, as
 * long as anybody serves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "workers/shares.h"

struct shares_case {
	const char *name;
	const char *serves;		/* '1' or '0' per worker */
	unsigned share_count;
	const char *owners;		/* one digit per share */
};

static const struct shares_case shares_cases[] = {
	{"one worker has all", "1", 4, "0000"},
	{"shares go round", "111", 8, "01201201"},
	{"the share of a dead worker is adopted", "110", 8, "01001101"},
	{"what several leave is spread", "1010", 8, "00220022"},
	{"one that is left has all", "0010", 8, "22222222"},
	{"fewer shares than workers", "1111", 2, "01"},
};

static void
test_every_share_has_the_owner_that_is_due(void **state)
{
	const size_t count = sizeof(shares_cases) / sizeof(shares_cases[0]);

	for (size_t i = 0; i < count; i++) {
		const struct shares_case *c = &shares_cases[i];
		struct shares plan[SHARES_MAX];
		bool serves[SHARES_MAX];
		unsigned workers = 0, total = 0;

		for (; c->serves[workers] != '\0'; workers++)
			serves[workers] = c->serves[workers] == '1';
		shares_plan(serves, workers, c->share_count, plan);
		for (unsigned s = 0; s < c->share_count; s++)
			if (!shares_has(&plan[c->owners[s] - '0'], s))
				fail_msg("%s: share %u", c->name, s);
		for (unsigned w = 0; w < workers; w++)
			total += shares_count(&plan[w]);
		if (total != c->share_count)
			fail_msg("%s: %u shares given", c->name, total);
	}
}

static void
test_nobody_serves_and_nobody_owns(void **state)
{
	bool serves[2] = {false, false};
	struct shares plan[2], none = {{0}};

	shares_plan(serves, 2, 8, plan);
	assert_true(shares_is_equal(&plan[0], &none));
	assert_true(shares_is_equal(&plan[1], &none));
}

static void
test_every_number_of_workers_and_deaths_covers_all_shares(void **state)
{
	struct shares plan[SHARES_MAX];
	bool serves[SHARES_MAX];

	for (unsigned workers = 1; workers <= 120; workers++) {
		unsigned total = 0;

		for (unsigned w = 0; w < workers; w++)
			serves[w] = w % 3 != 1;
		shares_plan(serves, workers, 120, plan);
		for (unsigned w = 0; w < workers; w++)
			total += shares_count(&plan[w]);
		assert_int_equal(total, 120);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_share_has_the_owner_that_is_due),
		cmocka_unit_test(test_nobody_serves_and_nobody_owns),
		cmocka_unit_test(
		    test_every_number_of_workers_and_deaths_covers_all_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
