/* SPDX-License-Identifier: MIT */
/*
 * Keys and signatures of tokens, by OpenSSL.
 *
 * A key is bound to algorithms when it is read: by its type, its curve, its
 * length, and by what its JWK says.  Verifying looks for a key that is bound to
 * the token's algorithm, so that an RSA key never becomes an HMAC secret,
 * whatever a header says (RFC 8725 3.1).
 *
 * Owns: the keys.  Invariant: no key is bound to an algorithm that isn't
 * configured, or that it is too weak for.
 * Here: keys, verifying, signing.  Not here: the token's text (jwt.c), JWK sets
 * (jwt_jwks.c).
 * Context: pure; reading keys allocates.  jwt.c -> [jwt_key.c] -> jwt_jwks.c
 */
#include "server/jwt_key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "common/base64.h"

/* RFC 7518 3.3. */
#define JWT_RSA_BITS_MIN 2048
/* Beyond it one verification holds the loop for milliseconds. */
#define JWT_RSA_BITS_MAX 8192

#define HS JWT_ALG_HMAC
#define RSA_ALGS                                                               \
	(JWT_ALG_BIT(JWT_RS256) | JWT_ALG_BIT(JWT_RS384) |                     \
	    JWT_ALG_BIT(JWT_RS512) | JWT_ALG_BIT(JWT_PS256) |                  \
	    JWT_ALG_BIT(JWT_PS384) | JWT_ALG_BIT(JWT_PS512))

/* "HS256, HS384" */
void
jwt_algs_print(unsigned algs, char *out, size_t size)
{
	enum jwt_alg alg;
	size_t at = 0;

	out[0] = '\0';
	for (alg = 0; alg < JWT_ALG_COUNT && at < size; alg++)
		if (algs & JWT_ALG_BIT(alg))
			at += (size_t)snprintf(out + at, size - at, "%s%s",
			    at > 0 ? ", " : "", jwt_alg_name(alg));
}

static const EVP_MD *
alg_hash(enum jwt_alg alg)
{
	switch (alg) {
	case JWT_HS256:
	case JWT_RS256:
	case JWT_PS256:
	case JWT_ES256:
		return EVP_sha256();
	case JWT_HS384:
	case JWT_RS384:
	case JWT_PS384:
	case JWT_ES384:
		return EVP_sha384();
	case JWT_HS512:
	case JWT_RS512:
	case JWT_PS512:
	case JWT_ES512:
		return EVP_sha512();
	case JWT_EDDSA:
	case JWT_ALG_COUNT:
		break;
	}
	return NULL;
}

static bool
alg_is_pss(enum jwt_alg alg)
{
	return alg == JWT_PS256 || alg == JWT_PS384 || alg == JWT_PS512;
}

/* Bytes of r and of s (RFC 7518 3.4); 0: no ECDSA. */
static size_t
alg_ec_bytes(enum jwt_alg alg)
{
	return alg == JWT_ES256 ? 32 :
	    alg == JWT_ES384    ? 48 :
	    alg == JWT_ES512    ? 66 :
	    0;
}

struct jwt_keys *
jwt_keys_new(unsigned algs)
{
	struct jwt_keys *keys = calloc(1, sizeof(*keys));

	if (keys != NULL)
		keys->algs = algs;
	return keys;
}

static void
key_done(struct jwt_key *key)
{
	OPENSSL_clear_free(key->secret, key->secret_len);
	EVP_PKEY_free(key->pkey);
	free(key->kid);
}

void
jwt_keys_cut(struct jwt_keys *keys, size_t count)
{
	while (keys->count > count)
		key_done(&keys->key[--keys->count]);
}

void
jwt_keys_free(struct jwt_keys *keys)
{
	if (keys == NULL)
		return;
	jwt_keys_cut(keys, 0);
	free(keys);
}

unsigned
jwt_keys_algs(const struct jwt_keys *keys)
{
	unsigned algs = 0;
	size_t i;

	for (i = 0; i < keys->count; i++)
		algs |= keys->key[i].algs;
	return algs;
}

