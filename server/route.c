/* SPDX-License-Identifier: MIT */
/*
 * The tree of patterns, and the walk over it that finds a request's route.
 *
 * A host has one tree.  A node is a place in a path; its literal children hold
 * the bytes that follow, split where patterns part (a radix tree), so that a
 * static path costs one memcmp per fork and not one per route.  Parameters
 * hang on nodes that stand at the start of a segment:
 *
 *	"/" -+- "users/" -+- "me"			/users/me
 *	     |            +- expression [0-9]+		/users/{id:[0-9]+}
 *	     |            +- plain ---- "/posts"	/users/{name}/posts
 *	     +- "files/" --- tail			/files/{path:.*}
 *
 * A parameter takes exactly one segment, so each node is reached with one rest
 * of the path only: however patterns overlap, a search visits a node at most
 * once, and backtracking is bounded by the size of the tree.  What an
 * expression may cost is bounded by PCRE2's limits.
 *
 * Owns every node, name and expression, in one arena; immutable once the last
 * route is added, but for PCRE2's match data.
 * Here: building and searching.  Not here: the syntax (pattern.c).
 * Context: built at load; searched on the loop.
 * Reading order: pipeline.c -> [route.c] -> middleware/, handlers/
 */
#include "server/route.h"

#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/arena.h"
#include "config/method.h"
#include "server/pattern.h"

/* An expression that needs more than this is cut off: no match. */
#define EXPRESSION_STEPS_MAX 20000
#define EXPRESSION_DEPTH_MAX 500
#define EXPRESSION_HEAP_KIB 256

/* One route at the end of its pattern. */
struct leaf {
	struct leaf *next;		/* other methods of the same pattern */
	unsigned methods;
	unsigned param_count;
	struct str *names;
	void *target;
};

struct node {
	struct str text;		/* literal bytes that lead here */
	char *first;			/* first byte of each literal child */
	struct node **child;
	unsigned child_count;
	bool has_params;		/* any of the three that follow */
	struct expression *expressions;	/* in the order of the file */
	struct node *plain;
	struct leaf *tail;		/* patterns whose tail begins here */
	struct leaf *leaf;		/* patterns that end here */
};

struct expression {
	struct expression *next;
	struct str text;
	pcre2_code *code;
	struct node *node;		/* what follows the segment */
};

/* The tree of one host; the first in the table is that of any host. */
struct host {
	struct host *next;
	struct str name;		/* empty: any */
	struct node *root;
};

struct route_table {
	struct arena arena;
	struct host any;
	pcre2_match_data *match_data;
	pcre2_match_context *limits;
};

struct route_table *
route_table_new(void)
{
	struct route_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	arena_init(&t->arena, NULL);
	t->any.root = arena_zalloc(&t->arena, sizeof(*t->any.root));
	t->match_data = pcre2_match_data_create(1, NULL);
	t->limits = pcre2_match_context_create(NULL);
	if (t->any.root == NULL || t->match_data == NULL || t->limits == NULL) {
		route_table_free(t);
		return NULL;
	}
	pcre2_set_match_limit(t->limits, EXPRESSION_STEPS_MAX);
	pcre2_set_depth_limit(t->limits, EXPRESSION_DEPTH_MAX);
	pcre2_set_heap_limit(t->limits, EXPRESSION_HEAP_KIB);
	return t;
}

void
route_table_free(struct route_table *t)
{
	if (t == NULL)
		return;
	arena_done(&t->arena);
	pcre2_match_data_free(t->match_data);
	pcre2_match_context_free(t->limits);
	free(t);
}

/* "[::1]:80" and "example.com:80" without their port. */
static struct str
host_without_port(struct str authority)
{
	size_t i = authority.len;

	while (i > 0 && authority.p[i - 1] >= '0' && authority.p[i - 1] <= '9')
		i--;
	if (i > 0 && authority.p[i - 1] == ':')
		authority.len = i - 1;
	return authority;
}

static struct host *
host_find(const struct route_table *t, struct str authority)
{
	struct str name = host_without_port(authority);
	struct host *h;

	for (h = t->any.next; h != NULL; h = h->next)
		if (h->name.len == name.len &&
		    strncasecmp(h->name.p, name.p, name.len) == 0)
			return h;
	return NULL;
}

