/* SPDX-License-Identifier: MIT */
/*
 * The bridge's connections to Redis: see bridge_link.h.
 *
 * hiredis calls back with its context, whose `data` is the link as long as the
 * context is the link's; what an abandoned one still has to say goes nowhere.
 *
 * Owns: both connections, their timers.
 * Here: connecting, greeting, heartbeat, back-off.
 * Context: the bridge's loop.
 */
#include "workers/bridge_link.h"

#include <event2/event.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"
#include "config/redis_url.h"

#define LINK_BACKOFF_MIN_MS 100
#define LINK_BACKOFF_MAX_MS 5000
/* One that was up so long begins its back-off anew. */
#define LINK_STEADY_MS 10000
#define LINK_HEARTBEAT_MAX_MS 1000
/* How long a name server may keep us. */
#define LINK_RESOLVE_MS 60000
#define LINK_WORDS_MAX 1024

enum link_state { LINK_WAITING, LINK_GREETING, LINK_UP };

struct bridge_link {
	const struct bridge_link_args *args;
	struct redis_url url;
	char *name;			/* the URL without its password */
	char *alive;			/* what we are always subscribed to */
	enum link_state state;
	redisAsyncContext *ask, *listen; /* NULL in LINK_WAITING */
	struct event *timer;	/* the back-off, or the next heartbeat */
	struct event *deadline;	/* of the greeting, or of the heartbeat */
	char sha[64];			/* of the script */
	unsigned greetings;		/* replies that are to come yet */
	char run_id[BRIDGE_RUN_ID_BYTES];	/* of this Redis, or "" */
	uint64_t up_ms;			/* since when */
	uint64_t lost_ms;		/* since when not; 0: never was */
	uint64_t backoff_ms;
	uint64_t beat_redis_ms;		/* what TIME said */
	int64_t clock_ahead_ms;		/* Redis's clock less our monotonic */
	char told[256];			/* the last reason, "": none */
	struct random random;
};

static uint64_t
link_now_ms(void)
{
	return clock_now_ns() / 1000000;
}

static void
link_arm(struct event *ev, uint64_t ms)
{
	const struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	event_add(ev, &tv);
}

bool
bridge_link_is_up(const struct bridge_link *link)
{
	return link->state == LINK_UP;
}

uint64_t
bridge_link_redis_ms(const struct bridge_link *link)
{
	if (link->beat_redis_ms == 0)
		return 0;
	return (uint64_t)((int64_t)link_now_ms() + link->clock_ahead_ms);
}

/* --- down --- */

static void
link_abandon(redisAsyncContext **slot)
{
	redisAsyncContext *ac = *slot;

	if (ac == NULL)
		return;
	*slot = NULL;
	ac->data = NULL;
	redisAsyncFree(ac);
}

/* Half of it and up to as much again, so that many machines don't come back
 * together. */
static uint64_t
link_next_backoff(struct bridge_link *link)
{
	uint64_t ms = link->backoff_ms;

	if (link->state == LINK_UP &&
	    link_now_ms() - link->up_ms >= LINK_STEADY_MS)
		ms = LINK_BACKOFF_MIN_MS;
	link->backoff_ms =
	    ms * 2 > LINK_BACKOFF_MAX_MS ? LINK_BACKOFF_MAX_MS : ms * 2;
	return ms / 2 + random_u64(&link->random) % ms;
}

/* Once for each reason: not at every try. */
static void
link_tell(struct bridge_link *link, struct str why)
{
	char text[sizeof(link->told)];

	snprintf(text, sizeof(text), "%.*s", STR_FMT(why));
	if (link->state == LINK_UP)
		log_warn("lost %s: %s", link->name, text);
	else if (strcmp(text, link->told) != 0)
		log_warn("can't connect to %s: %s", link->name, text);
	memcpy(link->told, text, sizeof(text));
}

void
bridge_link_fail(struct bridge_link *link, struct str why)
{
	bool was_up = link->state == LINK_UP;

	if (link->state == LINK_WAITING)
		return;
	link_tell(link, why);
	if (was_up)
		link->lost_ms = link_now_ms();
	link_arm(link->timer, link_next_backoff(link));
	event_del(link->deadline);
	link->state = LINK_WAITING;
	bridge_set(&link->args->figures->is_connected, 0);
	link_abandon(&link->ask);
	link_abandon(&link->listen);
	if (was_up)
		link->args->on_down(link->args->arg);
}

