/* SPDX-License-Identifier: MIT */
/*
 * The text of a configuration as a tree that knows where everything stands:
 * strict JSON with comments and trailing commas, ${VARIABLES} filled in.
 *
 *	text -> scan.c: one strict pass; tells what cJSON would let pass, notes
 *	                the place of every value, blanks comments
 *	     -> cJSON:  values and structure
 *	     -> node.c: both together, variables, duplicate keys
 *
 * Context: one thread while it is read; constant afterwards.  Outside of
 * config/ only what a module's configuration says is read from nodes.
 */
#ifndef CORELANE_CONFIG_NODE_H
#define CORELANE_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/str.h"
#include "config/problem.h"

enum node_kind {
	NODE_NULL,
	NODE_BOOL,
	NODE_NUMBER,
	NODE_STRING,
	NODE_LIST,
	NODE_OBJECT
};

/* A value.  Everything it points to is lent by the arena it was read into. */
struct node {
	enum node_kind kind;
	bool is_true;			/* NODE_BOOL */
	bool has_variable;		/* NODE_STRING: ${...} was filled in */
	bool is_bad;			/* a problem with it has been told */
	struct str text;		/* a string's value, a number's text */
	struct str key;			/* a member's name, else {NULL, 0} */
	size_t index;			/* among its siblings */
	struct config_pos pos, key_pos;
	struct node *up, *next, *child;
};

/*
 * Reads a text.  Returns the root, or NULL when there is none to go on with;
 * problems are added to `r` in both cases.
 */
struct node *node_read(struct arena *a, struct str text, struct report *r)
    __attribute__((warn_unused_result));

/* The member of an object, or NULL; also for another kind of node. */
struct node *node_find(const struct node *object, const char *key);

/* "routes[2].timeouts.head"; the root has the empty path. */
void node_add_path(struct buf *b, const struct node *n);

/* Appends the value as compact JSON; numbers keep their digits. */
void node_add_json(struct buf *b, const struct node *n);

/* "a number", "null": for "must be a duration, not a number". */
const char *node_kind_name(const struct node *n);

/* Tells a problem at the value, or at its key, and marks the node as bad. */
void node_report(struct node *n, struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void node_report_key(struct node *n, struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
