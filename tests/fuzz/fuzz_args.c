/* SPDX-License-Identifier: MIT */
/*
 * Declared values: whatever a client sends, as text or as members of a JSON
 * object, what is taken follows its declaration.
 */
#include <math.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "common/utf8.h"
#include "server/args_rule.h"
#include "server/json_check.h"
#include "tests/fuzz/fuzz.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct lane_field fields[] = {
	{.name = "text", .min = 1, .max = 4},
	{.name = "word", .pattern = "([a-z]+-?)+"},
	{.name = "colour", .one_of = colours},
	{.name = "int", .type = LANE_TYPE_INT, .min = -5, .max = 1000},
	{.name = "any", .type = LANE_TYPE_INT},
	{.name = "float", .type = LANE_TYPE_FLOAT, .max = 2.5},
	{.name = "bool", .type = LANE_TYPE_BOOL},
	{.name = NULL},
};

static void
check_value(const struct lane_field *f, const struct lane_value *v)
{
	switch (f->type) {
	case LANE_TYPE_TEXT:
		FUZZ_PROMISE(v->kind == LANE_TEXT);
		FUZZ_PROMISE(utf8_is_valid(str_from(v->u.s.p, v->u.s.len)));
		/* A character has one to four bytes. */
		FUZZ_PROMISE(f->max == 0 ||
		    (v->u.s.len >= 1 && v->u.s.len <= 16));
		return;
	case LANE_TYPE_INT:
		FUZZ_PROMISE(v->kind == LANE_INT);
		FUZZ_PROMISE(f->max == 0 ||
		    (v->u.i >= -5 && v->u.i <= 1000));
		return;
	case LANE_TYPE_FLOAT:
		FUZZ_PROMISE(v->kind == LANE_FLOAT && isfinite(v->u.f));
		FUZZ_PROMISE(v->u.f >= 0 && v->u.f <= 2.5);
		return;
	case LANE_TYPE_BOOL:
		FUZZ_PROMISE(v->kind == LANE_BOOL);
		return;
	case LANE_TYPE_JSON:
		FUZZ_PROMISE(false);
	}
}

static void
check_texts(const struct args_spec *spec, struct str text)
{
	struct lane_value v;
	size_t i;

	for (i = 0; i < spec->count; i++)
		if (arg_from_text(&spec->rule[i], text, &v))
			check_value(&fields[i], &v);
}

static void
check_object(const struct args_spec *spec, struct arena *a, struct str text)
{
	const cJSON *tree = arg_parse_json(a, text), *item;
	struct lane_value v;
	size_t i;

	if (tree == NULL)
		return;
	for (i = 0; i < spec->count; i++) {
		item = cJSON_GetObjectItemCaseSensitive(tree, fields[i].name);
		if (item != NULL && arg_from_json(&spec->rule[i], item, &v))
			check_value(&fields[i], &v);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct args_spec *spec;
	struct str text = str_from((const char *)data, size);
	struct error err;
	struct arena a;

	error_clear(&err);
	if (spec == NULL)
		spec = args_spec_make(fields, true, &err);
	FUZZ_PROMISE(spec != NULL);
	arena_init(&a, NULL);
	check_texts(spec, text);
	check_object(spec, &a, text);
	arena_done(&a);
	return 0;
}
