/* SPDX-License-Identifier: MIT */
/*
 * Requests in the flight recorder: see flight.h.
 *
 * Owns nothing: r->record is the mark of the request's record.
 * Here: what a record says of a request.  Not here: the record.
 * Context: the loop's thread.  pipeline.c, ctx.c -> [flight.c]
 */
#include "server/flight.h"

#include "server/handler.h"
#include "server/internal.h"

static struct recorder_what
flight_what(const struct request *r)
{
	struct recorder_what what = {
	    .method = r->head->method_name,
	    .target = r->head->target,
	    .id = r->id,
	};

	if (r->route != NULL) {
		what.route = r->route->config->path;
		what.handler = str_of(r->route->handler->name);
	}
	return what;
}

/* In its present phase for the first time, or its record was overwritten. */
static void
flight_begin(struct request *r)
{
	struct recorder_what what = flight_what(r);

	r->record =
	    recorder_begin(r->srv->recorder, &what, r->srv->clock.mono_ns);
	r->is_id_recorded = r->id.p != NULL;
}

void
flight_enter(struct request *r, enum record_phase phase)
{
	struct recorder *rec = r->srv->recorder;
	uint64_t now_ns = r->srv->clock.mono_ns;

	if (rec == NULL)
		return;
	if (!recorder_enter(rec, r->record, phase, now_ns)) {
		flight_begin(r);
		(void)recorder_enter(rec, r->record, phase, now_ns);
	} else if (r->id.p != NULL && !r->is_id_recorded) {
		recorder_set_id(rec, r->record, r->id);
		r->is_id_recorded = true;
	}
}

void
flight_leave(struct request *r)
{
	if (r->srv->recorder != NULL)
		recorder_leave(r->srv->recorder);
}

void
flight_end(struct request *r)
{
	if (r->srv->recorder == NULL)
		return;
	recorder_end(r->srv->recorder, r->record);
	r->record = 0;
}

void
flight_note(const struct request *r, struct recorder_note *ret_note)
{
	struct recorder_what what = flight_what(r);

	recorder_note_fill(ret_note, &what);
}
