/* SPDX-License-Identifier: MIT */
/*
 * The bridge in a build without hiredis.
 *
 * Owns nothing.  Here: saying so.  Not here: the bridge (bridge.c).
 * Context: as bridge.h says.
 */
#include "workers/bridge.h"

int
bridge_check(const struct config *config, struct config_problems *problems)
{
	if (config->cluster == NULL)
		return 0;
	config_problem_add(problems, config, config->cluster->pos, "cluster",
	    "this corelane was built without redis (hiredis)");
	return -1;
}

int
bridge_run(const struct bridge_args *args)
{
	return 1;
}
