/* SPDX-License-Identifier: MIT */
/*
 * Forms of both kinds, and what they are made of: field values with parameters,
 * parts of a multipart content, files that are saved.
 */
#include "server/form.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "server/media_type.h"
#include "server/multipart.h"
#include "tests/unit/unit.h"

#define MULTIPART STR("multipart/form-data; boundary=B")
#define CRLF "\r\n"
#define PART(head, content) "--B" CRLF head CRLF CRLF content CRLF
#define FIELD(name, content)                                                   \
	PART("Content-Disposition: form-data; name=\"" name "\"", content)
#define FILE_PART(params, content)                                             \
	PART("Content-Disposition: form-data; name=f; " params, content)
#define LAST "--B--" CRLF

static void
test_media_type(void **state)
{
	static const struct {
		const char *name;
		struct str field, param, value;
	} cases[] = {
		{"a token", STR_INIT("a/b; x=y"), STR_INIT("x"),
		    STR_INIT("y")},
		{"a name in another case", STR_INIT("a/b;X=y;z=1"),
		    STR_INIT("x"), STR_INIT("y")},
		{"a quoted value", STR_INIT("a/b; x=\"y;z\"; q=1"),
		    STR_INIT("x"), STR_INIT("y;z")},
		{"behind a quoted value", STR_INIT("a/b; x=\"y;z\"; q=1"),
		    STR_INIT("q"), STR_INIT("1")},
		{"a quoted quote", STR_INIT("a/b; x=\"y\\\"z\\\\\""),
		    STR_INIT("x"), STR_INIT("y\"z\\")},
		{"a backslash of a file's name", STR_INIT("a/b; x=\"C:\\a\""),
		    STR_INIT("x"), STR_INIT("C:\\a")},
		{"empty parameters", STR_INIT("a/b;;; x=y;"), STR_INIT("x"),
		    STR_INIT("y")},
		{"none of that name", STR_INIT("a/b; y=x"), STR_INIT("x"),
		    {NULL, 0}},
		{"no parameters", STR_INIT("a/b"), STR_INIT("x"), {NULL, 0}},
		{"a string that doesn't end", STR_INIT("a/b; x=\"y"),
		    STR_INIT("x"), {NULL, 0}},
		{"something behind a string", STR_INIT("a/b; x=\"y\"z"),
		    STR_INIT("x"), {NULL, 0}},
		{"no field", {NULL, 0}, STR_INIT("x"), {NULL, 0}},
	};
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check_str(media_param_find(cases[i].field,
		    cases[i].param, &a), cases[i].value, cases[i].name);
	assert_true(media_type_is(STR("Text/HTML ; charset=x"),
	    STR("text/html")));
	assert_false(media_type_is(STR("text/htm"), STR("text/html")));
	assert_true(media_type_is_json(STR("application/json;charset=utf-8")));
	assert_true(media_type_is_json(STR("application/problem+JSON")));
	assert_false(media_type_is_json(STR("+json")));
	assert_false(media_type_is_json(STR("text/plain")));
	assert_false(media_type_is_json(str_from(NULL, 0)));
	arena_done(&a);
}

struct part {
	struct str name, filename, type, content;
};

