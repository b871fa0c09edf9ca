/* SPDX-License-Identifier: MIT */
/*
 * Declared values: from struct lane_field to a rule, and from a text, a JSON
 * value or a node of the configuration to a value that follows it.
 *
 * Owns nothing: rules, patterns and trees lie in an arena, or go with it.
 * Here: types, limits, patterns, and the sentence for each.  Not here: where
 * values come from (args.c, args_node.c).
 * Context: see args_rule.h.
 */
#include "server/args_rule.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cjson/cJSON.h>

#include "common/buf.h"
#include "common/utf8.h"
#include "config/node.h"
#include "server/json_check.h"

/* Whole numbers up to here are exact as a double, which is all that JSON
 * promises (RFC 7493 2.2), and all that a tree of cJSON can hold. */
#define JSON_INT_MAX 9007199254740991.0

/* What a pattern may cost: far more than any good one, and still a fraction of
 * a millisecond. */
#define MATCH_STEPS_MAX 100000
#define MATCH_HEAP_KIB 256

struct arg_match {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

static void
match_free(void *ptr)
{
	struct arg_match *m = ptr;

	pcre2_match_context_free(m->limits);
	pcre2_match_data_free(m->data);
	pcre2_code_free(m->code);
}

static int
match_init(struct arg_match *m, const char *pattern, struct error *err)
{
	unsigned char message[128];
	PCRE2_SIZE offset;
	int number;

	m->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
	    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
	    PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
	    &number, &offset, NULL);
	if (m->code == NULL) {
		pcre2_get_error_message(number, message, sizeof(message));
		return error_set(err, ERROR_INVALID, "pattern '%s', at %zu: %s",
		    pattern, offset + 1, (const char *)message);
	}
	m->data = pcre2_match_data_create(1, NULL);
	m->limits = pcre2_match_context_create(NULL);
	if (m->data == NULL || m->limits == NULL)
		return error_nomem(err, "pattern");
	pcre2_set_match_limit(m->limits, MATCH_STEPS_MAX);
	pcre2_set_heap_limit(m->limits, MATCH_HEAP_KIB);
	/* Where it can't be done (no executable memory) it is interpreted. */
	pcre2_jit_compile(m->code, PCRE2_JIT_COMPLETE);
	return 0;
}

/* text: valid UTF-8. */
static bool
match_is_whole(const struct arg_match *m, struct str text)
{
	return pcre2_match(m->code, (PCRE2_SPTR)text.p, text.len, 0,
	    PCRE2_NO_UTF_CHECK, m->data, m->limits) >= 0;
}

/* Limits. */

static size_t
text_length(struct str text)
{
	size_t i, count = 0;

	for (i = 0; i < text.len; i++)
		count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return count;
}

static bool
in_range(const struct arg_rule *rule, double number)
{
	return (!rule->has_min || number >= rule->field->min) &&
	    (!rule->has_max || number <= rule->field->max);
}

static bool
is_listed(const struct arg_rule *rule, struct str text)
{
	const char *const *name = rule->field->one_of;

	if (name == NULL)
		return true;
	for (; *name != NULL; name++)
		if (str_eq(str_of(*name), text))
			return true;
	return false;
}

static bool
text_fits(const struct arg_rule *rule, struct str text)
{
	return utf8_is_valid(text) &&
	    in_range(rule, (double)text_length(text)) &&
	    is_listed(rule, text) &&
	    (rule->match == NULL || match_is_whole(rule->match, text));
}

static bool
put_text(const struct arg_rule *rule, struct str text,
    struct lane_value *ret_value)
{
	if (!text_fits(rule, text))
		return false;
	ret_value->kind = LANE_TEXT;
	ret_value->u.s = (struct lane_str){text.p, text.len};
	return true;
}

static bool
put_int(const struct arg_rule *rule, int64_t i, struct lane_value *ret_value)
{
	if (!in_range(rule, (double)i))
		return false;
	ret_value->kind = LANE_INT;
	ret_value->u.i = i;
	return true;
}

