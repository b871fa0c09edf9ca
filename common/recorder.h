/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: what a worker is doing at this moment, in memory that
 * outlives it, so that whoever finds it dead can say what killed it.
 *
 *	current --> loop[i]	the request whose code the loop runs; or none
 *	busy	    loop[0..7]	a bit for each that is begun and not ended
 *	            thread[t]	what a thread of the pool works on
 *	crash			what the signal handler saw; SIGKILL has none
 *	objects			where code lies, so that addresses can be told
 *	labels			routes and handlers, named once
 *
 * A request is begun once and entered each time the loop goes on with it:
 *
 *	mark = recorder_begin(rec, &what, now_ns);
 *	recorder_enter(rec, mark, RECORD_HANDLER, now_ns);
 *	recorder_leave(rec);		(it waits)
 *	recorder_enter(rec, mark, RECORD_RESPONSE, now_ns);
 *	recorder_end(rec, mark);
 *
 * Requests that are answered at once use one record over and over, which stays
 * in the cache.  More than eight in flight overwrite each other, in turn; the
 * one that runs is always there.
 *
 * No pointers, no locks: each record has one writer, and is read when that is
 * dead (or, of a loop that stands still, with the care of one who reads what
 * may change).  Bytes are kept as the client sent them, control bytes apart.
 *
 * Here: layout and writing.  Not here: where it lies (workers/recorder.h), the
 * signal handler (workers/crash.h), what is made of it (workers/autopsy.h).
 * Context: the loop's thread; recorder_thread_*() a pool thread.
 */
#ifndef CORELANE_COMMON_RECORDER_H
#define CORELANE_COMMON_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/str.h"

#define RECORDER_LOOP_RECORDS 8
#define RECORDER_THREADS 256 /* offload_threads has no more */
#define RECORDER_LABELS 512
#define RECORDER_OBJECTS 64
#define RECORDER_FRAMES 32
#define RECORDER_LINE_BYTES 108
#define RECORDER_ID_BYTES 40
#define RECORDER_ROUTE_BYTES 64
#define RECORDER_HANDLER_BYTES 40

enum record_phase {
	RECORD_IDLE, /* ended: the text is the last one's */
	RECORD_START, /* the worker becomes one */
	RECORD_MIDDLEWARE,
	RECORD_HANDLER,
	RECORD_RESPONSE,
	RECORD_WAITING, /* begun, but the loop is elsewhere */
	RECORD_OFFLOAD, /* on a pool thread */
	RECORD_TASK, /* a background task of a module */
	RECORD_PHASE_COUNT
};

/* "handler", "waiting", ... */
const char *record_phase_name(enum record_phase phase);

/* What is recorded of a request, as slices; each may be .p NULL. */
struct recorder_what {
	struct str method, target;
	struct str id;
	uint32_t label; /* of its route: recorder_add_label() */
	/* A number for method, target and label together: who comes with it
	 * again has the same ones.  0: none. */
	uint64_t text;
};

/* The same without pointers, cut to fit. */
struct recorder_note {
	uint32_t label; /* 1 + index; 0: none */
	uint8_t line_len, id_len;
	char line[RECORDER_LINE_BYTES]; /* "GET /users/7" */
	char id[RECORDER_ID_BYTES];
};

struct recorder_record {
	uint64_t mark; /* 0: never used; else ends in its index */
	uint64_t begun_ns, entered_ns; /* CLOCK_MONOTONIC */
	uint64_t text; /* what the note says, as recorder_what has it */
	_Atomic uint32_t phase;
	_Atomic uint32_t tid; /* a pool thread's record: whose */
	struct recorder_note note;
};

/* What the signal handler stores, `signo` last. */
struct recorder_crash {
	_Atomic int32_t signo; /* 0: no handler ran */
	int32_t code; /* siginfo's si_code */
	uint64_t fault_address;
	uint64_t ip;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	_Atomic uint32_t tid; /* of the thread that tells; 0: none */
	_Atomic uint32_t frame_count;
	uint64_t frame[RECORDER_FRAMES]; /* innermost first */
};

/* A file whose code is mapped. */
struct recorder_object {
	uint64_t begin, end;
	uint64_t bias; /* address minus this: what addr2line wants */
	char name[64]; /* its last path component */
};

/* A route, written once: a request's record only names its index. */
struct recorder_label {
	char route[RECORDER_ROUTE_BYTES]; /* its pattern; ends in NUL */
	char handler[RECORDER_HANDLER_BYTES]; /* "respond", "api.user" */
};

struct recorder {
	_Atomic uint32_t current; /* 1 + index in loop; 0: none */
	_Atomic uint32_t busy;
	uint32_t at; /* the record begun last */
	uint32_t loop_tid;
	uint64_t count; /* of records begun */
	struct recorder_record loop[RECORDER_LOOP_RECORDS];
	struct recorder_crash crash;
	uint32_t object_count;
	struct recorder_object object[RECORDER_OBJECTS];
	_Atomic uint32_t thread_count; /* of records in `thread` */
	uint32_t label_count;
	/* From here on only as much counts as is in use. */
	struct recorder_record thread[RECORDER_THREADS];
	struct recorder_label label[RECORDER_LABELS];
};

