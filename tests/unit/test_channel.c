/* SPDX-License-Identifier: MIT */
/*
 * Channels: which rule holds for a name, who may, what can be published, and
 * what a token's claims allow.
 */
#include "server/channel.h"

#include <errno.h>

#include "common/clock.h"
#include "config/config.h"
#include "server/attr.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "tests/unit/unit.h"

static const char rules_text[] =
    "{\"listen\": [{\"address\": \"127.0.0.1:0\"}], \"channels\": ["
    "{\"match\": \"room.secret\", \"subscribe\": \"nobody\"},"
    "{\"match\": \"room.token.*\", \"subscribe\": \"token\","
    " \"publish\": \"token\"},"
    "{\"match\": \"room.*\", \"publish\": \"nobody\"},"
    "{\"match\": \"short\", \"message_bytes\": 4},"
    "{\"match\": \"rest*\"}]}";

static struct config *
rules_open(struct server *srv)
{
	struct config_problems problems;
	struct config *cfg = config_parse(str_of(rules_text), NULL, &problems);

	unit_check(cfg != NULL, problems.count > 0 ? problems.item[0] : "");
	config_problems_done(&problems);
	memset(srv, 0, sizeof(*srv));
	srv->config = cfg;
	clock_init(&srv->clock);
	return cfg;
}

static void
a_pattern_covers_what_it_matches_whole(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool covers;
	} cases[] = {
		{"a", "a", true},
		{"a", "ab", false},
		{"a", "a*", false},
		{"a*", "a", true},
		{"a*", "a*", true},
		{"a*", "ab*", true},
		{"ab*", "a*", false},
		{"*", "*", true},
		{"*", "", true},
		{"room.*", "room.", true},
		{"room.*", "room", false},
		{"", "", true},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check(channel_covers(str_of(cases[i].outer),
		    str_of(cases[i].inner)) == cases[i].covers,
		    cases[i].outer);
}

static void
the_first_rule_that_covers_a_name_holds(void **state)
{
	static const struct {
		const char *name;
		int rule; /* -1: none */
	} cases[] = {
		{"room.secret", 0},
		{"room.secrets", 2},
		{"room.*", 2},
		{"room.token.a", 1},
		{"room.token.*", 1},
		{"room.tok*", 2},
		{"short", 3},
		{"shor*", -1},
		{"rest", 4},
		{"*", -1},
		{"other", -1},
	};
	struct server srv;
	struct config *cfg = rules_open(&srv);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		const struct config_channel *rule = channel_rule(cfg,
		    str_of(cases[i].name));

		unit_check(rule == (cases[i].rule < 0 ? NULL :
				&cfg->channels.item[cases[i].rule]),
		    cases[i].name);
	}
	config_unref(cfg);
}

static void
who_isnt_known_may_what_anyone_may(void **state)
{
	static const struct {
		const char *name;
		int subscribe, publish;
	} cases[] = {
		{"rest.1", 0, 0},
		{"rest*", 0, -EINVAL},
		{"room.1", 0, -EACCES},
		{"room.secret", -EACCES, 0},
		{"room.token.1", -ENOKEY, -ENOKEY},
		/* Each would give what a rule in front closes. */
		{"room.*", -EACCES, -EINVAL},
		{"room.s*", -EACCES, -EINVAL},
		{"room.tok*", -EACCES, -EINVAL},
		{"room.x*", 0, -EINVAL},
		{"none", -ENOENT, -ENOENT},
		{"*", -ENOENT, -EINVAL},
		{"", -EINVAL, -EINVAL},
		{"a b", -EINVAL, -EINVAL},
		{"a\n", -EINVAL, -EINVAL},
		{"a**", -EINVAL, -EINVAL},
	};
	struct server srv;
	struct config *cfg = rules_open(&srv);
	struct channel_client client = {.srv = &srv};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str name = str_of(cases[i].name);

		unit_check(channel_may(&client, CHANNEL_SUBSCRIBE, name,
		    str_from(NULL, 0)) == cases[i].subscribe,
		    cases[i].name);
		unit_check(channel_may(&client, CHANNEL_PUBLISH, name,
		    STR("x")) == cases[i].publish,
		    cases[i].name);
	}
	config_unref(cfg);
}

/* A request that a jwt middleware has passed. */
static void
claims_open(struct channel_client *client, struct server *srv,
    const char *claims)
{
	struct request r = {.srv = srv};

	arena_init(&r.arena, NULL);
	assert_int_equal(attr_set(&r.attrs, &r.arena, STR("jwt"),
	    (struct lane_value){.kind = LANE_TEXT,
		.u.s = lane_of(str_of(claims))}), 0);
	assert_int_equal(attr_set(&r.attrs, &r.arena, STR("jwt.sub"),
	    (struct lane_value){.kind = LANE_TEXT, .u.s = LANE_STR("ada")}),
	    0);
	assert_int_equal(attr_set(&r.attrs, &r.arena, STR("jwt.exp"),
	    (struct lane_value){.kind = LANE_INT,
		.u.i = srv->clock.real_s + 60}), 0);
	assert_int_equal(channel_client_init(client, &r), 0);
	/* It keeps nothing of the request. */
	arena_done(&r.arena);
}

