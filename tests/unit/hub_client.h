/* SPDX-License-Identifier: MIT */
/*
 * Clients of channels on a loopback, without the handlers in front of the hub:
 * real WebSockets and event streams, whose sessions a test subscribes itself.
 *
 *	struct config_channel rule = hub_rule();
 *	struct client cl;
 *
 *	client_ws(lo, &cl);
 *	client_subscribe(lo, &cl, "room", &rule, HUB_RAW);
 *	room_publish_text(lo, "room", "hello");
 *	loopback_settle(lo);
 *	client_check(&cl, "\x81\x05hello", "the message");
 *	client_close(&cl);
 *
 * Context: one loop, the test's own thread.
 */
#ifndef CORELANE_TESTS_UNIT_HUB_CLIENT_H
#define CORELANE_TESTS_UNIT_HUB_CLIENT_H

#include "server/hub.h"
#include "tests/unit/wire.h"

/* A small log, so that it can be lapped; no compression but where it is the
 * matter. */
#define HUB_CONFIG(deflate)                                                    \
	"{\"routes\": [{\"path\": \"/ws\", \"handler\": \"echo\","             \
	" \"origins\": [\"*\"]}, {\"path\": \"/sse\","                         \
	" \"handler\": \"system_stream\", \"interval\": \"1h\"}],"             \
	" \"channel_log\": {\"bytes\": \"256KiB\", \"channels\": 64},"         \
	" \"websocket\": {\"deflate\": {\"enabled\": " deflate "}}}"

#define WS_UPGRADE                                                             \
	"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"                \
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                 \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* Keeps enough, and disconnects who is too slow. */
struct config_channel hub_rule(void);

/* A client and its session in the server. */
struct client {
	struct wire wire;
	struct session *session;
};

/* Over a socket that is open already: sends the head, and reads what begins
 * the session. */
void client_begin(struct loopback *lo, struct client *cl, const char *head,
    const char *begun);
void client_ws(struct loopback *lo, struct client *cl);
void client_sse(struct loopback *lo, struct client *cl);
void client_close(struct client *cl);

int client_subscribe(struct loopback *lo, struct client *cl,
    const char *channel, const struct config_channel *rule,
    enum hub_form form);

/* Forgets what has been read so far. */
void client_clear(struct client *cl);
/* It has been sent exactly this. */
void client_check(struct client *cl, const char *text, const char *name);

struct channel_position room_publish(struct loopback *lo, const char *channel,
    struct str data, enum channel_content content);
struct channel_position room_publish_text(struct loopback *lo,
    const char *channel, const char *text);
uint32_t room_subscribers(struct loopback *lo, const char *channel);

#endif