/* While the server is made.  Returns what records call it; 0 when there are
 * too many. */
uint32_t recorder_add_label(
    struct recorder *rec, struct str route, struct str handler);

/* Begins a record.  Returns its mark, never 0, by which it is found again. */
uint64_t recorder_begin(struct recorder *rec, const struct recorder_what *what,
    uint64_t now_ns) __attribute__((nonnull(1, 2)));

/* The first that is free, else the one after the last: the oldest, mostly. */
static inline uint32_t
recorder_choose(const struct recorder *rec)
{
	const uint32_t all = (1u << RECORDER_LOOP_RECORDS) - 1;
	uint32_t busy = atomic_load_explicit(&rec->busy, memory_order_relaxed);

	if (busy != all)
		return (uint32_t)__builtin_ctz(~busy);
	return (rec->at + 1) % RECORDER_LOOP_RECORDS;
}

/*
 * Begins and enters a record like the last one in its place: recorder_begin()
 * without the copy, for what comes again and again.  Returns 0, having done
 * nothing, when that one was another.
 */
static inline uint64_t
recorder_begin_again(struct recorder *rec, uint64_t text,
    enum record_phase phase, uint64_t now_ns)
{
	uint32_t busy = atomic_load_explicit(&rec->busy, memory_order_relaxed);
	uint32_t i = recorder_choose(rec);
	struct recorder_record *record = &rec->loop[i];

	if (text == 0 || record->text != text)
		return 0;
	rec->at = i;
	record->mark = ++rec->count * RECORDER_LOOP_RECORDS + i;
	record->begun_ns = record->entered_ns = now_ns;
	record->note.id_len = 0;
	atomic_store_explicit(&record->phase, phase, memory_order_relaxed);
	atomic_store_explicit(&rec->busy, busy | 1u << i, memory_order_relaxed);
	atomic_store_explicit(&rec->current, i + 1, memory_order_relaxed);
	return record->mark;
}

/* Says that the loop goes on with it.  Returns false when the record has been
 * given to another: begin it again. */
static inline bool
recorder_enter(struct recorder *rec, uint64_t mark, enum record_phase phase,
    uint64_t now_ns)
{
	uint32_t i = mark % RECORDER_LOOP_RECORDS;
	struct recorder_record *record = &rec->loop[i];

	if (record->mark != mark || mark == 0)
		return false;
	record->entered_ns = now_ns;
	atomic_store_explicit(&record->phase, phase, memory_order_relaxed);
	atomic_store_explicit(&rec->current, i + 1, memory_order_relaxed);
	return true;
}

/* Says that the loop does something else: what was entered waits. */
static inline void
recorder_leave(struct recorder *rec)
{
	uint32_t i = atomic_load_explicit(&rec->current, memory_order_relaxed);

	if (i == 0)
		return;
	atomic_store_explicit(
	    &rec->loop[i - 1].phase, RECORD_WAITING, memory_order_relaxed);
	atomic_store_explicit(&rec->current, 0, memory_order_relaxed);
}

/* The mark of what the loop runs; 0: nothing. */
static inline uint64_t
recorder_mark(const struct recorder *rec)
{
	uint32_t i = atomic_load_explicit(&rec->current, memory_order_relaxed);

	return i > 0 ? rec->loop[i - 1].mark : 0;
}

/* Says that it is done with, wherever the loop is. */
static inline void
recorder_end(struct recorder *rec, uint64_t mark)
{
	uint32_t i = mark % RECORDER_LOOP_RECORDS;
	uint32_t busy;

	if (mark == 0 || rec->loop[i].mark != mark)
		return;
	busy = atomic_load_explicit(&rec->busy, memory_order_relaxed);
	atomic_store_explicit(
	    &rec->loop[i].phase, RECORD_IDLE, memory_order_relaxed);
	atomic_store_explicit(
	    &rec->busy, busy & ~(1u << i), memory_order_relaxed);
	if (atomic_load_explicit(&rec->current, memory_order_relaxed) == i + 1)
		atomic_store_explicit(&rec->current, 0, memory_order_relaxed);
}

/* An id that was made after the request had begun. */
void recorder_set_id(struct recorder *rec, uint64_t mark, struct str id);

void recorder_note_fill(
    struct recorder_note *note, const struct recorder_what *what);

/*
 * What a pool thread begins to work on, and that it has ended.  note: copied;
 * made on the loop, because a request's slices are the loop's.  Beyond
 * RECORDER_THREADS threads nothing is recorded: returns NULL, which
 * recorder_thread_end() takes.
 */
struct recorder_record *recorder_thread_begin(
    struct recorder *rec, const struct recorder_note *note, uint64_t now_ns);
void recorder_thread_end(struct recorder_record *record);

#endif
