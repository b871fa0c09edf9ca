/* SPDX-License-Identifier: MIT */
/*
 * Connections per address: an open-addressed table that grows with the number
 * of addresses connected at the same time.
 *
 * Owns the table.  Invariant: an entry exists while its count isn't zero.
 * Context: a worker's loop.  conn.c -> [peers.c]
 */
#include "server/peers.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/random.h"
#include "server/conn.h"

#define PEERS_FIRST 64

struct peer {
	uint64_t key;
	uint32_t count;		/* 0: free */
};

struct peers {
	struct peer *slot;
	size_t size;		/* a power of two */
	size_t used;
	size_t limit;
	uint64_t seed;		/* clients don't choose their slot */
};

struct peers *
peers_new(size_t limit)
{
	struct peers *p = calloc(1, sizeof(*p));
	struct random random;

	if (p == NULL)
		return NULL;
	p->limit = limit;
	p->size = PEERS_FIRST;
	p->slot = calloc(p->size, sizeof(*p->slot));
	if (p->slot == NULL) {
		free(p);
		return NULL;
	}
	random_init(&random);
	p->seed = random_u64(&random) | 1;
	return p;
}

void
peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	free(p->slot);
	free(p);
}

/* Four bytes of an IPv4 address, eight of an IPv6 network; 1 for a unix socket,
 * whose peers are all this machine. */
static uint64_t
peer_key(const struct conn *c)
{
	uint64_t key = 1;

	if (c->family == AF_INET) {
		key = (uint64_t)c->peer.v4.s_addr << 32 | 4;
	} else if (c->family == AF_INET6) {
		if (IN6_IS_ADDR_V4MAPPED(&c->peer.v6)) {
			key = (uint64_t)c->peer.v6.s6_addr32[3] << 32 | 4;
		} else {
			memcpy(&key, c->peer.v6.s6_addr, sizeof(key));
			key |= 1u;
		}
	}
	return key;
}

static size_t
peer_home(const struct peers *p, uint64_t key)
{
	uint64_t h = (key ^ p->seed) * 0x9e3779b97f4a7c15u;

	return (size_t)(h ^ h >> 32) & (p->size - 1);
}

/* The slot of a key, or the free one where it belongs. */
static struct peer *
peer_slot(const struct peers *p, uint64_t key)
{
	size_t i = peer_home(p, key);

	while (p->slot[i].count != 0 && p->slot[i].key != key)
		i = (i + 1) & (p->size - 1);
	return &p->slot[i];
}

static int
peers_grow(struct peers *p)
{
	struct peers bigger = *p;
	size_t i;

	bigger.size *= 2;
	bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
	if (bigger.slot == NULL)
		return -1;
	for (i = 0; i < p->size; i++) {
		if (p->slot[i].count != 0)
			*peer_slot(&bigger, p->slot[i].key) = p->slot[i];
	}
	free(p->slot);
	*p = bigger;
	return 0;
}

bool
peers_enter(struct peers *p, const struct conn *c)
{
	uint64_t key = peer_key(c);
	struct peer *slot;

	if (p->used * 2 >= p->size && peers_grow(p) == -1)
		return false;
	slot = peer_slot(p, key);
	if (slot->count >= p->limit)
		return false;
	p->used += slot->count == 0;
	slot->key = key;
	slot->count++;
	return true;
}

/* Moves what stands behind a freed slot so that no search stops short. */
static void
peers_close_gap(struct peers *p, size_t gap)
{
	size_t i = gap, home;

	for (;;) {
		i = (i + 1) & (p->size - 1);
		if (p->slot[i].count == 0)
			return;
		home = peer_home(p, p->slot[i].key);
		if (((i - home) & (p->size - 1)) < ((i - gap) & (p->size - 1)))
			continue;
		p->slot[gap] = p->slot[i];
		p->slot[i].count = 0;
		gap = i;
	}
}

void
peers_leave(struct peers *p, const struct conn *c)
{
	struct peer *slot = peer_slot(p, peer_key(c));

	if (slot->count == 0 || --slot->count > 0)
		return;
	p->used--;
	peers_close_gap(p, (size_t)(slot - p->slot));
}
