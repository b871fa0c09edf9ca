/* SPDX-License-Identifier: MIT */
/* common/arena: alignment, chunks and their cache, deferred order, poison. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/poison.h"
#include "tests/unit/unit.h"

static char order[8];
static size_t order_len;
static struct arena *defer_arena;

static void
note(void *ptr)
{
	order[order_len++] = *(const char *)ptr;
}

static void
note_and_defer(void *ptr)
{
	static char late[] = "z";

	note(ptr);
	assert_int_equal(arena_defer(defer_arena, note, late), 0);
}

static void
allocations_are_aligned_and_apart(void **state)
{
	struct arena a;
	char *p[200];

	(void)state;
	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(p); i++) {
		p[i] = arena_alloc(&a, i);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)i, i);
	}
	for (size_t i = 0; i < UNIT_COUNT(p); i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal((uint8_t)p[i][j], i);
	}
	arena_done(&a);
	assert_null(a.chunks);
}

static void
an_unused_arena_owns_nothing(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, NULL);
	assert_null(a.chunks);
	assert_non_null(arena_alloc(&a, 0));
	arena_done(&a);
	arena_done(&a);
}

static void
a_size_that_overflows_is_refused(void **state)
{
	volatile size_t huge = SIZE_MAX;
	struct arena a;
	struct str s;

	(void)state;
	arena_init(&a, NULL);
	for (size_t i = 0; i < 16; i++)
		assert_null(arena_alloc(&a, huge - i));
	s = arena_copy(&a, str_from("x", huge));
	assert_true(str_is_null(s));
	arena_done(&a);
}

static void
a_large_allocation_leaves_the_tail_in_use(void **state)
{
	struct arena a;
	char *before, *large, *after;

	(void)state;
	arena_init(&a, NULL);
	before = arena_alloc(&a, 16);
	large = arena_alloc(&a, 10 * ARENA_CHUNK_BYTES);
	after = arena_alloc(&a, 16);
	assert_non_null(large);
	memset(large, 1, 10 * ARENA_CHUNK_BYTES);
	assert_ptr_equal(after, before + 16);
	arena_done(&a);
}

static void
chunks_go_round_in_the_cache(void **state)
{
	struct arena_cache cache;
	struct arena a;

	(void)state;
	arena_cache_init(&cache, 2);
	for (int round = 0; round < 3; round++) {
		arena_init(&a, &cache);
		for (int i = 0; i < 4; i++)
			assert_non_null(arena_alloc(&a, 3000));
		assert_non_null(arena_alloc(&a, 9000));
		assert_int_equal(cache.spare_count, 0);
		arena_done(&a);
		assert_int_equal(cache.spare_count, 2);
	}
	arena_cache_done(&cache);
	assert_int_equal(cache.spare_count, 0);
}

static void
zalloc_clears_what_was_used_before(void **state)
{
	struct arena_cache cache;
	struct arena a;
	char *p;

	(void)state;
	arena_cache_init(&cache, 1);
	arena_init(&a, &cache);
	p = arena_alloc(&a, 64);
	assert_non_null(p);
	memset(p, 0xff, 64);
	arena_done(&a);
	p = arena_zalloc(&a, 64);
	assert_non_null(p);
	for (int i = 0; i < 64; i++)
		assert_int_equal(p[i], 0);
	arena_done(&a);
	arena_cache_done(&cache);
}

static void
defers_run_newest_first_and_late_ones_too(void **state)
{
	static char names[] = "abc";
	struct arena a;

	(void)state;
	arena_init(&a, NULL);
	defer_arena = &a;
	order_len = 0;
	assert_int_equal(arena_defer(&a, note, &names[0]), 0);
	assert_int_equal(arena_defer(&a, note_and_defer, &names[1]), 0);
	assert_int_equal(arena_defer(&a, note, &names[2]), 0);
	arena_done(&a);
	unit_check_str(str_from(order, order_len), STR("cbza"), "the order");
}

static void
printf_fits_or_moves_on(void **state)
{
	struct arena a;
	struct str s;

	(void)state;
	arena_init(&a, NULL);
	s = arena_printf(&a, "%s-%d", "x", 7);
	unit_check_str(s, STR("x-7"), "into an empty arena");
	assert_int_equal(s.p[s.len], '\0');
	s = arena_printf(&a, "%3990d", 1);
	assert_int_equal(s.len, 3990);
	s = arena_printf(&a, "%0*d", 200, 5);
	assert_int_equal(s.len, 200);
	assert_int_equal(s.p[199], '5');
	s = arena_printf(&a, "%6000d", 3);
	assert_int_equal(s.len, 6000);
	assert_int_equal(s.p[5999], '3');
	assert_int_equal(s.p[6000], '\0');
	arena_done(&a);
}

static void
copy_ends_in_a_nul(void **state)
{
	struct arena a;
	struct str s;

	(void)state;
	arena_init(&a, NULL);
	s = arena_copy(&a, STR("hel\0lo"));
	unit_check_str(s, STR("hel\0lo"), "NUL inside");
	assert_int_equal(s.p[s.len], '\0');
	s = arena_copy(&a, (struct str){NULL, 0});
	assert_false(str_is_null(s));
	assert_int_equal(s.len, 0);
	arena_done(&a);
}

static void
the_tail_is_poisoned(void **state)
{
#if POISON_ENABLED
	struct arena a;
	char *p;

	arena_init(&a, NULL);
	p = arena_alloc(&a, 13);
	assert_non_null(p);
	assert_false(__asan_address_is_poisoned(p + 12));
	assert_true(__asan_address_is_poisoned(p + 13));
	assert_true(__asan_address_is_poisoned(p + 16));
	assert_non_null(arena_printf(&a, "text").p);
	assert_true(__asan_address_is_poisoned(p + 16 + 5));
	arena_done(&a);
#else
	skip();
#endif
	(void)state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_aligned_and_apart),
		cmocka_unit_test(an_unused_arena_owns_nothing),
		cmocka_unit_test(a_size_that_overflows_is_refused),
		cmocka_unit_test(a_large_allocation_leaves_the_tail_in_use),
		cmocka_unit_test(chunks_go_round_in_the_cache),
		cmocka_unit_test(zalloc_clears_what_was_used_before),
		cmocka_unit_test(defers_run_newest_first_and_late_ones_too),
		cmocka_unit_test(printf_fits_or_moves_on),
		cmocka_unit_test(copy_ends_in_a_nul),
		cmocka_unit_test(the_tail_is_poisoned),
	};

	return UNIT_RUN(tests);
}
