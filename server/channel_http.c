/* SPDX-License-Identifier: MIT */
/*
 * Channels by plain requests: POST publishes, GET tells.
 *
 *	POST /channels/room.1		the content is the message
 *	POST /channels			{"channels":["a","b"],"data":...} or
 *					{"messages":[{"channel","data"},...]}
 *	GET /channels/room.1		position, subscribers, history, members
 *	GET /channels?channel=a		position, subscribers of each
 *
 * Owns nothing beyond a request.
 * Here: content in, JSON out.  Not here: who may (channel.c).
 * Context: a worker's loop.  handlers/channel.c -> [channel_http.c]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <corelane/corelane.h>

#include "server/channel_print.h"
#include "server/channel_route.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/json_check.h"
#include "server/json_walk.h"
#include "server/media_type.h"
#include "server/problem.h"
#include "server/query.h"
#include "server/ws_handshake.h"

#define BATCH_MAX 1000
/* A message's data, in its object, in the list, in the batch. */
#define BATCH_DEPTH (CHANNEL_JSON_DEPTH + 3)
#define HISTORY_DEFAULT 100

/* The answer, from a buffer that is done with then. */
static int
answer_json(struct request *r, struct buf *out)
{
	struct str text = str_from(NULL, 0);

	buf_add_byte(out, '\n');	/* for who asks from a terminal */
	if (!buf_failed(out))
		text = arena_copy(&r->arena, buf_str(out));
	buf_done(out);
	if (text.p == NULL ||
	    response_set(r, STR("Cache-Control"), STR("no-store")) == -1)
		return -ENOMEM;
	return response_text(r, 200, STR("application/json"), text);
}

/* --- one message --- */

/* A message has no media type: text is text, JSON is JSON, all else are
 * bytes.  What `curl -d` says is neither, and means text. */
static enum channel_content
content_of(struct request *r)
{
	struct str type = request_get(r, FIELD_CONTENT_TYPE), rest = type;

	if (type.p == NULL)
		return CHANNEL_TEXT;
	if (media_type_is_json(type))
		return CHANNEL_JSON;
	if (media_type_is(type, STR("application/x-www-form-urlencoded")) ||
	    (rest.len > 5 && str_eq_nocase(str_from(rest.p, 5), STR("text/"))))
		return CHANNEL_TEXT;
	return CHANNEL_BINARY;
}

static int
refuse_json(struct request *r, struct str text, unsigned depth)
{
	struct json_fault fault;
	struct str why;

	if (json_check(text, depth, &fault) == 0)
		return 0;
	if (fault.what == NULL)
		return -ENOMEM;
	why = arena_printf(&r->arena,
	    "the content isn't JSON: line %u, column %u: %s", fault.line,
	    fault.column, fault.what);
	return why.p == NULL ? -ENOMEM : response_error(r, 400, why.p);
}

/* Returns 0, or what the handler returns. */
static int
post_check(struct request *r, struct str name, struct str data,
    enum channel_content content)
{
	const char *why = NULL;
	int rc;

	if (content == CHANNEL_JSON) {
		if ((rc = refuse_json(r, data, CHANNEL_JSON_DEPTH)) != 0)
			return rc;
		content = CHANNEL_BINARY;	/* checked */
	}
	rc = channel_check(r->srv->config, name, data, content, &why);
	if (rc == -EINVAL)
		return response_error(r, 400, why);
	return rc < 0 ? channel_refuse(r, rc) : 0;
}

static void
print_published(struct buf *out, struct server *srv, struct str name,
    const struct channel_position *position)
{
	struct channel_state state = {0};

	(void)channel_log_find(hub_log(srv->hub), name, &state);
	buf_add(out, STR("{\"channel\":"));
	buf_add_json(out, name);
	buf_add_byte(out, ',');
	channel_print_position(out, position);
	buf_printf(out, ",\"subscribers\":%" PRIu32 "}", state.subscribers);
}

static int
post_one(struct request *r, struct channel_client *client, struct str name,
    struct str data)
{
	enum channel_content content = content_of(r);
	struct channel_position position;
	struct buf out;
	int rc;

