/* SPDX-License-Identifier: MIT */
/*
 * "request_id": gives every request a name that client, logs and upstreams
 * share, and takes part in W3C trace context.
 *
 * A client's id is kept where the configuration trusts it and it is harmless;
 * else there is a new one of 32 hex digits.  A `traceparent` is continued with
 * a span of our own, or a trace is started.
 *
 * Owns nothing beyond the request's arena.
 * Here: ids in and out.  Not here: the access log that prints them.
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "server/internal.h"
#include "server/middleware.h"

#define ID_BYTES 32
#define ID_BYTES_MAX 128

/* 00-<trace: 32>-<parent: 16>-<flags: 2> (W3C Trace Context 3.2.2) */
#define TRACE_AT 3
#define TRACE_BYTES 32
#define PARENT_AT 36
#define PARENT_BYTES 16
#define FLAGS_AT 53
#define TRACEPARENT_BYTES 55

struct request_id {
	struct str header;
	enum field_id header_id;	/* FIELD_OTHER: look it up by name */
	bool trust, traceparent;
	struct random *random;
};

static int
request_id_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	struct str header = cfg->request_id.header;
	struct request_id *st;

	if (!is_token(header))
		return error_set(err, ERROR_INVALID,
		    "header: '%.*s' is no field name", STR_FMT(header));
	if ((st = calloc(1, sizeof(*st))) == NULL)
		return error_nomem(err, "middleware");
	st->header = header;
	st->header_id = field_id_of(header);
	st->trust = cfg->request_id.trust;
	st->traceparent = cfg->request_id.traceparent;
	st->random = server_random(srv);
	*ret_state = st;
	return 0;
}

/* Harmless in logs, fields and shells alike. */
static bool
id_is_good(struct str id)
{
	size_t i;

	for (i = 0; i < id.len; i++) {
		char c = id.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '-' && c <= ':') && c != '_' && c != '+' && c != '=')
			return false;
	}
	return id.len > 0 && id.len <= ID_BYTES_MAX;
}

static struct str
id_get(struct request *r, const struct request_id *st)
{
	struct str sent = str_from(NULL, 0);
	char *made;

	if (st->trust)
		sent = st->header_id != FIELD_OTHER
		    ? request_get(r, st->header_id)
		    : request_field(r, st->header);
	if (id_is_good(sent))
		return arena_copy(&r->arena, sent);
	if ((made = arena_alloc(&r->arena, ID_BYTES)) != NULL)
		random_hex(st->random, ID_BYTES / 2, made);
	return str_from(made, ID_BYTES);
}

/* Lower-case hex digits only, `len` of them. */
static bool
hex_is_good(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!(p[i] >= '0' && p[i] <= '9') &&
		    !(p[i] >= 'a' && p[i] <= 'f'))
			return false;
	return true;
}

static bool
hex_is_zero(const char *p, size_t len)
{
	while (len > 0 && p[len - 1] == '0')
		len--;
	return len == 0;
}

static bool
hex_is_odd(char digit)
{
	return digit <= '9' ? digit & 1 : !(digit & 1);
}

/* Whether a trace can be continued.  Version ff is invalid; a version above 00
 * may have more behind another dash (W3C Trace Context 3.2.2, 4.3). */
static bool
traceparent_is_good(struct str t)
{
	if (t.len < TRACEPARENT_BYTES || !hex_is_good(t.p, 2) ||
	    memcmp(t.p, "ff", 2) == 0)
		return false;
	if (t.len > TRACEPARENT_BYTES &&
	    (memcmp(t.p, "00", 2) == 0 || t.p[TRACEPARENT_BYTES] != '-'))
		return false;
	return t.p[TRACE_AT - 1] == '-' && t.p[PARENT_AT - 1] == '-' &&
	    t.p[FLAGS_AT - 1] == '-' &&
	    hex_is_good(t.p + TRACE_AT, TRACE_BYTES) &&
	    !hex_is_zero(t.p + TRACE_AT, TRACE_BYTES) &&
	    hex_is_good(t.p + PARENT_AT, PARENT_BYTES) &&
	    !hex_is_zero(t.p + PARENT_AT, PARENT_BYTES) &&
	    hex_is_good(t.p + FLAGS_AT, 2);
}

/* Ours, always of version 00: the trace that came, or a new one. */
static int
traceparent_add(struct request *r, const struct request_id *st)
{
	struct str sent = request_get(r, FIELD_TRACEPARENT);
	char *t = arena_alloc(&r->arena, TRACEPARENT_BYTES);

	if (t == NULL)
		return -1;
	memcpy(t, "00-", TRACE_AT);
	t[PARENT_AT - 1] = t[FLAGS_AT - 1] = '-';
	if (traceparent_is_good(sent)) {
		memcpy(t + TRACE_AT, sent.p + TRACE_AT, TRACE_BYTES);
		/* Version 00 knows one flag: sampled, the lowest bit. */
		t[FLAGS_AT] = '0';
		t[FLAGS_AT + 1] = hex_is_odd(sent.p[FLAGS_AT + 1]) ? '1' : '0';
	} else {
		random_hex(st->random, TRACE_BYTES / 2, t + TRACE_AT);
		memcpy(t + FLAGS_AT, "00", 2);
	}
	random_hex(st->random, PARENT_BYTES / 2, t + PARENT_AT);
	r->trace_id = str_from(t + TRACE_AT, TRACE_BYTES);
	return response_add_checked(r, STR("traceparent"),
	    str_from(t, TRACEPARENT_BYTES));
}

static int
request_id_before(struct request *r, const void *state)
{
	const struct request_id *st = state;
	struct str id = id_get(r, st);

	if (id.p == NULL || response_add_checked(r, st->header, id) == -1)
		return -ENOMEM;
	r->id = id;
	if (st->traceparent && traceparent_add(r, st) == -1)
		return -ENOMEM;
	return REQUEST_NEXT;
}

const struct middleware middleware_request_id = {
	.name = "request_id",
	.setup = request_id_setup,
	.teardown = free,
	.before = request_id_before,
};
