/* SPDX-License-Identifier: MIT */
/*
 * Channels, asked for by an operator: see command_channels.h.
 *
 * Owns nothing beyond a command.
 * Here: rows and words.  Not here: the log (common/channel_log.h), the socket
 * (control.c).
 * Context: the supervisor's loop.
 */
#include "workers/command_channels.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/channel_log.h"
#include "common/clock.h"
#include "server/channel.h"
#include "workers/channels.h"
#include "workers/supervisor.h"

/* --- channels --- */

struct row_list {
	struct channel_row *item;
	size_t count, cap, all;
	struct str pattern;		/* empty: every one */
	struct arena names;
	bool has_failed;
};

/* Copies what is lent only now. */
static void
rows_add(const struct channel_row *row, void *arg)
{
	struct row_list *rows = arg;
	size_t cap = rows->cap > 0 ? 2 * rows->cap : 64;
	struct channel_row *bigger;

	if (rows->has_failed || (rows->pattern.len > 0 &&
	    !channel_covers(rows->pattern, row->name)))
		return;
	if (rows->count == rows->cap) {
		bigger = reallocarray(rows->item, cap, sizeof(*bigger));
		if (bigger == NULL) {
			rows->has_failed = true;
			return;
		}
		rows->item = bigger;
		rows->cap = cap;
	}
	rows->item[rows->count] = *row;
	rows->item[rows->count].name = arena_copy(&rows->names, row->name);
	rows->has_failed = rows->item[rows->count].name.p == NULL;
	rows->count++;
}

/* The most subscribers first, then by name. */
static int
row_compare(const void *a, const void *b)
{
	const struct channel_row *x = a, *y = b;

	if (x->subscribers != y->subscribers)
		return x->subscribers > y->subscribers ? -1 : 1;
	return str_cmp(x->name, y->name);
}

static void
print_json(const struct row_list *rows, struct buf *out)
{
	size_t i;

	buf_add(out, STR("{\"channels\":["));
	for (i = 0; i < rows->count; i++) {
		const struct channel_row *row = &rows->item[i];

		buf_printf(out,
		    "%s{\"channel\":\"%.*s\",\"subscribers\":%" PRIu32
		    ",\"messages\":%" PRIu64 ",\"per_second\":%" PRIu32
		    ",\"bytes\":%" PRIu64 ",\"last_ms\":",
		    i > 0 ? "," : "", STR_FMT(row->name), row->subscribers,
		    row->messages, row->per_second, row->bytes);
		if (row->last_ms > 0)
			buf_printf(out, "%" PRId64 "}", row->last_ms);
		else
			buf_add(out, STR("null}"));
	}
	buf_printf(out, "],\"more\":%zu}\n", rows->all - rows->count);
}

static void
print_table(const struct row_list *rows, struct buf *out)
{
	size_t i, width = 7;

	if (rows->count == 0 && rows->pattern.len > 0) {
		buf_printf(out, "no channel is '%.*s'\n",
		    STR_FMT(rows->pattern));
		return;
	}
	for (i = 0; i < rows->count; i++)
		if (rows->item[i].name.len > width && width < 48)
			width = rows->item[i].name.len < 48 ?
			    rows->item[i].name.len :
			    48;
	buf_printf(out, "%-*s %11s %12s %8s %14s\n", (int)width, "CHANNEL",
	    "SUBSCRIBERS", "MESSAGES", "/S", "BYTES");
	for (i = 0; i < rows->count; i++) {
		const struct channel_row *row = &rows->item[i];

		buf_printf(out,
		    "%-*.*s %11" PRIu32 " %12" PRIu64 " %8" PRIu32
		    " %14" PRIu64 "\n",
		    (int)width, STR_FMT(row->name), row->subscribers,
		    row->messages, row->per_second, row->bytes);
	}
	if (rows->all > rows->count)
		buf_printf(out, "... and %zu more: name a pattern\n",
		    rows->all - rows->count);
}

bool
command_channels(struct supervisor *sup, struct str words, struct buf *out)
{
	struct row_list rows = {0};
	struct str word;
	bool as_json = false;

	while (str_cut(&words, ' ', &word)) {
		if (str_eq(word, STR("json")))
			as_json = true;
		else
			rows.pattern = word;
	}
	arena_init(&rows.names, NULL);
	channel_log_each(channels_log(sup->channels), rows_add, &rows);
	if (rows.count > 0)
		qsort(rows.item, rows.count, sizeof(*rows.item), row_compare);
	rows.all = rows.count;
	if (rows.count > COMMAND_CHANNELS_MAX)
		rows.count = COMMAND_CHANNELS_MAX;
	if (rows.has_failed)
		buf_add(out, STR("no memory for so many channels\n"));
	else if (as_json)
		print_json(&rows, out);
	else
		print_table(&rows, out);
	free(rows.item);
	arena_done(&rows.names);
	return !rows.has_failed;
}

/* --- publish --- */

static const char *
publish_reason(int rc)
{
	switch (rc) {
	case -EBUSY:
		return "the log of channels is busy: try again";
	case -ENOSPC:
		return "too many channels are in use: see channel_log";
	case -EMSGSIZE:
		return "longer than the log of channels takes";
	default:
		return "it can't be published";
	}
}

bool
command_publish(struct supervisor *sup, struct str words, struct str data,
    struct buf *out)
{
	struct channel_position position;
	struct channel_state state = {0};
	char text[CHANNEL_POSITION_MAX];
	struct str kind, name;
	enum channel_content content;
	const char *why = NULL;
	int rc;

	if (!str_cut(&words, ' ', &kind) || !str_cut(&words, ' ', &name) ||
	    data.p == NULL || sup->current == NULL) {
		buf_add(out, STR("unknown command\n"));
		return false;
	}
	content = str_eq(kind, STR("json")) ? CHANNEL_JSON : CHANNEL_TEXT;
	rc = channel_check(sup->current->config, name, data, content, &why);
	if (rc == 0)
		rc = channel_log_publish(channels_log(sup->channels),
		    &(struct channel_message){.channel = name,
			.data = data,
			.content = content,
			.time_ms = clock_now_real_ms()},
		    &position);
	if (rc < 0) {
		buf_printf(out, "not published: %s\n",
		    why != NULL ? why : publish_reason(rc));
		return false;
	}
	(void)channel_log_find(channels_log(sup->channels), name, &state);
	buf_printf(out, "%.*s, %" PRIu32 " subscriber%s\n",
	    (int)channel_position_print(&position, text), text,
	    state.subscribers, state.subscribers == 1 ? "" : "s");
	return true;
}
