/* SPDX-License-Identifier: MIT */
/*
 * One declared value, ready to be checked: what a struct lane_field says, with
 * its pattern compiled, its fallback converted and its sentence made.
 *
 *	struct lane_value v;
 *
 *	if (!arg_from_text(rule, text, &v))
 *		... rule->wants: "a whole number from 1 to 100"
 *
 * Internal to args*.c and openapi.c.
 * Context: constant once made; matching is for one thread.
 */
#ifndef CORELANE_SERVER_ARGS_RULE_H
#define CORELANE_SERVER_ARGS_RULE_H

#include <corelane/corelane.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/str.h"

struct arg_match;
struct node;

struct arg_rule {
	const struct lane_field *field;	/* borrowed */
	struct str name;
	struct str wants;	/* what it must be: follows "must be " */
	bool has_min, has_max;	/* field->min, field->max count */
	struct arg_match *match;	/* of its pattern; NULL: none */
	struct lane_value fallback;	/* LANE_NULL: none */
};

struct args_spec {
	struct arena arena;	/* everything lies in it */
	size_t count;
	struct arg_rule *rule;
	bool has_body;
};

struct args {
	const struct args_spec *spec;
	struct lane_value *value; /* of each rule; JSON: LANE_POINTER */
};

/* is_config: keys of the configuration, whatever field->where says. */
struct args_spec *args_spec_make(const struct lane_field *fields,
    bool is_config, struct error *err) __attribute__((warn_unused_result));

/* Fills one rule.  Returns 0, or -1 with what is wrong with the declaration. */
int arg_rule_init(struct arg_rule *rule, struct arena *a,
    const struct lane_field *field, struct error *err);

/* Convert and check.  The value is lent by what it was made of; false when it
 * isn't what is wanted. */
bool arg_from_text(const struct arg_rule *rule, struct str text,
    struct lane_value *ret_value);
bool arg_from_json(const struct arg_rule *rule, const struct cJSON *item,
    struct lane_value *ret_value);
/* LANE_TYPE_JSON: the tree is made in the arena. */
bool arg_from_node(const struct arg_rule *rule, const struct node *n,
    struct arena *a, struct lane_value *ret_value);

/* A tree of JSON text that goes with the arena; NULL where it can't be. */
const struct cJSON *arg_parse_json(struct arena *a, struct str text);
struct lane_value arg_json_value(const struct cJSON *item);

#endif
