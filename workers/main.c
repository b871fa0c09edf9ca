/* SPDX-License-Identifier: MIT */
/*
 * corelane: where it starts.
 *
 *	main.c -> cli.c		what is asked for
 *	supervisor.c		configuration, listeners, workers; watches them
 *	child.c -> worker.c	one process per core, with a loop of its own
 *	acceptor.c		a connection comes in
 *	server/			and is served
 *
 * Owns: the process.
 * Here: what must come before everything else.  Not here: anything else.
 * Context: the first thread of every process of corelane.
 */
#include <bsd/unistd.h>
#include <fcntl.h>
#include <unistd.h>

#include "workers/cli.h"

/* A descriptor that is closed would be the next socket's number, and what is
 * printed would go to a client. */
static void
main_fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd != -1 && fd <= STDERR_FILENO);
	if (fd != -1)
		close(fd);
}

int
main(int argc, char **argv)
{
	main_fill_standard_streams();
	setproctitle_init(argc, argv, environ);
	return cli_run(argc, argv);
}
