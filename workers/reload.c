/* SPDX-License-Identifier: MIT */
/*
 * The change of generations: see reload.h.
 *
 * Owns: supervisor's `next`, and the moves between `next` and `current`.
 * Here: begin, prove, promote, fail.  Not here: one worker, who asked.
 * Context: the supervisor's loop; supervisor.c -> [reload.c] -> child.c.
 */
#include "workers/reload.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "workers/rlimit.h"
#include "workers/notify.h"
#include "workers/supervisor.h"

/* How many sockets each address has under `gen`: never fewer than now, because
 * none is closed while it serves. */
static unsigned
reload_share_count(const struct supervisor *sup, const struct generation *gen)
{
	return gen->max_workers > sup->share_count ? gen->max_workers :
	    sup->share_count;
}

/* A number of workers that was scaled by hand stays, unless the file asks for
 * another than it did. */
static void
reload_keep_scale(const struct supervisor *sup, struct generation *gen)
{
	if (sup->current == NULL || sup->current->workers != gen->workers)
		return;
	gen->wanted = sup->current->wanted;
	if (gen->wanted > gen->max_workers)
		gen->wanted = gen->max_workers;
}

/* Takes back what was bound for a generation that failed. */
static void
reload_take_back(struct supervisor *sup)
{
	const struct config *cfg;

	cfg = sup->current != NULL ? sup->current->config : NULL;
	listener_set_keep(&sup->listeners, &cfg, cfg != NULL ? 1 : 0);
}

int
reload_begin_with(struct supervisor *sup, struct generation *gen,
    struct buf *ret_why)
{
	unsigned shares = reload_share_count(sup, gen);
	size_t listeners = shares * listener_config_count(gen->config);
	struct error err;

	if (rlimit_raise(gen->config, listeners,
	    channels_file_count(gen->max_workers), &gen->connections_max,
	    &err) == -1 ||
	    listener_set_bind(&sup->listeners, gen->config, shares,
	    &err) == -1) {
		buf_printf(ret_why, "%s\n", err.text);
		reload_take_back(sup);
		generation_unref(gen);
		return -1;
	}
	privileges_give_file(&gen->privileges, gen->config->log.file.p);
	if (gen->config->access_log.enabled)
		privileges_give_file(&gen->privileges,
		    gen->config->access_log.file.p);
	reload_keep_scale(sup, gen);
	gen->number = ++sup->generations;
	sup->next = gen;
	/* supervisor_fill() forks the workers. */
	supervisor_settle_soon(sup);
	return 0;
}

static void
reload_note_failure(struct supervisor *sup)
{
	sup->reloads_failed++;
	sup->reload_ok = false;
	sup->reload_real_ms = clock_now_real_ms();
}

/* What no generation can change, because it is the supervisor's own. */
static int
reload_check_fixed(const struct supervisor *sup, const struct generation *gen,
    struct buf *ret_why)
{
	if (str_eq(gen->config->run_dir, sup->current->config->run_dir))
		return 0;
	buf_printf(ret_why, "%s: run_dir can't be changed by a reload: stop "
	    "and start\n", gen->config->file.p);
	return -1;
}

int
reload_begin(struct supervisor *sup, struct buf *ret_why)
{
	const char *file = sup->options->file;
	struct generation *gen = NULL;
	int rc = -1;

	notify_reloading();
	/* What is piped in can be read once. */
	if (strcmp(file, "-") == 0)
		buf_printf(ret_why, "the configuration came from standard "
		    "input: there is no file to read again\n");
	else
		gen = generation_load(file, sup->options->workers, ret_why);
	if (gen != NULL && reload_check_fixed(sup, gen, ret_why) == -1)
		generation_unref(gen);
	else if (gen != NULL)
		rc = reload_begin_with(sup, gen, ret_why);
	if (rc == -1)
		reload_note_failure(sup);
	return rc;
}

/* The new configuration's log, from here on; the old one where it can't be
 * opened. */
