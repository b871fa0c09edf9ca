/* SPDX-License-Identifier: MIT */
/*
 * What the bridge counts: see bridge_figures.h.
 *
 * Owns: the page.
 * Here: making and reading it.
 * Context: the supervisor makes it, the bridge writes, everybody reads.
 */
#include "workers/bridge_figures.h"

#include <sys/mman.h>

#include "common/random.h"

struct bridge_figures *
bridge_figures_new(struct error *err)
{
	struct bridge_figures *f;
	struct random r;

	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f == MAP_FAILED) {
		error_sys(err, "mmap of the bridge's figures");
		return NULL;
	}
	random_init(&r);
	f->machine = random_u64(&r);
	return f;
}

void
bridge_figures_free(struct bridge_figures *f)
{
	if (f != NULL)
		munmap(f, sizeof(*f));
}

void
bridge_figures_view(const struct bridge_figures *f,
    struct stats_cluster *ret_cluster)
{
	uint64_t connects = bridge_get(&f->connects);

	*ret_cluster = (struct stats_cluster){
		.is_configured = true,
		.connected = bridge_get(&f->is_connected),
		.sent = bridge_get(&f->sent),
		.received = bridge_get(&f->received),
		.dropped = bridge_get(&f->dropped),
		.missed = bridge_get(&f->missed),
		.refused = bridge_get(&f->refused),
		.reconnects = connects > 0 ? connects - 1 : 0,
		.restarts = bridge_get(&f->restarts),
		.lag_messages = bridge_get(&f->lag_messages),
		.lag_bytes = bridge_get(&f->lag_bytes),
		.subscriptions = bridge_get(&f->subscriptions),
	};
}
