/* SPDX-License-Identifier: MIT */
/*
 * The table of the configuration: "modules" and "databases", and that what
 * names a module names one of these.
 *
 * Owns the rows: constant.
 *
 * Here: keys, defaults, help.  Not here: whether a module has what is asked of
 * it, which only loading it can tell (server/module.c).
 * Context: constant.  Reading order: table.c -> [table_modules.c].
 */
#include "config/config.h"
#include "config/field.h"
#include "config/suggest.h"
#include "config/syntax.h"

#define MODULE struct config_module
#define DATABASE struct config_database

static const struct field module_fields[] = {
	{.key = "name", .kind = FIELD_STRING, .flags = FIELD_REQUIRED,
	    AT(MODULE, name), .check = syntax_module_name,
	    .help = "what handlers and middleware call it: \"api\" for "
	    "\"api.users\""},
	{.key = "file", .kind = FIELD_LIBRARY, .flags = FIELD_REQUIRED,
	    AT(MODULE, file),
	    .help = "the shared object; a bare name is looked for where "
	    "modules are installed"},
	{.key = "prefix", .kind = FIELD_STRING, .def = JSON(""),
	    AT(MODULE, prefix), .check = syntax_prefix,
	    .help = "stands before the paths that the module brings"},
	{.key = "routes", .kind = FIELD_BOOL, .def = JSON(true),
	    AT(MODULE, routes),
	    .help = "serve the paths that the module brings"},
	{.key = "middleware", .kind = FIELD_LIST, .def = JSON([]),
	    AT(MODULE, middleware), .section = &middleware_section, .max = 64,
	    .help = "more of it for those paths, after the global ones"},
	{.key = "config", .kind = FIELD_NODE, .flags = FIELD_NULLABLE,
	    .def = JSON(null), AT(MODULE, config),
	    .help = "what the module itself wants to know"},
	{.key = NULL},
};

const struct section module_section = {
	.name = "modules[]",
	.help = "Handlers and middleware of your own, in a shared object that "
	    "every worker loads.",
	.fields = module_fields,
	.bytes = sizeof(MODULE),
};

static const struct field database_fields[] = {
	{.key = "url", .kind = FIELD_DATABASE,
	    .flags = FIELD_REQUIRED | FIELD_SECRET | FIELD_FROM_FILE,
	    AT(DATABASE, url), .check = syntax_database_url,
	    .help = "the database; a relative path of SQLite starts at this "
	    "file's folder"},
	{.key = "connections", .kind = FIELD_INT, .def = JSON(4),
	    AT(DATABASE, connections), .min = 1, .max = 256,
	    .help = "per worker; with SQLite they read, and one more writes"},
	{.key = "queue", .kind = FIELD_INT, .def = JSON(1024),
	    AT(DATABASE, queue), .min = 1, .max = 1000000,
	    .help = "statements that may wait, per worker; more are answered "
	    "with 503"},
	{.key = "timeout", .kind = FIELD_DURATION, .def = JSON("5s"),
	    AT(DATABASE, timeout_ms), .min = 1, .max = HOUR_MS,
	    .help = "for a statement, its wait included"},
	{.key = "connect", .kind = FIELD_DURATION, .def = JSON("2s"),
	    AT(DATABASE, connect_ms), .min = 1, .max = HOUR_MS,
	    .help = "for a connection to be made"},
	{.key = NULL},
};

const struct section database_section = {
	.name = "databases.NAME",
	.help = "What modules ask by `lane_sql()`.",
	.fields = database_fields,
	.bytes = sizeof(DATABASE),
	.name_at = offsetof(DATABASE, name),
};

/* What the loader checks by the tree of the file: a module that is named wrong
 * in itself is told once, there. */
static struct node *
list_first(const struct node *object, const char *key)
{
	struct node *list = node_find(object, key);

	return list != NULL && list->kind == NODE_LIST ? list->child : NULL;
}

static struct node *
member_text(const struct node *object, const char *key)
{
	struct node *n = node_find(object, key);

	return n != NULL && n->kind == NODE_STRING && !n->is_bad ? n : NULL;
}

/* Names must differ: a second module of one name could never be meant. */
static void
modules_check_twins(const struct section_scope *root)
{
	struct node *first = list_first(root->node, "modules"), *n, *m;
	struct node *name, *other;

	for (n = first; n != NULL; n = n->next) {
		name = member_text(n, "name");
		for (m = first; name != NULL && m != n; m = m->next) {
			other = node_find(m, "name");
			if (other == NULL || !str_eq(other->text, name->text))
				continue;
			node_report(name, root->report,
			    "is the name of "
			    "modules[%zu] too",
			    m->index);
			break;
		}
	}
}

/* n: "api.users", as a handler or a middleware. */
static void
module_check_name(const struct section_scope *root, struct node *n)
{
	struct suggest near = {.word = {NULL, 0}};
	const struct node *module, *name;
	struct str rest;

	if (n == NULL || syntax_module_member(n->text) != NULL)
		return;
	rest = n->text;
	(void)str_cut(&rest, '.', &near.word);
	for (module = list_first(root->node, "modules"); module != NULL;
	    module = module->next) {
		name = node_find(module, "name");
		if (name == NULL || name->kind != NODE_STRING)
			continue;
		if (str_eq(name->text, near.word))
			return;
		suggest_try(&near, name->text.p);
	}
	if (near.best != NULL)
		node_report(n, root->report,
		    "there is no module \"%.*s\"; did "
		    "you mean \"%s.%.*s\"?",
		    STR_FMT(near.word), near.best, STR_FMT(rest));
	else
		node_report(n, root->report,
		    "there is no module \"%.*s\": add "
		    "it to \"modules\"",
		    STR_FMT(near.word));
}

static void
modules_check_middleware(
    const struct section_scope *root, const struct node *object)
{
	struct node *n;

	for (n = list_first(object, "middleware"); n != NULL; n = n->next)
		module_check_name(root, member_text(n, "use"));
}

void
modules_check_names(const struct section_scope *root)
{
	struct node *n;

	modules_check_twins(root);
	modules_check_middleware(root, root->node);
	for (n = list_first(root->node, "modules"); n != NULL; n = n->next)
		modules_check_middleware(root, n);
	for (n = list_first(root->node, "routes"); n != NULL; n = n->next) {
		module_check_name(root, member_text(n, "handler"));
		modules_check_middleware(root, n);
	}
}
