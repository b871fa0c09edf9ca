/* SPDX-License-Identifier: MIT */
/*
 * Channels: rules, permits, publishing: see channel.h.
 *
 * Owns: what a token allows, per client.
 * Invariant: nothing is subscribed to or published without a rule.
 * Here: who may, and what.  Not here: presence (channel_presence.c), what
 * clients say (channel_protocol.c, channel_http.c).
 * Context: a worker's loop; channel_check() anywhere.
 */
#include "server/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "common/clock.h"
#include "common/utf8.h"
#include "server/attr.h"
#include "server/ctx.h"
#include "server/internal.h"
#include "server/json_check.h"
#include "server/module.h"

/* --- rules --- */

bool
channel_covers(struct str outer, struct str inner)
{
	if (outer.len == 0 || outer.p[outer.len - 1] != '*')
		return str_eq(outer, inner);
	return str_has_prefix(inner, str_from(outer.p, outer.len - 1));
}

static bool
is_pattern(struct str name)
{
	return name.len > 0 && name.p[name.len - 1] == '*';
}

const struct config_channel *
channel_rule(const struct config *cfg, struct str name)
{
	size_t i;

	for (i = 0; i < cfg->channels.count; i++)
		if (channel_covers(cfg->channels.item[i].match, name))
			return &cfg->channels.item[i];
	return NULL;
}

static bool
permit_is_hook(struct str permit)
{
	return str_find(permit, '.') < permit.len;
}

/* --- checks of the configuration --- */

static void
check_hook(struct server *srv, size_t at, const char *key, struct str permit,
    struct config_problems *problems)
{
	const struct module *module;
	struct error err;
	char path[64];

	if (!permit_is_hook(permit) ||
	    module_find_channel_rule(srv->modules, permit, &module, &err) !=
		NULL)
		return;
	snprintf(path, sizeof(path), "channels[%zu].%s", at, key);
	config_problem_add(problems, srv->config,
	    srv->config->channels.item[at].pos, path, "%s", err.text);
}

void
channel_check_rules(struct server *srv, struct config_problems *problems)
{
	const struct config_channels *rules = &srv->config->channels;
	char path[64];
	size_t i, j;

	for (i = 0; i < rules->count; i++) {
		const struct config_channel *rule = &rules->item[i];

		for (j = 0; j < i; j++)
			if (channel_covers(rules->item[j].match, rule->match))
				break;
		snprintf(path, sizeof(path), "channels[%zu]", i);
		if (j < i)
			config_problem_add(problems, srv->config, rule->pos,
			    path,
			    "never reached: channels[%zu] (\"%.*s\") matches "
			    "all of \"%.*s\"; put it in front",
			    j, STR_FMT(rules->item[j].match),
			    STR_FMT(rule->match));
		if (srv->modules == NULL)
			continue;
		check_hook(srv, i, "subscribe", rule->subscribe, problems);
		check_hook(srv, i, "publish", rule->publish, problems);
	}
}

/* --- who asks --- */

/* One block, so that a client with a token costs one allocation: the texts, and
 * the patterns, each with a line end behind it. */
struct channel_token {
	int64_t expires_s;
	struct str user, claims, sub, pub;
	char text[];
};

static bool
config_has_hooks(const struct config *cfg)
{
	size_t i;

	for (i = 0; i < cfg->channels.count; i++)
		if (permit_is_hook(cfg->channels.item[i].subscribe) ||
		    permit_is_hook(cfg->channels.item[i].publish))
			return true;
	return false;
}

/* The patterns that are valid; what isn't allows nothing. */
static void
token_add_patterns(struct buf *text, const cJSON *list, size_t *ret_len)
{
	size_t from = text->len;
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		struct str pattern = str_of(cJSON_GetStringValue(item));

		if (pattern.p == NULL || !channel_pattern_is_valid(pattern))
			continue;
		buf_add(text, pattern);
		buf_add_byte(text, '\n');
	}
	*ret_len = text->len - from;
}

static struct str
token_take(const char **at, size_t len)
{
	struct str s = str_from(*at, len);

	*at += len;
	return s;
}

