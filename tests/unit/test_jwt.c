/* SPDX-License-Identifier: MIT */
/*
 * Proves tokens: published signatures, one reading of a text, no confusion of
 * algorithms, and what claims must hold.
 *
 * Context: no loop.
 */
#include "server/jwt.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "tests/unit/jwt_vectors.h"
#include "tests/unit/unit.h"

#define ALL_ALGS (JWT_ALG_BIT(JWT_ALG_COUNT) - 1)
#define SECRET                                                                 \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A set of one JWK; NULL where it is refused. */
static struct jwt_keys *
keys_of(unsigned algs, const char *jwks)
{
	struct jwt_keys *keys = jwt_keys_new(algs);
	struct error err;

	assert_non_null(keys);
	if (jwt_keys_add_jwks(keys, str_of(jwks), &err) == 0)
		return keys;
	jwt_keys_free(keys);
	return NULL;
}

static struct jwt_keys *
keys_of_jwk(unsigned algs, const char *jwk)
{
	char text[2048];

	snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
	return keys_of(algs, text);
}

static struct jwt_keys *
keys_of_secret(unsigned algs, const char *secret)
{
	struct jwt_keys *keys = jwt_keys_new(algs);
	struct error err;

	assert_non_null(keys);
	if (jwt_keys_add_secret(keys, str_of(secret), &err) == -1)
		fail_msg("%s", err.text);
	return keys;
}

static void
test_published(void **state)
{
	const char *why;
	char sig[512];

	for (size_t i = 0; i < UNIT_COUNT(jwt_vectors); i++) {
		const struct jwt_vector *v = &jwt_vectors[i];
		struct jwt_keys *keys =
		    keys_of_jwk(JWT_ALG_BIT(v->alg), v->jwk);
		struct jwt_token t = {
		    .alg = v->alg,
		    .kid = str_of(v->kid),
		    .signed_part = str_of(v->signed_part),
		};
		ptrdiff_t len =
		    base64_decode(str_of(v->signature), BASE64_URL, sig);

		unit_check(keys != NULL && len > 0, v->name);
		t.signature = str_from(sig, (size_t)len);
		unit_check(jwt_verify(keys, &t, &why) == 0, v->name);
		/* Each bit of a signature counts, and its length. */
		for (size_t bit = 0; bit < 8 * (size_t)len; bit += 7) {
			sig[bit / 8] ^= (char)(1 << bit % 8);
			unit_check(
			    jwt_verify(keys, &t, &why) == -EINVAL, v->name);
			sig[bit / 8] ^= (char)(1 << bit % 8);
		}
		t.signature.len--;
		unit_check(jwt_verify(keys, &t, &why) == -EINVAL, v->name);
		t.signature.len = 0;
		unit_check(jwt_verify(keys, &t, &why) == -EINVAL, v->name);
		t.signature = str_from(sig, (size_t)len);
		t.signed_part.len--;
		unit_check(jwt_verify(keys, &t, &why) == -EINVAL, v->name);
		jwt_keys_free(keys);
	}
}

/* Another algorithm in the header than the one of the key: none verifies. */
static void
test_no_confusion(void **state)
{
	const char *why;
	char sig[512];

	for (size_t i = 0; i < UNIT_COUNT(jwt_vectors); i++) {
		const struct jwt_vector *v = &jwt_vectors[i];
		struct jwt_keys *keys = keys_of_jwk(ALL_ALGS, v->jwk);
		struct jwt_token t = {
		    .kid = str_of(v->kid),
		    .signed_part = str_of(v->signed_part),
		};
		ptrdiff_t len =
		    base64_decode(str_of(v->signature), BASE64_URL, sig);

		assert_non_null(keys);
		t.signature = str_from(sig, (size_t)len);
		for (t.alg = 0; t.alg < JWT_ALG_COUNT; t.alg++)
			unit_check((jwt_verify(keys, &t, &why) == 0) ==
				(t.alg == v->alg),
			    v->name);
		jwt_keys_free(keys);
	}
}