static const struct {
	const char *name;
	struct str content;
	unsigned count;
	struct part part[2];
} good[] = {
	{"one field", STR_INIT(FIELD("a", "1") LAST), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("1")}}},
	{"no part at all", STR_INIT(LAST), 0, {{{0}, {0}, {0}, {0}}}},
	{"no line end behind the last boundary",
	    STR_INIT(FIELD("a", "1") "--B--"), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("1")}}},
	{"preamble and epilogue are nothing",
	    STR_INIT("hello" CRLF FIELD("a", "1") LAST "bye"), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("1")}}},
	{"two fields of one name",
	    STR_INIT(FIELD("a", "1") FIELD("a", "2") LAST), 2,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("1")},
	    {STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("2")}}},
	{"an empty value", STR_INIT(FIELD("a", "") LAST), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("")}}},
	{"a value without a line end of its own", STR_INIT("--B" CRLF
	    "Content-Disposition: form-data; name=a" CRLF CRLF "--B--"), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("")}}},
	{"content that looks like a boundary",
	    STR_INIT(FIELD("a", "x--B" CRLF "--Bx" CRLF "--b--") LAST), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""),
	    STR_INIT("x--B" CRLF "--Bx" CRLF "--b--")}}},
	{"white space behind a boundary", STR_INIT("--B \t" CRLF
	    "Content-Disposition: form-data; name=a" CRLF CRLF "1" CRLF
	    "--B--"), 1,
	    {{STR_INIT("a"), {0}, STR_INIT(""), STR_INIT("1")}}},
	{"bytes of any kind", STR_INIT(FILE_PART("filename=x",
	    "\0\r\n\xff--B") LAST), 1, {{STR_INIT("f"), STR_INIT("x"),
	    STR_INIT(""), STR_INIT("\0\r\n\xff--B")}}},
	{"a type and other fields", STR_INIT(PART("X-y: z" CRLF
	    "content-type: image/png" CRLF "Content-Transfer-Encoding: 8BIT"
	    CRLF "CONTENT-DISPOSITION:FORM-DATA;name=f;filename=\"a b.png\"",
	    "..") LAST), 1, {{STR_INIT("f"), STR_INIT("a b.png"),
	    STR_INIT("image/png"), STR_INIT("..")}}},
	{"a path in front of a file's name",
	    STR_INIT(FILE_PART("filename=\"../../etc/passwd\"", "x")
	    FILE_PART("filename=\"C:\\temp\\a.txt\"", "y") LAST), 2,
	    {{STR_INIT("f"), STR_INIT("passwd"), STR_INIT(""), STR_INIT("x")},
	    {STR_INIT("f"), STR_INIT("a.txt"), STR_INIT(""), STR_INIT("y")}}},
	{"a file's name that is a directory's",
	    STR_INIT(FILE_PART("filename=\"..\"", "x") LAST), 1,
	    {{STR_INIT("f"), STR_INIT(""), STR_INIT(""), STR_INIT("x")}}},
	{"filename* isn't looked at", STR_INIT(FILE_PART(
	    "filename*=UTF-8''%2e%2e; filename=a", "x") LAST), 1,
	    {{STR_INIT("f"), STR_INIT("a"), STR_INIT(""), STR_INIT("x")}}},
	{"names in UTF-8", STR_INIT(FILE_PART("filename=\"\xc3\xa9\"", "x")
	    LAST), 1, {{STR_INIT("f"), STR_INIT("\xc3\xa9"), STR_INIT(""),
	    STR_INIT("x")}}},
};

static void
check_part(const struct multipart_part *got, const struct part *want,
    const char *name)
{
	unit_check_str(got->name, want->name, name);
	unit_check_str(got->filename, want->filename, name);
	unit_check((got->filename.p == NULL) == (want->filename.p == NULL),
	    name);
	unit_check_str(got->type, want->type, name);
	unit_check_str(got->content, want->content, name);
}

static void
test_multipart(void **state)
{
	struct multipart_part part;
	struct multipart m;
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		multipart_init(&m, MULTIPART, good[i].content, &a);
		for (size_t j = 0; j < good[i].count; j++) {
			unit_check(multipart_next(&m, &part) == MULTIPART_PART,
			    good[i].name);
			check_part(&part, &good[i].part[j], good[i].name);
		}
		unit_check(multipart_next(&m, &part) == MULTIPART_END,
		    good[i].name);
	}
	arena_done(&a);
}

