/* SPDX-License-Identifier: MIT */
/*
 * Reference-counted bytes: the count, the length and the data in one block.
 *
 * Owns each block until its last reference goes.
 * Here: the life of a block.  Not here: who shares it (channels, static files).
 * Context: the loop's thread.
 */
#include "common/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct bytes *
bytes_alloc(size_t len)
{
	struct bytes *b;

	if (len > SIZE_MAX - sizeof(*b))
		return NULL;
	b = malloc(sizeof(*b) + len);
	if (b == NULL)
		return NULL;
	b->refs = 1;
	b->len = len;
	return b;
}

struct bytes *
bytes_new(struct str contents)
{
	struct bytes *b = bytes_alloc(contents.len);

	if (b != NULL && contents.len > 0)
		memcpy(b->data, contents.p, contents.len);
	return b;
}

struct bytes *
bytes_ref(struct bytes *b)
{
	assert(b->refs > 0 && b->refs < UINT32_MAX);
	b->refs++;
	return b;
}

void
bytes_unref(struct bytes *b)
{
	if (b == NULL)
		return;
	assert(b->refs > 0);
	if (--b->refs == 0)
		free(b);
}
