/* SPDX-License-Identifier: MIT */
/*
 * "jwt" in a build without OpenSSL: says so when the configuration is checked.
 *
 * Owns nothing.  Here: the message.  Not here: tokens (jwt.c).
 * Context: the loop's thread.
 */
#include "server/middleware.h"

static int
no_jwt_setup(const struct config_middleware *cfg, struct server *srv,
    void **ret_state, struct error *err)
{
	return error_set(err, ERROR_INVALID, "this corelane was built without "
	    "jwt: build it with -Djwt=enabled");
}

const struct middleware middleware_jwt = {
	.name = "jwt",
	.setup = no_jwt_setup,
};