int
jwt_keys_put(struct jwt_keys *keys, struct jwt_key *key, struct error *err)
{
	const struct jwt_key *other;
	size_t i;

	key->algs &= keys->algs;
	for (i = 0; i < keys->count && key->kid != NULL; i++) {
		other = &keys->key[i];
		/* RFC 7517 4.5: a name may serve keys of several kinds, but
		 * not two that a token could mean. */
		if (other->kid != NULL && strcmp(other->kid, key->kid) == 0 &&
		    (other->algs & key->algs) != 0) {
			error_set(err, ERROR_INVALID,
			    "two keys have the kid '%s'", key->kid);
			goto fail;
		}
	}
	if (keys->count == JWT_KEYS_MAX) {
		error_set(err, ERROR_LIMIT, "more than %d keys", JWT_KEYS_MAX);
		goto fail;
	}
	keys->key[keys->count++] = *key;
	return 0;
fail:
	key_done(key);
	return -1;
}

/* Reading keys. */

unsigned
jwt_secret_algs(size_t bytes)
{
	unsigned algs = 0;
	enum jwt_alg alg;

	for (alg = JWT_HS256; alg <= JWT_HS512; alg++)
		if (bytes >= (size_t)EVP_MD_get_size(alg_hash(alg)))
			algs |= JWT_ALG_BIT(alg);
	return algs;
}

int
jwt_keys_add_secret(struct jwt_keys *keys, struct str secret, struct error *err)
{
	struct jwt_key key = {.algs = jwt_secret_algs(secret.len)};
	unsigned lacks = keys->algs & HS & ~key.algs;
	char names[64];

	/* The mistake by which a public key becomes a password. */
	if (memmem(secret.p, secret.len, "-----BEGIN", 10) != NULL)
		return error_set(err, ERROR_INVALID,
		    "is a PEM file, which is "
		    "no secret: give it as \"key\"");
	if (!(keys->algs & HS))
		return error_set(err, ERROR_INVALID,
		    "is for HS256, HS384 and "
		    "HS512, and \"algorithms\" has none of them");
	jwt_algs_print(lacks, names, sizeof(names));
	if (lacks != 0)
		return error_set(err, ERROR_INVALID,
		    "is too short for %s: it "
		    "has %zu bytes, and needs as many as the hash (32, 48, "
		    "64); make one with 'openssl rand -hex 32'",
		    names, secret.len);
	key.secret = OPENSSL_memdup(secret.p, secret.len);
	key.secret_len = secret.len;
	if (key.secret == NULL)
		return error_nomem(err, "a key");
	return jwt_keys_put(keys, &key, err);
}

static int
rsa_check(const EVP_PKEY *pkey, struct error *err)
{
	int bits = EVP_PKEY_get_bits(pkey);

	if (bits < JWT_RSA_BITS_MIN || bits > JWT_RSA_BITS_MAX)
		return error_set(err, ERROR_INVALID,
		    "is an RSA key of %d "
		    "bits: from %d to %d can be used",
		    bits, JWT_RSA_BITS_MIN, JWT_RSA_BITS_MAX);
	return 0;
}

static unsigned
ec_algs(const EVP_PKEY *pkey)
{
	static const struct {
		const char *name;
		enum jwt_alg alg;
	} curves[] = {
	    {"prime256v1", JWT_ES256},
	    {"secp384r1", JWT_ES384},
	    {"secp521r1", JWT_ES512},
	};
	char name[64];
	size_t i;

	if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) != 1)
		return 0;
	for (i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(name, curves[i].name) == 0)
			return JWT_ALG_BIT(curves[i].alg);
	return 0;
}

