/* SPDX-License-Identifier: MIT */
/*
 * A walk over checked JSON sees what cJSON sees: the same members, in the same
 * order, all the way down, each a slice of the text that is JSON itself.
 */
#include <string.h>

#include <cjson/cJSON.h>

#include "server/json_check.h"
#include "server/json_walk.h"
#include "tests/fuzz/fuzz.h"

static void compare(struct str text, struct arena *a, const cJSON *tree);

static void
compare_children(struct str text, struct arena *a, const cJSON *tree)
{
	const cJSON *child = tree->child;
	struct json_walk w;
	struct str key, value;

	json_walk_init(&w, text);
	for (; child != NULL; child = child->next) {
		if (cJSON_IsObject(tree)) {
			FUZZ_PROMISE(json_walk_member(&w, a, &key, &value));
			FUZZ_PROMISE(str_eq(key, str_of(child->string)));
		} else {
			FUZZ_PROMISE(json_walk_item(&w, &value));
		}
		FUZZ_PROMISE(value.p >= text.p &&
		    value.p + value.len <= text.p + text.len);
		compare(value, a, child);
	}
	FUZZ_PROMISE(!json_walk_item(&w, &value));
}

static void
compare(struct str text, struct arena *a, const cJSON *tree)
{
	struct json_fault fault;
	struct str string;

	FUZZ_PROMISE(json_check(text, 64, &fault) == 0);
	switch (json_kind(text)) {
	case '{':
	case '[':
		FUZZ_PROMISE(cJSON_IsObject(tree) == (text.p[0] == '{'));
		FUZZ_PROMISE(cJSON_IsArray(tree) == (text.p[0] == '['));
		compare_children(text, a, tree);
		break;
	case '"':
		string = json_text(text, a);
		FUZZ_PROMISE(cJSON_IsString(tree));
		FUZZ_PROMISE(str_eq(string, str_of(tree->valuestring)));
		break;
	case 't':
		FUZZ_PROMISE(cJSON_IsTrue(tree));
		break;
	case 'f':
		FUZZ_PROMISE(cJSON_IsFalse(tree));
		break;
	case 'n':
		FUZZ_PROMISE(cJSON_IsNull(tree));
		break;
	default:
		FUZZ_PROMISE(cJSON_IsNumber(tree));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct str text = str_from(copy, size);
	struct json_fault fault;
	struct arena a;
	cJSON *tree;

	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	/* White space around the whole is no part of a value. */
	while (text.len > 0 && strchr(" \t\r\n", text.p[0]) != NULL)
		text = str_from(text.p + 1, text.len - 1);
	while (text.len > 0 && strchr(" \t\r\n", text.p[text.len - 1]) != NULL)
		text.len--;
	if (json_check(text, 64, &fault) == 0) {
		arena_init(&a, NULL);
		tree = cJSON_ParseWithLength(text.p, text.len + 1);
		FUZZ_PROMISE(tree != NULL);
		compare(text, &a, tree);
		cJSON_Delete(tree);
		arena_done(&a);
	}
	free(copy);
	return 0;
}
