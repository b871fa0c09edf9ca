/* SPDX-License-Identifier: MIT */
/*
 * The places inside common/channel_*.c where a process of the chaos test dies:
 * put in front of those files by the build (-include), for this test alone.
 */
#ifndef CORELANE_TESTS_CHANNEL_CRASH_POINT_H
#define CORELANE_TESTS_CHANNEL_CRASH_POINT_H

#define CHANNEL_CRASH_POINTS(X)                                                \
	X(LOCKED) /* the mutex had, or not */                                  \
	X(REPAIRING) /* had from the dead, nothing done */                     \
	X(REBUILT) /* rows whole, members not */                               \
	X(REDOING) /* tables whole, the last message not */                    \
	X(CONSISTENT) /* repaired */                                           \
	X(ROW_COMING) /* written, but for its state */                         \
	X(ROW_COME) /* there, and in no chain */                               \
	X(ROW_GOING) /* in its chain alone */                                  \
	X(ROW_GONE) /* in nothing, and not free */                             \
	X(JOINING) /* a row that nobody has joined */                          \
	X(JOINED) /* counted, but in no sum */                                 \
	X(LEAVING)                                                             \
	X(LEFT) /* not counted, but in the sum */                              \
	X(DROPPING) /* some of a dead reader's interests gone */               \
	X(MEMBER_COMING)                                                       \
	X(MEMBER_COME) /* used, and in no list */                              \
	X(MEMBER_GOING)                                                        \
	X(MEMBER_GONE) /* not used, and in its lists */                        \
	X(EVICTING) /* the tail is about to move */                            \
	X(EVICTED) /* it has */                                                \
	X(WRITING) /* half an entry */                                         \
	X(WRITTEN) /* all of it, not there yet */                              \
	X(EXISTS) /* there, and its row doesn't know */                        \
	X(APPLYING) /* its row knows half */                                   \
	X(APPLIED) /* all, but `applied` doesn't say so */                     \
	X(UNLOCKING) /* done, still holding it */                              \
	X(UNLOCKED) /* nobody woken */                                         \
	X(FLAGGED) /* a reader told so, but not woken */

enum channel_crash_point {
#define X(name) CRASH_##name,
	CHANNEL_CRASH_POINTS(X)
#undef X
	CRASH_POINTS
};

#define CHANNEL_CRASH_POINT(where) channel_crash_on_pass(CRASH_##where)

void channel_crash_on_pass(enum channel_crash_point where);

#endif
