/* SPDX-License-Identifier: MIT */
/* config/scan, node: strict JSON with comments and trailing commas. */
#include "tests/unit/config_text.h"

static const struct config_text taken[] = {
	{"an empty object", TEXT("{}"), ""},
	{"white space of every kind", TEXT(" \t\r\n{ }\r\n"), ""},
	{"a byte order mark", TEXT("\xef\xbb\xbf{}"), ""},
	{"comments everywhere", TEXT("// a\n/* b */{/**/\"workers\"/* * / */"
	    ": // c\n1 /* ** */ } // d"), ""},
	{"a comment may hold any byte", TEXT("/* \xff \x01 \" */{}//\xff"), ""},
	{"// in a string is no comment",
	    TEXT("{\"user\": \"a//b\", \"group\": \"/*\"}"), ""},
	{"trailing commas", TEXT("{\"listen\": [{\"address\": \":0\",},],}"),
	    ""},
	{"a comma before a comment", TEXT("{\"workers\": 1, /* x */ }"), ""},
	{"escapes of every kind", TEXT("{\"user\": "
	    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\uDE00\"}"), ""},
	{"numbers as data keep their form", TEXT("{\"routes\": [{\"path\": "
	    "\"/\", \"handler\": \"respond\", \"json\": [0, -0, 1.50, 1e3, "
	    "-1.5E-7, 12E+2]}]}"), ""},
};

static const struct config_text structure[] = {
	{"an empty file", TEXT(""),
	    "x.json:1:1: the file ends where a value is due\n"},
	{"nothing but space", TEXT(" \n  "),
	    "x.json:2:3: the file ends where a value is due\n"},
	{"nothing but a comment", TEXT("// hm"),
	    "x.json:1:6: the file ends where a value is due\n"},
	{"nothing but a byte order mark", TEXT("\xef\xbb\xbf"),
	    "x.json:1:1: the file ends where a value is due\n"},
	{"an unfinished comment", TEXT("{\n /* never\n}"),
	    "x.json:2:2: this comment never ends: close it with */\n"},
	{"a lone slash", TEXT("{ / }"),
	    "x.json:1:3: a comment starts with // or /*\n"},
	{"another language's comment", TEXT("# hello\n{}"),
	    "x.json:1:1: a comment starts with // or /*, not with #\n"},
	{"two values", TEXT("{} {}"),
	    "x.json:1:4: there is more after the end of the configuration\n"},
	{"NUL after the end", TEXT("{}\0"),
	    "x.json:1:3: there is more after the end of the configuration\n"},
	{"NUL where a value is due", TEXT("{\"user\": \0}"),
	    "x.json:1:10: a value is missing here\n"},
	{"an object that never ends", TEXT("{\"workers\": 1"),
	    "x.json:1:14: the file ends within an object: } is missing\n"},
	{"an object that ends after a comma", TEXT("{\"workers\": 1,"),
	    "x.json:1:15: the file ends within an object: } is missing\n"},
	{"a list that never ends", TEXT("{\"listen\": [1"),
	    "x.json:1:14: the file ends within a list: ] is missing\n"},
	{"the wrong bracket", TEXT("{\"listen\": [1}"),
	    "x.json:1:14: a comma or ] is missing here\n"},
	{"no comma", TEXT("{\"a\": 1\n \"b\": 2}"),
	    "x.json:2:2: a comma or } is missing here\n"},
	{"two commas", TEXT("{\"listen\": [1,,2]}"),
	    "x.json:1:15: a value is missing here\n"},
	{"a comma alone", TEXT("{,}"),
	    "x.json:1:2: a key in double quotes is missing here\n"},
	{"a comma alone in a list", TEXT("{\"listen\": [,]}"),
	    "x.json:1:13: a value is missing here\n"},
	{"no quotes around a key", TEXT("{workers: 1}"),
	    "x.json:1:2: a key in double quotes is missing here\n"},
	{"no colon", TEXT("{\"workers\" 1}"),
	    "x.json:1:12: a colon is missing after the key\n"},
	{"no value", TEXT("{\"workers\": }"),
	    "x.json:1:13: a value is missing here\n"},
	{"single quotes", TEXT("{\"user\": 'me'}"),
	    "x.json:1:10: a string takes double quotes\n"},
	{"a list", TEXT("[]"), "x.json:1:1: must be an object, not a list\n"},
	{"a number", TEXT("1"),
	    "x.json:1:1: must be an object, not a number\n"},
	{"null", TEXT("null"), "x.json:1:1: must be an object, not null\n"},
};

