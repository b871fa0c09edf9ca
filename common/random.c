/* SPDX-License-Identifier: MIT */
/*
 * xoshiro256** (Blackman and Vigna, 2018), seeded from the kernel.
 *
 * Owns nothing.  Invariant: the state is never all zero.
 * Here: numbers and identifiers.  Not here: keys, tokens, anything that must
 * not be guessed.
 * Context: one generator per loop, made after fork.
 */
#include "common/random.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t
random_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* splitmix64: spreads a weak seed over all bits of the state. */
static uint64_t
random_spread(uint64_t *seed)
{
	uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* What differs between two processes, or two starts of one. */
static uint64_t
random_weak_seed(const struct random *r)
{
	struct timespec mono = {0}, real = {0};

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	return (uint64_t)real.tv_sec << 32 ^ (uint64_t)real.tv_nsec ^
	    (uint64_t)mono.tv_nsec << 20 ^ (uint64_t)getpid() << 44 ^
	    (uint64_t)(uintptr_t)r;
}

void
random_init(struct random *r)
{
	uint64_t seed;

	/* GRND_NONBLOCK: a worker must not wait for entropy at boot. */
	if (getrandom(r->s, sizeof(r->s), GRND_NONBLOCK) ==
	    (ssize_t)sizeof(r->s) &&
	    (r->s[0] | r->s[1] | r->s[2] | r->s[3]) != 0)
		return;
	seed = random_weak_seed(r);
	for (size_t i = 0; i < sizeof(r->s) / sizeof(r->s[0]); i++)
		r->s[i] = random_spread(&seed);
}

uint64_t
random_u64(struct random *r)
{
	uint64_t *s = r->s;
	uint64_t result = random_rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = random_rotate(s[3], 45);
	return result;
}

/*
 * Eight hex digits of 32 bits: each nibble gets a byte of its own, then all
 * eight become digits at once.  A nibble from 10 up carries into bit 4 when 6
 * is added, and needs the 39 between '9' + 1 and 'a'.
 */
static uint64_t
random_hex_word(uint32_t bits)
{
	uint64_t x = bits, letters;

	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	letters = (x + UINT64_C(0x0606060606060606)) >> 4 &
	    UINT64_C(0x0101010101010101);
	return x + UINT64_C(0x3030303030303030) + letters * ('a' - '9' - 1);
}

void
random_hex(struct random *r, size_t bytes, char *out)
{
	uint64_t digits[2];

	for (;;) {
		uint64_t bits = random_u64(r);

		digits[0] = random_hex_word((uint32_t)bits);
		digits[1] = random_hex_word((uint32_t)(bits >> 32));
		if (bytes < sizeof(bits))
			break;
		memcpy(out, digits, sizeof(digits));
		out += sizeof(digits);
		bytes -= sizeof(bits);
		if (bytes == 0)
			return;
	}
	memcpy(out, digits, 2 * bytes);
}
