/* SPDX-License-Identifier: MIT */
/*
 * What a key of tokens is, between the two files that read keys: jwt_key.c and
 * jwt_jwks.c.
 *
 * Context: pure.
 */
#ifndef CORELANE_SERVER_JWT_KEY_H
#define CORELANE_SERVER_JWT_KEY_H

#include <openssl/evp.h>

#include "server/jwt.h"

struct jwt_key {
	char *kid; /* owned; NULL: no name */
	unsigned algs; /* what it may be used with */
	unsigned char *secret; /* owned, OpenSSL's: HMAC; or */
	size_t secret_len;
	EVP_PKEY *pkey; /* owned: everything else */
};

struct jwt_keys {
	unsigned algs; /* what is configured */
	size_t count;
	struct jwt_key key[JWT_KEYS_MAX];
};

/* Adds a key, taken also on failure. */
int jwt_keys_put(struct jwt_keys *keys, struct jwt_key *key, struct error *err);

/* Drops the keys behind the first `count`. */
void jwt_keys_cut(struct jwt_keys *keys, size_t count);

/* Which HMACs a secret is long enough for; which signatures a public key is
 * for, or -1 where it is broken, weak, or of a kind that isn't used. */
unsigned jwt_secret_algs(size_t bytes);
int jwt_pkey_bind(EVP_PKEY *pkey, unsigned *ret_algs, struct error *err);

void jwt_algs_print(unsigned algs, char *out, size_t size);

#endif
