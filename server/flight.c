/* SPDX-License-Identifier: MIT */
/*
 * Requests in the flight recorder: see flight.h.
 *
 * Owns nothing: r->record is the mark of the request's record.
 * Here: what a record says of a request.  Not here: the record.
 * Context: the loop's thread.  pipeline.c, ctx.c -> [flight.c]
 */
#include "server/flight.h"

#include "server/ctx.h"
#include "server/handler.h"
#include "server/socket.h"

uint32_t
flight_add_route(struct server *srv, const struct config_route *cfg)
{
	struct str name = cfg->handler == HANDLER_MODULE ?
	    cfg->module_handler :
	    str_of(handler_table[cfg->handler]->name);

	return srv->recorder == NULL ?
	    0 :
	    recorder_add_label(srv->recorder, cfg->path, name);
}

static struct recorder_what
flight_what(const struct request *r)
{
	return (struct recorder_what){
	    .method = r->head->method_name,
	    .target = request_hide_token(r->head->target, NULL),
	    .id = r->id,
	    .label = r->route != NULL ? r->route->label : 0,
	    .text = r->head->memo_id,
	};
}

void
flight_begin(struct request *r, enum record_phase phase)
{
	struct recorder_what what = flight_what(r);
	uint64_t now_ns = r->srv->clock.mono_ns;

	r->record = recorder_begin(r->srv->recorder, &what, now_ns);
	(void)recorder_enter(r->srv->recorder, r->record, phase, now_ns);
}

void
flight_enter_task(struct server *srv, struct str module)
{
	struct recorder_what what = {
	    .method = STR("task of"), .target = module};
	uint64_t mark, now_ns = srv->clock.mono_ns;

	if (srv->recorder == NULL)
		return;
	mark = recorder_begin(srv->recorder, &what, now_ns);
	(void)recorder_enter(srv->recorder, mark, RECORD_TASK, now_ns);
}

static struct recorder_what
flight_what_socket(const struct service_route *site)
{
	/* Heads count their texts from 1 on: these count down. */
	return (struct recorder_what){
	    .method = STR("socket of"),
	    .target = site->config->path,
	    .label = site->label,
	    .text = site->label != 0 ? ~(uint64_t)site->label : 0,
	};
}

void
flight_enter_socket(struct server *srv, const struct service_route *site)
{
	struct recorder_what what;
	uint64_t mark, now_ns = srv->clock.mono_ns;

	if (srv->recorder == NULL)
		return;
	what = flight_what_socket(site);
	if (recorder_begin_again(
		srv->recorder, what.text, RECORD_HANDLER, now_ns) != 0)
		return;
	mark = recorder_begin(srv->recorder, &what, now_ns);
	(void)recorder_enter(srv->recorder, mark, RECORD_HANDLER, now_ns);
}

void
flight_leave_task(struct server *srv)
{
	struct recorder *rec = srv->recorder;

	if (rec != NULL)
		recorder_end(rec, recorder_mark(rec));
}

void
flight_note(const struct lane_ctx *c, struct recorder_note *ret_note)
{
	struct recorder_what what = {.method = STR("a background task")};

	if (c->socket != NULL)
		what = flight_what_socket(c->socket->site);
	else if (c->request != NULL)
		what = flight_what(c->request);
	recorder_note_fill(ret_note, &what);
}