static void
a_token_allows_what_its_claims_cover(void **state)
{
	static const struct {
		const char *claims, *name;
		int subscribe, publish;
	} cases[] = {
		{"{\"channels\":{\"sub\":[\"room.token.*\"]}}",
		    "room.token.1", 0, -EKEYREJECTED},
		{"{\"channels\":{\"pub\":[\"room.token.*\"]}}",
		    "room.token.1", -EKEYREJECTED, 0},
		{"{\"channels\":{\"sub\":[\"a\",\"room.token.a*\"]}}",
		    "room.token.a*", 0, -EINVAL},
		{"{\"channels\":{\"sub\":[\"room.token.a*\"]}}",
		    "room.token.*", -EKEYREJECTED, -EINVAL},
		{"{\"channels\":{\"sub\":[\"*\"],\"pub\":[\"*\"]}}",
		    "room.secret", -EACCES, 0},
		{"{\"channels\":{\"sub\":[\"x\\nroom.token.1\"]}}",
		    "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
		{"{\"channels\":{\"sub\":[1,null,{},[\"*\"],\"\"]}}",
		    "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
		{"{\"channels\":[\"*\"]}",
		    "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
		{"{\"channels\":\"*\"}",
		    "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
		{"{\"Channels\":{\"sub\":[\"*\"]}}",
		    "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
		{"{}", "room.token.1", -EKEYREJECTED, -EKEYREJECTED},
	};
	struct server srv;
	struct config *cfg = rules_open(&srv);
	struct channel_client client;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str name = str_of(cases[i].name);

		claims_open(&client, &srv, cases[i].claims);
		unit_check(channel_may(&client, CHANNEL_SUBSCRIBE, name,
		    str_from(NULL, 0)) == cases[i].subscribe,
		    cases[i].claims);
		unit_check(channel_may(&client, CHANNEL_PUBLISH, name,
		    STR("x")) == cases[i].publish,
		    cases[i].claims);
		unit_check_str(channel_client_user(&client), STR("ada"),
		    "the user");
		assert_int_equal(channel_client_expiry(&client),
		    srv.clock.real_s + 60);
		channel_client_done(&client);
	}
	config_unref(cfg);
}

static void
what_cant_be_published_has_a_reason(void **state)
{
	static const struct {
		const char *name, *channel;
		struct str data;
		enum channel_content content;
		int rc;
	} cases[] = {
		{"text", "rest", STR_INIT("h\xc3\xa9"), CHANNEL_TEXT, 0},
		{"an empty text", "rest", STR_INIT(""), CHANNEL_TEXT, 0},
		{"half a character", "rest", STR_INIT("\xc3"), CHANNEL_TEXT,
		    -EINVAL},
		{"the same as bytes", "rest", STR_INIT("\xc3"),
		    CHANNEL_BINARY, 0},
		{"JSON", "rest", STR_INIT(" [1]"), CHANNEL_JSON, 0},
		{"an empty JSON", "rest", STR_INIT(""), CHANNEL_JSON, -EINVAL},
		{"two values", "rest", STR_INIT("1 2"), CHANNEL_JSON, -EINVAL},
		{"as long as may be", "short", STR_INIT("1234"),
		    CHANNEL_TEXT, 0},
		{"one byte more", "short", STR_INIT("12345"), CHANNEL_TEXT,
		    -EMSGSIZE},
		{"no rule", "none", STR_INIT("x"), CHANNEL_TEXT, -ENOENT},
		{"no name", "a b", STR_INIT("x"), CHANNEL_TEXT, -EINVAL},
		{"a pattern", "rest*", STR_INIT("x"), CHANNEL_TEXT, -EINVAL},
	};
	struct server srv;
	struct config *cfg = rules_open(&srv);
	const char *why;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		unit_check(channel_check(cfg, str_of(cases[i].channel),
		    cases[i].data, cases[i].content, &why) ==
			cases[i].rc,
		    cases[i].name);
		unit_check((why == NULL) == (cases[i].rc == 0), cases[i].name);
	}
	config_unref(cfg);
}

static void
a_token_in_a_query_is_hidden(void **state)
{
	static const struct {
		const char *text, *hidden, *cut;
	} cases[] = {
		{"/a", "/a", "/a"},
		{"/a?b=c", "/a?b=c", "/a?b=c"},
		{"/a?access_token=x", "/a?access_token=***",
		    "/a?access_token="},
		{"/a?b=c&access_token=x.y&d", "/a?b=c&access_token=***&d",
		    "/a?b=c&access_token="},
		{"/a?access_token=x&access_token=y",
		    "/a?access_token=***&access_token=***",
		    "/a?access_token="},
		{"/a?access_token=", "/a?access_token=", "/a?access_token="},
		{"/a?access_token=&b", "/a?access_token=***&b",
		    "/a?access_token="},
		{"/a?my_access_token=x", "/a?my_access_token=x",
		    "/a?my_access_token=x"},
		{"/access_token=x", "/access_token=x", "/access_token=x"},
		{"", "", ""},
	};
	struct arena a;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct str text = str_of(cases[i].text);

		arena_init(&a, NULL);
		unit_check_str(request_hide_token(text, &a),
		    str_of(cases[i].hidden), cases[i].text);
		unit_check_str(request_hide_token(text, NULL),
		    str_of(cases[i].cut), cases[i].text);
		arena_done(&a);
	}
	assert_null(request_hide_token(str_from(NULL, 0), NULL).p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_covers_what_it_matches_whole),
		cmocka_unit_test(the_first_rule_that_covers_a_name_holds),
		cmocka_unit_test(who_isnt_known_may_what_anyone_may),
		cmocka_unit_test(a_token_allows_what_its_claims_cover),
		cmocka_unit_test(what_cant_be_published_has_a_reason),
		cmocka_unit_test(a_token_in_a_query_is_hidden),
	};

	return UNIT_RUN(tests);
}
