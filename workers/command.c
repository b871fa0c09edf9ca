/* SPDX-License-Identifier: MIT */
/*
 * Commands to the running server: see command.h.
 *
 * Owns: the supervisor's orders.
 * Here: words in, answers out.  Not here: the socket, doing what is asked.
 * Context: the supervisor's loop; control.c -> [command.c] -> supervisor.c.
 */
#include "workers/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "workers/command_channels.h"
#include "workers/control.h"
#include "workers/notify.h"
#include "workers/reload.h"
#include "workers/status.h"
#include "workers/supervisor.h"

enum order_kind { ORDER_RELOAD, ORDER_SCALE, ORDER_REOPEN, ORDER_STOP };

/* A command that was begun and awaits its end. */
struct order {
	TAILQ_ENTRY(order) next;
	enum order_kind kind;
	struct control_client *client;	/* who gets the answer */
	bool begun;			/* ORDER_RELOAD: not queued any more */
	unsigned count;			/* ORDER_SCALE: how many */
	unsigned crashes;		/* ORDER_SCALE: before it began */
};

static void command_answer(struct control_client *client, bool ok,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
command_answer(struct control_client *client, bool ok, const char *fmt, ...)
{
	struct buf text;
	va_list ap;

	if (client == NULL)
		return;
	buf_init(&text, 0);
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	control_answer(client, ok, buf_str(&text));
	buf_done(&text);
}

/* Notes an order.  Returns NULL, with the client answered, without memory. */
static struct order *
order_add(struct supervisor *sup, enum order_kind kind,
    struct control_client *client)
{
	struct order *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		command_answer(client, false, "no memory for the command\n");
		return NULL;
	}
	o->kind = kind;
	o->client = client;
	TAILQ_INSERT_TAIL(&sup->orders, o, next);
	return o;
}

static void
order_free(struct supervisor *sup, struct order *o)
{
	TAILQ_REMOVE(&sup->orders, o, next);
	free(o);
}

/* --- reload --- */

/* Answers the reloads that are begun. */
static void
command_answer_reloads(struct supervisor *sup, bool ok, const char *text)
{
	struct order *o, *after;

	for (o = TAILQ_FIRST(&sup->orders); o != NULL; o = after) {
		after = TAILQ_NEXT(o, next);
		if (o->kind != ORDER_RELOAD || !o->begun)
			continue;
		command_answer(o->client, ok, "%s", text);
		order_free(sup, o);
	}
}

static void
command_log_lines(struct str text)
{
	struct str line;

	while (str_cut(&text, '\n', &line))
		if (line.len > 0)
			log_error("%.*s", STR_FMT(line));
}

/* Begins for all who wait. */
static void
command_reload_begin(struct supervisor *sup)
{
	struct order *o;
	struct buf why;

	sup->reload_again = false;
	TAILQ_FOREACH(o, &sup->orders, next)
		o->begun = true;
	buf_init(&why, 0);
	if (reload_begin(sup, &why) == -1) {
		command_log_lines(buf_str(&why));
		supervisor_settle_soon(sup);
		log_error("reload refused, generation %u goes on",
		    sup->current->number);
		notify_ready("serving; the last reload was refused");
		buf_printf(&why, "not reloaded: generation %u goes on\n",
		    sup->current->number);
		command_answer_reloads(sup, false, buf_str(&why).p);
	}
	buf_done(&why);
}

void
command_reload(struct supervisor *sup, struct control_client *client)
{
	if (sup->stopping || sup->current == NULL) {
		command_answer(client, false, "the server is %s\n",
		    sup->stopping ? "stopping" : "starting");
		return;
	}
	if (client != NULL && order_add(sup, ORDER_RELOAD, client) == NULL)
		return;
	/* One at a time; what was asked meanwhile reads the file again. */
	if (sup->next != NULL)
		sup->reload_again = true;
	else
		command_reload_begin(sup);
}

void
command_reload_ended(struct supervisor *sup, bool ok, const char *why)
{
	char text[1024];

	if (ok)
		snprintf(text, sizeof(text), "reloaded: generation %u serves "
		    "with %u worker%s, after %llu ms\n", sup->current->number,
		    sup->current->wanted, sup->current->wanted == 1 ? "" : "s",
		    (unsigned long long)(clock_now_ns() / 1000000 -
		    sup->current->begun_ms));
	else if (sup->current != NULL)
		snprintf(text, sizeof(text), "%.900s\nnot reloaded: generation "
		    "%u goes on\n", why, sup->current->number);
	else
		snprintf(text, sizeof(text), "%.900s\n", why);
	command_answer_reloads(sup, ok, text);
	if (!ok && sup->current != NULL && !sup->stopping)
		notify_ready("serving; the last reload failed");
	if (sup->reload_again && sup->current != NULL && !sup->stopping)
		command_reload_begin(sup);
}

/* --- scale --- */

static void
command_scale(struct supervisor *sup, struct control_client *client,
    unsigned count)
{
	struct error err;
	struct order *o;

	if (supervisor_scale(sup, count, &err) == -1) {
		command_answer(client, false, "%s\n", err.text);
		return;
	}
	o = order_add(sup, ORDER_SCALE, client);
	if (o == NULL)
		return;
	o->count = count;
	o->crashes = (unsigned)sup->crashes;
}

