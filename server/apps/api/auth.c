/* SPDX-License-Identifier: MIT */
/*
 * What a token permits.  The jwt middleware has verified it before a handler
 * runs; its claim "permissions", where there is one, lists what its bearer may
 * do: ["read", "write"].
 *
 * Owns nothing.  Invariant: nothing is permitted without verified claims, also
 * where the configuration forgets the middleware.
 * Context: a worker's loop.  users.c, posts.c -> [auth.c]
 */
#include <errno.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "api.h"

static bool
auth_lists(const cJSON *list, const char *permission)
{
	const cJSON *item;

	for (item = list->child; item != NULL; item = item->next)
		if (cJSON_IsString(item) &&
		    strcmp(item->valuestring, permission) == 0)
			return true;
	return false;
}

int
auth_check(struct lane_ctx *c, const char *permission)
{
	struct lane_str claims = lane_attr_text(c, "jwt");
	const cJSON *list;
	cJSON *tree;
	bool is_allowed;

	if (claims.p == NULL)
		return lane_fail(c, 401, "a bearer token is needed");
	tree = cJSON_ParseWithLength(claims.p, claims.len);
	if (tree == NULL)
		return -ENOMEM;
	list = cJSON_GetObjectItemCaseSensitive(tree, "permissions");
	is_allowed = list == NULL || auth_lists(list, permission);
	cJSON_Delete(tree);
	if (is_allowed)
		return 0;
	return lane_fail_with(c, &(struct lane_problem){
	    .status = 403, .code = CODE_AUTH,
	    .message = lane_format(
		c, "The token does not permit: %s", permission)});
}
