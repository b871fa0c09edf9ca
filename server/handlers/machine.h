/* SPDX-License-Identifier: MIT */
/*
 * The machine's figures, from /proc.
 *
 * Context: the loop's thread; the kernel answers from memory.
 */
#ifndef CORELANE_SERVER_HANDLERS_MACHINE_H
#define CORELANE_SERVER_HANDLERS_MACHINE_H

#include <stdint.h>

/* Processor time of all cores since the machine has started, in ticks. */
struct machine_cpu {
	uint64_t busy, total;
};

struct machine {
	struct machine_cpu cpu;
	uint64_t memory_used, memory_total;	/* bytes */
	uint64_t process_count;
	double uptime_s;
};

/* What can't be read is 0. */
void machine_read(struct machine *ret_machine);

/* The share of its time that the machine was busy between two readings, in
 * percent: 0 to 100. */
double machine_cpu_usage(const struct machine_cpu *before,
    const struct machine_cpu *now);

#endif
