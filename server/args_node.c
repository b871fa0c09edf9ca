/* SPDX-License-Identifier: MIT */
/*
 * Declared keys of the configuration: a module's "config", and the keys beside
 * a middleware's "use".
 *
 * Owns nothing: what is made lies in the caller's arena.
 * Here: which keys there may be, and where each problem is.  Not here: what a
 * value must be (args_rule.c).
 * Context: while a server is made.  module.c -> [args_node.c] -> args_rule.c
 */
#include "common/buf.h"
#include "config/node.h"
#include "config/suggest.h"
#include "server/args.h"
#include "server/args_rule.h"

static const struct arg_rule *
find_rule(const struct args_spec *spec, struct str key)
{
	size_t i;

	for (i = 0; i < spec->count; i++)
		if (str_eq(spec->rule[i].name, key))
			return &spec->rule[i];
	return NULL;
}

/* Tells a problem at `pos`, of a key or (NULL) of the whole. */
static __attribute__((format(printf, 4, 5))) void
source_report(const struct args_source *s, struct config_pos pos,
    const char *key, const char *fmt, ...)
{
	char path[256], text[ERROR_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s%s%s", s->path != NULL ? s->path : "",
	    s->path != NULL && key != NULL ? "." : "", key != NULL ? key : "");
	config_problem_add(s->problems, s->config, pos, path, "%s", text);
}

static void
report_unknown(const struct args_source *s, const struct args_spec *spec,
    const struct node *n)
{
	struct suggest near = {.word = n->key};
	size_t i;

	for (i = 0; i < spec->count; i++)
		suggest_try(&near, spec->rule[i].field->name);
	if (near.best != NULL)
		source_report(s, n->key_pos, n->key.p, "there is no such key; "
		    "did you mean \"%s\"?", near.best);
	else
		source_report(s, n->key_pos, n->key.p, "there is no such key");
}

/* What stands there: the short text, or a kind. */
static void
report_wrong(const struct args_source *s, const struct arg_rule *rule,
    const struct node *n)
{
	struct buf b;

	buf_init(&b, 0);
	/* A variable of the environment may be a secret. */
	if (n->kind == NODE_STRING && n->text.len <= 64 && !n->has_variable)
		buf_add_json(&b, n->text);
	else if (n->kind == NODE_NUMBER)
		buf_add(&b, n->text);
	else
		buf_add(&b, str_of(node_kind_name(n)));
	source_report(s, n->pos, rule->field->name, "must be %.*s, not %s",
	    STR_FMT(rule->wants), buf_failed(&b) ? "this" : b.p);
	buf_done(&b);
}

static bool
read_keys(const struct args_source *s, const struct args_spec *spec,
    struct arena *a, struct args *args)
{
	const struct arg_rule *rule;
	const struct node *n;
	bool is_good = true;

	for (n = s->node->child; n != NULL; n = n->next) {
		rule = find_rule(spec, n->key);
		if (rule == NULL)
			report_unknown(s, spec, n);
		else if (!arg_from_node(rule, n, a,
		    &args->value[rule - spec->rule]))
			report_wrong(s, rule, n);
		else
			continue;
		is_good = false;
	}
	return is_good;
}

static bool
fill_absent(const struct args_source *s, const struct args_spec *spec,
    struct args *args)
{
	const struct arg_rule *rule;
	bool is_good = true;
	size_t i;

	for (i = 0; i < spec->count; i++) {
		rule = &spec->rule[i];
		if (s->node != NULL &&
		    node_find(s->node, rule->field->name) != NULL)
			continue;
		args->value[i] = rule->fallback;
		if (!rule->field->is_required)
			continue;
		source_report(s, s->node != NULL ? s->node->pos : s->pos, NULL,
		    "\"%s\" is missing: write %.*s", rule->field->name,
		    STR_FMT(rule->wants));
		is_good = false;
	}
	return is_good;
}

static void
spec_on_free(void *ptr)
{
	args_spec_free(ptr);
}

static struct args *
args_make(struct arena *a, const struct args_source *s, struct error *err)
{
	static const struct lane_field none[1];
	struct args_spec *spec;
	struct args *args;

	spec = args_spec_make(s->fields != NULL ? s->fields : none, true, err);
	if (spec == NULL)
		return NULL;
	if (arena_defer(a, spec_on_free, spec) == -1) {
		args_spec_free(spec);
		error_nomem(err, "configuration");
		return NULL;
	}
	args = arena_zalloc(a, sizeof(*args));
	if (args != NULL) {
		args->spec = spec;
		args->value = arena_zalloc(a,
		    (spec->count + 1) * sizeof(*args->value));
	}
	if (args == NULL || args->value == NULL) {
		error_nomem(err, "configuration");
		return NULL;
	}
	return args;
}

struct args *
args_from_node(struct arena *a, const struct args_source *source)
{
	struct error err;
	struct args *args;
	bool is_good = true;

	error_clear(&err);
	args = args_make(a, source, &err);
	if (args == NULL) {
		source_report(source, source->pos, NULL,
		    "the module's own declaration: %s", err.text);
		return NULL;
	}
	if (source->node != NULL)
		is_good = read_keys(source, args->spec, a, args);
	is_good &= fill_absent(source, args->spec, args);
	return is_good ? args : NULL;
}
