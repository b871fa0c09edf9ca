/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes jwt_parse(), and holds it to what its callers build on: parts that
 * belong to one text, and no signature that a key accepts which never made it.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include <errno.h>

#include "common/base64.h"
#include "server/jwt.h"
#include "tests/fuzz/fuzz.h"

static void
fuzz_spelling(struct str text, const struct jwt_token *t)
{
	size_t room = BASE64_TEXT_BYTES(t->signature.len);
	char *again = malloc(room + 1);
	size_t len;

	if (again == NULL)
		return;
	len = base64_encode(t->signature, BASE64_URL, again);
	FUZZ_PROMISE(t->signed_part.len + 1 + len == text.len);
	FUZZ_PROMISE(memcmp(again, text.p + t->signed_part.len + 1, len) == 0);
	free(again);
}

static void
fuzz_verify(const struct jwt_token *t)
{
	static const struct str secret =
	    STR_INIT("a key that made none of the corpus, "
	    "of more than 64 bytes, as HS512 wants");
	struct jwt_keys *keys = jwt_keys_new(JWT_ALG_HMAC);
	struct error err;
	const char *why = NULL;

	FUZZ_PROMISE(keys != NULL);
	FUZZ_PROMISE(jwt_keys_add_secret(keys, secret, &err) == 0);
	FUZZ_PROMISE(jwt_verify(keys, t, &why) == -EINVAL && why != NULL);
	jwt_keys_free(keys);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size);
	struct config_strings anyone = {.count = 0};
	struct jwt_rules rules = {.audience = &anyone};
	const char *why = NULL;
	struct jwt_token t;
	struct arena a;
	int rc;

	arena_init(&a, NULL);
	rc = jwt_parse(&a, text, &t, &why);
	FUZZ_PROMISE(
	    rc == 0 || (rc == -EINVAL && why != NULL) || rc == -ENOMEM);
	if (rc == 0) {
		FUZZ_PROMISE(t.alg < JWT_ALG_COUNT && t.claims != NULL);
		fuzz_spelling(text, &t);
		fuzz_verify(&t);
		rc = jwt_check(&t, &rules, 1000, &why);
		FUZZ_PROMISE(rc == 0 || why != NULL);
	}
	arena_done(&a);
	return 0;
}