static bool
put_float(const struct arg_rule *rule, double f, struct lane_value *ret_value)
{
	if (!isfinite(f) || !in_range(rule, f))
		return false;
	ret_value->kind = LANE_FLOAT;
	ret_value->u.f = f;
	return true;
}

static bool
put_bool(bool b, struct lane_value *ret_value)
{
	ret_value->kind = LANE_BOOL;
	ret_value->u.b = b;
	return true;
}

struct lane_value
arg_json_value(const struct cJSON *item)
{
	union {
		const struct cJSON *in;
		void *out;
	} tree = {.in = item};
	struct lane_value v = {.kind = LANE_POINTER};

	v.u.ptr.p = tree.out;
	return v;
}

/* Texts. */

/* Digits with a sign before them, and nothing else. */
static bool
parse_int(struct str text, int64_t *ret_value)
{
	char digits[32];
	size_t i = text.len > 0 && text.p[0] == '-' ? 1 : 0;

	if (i == text.len || text.len >= sizeof(digits))
		return false;
	for (; i < text.len; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	memcpy(digits, text.p, text.len);
	digits[text.len] = '\0';
	errno = 0;
	*ret_value = strtoll(digits, NULL, 10);
	return errno == 0;
}

/* A number as JSON writes it, but for a zero before it: strtod() would take
 * "inf", "0x1p3" and blanks. */
static bool
parse_float(struct str text, double *ret_value)
{
	char copy[64], *end;

	if (text.len == 0 || text.len >= sizeof(copy) ||
	    (text.p[0] != '-' && (text.p[0] < '0' || text.p[0] > '9')))
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	if (strspn(copy, "0123456789+-.eE") != text.len)
		return false;
	*ret_value = strtod(copy, &end);
	return *end == '\0';
}

static bool
parse_bool(struct str text, bool *ret_value)
{
	*ret_value = str_eq(text, STR("true")) || str_eq(text, STR("1"));
	return *ret_value || str_eq(text, STR("false")) ||
	    str_eq(text, STR("0"));
}

bool
arg_from_text(const struct arg_rule *rule, struct str text,
    struct lane_value *ret_value)
{
	int64_t i;
	double f;
	bool b;

	switch (rule->field->type) {
	case LANE_TYPE_TEXT:
		return put_text(rule, text, ret_value);
	case LANE_TYPE_INT:
		return is_listed(rule, text) && parse_int(text, &i) &&
		    put_int(rule, i, ret_value);
	case LANE_TYPE_FLOAT:
		return parse_float(text, &f) && put_float(rule, f, ret_value);
	case LANE_TYPE_BOOL:
		return parse_bool(text, &b) && put_bool(b, ret_value);
	case LANE_TYPE_JSON:
		break;
	}
	return false;
}

/* JSON. */

static bool
int_is_listed(const struct arg_rule *rule, int64_t i)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)i);
	return is_listed(rule, str_of(text));
}

bool
arg_from_json(const struct arg_rule *rule, const struct cJSON *item,
    struct lane_value *ret_value)
{
	double f = cJSON_IsNumber(item) ? item->valuedouble : 0;

	switch (rule->field->type) {
	case LANE_TYPE_TEXT:
		return cJSON_IsString(item) &&
		    put_text(rule, str_of(item->valuestring), ret_value);
	case LANE_TYPE_INT:
		return cJSON_IsNumber(item) && fabs(f) <= JSON_INT_MAX &&
		    f == trunc(f) && int_is_listed(rule, (int64_t)f) &&
		    put_int(rule, (int64_t)f, ret_value);
	case LANE_TYPE_FLOAT:
		return cJSON_IsNumber(item) && put_float(rule, f, ret_value);
	case LANE_TYPE_BOOL:
		return cJSON_IsBool(item) &&
		    put_bool(cJSON_IsTrue(item), ret_value);
	case LANE_TYPE_JSON:
		*ret_value = arg_json_value(item);
		return true;
	}
	return false;
}

static void
json_free(void *ptr)
{
	cJSON_Delete(ptr);
}

