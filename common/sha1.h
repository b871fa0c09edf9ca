/* SPDX-License-Identifier: MIT */
/*
 * SHA-1 (RFC 3174), for the one protocol that still asks for it: the handshake
 * of a WebSocket, where it hides nothing and proves nothing (RFC 6455 10.8).
 *
 * Context: pure; any thread.
 */
#ifndef CORELANE_COMMON_SHA1_H
#define CORELANE_COMMON_SHA1_H

#include <stdint.h>

#include "common/str.h"

#define SHA1_BYTES 20

void sha1(struct str data, uint8_t digest[SHA1_BYTES]);

#endif
