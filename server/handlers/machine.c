/* SPDX-License-Identifier: MIT */
/*
 * Reads /proc (proc(5)).
 *
 * Owns nothing.  Here: the kernel's formats.  Not here: who asks
 * (system_stream.c).
 * Context: the loop's thread.
 */
#include "server/handlers/machine.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice": what
 * guests use is part of user and nice. */
static void
read_cpu(struct machine_cpu *cpu)
{
	uint64_t t[8] = {0};
	FILE *f = fopen("/proc/stat", "re");
	unsigned i;

	if (f == NULL)
		return;
	if (fscanf(f,
		"cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		" %" SCNu64 " %" SCNu64 " %" SCNu64,
		&t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) >= 4) {
		for (i = 0; i < 8; i++)
			cpu->total += t[i];
		cpu->busy = cpu->total - t[3] - t[4];
	}
	fclose(f);
}

static void
read_memory(struct machine *m)
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t total = 0, available = 0;
	char line[128];

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "MemTotal: %" SCNu64 " kB", &total);
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB",
		    &available) == 1)
			break;
	}
	fclose(f);
	m->memory_total = total * 1024;
	m->memory_used = (total - available) * 1024;
}

static uint64_t
count_processes(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	uint64_t count = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
	closedir(dir);
	return count;
}

void
machine_read(struct machine *ret_machine)
{
	FILE *f;

	memset(ret_machine, 0, sizeof(*ret_machine));
	read_cpu(&ret_machine->cpu);
	read_memory(ret_machine);
	ret_machine->process_count = count_processes();
	f = fopen("/proc/uptime", "re");
	if (f == NULL)
		return;
	if (fscanf(f, "%lf", &ret_machine->uptime_s) != 1)
		ret_machine->uptime_s = 0;
	fclose(f);
}

double
machine_cpu_usage(const struct machine_cpu *before,
    const struct machine_cpu *now)
{
	uint64_t total = now->total - before->total;
	uint64_t busy = now->busy - before->busy;

	/* Some of the kernel's counts may go back a little. */
	if (now->total <= before->total || now->busy < before->busy)
		return 0;
	return busy >= total ? 100 : 100.0 * (double)busy / (double)total;
}
