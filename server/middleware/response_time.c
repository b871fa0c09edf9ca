/* SPDX-License-Identifier: MIT */
/*
 * "response_time": tells the client how long the server took, from the first
 * byte of the request to the complete response: "X-Response-Time: 1.234ms".
 *
 * Owns nothing.  Here: the field.  Not here: the histogram (http1_send.c).
 * Context: the loop's thread.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "server/middleware.h"

/* 2^64 microseconds, the point and the unit. */
#define TIME_BYTES 24

struct response_time {
	struct str header;
};

static int
response_time_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct str header = cfg->response_time.header;
	struct response_time *st;

	if (!is_token(header))
		return error_set(err, ERROR_INVALID,
		    "header: '%.*s' is no field name", STR_FMT(header));
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "middleware");
	st->header = header;
	*ret_state = st;
	return 0;
}

/* Writes backwards, from the end of a buffer: "1.234ms". */
static struct str
time_write(uint64_t us, char *end)
{
	char *at = end;
	unsigned digits = 0;

	*--at = 's';
	*--at = 'm';
	do {
		if (digits++ == 3)
			*--at = '.';
		*--at = (char)('0' + us % 10);
		us /= 10;
	} while (us > 0 || digits < 4);
	return str_from(at, (size_t)(end - at));
}

static void
response_time_after(struct request *r, const void *state)
{
	const struct response_time *st = state;
	/* Not the loop's time: that stands still while a handler runs. */
	uint64_t us = (clock_now_ns() - r->start_ns) / 1000;
	char *text = arena_alloc(&r->arena, TIME_BYTES);

	if (text != NULL)
		(void)response_add_checked(r, st->header,
		    time_write(us, text + TIME_BYTES));
}

const struct middleware middleware_response_time = {
	.name = "response_time",
	.setup = response_time_setup,
	.teardown = free,
	.after = response_time_after,
};
