/* SPDX-License-Identifier: MIT */
/*
 * The texts of statements, each kept once: what was learned of one when it was
 * prepared sends the next query with it the right way at once.
 *
 * Owns the texts.  Invariant: a text that some job has is not dropped; beyond
 * LITE_TEXTS_MAX the one used longest ago is.
 * Here: finding and forgetting.  Not here: prepared statements, of which each
 * connection has its own (sqlite_stmt.c).
 * Context: the loop's thread.
 *	sqlite.c -> [sqlite_text.c]
 */
#include "server/db/sqlite.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, eight bytes at a step, and what is left byte by byte. */
static uint64_t
text_hash(const char *p, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	for (; len > 0; p++, len--)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static void
text_unlink(struct sqlite_texts *texts, struct sqlite_text *text)
{
	*(text->newer != NULL ? &text->newer->older : &texts->newest) =
	    text->older;
	*(text->older != NULL ? &text->older->newer : &texts->oldest) =
	    text->newer;
}

static void
text_push(struct sqlite_texts *texts, struct sqlite_text *text)
{
	text->newer = NULL;
	text->older = texts->newest;
	*(texts->newest != NULL ? &texts->newest->newer : &texts->oldest) =
	    text;
	texts->newest = text;
}

static void
text_drop(struct sqlite_texts *texts, struct sqlite_text *text)
{
	struct sqlite_text **at =
	    &texts->bucket[text->hash % LITE_TEXT_BUCKETS];

	while (*at != text)
		at = &(*at)->next;
	*at = text->next;
	text_unlink(texts, text);
	texts->count--;
	free(text);
}

/* Those in use are many only when as many queries wait: they stay. */
static void
text_make_room(struct sqlite_texts *texts)
{
	struct sqlite_text *text = texts->oldest, *newer;

	while (text != NULL && texts->count >= LITE_TEXTS_MAX) {
		newer = text->newer;
		if (text->uses == 0)
			text_drop(texts, text);
		text = newer;
	}
}

static struct sqlite_text *
text_add(struct sqlite_texts *texts, const char *sql, size_t len, uint64_t hash)
{
	struct sqlite_text *text, **bucket;

	text_make_room(texts);
	text = calloc(1, sizeof(*text) + len + 1);
	if (text == NULL)
		return NULL;
	memcpy(text->sql, sql, len + 1);
	text->len = len;
	text->hash = hash;
	text->id = ++texts->last_id;
	bucket = &texts->bucket[hash % LITE_TEXT_BUCKETS];
	text->next = *bucket;
	*bucket = text;
	text_push(texts, text);
	texts->count++;
	return text;
}

struct sqlite_text *
sqlite_text_take(struct sqlite_texts *texts, const char *sql)
{
	size_t len = strlen(sql);
	uint64_t hash = text_hash(sql, len);
	struct sqlite_text *text = texts->bucket[hash % LITE_TEXT_BUCKETS];

	while (text != NULL &&
	    (text->hash != hash || text->len != len ||
		memcmp(text->sql, sql, len) != 0))
		text = text->next;
	if (text == NULL) {
		text = text_add(texts, sql, len, hash);
		if (text == NULL)
			return NULL;
	} else if (text != texts->newest) {
		text_unlink(texts, text);
		text_push(texts, text);
	}
	text->uses++;
	return text;
}

void
sqlite_text_put(struct sqlite_text *text)
{
	if (text != NULL)
		text->uses--;
}

void
sqlite_texts_done(struct sqlite_texts *texts)
{
	struct sqlite_text *text, *newer;

	for (text = texts->oldest; text != NULL; text = newer) {
		newer = text->newer;
		text_drop(texts, text);
	}
}
