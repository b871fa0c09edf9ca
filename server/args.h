/* SPDX-License-Identifier: MIT */
/*
 * Declared values: what a list of struct lane_field says, checked against a
 * request or a part of the configuration, and converted.
 *
 *	args_spec_new()   once per route: patterns compiled, the list checked
 *	args_check()      once per request: c->args, or the error's status
 *	args_from_node()  once per "config" of a module or middleware
 *
 * Context: specs are constant once made; the rest on the loop's thread, or
 * while a server is made.
 */
#ifndef CORELANE_SERVER_ARGS_H
#define CORELANE_SERVER_ARGS_H

#include <corelane/corelane.h>

#include "common/arena.h"
#include "common/error.h"
#include "config/config.h"

struct args;
struct args_spec;
struct node;

/* fields: ends with a NULL name; borrowed for the spec's life.  Returns NULL
 * with err for a list that makes no sense (a bad pattern, two of a name). */
struct args_spec *args_spec_new(const struct lane_field *fields,
    struct error *err) __attribute__((warn_unused_result));
void args_spec_free(struct args_spec *spec);

/* Checks the request: 0 with c->args, or what the handler returns: a status
 * that is answered already, naming the field; a negative errno. */
int args_check(struct lane_ctx *c, const struct args_spec *spec)
    __attribute__((warn_unused_result));

/* A part of the configuration. */
struct args_source {
	const struct lane_field *fields; /* NULL: nothing is known */
	const struct node *node; /* an object; NULL: absent */
	const struct config *config;
	struct config_pos pos; /* where the object should be */
	const char *path; /* "modules[0].config"; NULL: none told */
	struct config_problems *problems;
};

/* Returns the values, which live as long as `a` and the configuration; NULL
 * when problems were added, or there is no memory. */
struct args *args_from_node(struct arena *a, const struct args_source *source)
    __attribute__((warn_unused_result));

/* LANE_NULL for one that is absent and has no fallback. */
struct lane_value args_get(const struct args *args, const char *name);
/* Whether the route declares it, given or not. */
bool args_has(const struct args *args, const char *name);
const struct cJSON *args_get_json(const struct args *args, const char *name);

#endif
