/* SPDX-License-Identifier: MIT */
/*
 * Whether a region of the channels' log is whole: every table against what it
 * follows from, and the ring against the rows.
 *
 * Context: tests; takes the region's mutex.
 */
#ifndef CORELANE_TESTS_CHANNEL_CHECK_H
#define CORELANE_TESTS_CHANNEL_CHECK_H

#include "common/channel_log.h"

/* Returns NULL, or what is wrong: a literal. */
const char *channel_check(struct channel_log *log);

#endif