static const struct {
	const char *name;
	struct str type, content;
	const char *what;
} bad[] = {
	{"no boundary in the type", STR_INIT("multipart/form-data"),
	    STR_INIT(LAST), "the boundary is missing or malformed"},
	{"an empty boundary", STR_INIT("multipart/form-data; boundary=\"\""),
	    STR_INIT(LAST), "the boundary is missing or malformed"},
	{"a boundary with a line end",
	    STR_INIT("multipart/form-data; boundary=\"a\r\n\""),
	    STR_INIT(LAST), "the boundary is missing or malformed"},
	{"a boundary of 71 bytes", STR_INIT("multipart/form-data; boundary="
	    "01234567890123456789012345678901234567890123456789012345678901"
	    "234567890"), STR_INIT(LAST),
	    "the boundary is missing or malformed"},
	{"nothing", {NULL, 0}, {NULL, 0}, "no boundary begins it"},
	{"another boundary", {NULL, 0}, STR_INIT("--C" CRLF "--C--"),
	    "no boundary begins it"},
	{"a bare LF behind the boundary", {NULL, 0},
	    STR_INIT("--B\nContent-Disposition: form-data; name=a\n\n1\n--B--"),
	    "no boundary begins it"},
	{"no end", {NULL, 0}, STR_INIT(FIELD("a", "1")),
	    "the last boundary is missing"},
	{"cut off inside a head", {NULL, 0},
	    STR_INIT("--B" CRLF "Content-Disposition: form-data; name=a" CRLF),
	    "a part's head doesn't end"},
	{"no disposition", {NULL, 0}, STR_INIT(PART("X-y: z", "1") LAST),
	    "a part has no Content-Disposition"},
	{"another disposition", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: inline; name=a", "1") LAST),
	    "a part is no form-data"},
	{"no name", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data", "1") LAST),
	    "a part has no name"},
	{"two dispositions", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data; name=a" CRLF
	    "Content-Disposition: form-data; name=b", "1") LAST),
	    "two Content-Disposition fields"},
	{"a folded field", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data;" CRLF " name=a",
	    "1") LAST), "a part has no name"},
	{"a field without a colon", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data; name=a" CRLF "x",
	    "1") LAST), "malformed field in a part's head"},
	{"a space in front of a colon", {NULL, 0},
	    STR_INIT(PART("Content-Disposition : form-data; name=a", "1")
	    LAST), "malformed field in a part's head"},
	{"NUL in a head", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data; name=\"a\0b\"", "1")
	    LAST), "malformed field in a part's head"},
	{"a quoted name that doesn't end", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data; name=\"a", "1")
	    LAST), "malformed Content-Disposition"},
	{"a tab in a file's name", {NULL, 0},
	    STR_INIT(FILE_PART("filename=\"a\tb\"", "x") LAST),
	    "bad bytes in a file's name, or too many"},
	{"a name that is no UTF-8", {NULL, 0},
	    STR_INIT(FIELD("caf\xe9", "1") LAST),
	    "bad bytes in a part's name, or too many"},
	{"an encoding", {NULL, 0},
	    STR_INIT(PART("Content-Disposition: form-data; name=a" CRLF
	    "Content-Transfer-Encoding: base64", "MQ==") LAST),
	    "a part's transfer encoding isn't taken"},
};

static void
test_multipart_bad(void **state)
{
	struct form *form;
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++) {
		form = form_parse(bad[i].type.p != NULL ? bad[i].type
		    : MULTIPART, bad[i].content, &a);
		unit_check(form != NULL && form->status == 400, bad[i].name);
		unit_check_str(str_of(form->what), str_of(bad[i].what),
		    bad[i].name);
		unit_check(form->fields.count == 0, bad[i].name);
	}
	arena_done(&a);
}

