/* SPDX-License-Identifier: MIT */
/*
 * "basic_auth" in a build without libcrypt: says so when the configuration is
 * checked.
 *
 * Owns nothing.  Here: the message.  Not here: passwords (basic_auth.c).
 * Context: the loop's thread.
 */
#include "server/middleware.h"

static int
no_basic_auth_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	return error_set(err, ERROR_INVALID, "this corelane was built without "
	    "basic_auth: build it with -Dbasic_auth=enabled");
}

const struct middleware middleware_basic_auth = {
	.name = "basic_auth",
	.setup = no_basic_auth_setup,
};