	rc = channel_may(client, CHANNEL_PUBLISH, name, data);
	if (rc < 0)
		return channel_refuse(r, rc);
	if ((rc = post_check(r, name, data, content)) != 0)
		return rc;
	rc = channel_publish_checked(r->srv, name, data, content, &position);
	if (rc < 0)
		return channel_refuse(r, rc);
	buf_init(&out, 0);
	print_published(&out, r->srv, name, &position);
	return answer_json(r, &out);
}

/* --- many --- */

struct batch {
	struct request *r;
	struct channel_client *client;
	struct buf out;
	unsigned published, failed;
};

static void
batch_fail(struct batch *b, struct str channel, const char *code,
    const char *message)
{
	b->failed++;
	buf_add(&b->out, STR("{\"channel\":"));
	buf_add(&b->out, channel.p != NULL ? channel : STR("null"));
	buf_printf(&b->out, ",\"error\":{\"code\":\"%s\",\"message\":", code);
	buf_add_json(&b->out, str_of(message));
	buf_add(&b->out, STR("}}"));
}

/* channel: as it stands there; data: a value of the checked content. */
static void
batch_publish(struct batch *b, struct str channel, struct str data)
{
	struct server *srv = b->r->srv;
	struct str name = json_text(channel, &b->r->arena);
	struct channel_position position;
	int rc;

	if (b->published + b->failed > 0)
		buf_add_byte(&b->out, ',');
	if (name.p == NULL || data.p == NULL) {
		batch_fail(b, channel, "BAD_REQUEST", name.p == NULL ?
		    "channel must be a string" : "data is missing");
		return;
	}
	rc = channel_may(b->client, CHANNEL_PUBLISH, name, data);
	if (rc == 0)
		rc = channel_check(srv->config, name, data, CHANNEL_BINARY,
		    NULL);
	if (rc == 0)
		rc = channel_publish_checked(srv, name, data, CHANNEL_JSON,
		    &position);
	if (rc < 0) {
		batch_fail(b, channel, channel_failure(rc)->code,
		    channel_failure(rc)->message);
		return;
	}
	b->published++;
	print_published(&b->out, srv, name, &position);
}

static struct str
member_of(struct str object, struct str name, struct arena *a)
{
	struct str key, value, found = str_from(NULL, 0);
	struct json_walk w;

	if (json_kind(object) != '{')
		return found;
	json_walk_init(&w, object);
	while (json_walk_member(&w, a, &key, &value))
		if (str_eq(key, name))
			found = value;
	return found;
}

static size_t
count_items(struct str array)
{
	struct json_walk w;
	struct str item;
	size_t n = 0;

	json_walk_init(&w, array);
	while (json_walk_item(&w, &item))
		n++;
	return n;
}

static void
batch_run(struct batch *b, struct str list, struct str data)
{
	struct arena *a = &b->r->arena;
	struct json_walk w;
	struct str item;

	json_walk_init(&w, list);
	while (json_walk_item(&w, &item)) {
		if (data.p != NULL)
			batch_publish(b, item, data);
		else
			batch_publish(b, member_of(item, STR("channel"), a),
			    member_of(item, STR("data"), a));
	}
}

static int
post_many(struct request *r, struct channel_client *client, struct str text)
{
	struct batch b = {.r = r, .client = client};
	struct str channels, messages, data;
	int rc = refuse_json(r, text, BATCH_DEPTH);

	if (rc != 0)
		return rc;
	while (text.len > 0 && strchr(" \n\t\r", text.p[0]) != NULL)
		text = str_from(text.p + 1, text.len - 1);
	channels = member_of(text, STR("channels"), &r->arena);
	messages = member_of(text, STR("messages"), &r->arena);
	data = member_of(text, STR("data"), &r->arena);
	if (messages.p != NULL ? channels.p != NULL || data.p != NULL :
	    channels.p == NULL || data.p == NULL)
		return response_error(r, 400, "must have either \"channels\" "
		    "and \"data\", or \"messages\"");
	if (messages.p == NULL)
		messages = channels;
	if (json_kind(messages) != '[')
		return response_error(r, 400, "channels, messages: must be a "
		    "list");
	if (count_items(messages) > BATCH_MAX)
		return response_error(r, 413, "more than 1000 messages: send "
		    "them in parts");
	buf_init(&b.out, 0);
	buf_add(&b.out, STR("{\"results\":["));
	batch_run(&b, messages, data);
	buf_printf(&b.out, "],\"published\":%u,\"failed\":%u}", b.published,
	    b.failed);
	return answer_json(r, &b.out);
}

