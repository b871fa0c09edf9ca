/* SPDX-License-Identifier: MIT */
/*
 * Content: the first byte chooses the framing, the rest is the wire.  Whole and
 * one at a time it must give the same bytes and the same end.
 */
#include <string.h>

#include "server/body.h"
#include "tests/fuzz/fuzz.h"

struct reading {
	enum body_result end;
	size_t used, len;
	char *content;
};

static void
read_wire(struct reading *ret, struct str wire, enum body_framing framing,
    size_t step)
{
	struct body_reader b;
	struct str in = {wire.p, 0}, piece;
	size_t at = 0;

	*ret = (struct reading){BODY_MORE, 0, 0, malloc(wire.len + 1)};
	body_reader_init(&b, framing, 100, 1 << 20);
	while (ret->end == BODY_MORE && at < wire.len) {
		size_t more = at + step < wire.len ? step : wire.len - at;

		in = str_from(in.p, in.len + more);
		at += more;
		while ((ret->end = body_read(&b, &in, &piece)) == BODY_PIECE) {
			memcpy(ret->content + ret->len, piece.p, piece.len);
			ret->len += piece.len;
		}
	}
	ret->used = (size_t)(in.p - wire.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading whole, bytewise;
	enum body_framing framing;
	struct str wire;

	if (size < 1)
		return 0;
	framing = data[0] & 1 ? BODY_CHUNKED : BODY_LENGTH;
	wire = str_from((const char *)data + 1, size - 1);
	read_wire(&whole, wire, framing, size);
	read_wire(&bytewise, wire, framing, 1);
	FUZZ_PROMISE(whole.end == bytewise.end);
	FUZZ_PROMISE(whole.used == bytewise.used);
	FUZZ_PROMISE(whole.len == bytewise.len);
	FUZZ_PROMISE(memcmp(whole.content, bytewise.content, whole.len) == 0);
	free(whole.content);
	free(bytewise.content);
	return 0;
}
