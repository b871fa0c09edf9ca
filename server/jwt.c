/* SPDX-License-Identifier: MIT */
/*
 * Tokens: their text, and whether what they claim holds.
 *
 *	base64url(header) "." base64url(payload) "." base64url(signature)
 *
 * Owns nothing: parts lie in the caller's arena.
 * Invariant: what jwt_parse() accepts has one reading.
 * Here: text and claims.  Not here: keys and signatures (jwt_key.c).
 * Context: pure.  middleware/jwt.c -> [jwt.c] -> jwt_key.c
 */
#include "server/jwt.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>

#include "common/base64.h"
#include "server/json_check.h"

/* Levels of JSON: a claim may be an object of lists, not a forest. */
#define JWT_DEPTH_MAX 16
#define JWT_KID_BYTES_MAX 256

static const char *const alg_names[JWT_ALG_COUNT] = {
    [JWT_HS256] = "HS256",
    [JWT_HS384] = "HS384",
    [JWT_HS512] = "HS512",
    [JWT_RS256] = "RS256",
    [JWT_RS384] = "RS384",
    [JWT_RS512] = "RS512",
    [JWT_PS256] = "PS256",
    [JWT_PS384] = "PS384",
    [JWT_PS512] = "PS512",
    [JWT_ES256] = "ES256",
    [JWT_ES384] = "ES384",
    [JWT_ES512] = "ES512",
    [JWT_EDDSA] = "EdDSA",
};

const char *
jwt_alg_name(enum jwt_alg alg)
{
	return alg_names[alg];
}

int
jwt_alg_find(struct str name, enum jwt_alg *ret_alg)
{
	enum jwt_alg alg;

	for (alg = 0; alg < JWT_ALG_COUNT; alg++) {
		if (!str_eq(name, str_of(alg_names[alg])))
			continue;
		*ret_alg = alg;
		return 0;
	}
	return -1;
}

static int
jwt_refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

/* In the arena, a NUL behind it. */
static int
jwt_decode(struct arena *a, struct str text, struct str *ret_data)
{
	char *out = arena_alloc(a, BASE64_DATA_BYTES(text.len) + 1);
	ptrdiff_t len;

	if (out == NULL)
		return -ENOMEM;
	len = base64_decode(text, BASE64_URL, out);
	if (len == -1)
		return -EINVAL;
	out[len] = '\0';
	*ret_data = str_from(out, (size_t)len);
	return 0;
}

static void
jwt_free_json(void *ptr)
{
	cJSON_Delete(ptr);
}

/* One JSON object, its tree freed with the arena. */
static int
jwt_read_object(struct arena *a, struct str text, const cJSON **ret_object)
{
	struct json_fault fault;
	cJSON *tree;

	if (json_check(text, JWT_DEPTH_MAX, &fault) == -1)
		return fault.what != NULL ? -EINVAL : -ENOMEM;
	tree = cJSON_ParseWithLength(text.p, text.len);
	if (tree == NULL || arena_defer(a, jwt_free_json, tree) == -1)
		return -ENOMEM;
	*ret_object = tree;
	return cJSON_IsObject(tree) ? 0 : -EINVAL;
}

static struct str
json_str(const cJSON *item)
{
	return cJSON_IsString(item) ? str_of(item->valuestring) :
	    str_from(NULL, 0);
}

static int
jwt_take_header(const cJSON *header, struct jwt_token *t, const char **ret_why)
{
	const cJSON *kid = cJSON_GetObjectItemCaseSensitive(header, "kid");

	/* RFC 7515 4.1.11: what is critical and not understood is refused, and
	 * of the registered extensions none is. */
	if (cJSON_GetObjectItemCaseSensitive(header, "crit") != NULL ||
	    cJSON_GetObjectItemCaseSensitive(header, "b64") != NULL)
		return jwt_refuse(ret_why,
		    "the token needs an extension that is not supported");
	if (jwt_alg_find(
		json_str(cJSON_GetObjectItemCaseSensitive(header, "alg")),
		&t->alg) == -1)
		return jwt_refuse(
		    ret_why, "the token's algorithm is not supported");
	t->kid = json_str(kid);
	if (kid != NULL && (t->kid.len == 0 || t->kid.len > JWT_KID_BYTES_MAX))
		return jwt_refuse(
		    ret_why, "the token's key id is not a short string");
	return 0;
}

