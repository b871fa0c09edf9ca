/* SPDX-License-Identifier: MIT */
/*
 * Sockets of modules: the order of callbacks, what waits, how it ends, and
 * channels; through the library and the public headers alone.
 *
 * Context: a process of its own.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <corelane/corelane.h>
#include <corelane/test.h>

/* What happened, in order: "open message:hi close:1000". */
static char story[1024];
static unsigned dropped;
static uint64_t first_id;

static void
tell(const char *what, struct lane_str more)
{
	size_t len = strlen(story);

	snprintf(story + len, sizeof(story) - len, "%s%s%.*s",
	    len > 0 ? " " : "", what, LANE_FMT(more));
}

static void
story_is(const char *expected)
{
	unit_check_str(str_of(story), str_of(expected), "the story");
	story[0] = '\0';
}

static void
drop(void *state)
{
	dropped++;
	free(state);
}

static int
on_open(struct lane_ctx *c, struct lane_socket *s)
{
	tell("open", LANE_STR(""));
	first_id = lane_socket_id(s);
	assert_ptr_equal(lane_socket_find(c, first_id), s);
	return LANE_NEXT;
}

static void
on_close(struct lane_ctx *c, struct lane_socket *s, unsigned code,
    struct lane_str reason)
{
	char text[64];

	snprintf(text, sizeof(text), "%u", code);
	tell("close:", lane_str_of(text));
	tell("reason:", reason);
	/* It is over: every call does nothing, and it isn't found. */
	assert_int_equal(lane_socket_send(s, LANE_STR("late"), true),
	    LANE_GONE);
	lane_socket_close(s, 1000, NULL);
	assert_null(lane_socket_find(c, lane_socket_id(s)));
	assert_int_equal(lane_after(c, 1, NULL, NULL), -ECANCELED);
	free(lane_socket_state(s));
}

static int
echo_done(struct lane_ctx *c, void *state)
{
	struct lane_socket *s = state;

	tell("done", LANE_STR(""));
	lane_socket_send(s, LANE_STR("slow"), true);
	return 200;
}

static int
never_done(struct lane_ctx *c, void *state)
{
	tell("never", LANE_STR(""));
	return 200;
}

static void
on_drop(void *ptr)
{
	tell("dropped", LANE_STR(""));
}

static char piece[4096];

/* Sends until the client has to read first, and one too many. */
static int
flood(struct lane_socket *s)
{
	const struct lane_str data = {piece, sizeof(piece)};
	enum lane_write_result sent;

	do
		sent = lane_socket_send(s, data, false);
	while (sent == LANE_OK);
	assert_int_equal(sent, LANE_FULL);
	assert_int_equal(lane_socket_send(s, data, false), LANE_DROPPED);
	return 200;
}

static int
on_drain(struct lane_ctx *c, struct lane_socket *s)
{
	tell("drain", LANE_STR(""));
	assert_int_equal(lane_socket_send(s, LANE_STR("drained"), true),
	    LANE_OK);
	return 200;
}

static int
on_message(struct lane_ctx *c, struct lane_socket *s, struct lane_str data,
    bool is_text)
{
	tell(is_text ? "text:" : "binary:", data);
	if (lane_str_eq(data, LANE_STR("slow")))
		return lane_after(c, 20, echo_done, s);
	if (lane_str_eq(data, LANE_STR("hang"))) {
		assert_int_equal(lane_defer(c, on_drop, NULL), 0);
		return lane_after(c, 600000, never_done, s);
	}
	if (lane_str_eq(data, LANE_STR("flood")))
		return flood(s);
	if (lane_str_eq(data, LANE_STR("fail")))
		return -EIO;
	if (lane_str_eq(data, LANE_STR("leak")))
		return LANE_ASYNC;
	if (lane_str_eq(data, LANE_STR("bye")))
		lane_socket_close(s, 4321, "so long");
	else if (lane_str_eq(data, LANE_STR("bad")))
		assert_int_equal(lane_socket_send(s, LANE_STR("\xff"), true),
		    LANE_DROPPED);
	else
		assert_int_equal(lane_socket_send(s, data, is_text), LANE_OK);
	return 200;
}

static int
wait_done(struct lane_ctx *c, void *state)
{
	return LANE_NEXT;
}

/* By the query: "?no" is refused, "?wait" let in later. */
static int
authorize(struct lane_ctx *c)
{
	struct lane_str query = lane_query_string(c);
	char *state = strdup("mine");

	lane_socket_give(c, state, drop);
	if (lane_str_eq(query, LANE_STR("no")))
		return 403;
	if (lane_str_eq(query, LANE_STR("wait")))
		return lane_after(c, 5, wait_done, NULL);
	return LANE_NEXT;
}

