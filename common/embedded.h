/* SPDX-License-Identifier: MIT */
/*
 * Files that are part of the program: a table made at build time by
 * scripts/tools/embed.py, ended by a NULL name.
 *
 * Context: constant.
 */
#ifndef CORELANE_COMMON_EMBEDDED_H
#define CORELANE_COMMON_EMBEDDED_H

#include <stddef.h>

struct embedded {
	const char *name;
	const char *data;	/* a NUL stands behind it */
	size_t bytes;
};

#endif