/* A worker that was asked for and doesn't start. */
static const struct child *
command_find_failed(const struct supervisor *sup, const struct order *o)
{
	const struct child *ch;

	if (sup->crashes == o->crashes)
		return NULL;
	TAILQ_FOREACH(ch, &sup->children, next)
		if (ch->state == CHILD_WAITING && ch->failure[0] != '\0' &&
		    ch->generation == sup->current)
			return ch;
	return NULL;
}

static bool
order_settle_scale(struct supervisor *sup, const struct order *o)
{
	const struct generation *gen = sup->current;
	const struct child *failed = command_find_failed(sup, o);

	if (gen->wanted != o->count) {
		command_answer(o->client, false, "overtaken: somebody else "
		    "wants %u workers\n", gen->wanted);
		return true;
	}
	if (failed != NULL) {
		command_answer(o->client, false, "worker %u can't serve: %s\n",
		    failed->index, failed->failure);
		return true;
	}
	if (supervisor_count(sup, gen, CHILD_SERVING) != o->count ||
	    supervisor_count(sup, gen, CHILD_DRAINING) > 0)
		return false;
	command_answer(o->client, true, "%u worker%s serve%s\n", o->count,
	    o->count == 1 ? "" : "s", o->count == 1 ? "s" : "");
	return true;
}

/* --- reopen --- */

static bool
order_settle_reopen(struct supervisor *sup, const struct order *o)
{
	const struct child *ch;

	TAILQ_FOREACH(ch, &sup->children, next)
		if (ch->reopening)
			return false;
	if (sup->bridge.is_reopening)
		return false;
	if (sup->reopen_failures.len > 0)
		command_answer(o->client, false, "%.*s",
		    STR_FMT(buf_str(&sup->reopen_failures)));
	else
		command_answer(o->client, true, "log files opened again\n");
	return true;
}

/* --- all --- */

void
command_settle(struct supervisor *sup)
{
	struct order *o, *after;
	bool done;

	for (o = TAILQ_FIRST(&sup->orders); o != NULL; o = after) {
		after = TAILQ_NEXT(o, next);
		done = false;
		if (o->kind == ORDER_SCALE && sup->stopping) {
			command_answer(o->client, false,
			    "the server is stopping\n");
			done = true;
		} else if (o->kind == ORDER_SCALE) {
			done = order_settle_scale(sup, o);
		} else if (o->kind == ORDER_REOPEN) {
			done = order_settle_reopen(sup, o);
		}
		if (done)
			order_free(sup, o);
	}
}

void
command_stopped(struct supervisor *sup)
{
	struct order *o, *after;

	for (o = TAILQ_FIRST(&sup->orders); o != NULL; o = after) {
		after = TAILQ_NEXT(o, next);
		command_answer(o->client, o->kind == ORDER_STOP,
		    o->kind == ORDER_STOP ? "stopped\n" :
		    "the server has stopped\n");
		order_free(sup, o);
	}
}

static void
command_status(struct supervisor *sup, struct control_client *client,
    bool as_json)
{
	struct buf text;

	/* What was answered a moment ago must show. */
	supervisor_publish(sup);
	buf_init(&text, 0);
	if (status_print(sup, as_json, &text) == -1 || buf_failed(&text))
		command_answer(client, false, "the statistics can't be read "
		    "just now: try again\n");
	else
		control_answer(client, true, buf_str(&text));
	buf_done(&text);
}

/* Commands about channels, which are answered at once. */
static void
command_channel(struct supervisor *sup, struct control_client *client,
    const char *line, struct str content)
{
	struct str words = str_of(line), first;
	struct buf text;
	bool ok;

	buf_init(&text, 0);
	(void)str_cut(&words, ' ', &first);
	if (str_eq(first, STR("publish")))
		ok = command_publish(sup, words, content, &text);
	else
		ok = command_channels(sup, words, &text);
	if (buf_failed(&text))
		command_answer(client, false, "no memory for the answer\n");
	else
		control_answer(client, ok, buf_str(&text));
	buf_done(&text);
}

static bool
has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	return strncmp(line, word, len) == 0 &&
	    (line[len] == '\0' || line[len] == ' ');
}

void
command_run(void *ctx, struct control_client *client, const char *line,
    struct str content)
{
	struct supervisor *sup = ctx;
	unsigned count;
	int used = 0;

	if (strcmp(line, "status") == 0) {
		command_status(sup, client, false);
	} else if (strcmp(line, "status json") == 0) {
		command_status(sup, client, true);
	} else if (has_word(line, "channels") || has_word(line, "publish")) {
		command_channel(sup, client, line, content);
	} else if (strcmp(line, "reload") == 0) {
		command_reload(sup, client);
	} else if (sscanf(line, "scale %9u%n", &count, &used) == 1 &&
	    line[used] == '\0') {
		command_scale(sup, client, count);
	} else if (strcmp(line, "reopen") == 0) {
		supervisor_reopen(sup);
		(void)order_add(sup, ORDER_REOPEN, client);
	} else if (strcmp(line, "stop") == 0 || strcmp(line, "stop now") == 0) {
		(void)order_add(sup, ORDER_STOP, client);
		/* Two plain stops are no haste: only signals escalate. */
		if (!sup->stopping || strcmp(line, "stop now") == 0)
			supervisor_stop(sup, strcmp(line, "stop now") == 0);
	} else {
		command_answer(client, false, "unknown command\n");
	}
}