static void
link_fail_reply(struct bridge_link *link, const redisReply *reply)
{
	bridge_link_fail(link, reply->type == REDIS_REPLY_ERROR ?
	    str_from(reply->str, reply->len) : STR("an answer of another kind "
	    "than was expected: is this Redis?"));
}

static void
link_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct bridge_link *link = arg;
	char why[64];

	snprintf(why, sizeof(why), "no answer for %" PRId64 " ms",
	    link->state == LINK_UP ? link->args->config->timeout_ms :
	    link->args->config->connect_ms);
	bridge_link_fail(link, str_of(why));
}

static void
link_on_connect(const redisAsyncContext *ac, int status)
{
	struct bridge_link *link = ac->data;

	if (link == NULL || status == REDIS_OK)
		return;
	/* hiredis frees this one itself, behind us. */
	if (link->ask == ac)
		link->ask = NULL;
	else
		link->listen = NULL;
	bridge_link_fail(link, str_of(ac->errstr));
}

static void
link_on_disconnect(const redisAsyncContext *ac, int status)
{
	struct bridge_link *link = ac->data;

	if (link == NULL)
		return;
	if (link->ask == ac)
		link->ask = NULL;
	else
		link->listen = NULL;
	bridge_link_fail(link, ac->errstr != NULL && ac->errstr[0] != '\0' ?
	    str_of(ac->errstr) : STR("closed by the server"));
}

/* --- commands --- */

/* To one of the connections; fn and arg are hiredis's. */
static int
link_send(redisAsyncContext *ac, redisCallbackFn *fn, void *arg,
    const struct str *words, size_t count)
{
	const char *argv[LINK_WORDS_MAX];
	size_t lens[LINK_WORDS_MAX];

	if (ac == NULL || count > LINK_WORDS_MAX)
		return -1;
	for (size_t i = 0; i < count; i++) {
		argv[i] = words[i].len > 0 ? words[i].p : "";
		lens[i] = words[i].len;
	}
	return redisAsyncCommandArgv(ac, fn, arg, (int)count, argv, lens) ==
	    REDIS_OK ? 0 : -1;
}

static void
link_on_answer(redisAsyncContext *ac, void *r, void *arg)
{
	const struct bridge_asker *asker = arg;

	if (ac->data != NULL && r != NULL)
		asker->fn(r, asker->arg);
}

static void link_on_push(redisAsyncContext *ac, void *r, void *arg);

int
bridge_link_ask(struct bridge_link *link, struct bridge_asker *asker,
    const struct str *words, size_t count)
{
	if (link->state != LINK_UP)
		return -1;
	return link_send(link->ask, link_on_answer, asker, words, count);
}

int
bridge_link_run(struct bridge_link *link, struct bridge_asker *asker,
    struct str *words, size_t count)
{
	words[0] = STR("EVALSHA");
	words[1] = str_of(link->sha);
	return bridge_link_ask(link, asker, words, count);
}

int
bridge_link_listen(struct bridge_link *link, const struct str *words,
    size_t count)
{
	if (link->state != LINK_UP)
		return -1;
	return link_send(link->listen, link_on_push, link, words, count);
}

/* --- the heartbeat --- */

static uint64_t
link_heartbeat_ms(const struct bridge_link *link)
{
	uint64_t ms = (uint64_t)link->args->config->timeout_ms / 3;

	return ms > LINK_HEARTBEAT_MAX_MS ? LINK_HEARTBEAT_MAX_MS :
	    ms < 10 ? 10 : ms;
}

static void
link_listen_alive(struct bridge_link *link)
{
	const struct str words[] = {STR("SUBSCRIBE"), str_of(link->alive)};

	(void)link_send(link->listen, link_on_push, link, words, 2);
}

/* A little less than Redis's clock: the time that the answer took is not
 * added. */
static bool
link_read_time(struct bridge_link *link, const redisReply *reply)
{
	uint64_t s, us;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING ||
	    str_to_u64(str_from(reply->element[0]->str,
	    reply->element[0]->len), &s) == -1 ||
	    str_to_u64(str_from(reply->element[1]->str,
	    reply->element[1]->len), &us) == -1)
		return false;
	link->beat_redis_ms = s * 1000 + us / 1000;
	link->clock_ahead_ms =
	    (int64_t)link->beat_redis_ms - (int64_t)link_now_ms();
	return true;
}

static void link_greeted(struct bridge_link *link);

static void
link_on_time(redisAsyncContext *ac, void *r, void *arg)
{
	struct bridge_link *link = arg;

	if (ac->data == NULL || r == NULL)
		return;
	if (!link_read_time(link, r))
		link_fail_reply(link, r);
	else if (link->state == LINK_GREETING)
		link_greeted(link);
	else
		link_listen_alive(link);
}