static int
on_plain(struct lane_ctx *c)
{
	return lane_send(c, 200, "text/plain", LANE_STR("plain"));
}

/* Channels. */

static char announced[512];

static void
on_announce(struct lane_ctx *c, struct lane_socket *s, struct lane_str position,
    bool recovered, unsigned missed)
{
	char text[64];

	snprintf(announced, sizeof(announced), "%.*s", LANE_FMT(position));
	snprintf(text, sizeof(text), "%s %u", recovered ? "whole" : "lost",
	    missed);
	lane_socket_send(s, lane_str_of(text), true);
}

static int
room_open(struct lane_ctx *c, struct lane_socket *s)
{
	struct lane_str since = {NULL, 0};

	if (announced[0] != '\0')
		since = lane_str_of(announced);
	assert_int_equal(lane_subscribe(c, s,
	    &(struct lane_subscribe){.channel = "room 1"}), -EINVAL);
	assert_int_equal(lane_subscribe(c, s,
	    &(struct lane_subscribe){.channel = "other"}), -ENOENT);
	return lane_subscribe(c, s, &(struct lane_subscribe){
	    .channel = "room.1", .user = LANE_STR("ada"), .since = since,
	    .info = LANE_STR("{\"age\":36}"), .announce = on_announce});
}

static int
room_message(struct lane_ctx *c, struct lane_socket *s, struct lane_str data,
    bool is_text)
{
	if (lane_str_eq(data, LANE_STR("go")))
		return lane_unsubscribe(s, "room.1");
	return lane_publish(c, "room.1", data, LANE_PUBLISH_TEXT);
}

static void
count_member(const struct lane_member *m, void *arg)
{
	assert_true(lane_str_eq(m->user, LANE_STR("ada")));
	assert_true(lane_str_eq(m->info, LANE_STR("{\"age\":36}")));
}

static void
add_message(const struct lane_message *m, void *arg)
{
	char *text = arg;

	assert_true(lane_str_eq(m->channel, LANE_STR("room.1")));
	assert_int_equal(m->kind, LANE_PUBLISH_TEXT);
	strncat(text, m->data.p, m->data.len);
}

static int
room_plain(struct lane_ctx *c)
{
	char text[256] = "";
	size_t n = lane_history(c, "room.1", 2, add_message, text);

	return lane_printf(c, 200, "text/plain", "%llu %zu %zu %s",
	    (unsigned long long)lane_subscribers(c, "room.1"),
	    lane_members(c, "room.1", 10, count_member, NULL), n, text);
}

static const char *const protocols[] = {"two", "one", NULL};

static const struct lane_socket_handler story_socket = {
	.authorize = authorize, .open = on_open, .message = on_message,
	.drain = on_drain, .close = on_close, .protocols = protocols,
	.message_bytes = 1000, .queue_bytes = 8192,
};
static const struct lane_socket_handler bare_socket = {.open = NULL};
static const struct lane_socket_handler room_socket = {
	.open = room_open, .message = room_message,
};

static const struct lane_route routes[] = {
	{.name = "story", .path = "/story", .websocket = &story_socket},
	{.name = "bare", .path = "/bare", .websocket = &bare_socket,
	    .run = on_plain},
	{.name = "events", .path = "/events", .events = &bare_socket},
	{.name = "room", .path = "/room", .websocket = &room_socket,
	    .run = room_plain},
	{0},
};

static const struct lane_module module = {
	.abi = LANE_ABI, .name = "tested", .routes = routes,
};

static const char config[] = "{\"modules\": [{\"name\": \"tested\", \"file\": "
    "\"x\"}], \"channels\": [{\"match\": \"room.*\", \"presence\": "
    "\"members\", \"subscribe\": \"nobody\"}]}";

static struct lane_test *test;

static int
setup(void **state)
{
	story[0] = announced[0] = '\0';
	dropped = 0;
	test = lane_test_new(&module, config);
	return test != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	lane_test_free(test);
	return 0;
}

static struct lane_test_socket *
connect_to(const char *path)
{
	struct lane_test_socket *s = lane_test_connect(test,
	    &(struct lane_test_request){.path = path}, NULL);

	assert_non_null(s);
	return s;
}

static void
hear(struct lane_test_socket *s, const char *expected)
{
	struct lane_test_message m = lane_test_receive(s, 5000);

	unit_check_str(str_from(m.data.p, m.data.len), str_of(expected),
	    "a message");
	assert_int_equal(m.close_code, 0);
}

