/* SPDX-License-Identifier: MIT */
/*
 * SHA-1.
 *
 * Owns nothing.
 * Here: the digest of a text in one piece.  Not here: anything that must
 * withstand an attacker (OpenSSL has what that takes).
 * Context: pure; any thread.
 */
#include "common/sha1.h"

#include <endian.h>

#define BLOCK_BYTES 64

static inline uint32_t
rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

/* RFC 3174 5: f(t) and K(t). */
static uint32_t
sha1_mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
	switch (t / 20) {
	case 0:
		return ((b & c) | (~b & d)) + 0x5a827999;
	case 1:
		return (b ^ c ^ d) + 0x6ed9eba1;
	case 2:
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	default:
		return (b ^ c ^ d) + 0xca62c1d6;
	}
}

/* RFC 3174 6.1 */
static void
sha1_take(uint32_t h[5], const char *block)
{
	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	uint32_t w[80], next;
	unsigned t;

	memcpy(w, block, BLOCK_BYTES);
	for (t = 0; t < 16; t++)
		w[t] = be32toh(w[t]);
	for (; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (t = 0; t < 80; t++) {
		next = rotate(a, 5) + sha1_mix(t, b, c, d) + e + w[t];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void
sha1(struct str data, uint8_t digest[SHA1_BYTES])
{
	uint32_t h[5] = {
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
	};
	uint64_t bits = htobe64((uint64_t)data.len * 8);
	char tail[2 * BLOCK_BYTES] = {0};
	size_t at, left, end;
	unsigned i;

	for (at = 0; at + BLOCK_BYTES <= data.len; at += BLOCK_BYTES)
		sha1_take(h, data.p + at);
	/* RFC 3174 4: a one bit, zeros, and the length in bits. */
	left = data.len - at;
	if (left > 0)
		memcpy(tail, data.p + at, left);
	tail[left] = (char)0x80;
	end = left + 9 > BLOCK_BYTES ? 2 * BLOCK_BYTES : BLOCK_BYTES;
	memcpy(tail + end - sizeof(bits), &bits, sizeof(bits));
	for (at = 0; at < end; at += BLOCK_BYTES)
		sha1_take(h, tail + at);
	for (i = 0; i < 5; i++) {
		h[i] = htobe32(h[i]);
		memcpy(digest + i * 4, &h[i], 4);
	}
}
