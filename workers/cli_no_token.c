/* SPDX-License-Identifier: MIT */
/*
 * `corelane token` in a build without OpenSSL.
 *
 * Owns: nothing.  Here: the message.  Not here: tokens (cli_token.c).
 * Context: a process of its own.
 */
#include <stdio.h>

#include "workers/cli.h"

int
cli_token(const struct cli_args *args)
{
	fprintf(stderr, "corelane token: this corelane was built without jwt: "
	    "build it with -Djwt=enabled\n");
	return CLI_FAILED;
}