/* r and s of an ECDSA signature that are 0, the order, or more: "psychic". */
static void
test_ecdsa_values(void **state)
{
	static const unsigned char order[32] = {
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0x00,
	    0x00,
	    0x00,
	    0x00,
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0xff,
	    0xbc,
	    0xe6,
	    0xfa,
	    0xad,
	    0xa7,
	    0x17,
	    0x9e,
	    0x84,
	    0xf3,
	    0xb9,
	    0xca,
	    0xc2,
	    0xfc,
	    0x63,
	    0x25,
	    0x51,
	};
	const struct jwt_vector *v = &jwt_vectors[2];
	struct jwt_keys *keys = keys_of_jwk(ALL_ALGS, v->jwk);
	struct jwt_token t = {
	    .alg = JWT_ES256, .signed_part = str_of(v->signed_part)};
	unsigned char sig[80] = {0}, good[80];
	const char *why;

	assert_non_null(keys);
	t.signature = str_from((char *)sig, 64);
	for (unsigned kind = 0; kind < 9; kind++) {
		for (unsigned half = 0; half < 2; half++) {
			unsigned value = half == 0 ? kind / 3 : kind % 3;

			memset(sig + 32 * half, value == 2 ? 0xff : 0, 32);
			if (value == 1)
				memcpy(sig + 32 * half, order, 32);
		}
		assert_int_equal(jwt_verify(keys, &t, &why), -EINVAL);
	}
	/* The same numbers written longer: 64 bytes, no more. */
	assert_int_equal(
	    base64_decode(str_of(v->signature), BASE64_URL, (char *)good), 64);
	memset(sig, 0, sizeof(sig));
	memcpy(sig + 1, good, 32);
	memcpy(sig + 34, good + 32, 32);
	t.signature.len = 66;
	assert_int_equal(jwt_verify(keys, &t, &why), -EINVAL);
	jwt_keys_free(keys);
}

/* Tokens of any header and payload, signed with HS256 over SECRET. */
static char *
token_of(const char *header, const char *payload)
{
	size_t size = BASE64_TEXT_BYTES(strlen(header)) +
	    BASE64_TEXT_BYTES(strlen(payload)) + 64;
	char *text = malloc(size), mac[32];
	size_t len;

	assert_non_null(text);
	len = base64_encode(str_of(header), BASE64_URL, text);
	text[len++] = '.';
	len += base64_encode(str_of(payload), BASE64_URL, text + len);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, SECRET,
	    strlen(SECRET), (unsigned char *)text, len, (unsigned char *)mac,
	    sizeof(mac), NULL));
	text[len++] = '.';
	len +=
	    base64_encode(str_from(mac, sizeof(mac)), BASE64_URL, text + len);
	text[len] = '\0';
	return text;
}

/* Parsed and verified: 0, or the errno. */
static int
token_try(const struct jwt_keys *keys, struct str text)
{
	struct jwt_token t;
	struct arena a;
	const char *why = NULL;
	int rc;

	arena_init(&a, NULL);
	rc = jwt_parse(&a, text, &t, &why);
	if (rc == 0)
		rc = jwt_verify(keys, &t, &why);
	assert_true((rc == 0) == (why == NULL));
	arena_done(&a);
	return rc;
}

static void
test_headers(void **state)
{
	static const struct {
		const char *name, *header, *payload;
		bool is_good;
	} cases[] = {
	    {"the least", "{\"alg\":\"HS256\"}", "{}", true},
	    {"with a type", "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", "{}", true},
	    {"a key of its own isn't looked at",
		"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
		"{}", true},
	    {"nor where one might be",
		"{\"alg\":\"HS256\",\"jku\":\"https://a.example/\","
		"\"x5u\":\"https://a.example/\",\"x5c\":[]}",
		"{}", true},
	    {"a name for the nameless key",
		"{\"alg\":\"HS256\",\"kid\":\"any\"}", "{}", true},
	    {"no algorithm", "{\"typ\":\"JWT\"}", "{}", false},
	    {"none", "{\"alg\":\"none\"}", "{}", false},
	    {"None", "{\"alg\":\"None\"}", "{}", false},
	    {"nOnE", "{\"alg\":\"nOnE\"}", "{}", false},
	    {"an empty one", "{\"alg\":\"\"}", "{}", false},
	    {"lower case", "{\"alg\":\"hs256\"}", "{}", false},
	    {"a number", "{\"alg\":256}", "{}", false},
	    {"a list", "{\"alg\":[\"HS256\"]}", "{}", false},
	    {"two of them", "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}",
		false},
	    {"two of them, one escaped",
		"{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}", "{}", false},
	    {"another one than was used", "{\"alg\":\"HS384\"}", "{}", false},
	    {"another kind of key", "{\"alg\":\"RS256\"}", "{}", false},
	    {"critical extensions",
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "{}",
		false},
	    {"an empty list of them", "{\"alg\":\"HS256\",\"crit\":[]}", "{}",
		false},
	    {"an unencoded payload",
		"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}", "{}",
		false},
	    {"b64 without crit", "{\"alg\":\"HS256\",\"b64\":false}", "{}",
		false},
	    {"an empty kid", "{\"alg\":\"HS256\",\"kid\":\"\"}", "{}", false},
	    {"a kid that is no string", "{\"alg\":\"HS256\",\"kid\":1}", "{}",
		false},
	    {"a header that is a list", "[\"HS256\"]", "{}", false},
	    {"something behind it", "{\"alg\":\"HS256\"}x", "{}", false},
	    {"no header", "", "{}", false},
	    {"no payload", "{\"alg\":\"HS256\"}", "", false},
	    {"a payload that is a text", "{\"alg\":\"HS256\"}", "\"a\"", false},
	    {"duplicate claims", "{\"alg\":\"HS256\"}",
		"{\"sub\":\"a\",\"sub\":\"b\"}", false},
	    {"invalid UTF-8", "{\"alg\":\"HS256\"}", "{\"sub\":\"\xff\"}",
		false},
	    {"NaN", "{\"alg\":\"HS256\"}", "{\"exp\":NaN}", false},
	    {"too deep", "{\"alg\":\"HS256\"}",
		"{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", false},
	};
	struct jwt_keys *keys = keys_of_secret(JWT_ALG_HMAC, SECRET);

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char *text = token_of(cases[i].header, cases[i].payload);

		unit_check(
		    (token_try(keys, str_of(text)) == 0) == cases[i].is_good,
		    cases[i].name);
		free(text);
	}
	jwt_keys_free(keys);
}

