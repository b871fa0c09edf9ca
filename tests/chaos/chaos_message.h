/* SPDX-License-Identifier: MIT */
/*
 * Messages that show whether they are whole: a key, and as many bytes as follow
 * from it.
 *
 * Context: pure.
 */
#ifndef CORELANE_TESTS_CHAOS_MESSAGE_H
#define CORELANE_TESTS_CHAOS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"

#define CHAOS_MESSAGE_MAX 600u

/* data: room for CHAOS_MESSAGE_MAX bytes. */
struct str chaos_message_make(char *data, uint64_t key);
bool chaos_message_is_good(struct str data);

#endif