static struct channel_token *
token_new(struct str user, struct str claims, bool keeps_claims)
{
	cJSON *tree = cJSON_ParseWithLength(claims.p, claims.len);
	const cJSON *lists = cJSON_GetObjectItemCaseSensitive(tree, "channels");
	size_t sub, pub, kept = keeps_claims ? claims.len : 0;
	struct channel_token *t = NULL;
	const char *at;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, user);
	buf_add(&b, str_from(claims.p, kept));
	token_add_patterns(&b,
	    cJSON_GetObjectItemCaseSensitive(lists, "sub"), &sub);
	token_add_patterns(&b,
	    cJSON_GetObjectItemCaseSensitive(lists, "pub"), &pub);
	cJSON_Delete(tree);
	if (!buf_failed(&b))
		t = malloc(sizeof(*t) + b.len);
	if (t != NULL) {
		if (b.len > 0)
			memcpy(t->text, b.p, b.len);
		at = t->text;
		t->user = token_take(&at, user.len);
		t->claims = token_take(&at, kept);
		t->sub = token_take(&at, sub);
		t->pub = token_take(&at, pub);
		t->expires_s = 0;
	}
	buf_done(&b);
	return t;
}

static int64_t
token_expiry(const struct request *r)
{
	struct lane_value exp = attr_get(r->attrs, STR("jwt.exp"));
	int64_t now = r->srv->clock.real_s, at = 0;

	if (exp.kind == LANE_INT)
		at = exp.u.i;
	else if (exp.kind == LANE_FLOAT && exp.u.f < 1e15)
		at = (int64_t)exp.u.f;
	/* Over, but for the issuer's clock, which the middleware allows for. */
	return at == 0 || at > now ? at : now + 1;
}

int
channel_client_init(struct channel_client *client, struct request *r)
{
	struct lane_value jwt = attr_get(r->attrs, STR("jwt"));
	struct lane_value sub = attr_get(r->attrs, STR("jwt.sub"));
	struct str user = STR("");

	client->srv = r->srv;
	client->token = NULL;
	if (jwt.kind != LANE_TEXT)
		return 0;
	if (sub.kind == LANE_TEXT)
		user = str_of_lane(sub.u.s);
	client->token = token_new(user, str_of_lane(jwt.u.s),
	    config_has_hooks(r->srv->config));
	if (client->token == NULL)
		return -ENOMEM;
	client->token->expires_s = token_expiry(r);
	return 0;
}

void
channel_client_done(struct channel_client *client)
{
	free(client->token);
	client->token = NULL;
}

struct str
channel_client_user(const struct channel_client *client)
{
	return client->token != NULL ? client->token->user : STR("");
}

int64_t
channel_client_expiry(const struct channel_client *client)
{
	return client->token != NULL ? client->token->expires_s : 0;
}

/* --- permits --- */

static bool
token_allows(const struct channel_token *t, enum channel_action action,
    struct str name)
{
	struct str rest = STR(""), pattern;

	if (t != NULL)
		rest = action == CHANNEL_SUBSCRIBE ? t->sub : t->pub;
	while (str_cut(&rest, '\n', &pattern))
		if (pattern.len > 0 && channel_covers(pattern, name))
			return true;
	return false;
}

/* Asks a module, in a context that may not wait. */
static bool
hook_allows(struct channel_client *client, struct str hook,
    const struct lane_channel_ask *ask)
{
	struct server *srv = client->srv;
	const struct lane_channel_rule *rule;
	const struct module *module = NULL;
	struct lane_ctx c = {.srv = srv, .is_task = true, .is_ended = true};
	uint64_t since;
	bool may;

	rule = module_find_channel_rule(srv->modules, hook, &module, NULL);
	if (rule == NULL)
		return false;
	arena_init(&c.own, &srv->arenas);
	c.arena = &c.own;
	c.module = module;
	since = ctx_enter(&c);
	may = rule->may(&c, ask);
	ctx_leave(&c, since);
	arena_done(&c.own);
	return may;
}