/* Another text of the same token is no token. */
static void
test_spellings(void **state)
{
	static const char *const changes[] = {"=", ".", " ", "\n", "A"};
	struct jwt_keys *keys = keys_of_secret(JWT_ALG_HMAC, SECRET);
	char *text = token_of("{\"alg\":\"HS256\"}", "{\"a\":1}");
	size_t len = strlen(text);
	char *copy = malloc(len + 2);

	assert_non_null(copy);
	assert_int_equal(token_try(keys, str_from(text, len)), 0);
	for (size_t i = 0; i < UNIT_COUNT(changes); i++)
		for (size_t at = 0; at <= len; at++) {
			memcpy(copy, text, at);
			copy[at] = *changes[i];
			memcpy(copy + at + 1, text + at, len - at);
			assert_int_equal(
			    token_try(keys, str_from(copy, len + 1)), -EINVAL);
		}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(token_try(keys, str_from(text, cut)), -EINVAL);
	memcpy(copy, text, len);
	for (size_t at = 0; at < len; at++)
		for (int bit = 0; bit < 8; bit++) {
			copy[at] ^= (char)(1 << bit);
			assert_int_equal(
			    token_try(keys, str_from(copy, len)), -EINVAL);
			copy[at] ^= (char)(1 << bit);
		}
	free(copy);
	free(text);
	jwt_keys_free(keys);
}