int
jwt_pkey_bind(EVP_PKEY *pkey, unsigned *ret_algs, struct error *err)
{
	EVP_PKEY_CTX *ctx;
	bool is_good;

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		if (rsa_check(pkey, err) == -1)
			return -1;
		*ret_algs = RSA_ALGS;
		break;
	case EVP_PKEY_EC:
		*ret_algs = ec_algs(pkey);
		break;
	case EVP_PKEY_ED25519:
		*ret_algs = JWT_ALG_BIT(JWT_EDDSA);
		return 0;
	default:
		*ret_algs = 0;
	}
	if (*ret_algs == 0)
		return error_set(err, ERROR_INVALID,
		    "is of a kind that no "
		    "token is signed with: RSA, EC on P-256, P-384 or P-521, "
		    "and Ed25519 can be used");
	/* A point that isn't on its curve, an even exponent. */
	ctx = EVP_PKEY_CTX_new(pkey, NULL);
	is_good = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return is_good ? 0 :
	    error_set(err, ERROR_INVALID, "is not a valid key");
}

/* Binds and adds; takes the key, also on failure. */
static int
keys_put_pkey(struct jwt_keys *keys, EVP_PKEY *pkey, struct error *err)
{
	struct jwt_key key = {.pkey = pkey};
	char names[128];

	if (jwt_pkey_bind(pkey, &key.algs, err) == -1) {
		EVP_PKEY_free(pkey);
		return -1;
	}
	if (key.algs & keys->algs)
		return jwt_keys_put(keys, &key, err);
	jwt_algs_print(key.algs, names, sizeof(names));
	EVP_PKEY_free(pkey);
	return error_set(err, ERROR_INVALID,
	    "fits none of \"algorithms\": it "
	    "is for %s",
	    names);
}

/* Never asks at a terminal for the password of a key. */
static int
pem_no_password(char *out, int size, int is_writing, void *arg)
{
	return -1;
}

