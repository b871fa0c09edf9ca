/* SPDX-License-Identifier: MIT */
/*
 * The time as one loop turn sees it: read once when the loop wakes, then lent
 * to everything that runs in that turn.  The HTTP date (RFC 9110 5.6.7) is
 * rendered once a second.
 *
 *	clock_update(&clk);
 *	stamp = clk.mono_ms;
 *	memcpy(head, clk.date, CLOCK_DATE_BYTES);
 *
 * Context: one per loop.  clock_now_*() read the kernel's clock (about 22 ns).
 */
#ifndef CORELANE_COMMON_CLOCK_H
#define CORELANE_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT", without the NUL. */
#define CLOCK_DATE_BYTES 29
/* "1994-11-06T08:49:37.123Z", without the NUL. */
#define CLOCK_ISO_BYTES 24

struct clock {
	uint64_t mono_ns;	/* CLOCK_MONOTONIC */
	uint64_t mono_ms;
	int64_t real_s;		/* CLOCK_REALTIME, coarse */
	char date[CLOCK_DATE_BYTES + 1];
};

void clock_init(struct clock *clk);
void clock_update(struct clock *clk);

uint64_t clock_now_ns(void);	/* CLOCK_MONOTONIC, nanoseconds */
int64_t clock_now_real_ms(void);	/* since the epoch, milliseconds */

/* Writes the IMF-fixdate of `t` and a NUL: CLOCK_DATE_BYTES + 1 bytes. */
void clock_format_date(int64_t t, char *out);

/* Writes milliseconds since the epoch as RFC 3339 in UTC, for logs and JSON,
 * and a NUL: CLOCK_ISO_BYTES + 1 bytes. */
void clock_format_iso(int64_t real_ms, char *out);

/* Reads an HTTP date in any of the three forms of RFC 9110 5.6.7.  Returns the
 * seconds since the epoch, or -1. */
int64_t clock_parse_date(const char *text, size_t len);

#endif
