/* SPDX-License-Identifier: MIT */
/*
 * corelane's module API: a module needs this header and nothing else.
 *
 *	types.h		slices, values, what handlers return
 *	module.h	what a module is: routes, middleware, hooks, metrics
 *	request.h	reading a request
 *	response.h	making a response
 *	async.h		memory, the pool, timers, sub-requests, the log
 *	sql.h		databases
 *	realtime.h	WebSockets, event streams, channels
 *	test.h		a handler's tests (not part of this header)
 */
#ifndef CORELANE_CORELANE_H
#define CORELANE_CORELANE_H

#include <corelane/types.h>
#include <corelane/request.h>
#include <corelane/response.h>
#include <corelane/module.h>
#include <corelane/async.h>
#include <corelane/sql.h>
#include <corelane/realtime.h>

#endif
