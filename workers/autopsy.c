/* SPDX-License-Identifier: MIT */
/*
 * Reading a flight recorder: see autopsy.h.
 *
 * Whoever dies may have written over its own recorder: every length and index
 * is checked, and nothing printed as it stands.
 *
 * Owns nothing.
 * Here: whose fault it is, in words.  Not here: what follows (child.c).
 * Context: the supervisor.
 */
#include "workers/autopsy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/str.h"

/* Copies what a client may have sent: one line of ASCII. */
static void
autopsy_copy(char *to, size_t size, const char *from, size_t len)
{
	if (len > size - 1)
		len = size - 1;
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[len] = '\0';
}

static enum record_phase
record_phase_of(const struct recorder_record *r)
{
	return (enum record_phase)atomic_load_explicit(
	    &r->phase, memory_order_acquire);
}

static size_t
record_line_bytes(const struct recorder_record *r)
{
	return r->note.line_len < sizeof(r->note.line) ? r->note.line_len :
	    sizeof(r->note.line);
}

static uint64_t
elapsed_ms(uint64_t since_ns, uint64_t now_ns)
{
	return since_ns != 0 && now_ns > since_ns ?
	    (now_ns - since_ns) / 1000000 :
	    0;
}

static void
autopsy_copy_record(struct autopsy *a, const struct recorder *rec,
    const struct recorder_record *r, uint64_t now_ns)
{
	const struct recorder_note *note = &r->note;

	a->has_request = true;
	autopsy_copy(
	    a->line, sizeof(a->line), note->line, record_line_bytes(r));
	autopsy_copy(a->id, sizeof(a->id), note->id,
	    note->id_len < sizeof(note->id) ? note->id_len : sizeof(note->id));
	if (note->label > 0 && note->label <= RECORDER_LABELS) {
		const struct recorder_label *l = &rec->label[note->label - 1];

		autopsy_copy(a->route, sizeof(a->route), l->route,
		    strnlen(l->route, sizeof(l->route)));
		autopsy_copy(a->handler, sizeof(a->handler), l->handler,
		    strnlen(l->handler, sizeof(l->handler)));
	}
	a->phase = record_phase_of(r);
	a->age_ms = elapsed_ms(r->begun_ns, now_ns);
	a->held_ms = elapsed_ms(r->entered_ns, now_ns);
}

/* The records of the loop, then those of the pool's threads. */
static uint32_t
record_count(const struct recorder *rec)
{
	uint32_t threads = atomic_load(&rec->thread_count);

	return RECORDER_LOOP_RECORDS +
	    (threads < RECORDER_THREADS ? threads : RECORDER_THREADS);
}

static const struct recorder_record *
record_at(const struct recorder *rec, uint32_t i)
{
	return i < RECORDER_LOOP_RECORDS ?
	    &rec->loop[i] :
	    &rec->thread[i - RECORDER_LOOP_RECORDS];
}

static bool
record_is_pool(const struct recorder *rec, const struct recorder_record *r)
{
	return r >= rec->thread;
}

/* The thread that died of itself; 0: unknown, or killed by another process. */
static uint32_t
autopsy_tid(const struct recorder *rec)
{
	return rec->crash.code == SI_USER ? 0 : atomic_load(&rec->crash.tid);
}

/* How sure it is that the worker died of it; 0: not at all. */
static unsigned
record_guilt(const struct recorder *rec, uint32_t i)
{
	const struct recorder_record *r = record_at(rec, i);
	uint32_t tid = autopsy_tid(rec);
	bool is_pool = record_is_pool(rec, r);
	bool is_current = !is_pool && atomic_load(&rec->current) == i + 1;

	if (record_phase_of(r) == RECORD_IDLE)
		return 0;
	if (tid != 0 && tid == rec->loop_tid)
		return is_current;
	if (tid != 0)
		return is_pool && atomic_load(&r->tid) == tid;
	return is_current ? 3 : is_pool ? 2 : 1;
}

static const struct recorder_record *
autopsy_find_guilty(const struct recorder *rec)
{
	const struct recorder_record *guilty = NULL;
	unsigned most = 0;

	for (uint32_t i = 0; i < record_count(rec); i++) {
		const struct recorder_record *r = record_at(rec, i);
		unsigned guilt = record_guilt(rec, i);

		/* Among equals the one that takes longest. */
		if (guilt > most ||
		    (guilt > 0 && guilt == most &&
			r->begun_ns < guilty->begun_ns)) {
			guilty = r;
			most = guilt;
		}
	}
	return guilty;
}

/* Whether `i` is a request in flight beside the guilty one.  What a pool thread
 * works on waits in the loop, too, and is counted there. */
static bool
autopsy_is_other(const struct recorder *rec, uint32_t i,
    const struct recorder_record *guilty)
{
	const struct recorder_record *r = record_at(rec, i);

	if (record_phase_of(r) == RECORD_IDLE || record_is_pool(rec, r))
		return false;
	if (guilty == NULL)
		return true;
	return r != guilty &&
	    (!record_is_pool(rec, guilty) ||
		r->note.line_len != guilty->note.line_len ||
		memcmp(r->note.line, guilty->note.line, record_line_bytes(r)) !=
		    0);
}

