/* SPDX-License-Identifier: MIT */
/*
 * What the commands of the command line do: see cli.h.
 *
 * Owns: nothing.
 * Here: the commands.  Not here: parsing (cli.c), the server's side of them
 * (command.c).
 * Context: a process of its own; cli.c -> [cli_command.c] -> supervisor.c or
 * control.c.
 */
#include "workers/cli.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel_log.h"
#include "config/config.h"
#include "server/server.h"
#include "workers/bridge.h"
#include "workers/control.h"
#include "workers/privileges.h"
#include "workers/supervisor.h"

static int
cli_fail(const char *why)
{
	fprintf(stderr, "corelane: %s\n", why);
	return CLI_FAILED;
}

/* Writes to standard output.  Returns the exit code: a full disk or a closed
 * pipe is a failure too. */
static int
cli_write(struct buf *text)
{
	struct str s = buf_str(text);
	bool bad = buf_failed(text) || fwrite(s.p, 1, s.len, stdout) != s.len ||
	    fflush(stdout) != 0;

	buf_done(text);
	return bad ? cli_fail("can't write to standard output") : CLI_DONE;
}

int
cli_serve(const struct cli_args *args)
{
	return supervisor_run(&(struct supervisor_options){
		.file = args->config, .workers = args->workers});
}

/* --- configuration --- */

static void
cli_print_problems(struct config_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		fprintf(stderr, "%s\n", problems->item[i]);
	if (problems->dropped > 0)
		fprintf(stderr, "... and %zu more\n", problems->dropped);
	config_problems_done(problems);
}

static void
cli_tell_count(const char *what, size_t count, struct buf *out)
{
	buf_printf(out, ", %zu %s%s", count, what, count == 1 ? "" : "s");
}

static void
cli_tell_valid(const struct cli_args *args, const struct config *cfg,
    struct buf *out)
{
	buf_printf(out, "%s: valid", args->config);
	cli_tell_count("listener", cfg->listen_count, out);
	cli_tell_count("route", cfg->routes.count, out);
	if (cfg->modules.count > 0)
		cli_tell_count("module", cfg->modules.count, out);
	buf_add_byte(out, '\n');
}

/* What `check` or `routes` says of a file that is right. */
static int
cli_tell_config(const struct cli_args *args, struct config *cfg,
    struct buf *routes)
{
	struct buf text;

	if (routes != NULL)
		return cli_write(routes);
	buf_init(&text, 0);
	if (args->print)
		config_print(cfg, &text);
	else
		cli_tell_valid(args, cfg, &text);
	return cli_write(&text);
}

/* Checks with the modules in this process, and tells. */
static int
cli_check_here(const struct cli_args *args, struct config *cfg,
    bool with_routes)
{
	struct config_problems problems = {0};
	struct buf routes;
	struct error err;

	buf_init(&routes, 0);
	if (bridge_check(cfg, &problems) == -1 ||
	    server_check_modules(cfg, &problems, with_routes ? &routes : NULL)
	    > 0) {
		cli_print_problems(&problems);
		buf_done(&routes);
		return CLI_FAILED;
	}
	config_problems_done(&problems);
	if (!with_routes && privileges_check(cfg, &err) == -1) {
		fprintf(stderr, "%s: %s\n", args->config, err.text);
		return CLI_FAILED;
	}
	return cli_tell_config(args, cfg, with_routes ? &routes : NULL);
}

/* A module may crash the process that loads it: that is a finding, too. */
static int
cli_check_child(const struct cli_args *args, struct config *cfg,
    bool with_routes)
{
	pid_t pid = fork();
	int status;

	if (pid == -1)
		return cli_fail(strerror(errno));
	if (pid == 0)
		_exit(cli_check_here(args, cfg, with_routes));
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "%s: modules: the check was killed by SIG%s while it "
	    "loaded and initialised them\n", args->config,
	    sigabbrev_np(WTERMSIG(status)));
	return CLI_FAILED;
}

static int
cli_check_config(const struct cli_args *args, bool with_routes)
{
	struct config_problems problems;
	struct config *cfg = config_load(args->config, &problems);
	int code;

	if (cfg == NULL) {
		cli_print_problems(&problems);
		return CLI_FAILED;
	}
	config_problems_done(&problems);
	code = cfg->modules.count > 0
	    ? cli_check_child(args, cfg, with_routes)
	    : cli_check_here(args, cfg, with_routes);
	config_unref(cfg);
	return code;
}

int
cli_check(const struct cli_args *args)
{
	return cli_check_config(args, false);
}

int
cli_routes(const struct cli_args *args)
{
	return cli_check_config(args, true);
}

int
cli_schema(const struct cli_args *args)
{
	struct buf text;

	buf_init(&text, 0);
	config_print_schema(&text);
	return cli_write(&text);
}

int
cli_reference(const struct cli_args *args)
{
	struct buf text;

	buf_init(&text, 0);
	config_print_reference(&text);
	return cli_write(&text);
}

/* --- commands to a running server --- */

/*
 * The run_dir of a file that doesn't load: a server must be found, stopped and
 * told to reload, and say what is wrong, while its file is being edited.  Looks
 * for the literal key; without one it is the default.
 */
