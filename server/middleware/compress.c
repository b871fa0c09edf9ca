/* SPDX-License-Identifier: MIT */
/*
 * "compress": gzip for content in memory, for clients that accept it.
 *
 * Content that never changes (CONTENT_STATIC) is compressed once and kept; the
 * rest for each request, up to COMPRESS_BYTES_MAX, beyond which it would hold
 * the loop for too long.  A response that might have been compressed says so
 * in Vary, compressed or not, or caches would mix the two up.
 *
 * Owns one zlib stream, made when first needed, and what was kept, until
 * teardown: configured answers are few, so nothing is ever dropped, and a full
 * table only means that the rest is compressed anew.
 *
 * Here: gzip.  Not here: files, streams, other encodings.
 * Context: the loop's thread.
 */
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

#include "common/bytes.h"
#include "server/accept.h"
#include "server/middleware.h"

#define COMPRESS_BYTES_MAX (1024 * 1024)
#define KEPT_MAX 64			/* a power of two */
#define GZIP_WINDOW_BITS (15 + 16)	/* zlib: 32 KiB, gzip's wrapping */
#define GZIP_MEMORY_LEVEL 8

/* Content that was compressed once, by its address. */
struct kept {
	struct str from;		/* .p NULL: free */
	struct bytes *gzip;		/* NULL: it doesn't get smaller */
};

struct compressor {
	z_stream stream;
	bool is_ready;
	struct kept kept[KEPT_MAX];
};

struct compress {
	size_t min_bytes;
	int level;
	const struct config_strings *types;
	struct compressor *compressor;	/* owned */
};

static void
compress_teardown(void *state)
{
	struct compress *st = state;
	unsigned i;

	if (st == NULL)
		return;
	for (i = 0; i < KEPT_MAX; i++)
		bytes_unref(st->compressor->kept[i].gzip);
	if (st->compressor->is_ready)
		deflateEnd(&st->compressor->stream);
	free(st->compressor);
	free(st);
}

static int
compress_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct compress *st = calloc(1, sizeof(*st));

	if (st == NULL ||
	    (st->compressor = calloc(1, sizeof(*st->compressor))) == NULL) {
		free(st);
		return error_nomem(err, "middleware");
	}
	st->min_bytes = cfg->compress.min_bytes;
	st->level = cfg->compress.level;
	st->types = &cfg->compress.types;
	*ret_state = st;
	return 0;
}

/* "text/" + "*" matches every text; parameters of the type don't count. */
static bool
type_is_listed(const struct config_strings *types, struct str type)
{
	size_t i;

	type = str_trim(str_from(type.p, str_find(type, ';')));
	for (i = 0; i < types->count; i++) {
		struct str item = types->item[i], start = type;

		if (item.len > 0 && item.p[item.len - 1] == '*') {
			item.len--;
			if (start.len > item.len)
				start.len = item.len;
		}
		if (str_eq_nocase(item, start))
			return true;
	}
	return false;
}

/* Whether another client might get this response compressed. */
static bool
compress_is_eligible(const struct request *r, const struct compress *st)
{
	const struct response *res = &r->res;
	struct str type;

	if (res->kind != CONTENT_STATIC && res->kind != CONTENT_ARENA)
		return false;
	if (res->length == 0 || res->length < st->min_bytes ||
	    res->length > COMPRESS_BYTES_MAX ||
	    !status_has_content(res->status) || res->status == 206)
		return false;
	type = response_find(r, STR("Content-Type"));
	return type.p != NULL && type_is_listed(st->types, type) &&
	    response_find(r, STR("Content-Encoding")).p == NULL &&
	    /* RFC 9111 5.2.2.6 */
	    !str_list_has(response_find(r, STR("Cache-Control")),
		STR("no-transform"));
}

/* gzip by name, by its old name, or by "*"; and not less than identity, where
 * that is named (RFC 9110 12.5.3). */
