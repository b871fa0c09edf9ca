/* SPDX-License-Identifier: MIT */
/*
 * Messages in and out of zlib (RFC 7692 7.2).
 *
 * A compressed message is raw DEFLATE that ends on a byte's border with an
 * empty block, 00 00 FF FF, which is left out: so a stream is never ended, and
 * the next message may go on with its window (takeover), or begins anew.
 *
 * Owns: a worker's streams, one to compress for each size of window, made when
 * first used; a context's two.  Invariant: a stream without takeover is reset
 * before each use, so that nothing of one connection reaches another, and one
 * that has failed can be used again.
 * Here: whole messages.  Not here: what was agreed (ws_extension.c), frames,
 * which messages are worth it (ws.c).
 * Context: the loop's thread.  ws.c, hub.c -> [ws_deflate.c]
 */
#include "server/ws_deflate.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#define WS_BITS_MAX 15
#define WS_SCRATCH_BYTES (16 * 1024)

/* RFC 7692 7.2.1 */
static const char ws_tail[] = {0x00, 0x00, (char)0xff, (char)0xff};

struct ws_zlib {
	int level;
	z_stream inflate;		/* .state NULL: not made yet */
	z_stream deflate[WS_BITS_MAX + 1]; /* by window bits; likewise */
	char scratch[WS_SCRATCH_BYTES];
};

struct ws_context {
	int level;
	z_stream inflate, deflate;	/* .state NULL: not made yet */
};

struct ws_zlib *
ws_zlib_new(int level)
{
	struct ws_zlib *z = calloc(1, sizeof(*z));

	if (z != NULL)
		z->level = level;
	return z;
}

void
ws_zlib_free(struct ws_zlib *z)
{
	if (z == NULL)
		return;
	inflateEnd(&z->inflate);
	for (size_t i = 0; i <= WS_BITS_MAX; i++)
		deflateEnd(&z->deflate[i]);
	free(z);
}

struct ws_context *
ws_context_new(int level)
{
	struct ws_context *ctx = calloc(1, sizeof(*ctx));

	if (ctx != NULL)
		ctx->level = level;
	return ctx;
}

void
ws_context_free(struct ws_context *ctx)
{
	if (ctx == NULL)
		return;
	inflateEnd(&ctx->inflate);
	deflateEnd(&ctx->deflate);
	free(ctx);
}

static int
ws_deflater_make(z_stream *s, int level, unsigned bits)
{
	/* As small as its window: a table of hashes is cleared for each
	 * message, 8 KiB with 12 bits, where zlib's default has 64. */
	return deflateInit2(s, level, Z_DEFLATED, -(int)bits, (int)bits - 7,
	    Z_DEFAULT_STRATEGY) == Z_OK ? 0 : -1;
}

/* The stream for the next message, or NULL when there is no memory. */
static z_stream *
ws_deflater_get(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed)
{
	bool is_kept = ctx != NULL && agreed->server_takeover;
	z_stream *s = is_kept ? &ctx->deflate
	    : &z->deflate[agreed->server_bits];

	if (s->state == NULL) {
		if (ws_deflater_make(s, is_kept ? ctx->level : z->level,
		    agreed->server_bits) == -1)
			return NULL;
	} else if (!is_kept)
		deflateReset(s);
	return s;
}

/* Gives `s` the whole of s->next_in, and what comes out to `out`. */
static void
ws_deflate_run(struct ws_zlib *z, z_stream *s, struct buf *out)
{
	do {
		s->next_out = (Bytef *)z->scratch;
		s->avail_out = sizeof(z->scratch);
		/* Z_BUF_ERROR: the last time had filled it just so. */
		deflate(s, Z_SYNC_FLUSH);
		buf_add(out, str_from(z->scratch,
		    sizeof(z->scratch) - s->avail_out));
	} while (s->avail_out == 0);
}

