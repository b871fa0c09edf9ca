/* SPDX-License-Identifier: MIT */
/*
 * Proves attributes: set, replaced, removed, and independent of what they were
 * made from.
 *
 * Context: no loop.
 */
#include "server/attr.h"
#include "tests/unit/unit.h"

static struct lane_value
text(const char *s)
{
	return (struct lane_value){.kind = LANE_TEXT, .u.s = {s, strlen(s)}};
}

static struct lane_value
number(int64_t i)
{
	return (struct lane_value){.kind = LANE_INT, .u.i = i};
}

static void
test_steps(void **state)
{
	static const struct {
		const char *name, *key, *value; /* NULL: remove */
		const char *a, *b; /* what they are afterwards, or NULL */
	} steps[] = {
	    {"removing what isn't there", "a", NULL, NULL, NULL},
	    {"the first", "a", "1", "1", NULL},
	    {"a second", "b", "2", "1", "2"},
	    {"replaced by a longer one", "a", "one", "one", "2"},
	    {"replaced by an empty one", "b", "", "one", ""},
	    {"the first removed", "a", NULL, NULL, ""},
	    {"and set again", "a", "3", "3", ""},
	    {"the last removed", "b", NULL, "3", NULL},
	    {"a name that begins alike", "aa", "4", "3", NULL},
	};
	struct attr *list = NULL;
	struct arena arena;

	arena_init(&arena, NULL);
	for (size_t i = 0; i < UNIT_COUNT(steps); i++) {
		const char *want[2] = {steps[i].a, steps[i].b};
		struct lane_value value = {.kind = LANE_NULL};

		if (steps[i].value != NULL)
			value = text(steps[i].value);
		assert_int_equal(
		    attr_set(&list, &arena, str_of(steps[i].key), value), 0);
		for (size_t k = 0; k < 2; k++) {
			value = attr_get(list, str_of(k == 0 ? "a" : "b"));
			unit_check(
			    (value.kind == LANE_NULL) == (want[k] == NULL),
			    steps[i].name);
			if (want[k] != NULL)
				unit_check_str(
				    str_from(value.u.s.p, value.u.s.len),
				    str_of(want[k]), steps[i].name);
		}
	}
	arena_done(&arena);
}

/* Name and text may go as soon as attr_set() has returned. */
static void
test_copied(void **state)
{
	char name[] = "name", value[] = "value";
	struct attr *list = NULL;
	struct lane_value got;
	struct arena arena;

	arena_init(&arena, NULL);
	assert_int_equal(attr_set(&list, &arena, str_of(name), text(value)), 0);
	memset(name, 'x', sizeof(name) - 1);
	memset(value, 'x', sizeof(value) - 1);
	assert_int_equal(attr_get(list, str_of(name)).kind, LANE_NULL);
	got = attr_get(list, STR("name"));
	unit_check_str(
	    str_from(got.u.s.p, got.u.s.len), STR("value"), "the copy");
	arena_done(&arena);
}

static void
test_kinds(void **state)
{
	static const int type = 0;
	struct attr *list = NULL;
	struct arena arena;
	struct lane_value got,
	    pointer = {.kind = LANE_POINTER, .u.ptr = {&arena, &type}};

	arena_init(&arena, NULL);
	assert_int_equal(attr_set(&list, &arena, STR("n"), number(-7)), 0);
	assert_int_equal(attr_get(list, STR("n")).u.i, -7);
	assert_int_equal(attr_set(&list, &arena, STR("n"), pointer), 0);
	got = attr_get(list, STR("n"));
	assert_int_equal(got.kind, LANE_POINTER);
	assert_ptr_equal(got.u.ptr.p, &arena);
	assert_ptr_equal(got.u.ptr.type, &type);
	arena_done(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_steps),
	    cmocka_unit_test(test_copied),
	    cmocka_unit_test(test_kinds),
	};

	return UNIT_RUN(tests);
}
