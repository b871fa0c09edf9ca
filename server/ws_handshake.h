/* SPDX-License-Identifier: MIT */
/*
 * The server's half of a WebSocket's opening handshake (RFC 6455 4.2).
 *
 * Context: the loop's thread.  ws.c -> [ws_handshake.h]
 */
#ifndef CORELANE_SERVER_WS_HANDSHAKE_H
#define CORELANE_SERVER_WS_HANDSHAKE_H

#include "server/ws.h"

/* What both sides have agreed on. */
struct ws_agreed {
	struct ws_deflate deflate;
	uint16_t protocol;	/* 1 + index in options->protocols; 0: none */
};

/*
 * Looks at what the request asks for.  Returns 101, its fields set, and
 * *ret_agreed; or the status of the error that it has been answered with, or
 * -ENOMEM.
 */
int ws_handshake(struct request *r, const struct ws_options *options,
    struct ws_agreed *ret_agreed);

/* RFC 6455 10.2: browsers tell whose page it is that asks, with the cookies of
 * its visitor; others needn't, and send none.  For POST, too. */
bool ws_check_origin(const struct request *r,
    const struct config_strings *origins);

#endif
