/* SPDX-License-Identifier: MIT */
/*
 * `corelane token`: a JSON Web Token for trying things out, signed with what
 * the configuration's own "jwt" trusts.
 *
 * Owns: nothing.
 * Here: which "jwt", and the claims.  Not here: signing (server/jwt_config.c).
 * Context: a process of its own; it asks no server.  cli.c -> [cli_token.c].
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/buf.h"
#include "config/config.h"
#include "config/units.h"
#include "server/json_check.h"
#include "server/jwt_config.h"
#include "workers/cli.h"

#define TOKEN_EXPIRES_MS INT64_C(3600000)
#define TOKEN_DEPTH_MAX 16

/* The first "jwt" of a list that can sign. */
static const struct config_middleware *
token_find_in(const struct config_middlewares *list)
{
	const struct config_middleware *m;
	size_t i;

	for (i = 0; i < list->count; i++) {
		m = &list->item[i];
		if (m->kind == MIDDLEWARE_JWT &&
		    (m->jwt.secret.len > 0 || m->jwt.signing_key.len > 0))
			return m;
	}
	return NULL;
}

/* The first of all lists, or of one route's and the global one. */
static const struct config_middleware *
token_find(const struct config *cfg, const char *route)
{
	const struct config_middleware *m = NULL;
	const struct config_route *r;
	size_t i;

	if (route == NULL)
		m = token_find_in(&cfg->middleware);
	for (i = 0; i < cfg->routes.count && m == NULL; i++) {
		r = &cfg->routes.item[i];
		if (route == NULL || str_eq(r->path, str_of(route)))
			m = token_find_in(&r->middleware);
	}
	for (i = 0; i < cfg->modules.count && m == NULL && route == NULL; i++)
		m = token_find_in(&cfg->modules.item[i].middleware);
	return m == NULL && route != NULL ? token_find_in(&cfg->middleware) : m;
}

/* The claims as a tree: to be deleted; NULL with the reason. */
static cJSON *
token_read_claims(struct str text, struct error *err)
{
	struct json_fault fault;
	cJSON *tree;

	if (json_check(text, TOKEN_DEPTH_MAX, &fault) == -1) {
		error_set(err, ERROR_INVALID, "--claims: column %u: %s",
		    fault.column,
		    fault.what != NULL ? fault.what : "no memory");
		return NULL;
	}
	tree = cJSON_ParseWithLength(text.p, text.len);
	if (tree == NULL)
		error_nomem(err, "--claims");
	if (tree == NULL || cJSON_IsObject(tree))
		return tree;
	cJSON_Delete(tree);
	error_set(err, ERROR_INVALID, "--claims: must be an object, like "
	    "'{\"sub\": \"me\"}'");
	return NULL;
}

/* The claims as they were written, with the times that lack. */
static int
token_add_times(struct str text, int64_t expires_ms, struct buf *out,
    struct error *err)
{
	cJSON *claims = token_read_claims(text, err);
	long long now = time(NULL);
	bool is_empty;

	if (claims == NULL)
		return -1;
	is_empty = claims->child == NULL;
	/* What is behind the last bracket was white space. */
	while (text.p[text.len - 1] != '}')
		text.len--;
	buf_add(out, str_from(text.p, text.len - 1));
	if (!cJSON_HasObjectItem(claims, "iat")) {
		buf_printf(out, "%s\"iat\":%lld", is_empty ? "" : ",", now);
		is_empty = false;
	}
	if (!cJSON_HasObjectItem(claims, "exp"))
		buf_printf(out, "%s\"exp\":%lld", is_empty ? "" : ",",
		    now + expires_ms / 1000);
	buf_add_byte(out, '}');
	cJSON_Delete(claims);
	return buf_failed(out) ? error_nomem(err, "a token") : 0;
}

static int
token_make(const struct cli_args *args, const struct config *cfg,
    struct buf *out, struct error *err)
{
	const struct config_middleware *m = token_find(cfg, args->route);
	int64_t expires_ms = TOKEN_EXPIRES_MS;
	struct buf payload;
	int rc = -1;

	if (m == NULL)
		return error_set(err, ERROR_INVALID, "%s has no \"jwt\" with "
		    "a \"secret\" or a \"signing_key\"%s%s", args->config,
		    args->route != NULL ? " for the route " : "",
		    args->route != NULL ? args->route : "");
	if (args->expires != NULL &&
	    (units_parse_duration(str_of(args->expires), &expires_ms) == -1 ||
	    expires_ms < 1000))
		return error_set(err, ERROR_INVALID, "--expires: must be a "
		    "duration of a second or more, like 1h, not '%s'",
		    args->expires);
	buf_init(&payload, 0);
	if (token_add_times(str_of(args->claims), expires_ms, &payload,
	    err) == 0) {
		rc = jwt_config_sign(m, buf_str(&payload), out, err);
		if (rc == -1)
			error_wrap(err, "%s:%u: jwt", args->config,
			    m->pos.line);
	}
	buf_done(&payload);
	return rc;
}

int
cli_token(const struct cli_args *args)
{
	struct config_problems problems;
	struct config *cfg;
	struct error err;
	struct buf token;
	int rc;

	if (args->claims == NULL) {
		fprintf(stderr, "corelane token: say what it claims with "
		    "--claims '{\"sub\": \"me\"}'\n");
		return CLI_USAGE;
	}
	cfg = config_load(args->config, &problems);
	for (size_t i = 0; i < problems.count; i++)
		fprintf(stderr, "%s\n", problems.item[i]);
	config_problems_done(&problems);
	if (cfg == NULL)
		return CLI_FAILED;
	buf_init(&token, 0);
	rc = token_make(args, cfg, &token, &err);
	if (rc == -1)
		fprintf(stderr, "corelane token: %s\n", err.text);
	else if (puts(token.p) == EOF || fflush(stdout) == EOF)
		rc = -1;
	buf_done(&token);
	config_unref(cfg);
	return rc == -1 ? CLI_FAILED : CLI_DONE;
}