static void
test_multipart_limits(void **state)
{
	struct form *form;
	struct arena a;
	struct buf b;

	arena_init(&a, NULL);
	buf_init(&b, 0);
	for (unsigned i = 0; i < MULTIPART_PARTS_MAX; i++)
		buf_add(&b, STR(FIELD("a", "1")));
	buf_add(&b, STR(LAST));
	form = form_parse(MULTIPART, buf_str(&b), &a);
	assert_int_equal(form->status, 0);
	assert_int_equal(form->fields.count, MULTIPART_PARTS_MAX);
	b.len -= strlen(LAST);
	buf_add(&b, STR(FIELD("a", "1") LAST));
	form = form_parse(MULTIPART, buf_str(&b), &a);
	assert_int_equal(form->status, 400);
	assert_string_equal(form->what, "too many parts");

	buf_clear(&b);
	buf_add(&b, STR("--B" CRLF "X: "));
	for (unsigned i = 0; i < MULTIPART_HEAD_MAX; i++)
		buf_add_byte(&b, 'x');
	buf_add(&b, STR(CRLF CRLF CRLF LAST));
	form = form_parse(MULTIPART, buf_str(&b), &a);
	assert_string_equal(form->what, "a part's head is too large");

	buf_clear(&b);
	buf_add(&b, STR("--B" CRLF "Content-Disposition: form-data; name="));
	for (unsigned i = 0; i < MULTIPART_NAME_MAX + 1; i++)
		buf_add_byte(&b, 'x');
	buf_add(&b, STR(CRLF CRLF CRLF LAST));
	form = form_parse(MULTIPART, buf_str(&b), &a);
	assert_string_equal(form->what,
	    "bad bytes in a part's name, or too many");
	buf_done(&b);
	arena_done(&a);
}

static void
test_form(void **state)
{
	struct form *form;
	struct arena a;
	struct buf b;

	arena_init(&a, NULL);
	form = form_parse(STR("application/x-www-form-urlencoded"),
	    STR("a=1&b=%C3%A9+&a=2"), &a);
	assert_int_equal(form->status, 0);
	assert_int_equal(form->fields.count, 3);
	unit_check_str(query_find(&form->fields, STR("a"), 1)->value, STR("2"),
	    "the second of a name");
	form = form_parse(STR("application/x-www-form-urlencoded"),
	    str_from(NULL, 0), &a);
	assert_int_equal(form->status, 0);
	assert_int_equal(form->fields.count, 0);
	form = form_parse(STR("application/x-www-form-urlencoded"),
	    STR("a=1&b=%"), &a);
	assert_int_equal(form->status, 400);
	assert_int_equal(form->fields.count, 0);
	form = form_parse(STR("text/plain"), STR("a=1"), &a);
	assert_int_equal(form->status, 415);
	form = form_parse(str_from(NULL, 0), STR("a=1"), &a);
	assert_int_equal(form->status, 415);

	buf_init(&b, 0);
	for (unsigned i = 0; i < FORM_FIELDS_MAX; i++)
		buf_add(&b, STR("&a"));
	form = form_parse(STR("application/x-www-form-urlencoded"),
	    buf_str(&b), &a);
	assert_string_equal(form->what, "the form has too many fields");
	buf_done(&b);
	arena_done(&a);
}

/* Between them what a browser sends where none was chosen. */
#define TWO_FILES                                                              \
	FIELD("a", "1") FILE_PART("filename=x", "")                            \
	FILE_PART("filename=\"\"", "") FIELD("b", "2")                         \
	FILE_PART("filename=y", "Y") LAST

static void
test_uploads(void **state)
{
	struct form *form;
	struct arena a;

	arena_init(&a, NULL);
	form = form_parse(MULTIPART, STR(TWO_FILES), &a);
	assert_int_equal(form->status, 0);
	assert_int_equal(form->fields.count, 2);
	assert_int_equal(form->upload_count, 2);
	unit_check_str(str_from(form->uploads[0].filename.p,
	    form->uploads[0].filename.len), STR("x"), "an empty file");
	unit_check_str(str_from(form->uploads[1].content.p,
	    form->uploads[1].content.len), STR("Y"), "the second file");
	arena_done(&a);
}

static void
test_upload_save(void **state)
{
	struct lane_upload upload = {.content = {"hello", 5}};
	char dir[] = "/tmp/test_form-XXXXXX", path[64], text[16];
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a", dir);
	assert_int_equal(lane_upload_save(&upload, path), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	close(fd);
	upload.content.len = 0;
	assert_int_equal(lane_upload_save(&upload, path), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5);
	unlink(path);
	snprintf(path, sizeof(path), "%s/none/a", dir);
	assert_int_equal(lane_upload_save(&upload, path), -ENOENT);
	/* Nothing was left beside it. */
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_type),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_multipart_bad),
		cmocka_unit_test(test_multipart_limits),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_upload_save),
	};

	return UNIT_RUN(tests);
}