const struct cJSON *
arg_parse_json(struct arena *a, struct str text)
{
	struct json_fault fault;
	cJSON *tree = NULL;

	/* The parser takes more than JSON, and stops at what it can't read. */
	if (json_check(text, JSON_DEPTH_DEFAULT, &fault) == 0)
		tree = cJSON_ParseWithLength(text.p, text.len);
	if (tree == NULL || arena_defer(a, json_free, tree) == -1) {
		cJSON_Delete(tree);
		return NULL;
	}
	return tree;
}

/* Nodes. */

static bool
node_to_json(const struct node *n, struct arena *a,
    struct lane_value *ret_value)
{
	const struct cJSON *tree = NULL;
	struct buf b;

	buf_init(&b, 0);
	node_add_json(&b, n);
	if (!buf_failed(&b))
		tree = arg_parse_json(a, buf_str(&b));
	buf_done(&b);
	if (tree != NULL)
		*ret_value = arg_json_value(tree);
	return tree != NULL;
}

bool
arg_from_node(const struct arg_rule *rule, const struct node *n,
    struct arena *a, struct lane_value *ret_value)
{
	/* "${PORT:-80}" can only be a string. */
	bool is_text = n->kind == NODE_STRING && n->has_variable;

	switch (rule->field->type) {
	case LANE_TYPE_TEXT:
		return n->kind == NODE_STRING &&
		    arg_from_text(rule, n->text, ret_value);
	case LANE_TYPE_INT:
	case LANE_TYPE_FLOAT:
		return (n->kind == NODE_NUMBER || is_text) &&
		    arg_from_text(rule, n->text, ret_value);
	case LANE_TYPE_BOOL:
		if (n->kind == NODE_BOOL)
			return put_bool(n->is_true, ret_value);
		return is_text && arg_from_text(rule, n->text, ret_value);
	case LANE_TYPE_JSON:
		return node_to_json(n, a, ret_value);
	}
	return false;
}

/* Rules. */

/* " from 1 to 10", " of at least 1". */
static void
add_range(struct buf *b, const struct arg_rule *rule)
{
	if (rule->has_min && rule->has_max) {
		buf_add(b, STR(" from "));
		buf_add_number(b, rule->field->min);
		buf_add(b, STR(" to "));
		buf_add_number(b, rule->field->max);
	} else if (rule->has_min) {
		buf_add(b, STR(" of at least "));
		buf_add_number(b, rule->field->min);
	} else if (rule->has_max) {
		buf_add(b, STR(" of at most "));
		buf_add_number(b, rule->field->max);
	}
}

/* " of 3 to 20 characters". */
static void
add_length(struct buf *b, const struct arg_rule *rule)
{
	double min = rule->field->min, max = rule->field->max;

	if (!rule->has_min && !rule->has_max)
		return;
	buf_add(b, STR(" of "));
	if (rule->has_min && rule->has_max && min < max) {
		buf_add_number(b, min);
		buf_add(b, STR(" to "));
	} else if (!rule->has_max) {
		buf_add(b, STR("at least "));
		max = min;
	} else if (!rule->has_min) {
		buf_add(b, STR("at most "));
	}
	buf_add_number(b, max);
	buf_add(b, max == 1 ? STR(" character") : STR(" characters"));
}

static void
add_names(struct buf *b, const struct lane_field *f)
{
	const char *const *name = f->one_of;
	size_t i;

	for (i = 0; name[i] != NULL; i++) {
		if (i > 0)
			buf_add(b, name[i + 1] == NULL ? STR(" or ")
			    : STR(", "));
		if (f->type == LANE_TYPE_TEXT)
			buf_add_json(b, str_of(name[i]));
		else
			buf_add(b, str_of(name[i]));
	}
}

