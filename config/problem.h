/* SPDX-License-Identifier: MIT */
/*
 * How the parts of the loader tell what is wrong: one list for the whole file,
 * in the order of the file.
 *
 *	struct report report = {.problems = problems, .file = "x.json"};
 *	report_at(&report, pos, "routes[2]", "\"path\" is missing");
 *
 * Context: one thread; internal to config/.
 */
#ifndef CORELANE_CONFIG_PROBLEM_H
#define CORELANE_CONFIG_PROBLEM_H

#include <stdarg.h>

#include "config/config.h"

struct report {
	struct config_problems *problems;	/* borrowed */
	const char *file;			/* borrowed: as it was given */
	bool out_of_memory;			/* told once, at the end */
};

/* pos: {0, 0} where no place is known.  path: NULL or "" where the file as a
 * whole is meant. */
void report_at(struct report *r, struct config_pos pos, const char *path,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void report_at_v(struct report *r, struct config_pos pos, const char *path,
    const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

#endif
