/* SPDX-License-Identifier: MIT */
/*
 * What the flight recorder is told of requests: which one the loop runs, so
 * that a death can be laid at its door (common/recorder.h).
 *
 *	pipeline.c	flight_enter ... flight_leave, flight_end
 *	ctx.c		the same around a module's continuations
 *
 * All of it does nothing where the server was given no recorder.
 *
 * Context: the loop's thread.
 */
#ifndef CORELANE_SERVER_FLIGHT_H
#define CORELANE_SERVER_FLIGHT_H

#include "common/recorder.h"

struct request;

/* The loop goes on with a request. */
void flight_enter(struct request *r, enum record_phase phase);

/* It waits, and the loop turns to others. */
void flight_leave(struct request *r);

/* It has been answered, or is gone. */
void flight_end(struct request *r);

/* What a pool thread is to record while it works for this request. */
void flight_note(const struct request *r, struct recorder_note *ret_note);

#endif
