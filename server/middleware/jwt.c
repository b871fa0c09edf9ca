/* SPDX-License-Identifier: MIT */
/*
 * "jwt": who is asking, by a JSON Web Token in `Authorization: Bearer`, a
 * cookie, or the query (RFC 6750).
 *
 * What was found out goes on with the request: "jwt" is the payload as JSON,
 * "jwt.<claim>" each claim that is a text, a number or a boolean.
 *
 * Owns: the keys, and what it knows of the files they are from.
 * Invariant: there is always a whole set of keys; a JWK set that can't be read
 * leaves the one before it.  What was seen was signed with a key of this set.
 * Here: requests.  Not here: tokens (server/jwt.c), `corelane token`
 * (workers/cli_token.c).
 * Context: the loop's thread: verifying takes 30 us (RS256) to 1 ms
 * (ES384), once for each token.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/log.h"
#include "server/attr.h"
#include "server/challenge.h"
#include "server/cookie.h"
#include "server/internal.h"
#include "server/jwt_config.h"
#include "server/middleware.h"
#include "server/query.h"
#include "server/watch.h"

/* Whole numbers up to here are whole in a double. */
#define JWT_INTEGER_MAX 9007199254740992.0

/* Signatures that were found right, by digest: a client sends the same token
 * with each request, and checking it takes longer than all the rest. */
#define SEEN_ENTRIES 1024		/* a power of two */

struct seen {
	unsigned char digest[JWT_DIGEST_BYTES];
};

/* What changes while a server lives. */
struct jwt_state {
	struct jwt_keys *keys;		/* owned */
	struct watch jwks;
	struct seen seen[SEEN_ENTRIES];	/* all zero: free */
};

struct jwt {
	const struct config_middleware *cfg;	/* lent by the configuration */
	struct jwt_rules rules;
	struct jwt_state *state;	/* owned */
	char *challenge;		/* owned: Bearer realm="..." */
};

static void
jwt_teardown(void *state)
{
	struct jwt *st = state;

	if (st == NULL)
		return;
	if (st->state != NULL)
		jwt_keys_free(st->state->keys);
	free(st->state);
	free(st->challenge);
	free(st);
}

static int
jwt_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct jwt *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return error_nomem(err, "middleware");
	st->cfg = cfg;
	st->rules = (struct jwt_rules){cfg->jwt.issuer, &cfg->jwt.audience,
	    cfg->jwt.leeway_s};
	st->state = calloc(1, sizeof(*st->state));
	if (st->state == NULL || asprintf(&st->challenge,
	    "Bearer realm=\"%.*s\"", STR_FMT(cfg->jwt.realm)) == -1) {
		st->challenge = NULL;
		error_nomem(err, "middleware");
		goto fail;
	}
	watch_init(&st->state->jwks, cfg->jwt.jwks.p);
	st->state->keys = jwt_config_keys(cfg, &st->state->jwks, err);
	if (st->state->keys == NULL)
		goto fail;
	*ret_state = st;
	return 0;
fail:
	jwt_teardown(st);
	return -1;
}

/* Takes a changed JWK set; keeps the old one where it can't be read. */
static void
jwt_refresh(const struct jwt *st, uint64_t now_ms)
{
	struct jwt_keys *keys;
	struct error err;

	if (st->cfg->jwt.jwks.len == 0 ||
	    !watch_is_due(&st->state->jwks, now_ms))
		return;
	keys = jwt_config_keys(st->cfg, &st->state->jwks, &err);
	if (keys == NULL) {
		log_error("jwt: %s; the keys before it stay in use", err.text);
		return;
	}
	jwt_keys_free(st->state->keys);
	st->state->keys = keys;
	memset(st->state->seen, 0, sizeof(st->state->seen));
	log_info("jwt: took the changed keys of '%s'", st->state->jwks.path);
}

/* RFC 6750 3: what is wrong, for the client. */
static int
jwt_refuse(struct request *r, const struct jwt *st, const char *why)
{
	return challenge_refuse(r, 401, arena_printf(&r->arena,
	    "%s, error=\"invalid_token\", error_description=\"%s\"",
	    st->challenge, why), why);
}

static int
jwt_check_claims(struct request *r, const struct jwt *st,
    const struct jwt_token *token)
{
	const struct config_fields *claims = &st->cfg->jwt.claims;
	size_t i;

	for (i = 0; i < claims->count; i++)
		if (!jwt_claim_has(token, claims->item[i].name,
		    claims->item[i].value))
			return challenge_refuse(r, 403,
			    arena_printf(&r->arena, "%s, "
			    "error=\"insufficient_scope\"", st->challenge),
			    "the token doesn't allow this");
	return REQUEST_NEXT;
}