int
jwt_parse(struct arena *a, struct str text, struct jwt_token *ret_token,
    const char **ret_why)
{
	static const char malformed[] = "the token is malformed";
	struct str rest = text, head, payload, data;
	struct jwt_token t = {.alg = JWT_ALG_COUNT};
	const cJSON *header;
	int rc;

	if (!str_cut(&rest, '.', &head) || !str_cut(&rest, '.', &payload) ||
	    rest.p == NULL)
		return jwt_refuse(ret_why, malformed);
	t.signed_part = str_from(text.p, (size_t)(rest.p - 1 - text.p));
	if ((rc = jwt_decode(a, head, &data)) < 0 ||
	    (rc = jwt_read_object(a, data, &header)) < 0 ||
	    (rc = jwt_decode(a, rest, &t.signature)) < 0 ||
	    (rc = jwt_decode(a, payload, &t.payload)) < 0)
		goto fail;
	if ((rc = jwt_take_header(header, &t, ret_why)) < 0)
		return rc;
	if ((rc = jwt_read_object(a, t.payload, &t.claims)) < 0)
		goto fail;
	*ret_token = t;
	return 0;
fail:
	return rc == -ENOMEM ? rc : jwt_refuse(ret_why, malformed);
}

/* A NumericDate (RFC 7519 2), or `absent`.  Returns 0 or -1. */
static int
jwt_date(
    const struct jwt_token *t, const char *claim, double absent, double *ret_s)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(t->claims, claim);

	*ret_s = absent;
	if (item == NULL)
		return 0;
	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
		return -1;
	*ret_s = item->valuedouble;
	return 0;
}

static int
jwt_check_dates(const struct jwt_token *t, int64_t leeway_s, int64_t now_s,
    const char **ret_why)
{
	double now = (double)now_s, leeway = (double)leeway_s;
	double exp, nbf, iat;

	if (jwt_date(t, "exp", INFINITY, &exp) == -1 ||
	    jwt_date(t, "nbf", -INFINITY, &nbf) == -1 ||
	    jwt_date(t, "iat", -INFINITY, &iat) == -1)
		return jwt_refuse(
		    ret_why, "a time of the token is not a number");
	if (now >= exp + leeway)
		return jwt_refuse(ret_why, "the token has expired");
	if (now + leeway < nbf)
		return jwt_refuse(ret_why, "the token is not valid yet");
	if (now + leeway < iat)
		return jwt_refuse(
		    ret_why, "the token was issued in the future");
	return 0;
}

static bool
strings_have(const struct config_strings *list, struct str s)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (str_eq(list->item[i], s))
			return true;
	return false;
}

/* RFC 7519 4.1.3: a string, or a list of strings.  Sets whether one of them is
 * listed; returns -1 for anything else. */
static int
jwt_match_audience(
    const cJSON *aud, const struct config_strings *list, bool *ret_match)
{
	const cJSON *item;

	*ret_match = false;
	if (cJSON_IsString(aud)) {
		*ret_match = strings_have(list, json_str(aud));
		return 0;
	}
	if (!cJSON_IsArray(aud))
		return -1;
	cJSON_ArrayForEach(item, aud)
	{
		if (!cJSON_IsString(item))
			return -1;
		*ret_match = *ret_match || strings_have(list, json_str(item));
	}
	return 0;
}

int
jwt_check(const struct jwt_token *token, const struct jwt_rules *rules,
    int64_t now_s, const char **ret_why)
{
	const cJSON *aud =
	    cJSON_GetObjectItemCaseSensitive(token->claims, "aud");
	bool is_for_us = false;
	struct str iss =
	    json_str(cJSON_GetObjectItemCaseSensitive(token->claims, "iss"));

	if (jwt_check_dates(token, rules->leeway_s, now_s, ret_why) < 0)
		return -EINVAL;
	if (rules->issuer.len > 0 && !str_eq(iss, rules->issuer))
		return jwt_refuse(ret_why, "the token is from another issuer");
	if (aud != NULL &&
	    jwt_match_audience(aud, rules->audience, &is_for_us) == -1)
		return jwt_refuse(ret_why,
		    "the token's audience is not a string or a list of them");
	if (rules->audience->count > 0 && !is_for_us)
		return jwt_refuse(ret_why, "the token is for another audience");
	return 0;
}

static bool
words_have(struct str words, struct str value)
{
	struct str word;

	while (str_cut(&words, ' ', &word))
		if (word.len > 0 && str_eq(word, value))
			return true;
	return false;
}

bool
jwt_claim_has(const struct jwt_token *token, struct str claim, struct str value)
{
	const cJSON *item, *member;

	cJSON_ArrayForEach(
	    item, token->claims) if (str_eq(str_of(item->string), claim)) break;
	if (cJSON_IsString(item))
		return str_eq(json_str(item), value) ||
		    words_have(json_str(item), value);
	if (!cJSON_IsArray(item))
		return false;
	cJSON_ArrayForEach(member, item) if (cJSON_IsString(member) &&
	    str_eq(json_str(member), value)) return true;
	return false;
}
