/* SPDX-License-Identifier: MIT */
/*
 * How many processors this process may really use: what "workers": "auto" means
 * on this machine.
 *
 * Owns nothing.
 *
 * Here: affinity and cgroup quotas.  Not here: who is pinned where (workers/).
 * Context: any process.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* Larger machines than this are asked for again with more room. */
#define CPUS_FIRST 1024
#define CPUS_MOST (1 << 18)

static int
cpus_of_affinity(void)
{
	int count = 0, room;
	cpu_set_t *set;

	for (room = CPUS_FIRST; count == 0 && room <= CPUS_MOST; room *= 2) {
		set = CPU_ALLOC((size_t)room);
		if (set == NULL)
			return 1;
		if (sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)room),
		    set) == 0)
			count = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)room), set);
		CPU_FREE(set);
	}
	return count > 0 ? count : 1;
}

/* Reads one or two numbers from a file; returns how many there are. */
static int
cpus_read(const char *path, long long *ret_a, long long *ret_b)
{
	FILE *f = fopen(path, "re");
	char line[128];
	int n = 0;

	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL)
		n = sscanf(line, "%lld %lld", ret_a, ret_b);
	fclose(f);
	return n > 0 ? n : 0;
}

static int
cpus_ceil(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	return (int)((quota + period - 1) / period);
}

/* The quota of one cgroup folder, version 2; 0: none ("max"). */
static int
cpus_of_folder(const char *folder)
{
	long long quota, period;
	char path[4096];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", folder);
	if (cpus_read(path, &quota, &period) != 2)
		return 0;
	return cpus_ceil(quota, period);
}

/* The smallest quota from our cgroup up to the root: "0::/a/b" (cgroups(7)). */
static int
cpus_of_cgroup2(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4000], *folder = NULL, *slash;
	int least = 0, n;

	if (f == NULL)
		return 0;
	while (folder == NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "0::/", 4) == 0)
			folder = line + 3;
	fclose(f);
	if (folder == NULL)
		return 0;
	folder[strcspn(folder, "\n")] = '\0';
	for (;;) {
		n = cpus_of_folder(strcmp(folder, "/") == 0 ? "" : folder);
		if (n > 0 && (least == 0 || n < least))
			least = n;
		slash = strrchr(folder, '/');
		if (slash == NULL)
			return least;
		*slash = '\0';
	}
}

static int
cpus_of_cgroup1(void)
{
	long long quota = 0, period = 0, unused;

	if (cpus_read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota,
	    &unused) < 1 ||
	    cpus_read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period,
	    &unused) < 1)
		return 0;
	return cpus_ceil(quota, period);
}

int
config_usable_cpus(void)
{
	int count = cpus_of_affinity();
	int quota = cpus_of_cgroup2();

	if (quota == 0)
		quota = cpus_of_cgroup1();
	return quota > 0 && quota < count ? quota : count;
}
