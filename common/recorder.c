/* SPDX-License-Identifier: MIT */
/*
 * Writing the flight recorder: see recorder.h.
 *
 * Owns nothing: the memory is shared, and given.
 * Invariant: `current` names a record that is whole.
 * Here: records.  Not here: reading them (workers/autopsy.c).
 * Context: the loop's thread, and pool threads for records of their own.
 */
#include "common/recorder.h"

#include <string.h>
#include <unistd.h>

static const char *const phase_names[RECORD_PHASE_COUNT] = {
    [RECORD_IDLE] = "idle",
    [RECORD_START] = "start",
    [RECORD_MIDDLEWARE] = "middleware",
    [RECORD_HANDLER] = "handler",
    [RECORD_RESPONSE] = "response",
    [RECORD_WAITING] = "waiting",
    [RECORD_OFFLOAD] = "offload",
    [RECORD_TASK] = "task",
};

const char *
record_phase_name(enum record_phase phase)
{
	return phase < RECORD_PHASE_COUNT ? phase_names[phase] : "?";
}

static uint8_t
note_copy(char *to, size_t size, struct str s)
{
	size_t n = s.len < size ? s.len : size;

	if (n > 0)
		memcpy(to, s.p, n);
	return (uint8_t)n;
}

/* "GET /users/7", or what fits of it. */
static uint8_t
note_copy_line(char *to, const struct recorder_what *what)
{
	const size_t size = RECORDER_LINE_BYTES;
	const struct str *m = &what->method, *t = &what->target;
	size_t n;

	/* As it lies in the head of a request of HTTP/1.1. */
	if (t->p == m->p + m->len + 1 && m->p[m->len] == ' ')
		return note_copy(to, size, str_from(m->p, m->len + 1 + t->len));
	n = note_copy(to, size, *m);
	if (n > 0 && n < size && t->len > 0)
		to[n++] = ' ';
	return (uint8_t)(n + note_copy(to + n, size - n, *t));
}

void
recorder_note_fill(struct recorder_note *note, const struct recorder_what *what)
{
	note->label = what->label;
	note->line_len = note_copy_line(note->line, what);
	note->id_len = note_copy(note->id, sizeof(note->id), what->id);
}

static void
label_copy(char *to, size_t size, struct str s)
{
	to[note_copy(to, size - 1, s)] = '\0';
}

uint32_t
recorder_add_label(struct recorder *rec, struct str route, struct str handler)
{
	struct recorder_label *label = &rec->label[rec->label_count];

	if (rec->label_count == RECORDER_LABELS)
		return 0;
	label_copy(label->route, sizeof(label->route), route);
	label_copy(label->handler, sizeof(label->handler), handler);
	return ++rec->label_count;
}

uint64_t
recorder_begin(
    struct recorder *rec, const struct recorder_what *what, uint64_t now_ns)
{
	uint32_t i = recorder_choose(rec);
	struct recorder_record *record = &rec->loop[i];
	uint32_t busy = atomic_load_explicit(&rec->busy, memory_order_relaxed);

	rec->at = i;
	record->mark = ++rec->count * RECORDER_LOOP_RECORDS + i;
	record->begun_ns = now_ns;
	record->text = what->text;
	recorder_note_fill(&record->note, what);
	atomic_store_explicit(
	    &record->phase, RECORD_WAITING, memory_order_relaxed);
	atomic_store_explicit(&rec->busy, busy | 1u << i, memory_order_relaxed);
	return record->mark;
}

void
recorder_set_id(struct recorder *rec, uint64_t mark, struct str id)
{
	struct recorder_record *record =
	    &rec->loop[mark % RECORDER_LOOP_RECORDS];
	struct recorder_note *note = &record->note;

	if (mark != 0 && record->mark == mark)
		note->id_len = note_copy(note->id, sizeof(note->id), id);
}

/* This thread's record: the one it had before, or a new one. */
static struct recorder_record *
recorder_thread_get(struct recorder *rec)
{
	uint32_t tid = (uint32_t)gettid();
	uint32_t count = atomic_load(&rec->thread_count);

	for (uint32_t i = 0; i < count && i < RECORDER_THREADS; i++)
		if (atomic_load(&rec->thread[i].tid) == tid)
			return &rec->thread[i];
	count = atomic_fetch_add(&rec->thread_count, 1);
	if (count >= RECORDER_THREADS) {
		atomic_store(&rec->thread_count, RECORDER_THREADS);
		return NULL;
	}
	atomic_store(&rec->thread[count].tid, tid);
	return &rec->thread[count];
}

struct recorder_record *
recorder_thread_begin(
    struct recorder *rec, const struct recorder_note *note, uint64_t now_ns)
{
	struct recorder_record *record = recorder_thread_get(rec);

	if (record == NULL)
		return NULL;
	record->begun_ns = record->entered_ns = now_ns;
	record->note = *note;
	atomic_store_explicit(
	    &record->phase, RECORD_OFFLOAD, memory_order_release);
	return record;
}

void
recorder_thread_end(struct recorder_record *record)
{
	if (record != NULL)
		atomic_store_explicit(
		    &record->phase, RECORD_IDLE, memory_order_release);
}