static void
hear_close(struct lane_test_socket *s, unsigned code)
{
	struct lane_test_message m = lane_test_receive(s, 5000);

	assert_int_equal(m.close_code, code);
	lane_test_close(s, 0);
}

static void
a_message_is_handled_and_answered(void **state)
{
	struct lane_test_socket *s = connect_to("/story");

	lane_test_send(s, LANE_STR("hi"), true);
	hear(s, "hi");
	lane_test_send(s, LANE_STR("\1\2"), false);
	assert_int_equal(lane_test_receive(s, 0).data.len, 2);
	assert_int_equal(lane_test_close(s, 3000), 3000);
	story_is("open text:hi binary:\1\2 close:3000 reason:");
	assert_int_equal(dropped, 0);
}

static void
messages_wait_for_the_one_before(void **state)
{
	struct lane_test_socket *s = connect_to("/story");

	lane_test_send(s, LANE_STR("slow"), true);
	lane_test_send(s, LANE_STR("next"), true);
	lane_test_send(s, LANE_STR("last"), true);
	hear(s, "slow");
	hear(s, "next");
	hear(s, "last");
	assert_int_equal(lane_test_close(s, 1000), 1000);
	story_is("open text:slow done text:next text:last close:1000 reason:");
}

static void
a_close_cancels_what_waits(void **state)
{
	struct lane_test_socket *s = connect_to("/story");

	lane_test_send(s, LANE_STR("hang"), true);
	lane_test_run(test, 20);
	story_is("open text:hang");
	lane_test_close(s, 0);
	story_is("dropped close:1006 reason:");
}

static void
a_failure_closes_with_1011(void **state)
{
	static const char *const cases[] = {"fail", "leak"};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct lane_test_socket *s = connect_to("/story");
		char expected[128];

		lane_test_send(s, lane_str_of(cases[i]), true);
		hear_close(s, 1011);
		snprintf(expected, sizeof(expected), "open text:%s "
		    "close:1011 reason:internal error", cases[i]);
		story_is(expected);
	}
}

static void
a_module_closes_with_its_own_code(void **state)
{
	struct lane_test_socket *s = connect_to("/story");
	struct lane_test_message m;

	lane_test_send(s, LANE_STR("bye"), true);
	m = lane_test_receive(s, 0);
	assert_int_equal(m.close_code, 4321);
	assert_true(lane_str_eq(m.data, LANE_STR("so long")));
	assert_int_equal(lane_test_close(s, 1000), 4321);
	story_is("open text:bye close:4321 reason:so long");
}

static void
a_text_that_is_none_is_not_sent(void **state)
{
	struct lane_test_socket *s = connect_to("/story");

	lane_test_send(s, LANE_STR("bad"), true);
	lane_test_send(s, LANE_STR("good"), true);
	hear(s, "good");
	lane_test_close(s, 1000);
}

static void
who_sends_too_much_is_told_when_it_has_gone(void **state)
{
	struct lane_test_socket *s = connect_to("/story");
	struct lane_test_message m;

	lane_test_send(s, LANE_STR("flood"), true);
	do {
		m = lane_test_receive(s, 5000);
		assert_true(m.is_text || m.data.len == sizeof(piece));
	} while (!m.is_text);
	assert_true(lane_str_eq(m.data, LANE_STR("drained")));
	lane_test_close(s, 1000);
	story_is("open text:flood drain close:1000 reason:");
}

static void
limits_are_the_routes_own(void **state)
{
	struct lane_test_socket *s = connect_to("/story");
	char big[1001];

	memset(big, 'x', sizeof(big));
	lane_test_send(s, (struct lane_str){big, 1000}, true);
	assert_int_equal(lane_test_receive(s, 0).data.len, 1000);
	lane_test_send(s, (struct lane_str){big, 1001}, true);
	hear_close(s, 1009);
}

static void
authorize_decides_and_its_state_is_never_lost(void **state)
{
	struct lane_test_answer a;
	const char *const foreign[] = {"Origin: http://elsewhere", NULL};
	struct lane_test_socket *s;

	assert_null(lane_test_connect(test,
	    &(struct lane_test_request){.path = "/story?no"}, &a));
	assert_int_equal(a.status, 403);
	assert_int_equal(dropped, 1);
	assert_null(lane_test_connect(test, &(struct lane_test_request){
	    .path = "/story", .headers = foreign}, &a));
	assert_int_equal(a.status, 403);
	assert_int_equal(dropped, 2);
	story_is("");
	s = connect_to("/story?wait");
	lane_test_send(s, LANE_STR("in"), true);
	hear(s, "in");
	lane_test_close(s, 1000);
	assert_int_equal(dropped, 2);
	story_is("open text:in close:1000 reason:");
}