/* The tree of a host, made where it isn't there. */
static struct host *
host_get(struct route_table *t, struct str authority)
{
	struct host *h;

	if (authority.len == 0)
		return &t->any;
	if ((h = host_find(t, authority)) != NULL)
		return h;
	h = arena_zalloc(&t->arena, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->name = arena_copy(&t->arena, host_without_port(authority));
	h->root = arena_zalloc(&t->arena, sizeof(*h->root));
	if (h->name.p == NULL || h->root == NULL)
		return NULL;
	h->next = t->any.next;
	t->any.next = h;
	return h;
}

static size_t
common_prefix(struct str a, struct str b)
{
	size_t i, n = a.len < b.len ? a.len : b.len;

	for (i = 0; i < n && a.p[i] == b.p[i]; i++)
		continue;
	return i;
}

/* A new literal child; NULL when there is no memory. */
static struct node *
node_add_child(struct arena *a, struct node *n, struct str text)
{
	unsigned count = n->child_count;
	struct node *child = arena_zalloc(a, sizeof(*child));
	struct node **list = arena_alloc(a, (count + 1) * sizeof(*list));
	char *first = arena_alloc(a, count + 1);

	if (child == NULL || list == NULL || first == NULL)
		return NULL;
	if (count > 0) {
		memcpy(list, n->child, count * sizeof(struct node *));
		memcpy(first, n->first, count);
	}
	child->text = text;
	list[count] = child;
	first[count] = text.p[0];
	n->child = list;
	n->first = first;
	n->child_count++;
	return child;
}

/* Has `n` end after `len` bytes of its text; the rest becomes its child. */
static int
node_split(struct arena *a, struct node *n, size_t len)
{
	struct node upper = {.text = str_from(n->text.p, len)};
	struct node *lower = node_add_child(a, &upper,
	    str_from(n->text.p + len, n->text.len - len));
	struct str text;

	if (lower == NULL)
		return -1;
	text = lower->text;
	*lower = *n;
	lower->text = text;
	*n = upper;
	return 0;
}

/* The node behind a literal, made where it isn't there. */
static struct node *
node_get_literal(struct arena *a, struct node *n, struct str text)
{
	const char *at;
	struct node *child;
	size_t len;

	while (text.len > 0) {
		at = n->child_count > 0
		    ? memchr(n->first, text.p[0], n->child_count) : NULL;
		if (at == NULL)
			return node_add_child(a, n, text);
		child = n->child[at - n->first];
		len = common_prefix(child->text, text);
		if (len < child->text.len && node_split(a, child, len) == -1)
			return NULL;
		text = str_from(text.p + len, text.len - len);
		n = child;
	}
	return n;
}

static void
expression_on_free(void *ptr)
{
	pcre2_code_free(ptr);
}

static pcre2_code *
expression_compile(struct arena *a, struct str text, struct error *err)
{
	unsigned char message[128];
	PCRE2_SIZE offset;
	pcre2_code *code;
	int number;

	code = pcre2_compile((PCRE2_SPTR)text.p, text.len,
	    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
	    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
	    PCRE2_NO_AUTO_CAPTURE, &number, &offset, NULL);
	if (code == NULL) {
		pcre2_get_error_message(number, message, sizeof(message));
		return error_set(err, ERROR_INVALID,
		    "expression '%.*s', at %zu: %s", STR_FMT(text), offset + 1,
		    (const char *)message), NULL;
	}
	if (arena_defer(a, expression_on_free, code) == -1)
		return error_nomem(err, "route expression"), NULL;
	/* Where it can't be done (no executable memory) it is interpreted. */
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

/* The node behind a segment that an expression matches. */
static struct node *
node_get_expression(struct arena *a, struct node *n, struct str text,
    struct error *err)
{
	struct expression **at, *e;

	for (at = &n->expressions; *at != NULL; at = &(*at)->next)
		if (str_eq((*at)->text, text))
			return (*at)->node;
	e = arena_zalloc(a, sizeof(*e));
	if (e == NULL || (e->node = arena_zalloc(a, sizeof(*n))) == NULL)
		return error_nomem(err, "route"), NULL;
	e->text = text;
	e->code = expression_compile(a, text, err);
	if (e->code == NULL)
		return NULL;
	*at = e;
	return e->node;
}

/* The node behind one piece of a pattern; a tail has none: `n` itself. */
static struct node *
node_get(struct arena *a, struct node *n, const struct pattern_piece *piece,
    struct error *err)
{
	struct node *next = n;

	n->has_params |= piece->kind != PATTERN_LITERAL;
	switch (piece->kind) {
	case PATTERN_LITERAL:
		next = node_get_literal(a, n, piece->text);
		break;
	case PATTERN_EXPRESSION:
		return node_get_expression(a, n, piece->text, err);
	case PATTERN_PLAIN:
		if (n->plain == NULL)
			n->plain = arena_zalloc(a, sizeof(*n));
		next = n->plain;
		break;
	case PATTERN_TAIL:
		break;
	}
	if (next == NULL)
		error_nomem(err, "route");
	return next;
}

static int
leaf_add(struct arena *a, struct leaf **list, const struct pattern *pattern,
    const struct route_spec *spec)
{
	size_t bytes = pattern->name_count * sizeof(struct str);
	struct leaf **at, *leaf = arena_zalloc(a, sizeof(*leaf));
	struct str *names = arena_alloc(a, bytes);

	if (leaf == NULL || names == NULL)
		return -1;
	memcpy(names, pattern->name, bytes);
	leaf->names = names;
	leaf->param_count = (unsigned)pattern->name_count;
	leaf->methods = spec->methods;
	leaf->target = spec->target;
	for (at = list; *at != NULL; at = &(*at)->next)
		continue;
	*at = leaf;
	return 0;
}

int
route_table_add(struct route_table *t, const struct route_spec *spec,
    void **ret_other, struct error *err)
{
	/* Nodes keep slices of the text: of a copy that lives as long. */
	struct str text = arena_copy(&t->arena, spec->pattern);
	struct pattern pattern;
	struct leaf **list, *leaf;
	struct host *host;
	struct node *n;
	size_t i;

	if (text.p == NULL)
		return error_nomem(err, "route");
	if (pattern_parse(text, &pattern, err) == -1)
		return -1;
	if ((host = host_get(t, spec->host)) == NULL)
		return error_nomem(err, "route");
	n = host->root;
	for (i = 0; i < pattern.piece_count && n != NULL; i++)
		n = node_get(&t->arena, n, &pattern.piece[i], err);
	if (n == NULL)
		return -1;
	list = pattern.piece[pattern.piece_count - 1].kind == PATTERN_TAIL
	    ? &n->tail : &n->leaf;
	for (leaf = *list; leaf != NULL; leaf = leaf->next)
		if (leaf->methods & spec->methods) {
			*ret_other = leaf->target;
			return error_set(err, ERROR_BUSY,
			    "another route has this path and method");
		}
	if (leaf_add(&t->arena, list, &pattern, spec) == -1)
		return error_nomem(err, "route");
	return 0;
}

struct search {
	struct route_match *match;
	const struct route_table *table;
	unsigned method;
	unsigned depth;			/* parameters taken so far */
};

/* What a route answers: HEAD too where it has GET (RFC 9110 9.3.2). */
static unsigned
leaf_allows(const struct leaf *leaf)
{
	return leaf->methods & METHOD_BIT(METHOD_GET)
	    ? leaf->methods | METHOD_BIT(METHOD_HEAD) : leaf->methods;
}

/* Whether one of the routes that end here has the method.  Where none has, what
 * they have is noted for Allow. */
static bool
search_take(struct search *s, const struct leaf *list)
{
	struct route_match *m = s->match;
	const struct leaf *leaf, *found = NULL;

	for (leaf = list; leaf != NULL; leaf = leaf->next) {
		if (leaf->methods & METHOD_BIT(s->method)) {
			found = leaf;
			break;
		}
		if (leaf_allows(leaf) & METHOD_BIT(s->method))
			found = leaf;
		if (m->result == ROUTE_NONE)
			m->target = leaf->target;
		m->result = ROUTE_METHOD;
		m->allowed |= leaf_allows(leaf);
	}
	if (found == NULL)
		return false;
	m->result = ROUTE_FOUND;
	m->target = found->target;
	m->allowed |= leaf_allows(found);
	m->param_count = (uint8_t)found->param_count;
	m->name = found->names;
	return true;
}

static bool
expression_matches(const struct search *s, const struct expression *e,
    struct str segment)
{
	const struct route_table *t = s->table;

	return pcre2_match(e->code, (PCRE2_SPTR)segment.p, segment.len, 0, 0,
	    t->match_data, t->limits) >= 0;
}

static bool search_node(struct search *s, const struct node *n,
    struct str rest);

/* Tries what takes a whole segment, the more specific first. */
static bool
search_params(struct search *s, const struct node *n, struct str rest)
{
	struct str *value = &s->match->value[s->depth];
	struct str segment = str_from(rest.p, str_find(rest, '/'));
	struct str after = str_from(rest.p + segment.len,
	    rest.len - segment.len);
	const struct expression *e;

	s->depth++;
	if (segment.len > 0) {
		*value = segment;
		for (e = n->expressions; e != NULL; e = e->next)
			if (expression_matches(s, e, segment) &&
			    search_node(s, e->node, after))
				return true;
		if (n->plain != NULL && search_node(s, n->plain, after))
			return true;
	}
	*value = rest;
	if (search_take(s, n->tail))
		return true;
	s->depth--;
	return false;
}

static const struct node *
node_find_child(const struct node *n, struct str rest)
{
	const struct node *child;
	unsigned i;

	for (i = 0; i < n->child_count; i++) {
		if (n->first[i] != rest.p[0])
			continue;
		child = n->child[i];
		if (child->text.len <= rest.len &&
		    memcmp(child->text.p, rest.p, child->text.len) == 0)
			return child;
		break;
	}
	return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the longest pattern. */
static bool
search_node(struct search *s, const struct node *n, struct str rest)
{
	const struct node *child;

	if (rest.len == 0) {
		if (search_take(s, n->leaf))
			return true;
	} else if ((child = node_find_child(n, rest)) != NULL) {
		struct str after = str_from(rest.p + child->text.len,
		    rest.len - child->text.len);

		if (search_node(s, child, after))
			return true;
	}
	return n->has_params && search_params(s, n, rest);
}

void
route_find(struct route_table *t, struct str authority, struct str path,
    unsigned method, struct route_match *ret_match)
{
	struct search s = {ret_match, t, method, 0};
	const struct host *host;

	ret_match->result = ROUTE_NONE;
	ret_match->target = NULL;
	ret_match->allowed = 0;
	ret_match->param_count = 0;
	ret_match->name = NULL;
	if (t->any.next != NULL && (host = host_find(t, authority)) != NULL &&
	    search_node(&s, host->root, path))
		return;
	search_node(&s, t->any.root, path);
}