static void
link_beat(struct bridge_link *link)
{
	const struct str words[] = {STR("TIME")};

	link_arm(link->deadline, (uint64_t)link->args->config->timeout_ms);
	(void)link_send(link->ask, link_on_time, link, words, 1);
}

/* --- up --- */

static void
link_rise(struct bridge_link *link)
{
	struct bridge_figures *f = link->args->figures;
	uint64_t now_ms = link_now_ms();
	bool is_same = link->run_id[0] != '\0' &&
	    strcmp(link->run_id, f->run_id) == 0;

	link->state = LINK_UP;
	link->up_ms = now_ms;
	event_del(link->deadline);
	if (link->lost_ms != 0)
		log_info("connected to %s again, after %.1f s%s", link->name,
		    (double)(now_ms - link->lost_ms) / 1000,
		    is_same ? "" : "; it has been restarted");
	else
		log_info("connected to %s", link->name);
	link->told[0] = '\0';
	bridge_set(&f->is_connected, 1);
	bridge_count(&f->connects, 1);
	link_arm(link->timer, link_heartbeat_ms(link));
	link->args->on_up(link->args->arg, is_same);
}

void
bridge_link_remember(struct bridge_link *link)
{
	memcpy(link->args->figures->run_id, link->run_id,
	    sizeof(link->run_id));
}

static void
link_greeted(struct bridge_link *link)
{
	if (--link->greetings == 0)
		link_rise(link);
}

static bool
link_is_alive_text(const struct bridge_link *link, const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
	    reply->element[1]->type == REDIS_REPLY_STRING &&
	    str_eq(str_from(reply->element[1]->str, reply->element[1]->len),
	    str_of(link->alive));
}

static void
link_on_push(redisAsyncContext *ac, void *r, void *arg)
{
	struct bridge_link *link = ac->data;
	const redisReply *reply = r;

	if (link == NULL || reply == NULL)
		return;
	if (reply->type != REDIS_REPLY_ARRAY) {
		link_fail_reply(link, reply);
	} else if (!link_is_alive_text(link, reply)) {
		if (link->state == LINK_UP)
			link->args->on_push(link->args->arg, reply);
	} else if (link->state == LINK_GREETING) {
		link_greeted(link);
	} else {
		event_del(link->deadline);
		link_arm(link->timer, link_heartbeat_ms(link));
		link->args->on_heartbeat(link->args->arg, link->beat_redis_ms);
	}
}

static void
link_on_ok(redisAsyncContext *ac, void *r, void *arg)
{
	struct bridge_link *link = ac->data;
	const redisReply *reply = r;

	if (link == NULL || reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_STATUS)
		link_greeted(link);
	else
		link_fail_reply(link, reply);
}

static void
link_on_script(redisAsyncContext *ac, void *r, void *arg)
{
	struct bridge_link *link = ac->data;
	const redisReply *reply = r;

	if (link == NULL || reply == NULL)
		return;
	if (reply->type != REDIS_REPLY_STRING ||
	    (size_t)reply->len >= sizeof(link->sha)) {
		link_fail_reply(link, reply);
		return;
	}
	memcpy(link->sha, reply->str, (size_t)reply->len);
	link->sha[reply->len] = '\0';
	link_greeted(link);
}

/* Where INFO isn't allowed it is never the same one: more is sent again than
 * need be, which is left out over there. */
static void
link_on_info(redisAsyncContext *ac, void *r, void *arg)
{
	struct bridge_link *link = ac->data;
	const redisReply *reply = r;
	struct str rest, line;
	struct str key = STR("run_id:"), run_id = {NULL, 0};

	if (link == NULL || reply == NULL)
		return;
	if (reply->type == REDIS_REPLY_STRING) {
		rest = str_from(reply->str, reply->len);
		while (str_cut(&rest, '\n', &line))
			if (str_has_prefix(line, key))
				run_id = str_trim(str_from(line.p + key.len,
				    line.len - key.len));
	}
	if (run_id.len > 0 && run_id.p[run_id.len - 1] == '\r')
		run_id.len--;
	snprintf(link->run_id, sizeof(link->run_id), "%.*s", STR_FMT(run_id));
	link_greeted(link);
}

static void
link_login(struct bridge_link *link, redisAsyncContext *ac)
{
	struct str words[3] = {STR("AUTH")};
	size_t n = 1;

	if (link->url.password[0] == '\0')
		return;
	if (link->url.user[0] != '\0')
		words[n++] = str_of(link->url.user);
	words[n++] = str_of(link->url.password);
	link->greetings++;
	(void)link_send(ac, link_on_ok, link, words, n);
}

