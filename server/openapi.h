/* SPDX-License-Identifier: MIT */
/*
 * The routes of the public service as an OpenAPI 3.1 document: paths, methods,
 * what modules declare, and what may come back.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_OPENAPI_H
#define CORELANE_SERVER_OPENAPI_H

#include "common/buf.h"

struct arg_rule;
struct server;

/* Appends the document.  Returns 0, or -1 when there is no memory. */
int openapi_print(const struct server *srv, struct buf *out);

/* A JSON text under way: members and elements with their commas. */
struct openapi {
	struct buf *out;
	bool is_first;		/* of the object or list that is open */
};

/* A member, up to its value; key NULL: an element of a list. */
void openapi_key(struct openapi *o, const char *key);
void openapi_open(struct openapi *o, const char *key, char bracket);
void openapi_close(struct openapi *o, char bracket);
void openapi_text(struct openapi *o, const char *key, struct str text);
/* A value that is JSON already. */
void openapi_json(struct openapi *o, const char *key, const char *json);

/* What a declared value must be (JSON Schema 2020-12).  expression: of the
 * path's pattern, .p NULL for none. */
void openapi_schema(struct openapi *o, const char *key,
    const struct arg_rule *rule, struct str expression);

#endif
