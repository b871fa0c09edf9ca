/* SPDX-License-Identifier: MIT */
/*
 * SipHash-2-4: a hash for tables whose keys come from clients, who mustn't be
 * able to choose where they land.
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
 * Context: pure; any thread.
 */
#ifndef CORELANE_COMMON_SIPHASH_H
#define CORELANE_COMMON_SIPHASH_H

#include <stdint.h>

#include "common/str.h"

uint64_t siphash(const uint64_t key[2], struct str data);

#endif
