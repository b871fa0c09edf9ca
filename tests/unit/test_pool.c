/* SPDX-License-Identifier: MIT */
/* common/pool: distinct aligned objects, slabs that come and go, poison. */
#include <stdlib.h>

#include "common/poison.h"
#include "common/pool.h"
#include "tests/unit/unit.h"

#define OBJECTS 5000

static void *objects[OBJECTS];

static void
objects_are_aligned_and_apart(void **state)
{
	const size_t sizes[] = {0, 1, 16, 200, POOL_SLAB_BYTES / 8};

	(void)state;
	for (size_t s = 0; s < UNIT_COUNT(sizes); s++) {
		struct pool p;

		pool_init(&p, sizes[s]);
		for (size_t i = 0; i < 1000; i++) {
			objects[i] = pool_get(&p);
			assert_non_null(objects[i]);
			assert_int_equal((uintptr_t)objects[i] % 16, 0);
			memset(objects[i], (int)i, sizes[s]);
		}
		for (size_t i = 0; i < 1000; i++) {
			const uint8_t *o = objects[i];

			for (size_t j = 0; j < sizes[s]; j++)
				assert_int_equal(o[j], i & 0xff);
			pool_put(&p, objects[i]);
		}
		assert_int_equal(p.in_use, 0);
		pool_put(&p, NULL);
		pool_done(&p);
		assert_int_equal(p.slab_count, 0);
	}
}

static void
memory_follows_a_burst_down(void **state)
{
	struct pool p;
	size_t most;

	(void)state;
	pool_init(&p, 176);
	for (size_t i = 0; i < OBJECTS; i++)
		assert_non_null(objects[i] = pool_get(&p));
	most = p.slab_count;
	assert_int_equal(p.in_use, OBJECTS);
	assert_true(most > OBJECTS / (POOL_SLAB_BYTES / 176));
	for (size_t i = 0; i < OBJECTS; i++)
		pool_put(&p, objects[i]);
	assert_int_equal(p.slab_count, 1);
	objects[0] = pool_get(&p);
	assert_non_null(objects[0]);
	assert_int_equal(p.slab_count, 1);
	pool_put(&p, objects[0]);
	pool_done(&p);
}

/* An empty slab that stays where it is counts as the spare one. */
static void
one_empty_slab_is_kept(void **state)
{
	const size_t each = (POOL_SLAB_BYTES - 64) / 4096;
	struct pool p;
	void *first;

	(void)state;
	pool_init(&p, 4096);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < each; i++)
			assert_non_null(objects[i] = pool_get(&p));
		assert_non_null(first = pool_get(&p));
		assert_int_equal(p.slab_count, 2);
		pool_put(&p, first);
		assert_int_equal(p.slab_count, 2);
		for (size_t i = 0; i < each; i++)
			pool_put(&p, objects[i]);
		assert_int_equal(p.slab_count, 1);
	}
	pool_done(&p);
	assert_int_equal(p.slab_count, 0);
}

/* Connections that come and go at random while their number falls. */
static void
scattered_slabs_drain(void **state)
{
	struct pool p;
	unsigned seed = 1;
	size_t live = OBJECTS, most;

	(void)state;
	pool_init(&p, 176);
	for (size_t i = 0; i < OBJECTS; i++)
		assert_non_null(objects[i] = pool_get(&p));
	most = p.slab_count;
	for (size_t round = 0; round < 20 * OBJECTS; round++) {
		size_t i = (size_t)rand_r(&seed) % live;

		pool_put(&p, objects[i]);
		objects[i] = objects[--live];
		if (live <= OBJECTS / 10 || rand_r(&seed) % 3 != 0)
			assert_non_null(objects[live++] = pool_get(&p));
	}
	assert_int_equal(p.in_use, live);
	assert_true(p.slab_count < most / 2);
	while (live > 0)
		pool_put(&p, objects[--live]);
	pool_done(&p);
	assert_int_equal(p.slab_count, 0);
}

static void
a_returned_object_is_poisoned(void **state)
{
#if POISON_ENABLED
	struct pool p;
	char *a, *b;

	pool_init(&p, 32);
	a = pool_get(&p);
	b = pool_get(&p);
	assert_false(__asan_address_is_poisoned(a + 31));
	assert_true(__asan_address_is_poisoned(b + 32));
	pool_put(&p, a);
	assert_true(__asan_address_is_poisoned(a));
	assert_ptr_equal(pool_get(&p), a);
	assert_false(__asan_address_is_poisoned(a));
	pool_put(&p, a);
	pool_put(&p, b);
	pool_done(&p);
#else
	skip();
#endif
	(void)state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_aligned_and_apart),
		cmocka_unit_test(memory_follows_a_burst_down),
		cmocka_unit_test(one_empty_slab_is_kept),
		cmocka_unit_test(scattered_slabs_drain),
		cmocka_unit_test(a_returned_object_is_poisoned),
	};

	return UNIT_RUN(tests);
}
