/* SPDX-License-Identifier: MIT */
/*
 * The sum of files a worker needs, held against RLIMIT_NOFILE: see rlimit.h.
 *
 * Owns: RLIMIT_NOFILE of this process.
 * Here: the sum and the limit.  Not here: connections themselves.
 * Context: the supervisor.
 */
#include "workers/rlimit.h"

#include <sys/resource.h>

#include "common/log.h"
#include "server/server.h"

/* Beside connections, listeners and the server's open files: logs, epoll, event
 * pipes, the control pairs of all workers, spilled content, some to spare. */
#define RLIMIT_RESERVE 128

/* More than this per worker is nobody's aim; a container's limit of 2^30 would
 * say otherwise. */
#define RLIMIT_AUTO_MAX (1u << 20)

/* Fewer than this is hardly what who wrote "auto" had in mind. */
#define RLIMIT_AUTO_FEW 1024

/* Tries to have at least `need`; root may go beyond the hard limit. */
static rlim_t
rlimit_reach(struct rlimit *rl, rlim_t need)
{
	if (rl->rlim_max < need) {
		struct rlimit more = {.rlim_cur = need, .rlim_max = need};

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			*rl = more;
	}
	if (rl->rlim_cur < rl->rlim_max) {
		struct rlimit all = {rl->rlim_max, rl->rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &all) == 0)
			*rl = all;
	}
	return rl->rlim_cur;
}

int
rlimit_raise(const struct config *cfg, size_t listener_count,
    size_t other_count, size_t *ret_connections, struct error *err)
{
	size_t files = RLIMIT_RESERVE + other_count + server_file_count(cfg);
	size_t wanted, need, other = listener_count + files;
	bool is_auto = cfg->limits.connections == CONFIG_AUTO;
	struct rlimit rl;
	rlim_t limit;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return error_sys(err, "getrlimit RLIMIT_NOFILE");
	wanted = is_auto ? 1 : (size_t)cfg->limits.connections;
	need = wanted + other;
	limit = rlimit_reach(&rl, need);
	if (limit < need)
		return error_set(err, ERROR_LIMIT, "a worker needs %zu files "
		    "(%zu connections, %zu listeners, %zu others), the limit "
		    "is %llu: raise LimitNOFILE or lower %s", need, wanted,
		    listener_count, files, (unsigned long long)limit,
		    is_auto ? "max_workers" : "limits.connections");
	if (is_auto) {
		wanted = limit - other;
		if (wanted > RLIMIT_AUTO_MAX)
			wanted = RLIMIT_AUTO_MAX;
		if (wanted < RLIMIT_AUTO_FEW)
			log_warn("the limit on open files, %llu, leaves each "
			    "worker %zu connections: raise LimitNOFILE, or set "
			    "limits.connections", (unsigned long long)limit,
			    wanted);
	}
	*ret_connections = wanted;
	return 0;
}
