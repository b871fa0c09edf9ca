/* SPDX-License-Identifier: MIT */
/*
 * From the keys' names in a configuration to a set of keys.
 *
 * Owns nothing: the set is the caller's.
 * Invariant: every configured algorithm has a key, and every key an algorithm.
 * Here: files.  Not here: what is in them (jwt_key.c, jwt_jwks.c).
 * Context: the loop's thread, or a command's process.
 */
#include "server/jwt_config.h"

#include "server/jwt_key.h"

/* The configured algorithms as bits, or -1. */
static int
config_algs(const struct config_strings *names, unsigned *ret_algs,
    struct error *err)
{
	enum jwt_alg alg;
	size_t i;

	*ret_algs = 0;
	for (i = 0; i < names->count; i++) {
		if (jwt_alg_find(names->item[i], &alg) == -1)
			return error_set(err, ERROR_INVALID, "algorithms: "
			    "'%.*s' is none that protects a token: write "
			    "\"ES256\", \"EdDSA\", \"RS256\", \"PS256\", "
			    "\"HS256\", or one of their 384 and 512 bits",
			    STR_FMT(names->item[i]));
		*ret_algs |= JWT_ALG_BIT(alg);
	}
	return 0;
}

typedef int (*add_fn)(struct jwt_keys *keys, struct str text,
    struct error *err);

/* Reads a file of keys and has them added. */
static int
config_add_file(struct jwt_keys *keys, struct watch *w, const char *what,
    add_fn add, struct error *err)
{
	struct buf text;
	int rc;

	buf_init(&text, 0);
	rc = watch_read(w, &text, err);
	if (rc == 0 && (rc = add(keys, buf_str(&text), err)) == -1)
		error_wrap(err, "'%s'", w->path);
	buf_done(&text);
	return rc == 0 ? 0 : error_wrap(err, "%s", what);
}

static int
config_add_all(struct jwt_keys *keys, const struct config_middleware *cfg,
    struct watch *jwks, struct error *err)
{
	struct watch key;

	if (cfg->jwt.secret.len > 0 &&
	    jwt_keys_add_secret(keys, cfg->jwt.secret, err) == -1)
		return error_wrap(err, "secret");
	watch_init(&key, cfg->jwt.key.p);
	if (cfg->jwt.key.len > 0 && config_add_file(keys, &key, "key",
	    jwt_keys_add_pem, err) == -1)
		return -1;
	if (cfg->jwt.jwks.len > 0 && config_add_file(keys, jwks, "jwks",
	    jwt_keys_add_jwks, err) == -1)
		return -1;
	return 0;
}

/* A set of keys may come to have more kinds: only the fixed ones must fit. */
static int
config_check_algs(const struct jwt_keys *keys,
    const struct config_middleware *cfg, unsigned algs, struct error *err)
{
	unsigned lacks = algs & ~jwt_keys_algs(keys);
	char names[128];

	if (lacks == 0 || cfg->jwt.jwks.len > 0)
		return 0;
	jwt_algs_print(lacks, names, sizeof(names));
	return error_set(err, ERROR_INVALID,
	    "algorithms: there is no key for %s", names);
}

struct jwt_keys *
jwt_config_keys(const struct config_middleware *cfg, struct watch *jwks,
    struct error *err)
{
	struct jwt_keys *keys;
	unsigned algs;

	if (config_algs(&cfg->jwt.algorithms, &algs, err) == -1)
		return NULL;
	keys = jwt_keys_new(algs);
	if (keys == NULL) {
		error_nomem(err, "keys");
		return NULL;
	}
	if (config_add_all(keys, cfg, jwks, err) == 0 &&
	    config_check_algs(keys, cfg, algs, err) == 0)
		return keys;
	jwt_keys_free(keys);
	return NULL;
}

/* The private key, or the secret. */
static int
config_add_signer(struct jwt_keys *keys, const struct config_middleware *cfg,
    struct error *err)
{
	struct watch key;

	if (cfg->jwt.signing_key.len > 0) {
		watch_init(&key, cfg->jwt.signing_key.p);
		return config_add_file(keys, &key, "signing_key",
		    jwt_keys_add_private, err);
	}
	return jwt_keys_add_secret(keys, cfg->jwt.secret, err);
}

/* The first configured algorithm that the signer has a key for. */
static enum jwt_alg
config_choose_alg(const struct config_strings *names, unsigned algs)
{
	enum jwt_alg alg = JWT_ALG_COUNT;
	size_t i;

	for (i = 0; i < names->count; i++)
		if (jwt_alg_find(names->item[i], &alg) == 0 &&
		    algs & JWT_ALG_BIT(alg))
			break;
	return alg;
}

int
jwt_config_sign(const struct config_middleware *cfg, struct str payload,
    struct buf *out, struct error *err)
{
	struct jwt_keys *signer = NULL, *keys;
	struct watch jwks;
	enum jwt_alg alg;
	int rc = -1;

	watch_init(&jwks, cfg->jwt.jwks.p);
	keys = jwt_config_keys(cfg, &jwks, err);
	if (keys == NULL)
		return -1;
	signer = jwt_keys_new(keys->algs);
	if (signer == NULL) {
		error_nomem(err, "keys");
	} else if (config_add_signer(signer, cfg, err) == 0) {
		alg = config_choose_alg(&cfg->jwt.algorithms,
		    jwt_keys_algs(signer));
		rc = jwt_sign(signer, alg, jwt_keys_find_kid(keys, signer),
		    payload, out, err);
	}
	jwt_keys_free(signer);
	jwt_keys_free(keys);
	return rc;
}
