/* SPDX-License-Identifier: MIT */
/*
 * Proves the table of rates: what is allowed when, in time that the test makes;
 * by threads; and by processes that are killed anywhere.
 *
 * Context: no loop.
 */
#include "common/rate.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/siphash.h"
#include "tests/unit/unit.h"

#define SECOND UINT64_C(1000000000)
#define START (1000 * SECOND)

static struct rate_table *
table_new(size_t cells)
{
	size_t bytes = rate_table_bytes(cells);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	rate_table_init(p, cells);
	return p;
}

static void
table_free(struct rate_table *t, size_t cells)
{
	munmap(t, rate_table_bytes(cells));
}

/* The reference implementation's vectors for the bytes 0, 1, 2 ... */
static void
test_siphash(void **state)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const struct {
		size_t len;
		uint64_t hash;
	} cases[] = {
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{7, 0xab0200f58b01d137},
		{8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5},
	};
	char data[16];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)i;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		assert_int_equal(siphash(key, str_from(data, cases[i].len)),
		    cases[i].hash);
}

static void
test_steps(void **state)
{
	/* Ten a second, three at once. */
	static const struct rate_limit limit = {SECOND / 10, 3};
	static const struct {
		const char *name;
		uint64_t at_ms;
		bool is_allowed;
		uint64_t remaining, reset_ms, retry_ms;
	} steps[] = {
		{"the first", 0, true, 2, 100, 0},
		{"the second", 0, true, 1, 200, 0},
		{"the third", 0, true, 0, 300, 0},
		{"one too many", 0, false, 0, 300, 100},
		{"a refusal costs nothing", 0, false, 0, 300, 100},
		{"a little later", 40, false, 0, 260, 60},
		{"when it may", 100, true, 0, 300, 0},
		{"not again at once", 100, false, 0, 300, 100},
		{"after two", 310, true, 1, 190, 0},
		{"after a long pause no more than at first", 100000, true, 2,
		    100, 0},
		{"a clock that is a little behind", 99999, true, 0, 201, 0},
	};
	struct rate_table *t = table_new(64);

	for (size_t i = 0; i < UNIT_COUNT(steps); i++) {
		struct rate_verdict v = rate_take(t, 7, &limit,
		    START + steps[i].at_ms * 1000000);

		unit_check(v.is_allowed == steps[i].is_allowed, steps[i].name);
		unit_check(v.remaining == steps[i].remaining, steps[i].name);
		unit_check(v.reset_ns == steps[i].reset_ms * 1000000,
		    steps[i].name);
		unit_check(v.retry_ns == steps[i].retry_ms * 1000000,
		    steps[i].name);
	}
	table_free(t, 64);
}

/* Clients of one bucket don't touch each other, until there are too many; then
 * the one that would be free first is forgotten. */
static void
test_buckets(void **state)
{
	static const struct rate_limit limit = {SECOND, 5};
	struct rate_table *t = table_new(RATE_BUCKET_CELLS);
	struct rate_verdict v;

	for (uint64_t key = 1; key <= RATE_BUCKET_CELLS; key++)
		for (uint64_t i = 0; i < key; i++)
			assert_true(
			    rate_take(t, key, &limit, START).is_allowed);
	v = rate_take(t, RATE_BUCKET_CELLS, &limit, START);
	assert_int_equal(v.remaining, 0);
	assert_int_equal(rate_take(t, 99, &limit, START).remaining, 4);
	assert_false(rate_take(t, RATE_BUCKET_CELLS, &limit, START).is_allowed);
	assert_int_equal(rate_take(t, 3, &limit, START).remaining, 1);
	/* 1 lost its place, 99 had the least since: nobody else. */
	assert_int_equal(rate_take(t, 1, &limit, START).remaining, 4);
	assert_false(rate_take(t, RATE_BUCKET_CELLS, &limit, START).is_allowed);
	/* All have run out: nobody is lost for a new one. */
	assert_int_equal(rate_take(t, 5, &limit, START + 9 * SECOND).remaining,
	    4);
	table_free(t, RATE_BUCKET_CELLS);
}

static void
test_keys(void **state)
{
	struct rate_table *a = table_new(64), *b = table_new(64);

	assert_true(rate_key(a, STR("x")) == rate_key(a, STR("x")));
	assert_true(rate_key(a, STR("x")) != rate_key(a, STR("y")));
	assert_true(rate_key(a, STR("x")) != rate_key(b, STR("x")));
	assert_true(rate_key(a, STR("")) != 0);
	table_free(a, 64);
	table_free(b, 64);
}

#define THREADS 4
#define ASKS 20000

struct asker {
	struct rate_table *table;
	unsigned allowed[3];
	pthread_t thread;
};

static const struct rate_limit shared_limit = {SECOND, 1000};

static void *
asker_run(void *arg)
{
	struct asker *a = arg;

	for (unsigned i = 0; i < ASKS; i++)
		a->allowed[i % 3] +=
		    rate_take(a->table, 1 + i % 3, &shared_limit, START)
			.is_allowed;
	return NULL;
}

/* However many ask at once, no more are allowed than there are; that new cells
 * are taken by two at once may cost a few, once. */
static void
test_threads(void **state)
{
	struct asker asker[THREADS];
	struct rate_table *t = table_new(64);
	unsigned allowed[3] = {0};

	memset(asker, 0, sizeof(asker));
	for (uint64_t key = 1; key <= 3; key++)
		allowed[key - 1] +=
		    rate_take(t, key, &shared_limit, START).is_allowed;
	for (unsigned i = 0; i < THREADS; i++) {
		asker[i].table = t;
		assert_int_equal(pthread_create(&asker[i].thread, NULL,
		    asker_run, &asker[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(asker[i].thread, NULL);
		for (unsigned k = 0; k < 3; k++)
			allowed[k] += asker[i].allowed[k];
	}
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(allowed[k], shared_limit.burst);
	table_free(t, 64);
}

/* Asks for many keys of few buckets, so that cells change hands all the time,
 * until it is killed. */
static void
victim_run(struct rate_table *t, _Atomic uint64_t *rounds)
{
	static const struct rate_limit limit = {1000, 2};
	uint64_t now = START;

	for (;; now += 300) {
		for (uint64_t key = 1; key < 12; key++)
			(void)rate_take(t, key, &limit, now);
		atomic_fetch_add(rounds, 1);
	}
}

static void
victim_kill(struct rate_table *t, _Atomic uint64_t *rounds, unsigned spins)
{
	uint64_t before = atomic_load(rounds);
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0)
		victim_run(t, rounds);
	/* Once it is at work, at any place of it. */
	while (atomic_load(rounds) < before + 2 + spins)
		continue;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
test_killed(void **state)
{
	static const struct rate_limit limit = {SECOND, 3};
	struct rate_table *t = table_new(8);
	void *map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	_Atomic uint64_t *rounds = map;

	assert_true(map != MAP_FAILED);
	for (unsigned i = 0; i < 50; i++)
		victim_kill(t, rounds, i);
	/* Long after, the table counts as a new one does. */
	for (uint64_t key = 1; key <= 8; key++) {
		uint64_t later = START + 3600 * SECOND;

		for (uint64_t n = 0; n < 3; n++)
			assert_true(
			    rate_take(t, key, &limit, later).is_allowed);
		assert_false(rate_take(t, key, &limit, later).is_allowed);
	}
	munmap(map, sizeof(*rounds));
	table_free(t, 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_killed),
	};

	return UNIT_RUN(tests);
}
