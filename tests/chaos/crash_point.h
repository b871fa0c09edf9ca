/* SPDX-License-Identifier: MIT */
/*
 * The places inside workers/shared*.c where a process of the chaos test dies:
 * put in front of those files by the build (-include), for this test alone.
 */
#ifndef CORELANE_TESTS_CRASH_POINT_H
#define CORELANE_TESTS_CRASH_POINT_H

enum crash_point {
	CRASH_INTENT, /* intent set, lock not tried yet */
	CRASH_ENTERED, /* holding it, reading or writing */
	CRASH_REFUSED, /* it was busy, intent still set */
	CRASH_COPYING, /* half of the counters written */
	CRASH_COPIED, /* all written, index not flipped */
	CRASH_LEAVING, /* done, still holding it */
	CRASH_UNLOCKED, /* unlocked, intent still set */
	CRASH_POINTS
};

#define SHARED_CRASH_POINT(where) crash_point_on_pass(CRASH_##where)

void crash_point_on_pass(enum crash_point where);

#endif
