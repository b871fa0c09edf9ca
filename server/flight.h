/* SPDX-License-Identifier: MIT */
/*
 * What the flight recorder is told of requests: which one the loop runs, so
 * that a death can be laid at its door (common/recorder.h).
 *
 *	pipeline.c	flight_start, flight_enter ... flight_leave, flight_end
 *	ctx.c		the same around a module's continuations, and tasks
 *
 * All of it does nothing where the server was given no recorder.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_FLIGHT_H
#define CORELANE_SERVER_FLIGHT_H

#include "common/recorder.h"
#include "server/internal.h"
#include "server/request.h"

struct config_route;
struct lane_ctx;

/* While the server is made: what records call a route. */
uint32_t flight_add_route(struct server *srv, const struct config_route *cfg);

/* A request that has no record, or whose record was given to another. */
void flight_begin(struct request *r, enum record_phase phase);

/* The loop takes a request up, which has no id as yet. */
static inline void
flight_start(struct request *r, enum record_phase phase)
{
	struct recorder *rec = r->srv->recorder;

	if (rec == NULL)
		return;
	r->record = recorder_begin_again(rec, r->head->memo_id, phase,
	    r->srv->clock.mono_ns);
	if (r->record == 0)
		flight_begin(r, phase);
}

/* The loop goes on with a request. */
static inline void
flight_enter(struct request *r, enum record_phase phase)
{
	struct recorder *rec = r->srv->recorder;

	if (rec != NULL &&
	    !recorder_enter(rec, r->record, phase, r->srv->clock.mono_ns))
		flight_begin(r, phase);
}

/* It has an id now: to be called where the handler is entered. */
static inline void
flight_tell_id(struct request *r)
{
	if (r->id.p != NULL && r->srv->recorder != NULL)
		recorder_set_id(r->srv->recorder, r->record, r->id);
}

/* It waits, and the loop turns to others. */
static inline void
flight_leave(struct request *r)
{
	if (r->srv->recorder != NULL)
		recorder_leave(r->srv->recorder);
}

/* It has been answered, or is gone. */
static inline void
flight_end(struct request *r)
{
	if (r->srv->recorder == NULL)
		return;
	recorder_end(r->srv->recorder, r->record);
	r->record = 0;
}

/* The loop runs a background task; the end of that turn of it. */
void flight_enter_task(struct server *srv, struct str module);
void flight_leave_task(struct server *srv);

/* The same for a callback of a module's socket; ends as a task does. */
void flight_enter_socket(struct server *srv, const struct service_route *site);

/* What a pool thread is to record while it works for this context. */
void flight_note(const struct lane_ctx *c, struct recorder_note *ret_note);

#endif