/* What a claim is as an attribute; LANE_NULL: none. */
static struct lane_value
jwt_claim_value(const cJSON *item)
{
	struct lane_value v = {.kind = LANE_NULL};

	if (cJSON_IsString(item)) {
		v.kind = LANE_TEXT;
		v.u.s = (struct lane_str){item->valuestring,
		    strlen(item->valuestring)};
	} else if (cJSON_IsBool(item)) {
		v.kind = LANE_BOOL;
		v.u.b = cJSON_IsTrue(item);
	} else if (cJSON_IsNumber(item)) {
		v.kind = LANE_FLOAT;
		v.u.f = item->valuedouble;
		if (fabs(v.u.f) <= JWT_INTEGER_MAX && v.u.f == floor(v.u.f)) {
			v.kind = LANE_INT;
			v.u.i = (int64_t)item->valuedouble;
		}
	}
	return v;
}

static int
jwt_set_attributes(struct request *r, const struct jwt_token *token)
{
	struct lane_value payload = {.kind = LANE_TEXT,
	    .u.s = {token->payload.p, token->payload.len}};
	const cJSON *item;
	struct str name;

	if (attr_set(&r->attrs, &r->arena, STR("jwt"), payload) < 0)
		return -ENOMEM;
	cJSON_ArrayForEach(item, token->claims)
	{
		name = arena_printf(&r->arena, "jwt.%s", item->string);
		if (name.p == NULL || attr_set(&r->attrs, &r->arena, name,
		    jwt_claim_value(item)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Whether requests of this method need a token.  HEAD is answered as GET is. */
static bool
jwt_is_for(const struct jwt *st, enum method method)
{
	unsigned methods = st->cfg->jwt.methods;

	if (method == METHOD_HEAD && methods & METHOD_BIT(METHOD_GET))
		return true;
	return methods == 0 || method == METHOD_OTHER ||
	    methods & METHOD_BIT(method);
}

/* RFC 6750 2.3: the name is the RFC's, so that logs know what to hide (see
 * request_log_target()). */
static struct str
jwt_find_query(struct request *r)
{
	const struct query_list *list;
	const struct pair *pair = NULL;

	if (r->head->query.p == NULL)
		return str_from(NULL, 0);
	list = query_parse(r->head->query, &r->arena);
	if (list != NULL)
		pair = query_find(list, STR("access_token"), 0);
	return pair != NULL ? pair->value : str_from(NULL, 0);
}

static struct str
jwt_find(struct request *r, const struct jwt *st)
{
	struct str token = challenge_find(r, STR("Bearer"));

	if (token.p == NULL && st->cfg->jwt.cookie.len > 0)
		token = cookie_find(request_get(r, FIELD_COOKIE),
		    st->cfg->jwt.cookie);
	if (token.p == NULL && st->cfg->jwt.query)
		token = jwt_find_query(r);
	return token;
}

/* Only the signature is remembered: times and claims are looked at each time.
 * An HMAC takes no longer than the digest. */
static int
jwt_verify_once(struct jwt_state *js, struct str text,
    const struct jwt_token *token, const char **ret_why)
{
	unsigned char digest[JWT_DIGEST_BYTES];
	struct seen *seen;
	size_t at;
	int rc;

	if (JWT_ALG_BIT(token->alg) & JWT_ALG_HMAC ||
	    jwt_digest(text, digest) == -1)
		return jwt_verify(js->keys, token, ret_why);
	memcpy(&at, digest, sizeof(at));
	seen = &js->seen[at & (SEEN_ENTRIES - 1)];
	if (memcmp(seen->digest, digest, sizeof(digest)) == 0)
		return 0;
	rc = jwt_verify(js->keys, token, ret_why);
	if (rc == 0)
		memcpy(seen->digest, digest, sizeof(digest));
	return rc;
}

static int
jwt_before(struct request *r, const void *state)
{
	const struct jwt *st = state;
	struct jwt_token token;
	const char *why = NULL;
	struct str text;
	int rc;

	if (!jwt_is_for(st, r->head->method))
		return REQUEST_NEXT;
	if (challenge_is_ambiguous(r))
		return jwt_refuse(r, st, "more than one Authorization field");
	text = jwt_find(r, st);
	if (text.p == NULL && !st->cfg->jwt.required)
		return REQUEST_NEXT;
	if (text.p == NULL)
		return challenge_refuse(r, 401, str_of(st->challenge),
		    "a token is needed");
	if (text.len > st->cfg->jwt.max_bytes)
		return jwt_refuse(r, st, "the token is too long");
	jwt_refresh(st, r->srv->clock.mono_ms);
	if ((rc = jwt_parse(&r->arena, text, &token, &why)) < 0 ||
	    (rc = jwt_verify_once(st->state, text, &token, &why)) < 0 ||
	    (rc = jwt_check(&token, &st->rules, r->srv->clock.real_s,
	    &why)) < 0)
		return rc == -ENOMEM ? rc : jwt_refuse(r, st, why);
	if ((rc = jwt_check_claims(r, st, &token)) != REQUEST_NEXT)
		return rc;
	return jwt_set_attributes(r, &token);
}

const struct middleware middleware_jwt = {
	.name = "jwt",
	.setup = jwt_setup,
	.teardown = jwt_teardown,
	.before = jwt_before,
};