static void
a_protocol_is_chosen(void **state)
{
	const char *const headers[] = {"Sec-WebSocket-Protocol: zero, one",
	    NULL};
	struct lane_test_answer a;
	struct lane_test_socket *s = lane_test_connect(test,
	    &(struct lane_test_request){.path = "/story", .headers = headers},
	    &a);

	assert_non_null(s);
	assert_int_equal(a.status, 101);
	assert_true(lane_str_eq(lane_test_header(&a, "Sec-WebSocket-Protocol"),
	    LANE_STR("one")));
	lane_test_close(s, 1000);
}

static void
other_requests_are_answered_by_run_or_told(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = {{"/story", 426}, {"/bare", 200}, {"/events", 406}};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct lane_test_answer a = lane_test_call(test,
		    &(struct lane_test_request){.path = cases[i].path});

		unit_check(a.status == cases[i].status, cases[i].path);
	}
}

static void
an_id_is_not_used_again(void **state)
{
	struct lane_test_socket *s = connect_to("/story");
	uint64_t id = first_id;

	lane_test_close(s, 1000);
	s = connect_to("/story");
	assert_true(first_id > id);
	lane_test_close(s, 1000);
}

static void
what_a_module_leaves_out_is_no_matter(void **state)
{
	struct lane_test_socket *s = connect_to("/bare");

	lane_test_send(s, LANE_STR("unheard"), true);
	assert_null(lane_test_receive(s, 10).data.p);
	assert_int_equal(lane_test_close(s, 1000), 1000);
}

static void
a_room_is_shared_and_remembered(void **state)
{
	struct lane_test_socket *a = connect_to("/room"), *b;
	struct lane_test_answer answer;

	hear(a, "lost 0");
	announced[0] = '\0';
	b = connect_to("/room");
	hear(b, "lost 0");
	lane_test_send(a, LANE_STR("one"), true);
	lane_test_send(a, LANE_STR("two"), true);
	for (unsigned i = 0; i < 2; i++) {
		struct lane_test_socket *s = i == 0 ? a : b;

		hear(s, "one");
		hear(s, "two");
	}
	answer = lane_test_call(test,
	    &(struct lane_test_request){.path = "/room"});
	unit_check_str(str_from(answer.body.p, answer.body.len),
	    STR("2 2 2 onetwo"), "what is known of it");
	lane_test_close(b, 1000);
	/* Where b was when it was told; two were said since. */
	lane_test_send(a, LANE_STR("three"), true);
	hear(a, "three");
	b = connect_to("/room");
	hear(b, "whole 3");
	hear(b, "one");
	hear(b, "two");
	hear(b, "three");
	lane_test_send(b, LANE_STR("go"), true);
	lane_test_run(test, 10);
	lane_test_send(a, LANE_STR("four"), true);
	hear(a, "four");
	assert_null(lane_test_receive(b, 10).data.p);
	lane_test_close(a, 1000);
	lane_test_close(b, 1000);
	answer = lane_test_call(test,
	    &(struct lane_test_request){.path = "/room"});
	unit_check_str(str_from(answer.body.p, answer.body.len),
	    STR("0 0 2 threefour"), "what is left of it");
}

static void
many_sockets_are_found(void **state)
{
	struct lane_test_socket *s[15];
	size_t i;

	for (i = 0; i < UNIT_COUNT(s); i++)
		s[i] = connect_to("/story");
	for (i = 0; i < UNIT_COUNT(s); i++)
		lane_test_send(s[i], LANE_STR("hi"), true);
	for (i = 0; i < UNIT_COUNT(s); i++)
		hear(s[i], "hi");
	/* The rest are cut off by lane_test_free(). */
	for (i = 0; i < 5; i++)
		lane_test_close(s[i], 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_message_is_handled_and_answered),
		CASE(messages_wait_for_the_one_before),
		CASE(a_close_cancels_what_waits),
		CASE(a_failure_closes_with_1011),
		CASE(a_module_closes_with_its_own_code),
		CASE(a_text_that_is_none_is_not_sent),
		CASE(who_sends_too_much_is_told_when_it_has_gone),
		CASE(limits_are_the_routes_own),
		CASE(authorize_decides_and_its_state_is_never_lost),
		CASE(a_protocol_is_chosen),
		CASE(other_requests_are_answered_by_run_or_told),
		CASE(an_id_is_not_used_again),
		CASE(what_a_module_leaves_out_is_no_matter),
		CASE(a_room_is_shared_and_remembered),
		CASE(many_sockets_are_found),
	};

	return UNIT_RUN(tests);
}
