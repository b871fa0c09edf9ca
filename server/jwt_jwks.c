/* SPDX-License-Identifier: MIT */
/*
 * JWK sets (RFC 7517): the file in which an issuer publishes its keys.
 *
 * Owns nothing beyond a call.
 * Invariant: a set is taken whole, or not at all.
 * Here: from JSON to keys.  Not here: what keys are good for (jwt_key.c).
 * Context: pure.  jwt_key.c -> [jwt_jwks.c]
 */
#include <cjson/cJSON.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#include "common/base64.h"
#include "server/json_check.h"
#include "server/jwt_key.h"

#define JWK_DEPTH_MAX 16
#define JWK_VALUE_BYTES 1024 /* of one number: RSA with 8192 bits */

/* A number or secret of a key. */
struct jwk_value {
	unsigned char
	    data[BASE64_DATA_BYTES(BASE64_TEXT_BYTES(JWK_VALUE_BYTES))];
	size_t len;
};

static struct str
jwk_text(const cJSON *jwk, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(jwk, name);

	return cJSON_IsString(item) ? str_of(item->valuestring) :
	    str_from(NULL, 0);
}

static int
jwk_read(const cJSON *jwk, const char *name, struct jwk_value *ret,
    struct error *err)
{
	struct str text = jwk_text(jwk, name);
	ptrdiff_t len = -1;

	if (text.len > 0 && text.len <= BASE64_TEXT_BYTES(JWK_VALUE_BYTES))
		len = base64_decode(text, BASE64_URL, (char *)ret->data);
	if (len <= 0)
		return error_set(err, ERROR_INVALID,
		    "\"%s\" is missing, or not base64url", name);
	ret->len = (size_t)len;
	return 0;
}

/* Whether the key is for checking signatures (RFC 7517 4.2, 4.3). */
static bool
jwk_is_for_signatures(const cJSON *jwk)
{
	const cJSON *ops = cJSON_GetObjectItemCaseSensitive(jwk, "key_ops");
	const cJSON *item;
	struct str use = jwk_text(jwk, "use");

	if (use.p != NULL && !str_eq(use, STR("sig")))
		return false;
	if (ops == NULL)
		return true;
	cJSON_ArrayForEach(item, ops) if (cJSON_IsString(item) &&
	    strcmp(item->valuestring, "verify") == 0) return true;
	return false;
}

/* Makes a key of parameters; takes them. */
static EVP_PKEY *
pkey_from(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return pkey;
}

static int
jwk_read_rsa(const cJSON *jwk, EVP_PKEY **ret_pkey, struct error *err)
{
	OSSL_PARAM_BLD *build;
	struct jwk_value n = {0}, e = {0};
	BIGNUM *bn_n, *bn_e;

	if (jwk_read(jwk, "n", &n, err) == -1 ||
	    jwk_read(jwk, "e", &e, err) == -1)
		return -1;
	build = OSSL_PARAM_BLD_new();
	bn_n = BN_bin2bn(n.data, (int)n.len, NULL);
	bn_e = BN_bin2bn(e.data, (int)e.len, NULL);
	if (build != NULL && bn_n != NULL && bn_e != NULL &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn_n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, bn_e) == 1)
		*ret_pkey = pkey_from("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(bn_n);
	BN_free(bn_e);
	return 0;
}

static int
jwk_read_ec(const cJSON *jwk, EVP_PKEY **ret_pkey, struct error *err)
{
	static const struct {
		const char *crv, *group;
		size_t bytes;
	} curves[] = {
	    {"P-256", "prime256v1", 32},
	    {"P-384", "secp384r1", 48},
	    {"P-521", "secp521r1", 66},
	};
	struct str crv = jwk_text(jwk, "crv");
	unsigned char point[1 + 2 * 66];
	OSSL_PARAM_BLD *build;
	struct jwk_value x, y;
	size_t i = 0;

	while (i < 3 && !str_eq(crv, str_of(curves[i].crv)))
		i++;
	if (i == 3)
		return 0;
	if (jwk_read(jwk, "x", &x, err) == -1 ||
	    jwk_read(jwk, "y", &y, err) == -1)
		return -1;
	/* RFC 7518 6.2.1.2: leading zeros stay. */
	if (x.len != curves[i].bytes || y.len != curves[i].bytes)
		return error_set(err, ERROR_INVALID,
		    "\"x\" and \"y\" must have %zu bytes each",
		    curves[i].bytes);
	point[0] = 4; /* SEC 1 2.3.3: uncompressed */
	memcpy(point + 1, x.data, x.len);
	memcpy(point + 1 + x.len, y.data, y.len);
	build = OSSL_PARAM_BLD_new();
	if (build != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(
		build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x.len + y.len) == 1)
		*ret_pkey = pkey_from("EC", build);
	OSSL_PARAM_BLD_free(build);
	return *ret_pkey != NULL ?
	    0 :
	    error_set(err, ERROR_INVALID,
		"\"x\" and \"y\" are not a point of the curve");
}