void
autopsy_read(struct autopsy *a, const struct recorder *rec, uint64_t now_ns)
{
	const struct recorder_record *guilty = autopsy_find_guilty(rec);
	const struct recorder_crash *crash = &rec->crash;

	memset(a, 0, sizeof(*a));
	a->signo = atomic_load(&crash->signo);
	if (a->signo != 0) {
		a->is_fault = crash->code > 0 &&
		    (a->signo == SIGSEGV || a->signo == SIGBUS);
		a->fault_address = crash->fault_address;
		now_ns = crash->time_ns;
	}
	if (guilty != NULL)
		autopsy_copy_record(a, rec, guilty, now_ns);
	a->is_current = guilty != NULL && !record_is_pool(rec, guilty) &&
	    a->phase != RECORD_WAITING;
	for (uint32_t i = 0; i < RECORDER_LOOP_RECORDS; i++)
		a->others += autopsy_is_other(rec, i, guilty);
}

/* "request 4be1, handler api.user, on the pool, 12 ms in" */
static void
autopsy_describe_details(const struct autopsy *a, char *out, size_t size)
{
	static const char *const where[RECORD_PHASE_COUNT] = {
	    [RECORD_MIDDLEWARE] = "in its middleware, ",
	    [RECORD_RESPONSE] = "in its response, ",
	    [RECORD_OFFLOAD] = "on the pool, ",
	};
	const char *in = a->phase < RECORD_PHASE_COUNT ? where[a->phase] : NULL;
	bool has_id = a->id[0] != '\0', has_handler = a->handler[0] != '\0';

	snprintf(out, size, "%s%s%s%s%s%s%s%" PRIu64 " ms%s",
	    has_id ? "request " : "", a->id, has_id ? ", " : "",
	    has_handler ? "handler " : "", a->handler, has_handler ? ", " : "",
	    in != NULL ? in : "", a->age_ms,
	    a->phase == RECORD_WAITING ? "" : " in");
}

void
autopsy_describe(const struct autopsy *a, char *out, size_t size)
{
	char at[32] = "", details[192];

	if (a->is_fault)
		snprintf(at, sizeof(at), " at 0x%" PRIx64, a->fault_address);
	autopsy_describe_details(a, details, sizeof(details));
	if (!a->has_request)
		snprintf(out, size, "%s %s", at,
		    a->phase == RECORD_START ? "while it started" :
			a->others > 0        ? "between requests" :
			    "while idle");
	else if (a->phase == RECORD_WAITING)
		snprintf(
		    out, size, "%s while %s waited (%s)", at, a->line, details);
	else
		snprintf(out, size, "%s in %s (%s)", at, a->line, details);
}

void
autopsy_describe_stall(const struct autopsy *a, char *out, size_t size)
{
	bool has_id = a->id[0] != '\0', has_handler = a->handler[0] != '\0';

	out[0] = '\0';
	if (!a->is_current)
		return;
	snprintf(out, size,
	    ": held the loop for %" PRIu64 ".%u s in %s (%s%s"
	    "%s%s%s)",
	    a->held_ms / 1000, (unsigned)(a->held_ms % 1000 / 100), a->line,
	    has_id ? "request " : "", a->id, has_id && has_handler ? ", " : "",
	    has_handler ? "handler " : "", a->handler);
}

/* "api.so+0x1234": what addr2line wants. */
static void
autopsy_log_frame(
    const struct recorder *rec, const char *who, uint32_t n, uint64_t ip)
{
	const struct recorder_object *object;
	uint32_t count = rec->object_count;

	for (uint32_t i = 0; i < count && i < RECORDER_OBJECTS; i++) {
		object = &rec->object[i];
		if (ip < object->begin || ip >= object->end)
			continue;
		log_error("%s: #%" PRIu32 " %.*s+0x%" PRIx64, who, n,
		    (int)sizeof(object->name) - 1, object->name,
		    ip - object->bias);
		return;
	}
	log_error("%s: #%" PRIu32 " 0x%" PRIx64, who, n, ip);
}

/* What else was in flight, as far as there are records of it. */
static void
autopsy_log_others(
    const struct autopsy *a, const struct recorder *rec, const char *who)
{
	const struct recorder_record *guilty = autopsy_find_guilty(rec);
	char line[RECORDER_LINE_BYTES + 1];

	for (uint32_t i = 0; a->others > 0 && i < RECORDER_LOOP_RECORDS; i++) {
		const struct recorder_record *r = record_at(rec, i);

		if (!autopsy_is_other(rec, i, guilty))
			continue;
		autopsy_copy(
		    line, sizeof(line), r->note.line, record_line_bytes(r));
		log_warn("%s: also in flight: %s", who, line);
	}
}

void
autopsy_log(
    const struct autopsy *a, const struct recorder *rec, const char *who)
{
	uint32_t count = atomic_load(&rec->crash.frame_count);

	for (uint32_t i = 0; i < count && i < RECORDER_FRAMES; i++)
		autopsy_log_frame(rec, who, i, rec->crash.frame[i]);
	autopsy_log_others(a, rec, who);
}
