/* SPDX-License-Identifier: MIT */
/*
 * The one function of a fuzz target, and what it calls when a promise is
 * broken: unlike assert(), also in a release build.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#ifndef CORELANE_TESTS_FUZZ_H
#define CORELANE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_PROMISE(condition)                                                \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__,       \
			    __LINE__, #condition);                             \
			abort();                                               \
		}                                                              \
	} while (0)

__attribute__((visibility("default")))
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
