/* SPDX-License-Identifier: MIT */
/*
 * Who may use channels, by a module: "gate.USER" is that user's own, and nobody
 * publishes spam.
 */
#include <corelane/corelane.h>

#include <string.h>

static bool
is_owner(struct lane_ctx *c, const struct lane_channel_ask *ask)
{
	const struct lane_str prefix = LANE_STR("gate.");
	struct lane_str user = ask->user;

	/* What a context has besides waiting. */
	if (lane_alloc(c, 64) == NULL)
		return false;
	return user.p != NULL && ask->channel.len == prefix.len + user.len &&
	    memcmp(ask->channel.p + prefix.len, user.p, user.len) == 0;
}

static bool
is_clean(struct lane_ctx *c, const struct lane_channel_ask *ask)
{
	static const char word[] = "spam";
	size_t i, len = sizeof(word) - 1;

	(void)c;
	for (i = 0; i + len <= ask->data.len; i++)
		if (memcmp(ask->data.p + i, word, len) == 0)
			return false;
	return true;
}

static const struct lane_channel_rule rules[] = {
	{.name = "owner", .may = is_owner},
	{.name = "clean", .may = is_clean},
	{0},
};

LANE_MODULE_EXPORT lane_module = {
	.abi = LANE_ABI,
	.name = "gate",
	.channel_rules = rules,
};
