/* SPDX-License-Identifier: MIT */
/*
 * A worker's last words: on a signal that kills it, what only it can know
 * (which address, which instruction, which thread, how it came there) is stored
 * in its flight recorder, and it dies of that same signal.
 *
 * Not where a sanitizer is built in, which has a report of its own.
 *
 * Context: the worker.
 */
#ifndef CORELANE_WORKERS_CRASH_H
#define CORELANE_WORKERS_CRASH_H

#include "common/error.h"
#include "common/recorder.h"

/* Catches what kills.  rec: borrowed for the process's life.  Returns 0 or
 * -1. */
int crash_init(struct recorder *rec, struct error *err)
    __attribute__((warn_unused_result));

/* Notes where code lies by now: once everything is loaded. */
void crash_note_objects(struct recorder *rec);

#endif
