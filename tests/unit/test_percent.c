/* SPDX-License-Identifier: MIT */
/* common/percent: decoding once, and dot segments. */
#include "common/percent.h"
#include "tests/unit/unit.h"

static const struct {
	const char *name;
	struct str in;
	unsigned flags;
	const char *out;	/* NULL: refused */
} decodes[] = {
	{"nothing", STR_INIT(""), 0, ""},
	{"no escape", STR_INIT("/a+b"), 0, "/a+b"},
	{"both cases of digits", STR_INIT("%2f%2F%C3%a4"), 0, "//\xc3\xa4"},
	{"decoded once", STR_INIT("%2541"), 0, "%41"},
	{"a kept slash", STR_INIT("a%2fb%2Fc%41"), PERCENT_KEEP_SLASH,
	    "a%2fb%2FcA"},
	{"a plus is a space if asked", STR_INIT("a+b%2B"), PERCENT_PLUS,
	    "a b+"},
	{"a lone percent", STR_INIT("%"), 0, NULL},
	{"one digit at the end", STR_INIT("a%4"), 0, NULL},
	{"no digits", STR_INIT("%zz"), 0, NULL},
	{"a second digit that is none", STR_INIT("%4g"), 0, NULL},
	{"NUL", STR_INIT("a%00"), 0, NULL},
};

static void
escapes_are_decoded(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(decodes); i++) {
		ptrdiff_t n = percent_decode(decodes[i].in, decodes[i].flags,
		    out);

		if (decodes[i].out == NULL)
			unit_check(n == -1, decodes[i].name);
		else
			unit_check_str(str_from(out, (size_t)n),
			    str_of(decodes[i].out), decodes[i].name);
	}
}

static void
decoding_works_in_place(void **state)
{
	char text[] = "%41%2f+%42";
	ptrdiff_t n = percent_decode(str_of(text),
	    PERCENT_KEEP_SLASH | PERCENT_PLUS, text);

	(void)state;
	unit_check_str(str_from(text, (size_t)n), STR("A%2f B"), "in place");
}

static void
the_quick_question_agrees(void **state)
{
	(void)state;
	assert_false(percent_is_encoded(STR(""), PERCENT_PLUS));
	assert_false(percent_is_encoded(STR("/a+b"), 0));
	assert_true(percent_is_encoded(STR("/a+b"), PERCENT_PLUS));
	assert_true(percent_is_encoded(STR("/long/enough/to/matter%"), 0));
}

static const struct {
	const char *name;
	const char *in;
	const char *out;	/* NULL: refused */
} paths[] = {
	{"the root", "/", "/"},
	{"a file", "/a/b.c", "/a/b.c"},
	{"a trailing slash stays", "/a/b/", "/a/b/"},
	{"empty segments go", "//a///b//", "/a/b/"},
	{"a dot goes", "/./a/./b", "/a/b"},
	{"a dot at the end leaves its slash", "/a/.", "/a/"},
	{"dot dot goes up", "/a/b/../c", "/a/c"},
	{"dot dot at the end leaves a slash", "/a/b/..", "/a/"},
	{"up to the root", "/a/..", "/"},
	{"up and down again", "/a/../b/../c", "/c"},
	{"not above the root", "/..", NULL},
	{"not above the root later", "/a/../../b", NULL},
	{"empty segments don't count", "/a//..//..", NULL},
	{"names that begin with dots", "/.a/..b/...", "/.a/..b/..."},
	{"an encoded slash is data", "/a%2f../b", "/a%2f../b"},
	{"no leading slash", "a/b", NULL},
	{"empty", "", NULL},
	{"deep in a long path", "/0123456789/0123456789/./x",
	    "/0123456789/0123456789/x"},
	{"long and normal", "/0123456789/.0123456789/x.y/z..",
	    "/0123456789/.0123456789/x.y/z.."},
};

static void
dot_segments_are_resolved(void **state)
{
	char text[64];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(paths); i++) {
		struct str in = str_of(paths[i].in);
		ptrdiff_t n;

		memcpy(text, in.p, in.len + 1);
		n = path_normalize(text, in.len);
		if (paths[i].out == NULL)
			unit_check(n == -1, paths[i].name);
		else
			unit_check_str(str_from(text, (size_t)n),
			    str_of(paths[i].out), paths[i].name);
	}
}

/* All paths of up to nine bytes over a small alphabet, behind a prefix that
 * moves them over the edges of words. */
static void
the_quick_look_agrees_with_normalizing(void **state)
{
	static const char alphabet[] = "/.a";
	char path[32], copy[32];

	(void)state;
	for (unsigned shift = 0; shift < 9; shift++) {
		memcpy(path, "/xxxxxxxx", 9);
		for (unsigned n = 0; n < 19683; n++) {
			unsigned rest = n;
			size_t len = shift;
			ptrdiff_t out;
			bool same;

			for (; rest > 0 && len < shift + 9; rest /= 3)
				path[len++] = alphabet[rest % 3];
			memcpy(copy, path, len);
			out = path_normalize(copy, len);
			same = out == (ptrdiff_t)len &&
			    memcmp(copy, path, len) == 0;
			if (path_is_normal(str_from(path, len)) != same)
				fail_msg("'%.*s'", (int)len, path);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_are_decoded),
		cmocka_unit_test(decoding_works_in_place),
		cmocka_unit_test(the_quick_question_agrees),
		cmocka_unit_test(dot_segments_are_resolved),
		cmocka_unit_test(the_quick_look_agrees_with_normalizing),
	};

	return UNIT_RUN(tests);
}
