/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4.
 *
 * Owns nothing.
 * Here: the function.  Not here: secrets' use (OpenSSL has what that takes).
 * Context: pure; any thread.
 */
#include "common/siphash.h"

#include <endian.h>

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void
sip_take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t
siphash(const uint64_t key[2], struct str data)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573
	};
	uint64_t word;
	size_t i;

	for (i = 0; i + 8 <= data.len; i += 8) {
		memcpy(&word, data.p + i, sizeof(word));
		sip_take(v, le64toh(word));
	}
	word = 0;
	if (i < data.len)
		memcpy(&word, data.p + i, data.len - i);
	sip_take(v, le64toh(word) | (uint64_t)data.len << 56);
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
