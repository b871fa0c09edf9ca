/* SPDX-License-Identifier: MIT */
/*
 * The bridge in a build without hiredis.
 *
 * Owns nothing.  Here: saying so.  Not here: the bridge (bridge.c).
 * Context: as bridge.h says.
 */
#include "workers/bridge.h"

int
bridge_check(const struct config *config, struct error *err)
{
	if (config->cluster == NULL)
		return 0;
	return error_set(err, ERROR_INVALID, "this corelane was built without "
	    "redis (hiredis)");
}

int
bridge_run(const struct bridge_args *args)
{
	return 1;
}
