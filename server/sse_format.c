/* SPDX-License-Identifier: MIT */
/*
 * The text of an event (WHATWG HTML 9.2.5, 9.2.6).
 *
 * A client reads lines: what a name, an id or data could do is begin a line of
 * their own.  So each line of data is given its "data:", and an id or name with
 * a line end is left out; so is one with NUL, for which a client drops the id.
 *
 * Context: pure functions.  sse.c, hub_form.c -> [sse_format.c]
 */
#include <inttypes.h>

#include "server/sse.h"

static bool
is_one_line(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\0')
			return false;
	return true;
}

static void
add_field(struct buf *out, struct str name, struct str value)
{
	if (value.p == NULL || !is_one_line(value))
		return;
	buf_add(out, name);
	buf_add(out, value);
	buf_add_byte(out, '\n');
}

/* How much of `s` is its first line; *ret_next: where the next begins, beyond
 * the end when there is none. */
static size_t
line_length(struct str s, size_t *ret_next)
{
	size_t len = 0;

	while (len < s.len && s.p[len] != '\n' && s.p[len] != '\r')
		len++;
	*ret_next = len + 1;
	if (len + 1 < s.len && s.p[len] == '\r' && s.p[len + 1] == '\n')
		*ret_next = len + 2;
	return len;
}

void
sse_format(struct buf *out, const struct sse_event *event)
{
	struct str data = event->data;
	size_t len, next;

	if (event->retry_ms > 0)
		buf_printf(out, "retry: %" PRId64 "\n", event->retry_ms);
	add_field(out, STR("id: "), event->id);
	add_field(out, STR("event: "), event->name);
	/* Without a line of data it would be no event, only an id. */
	do {
		len = line_length(data, &next);
		buf_add(out, STR("data: "));
		buf_add(out, str_from(data.p, len));
		buf_add_byte(out, '\n');
		if (next > data.len)
			break;
		data = str_from(data.p + next, data.len - next);
	} while (true);
	buf_add_byte(out, '\n');
}