static void
test_claims(void **state)
{
	static struct str audience_items[] = {STR_INIT("us"), STR_INIT("we")};
	static const struct config_strings us = {audience_items, 2};
	static const struct config_strings anyone;
	static const struct {
		const char *payload, *issuer;
		bool has_audience;
		const char *why; /* the start of it; NULL: good */
	} cases[] = {
	    {"{}", "", false, NULL},
	    {"{\"exp\":1000}", "", false, NULL},
	    {"{\"exp\":991}", "", false, NULL},
	    {"{\"exp\":990}", "", false, "the token has expired"},
	    {"{\"exp\":990.5}", "", false, NULL},
	    {"{\"exp\":-1}", "", false, "the token has expired"},
	    {"{\"exp\":1e300}", "", false, NULL},
	    {"{\"exp\":\"2000\"}", "", false, "a time"},
	    {"{\"exp\":null}", "", false, "a time"},
	    {"{\"exp\":true}", "", false, "a time"},
	    {"{\"nbf\":1010}", "", false, NULL},
	    {"{\"nbf\":1011}", "", false, "the token is not valid yet"},
	    {"{\"nbf\":[1]}", "", false, "a time"},
	    {"{\"iat\":1010}", "", false, NULL},
	    {"{\"iat\":1011}", "", false, "the token was issued in the"},
	    {"{\"iat\":\"1\"}", "", false, "a time"},
	    {"{\"iss\":\"a\"}", "a", false, NULL},
	    {"{\"iss\":\"b\"}", "a", false, "the token is from"},
	    {"{\"iss\":\"aa\"}", "a", false, "the token is from"},
	    {"{\"iss\":[\"a\"]}", "a", false, "the token is from"},
	    {"{}", "a", false, "the token is from"},
	    {"{\"aud\":\"us\"}", "", true, NULL},
	    {"{\"aud\":[\"them\",\"we\"]}", "", true, NULL},
	    {"{\"aud\":\"them\"}", "", true, "the token is for"},
	    {"{\"aud\":[]}", "", true, "the token is for"},
	    {"{}", "", true, "the token is for"},
	    {"{\"aud\":\"them\"}", "", false, NULL},
	    {"{\"aud\":[\"us\",1]}", "", true, "the token's audience"},
	    {"{\"aud\":{\"us\":1}}", "", false, "the token's audience"},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct jwt_rules rules = {
		    .issuer = str_of(cases[i].issuer),
		    .audience = cases[i].has_audience ? &us : &anyone,
		    .leeway_s = 10,
		};
		char *text = token_of("{\"alg\":\"HS256\"}", cases[i].payload);
		const char *why = NULL;
		struct jwt_token t;
		struct arena a;

		arena_init(&a, NULL);
		assert_int_equal(jwt_parse(&a, str_of(text), &t, &why), 0);
		assert_int_equal(jwt_check(&t, &rules, 1000, &why),
		    cases[i].why == NULL ? 0 : -EINVAL);
		if (cases[i].why != NULL)
			unit_check(
			    str_has_prefix(str_of(why), str_of(cases[i].why)),
			    cases[i].payload);
		arena_done(&a);
		free(text);
	}
}

static void
test_claim_values(void **state)
{
	static const struct {
		const char *claim, *value;
		bool is_there;
	} cases[] = {
	    {"role", "admin", true},
	    {"role", "adm", false},
	    {"role", "", false},
	    {"scope", "write", true},
	    {"scope", "read write", true},
	    {"scope", "wri", false},
	    {"scope", "", false},
	    {"groups", "b", true},
	    {"groups", "c", false},
	    {"groups", "1", false},
	    {"level", "1", false},
	    {"Role", "admin", false},
	    {"none", "x", false},
	};
	char *text = token_of("{\"alg\":\"HS256\"}",
	    "{\"role\":\"admin\","
	    "\"scope\":\"read write\",\"groups\":[\"a\",\"b\",1],"
	    "\"level\":1}");
	struct jwt_token t;
	const char *why;
	struct arena a;

	arena_init(&a, NULL);
	assert_int_equal(jwt_parse(&a, str_of(text), &t, &why), 0);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		unit_check(jwt_claim_has(&t, str_of(cases[i].claim),
		    str_of(cases[i].value)) == cases[i].is_there,
		    cases[i].value);
	arena_done(&a);
	free(text);
}

#define EC_JWK(more)                                                           \
	"{\"kty\":\"EC\",\"crv\":\"P-256\"," more                              \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","               \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define OCT_JWK(more)                                                          \
	"{\"kty\":\"oct\"," more                                               \
	"\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}"

