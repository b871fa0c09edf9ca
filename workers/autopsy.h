/* SPDX-License-Identifier: MIT */
/*
 * What a dead worker's flight recorder says: which request it died of, how,
 * and where in the code.
 *
 *	struct autopsy a;
 *
 *	autopsy_read(&a, rec, clock_now_ns());
 *	autopsy_describe(&a, text, sizeof(text));
 *		" at 0x0 in GET /api/x (request 4be1, handler api.user, 12 ms)"
 *	autopsy_log(&a, rec, "worker 3");
 *
 * The request is that of the thread that died; where nobody says which one that
 * was (SIGKILL), the one that the loop ran, one that a pool thread worked for,
 * or else one that waited.
 *
 * Owns nothing: everything is copied, and what clients sent made printable.
 * Context: the supervisor; also of a worker that lives but stands still.
 */
#ifndef CORELANE_WORKERS_AUTOPSY_H
#define CORELANE_WORKERS_AUTOPSY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/recorder.h"

struct autopsy {
	bool has_request;
	bool is_current; /* the loop ran it */
	char line[RECORDER_LINE_BYTES + 1];
	char id[RECORDER_ID_BYTES + 1]; /* "": none */
	char route[RECORDER_ROUTE_BYTES + 1];
	char handler[RECORDER_HANDLER_BYTES + 1];
	enum record_phase phase;
	uint64_t age_ms; /* since the request began */
	uint64_t held_ms; /* since the loop turned to it */
	int signo; /* that the handler caught; 0: none */
	bool is_fault; /* fault_address is one */
	uint64_t fault_address;
	unsigned others; /* requests in flight beside it */
};

/* now_ns: CLOCK_MONOTONIC; the handler's own time goes before. */
void autopsy_read(
    struct autopsy *a, const struct recorder *rec, uint64_t now_ns);

/* How it died and of what, to stand behind "was killed by SIGSEGV": begins with
 * a space, never empty. */
void autopsy_describe(const struct autopsy *a, char *out, size_t size);

/* What holds the loop, to stand behind "stalls": ": held the loop for 5.2 s in
 * GET /slow (handler api.slow)"; "" where nobody knows. */
void autopsy_describe_stall(const struct autopsy *a, char *out, size_t size);

/* The way through the code, and what else was in flight: a line each.
 * who: in front of each. */
void autopsy_log(
    const struct autopsy *a, const struct recorder *rec, const char *who);

#endif
