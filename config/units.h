/* SPDX-License-Identifier: MIT */
/*
 * Sizes and durations as people write them: "16KiB", "250ms".  What is printed
 * parses back to the same number.
 *
 * Context: pure functions.
 */
#ifndef CORELANE_CONFIG_UNITS_H
#define CORELANE_CONFIG_UNITS_H

#include <stdint.h>

#include "common/buf.h"
#include "common/str.h"

/*
 * A whole number and a unit, nothing between them: ms, s, m, h, d for
 * durations, B, KiB, MiB, GiB for sizes.  Returns 0, or -1 with the output
 * untouched on any other text and on what doesn't fit.
 */
int units_parse_duration(struct str s, int64_t *ret_ms);
int units_parse_size(struct str s, int64_t *ret_bytes);

/* Appends it, without quotes, in the largest unit that needs no fraction. */
void units_add_duration(struct buf *b, int64_t ms);
void units_add_size(struct buf *b, int64_t bytes);

#endif
