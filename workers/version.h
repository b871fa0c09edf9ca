/* SPDX-License-Identifier: MIT */
/*
 * What this binary was built with, for `corelane -V` and bug reports.
 *
 * Owns: nothing; constant text.
 * Here: facts known at build time.  Not here: CORELANE_VERSION, which is the
 * build's to define.
 * Context: any process.
 */
#ifndef CORELANE_WORKERS_VERSION_H
#define CORELANE_WORKERS_VERSION_H

/* A line each, NUL-terminated. */
extern const char version_build[];

#endif
