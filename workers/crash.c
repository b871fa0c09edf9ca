/* SPDX-License-Identifier: MIT */
/*
 * The handler of deadly signals: see crash.h.
 *
 * It stores what is certain before it looks at the stack, which may be what is
 * broken: where unwinding fails, too, the kernel kills at once, because the
 * signal is blocked, and the rest is told.
 *
 * Owns: the alternate stack, for the process's life: a stack that has
 * overflowed has no room for a handler.
 * Invariant: the wait status is that of the first signal.
 * Here: storing.  Not here: telling (autopsy.c).
 * Context: any thread of the worker, at any instruction: nothing but
 * async-signal-safe calls, and the unwinder, which takes no lock
 * (_dl_find_object) and no memory.
 */
#include "workers/crash.h"

#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "common/clock.h"
#include "common/str.h"

#define CRASH_STACK_BYTES ((size_t)64 << 10)

/* Where it happened, and whither it would have returned where that was a call
 * of nothing. */
#if defined(__x86_64__)
#define CRASH_IP(uc) ((uint64_t)(uc)->uc_mcontext.gregs[REG_RIP])
#define CRASH_RETURN(uc) crash_peek((uint64_t)(uc)->uc_mcontext.gregs[REG_RSP])
#elif defined(__aarch64__)
#define CRASH_IP(uc) ((uint64_t)(uc)->uc_mcontext.pc)
#define CRASH_RETURN(uc) ((uint64_t)(uc)->uc_mcontext.regs[30])
#else
#define CRASH_IP(uc) ((void)(uc), (uint64_t)0)
#define CRASH_RETURN(uc) ((void)(uc), (uint64_t)0)
#endif

/* A handler has no argument of ours. */
static struct recorder *crash_recorder;

/* A sanitizer has handlers of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CRASH_IS_SANITIZED true
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CRASH_IS_SANITIZED true
#endif
#ifndef CRASH_IS_SANITIZED
#define CRASH_IS_SANITIZED false
#endif

/* What lies at an address that may be no address; 0 then. */
static uint64_t __attribute__((unused)) crash_peek(uint64_t address)
{
	uint64_t value = 0;
	struct iovec to = {.iov_base = &value, .iov_len = sizeof(value)};
	struct iovec from = {.iov_len = sizeof(value)};

	memcpy(&from.iov_base, &address, sizeof(address));
	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) !=
	    (ssize_t)sizeof(value))
		return 0;
	return value;
}

static void
crash_add_frame(struct recorder_crash *crash, uint64_t ip)
{
	uint32_t n =
	    atomic_load_explicit(&crash->frame_count, memory_order_relaxed);

	if (n == RECORDER_FRAMES)
		return;
	crash->frame[n] = ip;
	atomic_store_explicit(&crash->frame_count, n + 1, memory_order_release);
}

static _Unwind_Reason_Code
crash_on_frame(struct _Unwind_Context *context, void *arg)
{
	struct recorder_crash *crash = arg;
	uint64_t ip = _Unwind_GetIP(context);

	/* Beyond the first function. */
	if (ip == 0)
		return _URC_END_OF_STACK;
	/* What came so far is this handler. */
	if (ip == crash->ip)
		atomic_store(&crash->frame_count, 0);
	crash_add_frame(crash, ip);
	return _URC_NO_REASON;
}

/* An address where no code is has no frame to unwind. */
static bool
crash_is_code(uint64_t ip)
{
	const struct recorder *rec = crash_recorder;

	for (uint32_t i = 0; i < rec->object_count; i++)
		if (ip >= rec->object[i].begin && ip < rec->object[i].end)
			return true;
	return false;
}

static void
crash_store_stack(struct recorder_crash *crash, const ucontext_t *uc)
{
	uint64_t caller;

	if (crash_is_code(crash->ip)) {
		(void)_Unwind_Backtrace(crash_on_frame, crash);
		return;
	}
	crash_add_frame(crash, crash->ip);
	caller = CRASH_RETURN(uc);
	if (crash_is_code(caller))
		crash_add_frame(crash, caller);
}

static void
crash_on_signal(int signo, siginfo_t *info, void *context)
{
	struct recorder_crash *crash = &crash_recorder->crash;
	const ucontext_t *uc = context;
	bool is_fault = signo == SIGSEGV || signo == SIGBUS;
	uint32_t nobody = 0;

	/* The first thread to die tells. */
	if (atomic_compare_exchange_strong(
		&crash->tid, &nobody, (uint32_t)gettid())) {
		crash->code = info->si_code;
		crash->ip = CRASH_IP(uc);
		crash->time_ns = clock_now_ns();
		if (is_fault && info->si_code > 0)
			crash->fault_address = (uintptr_t)info->si_addr;
		atomic_store(&crash->signo, signo);
		crash_store_stack(crash, uc);
	}
	/* What was sent doesn't come again by returning; a fault does, and
	 * finds the default action (SA_RESETHAND). */
	if (info->si_code <= 0)
		(void)raise(signo);
}

static int
crash_set_stack(struct error *err)
{
	stack_t stack = {
	    .ss_sp = malloc(CRASH_STACK_BYTES),
	    .ss_size = CRASH_STACK_BYTES,
	};

	if (stack.ss_sp == NULL)
		return error_nomem(err, "a signal stack");
	if (sigaltstack(&stack, NULL) == -1) {
		error_sys(err, "sigaltstack");
		free(stack.ss_sp);
		return -1;
	}
	return 0;
}

int
crash_init(struct recorder *rec, struct error *err)
{
	static const int deadly[] = {
	    SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
	struct sigaction sa = {
	    .sa_sigaction = crash_on_signal,
	    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND,
	};

	rec->loop_tid = (uint32_t)gettid();
	crash_recorder = rec;
	if (CRASH_IS_SANITIZED)
		return 0;
	if (crash_set_stack(err) == -1)
		return -1;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (sigaction(deadly[i], &sa, NULL) == -1)
			return error_sys(err, "sigaction");
	return 0;
}

/* The name of the file alone; the executable's is "". */
static void
crash_name_object(struct recorder_object *object, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct str name = str_of(slash != NULL ? slash + 1 : path);

	if (name.len == 0)
		name = STR("corelane");
	if (name.len >= sizeof(object->name))
		name.len = sizeof(object->name) - 1;
	memcpy(object->name, name.p, name.len);
	object->name[name.len] = '\0';
}

static int
crash_on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct recorder *rec = arg;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		struct recorder_object *object;

		if (segment->p_type != PT_LOAD ||
		    (segment->p_flags & PF_X) == 0)
			continue;
		if (rec->object_count == RECORDER_OBJECTS)
			return 1;
		object = &rec->object[rec->object_count];
		object->bias = info->dlpi_addr;
		object->begin = info->dlpi_addr + segment->p_vaddr;
		object->end = object->begin + segment->p_memsz;
		crash_name_object(object, info->dlpi_name);
		rec->object_count++;
	}
	return 0;
}

void
crash_note_objects(struct recorder *rec)
{
	rec->object_count = 0;
	(void)dl_iterate_phdr(crash_on_object, rec);
}
