/* SPDX-License-Identifier: MIT */
/*
 * "respond": the same answer every time, from the configuration, at once or
 * after a delay.
 *
 * Owns the prepared fields; status, names, values and content are lent by the
 * configuration.  Everything is checked at setup, so that a request costs a few
 * stores.
 *
 * Here: the answer.  Not here: its compression (middleware/compress.c).
 * Context: the loop's thread.
 */
#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "server/handler.h"
#include "server/internal.h"

struct respond {
	struct event_base *base;
	struct timeval delay;
	int status;
	struct str type, body;
	size_t field_count;
	struct response_field field[];
};

static int
respond_check_field(const struct config_field *f, struct error *err)
{
	if (!is_token(f->name) || !is_field_value(f->value))
		return error_set(err, ERROR_INVALID,
		    "headers: '%.*s' can't be sent: a name is a token and a "
		    "value has no control bytes", STR_FMT(f->name));
	if (field_is_reserved(f->name))
		return error_set(err, ERROR_INVALID,
		    "headers: %.*s is set by the server", STR_FMT(f->name));
	return 0;
}

static struct str
respond_default_type(const struct config_route *cfg)
{
	if (cfg->respond.is_json)
		return STR("application/json");
	if (cfg->respond.body.len > 0)
		return STR("text/plain; charset=utf-8");
	return str_from(NULL, 0);
}

static int
respond_setup(const struct config_route *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	const struct config_fields *fields = &cfg->respond.headers;
	struct respond *st;
	size_t i;

	if (!status_has_content(cfg->respond.status) &&
	    cfg->respond.body.len > 0)
		return error_set(err, ERROR_INVALID,
		    "status %d has no content: leave the body out",
		    cfg->respond.status);
	st = calloc(1, sizeof(*st) + fields->count * sizeof(st->field[0]));
	if (st == NULL)
		return error_nomem(err, "handler");
	st->base = server_base(srv);
	st->delay.tv_sec = cfg->respond.delay_ms / 1000;
	st->delay.tv_usec = cfg->respond.delay_ms % 1000 * 1000;
	st->status = cfg->respond.status;
	st->body = cfg->respond.body;
	st->type = respond_default_type(cfg);
	for (i = 0; i < fields->count; i++) {
		const struct config_field *f = &fields->item[i];

		if (respond_check_field(f, err) == -1) {
			free(st);
			return -1;
		}
		if (field_id_of(f->name) == FIELD_CONTENT_TYPE)
			st->type = f->value;
		else
			st->field[st->field_count++] =
			    (struct response_field){f->name, f->value};
	}
	*ret_state = st;
	return 0;
}

static int
respond_send(struct request *r, const struct respond *st)
{
	size_t i;

	for (i = 0; i < st->field_count; i++)
		if (response_add_checked(r, st->field[i].name,
		    st->field[i].value) == -1)
			return -ENOMEM;
	return response_static(r, st->status, st->type, st->body);
}

/* An answer that waits. */
struct respond_wait {
	struct event timer;
	struct request *r;
	const struct respond *respond;
};

static void
respond_on_timer(int fd, short what, void *arg)
{
	struct respond_wait *wait = arg;

	server_wake(wait->r->srv);
	request_resume(wait->r, respond_send(wait->r, wait->respond));
}

static int
respond_run(struct request *r, const void *state)
{
	const struct respond *st = state;
	struct respond_wait *wait;

	if (st->delay.tv_sec == 0 && st->delay.tv_usec == 0)
		return respond_send(r, st);
	wait = arena_alloc(&r->arena, sizeof(*wait));
	if (wait == NULL)
		return -ENOMEM;
	wait->r = r;
	wait->respond = st;
	evtimer_assign(&wait->timer, st->base, respond_on_timer, wait);
	if (evtimer_add(&wait->timer, &st->delay) == -1)
		return -ENOMEM;
	r->handler_data = wait;
	return REQUEST_PENDING;
}

static void
respond_cancel(struct request *r, const void *state)
{
	struct respond_wait *wait = r->handler_data;

	evtimer_del(&wait->timer);
}

const struct handler handler_respond = {
	.name = "respond",
	.methods = METHOD_ALL & ~METHOD_BIT(METHOD_OPTIONS),
	.setup = respond_setup,
	.teardown = free,
	.run = respond_run,
	.cancel = respond_cancel,
};
