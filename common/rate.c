/* SPDX-License-Identifier: MIT */
/*
 * The table of rates: cells found, taken over and moved.
 *
 * Owns nothing: the memory is the caller's.
 * Invariant: a cell's key and its time change by compare-and-swap only, and
 * each pair of them that a reader can see is a valid one.
 * Here: the algorithm and its races.  Not here: limits' meaning.
 * Context: any process, any thread.
 */
#include "common/rate.h"

#include "common/random.h"
#include "common/siphash.h"

_Static_assert(sizeof(struct rate_cell) * RATE_BUCKET_CELLS == 64,
    "a bucket is a cache line");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "no lock hides in an atomic");

static uint64_t
rate_buckets(size_t cells)
{
	uint64_t buckets = 1;

	while (buckets * RATE_BUCKET_CELLS < cells)
		buckets *= 2;
	return buckets;
}

size_t
rate_table_bytes(size_t cells)
{
	return sizeof(struct rate_table) + rate_buckets(cells) *
	    RATE_BUCKET_CELLS * sizeof(struct rate_cell);
}

void
rate_table_init(struct rate_table *t, size_t cells)
{
	struct random random;

	random_init(&random);
	t->seed[0] = random_u64(&random);
	t->seed[1] = random_u64(&random);
	t->bucket_mask = rate_buckets(cells) - 1;
}

uint64_t
rate_key(const struct rate_table *t, struct str text)
{
	uint64_t key = siphash(t->seed, text);

	return key != 0 ? key : 1;
}

static uint64_t
cell_time(struct rate_cell *cell)
{
	return atomic_load_explicit(&cell->time_ns, memory_order_relaxed);
}

static struct rate_cell *
bucket_find(struct rate_cell *bucket, uint64_t key)
{
	unsigned i;

	for (i = 0; i < RATE_BUCKET_CELLS; i++)
		if (atomic_load_explicit(&bucket[i].key,
		    memory_order_relaxed) == key)
			return &bucket[i];
	return NULL;
}

/* The cell that is free, or will be first. */
static struct rate_cell *
bucket_oldest(struct rate_cell *bucket)
{
	struct rate_cell *oldest = bucket;
	unsigned i;

	for (i = 1; i < RATE_BUCKET_CELLS; i++)
		if (cell_time(&bucket[i]) < cell_time(oldest))
			oldest = &bucket[i];
	return oldest;
}

/*
 * The key's cell, taken over where it has none.  The time goes back before the
 * key changes, so that nobody inherits another's: who is killed in between has
 * only made a client's past shorter.  Two that come at once may take two cells;
 * the first in the bucket is found from then on, the other runs out.
 */
static struct rate_cell *
rate_find(struct rate_table *t, uint64_t key, uint64_t now_ns)
{
	struct rate_cell *bucket = &t->cell[(key & t->bucket_mask) *
	    RATE_BUCKET_CELLS];
	struct rate_cell *cell;
	uint64_t time_ns, old;

	while ((cell = bucket_find(bucket, key)) == NULL) {
		cell = bucket_oldest(bucket);
		old = atomic_load_explicit(&cell->key, memory_order_relaxed);
		time_ns = cell_time(cell);
		if (time_ns > now_ns && !atomic_compare_exchange_strong(
		    &cell->time_ns, &time_ns, now_ns))
			continue;
		(void)atomic_compare_exchange_strong(&cell->key, &old, key);
	}
	return cell;
}

struct rate_verdict
rate_take(struct rate_table *t, uint64_t key, const struct rate_limit *limit,
    uint64_t now_ns)
{
	struct rate_cell *cell = rate_find(t, key, now_ns);
	uint64_t most = limit->burst * limit->interval_ns;
	uint64_t seen = cell_time(cell), ahead;

	do {
		/* Past times count as now. */
		ahead = seen > now_ns ? seen - now_ns : 0;
		if (ahead + limit->interval_ns > most)
			return (struct rate_verdict){
			    .reset_ns = ahead,
			    .retry_ns = ahead + limit->interval_ns - most,
			};
		ahead += limit->interval_ns;
	} while (!atomic_compare_exchange_weak(&cell->time_ns, &seen,
	    now_ns + ahead));
	return (struct rate_verdict){
		.is_allowed = true,
		.remaining = (most - ahead) / limit->interval_ns,
		.reset_ns = ahead,
	};
}