static const struct config_text strings[] = {
	{"a string that never ends", TEXT("{\"user\": \"me\n}"),
	    "x.json:1:10: this string doesn't end on its line\n"},
	{"a string at the end of the file", TEXT("{\"user\": \"me"),
	    "x.json:1:10: this string doesn't end on its line\n"},
	{"a raw tab", TEXT("{\"user\": \"a\tb\"}"),
	    "x.json:1:12: a raw tab in a string: write \\t\n"},
	{"a raw control character", TEXT("{\"user\": \"a\x01\"}"),
	    "x.json:1:12: a raw control character in a string: write "
	    "\\u00XX\n"},
	{"a raw NUL", TEXT("{\"user\": \"a\0\"}"),
	    "x.json:1:12: a raw control character in a string: write "
	    "\\u00XX\n"},
	{"an escaped NUL", TEXT("{\"user\": \"\\u0000\"}"),
	    "x.json:1:11: \\u0000 can't be part of a string\n"},
	{"an unknown escape", TEXT("{\"user\": \"\\x41\"}"),
	    "x.json:1:11: after \\ comes one of \" \\ / b f n r t u\n"},
	{"too few digits", TEXT("{\"user\": \"\\u00g0\"}"),
	    "x.json:1:11: after \\u come four hexadecimal digits\n"},
	{"a low surrogate alone", TEXT("{\"user\": \"\\uDC00\"}"),
	    "x.json:1:11: half a surrogate pair: \\uD800 to \\uDBFF comes "
	    "first\n"},
	{"a high surrogate alone", TEXT("{\"user\": \"\\uD800x\"}"),
	    "x.json:1:11: half a surrogate pair: \\uDC00 to \\uDFFF must "
	    "follow\n"},
	{"two high surrogates", TEXT("{\"user\": \"\\uD800\\uD800\"}"),
	    "x.json:1:11: half a surrogate pair: \\uDC00 to \\uDFFF must "
	    "follow\n"
	    "x.json:1:17: half a surrogate pair: \\uDC00 to \\uDFFF must "
	    "follow\n"},
	{"a byte that isn't UTF-8", TEXT("{\"user\": \"\xff\"}"),
	    "x.json:1:11: this byte isn't UTF-8\n"},
	{"an overlong form", TEXT("{\"user\": \"\xc0\xaf\"}"),
	    "x.json:1:11: this byte isn't UTF-8\n"
	    "x.json:1:12: this byte isn't UTF-8\n"},
	{"a surrogate as UTF-8", TEXT("{\"user\": \"\xed\xa0\x80\"}"),
	    "x.json:1:11: this byte isn't UTF-8\n"
	    "x.json:1:12: this byte isn't UTF-8\n"
	    "x.json:1:12: this byte isn't UTF-8\n"},
	{"columns count characters, not bytes",
	    TEXT("{\"user\": \"\xc3\xa4\xe2\x82\xac\", \"x\": 1}"),
	    "x.json:1:16: x: there is no such key\n"},
	{"a broken key", TEXT("{\"us\\xer\": 1}"),
	    "x.json:1:5: after \\ comes one of \" \\ / b f n r t u\n"},
};

static const struct config_text numbers[] = {
	{"a leading zero", TEXT("{\"workers\": 01}"),
	    "x.json:1:13: a number doesn't start with 0\n"},
	{"a leading zero behind a sign", TEXT("{\"workers\": -01}"),
	    "x.json:1:13: a number doesn't start with 0\n"},
	{"a plus", TEXT("{\"workers\": +1}"),
	    "x.json:1:13: a number starts with a digit\n"},
	{"a point first", TEXT("{\"workers\": .5}"),
	    "x.json:1:13: a number starts with a digit\n"},
	{"a sign alone", TEXT("{\"workers\": -}"),
	    "x.json:1:13: a number starts with a digit\n"},
	{"nothing behind the point", TEXT("{\"workers\": 1.}"),
	    "x.json:1:13: digits must follow the decimal point\n"},
	{"nothing behind the exponent", TEXT("{\"workers\": 1e+}"),
	    "x.json:1:13: digits must follow the exponent's letter\n"},
	{"beyond what a double holds", TEXT("{\"workers\": 1e400}"),
	    "x.json:1:13: this number is too large\n"},
	{"more digits than anything needs",
	    TEXT("{\"workers\": 11111111111111111111111111111111}"),
	    "x.json:1:13: this number has too many digits\n"},
	{"hexadecimal", TEXT("{\"workers\": 0x10}"),
	    "x.json:1:13: this isn't a number; a string takes double "
	    "quotes\n"},
	{"a unit without quotes", TEXT("{\"timeouts\": {\"head\": 10s}}"),
	    "x.json:1:23: this isn't a number; a string takes double "
	    "quotes\n"},
	{"words of other languages",
	    TEXT("{\"user\": NaN, \"group\": True, \"run_dir\": nul}"),
	    "x.json:1:10: a string takes double quotes; without them there "
	    "are numbers, true, false and null\n"
	    "x.json:1:24: a string takes double quotes; without them there "
	    "are numbers, true, false and null\n"
	    "x.json:1:41: a string takes double quotes; without them there "
	    "are numbers, true, false and null\n"},
};

