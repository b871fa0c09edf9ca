/* SPDX-License-Identifier: MIT */
/*
 * The status of the server: see status.h.
 *
 * Owns: nothing.
 * Here: statistics and listeners put together.  Not here: the numbers.
 * Context: the supervisor.
 */
#include "workers/status.h"

#include "workers/supervisor.h"

static const char *
status_service(const struct config *cfg, const struct config_listen *c)
{
	if (c == cfg->admin)
		return "admin";
	return c->protocol == PROTOCOL_TCP ? "tcp" : "http";
}

static void
status_print_listeners(const struct supervisor *sup, bool as_json,
    struct buf *out)
{
	const struct config *cfg = sup->current->config;

	for (size_t i = 0; i < listener_config_count(cfg); i++) {
		const struct config_listen *c = listener_config_at(cfg, i);
		const struct listener *l;

		l = listener_find(&sup->listeners, cfg, i);
		if (l == NULL)
			continue;	/* stopping */
		if (!as_json) {
			buf_printf(out, "listening on %s (%s)\n", l->name,
			    status_service(cfg, c));
			continue;
		}
		buf_add(out, i > 0 ? STR(",{\"address\":") :
		    STR("{\"address\":"));
		buf_add_json(out, str_of(l->name));
		buf_add(out, STR(",\"configured\":"));
		buf_add_json(out, c->address);
		buf_printf(out, ",\"service\":\"%s\",\"sockets\":%u}",
		    status_service(cfg, c), l->listening);
	}
}

/* The object of /stats with one more member at its end. */
static void
status_print_json(const struct supervisor *sup, const struct stats_view *view,
    struct buf *out)
{
	struct buf stats;
	struct str text;

	buf_init(&stats, 0);
	stats_print_json(view, &stats);
	text = buf_str(&stats);
	while (text.len > 0 && text.p[text.len - 1] != '}')
		text.len--;
	if (text.len > 0)
		text.len--;
	buf_add(out, text);
	buf_add(out, STR(",\"config\":"));
	buf_add_json(out, sup->current->config->file);
	buf_printf(out, ",\"max_workers\":%u,\"listeners\":[",
	    sup->current->max_workers);
	status_print_listeners(sup, true, out);
	buf_add(out, STR("]}\n"));
	out->failed |= buf_failed(&stats);
	buf_done(&stats);
}

int
status_print(const struct supervisor *sup, bool as_json, struct buf *out)
{
	struct stats_view view;

	if (sup->current == NULL || shared_view(sup->shared, &view) == -1)
		return -1;
	channels_add_figures(sup->channels, &view);
	if (sup->current->config->cluster != NULL)
		bridge_figures_view(sup->bridge_figures, &view.cluster);
	if (as_json) {
		status_print_json(sup, &view, out);
	} else {
		stats_print_table(&view, out);
		status_print_listeners(sup, false, out);
	}
	stats_view_done(&view);
	return 0;
}
