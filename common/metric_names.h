/* SPDX-License-Identifier: MIT */
/*
 * The names of modules' own metrics: a table in shared memory that only grows,
 * by which every worker, of every generation, counts under the same index.
 *
 *	int i = metric_names_claim(names, METRIC_COUNTER, STR("api"),
 *	    STR("orders_total"), STR("orders taken"));
 *	if (i != -1)
 *		stats->user_counter[i]++;
 *
 * Nobody waits and nobody can be in the way.  An entry is claimed by one
 * compare-and-swap on the hash of its name; then comes the text, which whoever
 * claims the same name writes too as long as it isn't complete.  So a worker
 * that is killed between the two leaves an entry that its replacement
 * completes, and that readers pass over until then.
 *
 * Here: names and their places.  Not here: the counts (stats.h).
 * Context: any process or thread that has the mapping.
 */
#ifndef CORELANE_COMMON_METRIC_NAMES_H
#define CORELANE_COMMON_METRIC_NAMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/str.h"

#define METRIC_COUNTERS 64
#define METRIC_HISTOGRAMS 8
#define METRIC_NAME_BYTES 96 /* with its NUL; a multiple of 8 */
#define METRIC_HELP_BYTES 160

enum metric_kind { METRIC_COUNTER, METRIC_HISTOGRAM };

/* Text as words, because two claimers may write the same one at once. */
struct metric_entry {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic uint32_t is_complete;
	_Atomic uint64_t name[METRIC_NAME_BYTES / 8];
	_Atomic uint64_t help[METRIC_HELP_BYTES / 8];
};

/* All zero is an empty one. */
struct metric_names {
	struct metric_entry counter[METRIC_COUNTERS];
	struct metric_entry histogram[METRIC_HISTOGRAMS];
};

/* One name, copied out. */
struct metric_text {
	char name[METRIC_NAME_BYTES]; /* "api_orders": no "_total" */
	char help[METRIC_HELP_BYTES]; /* one line of UTF-8 */
};

/*
 * Finds or claims the place of a metric of a module.  Bytes that a name can't
 * have become '_'; a counter's "_total" is the printers' and left out.
 * Returns its index, the same for everybody, or -1: the table is full, the
 * name empty or too long, of another kind already, or the server's own.
 */
int metric_names_claim(struct metric_names *names, enum metric_kind kind,
    struct str module, struct str name, struct str help);

/* Copies the texts of an entry; false where there is none, or not yet. */
bool metric_names_get(const struct metric_names *names, enum metric_kind kind,
    unsigned index, struct metric_text *ret_text);

#endif
