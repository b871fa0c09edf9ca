/* SPDX-License-Identifier: MIT */
/*
 * JSON Web Tokens (RFC 7519) in the compact form of JWS (RFC 7515): taken
 * apart, verified, made.
 *
 *	struct jwt_keys *keys = jwt_keys_new(JWT_ALG_BIT(JWT_ES256), &err);
 *	struct jwt_token token;
 *	const char *why;
 *
 *	if (jwt_keys_add_pem(keys, pem, &err) == -1) ...
 *	if (jwt_parse(arena, text, &token, &why) == 0 &&
 *	    jwt_verify(keys, &token, &why) == 0 &&
 *	    jwt_check(&token, &rules, now_s, &why) == 0)
 *		...token.claims...
 *
 * What decides is on our side: each key knows by its own type which algorithms
 * it can be used with, and no other than the configured ones are.  The token's
 * header only chooses among those.  Keys that a token brings along (jwk, jku,
 * x5c, x5u) are never looked at; extensions that change what is signed (crit,
 * b64) are refused.
 *
 * Here: the format and its cryptography.  Not here: requests and configuration
 * (middleware/jwt.c).
 * Context: pure; a set of keys is constant once filled.
 */
#ifndef CORELANE_SERVER_JWT_H
#define CORELANE_SERVER_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/error.h"
#include "config/config.h"

struct cJSON;

/* RFC 7518 3.1, RFC 8037 3.1.  In the order of strength, by kind. */
enum jwt_alg {
	JWT_HS256,
	JWT_HS384,
	JWT_HS512,
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_PS256,
	JWT_PS384,
	JWT_PS512,
	JWT_ES256,
	JWT_ES384,
	JWT_ES512,
	JWT_EDDSA,
	JWT_ALG_COUNT
};
#define JWT_ALG_BIT(alg) (1u << (alg))
#define JWT_ALG_HMAC                                                           \
	(JWT_ALG_BIT(JWT_HS256) | JWT_ALG_BIT(JWT_HS384) |                     \
	    JWT_ALG_BIT(JWT_HS512))

const char *jwt_alg_name(enum jwt_alg alg);
/* Names are told apart by case (RFC 7515 4.1.1).  Returns 0 or -1. */
int jwt_alg_find(struct str name, enum jwt_alg *ret_alg);

/* A token taken apart, not believed yet. */
struct jwt_token {
	struct str signed_part; /* lent by the text */
	struct str signature; /* these lie in the arena */
	struct str payload; /* JSON: an object */
	struct str kid; /* .p NULL: it names no key */
	const struct cJSON *claims;
	enum jwt_alg alg;
};

/*
 * Takes a compact token apart.  Strict: one spelling of base64url, JSON without
 * duplicate keys (json_check.h).
 * Returns 0; -EINVAL with a literal in *ret_why; -ENOMEM.
 */
int jwt_parse(struct arena *a, struct str text, struct jwt_token *ret_token,
    const char **ret_why) __attribute__((warn_unused_result));

/* Who must have made a token, and for whom. */
struct jwt_rules {
	struct str issuer; /* .len 0: anyone */
	const struct config_strings *audience; /* one of these; empty: any */
	int64_t leeway_s; /* how far clocks may be apart */
};

/* Whether the claims hold now: exp, nbf, iat, iss, aud (RFC 7519 4.1).  now_s:
 * since the epoch.  Returns 0, or -EINVAL with a literal in *ret_why. */
int jwt_check(const struct jwt_token *token, const struct jwt_rules *rules,
    int64_t now_s, const char **ret_why) __attribute__((warn_unused_result));

/* Whether a claim is that text, a list that has it, or a string of words of
 * which one is it (RFC 8693 4.2 "scope"). */
bool jwt_claim_has(
    const struct jwt_token *token, struct str claim, struct str value);

/* Keys (jwt_key.c). */

/* Most keys of one set. */
#define JWT_KEYS_MAX 64

struct jwt_keys;

/* algs: JWT_ALG_BIT()s that may be used; keys that fit none are refused. */
struct jwt_keys *jwt_keys_new(unsigned algs)
    __attribute__((warn_unused_result));
void jwt_keys_free(struct jwt_keys *keys);

/* All return 0 or -1, the set as it was.  Texts are borrowed. */
/* For HMAC: at least as long as the hash of each of the set's algorithms (RFC
 * 7518 3.2). */
int jwt_keys_add_secret(struct jwt_keys *keys, struct str secret,
    struct error *err) __attribute__((warn_unused_result));
/* A public key or a certificate. */
int jwt_keys_add_pem(struct jwt_keys *keys, struct str pem, struct error *err)
    __attribute__((warn_unused_result));
/* A private key, for jwt_sign(). */
int jwt_keys_add_private(struct jwt_keys *keys, struct str pem,
    struct error *err) __attribute__((warn_unused_result));
/* A JWK set (RFC 7517 5).  Keys of unknown kinds and for other uses are passed
 * over; one that is broken, weak or ambiguous refuses the whole set. */
int jwt_keys_add_jwks(struct jwt_keys *keys, struct str json, struct error *err)
    __attribute__((warn_unused_result));

/* Which algorithms have a key. */
unsigned jwt_keys_algs(const struct jwt_keys *keys);

/*
 * Whether one of the keys has signed the token: the one that it names; where it
 * names none, the only one that fits its algorithm.
 * Returns 0; -EINVAL with a literal in *ret_why; -ENOMEM.
 */
int jwt_verify(const struct jwt_keys *keys, const struct jwt_token *token,
    const char **ret_why) __attribute__((warn_unused_result));

/* SHA-256 of a token, by which a right signature is known again.  Returns 0 or
 * -1. */
#define JWT_DIGEST_BYTES 32
int jwt_digest(struct str text, unsigned char out[JWT_DIGEST_BYTES])
    __attribute__((warn_unused_result));

/* Appends a token of that payload, signed by the first key that fits `alg`.
 * kid: of the header; .p NULL: none. */
int jwt_sign(const struct jwt_keys *keys, enum jwt_alg alg, struct str kid,
    struct str payload, struct buf *out, struct error *err)
    __attribute__((warn_unused_result));

/* The name in `keys` of the key whose private half is the first of `signer`;
 * .p NULL: none, or it has no name.  Lent. */
struct str jwt_keys_find_kid(
    const struct jwt_keys *keys, const struct jwt_keys *signer);

#endif