int
channel_http_post(struct request *r, const struct channel_route *route)
{
	struct channel_client client;
	struct lane_ctx *c = ctx_of(r);
	struct str data;
	int rc;

	if (!route->cfg->channel.publish)
		return response_error(r, 403, "publishing isn't allowed here");
	/* Any page could make its visitors publish: a text needs no leave of
	 * CORS to be sent, and brings their cookies. */
	if (!ws_check_origin(r, &route->cfg->channel.origins))
		return response_error(r, 403,
		    "pages of this origin may not publish here");
	if (c == NULL)
		return -ENOMEM;
	data = str_of_lane(lane_body(c));
	if (data.p == NULL && r->body.length > 0)
		return -ENOMEM;
	if (data.p == NULL)
		data = STR("");
	rc = channel_client_init(&client, r);
	if (rc < 0)
		return rc;
	if (route->names_channel)
		rc = post_one(r, &client, request_param(r, STR("channel")),
		    data);
	else
		rc = post_many(r, &client, data);
	channel_client_done(&client);
	return rc;
}

/* --- telling --- */

static int
get_one(struct request *r, struct str name)
{
	const struct config_channel *rule = channel_rule(r->srv->config, name);
	struct str limit = channel_query(r, "limit");
	struct str since = channel_query(r, "since");
	struct hub_past past = {.channel = name, .rule = rule};
	struct channel_position position;
	uint64_t max = HISTORY_DEFAULT;
	struct buf out;

	if (limit.p != NULL && str_to_u64(limit, &max) == -1)
		return response_error(r, 400, "limit: must be a number");
	if (since.p != NULL && !channel_position_parse(since, &position))
		return response_error(r, 400, "since: must be a position, as "
		    "\"5f3a9c21:42\"");
	past.since = since.p != NULL ? &position : NULL;
	past.max = max < CHANNEL_HISTORY_MAX ? (size_t)max :
	    CHANNEL_HISTORY_MAX;
	buf_init(&out, 0);
	buf_add_byte(&out, '{');
	channel_print_state(&out, r->srv, name);
	buf_add_byte(&out, ',');
	channel_print_history(&out, r->srv, "history", &past);
	if (rule->presence == PRESENCE_MEMBERS &&
	    str_eq(channel_query(r, "members"), STR("1"))) {
		buf_add_byte(&out, ',');
		channel_print_members(&out, r->srv, rule, name);
	}
	buf_add_byte(&out, '}');
	return answer_json(r, &out);
}

/* Whether it may be told of: a channel, not a pattern. */
static int
get_may(struct channel_client *client, struct str name)
{
	if (!channel_name_is_valid(name))
		return -EINVAL;
	return channel_may(client, CHANNEL_SUBSCRIBE, name, str_from(NULL, 0));
}

static int
get_many(struct request *r, struct channel_client *client)
{
	const struct query_list *list = query_parse(r->head->query, &r->arena);
	const struct pair *pair;
	struct buf out;
	size_t n;
	int rc = 0;

	if (list == NULL)
		return -ENOMEM;
	if (query_find(list, STR("channel"), 0) == NULL)
		return response_error(r, 400, "channel: is missing: name "
		    "those that you mean, ?channel=a&channel=b");
	buf_init(&out, 0);
	buf_add(&out, STR("{\"channels\":["));
	for (n = 0; (pair = query_find(list, STR("channel"), n)) != NULL; n++) {
		if ((rc = get_may(client, pair->value)) < 0)
			break;
		buf_add(&out, n > 0 ? STR(",{") : STR("{"));
		channel_print_state(&out, r->srv, pair->value);
		buf_add_byte(&out, '}');
	}
	buf_add(&out, STR("]}"));
	if (rc == 0)
		return answer_json(r, &out);
	buf_done(&out);
	return channel_refuse(r, rc);
}

int
channel_http_get(struct request *r, const struct channel_route *route)
{
	struct channel_client client;
	struct str name = request_param(r, STR("channel"));
	int rc = channel_client_init(&client, r);

	if (rc < 0)
		return rc;
	if (!route->names_channel)
		rc = get_many(r, &client);
	else if ((rc = get_may(&client, name)) < 0)
		rc = channel_refuse(r, rc);
	else
		rc = get_one(r, name);
	channel_client_done(&client);
	return rc;
}