static void
link_greet(struct bridge_link *link)
{
	struct str load[] = {STR("SCRIPT"), STR("LOAD"), link->args->script};
	struct str info[] = {STR("INFO"), STR("server")};
	struct str select[2] = {STR("SELECT")}, now = STR("TIME");
	char number[16];

	link->greetings = 4;
	link_login(link, link->ask);
	link_login(link, link->listen);
	if (link->url.database != 0) {
		snprintf(number, sizeof(number), "%u", link->url.database);
		select[1] = str_of(number);
		link->greetings++;
		(void)link_send(link->ask, link_on_ok, link, select, 2);
	}
	(void)link_send(link->ask, link_on_info, link, info, 2);
	(void)link_send(link->ask, link_on_time, link, &now, 1);
	(void)link_send(link->ask, link_on_script, link, load, 3);
	link_listen_alive(link);
}

static redisAsyncContext *
link_open(struct bridge_link *link)
{
	redisAsyncContext *ac;

	/* A host's name is looked up here and now; only the bridge waits. */
	bridge_set(&link->args->figures->heartbeat_ms,
	    link_now_ms() + LINK_RESOLVE_MS);
	if (link->url.host[0] != '\0')
		ac = redisAsyncConnect(link->url.host, link->url.port);
	else
		ac = redisAsyncConnectUnix(link->url.path);
	bridge_set(&link->args->figures->heartbeat_ms, link_now_ms());
	if (ac == NULL) {
		bridge_link_fail(link, STR("no memory"));
		return NULL;
	}
	if (ac->err != 0 ||
	    redisLibeventAttach(ac, link->args->base) != REDIS_OK) {
		bridge_link_fail(link, str_of(ac->errstr));
		redisAsyncFree(ac);
		return NULL;
	}
	ac->data = link;
	redisAsyncSetConnectCallback(ac, link_on_connect);
	redisAsyncSetDisconnectCallback(ac, link_on_disconnect);
	return ac;
}

static void
link_connect(struct bridge_link *link)
{
	link->state = LINK_GREETING;
	link_arm(link->deadline, (uint64_t)link->args->config->connect_ms);
	link->ask = link_open(link);
	if (link->ask != NULL)
		link->listen = link_open(link);
	if (link->listen != NULL)
		link_greet(link);
}

static void
link_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct bridge_link *link = arg;

	if (link->state == LINK_WAITING)
		link_connect(link);
	else if (link->state == LINK_UP)
		link_beat(link);
}

/* --- life --- */

static int
link_name(struct bridge_link *link, struct error *err)
{
	const struct config_cluster *cfg = link->args->config;
	struct buf b;

	buf_init(&b, 0);
	config_add_url(&b, cfg->url);
	link->name = buf_take(&b);
	buf_add(&b, cfg->prefix);
	/* No channel has such a name. */
	buf_add(&b, STR("c:!"));
	link->alive = buf_take(&b);
	return link->name != NULL && link->alive != NULL ? 0 :
	    error_nomem(err, "the cluster's url");
}

struct bridge_link *
bridge_link_new(const struct bridge_link_args *args, struct error *err)
{
	struct bridge_link *link = calloc(1, sizeof(*link));

	if (link == NULL) {
		error_nomem(err, "a connection");
		return NULL;
	}
	link->args = args;
	link->backoff_ms = LINK_BACKOFF_MIN_MS;
	random_init(&link->random);
	link->timer = event_new(args->base, -1, 0, link_on_timer, link);
	link->deadline = event_new(args->base, -1, 0, link_on_deadline, link);
	if (link->timer == NULL || link->deadline == NULL) {
		error_nomem(err, "a timer");
		goto fail;
	}
	if (link_name(link, err) == -1)
		goto fail;
	if (redis_url_parse(args->config->url, &link->url) == -1) {
		error_set(err, ERROR_INVALID, "cluster.url isn't one");
		goto fail;
	}
	link_arm(link->timer, 0);
	return link;
fail:
	bridge_link_free(link);
	return NULL;
}

void
bridge_link_free(struct bridge_link *link)
{
	if (link == NULL)
		return;
	link->state = LINK_WAITING;
	link_abandon(&link->ask);
	link_abandon(&link->listen);
	if (link->timer != NULL)
		event_free(link->timer);
	if (link->deadline != NULL)
		event_free(link->deadline);
	free(link->name);
	free(link->alive);
	free(link);
}
