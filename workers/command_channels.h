/* SPDX-License-Identifier: MIT */
/*
 * Commands about channels:
 *
 *	channels [json] [PATTERN]
 *	publish text|json CHANNEL +LENGTH	and the message behind it
 *
 * Context: the supervisor's loop; command.c -> [command_channels.c].
 */
#ifndef CORELANE_WORKERS_COMMAND_CHANNELS_H
#define CORELANE_WORKERS_COMMAND_CHANNELS_H

#include <stdbool.h>

#include "common/buf.h"

struct supervisor;

/* Most channels that are told; those with the most subscribers. */
#define COMMAND_CHANNELS_MAX 10000

/* Each writes the answer, and returns whether it is done.  Neither waits longer
 * than the log's lock does (CHANNEL_LOCK_MS). */
bool command_channels(struct supervisor *sup, struct str words,
    struct buf *out);
bool command_publish(struct supervisor *sup, struct str words, struct str data,
    struct buf *out);

#endif