static void
cli_guess_run_dir(const char *file, char *out, size_t size)
{
	static char text[1 << 20];
	char folder[PATH_MAX], dir[PATH_MAX] = "run";
	const char *key, *slash;
	FILE *f = fopen(file, "re");
	size_t len = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	text[len] = '\0';
	key = strstr(text, "\"run_dir\"");
	if (key != NULL)
		(void)sscanf(key, "\"run_dir\" : \"%4000[^\"]\"", dir);
	slash = strrchr(file, '/');
	snprintf(folder, sizeof(folder), "%.*s",
	    slash != NULL ? (int)(slash - file + 1) : 2,
	    slash != NULL ? file : "./");
	snprintf(out, size, "%s%s", dir[0] == '/' ? "" : folder, dir);
}

/* Where the server of these arguments listens for commands.  Returns 0, or -1
 * when there is no such file. */
static int
cli_find_socket(const struct cli_args *args, char *out, size_t size,
    struct error *err)
{
	struct config_problems problems;
	char run_dir[2 * PATH_MAX];
	struct config *cfg;

	if (args->socket != NULL) {
		snprintf(out, size, "%s", args->socket);
		return 0;
	}
	if (access(args->config, R_OK) == -1)
		return error_sys(err, "configuration '%s'", args->config);
	cfg = config_load(args->config, &problems);
	if (cfg != NULL)
		snprintf(run_dir, sizeof(run_dir), "%s", cfg->run_dir.p);
	else
		cli_guess_run_dir(args->config, run_dir, sizeof(run_dir));
	config_problems_done(&problems);
	config_unref(cfg);
	snprintf(out, size, "%s/%s", run_dir, CONTROL_SOCKET_NAME);
	return 0;
}

static int
cli_ask_with(const struct cli_args *args, const struct control_question *q)
{
	char path[3 * PATH_MAX];
	struct error err;
	struct buf text;
	bool ok;

	if (cli_find_socket(args, path, sizeof(path), &err) == -1)
		return cli_fail(err.text);
	buf_init(&text, 0);
	if (control_ask(path, q, &ok, &text, &err) == -1) {
		buf_done(&text);
		return cli_fail(err.text);
	}
	if (ok)
		return cli_write(&text);
	fprintf(stderr, "%.*s", STR_FMT(buf_str(&text)));
	buf_done(&text);
	return CLI_FAILED;
}

static int
cli_ask(const struct cli_args *args, const char *line)
{
	return cli_ask_with(args, &(struct control_question){.line = line});
}

int
cli_status(const struct cli_args *args)
{
	return cli_ask(args, args->json ? "status json" : "status");
}

int
cli_reload(const struct cli_args *args)
{
	return cli_ask(args, "reload");
}

int
cli_scale(const struct cli_args *args)
{
	char line[64];
	uint64_t count;

	if (str_to_u64(str_of(args->operand), &count) == -1 ||
	    count > 999999999) {
		fprintf(stderr, "corelane scale: must be a number of workers, "
		    "not '%s'\n", args->operand);
		return CLI_USAGE;
	}
	snprintf(line, sizeof(line), "scale %u", (unsigned)count);
	return cli_ask(args, line);
}

int
cli_stop(const struct cli_args *args)
{
	return cli_ask(args, args->now ? "stop now" : "stop");
}

int
cli_reopen(const struct cli_args *args)
{
	return cli_ask(args, "reopen");
}

int
cli_channels(const struct cli_args *args)
{
	char line[CHANNEL_NAME_MAX + 32];

	if (args->operand != NULL &&
	    !channel_pattern_is_valid(str_of(args->operand))) {
		fprintf(stderr, "corelane channels: '%s' is no channel, and no "
		    "pattern like 'room.*'\n", args->operand);
		return CLI_USAGE;
	}
	snprintf(line, sizeof(line), "channels%s%s%s",
	    args->json ? " json" : "", args->operand != NULL ? " " : "",
	    args->operand != NULL ? args->operand : "");
	return cli_ask(args, line);
}

/* All of standard input, without the line end of its last line: what `echo`
 * adds is no part of a message. */
static int
cli_read_message(struct buf *out)
{
	char part[16384];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), stdin)) > 0)
		buf_add(out, str_from(part, n));
	if (ferror(stdin))
		return cli_fail("can't read standard input");
	if (buf_failed(out))
		return cli_fail("the message is longer than 16 MiB");
	if (out->len > 0 && out->p[out->len - 1] == '\n')
		out->len--;
	return CLI_DONE;
}

static int
cli_publish_text(const struct cli_args *args, struct str text)
{
	char line[CHANNEL_NAME_MAX + 32];

	snprintf(line, sizeof(line), "publish %s %s",
	    args->json ? "json" : "text", args->operand);
	return cli_ask_with(args, &(struct control_question){line, text});
}

int
cli_publish(const struct cli_args *args)
{
	struct buf text;
	int rc;

	if (!channel_name_is_valid(str_of(args->operand))) {
		fprintf(stderr, "corelane publish: '%s' is no channel: 1 to "
		    "255 of A-Z a-z 0-9 . _ : -\n", args->operand);
		return CLI_USAGE;
	}
	if (args->operand2 != NULL && strcmp(args->operand2, "-") != 0)
		return cli_publish_text(args, str_of(args->operand2));
	buf_init(&text, CONTROL_CONTENT_MAX);
	rc = cli_read_message(&text);
	if (rc == CLI_DONE)
		rc = cli_publish_text(args,
		    text.len > 0 ? buf_str(&text) : STR(""));
	buf_done(&text);
	return rc;
}
