/* SPDX-License-Identifier: MIT */
/*
 * The channels' log as a mapping, and its eventfds: see channels.h.
 *
 * Owns: the mapping, its memfd, the eventfds.
 * Here: memory, and the death of readers.  Not here: what is in it
 * (common/channel_log.h), who reads (server/hub.c).
 * Context: supervisor.c -> [channels.c] -> common/channel_log.c.
 */
#include "workers/channels.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"

struct channels {
	struct channel_log *log;
	size_t bytes;
	int fd;
	int wake_fd[CHANNELS_READERS];
	bool is_left[SHARED_SLOTS];	/* of a dead worker, to be dropped */
	/* What it was made for. */
	size_t ring_bytes;
	int64_t channels, members;
	unsigned max_workers;
};

/* Lazily: what isn't touched takes no memory.  Nor is it in core dumps, which
 * are large enough, and no place for what clients have written. */
static struct channel_log *
channels_map(int fd, size_t bytes, struct error *err)
{
	void *p;

	if (fd == -1) {
		error_sys(err, "memfd_create");
		return NULL;
	}
	if (ftruncate(fd, (off_t)bytes) == -1) {
		error_sys(err, "ftruncate to %zu bytes", bytes);
		return NULL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED) {
		error_sys(err, "mmap of %zu bytes", bytes);
		return NULL;
	}
	(void)madvise(p, bytes, MADV_DONTDUMP);
	return p;
}

static int
channels_make_wake(int *ret_fd, struct error *err)
{
	*ret_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return *ret_fd != -1 ? 0 : error_sys(err, "eventfd");
}

static int
channels_make_wakes(struct channels *chs, struct error *err)
{
	size_t workers = channels_file_count(chs->max_workers) - 2;

	for (size_t i = 0; i < workers; i++)
		if (channels_make_wake(&chs->wake_fd[i], err) == -1)
			return -1;
	if (channels_make_wake(&chs->wake_fd[CHANNELS_BRIDGE], err) == -1)
		return -1;
	channel_log_set_wakes(chs->log, chs->wake_fd);
	return 0;
}

static int
channels_open(struct channels *chs, const struct config *cfg,
    struct error *err)
{
	const struct channel_log_limits limits = {
		.ring_bytes = cfg->channel_log.bytes,
		.channels = (size_t)cfg->channel_log.channels,
		.members = (size_t)cfg->channel_log.members,
		.readers = CHANNELS_READERS,
	};

	chs->ring_bytes = cfg->channel_log.bytes;
	chs->channels = cfg->channel_log.channels;
	chs->members = cfg->channel_log.members;
	chs->bytes = channel_log_bytes(&limits);
	chs->fd = memfd_create("corelane-channels", MFD_CLOEXEC);
	chs->log = channels_map(chs->fd, chs->bytes, err);
	if (chs->log == NULL ||
	    channel_log_init(chs->log, &limits, err) == -1)
		return -1;
	return channels_make_wakes(chs, err);
}

struct channels *
channels_new(const struct config *cfg, unsigned max_workers,
    struct error *err)
{
	struct channels *chs = calloc(1, sizeof(*chs));

	if (chs == NULL) {
		error_nomem(err, "the log of channels");
		return NULL;
	}
	for (unsigned i = 0; i < CHANNELS_READERS; i++)
		chs->wake_fd[i] = -1;
	chs->max_workers = max_workers;
	if (channels_open(chs, cfg, err) == -1) {
		error_wrap(err, "channel_log");
		channels_free(chs);
		return NULL;
	}
	return chs;
}

void
channels_free(struct channels *chs)
{
	if (chs == NULL)
		return;
	for (unsigned i = 0; i < CHANNELS_READERS; i++)
		if (chs->wake_fd[i] != -1)
			close(chs->wake_fd[i]);
	if (chs->log != NULL)
		munmap(chs->log, chs->bytes);
	if (chs->fd != -1)
		close(chs->fd);
	free(chs);
}

struct channel_log *
channels_log(const struct channels *chs)
{
	return chs->log;
}

int
channels_wake_fd(const struct channels *chs, unsigned reader)
{
	assert(reader < CHANNELS_READERS);
	return chs->wake_fd[reader];
}

/* Two generations of workers, the bridge, and the memory itself. */
size_t
channels_file_count(unsigned max_workers)
{
	return 2 * (size_t)max_workers + 2;
}

/* --- the death of a reader --- */

/* Whether subscribers of a channel are told who leaves: the first rule that
 * matches says it. */
static bool
channels_tells_leaving(struct str channel, void *arg)
{
	const struct config_channels *rules = arg;

	for (size_t i = 0; i < rules->count; i++)
		if (channel_matches(rules->item[i].match, channel))
			return rules->item[i].join_leave;
	return false;
}

static void
channels_drop(struct channels *chs, int slot, const struct config *cfg)
{
	struct config_channels rules = cfg->channels;

	chs->is_left[slot] = channel_log_reader_died(chs->log, (unsigned)slot,
	    channels_tells_leaving, &rules) != 0;
}

void
channels_worker_died(struct channels *chs, int slot, const struct config *cfg)
{
	channels_drop(chs, slot, cfg);
	if (chs->is_left[slot])
		log_warn("channels: a process that is stopped holds the log: "
		    "subscribers of a dead worker count until it goes on");
}

void
channels_settle(struct channels *chs, const struct config *cfg)
{
	for (int i = 0; i < SHARED_SLOTS; i++)
		if (chs->is_left[i])
			channels_drop(chs, i, cfg);
}

bool
channels_is_free(const struct channels *chs, int slot)
{
	return !chs->is_left[slot];
}

/* --- what is told --- */

void
channels_tell_fixed(const struct channels *chs, const struct config *cfg,
    unsigned max_workers)
{
	if (cfg->channel_log.bytes != chs->ring_bytes ||
	    cfg->channel_log.channels != chs->channels ||
	    cfg->channel_log.members != chs->members)
		log_warn("channel_log has changed: the log keeps what it has, "
		    "and its size until the next start");
	if (max_workers > chs->max_workers)
		log_warn("max_workers has grown: until the next start, workers "
		    "beyond %u may see messages of channels 0.1 s late",
		    2 * chs->max_workers);
}

void
channels_add_figures(const struct channels *chs, struct stats_view *view)
{
	channel_log_get_figures(chs->log, &view->channels);
}