static int
jwk_read_okp(const cJSON *jwk, EVP_PKEY **ret_pkey, struct error *err)
{
	struct jwk_value x;

	if (!str_eq(jwk_text(jwk, "crv"), STR("Ed25519")))
		return 0;
	if (jwk_read(jwk, "x", &x, err) == -1)
		return -1;
	*ret_pkey =
	    EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
	ERR_clear_error();
	return *ret_pkey != NULL ?
	    0 :
	    error_set(err, ERROR_INVALID, "\"x\" is not an Ed25519 key");
}

/* Fills in secret or pkey.  Nothing for a kind that isn't known. */
static int
jwk_read_kind(const cJSON *jwk, struct jwt_key *key, struct error *err)
{
	struct str kty = jwk_text(jwk, "kty");
	struct jwk_value k;
	int rc = 0;

	if (str_eq(kty, STR("oct"))) {
		if (jwk_read(jwk, "k", &k, err) == -1)
			return -1;
		key->algs = jwt_secret_algs(k.len);
		if (key->algs == 0)
			return error_set(err, ERROR_INVALID,
			    "\"k\" has %zu bytes, and needs 32 for HS256",
			    k.len);
		key->secret = OPENSSL_memdup(k.data, k.len);
		key->secret_len = k.len;
		OPENSSL_cleanse(&k, sizeof(k));
		return key->secret != NULL ? 0 : error_nomem(err, "a key");
	}
	if (str_eq(kty, STR("RSA")))
		rc = jwk_read_rsa(jwk, &key->pkey, err);
	else if (str_eq(kty, STR("EC")))
		rc = jwk_read_ec(jwk, &key->pkey, err);
	else if (str_eq(kty, STR("OKP")))
		rc = jwk_read_okp(jwk, &key->pkey, err);
	if (rc == -1 || key->pkey == NULL)
		return rc;
	return jwt_pkey_bind(key->pkey, &key->algs, err);
}

static int
jwk_add(struct jwt_keys *keys, const cJSON *jwk, struct error *err)
{
	struct str alg_name = jwk_text(jwk, "alg"), kid = jwk_text(jwk, "kid");
	struct jwt_key key = {.algs = 0};
	enum jwt_alg alg;

	if (!cJSON_IsObject(jwk))
		return error_set(err, ERROR_INVALID, "is not an object");
	if (!jwk_is_for_signatures(jwk) ||
	    (alg_name.p != NULL && jwt_alg_find(alg_name, &alg) == -1))
		return 0;
	if (jwk_read_kind(jwk, &key, err) == -1)
		goto fail;
	if (alg_name.p != NULL)
		key.algs &= JWT_ALG_BIT(alg);
	if ((key.algs & keys->algs) == 0) {
		OPENSSL_clear_free(key.secret, key.secret_len);
		EVP_PKEY_free(key.pkey);
		return 0;
	}
	if (kid.len > 0 && (key.kid = strdup(kid.p)) == NULL) {
		error_nomem(err, "a key");
		goto fail;
	}
	return jwt_keys_put(keys, &key, err);
fail:
	OPENSSL_clear_free(key.secret, key.secret_len);
	EVP_PKEY_free(key.pkey);
	return -1;
}

static int
jwks_add_all(struct jwt_keys *keys, const cJSON *set, struct error *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(set, "keys");
	const cJSON *jwk;
	size_t i = 0, before = keys->count;

	if (!cJSON_IsArray(list))
		return error_set(
		    err, ERROR_INVALID, "is not a JWK set: {\"keys\": [...]}");
	cJSON_ArrayForEach(jwk, list)
	{
		if (jwk_add(keys, jwk, err) == -1) {
			jwt_keys_cut(keys, before);
			return error_wrap(err, "keys[%zu]", i);
		}
		i++;
	}
	if (keys->count == before)
		return error_set(err, ERROR_INVALID,
		    "has no key that fits one of \"algorithms\"");
	return 0;
}

int
jwt_keys_add_jwks(struct jwt_keys *keys, struct str json, struct error *err)
{
	struct json_fault fault;
	cJSON *set;
	int rc;

	if (json_check(json, JWK_DEPTH_MAX, &fault) == -1)
		return fault.what == NULL ?
		    error_nomem(err, "a JWK set") :
		    error_set(err, ERROR_INVALID, "line %u, column %u: %s",
			fault.line, fault.column, fault.what);
	set = cJSON_ParseWithLength(json.p, json.len);
	if (set == NULL)
		return error_nomem(err, "a JWK set");
	rc = jwks_add_all(keys, set, err);
	cJSON_Delete(set);
	return rc;
}
