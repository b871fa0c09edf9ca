/* SPDX-License-Identifier: MIT */
/*
 * The flight recorders' memory: see recorder.h.
 *
 * Owns: the mapping and its memfd.
 * Here: making it, and clearing a slot.  Not here: what is written there
 * (common/recorder.c), what is made of it (autopsy.c).
 * Context: the supervisor; every worker has the mapping by fork.
 */
#include "workers/recorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workers/shared.h"

/* Most of it is never touched, and takes no memory then. */
#define RECORDERS_BYTES (SHARED_SLOTS * sizeof(struct recorder))

struct recorders {
	struct recorder *slot; /* SHARED_SLOTS of them */
	int fd;
};

static struct recorder *
recorders_map(int fd, struct error *err)
{
	void *p;

	if (fd == -1) {
		error_sys(err, "memfd_create");
		return NULL;
	}
	if (ftruncate(fd, (off_t)RECORDERS_BYTES) == -1) {
		error_sys(err, "ftruncate");
		return NULL;
	}
	p = mmap(
	    NULL, RECORDERS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		error_sys(err, "mmap of %zu bytes", RECORDERS_BYTES);
		return NULL;
	}
	return p;
}

struct recorders *
recorders_new(struct error *err)
{
	struct recorders *rs = calloc(1, sizeof(*rs));

	if (rs == NULL) {
		error_nomem(err, "the flight recorders");
		return NULL;
	}
	rs->fd = memfd_create("corelane-recorder", MFD_CLOEXEC);
	rs->slot = recorders_map(rs->fd, err);
	if (rs->slot == NULL) {
		error_wrap(err, "flight recorder");
		recorders_free(rs);
		return NULL;
	}
	return rs;
}

void
recorders_free(struct recorders *rs)
{
	if (rs == NULL)
		return;
	if (rs->slot != NULL)
		munmap(rs->slot, RECORDERS_BYTES);
	if (rs->fd != -1)
		close(rs->fd);
	free(rs);
}

struct recorder *
recorders_get(struct recorders *rs, int slot)
{
	assert(slot >= 0 && slot < SHARED_SLOTS);
	return &rs->slot[slot];
}

/* Only the threads' records that were used, the others being zero still; and no
 * labels, which are counted. */
void
recorders_clear(struct recorders *rs, int slot)
{
	struct recorder *rec = recorders_get(rs, slot);
	uint32_t threads = atomic_load(&rec->thread_count);

	if (threads > RECORDER_THREADS)
		threads = RECORDER_THREADS;
	memset(rec->thread, 0, threads * sizeof(rec->thread[0]));
	memset(rec, 0, offsetof(struct recorder, thread));
}