static const struct config_text twins[] = {
	{"a key twice", TEXT("{\"workers\": 1,\n\"workers\": 2}"),
	    "x.json:2:1: workers: is here twice, first on line 1\n"},
	{"three times, spelt differently",
	    TEXT("{\"workers\": 1,\n\"w\\u006frkers\": 2,\n\"workers\": 2}"),
	    "x.json:2:1: workers: is here twice, first on line 1\n"
	    "x.json:3:1: workers: is here twice, first on line 1\n"},
	{"in data too", TEXT("{\"routes\": [{\"path\": \"/\", \"handler\": "
	    "\"respond\", \"json\": {\"a b\": [{\"c\": 1, \"c\": 2}]}}]}"),
	    "x.json:1:75: routes[0].json[\"a b\"][0].c: is here twice, first "
	    "on line 1\n"},
	{"the same key in two objects", TEXT("{\"listen\": [{\"address\": "
	    "\":0\"}, {\"address\": \":0\"}]}"), ""},
};

static void
what_people_write_is_taken(void **state)
{
	(void)state;
	config_text_check_all(taken, UNIT_COUNT(taken));
}

static void
a_broken_structure_is_told_where_it_breaks(void **state)
{
	(void)state;
	config_text_check_all(structure, UNIT_COUNT(structure));
}

static void
strings_are_strict(void **state)
{
	(void)state;
	config_text_check_all(strings, UNIT_COUNT(strings));
}

static void
numbers_are_strict(void **state)
{
	(void)state;
	config_text_check_all(numbers, UNIT_COUNT(numbers));
}

static void
a_key_stands_once(void **state)
{
	(void)state;
	config_text_check_all(twins, UNIT_COUNT(twins));
}

/* A route with `count` times "[" or {"a": around its data. */
static void
check_depth(const char *open, const char *close, unsigned count,
    const char *problems)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, STR("{\"routes\":[{\"path\":\"/\","
	    "\"handler\":\"respond\",\n\"json\":"));
	for (unsigned i = 0; i < count; i++)
		buf_add(&b, str_of(open));
	buf_add(&b, STR("1"));
	for (unsigned i = 0; i < count; i++)
		buf_add(&b, str_of(close));
	buf_add(&b, STR("}]}"));
	config_text_check(buf_str(&b), problems, open);
	buf_done(&b);
}

static void
nesting_is_bounded(void **state)
{
	(void)state;
	/* Three levels are the configuration's own. */
	check_depth("[", "]", 61, "");
	check_depth("[", "]", 62, "x.json:2:69: nested too deep\n");
	check_depth("[", "]", 1000000, "x.json:2:69: nested too deep\n");
	check_depth("{\"a\":", "}", 61, "");
	check_depth("{\"a\":", "}", 100000, "x.json:2:313: nested too deep\n");
}

static void
every_byte_where_a_value_is_due_is_handled(void **state)
{
	char text[] = "{\"user\": ?}";

	(void)state;
	for (int c = 0; c < 256; c++) {
		struct config_problems problems;
		struct config *cfg;

		text[9] = (char)c;
		cfg = config_parse(str_from(text, sizeof(text) - 1), NULL,
		    &problems);
		unit_check(cfg == NULL && problems.count > 0, text);
		config_problems_done(&problems);
	}
}

static void
every_cut_of_a_file_is_told(void **state)
{
	const struct str text = STR("{\"listen\": [{\"address\": \":0\"}], "
	    "/* x */ \"log\": {\"level\": \"in\\u0066o\"},}");

	(void)state;
	config_text_check(text, "", "the whole");
	for (size_t len = 0; len < text.len; len++) {
		struct config_problems problems;
		/* A copy of its own size, so that a read past it is seen. */
		char *part = malloc(len > 0 ? len : 1);

		memcpy(part, text.p, len);
		assert_null(config_parse(str_from(part, len), NULL,
		    &problems));
		assert_true(problems.count > 0);
		assert_int_equal(problems.pos[0].line, 1);
		config_problems_done(&problems);
		free(part);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_is_taken),
		cmocka_unit_test(a_broken_structure_is_told_where_it_breaks),
		cmocka_unit_test(strings_are_strict),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(a_key_stands_once),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(every_byte_where_a_value_is_due_is_handled),
		cmocka_unit_test(every_cut_of_a_file_is_told),
	};

	return UNIT_RUN(tests);
}