static void
test_key_sets(void **state)
{
	static const struct {
		const char *name, *jwks;
		unsigned algs; /* those with a key; 0: refused */
	} cases[] = {
	    {"one key", "{\"keys\":[" EC_JWK("") "]}", JWT_ALG_BIT(JWT_ES256)},
	    {"two kinds", "{\"keys\":[" EC_JWK("") "," OCT_JWK("") "]}",
		JWT_ALG_BIT(JWT_ES256) | JWT_ALG_BIT(JWT_HS256)},
	    {"an unknown kind is passed over",
		"{\"keys\":[{\"kty\":\"AKP\"}," EC_JWK("") "]}",
		JWT_ALG_BIT(JWT_ES256)},
	    {"and an unknown curve",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\"}," EC_JWK(
		    "") "]}",
		JWT_ALG_BIT(JWT_ES256)},
	    {"and a key for encryption",
		"{\"keys\":[" EC_JWK("\"use\":\"enc\",") "," OCT_JWK("") "]}",
		JWT_ALG_BIT(JWT_HS256)},
	    {"and one that only signs",
		"{\"keys\":[" EC_JWK("\"key_ops\":[\"sign\"],") "," OCT_JWK(
		    "") "]}",
		JWT_ALG_BIT(JWT_HS256)},
	    {"and one for an algorithm it isn't of",
		"{\"keys\":[" EC_JWK("\"alg\":\"RS256\",") "," OCT_JWK("") "]}",
		JWT_ALG_BIT(JWT_HS256)},
	    {"the same name for two kinds",
		"{\"keys\":[" EC_JWK("\"kid\":\"a\",") "," OCT_JWK(
		    "\"kid\":\"a\",") "]}",
		JWT_ALG_BIT(JWT_ES256) | JWT_ALG_BIT(JWT_HS256)},
	    {"the same name for two that a token might mean",
		"{\"keys\":[" EC_JWK("\"kid\":\"a\",") "," EC_JWK(
		    "\"kid\":\"a\",") "]}",
		0},
	    {"no keys", "{\"keys\":[]}", 0},
	    {"no list", "{\"keys\":{}}", 0},
	    {"no set", EC_JWK(""), 0},
	    {"no JSON", "{\"keys\":[", 0},
	    {"twice the same member",
		"{\"keys\":[" EC_JWK("\"crv\":\"P-256\",") "]}", 0},
	    {"a key that is no object", "{\"keys\":[1]}", 0},
	    {"a point that is off the curve",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aw\"}]}",
		0},
	    {"a point of another curve's size",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\","
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
		0},
	    {"a short secret",
		"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", 0},
	    {"a short RSA key",
		"{\"keys\":[{\"kty\":\"RSA\","
		"\"e\":\"AQAB\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEp"
		"s2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc\"}]}",
		0},
	    {"an RSA key without a number",
		"{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", 0},
	    {"an Ed25519 key of the wrong size",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
		"\"x\":\"11qYAYKxCrfVS_7T\"}]}",
		0},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct jwt_keys *keys = keys_of(ALL_ALGS, cases[i].jwks);

		unit_check(
		    (keys == NULL ? 0 : jwt_keys_algs(keys)) == cases[i].algs,
		    cases[i].name);
		jwt_keys_free(keys);
	}
}

/* Which key: by name; without one only where there is no choice. */
static void
test_key_choice(void **state)
{
	static const struct {
		const char *header;
		bool is_good;
	} cases[] = {
	    {"{\"alg\":\"HS256\",\"kid\":\"good\"}", true},
	    {"{\"alg\":\"HS256\",\"kid\":\"other\"}", false},
	    {"{\"alg\":\"HS256\",\"kid\":\"unknown\"}", false},
	    {"{\"alg\":\"HS256\"}", false},
	    {"{\"alg\":\"ES256\",\"kid\":\"good\"}", false},
	};
	char jwks[1024], k[128] = "";
	struct jwt_keys *keys;

	base64_encode(str_of(SECRET), BASE64_URL, k);
	snprintf(jwks, sizeof(jwks),
	    "{\"keys\":[" OCT_JWK(
		"\"kid\":\"other\",") ",{\"kty\":\"oct\",\"kid\":\"good\","
		    "\"k\":\"%s\"}," EC_JWK(
		    "\"kid\":\"good\",") "]}",
	    k);
	keys = keys_of(ALL_ALGS, jwks);
	assert_non_null(keys);
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		char *text = token_of(cases[i].header, "{}");

		unit_check(
		    (token_try(keys, str_of(text)) == 0) == cases[i].is_good,
		    cases[i].header);
		free(text);
	}
	jwt_keys_free(keys);
}

static void
test_secrets(void **state)
{
	static const struct {
		const char *secret;
		unsigned algs;
		bool is_good;
	} cases[] = {
	    {"", JWT_ALG_BIT(JWT_HS256), false},
	    {"secret", JWT_ALG_BIT(JWT_HS256), false},
	    {"0123456789abcdef0123456789abcde", JWT_ALG_BIT(JWT_HS256), false},
	    {"0123456789abcdef0123456789abcdef", JWT_ALG_BIT(JWT_HS256), true},
	    {"0123456789abcdef0123456789abcdef",
		JWT_ALG_BIT(JWT_HS256) | JWT_ALG_BIT(JWT_HS384), false},
	    {SECRET, JWT_ALG_HMAC, true},
	    {SECRET, JWT_ALG_BIT(JWT_RS256), false},
	    {"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A",
		JWT_ALG_BIT(JWT_HS256), false},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct jwt_keys *keys = jwt_keys_new(cases[i].algs);
		struct error err;

		assert_non_null(keys);
		unit_check((jwt_keys_add_secret(keys, str_of(cases[i].secret),
				&err) == 0) == cases[i].is_good,
		    cases[i].secret);
		jwt_keys_free(keys);
	}
}

