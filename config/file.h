/* SPDX-License-Identifier: MIT */
/*
 * The files that a configuration is made of: itself, and what {"file": ...}
 * names.
 *
 * Context: one thread; blocks on the disk; internal to config/.
 */
#ifndef CORELANE_CONFIG_FILE_H
#define CORELANE_CONFIG_FILE_H

#include "common/arena.h"
#include "common/error.h"
#include "common/str.h"

#define FILE_BYTES_MAX (16u << 20)

/* `path` as it is when absolute, else behind `folder`; leading "./" and "../"
 * are taken out.  .p is NULL when there is no memory. */
struct str file_resolve(struct arena *a, struct str folder, struct str path);

/* Reads a whole file ("-": standard input).  Returns 0, or -1. */
int file_read(struct arena *a, const char *path, struct str *ret_text,
    struct error *err) __attribute__((warn_unused_result));

/* The same for text: UTF-8 without NUL. */
int file_read_text(struct arena *a, const char *path, struct str *ret_text,
    struct error *err) __attribute__((warn_unused_result));

#endif
