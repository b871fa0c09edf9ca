/* SPDX-License-Identifier: MIT */
/*
 * Queries: cut, decoded, found again.
 */
#include "server/query.h"

#include "tests/unit/unit.h"

static const struct {
	const char *name;
	struct str text;
	unsigned count;
	struct pair item[4];
	struct str malformed;
} cases[] = {
	{"no query", {NULL, 0}, 0, {{{0}, {0}}}, {0}},
	{"an empty one", STR_INIT(""), 0, {{{0}, {0}}}, {0}},
	{"a name and a value", STR_INIT("a=1"), 1,
	    {{STR_INIT("a"), STR_INIT("1")}}, {0}},
	{"a name alone has an empty value", STR_INIT("a&b="), 2,
	    {{STR_INIT("a"), STR_INIT("")}, {STR_INIT("b"), STR_INIT("")}},
	    {0}},
	{"an empty name", STR_INIT("=x"), 1, {{STR_INIT(""), STR_INIT("x")}},
	    {0}},
	{"empty items are none", STR_INIT("&a=1&&b=2&"), 2,
	    {{STR_INIT("a"), STR_INIT("1")}, {STR_INIT("b"), STR_INIT("2")}},
	    {0}},
	{"only the first = divides", STR_INIT("a=b=c"), 1,
	    {{STR_INIT("a"), STR_INIT("b=c")}}, {0}},
	{"escapes in names and values", STR_INIT("%61%26=%3d+%2B+"), 1,
	    {{STR_INIT("a&"), STR_INIT("= + ")}}, {0}},
	{"decoded once", STR_INIT("a=%2541"), 1,
	    {{STR_INIT("a"), STR_INIT("%41")}}, {0}},
	{"a repeated name", STR_INIT("t=1&u=2&t=3"), 3,
	    {{STR_INIT("t"), STR_INIT("1")}, {STR_INIT("u"), STR_INIT("2")},
	    {STR_INIT("t"), STR_INIT("3")}}, {0}},
	{"a bad escape stays as it was sent", STR_INIT("a=%zz&b=+"), 2,
	    {{STR_INIT("a"), STR_INIT("%zz")}, {STR_INIT("b"), STR_INIT(" ")}},
	    STR_INIT("%zz")},
	{"NUL is a bad escape", STR_INIT("a=%00"), 1,
	    {{STR_INIT("a"), STR_INIT("%00")}}, STR_INIT("%00")},
};

static void
test_parse(void **state)
{
	struct query_list *list;
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		list = query_parse(cases[i].text, &a);
		unit_check(list != NULL, cases[i].name);
		unit_check(list->count == cases[i].count, cases[i].name);
		unit_check_str(list->malformed, cases[i].malformed,
		    cases[i].name);
		for (size_t j = 0; j < list->count; j++) {
			unit_check_str(list->item[j].name,
			    cases[i].item[j].name, cases[i].name);
			unit_check_str(list->item[j].value,
			    cases[i].item[j].value, cases[i].name);
			unit_check(list->item[j].value.p != NULL,
			    cases[i].name);
		}
	}
	arena_done(&a);
}

static void
test_find(void **state)
{
	struct query_list *list;
	struct arena a;

	arena_init(&a, NULL);
	list = query_parse(STR("t=1&u=2&t=3"), &a);
	assert_non_null(list);
	unit_check_str(query_find(list, STR("t"), 0)->value, STR("1"),
	    "the first");
	unit_check_str(query_find(list, STR("t"), 1)->value, STR("3"),
	    "the second");
	assert_null(query_find(list, STR("t"), 2));
	assert_null(query_find(list, STR("T"), 0));
	arena_done(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_find),
	};

	return UNIT_RUN(tests);
}
