/* SPDX-License-Identifier: MIT */
/*
 * The shared table of rates: an anonymous mapping.
 *
 * Owns: the mapping.
 * Here: memory.  Not here: what is in it (common/rate.c).
 * Context: supervisor.c -> [rates.c]
 */
#include "workers/rates.h"

#include <sys/mman.h>

struct rate_table *
rates_new(size_t cells, struct error *err)
{
	size_t bytes = rate_table_bytes(cells);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		error_sys(err, "mmap of %zu bytes for the table of rates",
		    bytes);
		return NULL;
	}
	rate_table_init(p, cells);
	return p;
}

void
rates_free(struct rate_table *t, size_t cells)
{
	if (t != NULL)
		munmap(t, rate_table_bytes(cells));
}
