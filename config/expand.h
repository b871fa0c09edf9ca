/* SPDX-License-Identifier: MIT */
/*
 * Variables of the environment inside a string.
 *
 *	${NAME}			its value; an error where it isn't set
 *	${NAME:-default}	the default where it isn't set, or empty
 *	$${			the two characters ${
 *
 * Context: one thread (getenv); internal to config/.
 */
#ifndef CORELANE_CONFIG_EXPAND_H
#define CORELANE_CONFIG_EXPAND_H

#include "common/buf.h"
#include "common/error.h"
#include "common/str.h"

/* Whether expand_text() would change or refuse anything. */
bool expand_is_needed(struct str s);

/* Appends `s` with its variables filled in.  Returns 0, or -1 with `err` saying
 * what is wrong; then `out` holds a part. */
int expand_text(struct str s, struct buf *out, struct error *err)
    __attribute__((warn_unused_result));

/* Appends `s` so that expand_text() gives it back. */
void expand_escape(struct str s, struct buf *out);

#endif
