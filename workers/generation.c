/* SPDX-License-Identifier: MIT */
/*
 * A configuration resolved for this machine: see generation.h.
 *
 * Owns: a reference to the config.
 * Here: load, check, resolve.  Not here: acting on it.
 * Context: the supervisor.
 */
#include "workers/generation.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/server.h"
#include "workers/bridge.h"
#include "workers/shared.h"

static void
generation_tell_problems(const struct config_problems *problems,
    struct buf *why)
{
	for (size_t i = 0; i < problems->count; i++)
		buf_printf(why, "%s\n", problems->item[i]);
	if (problems->dropped > 0)
		buf_printf(why, "... and %zu more\n", problems->dropped);
}

static struct config *
generation_load_config(const char *file, struct buf *why)
{
	struct config_problems problems;
	struct config *cfg = config_load(file, &problems);

	if (cfg != NULL && (bridge_check(cfg, &problems) == -1 ||
	    server_check(cfg, &problems) > 0)) {
		config_unref(cfg);
		cfg = NULL;
	}
	if (cfg == NULL)
		generation_tell_problems(&problems, why);
	config_problems_done(&problems);
	return cfg;
}

/* How many workers there shall be, and how many there may be. */
static int
generation_count(struct generation *gen, unsigned workers, struct error *err)
{
	const struct config *cfg = gen->config;
	unsigned at_least;

	if (workers == 0)
		workers = cfg->workers == CONFIG_AUTO ?
		    (unsigned)config_usable_cpus() : (unsigned)cfg->workers;
	if (workers > SHARED_WORKERS_MAX)
		return error_set(err, ERROR_LIMIT,
		    "workers: %u are too many, at most %u", workers,
		    SHARED_WORKERS_MAX);
	at_least = workers * 2 > 8 ? workers * 2 : 8;
	if (at_least > SHARED_WORKERS_MAX)
		at_least = SHARED_WORKERS_MAX;
	gen->max_workers = cfg->max_workers == CONFIG_AUTO ? at_least :
	    (unsigned)cfg->max_workers;
	if (gen->max_workers > SHARED_WORKERS_MAX)
		gen->max_workers = SHARED_WORKERS_MAX;
	if (workers > gen->max_workers)
		return error_set(err, ERROR_LIMIT,
		    "workers: %u are more than max_workers, %u", workers,
		    gen->max_workers);
	gen->workers = gen->wanted = workers;
	return 0;
}

struct generation *
generation_load(const char *file, unsigned workers, struct buf *ret_why)
{
	struct generation *gen = calloc(1, sizeof(*gen));
	struct error err;

	if (gen == NULL) {
		buf_printf(ret_why, "no memory for a configuration\n");
		return NULL;
	}
	gen->refs = 1;
	gen->begun_ms = clock_now_ns() / 1000000;
	gen->config = generation_load_config(file, ret_why);
	if (gen->config == NULL)
		goto fail;
	if (generation_count(gen, workers, &err) == -1 ||
	    privileges_find(gen->config, &gen->privileges, &err) == -1) {
		buf_printf(ret_why, "%s: %s\n", gen->config->file.p, err.text);
		goto fail;
	}
	return gen;
fail:
	generation_unref(gen);
	return NULL;
}

struct generation *
generation_ref(struct generation *gen)
{
	gen->refs++;
	return gen;
}

void
generation_unref(struct generation *gen)
{
	if (gen == NULL || --gen->refs > 0)
		return;
	if (gen->config != NULL)
		config_unref(gen->config);
	free(gen);
}