static void
reload_open_log(const struct config *cfg)
{
	struct error err;

	if (log_open(cfg->log.file.p, (enum log_level)cfg->log.level,
	    (enum log_format)cfg->log.format, &err) == -1)
		log_error("log: %s; the old one stays", err.text);
}

static void
reload_retire_children(struct supervisor *sup, const struct generation *gen,
    bool now)
{
	struct child *ch;

	TAILQ_FOREACH(ch, &sup->children, next) {
		if (ch->generation != gen)
			continue;
		child_retire(ch, MESSAGE_DRAIN);
		if (now)
			child_force(ch);
	}
}

static void
reload_fail(struct supervisor *sup, const char *why)
{
	struct generation *gen = sup->next;

	sup->next = NULL;
	reload_retire_children(sup, gen, true);
	reload_take_back(sup);
	reload_note_failure(sup);
	if (sup->current != NULL)
		log_error("reload failed, generation %u goes on: %s",
		    sup->current->number, why);
	else
		supervisor_refuse_start(sup, why);
	command_reload_ended(sup, false, why);
	generation_unref(gen);
}

static void
reload_log_listeners(const struct supervisor *sup, const struct config *cfg)
{
	for (size_t i = 0; i < listener_config_count(cfg); i++) {
		const struct config_listen *c = listener_config_at(cfg, i);
		const struct listener *l;

		l = listener_find(&sup->listeners, cfg, i);
		log_info("listening on %s%s", l->name, c == cfg->admin ?
		    " (admin)" : c->protocol == PROTOCOL_TCP ? " (tcp)" : "");
	}
}

static void
reload_log(const struct supervisor *sup, const struct generation *old)
{
	const struct generation *gen = sup->current;
	unsigned long long ms = clock_now_ns() / 1000000 - gen->begun_ms;

	if (old == NULL)
		log_info("serving with %u worker%s after %llu ms", gen->wanted,
		    gen->wanted == 1 ? "" : "s", ms);
	else
		log_info("reloaded: generation %u -> %u in %llu ms, %u "
		    "worker%s; the old ones drain", old->number, gen->number,
		    ms, gen->wanted, gen->wanted == 1 ? "" : "s");
}

static void
reload_promote(struct supervisor *sup)
{
	struct generation *old = sup->current, *gen = sup->next;
	struct error err;

	if (listener_set_listen(&sup->listeners, gen->config, &err) == -1) {
		reload_fail(sup, err.text);
		return;
	}
	sup->share_count = reload_share_count(sup, gen);
	sup->current = gen;
	sup->next = NULL;
	if (old != NULL) {
		sup->reloads++;
		sup->reload_ok = true;
		sup->reload_real_ms = clock_now_real_ms();
		reload_open_log(gen->config);
	}
	reload_log_listeners(sup, gen->config);
	listener_set_steer(&sup->listeners, gen->wanted);
	/* The new ones accept before the old ones leave off. */
	supervisor_assign(sup);
	reload_log(sup, old);
	if (old != NULL) {
		channels_tell_fixed(sup->channels, gen->config,
		    gen->max_workers);
		const struct config *cfg = gen->config;

		reload_retire_children(sup, old, false);
		listener_set_keep(&sup->listeners, &cfg, 1);
		generation_unref(old);
	}
	notify_ready("serving");
	command_reload_ended(sup, true, NULL);
}

void
reload_settle(struct supervisor *sup)
{
	struct generation *gen = sup->next;
	const struct child *ch;
	unsigned ready = 0, there = 0;

	if (gen == NULL)
		return;
	if (gen->failure[0] != '\0') {
		reload_fail(sup, gen->failure);
		return;
	}
	TAILQ_FOREACH(ch, &sup->children, next) {
		if (ch->generation != gen || ch->retired)
			continue;
		there++;
		ready += ch->state == CHILD_SERVING;
	}
	if (ready == gen->wanted && there == gen->wanted)
		reload_promote(sup);
}