static bool
compress_is_accepted(struct str accept)
{
	int gzip = accept_quality(accept, STR("gzip"));

	if (gzip == -1)
		gzip = accept_quality(accept, STR("x-gzip"));
	if (gzip == -1)
		gzip = accept_quality(accept, STR("*"));
	return gzip > 0 && gzip >= accept_quality(accept, STR("identity"));
}

/* Returns the length written, or 0 where it doesn't get smaller. */
static size_t
compressor_run(struct compressor *c, int level, struct str from, char *out)
{
	z_stream *z = &c->stream;

	if (c->is_ready)
		deflateReset(z);
	else if (deflateInit2(z, level, Z_DEFLATED, GZIP_WINDOW_BITS,
	    GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	c->is_ready = true;
	z->next_in = (z_const Bytef *)from.p;
	z->avail_in = (uInt)from.len;
	z->next_out = (Bytef *)out;
	z->avail_out = (uInt)from.len - 1;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? z->total_out : 0;
}

/* In the arena of a request; .p NULL: as it is. */
static struct str
compress_once(struct arena *a, const struct compress *st, struct str from)
{
	char *out = arena_alloc(a, from.len);
	size_t len = 0;

	if (out != NULL)
		len = compressor_run(st->compressor, st->level, from, out);
	return len > 0 ? str_from(out, len) : str_from(NULL, 0);
}

/* The place of content that never changes, free or taken by it; NULL: full. */
static struct kept *
kept_find(struct compressor *c, struct str from)
{
	size_t i, start = ((uintptr_t)from.p >> 4) ^ from.len;
	struct kept *k;

	for (i = 0; i < KEPT_MAX; i++) {
		k = &c->kept[(start + i) % KEPT_MAX];
		if (k->from.p == NULL ||
		    (k->from.p == from.p && k->from.len == from.len))
			return k;
	}
	return NULL;
}

static struct str
compress_kept(struct arena *a, const struct compress *st, struct str from)
{
	struct kept *k = kept_find(st->compressor, from);
	struct str gzip;

	if (k == NULL)
		return compress_once(a, st, from);
	if (k->from.p == NULL) {
		gzip = compress_once(a, st, from);
		if (gzip.p != NULL && (k->gzip = bytes_new(gzip)) == NULL)
			return gzip;
		k->from = from;
	}
	return k->gzip != NULL ? bytes_str(k->gzip) : str_from(NULL, 0);
}

/* The same entity in another coding is not the same, byte for byte: a strong
 * tag becomes a weak one (RFC 9110 8.8.3.3). */
static int
compress_weaken_etag(struct request *r)
{
	struct str etag = response_find(r, STR("ETag")), weak;

	if (etag.len == 0 || etag.p[0] != '"')
		return 0;
	weak = arena_printf(&r->arena, "W/%.*s", STR_FMT(etag));
	return weak.p == NULL ? -1 : response_set(r, STR("ETag"), weak);
}

/* HEAD too: its fields are those of GET (RFC 9110 9.3.2). */
static void
compress_after(struct request *r, const void *state)
{
	const struct compress *st = state;
	struct response *res = &r->res;
	struct str gzip;

	if (!compress_is_eligible(r, st) ||
	    response_vary(r, STR("Accept-Encoding")) == -1 ||
	    !compress_is_accepted(request_get(r, FIELD_ACCEPT_ENCODING)))
		return;
	gzip = res->kind == CONTENT_STATIC
	    ? compress_kept(&r->arena, st, res->slice)
	    : compress_once(&r->arena, st, res->slice);
	if (gzip.p == NULL || compress_weaken_etag(r) == -1 ||
	    response_add_checked(r, STR("Content-Encoding"), STR("gzip")) == -1)
		return;
	res->slice = gzip;
	res->length = gzip.len;
}

const struct middleware middleware_compress = {
	.name = "compress",
	.setup = compress_setup,
	.teardown = compress_teardown,
	.after = compress_after,
};