int
ws_deflate_message(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed, struct str message, struct buf *out)
{
	z_stream *s;

	/* RFC 7692 7.2.3.6: and zlib doesn't flush twice for nothing. */
	if (message.len == 0) {
		buf_add_byte(out, 0);
		return buf_failed(out) ? -1 : 0;
	}
	s = ws_deflater_get(z, ctx, agreed);
	if (s == NULL)
		return -1;
	s->next_in = (z_const Bytef *)message.p;
	s->avail_in = (uInt)message.len;
	ws_deflate_run(z, s, out);
	if (buf_failed(out))
		return -1;
	out->len -= sizeof(ws_tail);
	out->p[out->len] = '\0';
	return 0;
}

/* The stream for the next message, or NULL when there is no memory. */
static z_stream *
ws_inflater_get(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed)
{
	bool is_kept = ctx != NULL && agreed->client_takeover;
	z_stream *s = is_kept ? &ctx->inflate : &z->inflate;
	int bits = is_kept ? agreed->client_bits : WS_BITS_MAX;

	if (s->state == NULL) {
		if (inflateInit2(s, -bits) != Z_OK)
			return NULL;
	} else if (!is_kept)
		inflateReset(s);
	return s;
}

/*
 * Gives `s` all of `part`; *left is how much may still come out.  What it owes
 * when its room is full comes with the tail, which is only looked at then.
 *
 * A block may say that it is the last of all (RFC 7692 7.2.3.4), and another
 * one follow: the window goes on, which is what inflateReset() would not do.
 */
static enum ws_inflate
ws_inflate_run(struct ws_zlib *z, z_stream *s, size_t *left, struct str part,
    struct buf *out)
{
	size_t room, made;
	int res;

	s->next_in = (z_const Bytef *)part.p;
	s->avail_in = (uInt)part.len;
	do {
		/* One more than it may: so it is seen to be too much. */
		room = *left < sizeof(z->scratch) ? *left + 1
		    : sizeof(z->scratch);
		s->next_out = (Bytef *)z->scratch;
		s->avail_out = (uInt)room;
		res = inflate(s, Z_SYNC_FLUSH);
		made = room - s->avail_out;
		if (res == Z_MEM_ERROR)
			return WS_INFLATE_NOMEM;
		if (res != Z_OK && res != Z_BUF_ERROR && res != Z_STREAM_END)
			return WS_INFLATE_BAD;
		if (made > *left)
			return WS_INFLATE_TOO_BIG;
		*left -= made;
		buf_add(out, str_from(z->scratch, made));
		if (buf_failed(out))
			return WS_INFLATE_NOMEM;
		if (res == Z_STREAM_END)
			inflateResetKeep(s);
	} while (s->avail_in > 0);
	return WS_INFLATED;
}

/* Whether it is between two blocks (zlib.h, inflate()). */
static bool
ws_inflate_is_whole(const z_stream *s)
{
	return (s->data_type & 128) != 0;
}

enum ws_inflate
ws_inflate_message(struct ws_zlib *z, struct ws_context *ctx,
    const struct ws_deflate *agreed, struct str message, size_t max_bytes,
    struct buf *out)
{
	z_stream *s = ws_inflater_get(z, ctx, agreed);
	enum ws_inflate res;
	size_t left = max_bytes;

	if (s == NULL)
		return WS_INFLATE_NOMEM;
	res = ws_inflate_run(z, s, &left, message, out);
	/* With its last byte a block ended that says it is the last, and the
	 * stream began anew: some leave out the empty block behind it. */
	if (res != WS_INFLATED || (message.len > 0 && s->total_in == 0))
		return res;
	res = ws_inflate_run(z, s, &left, str_from(ws_tail, sizeof(ws_tail)),
	    out);
	/* Cut off inside a block: its end is what the tail was taken for. */
	if (res == WS_INFLATED && !ws_inflate_is_whole(s))
		res = WS_INFLATE_BAD;
	return res;
}
