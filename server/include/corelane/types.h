/* SPDX-License-Identifier: MIT */
/*
 * What the whole module API speaks: slices, values, contexts and the contract
 * of return values.  Included by <corelane/corelane.h>.
 *
 * Four words say who owns what a pointer points to: "borrowed" (used during
 * the call only), "copied", "taken" (the callee's, also when the call fails),
 * "lent" (somebody else's; until when is said).
 *
 * Context: every function that takes a struct lane_ctx is for the loop's
 * thread; what other threads may call says so.
 */
#ifndef CORELANE_TYPES_H
#define CORELANE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The API is found by modules whatever the visibility they are built with. */
#if defined(__GNUC__)
#define LANE_VISIBLE _Pragma("GCC visibility push(default)")
#define LANE_VISIBLE_END _Pragma("GCC visibility pop")
#else
#define LANE_VISIBLE
#define LANE_VISIBLE_END
#endif

#ifdef __cplusplus
#define LANE_BEGIN LANE_VISIBLE extern "C" {
#define LANE_END } LANE_VISIBLE_END
#else
#define LANE_BEGIN LANE_VISIBLE
#define LANE_END LANE_VISIBLE_END
#endif

#if defined(__GNUC__)
#define LANE_CHECKED __attribute__((warn_unused_result))
#define LANE_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define LANE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define LANE_EXPORT __attribute__((visibility("default")))
#else
#define LANE_CHECKED
#define LANE_NONNULL(...)
#define LANE_PRINTF(fmt, args)
#define LANE_EXPORT
#endif

LANE_BEGIN

/* Changes when a struct or a call of this API changes: a module made for
 * another one is refused when it is loaded. */
#define LANE_ABI 2

/*
 * A slice of bytes, with no NUL promised behind it.  What isn't there comes
 * with p == NULL, which is not the same as empty.
 *
 *	struct lane_str name = lane_param(c, "name");
 *	lane_log(c, LANE_INFO, "hello, %.*s", LANE_FMT(name));
 */
struct lane_str {
	const char *p;
	size_t len;
};

#ifdef __cplusplus
#define LANE_STR(literal) (lane_str{"" literal, sizeof(literal) - 1})
#else
#define LANE_STR(literal) ((struct lane_str){"" literal, sizeof(literal) - 1})
#endif
/* For "%.*s". */
#define LANE_FMT(s) (int)(s).len, (s).p

/* The slice of a NUL-terminated string, lent as long as that is. */
struct lane_str lane_str_of(const char *text);
bool lane_str_eq(struct lane_str a, struct lane_str b);

/*
 * A value whose type is known at run time: a column or parameter of SQL, an
 * attribute, a checked argument.
 */
enum lane_kind {
	LANE_NULL,
	LANE_BOOL,
	LANE_INT,
	LANE_FLOAT,
	LANE_TEXT,
	LANE_BLOB,
	LANE_POINTER /* attributes only: see lane_attr_pointer() */
};

struct lane_value {
	enum lane_kind kind;
	union {
		bool b;
		int64_t i;
		double f;
		struct lane_str s; /* LANE_TEXT, LANE_BLOB */
		struct {
			void *p;
			const void *type;
		} ptr;
	} u;
};

struct lane_value lane_null(void);
struct lane_value lane_bool(bool b);
struct lane_value lane_int(int64_t i);
struct lane_value lane_float(double f);
struct lane_value lane_text(struct lane_str s); /* lent */
struct lane_value lane_blob(struct lane_str s); /* lent */

/* One request, or one background task, as a module sees it: everything that
 * ends with it hangs on it. */
struct lane_ctx;

/*
 * What handlers, `before` hooks and continuations return:
 *
 *	200 to 599	the status: the response is complete.  From 400 on
 *			without content, the server makes the error's
 *			(lane_fail()).
 *	LANE_NEXT	`before` hooks: go on
 *	LANE_ASYNC	not yet: something that was started will go on
 *	negative	an errno: logged with the route and request id, and
 *			answered with a 500 that says nothing (-ENOMEM: 503)
 *
 * Anything else, LANE_ASYNC with nothing started, and LANE_NEXT from a handler
 * are the module's mistake: a logged 500.
 *
 * Calls that can answer by themselves return such a value, to be returned:
 *
 *	int rc = lane_param_int(c, "id", &id);
 *	if (rc != 0)
 *		return rc;
 */
enum { LANE_NEXT = 0, LANE_ASYNC = 1 };

typedef int (*lane_fn)(struct lane_ctx *c);
/* A continuation: `state` is what was given when the wait began. */
typedef int (*lane_done_fn)(struct lane_ctx *c, void *state);

LANE_END

#endif
