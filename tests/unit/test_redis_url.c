/* SPDX-License-Identifier: MIT */
/* config/redis_url: the URL of a Redis server, taken apart. */
#include "config/redis_url.h"
#include "tests/unit/unit.h"

static const struct {
	const char *text;
	struct redis_url want;
} good[] = {
	{"redis://localhost", {.host = "localhost", .port = 6379}},
	{"redis://10.0.0.1:7000", {.host = "10.0.0.1", .port = 7000}},
	{"redis://r/3", {.host = "r", .port = 6379, .database = 3}},
	{"redis://r:1/", {.host = "r", .port = 1}},
	{"redis://[::1]:6380/1",
	    {.host = "::1", .port = 6380, .database = 1}},
	{"redis://[fd00::2]", {.host = "fd00::2", .port = 6379}},
	{"redis://kim:secret@r",
	    {.host = "r", .port = 6379, .user = "kim", .password = "secret"}},
	{"redis://:secret@r",
	    {.host = "r", .port = 6379, .password = "secret"}},
	{"redis://k%40m:s%3Ae%2fc@r",
	    {.host = "r", .port = 6379, .user = "k@m", .password = "s:e/c"}},
	{"redis://:not@encoded/1@r/2",
	    {.host = "r", .port = 6379, .password = "not@encoded/1",
		.database = 2}},
	{"redis+unix:///run/redis.sock", {.path = "/run/redis.sock"}},
	{"redis+unix://kim:secret@/r.sock?database=7",
	    {.path = "/r.sock", .user = "kim", .password = "secret",
		.database = 7}},
	{"redis+unix://:what?@/r.sock", {.path = "/r.sock",
	    .password = "what?"}},
};

static const char *const bad[] = {
	"",
	"redis://",
	"redis://:6379",
	"redis://user@host",
	"redis://user:@host",
	"redis://host:0",
	"redis://host:65536",
	"redis://host:http",
	"redis://host/one",
	"redis://host/-1",
	"redis://host/65536",
	"redis://[::1",
	"redis://[::1]6379",
	"redis://a b",
	"redis://a\nb",
	"redis://:%zz@host",
	"redis://:%00@host",
	"rediss://host",
	"http://host",
	"redis+unix://",
	"redis+unix:///",
	"redis+unix://relative/path",
	"redis+unix:///path?db=1",
	"redis+unix:///path?database=x",
};

static void
check_url(const struct redis_url *got, const struct redis_url *want,
    const char *name)
{
	unit_check_str(str_of(got->host), str_of(want->host), name);
	unit_check_str(str_of(got->path), str_of(want->path), name);
	unit_check_str(str_of(got->user), str_of(want->user), name);
	unit_check_str(str_of(got->password), str_of(want->password), name);
	unit_check(got->port == want->port, name);
	unit_check(got->database == want->database, name);
}

static void
every_form_is_taken_apart(void **state)
{
	struct redis_url url;

	for (size_t i = 0; i < UNIT_COUNT(good); i++) {
		unit_check(redis_url_parse(str_of(good[i].text), &url) == 0,
		    good[i].text);
		check_url(&url, &good[i].want, good[i].text);
	}
}

static void
anything_else_is_refused(void **state)
{
	struct redis_url url;

	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		unit_check(redis_url_parse(str_of(bad[i]), &url) == -1,
		    bad[i]);
}

static void
a_part_that_is_too_long_is_refused(void **state)
{
	char text[2 * REDIS_URL_TEXT_BYTES] = "redis://";
	struct redis_url url;

	memset(text + 8, 'h', REDIS_URL_TEXT_BYTES - 1);
	assert_int_equal(redis_url_parse(str_of(text), &url), 0);
	strcat(text, "h");
	assert_int_equal(redis_url_parse(str_of(text), &url), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_taken_apart),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(a_part_that_is_too_long_is_refused),
	};

	return UNIT_RUN(tests);
}