/* The key of a "PUBLIC KEY" or "CERTIFICATE" block; NULL for neither. */
static EVP_PKEY *
pem_read_public(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *pkey = NULL;
	X509 *cert;

	if (bio == NULL)
		return NULL;
	pkey = PEM_read_bio_PUBKEY(bio, NULL, pem_no_password, NULL);
	if (pkey == NULL) {
		(void)BIO_reset(bio);
		cert = PEM_read_bio_X509(bio, NULL, pem_no_password, NULL);
		pkey = cert != NULL ? X509_get_pubkey(cert) : NULL;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	return pkey;
}

int
jwt_keys_add_pem(struct jwt_keys *keys, struct str pem, struct error *err)
{
	EVP_PKEY *pkey;

	if (memmem(pem.p, pem.len, "PRIVATE KEY-----", 16) != NULL)
		return error_set(err, ERROR_INVALID,
		    "is a private key: to "
		    "check tokens the public one is enough ('openssl pkey -in "
		    "private.pem -pubout'); \"signing_key\" takes this one");
	pkey = pem_read_public(pem);
	if (pkey == NULL)
		return error_set(err, ERROR_INVALID,
		    "is neither a public key nor a certificate in PEM: "
		    "\"-----BEGIN PUBLIC KEY-----\"");
	return keys_put_pkey(keys, pkey, err);
}

int
jwt_keys_add_private(struct jwt_keys *keys, struct str pem, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *pkey = NULL;

	if (bio != NULL)
		pkey =
		    PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		return error_set(err, ERROR_INVALID,
		    "is not a private key in "
		    "PEM without a password (\"-----BEGIN PRIVATE KEY-----\")");
	return keys_put_pkey(keys, pkey, err);
}

/* Signatures. */

/* Runs an HMAC over the token's signed part. */
static int
hmac_run(const struct jwt_key *key, enum jwt_alg alg, struct str data,
    unsigned char *out, unsigned *ret_len)
{
	return HMAC(alg_hash(alg), key->secret, (int)key->secret_len,
	    (const unsigned char *)data.p, data.len, out,
	    ret_len) != NULL ?
	    0 :
	    -1;
}

/* RFC 7518 3.5: the salt is as long as the hash. */
static bool
pss_is_set(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* r || s, each of full length (RFC 7518 3.4), as the DER that OpenSSL reads.
 * Whether r and s are from 1 to the order - 1 it checks itself. */
static unsigned char *
ec_to_der(struct str sig, size_t half, int *ret_len)
{
	const unsigned char *p = (const unsigned char *)sig.p;
	ECDSA_SIG *ec = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, (int)half, NULL);
	BIGNUM *s = BN_bin2bn(p + half, (int)half, NULL);
	unsigned char *der = NULL;

	if (ec == NULL || r == NULL || s == NULL ||
	    ECDSA_SIG_set0(ec, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else {
		*ret_len = i2d_ECDSA_SIG(ec, &der);
	}
	ECDSA_SIG_free(ec);
	return der;
}

static bool
pkey_verify(const struct jwt_key *key, enum jwt_alg alg, struct str data,
    struct str sig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	bool is_good;

	is_good = md != NULL &&
	    EVP_DigestVerifyInit(md, &ctx, alg_hash(alg), NULL, key->pkey) ==
		1 &&
	    (!alg_is_pss(alg) || pss_is_set(ctx)) &&
	    EVP_DigestVerify(md, (const unsigned char *)sig.p, sig.len,
		(const unsigned char *)data.p, data.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return is_good;
}

static bool
key_verify(const struct jwt_key *key, enum jwt_alg alg, struct str data,
    struct str sig)
{
	unsigned char mac[EVP_MAX_MD_SIZE], *der;
	size_t half = alg_ec_bytes(alg);
	unsigned len = 0;
	int der_len = 0;
	bool is_good;

	if (JWT_ALG_BIT(alg) & HS)
		return hmac_run(key, alg, data, mac, &len) == 0 &&
		    sig.len == len && CRYPTO_memcmp(mac, sig.p, len) == 0;
	if (half == 0)
		return pkey_verify(key, alg, data, sig);
	if (sig.len != 2 * half)
		return false;
	der = ec_to_der(sig, half, &der_len);
	is_good = der != NULL &&
	    pkey_verify(
		key, alg, data, str_from((const char *)der, (size_t)der_len));
	OPENSSL_free(der);
	return is_good;
}

static bool
key_is_named(const struct jwt_key *key, struct str kid)
{
	return key->kid != NULL && str_eq(str_of(key->kid), kid);
}

/* The one key that the token may have been signed with; keys without a name go
 * by any.  NULL: none, or more than one. */
static const struct jwt_key *
keys_choose(const struct jwt_keys *keys, const struct jwt_token *t,
    const char **ret_why)
{
	const struct jwt_key *key, *found = NULL;
	size_t i;

	for (i = 0; i < keys->count; i++) {
		key = &keys->key[i];
		if (!(key->algs & JWT_ALG_BIT(t->alg)))
			continue;
		if (t->kid.p != NULL && key_is_named(key, t->kid))
			return key;
		if (t->kid.p != NULL && key->kid != NULL)
			continue;
		if (found != NULL) {
			*ret_why = "the token doesn't say which key it is "
			    "signed with";
			return NULL;
		}
		found = key;
	}
	if (found == NULL)
		*ret_why = keys->algs & JWT_ALG_BIT(t->alg) ?
		    "the token's key is not known" :
		    "the token's algorithm is not allowed";
	return found;
}

int
jwt_verify(const struct jwt_keys *keys, const struct jwt_token *token,
    const char **ret_why)
{
	const struct jwt_key *key = keys_choose(keys, token, ret_why);

	if (key == NULL)
		return -EINVAL;
	if (key_verify(key, token->alg, token->signed_part, token->signature))
		return 0;
	*ret_why = "the token's signature is wrong";
	return -EINVAL;
}

int
jwt_digest(struct str text, unsigned char out[JWT_DIGEST_BYTES])
{
	return EVP_Digest(text.p, text.len, out, NULL, EVP_sha256(), NULL) == 1
	    ? 0 : -1;
}

struct str
jwt_keys_find_kid(const struct jwt_keys *keys, const struct jwt_keys *signer)
{
	size_t i;

	for (i = 0; i < keys->count && signer->count > 0; i++)
		if (keys->key[i].pkey != NULL && keys->key[i].kid != NULL &&
		    signer->key[0].pkey != NULL &&
		    EVP_PKEY_eq(keys->key[i].pkey, signer->key[0].pkey) == 1)
			return str_of(keys->key[i].kid);
	return str_from(NULL, 0);
}

static int
der_to_ec(const unsigned char *der, size_t len, size_t half, unsigned char *out)
{
	ECDSA_SIG *ec = d2i_ECDSA_SIG(NULL, &der, (long)len);
	int ok;

	ok = ec != NULL &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(ec), out, (int)half) != -1 &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(ec), out + half, (int)half) != -1;
	ECDSA_SIG_free(ec);
	return ok ? 0 : -1;
}

/* out: JWT_RSA_BITS_MAX / 8 bytes. */
static int
pkey_sign(const struct jwt_key *key, enum jwt_alg alg, struct str data,
    unsigned char *out, size_t *len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	int ok;

	ok = md != NULL &&
	    EVP_DigestSignInit(md, &ctx, alg_hash(alg), NULL, key->pkey) == 1 &&
	    (!alg_is_pss(alg) || pss_is_set(ctx)) &&
	    EVP_DigestSign(
		md, out, len, (const unsigned char *)data.p, data.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok ? 0 : -1;
}

/* Returns the length, or 0. */
static size_t
key_sign(const struct jwt_key *key, enum jwt_alg alg, struct str data,
    unsigned char *out)
{
	unsigned char der[160];
	size_t half = alg_ec_bytes(alg), len = JWT_RSA_BITS_MAX / 8;
	unsigned mac_len;

	if (JWT_ALG_BIT(alg) & HS)
		return hmac_run(key, alg, data, out, &mac_len) == 0 ? mac_len :
		    0;
	if (half == 0)
		return pkey_sign(key, alg, data, out, &len) == 0 ? len : 0;
	len = sizeof(der);
	return pkey_sign(key, alg, data, der, &len) == 0 &&
		der_to_ec(der, len, half, out) == 0 ?
	    2 * half :
	    0;
}

static void
buf_add_base64(struct buf *b, struct str data)
{
	char *text = malloc(BASE64_TEXT_BYTES(data.len) + 1);

	if (text == NULL)
		b->failed = true;
	else
		buf_add(
		    b, str_from(text, base64_encode(data, BASE64_URL, text)));
	free(text);
}

int
jwt_sign(const struct jwt_keys *keys, enum jwt_alg alg, struct str kid,
    struct str payload, struct buf *out, struct error *err)
{
	unsigned char sig[JWT_RSA_BITS_MAX / 8];
	size_t i, len, start = out->len;
	struct buf header;

	for (i = 0; i < keys->count; i++)
		if (keys->key[i].algs & JWT_ALG_BIT(alg))
			break;
	if (i == keys->count)
		return error_set(
		    err, ERROR_INVALID, "no key is for %s", jwt_alg_name(alg));
	buf_init(&header, 0);
	buf_printf(
	    &header, "{\"alg\":\"%s\",\"typ\":\"JWT\"", jwt_alg_name(alg));
	if (kid.p != NULL) {
		buf_add(&header, STR(",\"kid\":"));
		buf_add_json(&header, kid);
	}
	buf_add_byte(&header, '}');
	if (buf_failed(&header))
		out->failed = true;
	else
		buf_add_base64(out, buf_str(&header));
	buf_done(&header);
	buf_add_byte(out, '.');
	buf_add_base64(out, payload);
	if (buf_failed(out))
		return error_nomem(err, "a token");
	len = key_sign(&keys->key[i], alg,
	    str_from(out->p + start, out->len - start), sig);
	if (len == 0)
		return error_set(
		    err, ERROR_INTERNAL, "%s failed", jwt_alg_name(alg));
	buf_add_byte(out, '.');
	buf_add_base64(out, str_from((const char *)sig, len));
	return buf_failed(out) ? error_nomem(err, "a token") : 0;
}
