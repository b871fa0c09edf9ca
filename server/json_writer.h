/* SPDX-License-Identifier: MIT */
/*
 * The writer of lane_json_*(): JSON as a growing text in a context's arena,
 * with no tree in between.
 *
 *	struct lane_json_writer w;
 *
 *	json_writer_init(&w, c);
 *	json_write_tree(&w, tree);
 *	text = json_writer_end(&w, &problem);
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_JSON_WRITER_H
#define CORELANE_SERVER_JSON_WRITER_H

#include <corelane/response.h>

#include "common/str.h"

#define JSON_WRITER_DEPTH 1024

struct cJSON;

struct lane_json_writer {
	struct lane_ctx *ctx;
	char *start, *at, *end; /* in the arena */
	const char *mistake; /* a literal: the first one */
	bool is_no_memory;
	bool is_object; /* the innermost is one */
	bool has_key; /* and waits for a value */
	bool needs_comma; /* something stands in front */
	unsigned depth;
	/* Which levels are objects; bits of levels that aren't entered are
	 * anything. */
	uint64_t objects[JSON_WRITER_DEPTH / 64];
};

void json_writer_init(struct lane_json_writer *w, struct lane_ctx *c);

/* A value: the whole tree.  Numbers that are integers leave as such. */
void json_write_tree(struct lane_json_writer *w, const struct cJSON *tree);

/*
 * What was written, as a whole.  .p NULL: *ret_mistake is the module's, a
 * literal, or NULL where there was no memory.
 */
struct str json_writer_end(
    const struct lane_json_writer *w, const char **ret_mistake);

#endif
