/* SPDX-License-Identifier: MIT */
/*
 * Proves SHA-1: the vectors of RFC 3174 7.3, texts of every length around a
 * block's end, and the handshake of RFC 6455 1.3.
 *
 * Context: no loop.
 */
#include "common/sha1.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base64.h"
#include "tests/unit/unit.h"

static void
sha1_hex(struct str data, char out[2 * SHA1_BYTES + 1])
{
	uint8_t digest[SHA1_BYTES];

	sha1(data, digest);
	for (size_t i = 0; i < SHA1_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void
test_vectors(void **state)
{
	static const struct {
		const char *text, *digest;
		size_t times;
	} cases[] = {
	    {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d", 1},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"84983e441c3bd26ebaae4aa1f95129e5e54670f1", 1},
	    {"a", "34aa973cd4c4daa4f61eeb2bdbad27316534016f", 1000000},
	    {"0123456701234567012345670123456701234567012345670123456701234567",
		"dea356a2cddd90c7a7ecedc5ebb563934f460452", 10},
	    {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709", 1},
	};

	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		size_t len = strlen(cases[i].text);
		char *text = malloc(len * cases[i].times + 1);
		char hex[2 * SHA1_BYTES + 1];

		assert_non_null(text);
		for (size_t k = 0; k < cases[i].times; k++)
			memcpy(text + k * len, cases[i].text, len);
		sha1_hex(str_from(text, len * cases[i].times), hex);
		assert_string_equal(hex, cases[i].digest);
		free(text);
	}
}

/* Each length of padding: the digests of "a" times 54 to 65, and 119, 120. */
static void
test_padding(void **state)
{
	static const struct {
		size_t len;
		const char *digest;
	} cases[] = {
	    {54, "b05d71c64979cb95fa74a33cdb31a40d258ae02e"},
	    {55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
	    {56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
	    {57, "f08f24908d682555111be7ff6f004e78283d989a"},
	    {58, "5ee0f8895f4e1aae6a6661de5c432e34188a5a2d"},
	    {59, "dbc8b8f59ff85a2b1448ed873484b14bf0507246"},
	    {60, "13d956033d9af449bfe2c4ef78c17c20469c4bf1"},
	    {61, "aeab141db28af3353283b5ccb2a322df0b9b5f56"},
	    {62, "67b4b3923fa178d788a9611b76446c96431071f2"},
	    {63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
	    {64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
	    {65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
	    {119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
	    {120, "f34c1488385346a55709ba056ddd08280dd4c6d6"},
	};
	char text[128], hex[2 * SHA1_BYTES + 1];

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		sha1_hex(str_from(text, cases[i].len), hex);
		assert_string_equal(hex, cases[i].digest);
	}
}

static void
test_handshake(void **state)
{
	uint8_t digest[SHA1_BYTES];
	char text[BASE64_TEXT_BYTES(SHA1_BYTES)];
	size_t len;

	sha1(STR("dGhlIHNhbXBsZSBub25jZQ=="
	    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), digest);
	len = base64_encode(str_from((char *)digest, sizeof(digest)),
	    BASE64_PLAIN, text);
	unit_check_str(str_from(text, len),
	    STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "the example's answer");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_padding),
	    cmocka_unit_test(test_handshake),
	};

	return UNIT_RUN(tests);
}
