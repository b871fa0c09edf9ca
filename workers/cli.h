/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of commands and one of options, from which the
 * parser, the help and "did you mean" are made.
 *
 * Owns: nothing beyond its own run.
 * Here: arguments, help, commands that aren't the server itself.  Not here: the
 * server (workers/supervisor.h), the other end of a command (command.h).
 * Context: a process of its own, for as long as the command takes; main.c ->
 * [cli.c] -> supervisor.c or control.c.
 */
#ifndef CORELANE_WORKERS_CLI_H
#define CORELANE_WORKERS_CLI_H

#include <stdbool.h>

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,		/* configuration, start, refused */
	CLI_USAGE = 2
};

/* What the command line said. */
struct cli_args {
	const char *config;	/* -c, or NULL */
	const char *socket;	/* -s, or NULL */
	unsigned workers;	/* -w, or 0 */
	bool json, print, now;	/* --json, --print, --now */
	const char *claims, *expires, *route; /* of `token`, or NULL */
	const char *operand;	/* "4" of `scale 4`, or NULL */
	const char *operand2;	/* the text of `publish`, or NULL */
};

/* Runs the command that `argv` asks for.  Returns the exit code. */
int cli_run(int argc, char **argv);

/* --- the commands (cli_command.c) --- */

int cli_serve(const struct cli_args *args);
int cli_check(const struct cli_args *args);
int cli_routes(const struct cli_args *args);
int cli_status(const struct cli_args *args);
int cli_reload(const struct cli_args *args);
int cli_scale(const struct cli_args *args);
int cli_stop(const struct cli_args *args);
int cli_reopen(const struct cli_args *args);
int cli_channels(const struct cli_args *args);
int cli_publish(const struct cli_args *args);
int cli_new(const struct cli_args *args);	/* cli_new.c */
int cli_token(const struct cli_args *args);	/* cli_token.c */
int cli_schema(const struct cli_args *args);
int cli_reference(const struct cli_args *args);

#endif
