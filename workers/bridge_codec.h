/* SPDX-License-Identifier: MIT */
/*
 * What the bridge writes to Redis and reads from there.
 *
 *	PREFIX s:CHANNEL	a stream of envelopes, field "m": its history
 *	PREFIX n:CHANNEL	a hash: the last number of every origin
 *	PREFIX c:CHANNEL	pub/sub: "ID ENVELOPE", the ID of the stream
 *	PREFIX recent		a sorted set: channels by their last message
 *
 * An envelope is a line and the data, which may be any bytes:
 *
 *	1 c5d8f1a2b3c4d5e6 5f3a9c21 42 j 1763700000000\n{"text":"hi"}
 *	| |                |        |  | time, ms     data
 *	| machine          origin   |  text, json, binary, + join, - leave
 *	version                     number
 *
 * A stream's IDs order the messages of all machines, and pub/sub comes in the
 * same order, because one script does both.
 *
 * Owns nothing.
 * Here: the formats.  Not here: the script (bridge_out.c), the connection.
 * Context: pure functions; [bridge_codec.c] -> bridge_out.c, bridge_in.c.
 */
#ifndef CORELANE_WORKERS_BRIDGE_CODEC_H
#define CORELANE_WORKERS_BRIDGE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/channel_log.h"
#include "common/str.h"

/* The ID of an entry in a stream: milliseconds by Redis's clock, and which of
 * them. */
struct bridge_id {
	uint64_t ms, seq;
};

#define BRIDGE_ID_BYTES 48 /* its text, with a NUL */

bool bridge_id_parse(struct str text, struct bridge_id *ret_id);
size_t bridge_id_print(const struct bridge_id *id, char to[BRIDGE_ID_BYTES]);
/* <0, 0, >0 */
int bridge_id_cmp(const struct bridge_id *a, const struct bridge_id *b);

struct bridge_envelope {
	uint64_t machine;
	uint32_t origin;
	uint64_t number;
	enum channel_content content;
	int64_t time_ms;
	struct str data;	/* lent by what it was parsed from */
};

void bridge_envelope_print(struct buf *out, const struct bridge_envelope *e);
/* Whether it is one, text being UTF-8 and JSON being JSON: whatever stands in
 * Redis, subscribers here get nothing that their protocols forbid. */
bool bridge_envelope_parse(struct str text, struct bridge_envelope *ret_e);

/* Takes "ID ENVELOPE" apart. */
bool bridge_push_parse(struct str text, struct bridge_id *ret_id,
    struct str *ret_envelope);

/* Appends `text` as a glob pattern that matches itself. */
void bridge_glob_add(struct buf *out, struct str text);

#endif
