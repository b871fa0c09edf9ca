/* SPDX-License-Identifier: MIT */
/*
 * The hub, with real WebSockets and event streams over a loopback: what was
 * published comes once, in order, and in the form that was asked for.
 */
#include "tests/unit/hub_client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/channel_region.h"
#include "server/internal.h"
#include "tests/unit/unit.h"

static void
test_each_form_has_its_bytes(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct client raw, json, sse;
	char id[CHANNEL_POSITION_MAX], text[1024];
	struct channel_position pos;

	client_ws(lo, &raw);
	assert_int_equal(client_subscribe(lo, &raw, "room", &rule, HUB_RAW), 0);
	client_ws(lo, &json);
	assert_int_equal(client_subscribe(lo, &json, "room", &rule, HUB_JSON),
	    0);
	client_sse(lo, &sse);
	assert_int_equal(client_subscribe(lo, &sse, "room", &rule, HUB_EVENT),
	    0);
	assert_int_equal(lo->stats.subscriptions, 3);
	assert_int_equal(room_subscribers(lo, "room"), 3);

	pos = room_publish_text(lo, "room", "one\ntwo");
	id[channel_position_print(&pos, id)] = '\0';
	loopback_settle(lo);
	wire_expect(&raw.wire, "\x81\x07one\ntwo");
	snprintf(text, sizeof(text), "{\"type\":\"message\","
	    "\"channel\":\"room\",\"id\":\"%s\",\"time\":", id);
	wire_expect(&json.wire, text);
	wire_expect(&json.wire, ",\"data\":\"one\\ntwo\"}");
	snprintf(text, sizeof(text), "id: %s\ndata: one\ndata: two\n\n", id);
	wire_expect(&sse.wire, text);
	assert_int_equal(lo->stats.delivered, 3);

	room_publish(lo, "room", STR("{\"a\":1}"), CHANNEL_JSON);
	room_publish(lo, "room", STR("\x01\xff"), CHANNEL_BINARY);
	room_publish(lo, "room", STR("{\"client\":\"1\"}"), CHANNEL_JOIN);
	loopback_settle(lo);
	wire_expect(&raw.wire, "\x81\x07{\"a\":1}\x82\x02\x01\xff");
	assert_int_equal(wire_count(&raw.wire, "client"), 0);
	wire_expect(&json.wire, ",\"data\":{\"a\":1}}");
	wire_expect(&json.wire, ",\"data64\":\"Af8=\"}");
	wire_expect(&json.wire, "{\"type\":\"join\",\"channel\":\"room\"");
	wire_expect(&sse.wire, "data: {\"a\":1}\n\n");
	wire_expect(&sse.wire, "event: binary\ndata: Af8=\n\n");
	wire_expect(&sse.wire, "event: join\ndata: {\"client\":\"1\"}\n\n");

	client_close(&raw);
	client_close(&json);
	client_close(&sse);
	loopback_wait_empty(lo);
	assert_int_equal(lo->stats.subscriptions, 0);
	assert_int_equal(room_subscribers(lo, "room"), 0);
	loopback_close(lo);
}

static void
test_a_turn_leaves_as_one_write(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct client cl;
	char all[512];
	ssize_t n;

	client_ws(lo, &cl);
	assert_int_equal(client_subscribe(lo, &cl, "room", &rule, HUB_RAW), 0);
	room_publish_text(lo, "room", "one");
	room_publish_text(lo, "other", "nobody's");
	room_publish_text(lo, "room", "two");
	server_turn(lo->srv);
	n = recv(cl.wire.fd, all, sizeof(all), 0);
	assert_int_equal(n, 10);
	assert_memory_equal(all, "\x81\x03one\x81\x03two", 10);
	client_close(&cl);
	loopback_close(lo);
}

static void
test_patterns_and_leaving(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	char longest[CHANNEL_NAME_MAX + 2] = "";
	struct client cl, other;

	client_ws(lo, &cl);
	client_ws(lo, &other);
	assert_int_equal(client_subscribe(lo, &cl, "room.*", &rule, HUB_RAW),
	    0);
	assert_int_equal(client_subscribe(lo, &cl, "room.*", &rule, HUB_RAW),
	    -EEXIST);
	assert_int_equal(client_subscribe(lo, &cl, "a b", &rule, HUB_RAW),
	    -EINVAL);
	memset(longest, 'n', CHANNEL_NAME_MAX);
	longest[CHANNEL_NAME_MAX] = '*';
	assert_int_equal(client_subscribe(lo, &cl, longest, &rule, HUB_RAW),
	    -EINVAL);
	longest[CHANNEL_NAME_MAX - 1] = '*';
	longest[CHANNEL_NAME_MAX] = '\0';
	assert_int_equal(client_subscribe(lo, &cl, longest, &rule, HUB_RAW),
	    0);
	assert_int_equal(hub_unsubscribe(cl.session, str_of(longest)), 0);
	assert_int_equal(client_subscribe(lo, &other, "*", &rule, HUB_RAW), 0);
	assert_int_equal(client_subscribe(lo, &other, "room.2", &rule, HUB_RAW),
	    0);
	assert_int_equal(hub_count(other.session), 2);
	assert_true(hub_has(cl.session, STR("room.*")));
	assert_false(hub_has(cl.session, STR("room.2")));

	room_publish_text(lo, "room.1", "1");
	room_publish_text(lo, "room.2", "2");
	room_publish_text(lo, "roof", "3");
	loopback_settle(lo);
	client_check(&cl, "\x81\x01" "1\x81\x01" "2", "the pattern's");
	wire_expect(&other.wire, "\x81\x01" "3");
	assert_int_equal(wire_count(&other.wire, "\x81\x01" "2"), 2);

	client_clear(&cl);
	assert_int_equal(hub_unsubscribe(cl.session, STR("room.*")), 0);
	assert_int_equal(hub_unsubscribe(cl.session, STR("room.*")), -ENOENT);
	room_publish_text(lo, "room.1", "4");
	loopback_settle(lo);
	wire_expect(&other.wire, "\x81\x01" "4");
	loopback_settle(lo);
	assert_int_equal(recv(cl.wire.fd, &(char){0}, 1, 0), -1);
	client_close(&cl);
	client_close(&other);
	loopback_close(lo);
}

