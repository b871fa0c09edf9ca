/* SPDX-License-Identifier: MIT */
/*
 * permessage-deflate: an answer is well-formed and would be taken for an offer
 * of the same; what a message is inflated to doesn't depend on the stream's
 * past, keeps to its limit, and comes back through the compressor.
 *
 *	flags  an offer, or a compressed message
 */
#include <string.h>

#include "server/ws_deflate.h"
#include "tests/fuzz/fuzz.h"

#define FLAG_OFFER 1
#define FLAG_TAKEOVER 2
#define FLAG_SMALL 4

static void
check_offer(struct str offers, unsigned flags)
{
	const struct ws_deflate_options options = {
		.takeover = (flags & FLAG_TAKEOVER) != 0,
		.window_bits = (flags & FLAG_SMALL) != 0 ? 9 : 15, .level = 1};
	struct ws_deflate agreed, again;
	char answer[WS_DEFLATE_ANSWER_MAX], second[WS_DEFLATE_ANSWER_MAX];
	size_t len, second_len;

	(void)ws_extensions_are_valid(offers);
	if (!ws_deflate_negotiate(offers, &options, &agreed, answer, &len)) {
		FUZZ_PROMISE(len == 0 && agreed.server_bits == 0);
		return;
	}
	FUZZ_PROMISE(len > 0 && len < sizeof(answer));
	FUZZ_PROMISE(ws_extensions_are_valid(str_from(answer, len)));
	FUZZ_PROMISE(agreed.server_bits >= 9 &&
	    agreed.server_bits <= options.window_bits);
	FUZZ_PROMISE(agreed.client_bits >= 8 && agreed.client_bits <= 15);
	FUZZ_PROMISE(options.takeover ||
	    (!agreed.server_takeover && !agreed.client_takeover));
	FUZZ_PROMISE(ws_deflate_negotiate(str_from(answer, len), &options,
	    &again, second, &second_len));
	FUZZ_PROMISE(str_eq(str_from(answer, len),
	    str_from(second, second_len)));
}

static enum ws_inflate
inflate_with(struct ws_zlib *z, struct ws_context *ctx, struct str message,
    size_t max_bytes, struct buf *out)
{
	const struct ws_deflate agreed = {15, 15, ctx != NULL, ctx != NULL};
	enum ws_inflate res;

	buf_clear(out);
	res = ws_inflate_message(z, ctx, &agreed, message, max_bytes, out);
	FUZZ_PROMISE(out->len <= max_bytes);
	FUZZ_PROMISE(res != WS_INFLATE_NOMEM);
	return res;
}

/* It goes through the compressor, twice with the same window, and back. */
static void
check_back(struct ws_zlib *z, struct ws_context *ctx, struct str text)
{
	const struct ws_deflate agreed = {9, 15, ctx != NULL, ctx != NULL};
	struct buf packed, out;

	buf_init(&packed, 0);
	buf_init(&out, 0);
	for (int i = 0; i < 2; i++) {
		buf_clear(&packed);
		FUZZ_PROMISE(ws_deflate_message(z, ctx, &agreed, text,
		    &packed) == 0);
		FUZZ_PROMISE(inflate_with(z, ctx, buf_str(&packed), text.len,
		    &out) == WS_INFLATED);
		FUZZ_PROMISE(str_eq(buf_str(&out), text));
	}
	buf_done(&packed);
	buf_done(&out);
}

static void
check_message(struct str message, unsigned flags)
{
	const size_t max_bytes = (flags & FLAG_SMALL) != 0 ? 100 : 1 << 18;
	struct ws_zlib *z = ws_zlib_new(1);
	struct ws_context *ctx = ws_context_new(1), *other = ws_context_new(1);
	struct buf first, out;
	enum ws_inflate res;

	if (z == NULL || ctx == NULL || other == NULL)
		abort();
	buf_init(&first, 0);
	buf_init(&out, 0);
	res = inflate_with(z, NULL, message, max_bytes, &first);
	FUZZ_PROMISE(inflate_with(z, NULL, message, max_bytes, &out) == res);
	FUZZ_PROMISE(str_eq(buf_str(&first), buf_str(&out)));
	FUZZ_PROMISE(inflate_with(z, ctx, message, max_bytes, &out) == res);
	FUZZ_PROMISE(str_eq(buf_str(&first), buf_str(&out)));
	if (res == WS_INFLATED) {
		FUZZ_PROMISE(inflate_with(z, NULL, message, first.len, &out) ==
		    WS_INFLATED);
		FUZZ_PROMISE(first.len == 0 || inflate_with(z, NULL, message,
		    first.len - 1, &out) == WS_INFLATE_TOO_BIG);
		check_back(z, (flags & FLAG_TAKEOVER) != 0 ? other : NULL,
		    buf_str(&first));
	}
	buf_done(&first);
	buf_done(&out);
	ws_context_free(ctx);
	ws_context_free(other);
	ws_zlib_free(z);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in;

	if (size < 1)
		return 0;
	in = str_from((const char *)data + 1, size - 1);
	if ((data[0] & FLAG_OFFER) != 0)
		check_offer(in, data[0]);
	else
		check_message(in, data[0]);
	return 0;
}
