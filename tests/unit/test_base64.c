/* SPDX-License-Identifier: MIT */
/*
 * Proves base64: the vectors of RFC 4648 10, and that nothing but the one right
 * text decodes.
 *
 * Context: no loop.
 */
#include "common/base64.h"
#include "tests/unit/unit.h"

static void
test_vectors(void **state)
{
	static const struct {
		const char *data, *plain, *url;
	} cases[] = {
	    {"", "", ""},
	    {"f", "Zg==", "Zg"},
	    {"fo", "Zm8=", "Zm8"},
	    {"foo", "Zm9v", "Zm9v"},
	    {"foob", "Zm9vYg==", "Zm9vYg"},
	    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
	    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	    {"\xfb\xff\xfe", "+//+", "-__-"},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str data = str_of(cases[i].data);

		for (enum base64_kind k = BASE64_PLAIN; k <= BASE64_URL; k++) {
			struct str text = str_of(
			    k == BASE64_PLAIN ? cases[i].plain : cases[i].url);
			char out[32];

			unit_check_str(
			    str_from(out, base64_encode(data, k, out)), text,
			    "encoded");
			memcpy(out, text.p, text.len);
			assert_int_equal(
			    base64_decode(str_from(out, text.len), k, out),
			    data.len);
			unit_check_str(
			    str_from(out, data.len), data, "decoded in place");
		}
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name, *text;
		enum base64_kind kind;
	} cases[] = {
	    {"no padding", "Zg", BASE64_PLAIN},
	    {"half of it", "Zg=", BASE64_PLAIN},
	    {"too much of it", "Zg===", BASE64_PLAIN},
	    {"padding alone", "====", BASE64_PLAIN},
	    {"padding in the middle", "Zg==Zg==", BASE64_PLAIN},
	    {"padding behind a whole group", "Zm9v=", BASE64_PLAIN},
	    {"bits that no byte takes", "Zh==", BASE64_PLAIN},
	    {"and two of them", "Zm9=", BASE64_PLAIN},
	    {"the other alphabet", "-__-", BASE64_PLAIN},
	    {"a space", "Zm 9", BASE64_PLAIN},
	    {"a line's end", "Zm9v\n", BASE64_PLAIN},
	    {"padding where there is none", "Zg==", BASE64_URL},
	    {"a lone digit", "Zm9vY", BASE64_URL},
	    {"bits that no byte takes", "Zh", BASE64_URL},
	    {"and two of them", "Zm9", BASE64_URL},
	    {"the other alphabet", "+//+", BASE64_URL},
	    {"a byte beyond ASCII", "Zm9\xc3", BASE64_URL},
	};
	char out[32];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check(base64_decode(
		    str_of(cases[i].text), cases[i].kind, out) == -1,
		    cases[i].name);
	assert_int_equal(
	    base64_decode(str_from("Zm\0v", 4), BASE64_URL, out), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_refused),
	};

	return UNIT_RUN(tests);
}