/* A process that is stopped holds the log: whoever goes meanwhile doesn't
 * count for longer than that. */
static void
test_who_goes_while_the_log_is_held_is_not_kept(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct hub *hub = lo->srv->hub;
	struct config_channel rule = hub_rule();
	struct client cl;

	client_ws(lo, &cl);
	assert_int_equal(client_subscribe(lo, &cl, "a", &rule, HUB_RAW), 0);
	assert_int_equal(client_subscribe(lo, &cl, "b", &rule, HUB_RAW), 0);
	assert_int_equal(channel_region_lock(hub_log(hub)), 0);
	assert_int_equal(hub_unsubscribe(cl.session, STR("a")), 0);
	channel_region_unlock(hub_log(hub));
	assert_int_equal(room_subscribers(lo, "a"), 1);
	/* Not in front of it: it would be tried in vain for each. */
	assert_int_equal(hub_unsubscribe(cl.session, STR("b")), 0);
	assert_int_equal(room_subscribers(lo, "b"), 1);

	hub_tick(hub);
	assert_int_equal(room_subscribers(lo, "a"), 0);
	assert_int_equal(room_subscribers(lo, "b"), 0);
	client_close(&cl);
	loopback_close(lo);
}

static void
test_what_is_published_before_the_turn_comes_once(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct client first, late;

	client_ws(lo, &first);
	client_ws(lo, &late);
	assert_int_equal(client_subscribe(lo, &first, "room", &rule, HUB_RAW),
	    0);
	room_publish_text(lo, "room", "one");
	/* The log has it, the turn hasn't come: it is before live. */
	assert_int_equal(client_subscribe(lo, &late, "room", &rule, HUB_RAW),
	    0);
	room_publish_text(lo, "room", "two");
	loopback_settle(lo);
	client_check(&first, "\x81\x03" "one\x81\x03two", "both");
	client_check(&late, "\x81\x03" "two", "one");
	client_close(&first);
	client_close(&late);
	loopback_close(lo);
}

static void
test_who_is_gone_costs_nobody_else(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("false"));
	struct config_channel rule = hub_rule();
	struct client cl[8];
	size_t i;

	for (i = 0; i < UNIT_COUNT(cl); i++) {
		client_ws(lo, &cl[i]);
		client_subscribe(lo, &cl[i], "room", &rule, HUB_RAW);
	}
	/* Gone, and the server finds out by sending. */
	for (i = 0; i < UNIT_COUNT(cl); i += 2)
		shutdown(cl[i].wire.fd, SHUT_RDWR);
	room_publish_text(lo, "room", "one");
	server_turn(lo->srv);
	room_publish_text(lo, "room", "two");
	loopback_settle(lo);
	for (i = 1; i < UNIT_COUNT(cl); i += 2)
		client_check(&cl[i], "\x81\x03" "one\x81\x03two", "both");
	loopback_settle(lo);
	assert_int_equal(lo->stats.subscriptions, UNIT_COUNT(cl) / 2);
	for (i = 0; i < UNIT_COUNT(cl); i++)
		client_close(&cl[i]);
	loopback_close(lo);
}

static void
test_a_message_is_compressed_for_who_agreed(void **state)
{
	struct loopback *lo = loopback_open(HUB_CONFIG("true"));
	struct config_channel rule = hub_rule();
	struct client plain, packed;
	char data[1000];

	memset(data, 'a', sizeof(data));
	client_ws(lo, &plain);
	client_subscribe(lo, &plain, "room", &rule, HUB_RAW);
	wire_open(lo, &packed.wire);
	client_begin(lo, &packed, WS_UPGRADE "Sec-WebSocket-Extensions: "
	    "permessage-deflate\r\n\r\n", "\r\n\r\n");
	wire_expect(&packed.wire, "permessage-deflate");
	client_clear(&packed);
	client_subscribe(lo, &packed, "room", &rule, HUB_RAW);
	room_publish(lo, "room", str_from(data, sizeof(data)), CHANNEL_TEXT);
	room_publish_text(lo, "room", "short");
	loopback_settle(lo);
	/* FIN and RSV1; what is short is sent as it is. */
	wire_expect(&packed.wire, "\x81\x05short");
	assert_int_equal((unsigned char)packed.wire.text.p[0], 0xc1);
	assert_true(packed.wire.text.len < 100);
	wire_expect(&plain.wire, "\x81\x05short");
	assert_int_equal(plain.wire.text.len, 4 + 1000 + 7);
	client_close(&plain);
	client_close(&packed);
	loopback_close(lo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_form_has_its_bytes),
		cmocka_unit_test(test_a_turn_leaves_as_one_write),
		cmocka_unit_test(test_patterns_and_leaving),
		cmocka_unit_test(
		    test_who_goes_while_the_log_is_held_is_not_kept),
		cmocka_unit_test(
		    test_what_is_published_before_the_turn_comes_once),
		cmocka_unit_test(test_who_is_gone_costs_nobody_else),
		cmocka_unit_test(test_a_message_is_compressed_for_who_agreed),
	};

	return UNIT_RUN(tests);
}
