/* SPDX-License-Identifier: MIT */
/*
 * Who is in a room: on every worker, as the server's members have it.
 *
 * Context: a worker's loop.  visitor.c, page.c -> [people.c]
 */
#include "chat.h"

#include <errno.h>
#include <string.h>

#define PEOPLE_MAX 200

struct people {
	struct lane_json_writer *writer;
	struct lane_str user;
	bool has_user;
};

static void
on_member(const struct lane_member *m, void *arg)
{
	struct people *p = arg;

	lane_json_object(p->writer);
	lane_json_add_str(p->writer, "user_id", m->user);
	/* {"username"}, as visitor.c has written it. */
	lane_json_key(p->writer, "info");
	lane_json_raw(p->writer, m->info.len > 0 ? m->info : LANE_STR("null"));
	lane_json_add_int(p->writer, "since", m->since_ms / 1000);
	lane_json_end(p->writer);
}

void
people_print(struct lane_ctx *c, struct lane_json_writer *w, const char *live)
{
	struct people p = {.writer = w};

	lane_json_add_int(w, "subscribers", (int64_t)lane_subscribers(c, live));
	lane_json_key(w, "members");
	lane_json_array(w);
	lane_members(c, live, PEOPLE_MAX, on_member, &p);
	lane_json_end(w);
}

int
people_send(struct lane_ctx *c, struct lane_socket *s, const struct visitor *v)
{
	struct lane_json_writer *w = lane_json_new(c);
	struct lane_str text;

	lane_json_object(w);
	lane_json_add_str(w, "type", LANE_STR("presence"));
	people_print(c, w, v->live);
	lane_json_end(w);
	text = lane_json_text(w);
	if (text.p == NULL)
		return -ENOMEM;
	lane_socket_send(s, text, true);
	return 200;
}

static void
on_candidate(const struct lane_member *m, void *arg)
{
	struct people *p = arg;

	p->has_user |= lane_str_eq(m->user, p->user);
}

bool
people_has(struct lane_ctx *c, const struct visitor *v)
{
	struct people p = {.user = lane_str_of(v->user)};

	lane_members(c, v->live, SIZE_MAX, on_candidate, &p);
	return p.has_user;
}