/* The PEM text of a new key, private or public: free() it. */
static char *
pem_of(EVP_PKEY *pkey, bool is_private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	assert_non_null(bio);
	assert_int_equal(is_private ?
		PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) :
		PEM_write_bio_PUBKEY(bio, pkey),
	    1);
	len = BIO_get_mem_data(bio, &data);
	copy = strndup(data, (size_t)len);
	assert_non_null(copy);
	BIO_free(bio);
	return copy;
}

static EVP_PKEY *
pkey_new(const char *kind)
{
	return strcmp(kind, "RSA") == 0 ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048) :
	    strcmp(kind, "weak RSA") == 0 ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024) :
	    strcmp(kind, "ED25519") == 0 ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") :
	    EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
}

/* Signs with the private half and checks with the public one. */
static void
pem_round_trip(EVP_PKEY *pkey, enum jwt_alg alg)
{
	char *private = pem_of(pkey, true), *public = pem_of(pkey, false);
	struct jwt_keys *signer = jwt_keys_new(JWT_ALG_BIT(alg));
	struct jwt_keys *keys = jwt_keys_new(JWT_ALG_BIT(alg));
	struct error err;
	struct buf text;

	buf_init(&text, 0);
	if (jwt_keys_add_private(signer, str_of(private), &err) == -1 ||
	    jwt_keys_add_pem(keys, str_of(public), &err) == -1 ||
	    jwt_sign(signer, alg, str_from(NULL, 0), STR("{\"sub\":\"me\"}"),
		&text, &err) == -1)
		fail_msg("%s: %s", jwt_alg_name(alg), err.text);
	unit_check(token_try(keys, buf_str(&text)) == 0, jwt_alg_name(alg));
	text.p[text.len / 2] ^= 4;
	unit_check(
	    token_try(keys, buf_str(&text)) == -EINVAL, jwt_alg_name(alg));
	assert_int_equal(jwt_keys_add_pem(keys, str_of(private), &err), -1);
	buf_done(&text);
	jwt_keys_free(signer);
	jwt_keys_free(keys);
	free(private);
	free(public);
}

static void
test_round_trips(void **state)
{
	static const struct {
		const char *kind;
		enum jwt_alg first, last;
	} cases[] = {
	    {"RSA", JWT_RS256, JWT_PS512},
	    {"P-256", JWT_ES256, JWT_ES256},
	    {"P-384", JWT_ES384, JWT_ES384},
	    {"P-521", JWT_ES512, JWT_ES512},
	    {"ED25519", JWT_EDDSA, JWT_EDDSA},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		EVP_PKEY *pkey = pkey_new(cases[i].kind);
		enum jwt_alg alg;

		assert_non_null(pkey);
		for (alg = cases[i].first; alg <= cases[i].last; alg++)
			pem_round_trip(pkey, alg);
		EVP_PKEY_free(pkey);
	}
}

static void
test_pem_refused(void **state)
{
	static const struct {
		const char *kind;
		unsigned algs;
	} cases[] = {
	    {"weak RSA", ALL_ALGS},
	    {"secp256k1", ALL_ALGS},
	    {"P-384", JWT_ALG_BIT(JWT_ES256)},
	    {"RSA", JWT_ALG_HMAC},
	};
	struct jwt_keys *keys;
	struct error err;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		EVP_PKEY *pkey = pkey_new(cases[i].kind);
		char *pem;

		assert_non_null(pkey);
		pem = pem_of(pkey, false);
		keys = jwt_keys_new(cases[i].algs);
		unit_check(jwt_keys_add_pem(keys, str_of(pem), &err) == -1,
		    cases[i].kind);
		jwt_keys_free(keys);
		free(pem);
		EVP_PKEY_free(pkey);
	}
	keys = jwt_keys_new(ALL_ALGS);
	assert_int_equal(jwt_keys_add_pem(keys, STR(""), &err), -1);
	assert_int_equal(jwt_keys_add_pem(keys,
	    STR("-----BEGIN PUBLIC KEY-----\nAAAA\n"
	    "-----END PUBLIC KEY-----\n"),
	    &err),
	    -1);
	jwt_keys_free(keys);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published),
	    cmocka_unit_test(test_no_confusion),
	    cmocka_unit_test(test_ecdsa_values),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_spellings),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_claim_values),
	    cmocka_unit_test(test_key_sets),
	    cmocka_unit_test(test_key_choice),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_round_trips),
	    cmocka_unit_test(test_pem_refused),
	};

	return UNIT_RUN(tests);
}