static bool
rule_allows(struct channel_client *client, const struct config_channel *rule,
    const struct lane_channel_ask *ask)
{
	bool subscribes = ask->action == LANE_CHANNEL_SUBSCRIBE;
	struct str permit = subscribes ? rule->subscribe : rule->publish;

	if (str_eq(permit, STR("anyone")))
		return true;
	if (str_eq(permit, STR("nobody")))
		return false;
	if (str_eq(permit, STR("token")))
		return token_allows(client->token,
		    subscribes ? CHANNEL_SUBSCRIBE : CHANNEL_PUBLISH,
		    str_of_lane(ask->channel));
	return hook_allows(client, permit, ask);
}

/* A pattern gives what rules in front of its own guard, too: each of them must
 * allow it. */
static bool
fronts_allow(struct channel_client *client, const struct config_channel *rule,
    const struct lane_channel_ask *ask)
{
	const struct config_channel *first = client->srv->config->channels.item;
	struct str name = str_of_lane(ask->channel);

	if (is_pattern(name))
		for (; first < rule; first++)
			if (channel_covers(name, first->match) &&
			    !rule_allows(client, first, ask))
				return false;
	return true;
}

/* Why a rule refuses: what the client's author can do about it differs. */
static int
refusal(const struct channel_token *t, struct str permit)
{
	if (!str_eq(permit, STR("token")))
		return -EACCES;
	return t == NULL ? -ENOKEY : -EKEYREJECTED;
}

int
channel_may(struct channel_client *client, enum channel_action action,
    struct str name, struct str data)
{
	const struct channel_token *t = client->token;
	struct lane_channel_ask ask = {
		.action = action == CHANNEL_SUBSCRIBE ? LANE_CHANNEL_SUBSCRIBE :
							LANE_CHANNEL_PUBLISH,
		.channel = lane_of(name),
		.data = lane_of(data),
	};
	const struct config_channel *rule;

	if (action == CHANNEL_SUBSCRIBE ? !channel_pattern_is_valid(name) :
	    !channel_name_is_valid(name))
		return -EINVAL;
	rule = channel_rule(client->srv->config, name);
	if (rule == NULL)
		return -ENOENT;
	if (t != NULL && t->user.len > 0)
		ask.user = lane_of(t->user);
	if (t != NULL && t->claims.len > 0)
		ask.claims = lane_of(t->claims);
	if (!fronts_allow(client, rule, &ask))
		return -EACCES;
	return rule_allows(client, rule, &ask) ? 0 : refusal(t,
	    action == CHANNEL_SUBSCRIBE ? rule->subscribe : rule->publish);
}

/* --- publishing --- */

int
channel_check(const struct config *cfg, struct str name, struct str data,
    enum channel_content content, const char **ret_why)
{
	const struct config_channel *rule;
	struct json_fault fault;
	const char *why = NULL;
	int rc = -EINVAL;

	if (!channel_name_is_valid(name)) {
		why = "a channel's name has 1 to 255 of A-Z a-z 0-9 . _ : -";
	} else if ((rule = channel_rule(cfg, name)) == NULL) {
		why = "no rule of the configuration has this channel";
		rc = -ENOENT;
	} else if (data.len > rule->message_bytes) {
		why = "longer than this channel's messages may be";
		rc = -EMSGSIZE;
	} else if (content == CHANNEL_TEXT && !utf8_is_valid(data)) {
		why = "a text must be UTF-8";
	} else if (content == CHANNEL_JSON &&
	    json_check(data, CHANNEL_JSON_DEPTH, &fault) == -1) {
		why = fault.what;
	}
	if (ret_why != NULL)
		*ret_why = why;
	return why == NULL ? 0 : rc;
}

int
channel_publish_checked(struct server *srv, struct str name, struct str data,
    enum channel_content content, struct channel_position *ret_pos)
{
	return hub_publish(srv->hub,
	    &(struct channel_message){.channel = name,
		.data = data,
		.content = content,
		.time_ms = clock_now_real_ms()},
	    ret_pos);
}

int
channel_publish(struct server *srv, struct str name, struct str data,
    enum channel_content content, struct channel_position *ret_pos)
{
	int rc = channel_check(srv->config, name, data, content, NULL);

	return rc < 0 ? rc :
			channel_publish_checked(srv, name, data, content,
			    ret_pos);
}
