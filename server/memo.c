/* SPDX-License-Identifier: MIT */
/*
 * A small direct-mapped cache of heads.
 *
 * Owns copies of the bytes; the heads' slices point into them.
 * Invariant: an entry's head is what head_parse() would make of its bytes.
 * Here: remembering.  Not here: parsing (head.c), routing (pipeline.c).
 * Context: a worker's loop.  http1.c -> [memo.c]
 */
#include "server/memo.h"

#include <stdlib.h>

#define MEMO_ENTRIES 16
#define MEMO_HEAD_MIN 32
#define MEMO_HEAD_BYTES 1024
#define MEMO_FIELDS 32

struct memo_entry {
	uint32_t len;			/* 0: empty */
	unsigned key;
	uint64_t seen; /* print of the last head offered here */
	struct head head;
	struct field fields[MEMO_FIELDS];
	char bytes[MEMO_HEAD_BYTES];
};

struct memo {
	uint64_t last_id;
	struct memo_entry entry[MEMO_ENTRIES];
};

struct memo *
memo_new(void)
{
	return calloc(1, sizeof(struct memo));
}

void
memo_free(struct memo *m)
{
	free(m);
}

static uint64_t
word_at(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* The request line tells most heads apart; clients with one line and different
 * fields share an entry. */
static struct memo_entry *
memo_entry_of(struct memo *m, const char *p)
{
	uint64_t h = word_at(p + 4) * 0x9e3779b97f4a7c15u;

	h = (h ^ word_at(p + 12)) * 0x9e3779b97f4a7c15u;
	return &m->entry[h >> 60];
}

/* Enough to guess that a head came before; memo_find() compares it whole. */
static uint64_t
memo_print(struct str raw)
{
	uint64_t h = raw.len;

	h = h * 31 + word_at(raw.p + 4);
	h = h * 31 + word_at(raw.p + raw.len / 2);
	return h * 31 + word_at(raw.p + raw.len - 12);
}

struct head *
memo_find(struct memo *m, unsigned key, const char *p, size_t len)
{
	struct memo_entry *e;

	if (len < MEMO_HEAD_MIN)
		return NULL;
	e = memo_entry_of(m, p);
	if (e->len == 0 || e->len > len || e->key != key ||
	    memcmp(e->bytes, p, e->len) != 0)
		return NULL;
	return &e->head;
}

static bool
memo_is_wanted(const struct head *h)
{
	return h->framing == BODY_NONE && !h->has_upgrade &&
	    !h->expect_continue && !h->is_path_decoded && h->is_routed &&
	    h->raw.len >= MEMO_HEAD_MIN &&
	    h->raw.len <= MEMO_HEAD_BYTES && h->field_count <= MEMO_FIELDS;
}

void
memo_offer(struct memo *m, unsigned key, const struct head *h)
{
	struct memo_entry *e;
	uint64_t print;

	if (!memo_is_wanted(h))
		return;
	e = memo_entry_of(m, h->raw.p);
	print = memo_print(h->raw);
	if (e->seen != print) {
		e->seen = print;
		return;
	}
	e->key = key;
	e->len = (uint32_t)h->raw.len;
	memcpy(e->bytes, h->raw.p, h->raw.len);
	memcpy(e->fields, h->fields, h->field_count * sizeof(e->fields[0]));
	e->head = *h;
	e->head.memo_id = ++m->last_id;
	e->head.fields = e->fields;
	e->head.raw.p = e->bytes;
	head_rebase(&e->head, h->raw, e->bytes);
}