static void
add_wants(struct buf *b, const struct arg_rule *rule)
{
	const struct lane_field *f = rule->field;

	if (f->one_of != NULL) {
		add_names(b, f);
		return;
	}
	switch (f->type) {
	case LANE_TYPE_TEXT:
		buf_add(b, STR("a string"));
		add_length(b, rule);
		if (f->pattern != NULL)
			buf_printf(b, " that matches %s", f->pattern);
		return;
	case LANE_TYPE_INT:
		buf_add(b, STR("a whole number"));
		add_range(b, rule);
		return;
	case LANE_TYPE_FLOAT:
		buf_add(b, STR("a number"));
		add_range(b, rule);
		return;
	case LANE_TYPE_BOOL:
		buf_add(b, STR("true or false"));
		return;
	case LANE_TYPE_JSON:
		buf_add(b, STR("a JSON value"));
		return;
	}
}

static int
rule_set_wants(struct arg_rule *rule, struct arena *a, struct error *err)
{
	struct buf b;

	buf_init(&b, 0);
	add_wants(&b, rule);
	if (!buf_failed(&b))
		rule->wants = arena_copy(a, buf_str(&b));
	buf_done(&b);
	return rule->wants.p != NULL ? 0 : error_nomem(err, "declaration");
}

static int
rule_set_pattern(struct arg_rule *rule, struct arena *a, struct error *err)
{
	if (rule->field->pattern == NULL)
		return 0;
	rule->match = arena_zalloc(a, sizeof(*rule->match));
	if (rule->match == NULL ||
	    arena_defer(a, match_free, rule->match) == -1)
		return error_nomem(err, "pattern");
	return match_init(rule->match, rule->field->pattern, err);
}

static int
rule_set_fallback(struct arg_rule *rule, struct arena *a, struct error *err)
{
	const struct lane_field *f = rule->field;
	const struct cJSON *tree;
	bool is_good;

	rule->fallback.kind = LANE_NULL;
	if (f->fallback == NULL)
		return 0;
	if (f->type == LANE_TYPE_JSON) {
		tree = arg_parse_json(a, str_of(f->fallback));
		rule->fallback = arg_json_value(tree);
		is_good = tree != NULL;
	} else {
		is_good = arg_from_text(rule, str_of(f->fallback),
		    &rule->fallback);
	}
	if (is_good)
		return 0;
	return error_set(err, ERROR_INVALID, "fallback '%s' must be %.*s",
	    f->fallback, STR_FMT(rule->wants));
}

/* What makes no sense together, or NULL. */
static const char *
field_fault(const struct lane_field *f)
{
	bool is_number = f->type == LANE_TYPE_INT ||
	    f->type == LANE_TYPE_FLOAT;

	if (f->name[0] == '\0')
		return "has no name";
	if (f->pattern != NULL && f->type != LANE_TYPE_TEXT)
		return "has a pattern, which is for texts";
	if (f->one_of != NULL && f->type != LANE_TYPE_TEXT &&
	    f->type != LANE_TYPE_INT)
		return "has one_of, which is for texts and whole numbers";
	if (f->one_of != NULL && f->one_of[0] == NULL)
		return "has an empty one_of";
	if ((f->min != 0 || f->max != 0) && !is_number &&
	    f->type != LANE_TYPE_TEXT)
		return "has a range, which is for texts and numbers";
	if (f->max < f->min && f->max != 0)
		return "has a min above its max";
	if (f->is_required && f->fallback != NULL)
		return "is required, so its fallback would never be used";
	return NULL;
}

int
arg_rule_init(struct arg_rule *rule, struct arena *a,
    const struct lane_field *field, struct error *err)
{
	const char *fault = field_fault(field);

	if (fault != NULL)
		return error_set(err, ERROR_INVALID, "%s", fault);
	rule->field = field;
	rule->name = str_of(field->name);
	/* A max of 0 behind a min above it is none. */
	rule->has_max = field->max != 0 || field->min < 0;
	rule->has_min = field->min != 0 ||
	    (rule->has_max && field->type != LANE_TYPE_TEXT);
	if (rule_set_wants(rule, a, err) == -1 ||
	    rule_set_pattern(rule, a, err) == -1 ||
	    rule_set_fallback(rule, a, err) == -1)
		return -1;
	return 0;
}
