/* SPDX-License-Identifier: MIT */
/* common/metric_names: one index for one name, whoever claims it and dies. */
#include <pthread.h>
#include <stdio.h>

#include "common/metric_names.h"
#include "tests/unit/unit.h"

#define RACERS 4

static struct metric_names names;

static int
setup(void **state)
{
	(void)state;
	memset(&names, 0, sizeof(names));
	return 0;
}

static int
claim(enum metric_kind kind, const char *module, const char *name)
{
	return metric_names_claim(
	    &names, kind, str_of(module), str_of(name), STR("help"));
}

static void
names_become_what_prometheus_takes(void **state)
{
	static const struct {
		const char *module, *name, *want;
		enum metric_kind kind;
	} cases[] = {
	    {"api", "orders", "api_orders", METRIC_COUNTER},
	    {"api", "lost_total", "api_lost", METRIC_COUNTER},
	    {"api", "wait_total", "api_wait_total", METRIC_HISTOGRAM},
	    {"a-b", "c.d e\"{\n", "a_b_c_d_e___", METRIC_COUNTER},
	    {"m\xc3\xbc", "x", "m___x", METRIC_COUNTER},
	};
	struct metric_text text;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		int at = claim(cases[i].kind, cases[i].module, cases[i].name);

		unit_check(at >= 0, cases[i].want);
		unit_check(metric_names_get(
		    &names, cases[i].kind, (unsigned)at, &text),
		    cases[i].want);
		assert_string_equal(text.name, cases[i].want);
	}
}

static void
what_cannot_be_a_name_is_refused(void **state)
{
	char longest[METRIC_NAME_BYTES + 1];

	(void)state;
	memset(longest, 'x', METRIC_NAME_BYTES);
	longest[METRIC_NAME_BYTES] = '\0';
	assert_int_equal(claim(METRIC_COUNTER, "api", ""), -1);
	assert_int_equal(claim(METRIC_COUNTER, "api", NULL), -1);
	assert_int_equal(claim(METRIC_COUNTER, "api", "_total"), -1);
	assert_int_equal(claim(METRIC_COUNTER, "api", longest), -1);
	/* The server's own. */
	assert_int_equal(claim(METRIC_COUNTER, "requests", "malformed"), -1);
	assert_int_equal(claim(METRIC_COUNTER, "worker", "requests_total"), -1);
	assert_int_equal(claim(METRIC_HISTOGRAM, "build", "info"), -1);
}

static void
a_name_has_one_kind(void **state)
{
	(void)state;
	assert_int_equal(claim(METRIC_COUNTER, "api", "lookups"), 0);
	assert_int_equal(claim(METRIC_HISTOGRAM, "api", "lookups"), -1);
}

static void
a_full_table_refuses_new_names_and_keeps_the_old(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < METRIC_COUNTERS; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(claim(METRIC_COUNTER, "m", name), i);
	}
	assert_int_equal(claim(METRIC_COUNTER, "m", "more"), -1);
	assert_int_equal(claim(METRIC_COUNTER, "m", "n7"), 7);
}

/* The worker that claimed it was killed before it had written the text. */
static void
a_half_made_entry_is_completed_by_the_next(void **state)
{
	struct metric_text text;

	(void)state;
	assert_int_equal(claim(METRIC_COUNTER, "api", "orders"), 0);
	atomic_store(&names.counter[0].is_complete, 0);
	atomic_store(&names.counter[0].name[0], 0);
	assert_false(metric_names_get(&names, METRIC_COUNTER, 0, &text));
	assert_int_equal(claim(METRIC_COUNTER, "api", "other"), 1);
	assert_int_equal(claim(METRIC_COUNTER, "api", "orders"), 0);
	assert_true(metric_names_get(&names, METRIC_COUNTER, 0, &text));
	assert_string_equal(text.name, "api_orders");
	assert_string_equal(text.help, "help");
}

static void
help_is_one_line_of_utf8(void **state)
{
	char help[METRIC_HELP_BYTES * 2];
	struct metric_text text;

	(void)state;
	assert_int_equal(metric_names_claim(&names, METRIC_COUNTER, STR("a"),
	    STR("b"), STR("two\nlines, \xff and \xc3\xbc")),
	    0);
	assert_true(metric_names_get(&names, METRIC_COUNTER, 0, &text));
	assert_string_equal(text.help, "two lines,   and \xc3\xbc");
	/* Cut between characters of two bytes. */
	for (size_t i = 0; i < sizeof(help); i += 2)
		memcpy(help + i, "\xc3\xbc", 2);
	assert_int_equal(metric_names_claim(&names, METRIC_COUNTER, STR("a"),
	    STR("c"), str_from(help, sizeof(help))),
	    1);
	assert_true(metric_names_get(&names, METRIC_COUNTER, 1, &text));
	assert_int_equal(strlen(text.help), METRIC_HELP_BYTES - 2);
}

struct racer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int got[METRIC_COUNTERS];
	unsigned first;
};

/* All the same names, each racer from another place on. */
static void *
race(void *arg)
{
	struct racer *r = arg;
	char name[16];

	pthread_barrier_wait(r->barrier);
	for (unsigned i = 0; i < METRIC_COUNTERS; i++) {
		unsigned n = (r->first + i) % METRIC_COUNTERS;

		snprintf(name, sizeof(name), "n%u", n);
		r->got[n] = metric_names_claim(&names, METRIC_COUNTER,
		    STR("race"), str_of(name), STR("help"));
	}
	return NULL;
}

static void
racing_claimers_agree(void **state)
{
	struct racer racer[RACERS] = {0};
	pthread_barrier_t barrier;
	struct metric_text text;

	(void)state;
	memset(&names, 0, sizeof(names));
	assert_int_equal(pthread_barrier_init(&barrier, NULL, RACERS), 0);
	for (unsigned i = 0; i < RACERS; i++) {
		racer[i].barrier = &barrier;
		racer[i].first = i * 7;
		assert_int_equal(
		    pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
	}
	for (unsigned i = 0; i < RACERS; i++)
		assert_int_equal(pthread_join(racer[i].thread, NULL), 0);
	pthread_barrier_destroy(&barrier);
	for (unsigned n = 0; n < METRIC_COUNTERS; n++) {
		char want[16];

		snprintf(want, sizeof(want), "race_n%u", n);
		for (unsigned i = 0; i < RACERS; i++)
			assert_int_equal(racer[i].got[n], racer[0].got[n]);
		assert_true(racer[0].got[n] >= 0);
		assert_true(metric_names_get(
		    &names, METRIC_COUNTER, (unsigned)racer[0].got[n], &text));
		assert_string_equal(text.name, want);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(names_become_what_prometheus_takes),
	    TEST(what_cannot_be_a_name_is_refused),
	    TEST(a_name_has_one_kind),
	    TEST(a_full_table_refuses_new_names_and_keeps_the_old),
	    TEST(a_half_made_entry_is_completed_by_the_next),
	    TEST(help_is_one_line_of_utf8),
	    TEST(racing_claimers_agree),
	};

	return UNIT_RUN(tests);
}
