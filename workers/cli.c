/* SPDX-License-Identifier: MIT */
/*
 * The command line, read: see cli.h.
 *
 * Owns: nothing.
 * Here: the tables, parsing, help.  Not here: what the commands do
 * (cli_command.c).
 * Context: a process of its own; main.c -> [cli.c] -> cli_command.c.
 */
#include "workers/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/suggest.h"
#include "workers/shared.h"
#include "workers/version.h"

/* Which options a command takes. */
#define TAKES_CONFIG	0x01u
#define TAKES_SOCKET	0x02u
#define TAKES_WORKERS	0x04u
#define TAKES_JSON	0x08u
#define TAKES_PRINT	0x10u
#define TAKES_NOW	0x20u
#define NEEDS_CONFIG	0x40u	/* -c must be there */
#define NEEDS_SERVER	0x80u	/* -c or -s must be there */
#define TAKES_CLAIMS	0x100u	/* --claims, --expires, --route */
#define TAKES_MORE	0x200u	/* one operand that may be missing */

struct cli_command {
	const char *name;
	const char *usage;	/* what may follow the name */
	const char *help;	/* NULL: not listed, for tools */
	const char *operand;	/* what is said where it is missing, or NULL */
	unsigned takes;
	int (*run)(const struct cli_args *args);
};

#define ASKS (TAKES_CONFIG | TAKES_SOCKET | NEEDS_SERVER)

static const struct cli_command cli_commands[] = {
	{"run", "-c FILE [-w N]", "serve in the foreground (the default)",
	    NULL, TAKES_CONFIG | TAKES_WORKERS | NEEDS_CONFIG, cli_serve},
	{"check", "-c FILE [--print]",
	    "validate a configuration; nothing is bound or touched", NULL,
	    TAKES_CONFIG | TAKES_PRINT | NEEDS_CONFIG, cli_check},
	{"routes", "-c FILE", "print the route table", NULL,
	    TAKES_CONFIG | NEEDS_CONFIG, cli_routes},
	{"status", "[--json] -c FILE", "how the running server is", NULL,
	    ASKS | TAKES_JSON, cli_status},
	{"reload", "-c FILE", "take the configuration anew; nothing is lost",
	    NULL, ASKS, cli_reload},
	{"scale", "N -c FILE", "serve with N workers from now on",
	    "say how many", ASKS, cli_scale},
	{"stop", "[--now] -c FILE", "drain and stop; --now: at once", NULL,
	    ASKS | TAKES_NOW, cli_stop},
	{"reopen", "-c FILE", "open the log files again, after rotation",
	    NULL, ASKS, cli_reopen},
	{"channels", "[PATTERN] -c FILE",
	    "channels, subscribers, messages and rates; --json", NULL,
	    ASKS | TAKES_JSON | TAKES_MORE, cli_channels},
	{"publish", "CHANNEL [TEXT] -c FILE",
	    "publish a text, or standard input; --json: as JSON",
	    "say in which channel", ASKS | TAKES_JSON | TAKES_MORE,
	    cli_publish},
	{"new", "DIR", "make a module to start from: source, build file, test",
	    "say which folder", 0, cli_new},
	{"token", "-c FILE --claims JSON",
	    "a JSON Web Token, signed as the file's \"jwt\" wants", NULL,
	    TAKES_CONFIG | NEEDS_CONFIG | TAKES_CLAIMS, cli_token},
	{"schema", "", NULL, NULL, 0, cli_schema},
	{"reference", "", NULL, NULL, 0, cli_reference},
};
#define CLI_COMMANDS (sizeof(cli_commands) / sizeof(cli_commands[0]))

enum {
	OPT_JSON = 256,
	OPT_PRINT,
	OPT_NOW,
	OPT_CLAIMS,
	OPT_EXPIRES,
	OPT_ROUTE
};

static const struct option cli_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 's'},
	{"workers", required_argument, NULL, 'w'},
	{"json", no_argument, NULL, OPT_JSON},
	{"print", no_argument, NULL, OPT_PRINT},
	{"now", no_argument, NULL, OPT_NOW},
	{"claims", required_argument, NULL, OPT_CLAIMS},
	{"expires", required_argument, NULL, OPT_EXPIRES},
	{"route", required_argument, NULL, OPT_ROUTE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

static const char cli_help_tail[] =
    "\n"
    "  -c, --config FILE   the configuration; commands find the server by it\n"
    "  -s, --socket PATH   the server's control socket, run_dir/control.sock\n"
    "  -w, --workers N     so many workers, whatever the file says\n"
    "  --claims JSON       what a token says: '{\"sub\": \"me\"}'; it gets\n"
    "                      iat and exp unless they are there\n"
    "  --expires 1h        how long it holds;  --route PATH: whose \"jwt\"\n"
    "                      signs it, else the first that can\n"
    "  -h, --help          this text\n"
    "  -v, --version       the version;  -V: and what it was built with\n"
    "\n"
    "A first server:\n"
    "  corelane check -c corelane.json     says what is wrong, and where\n"
    "  corelane -c corelane.json           serves until Ctrl-C\n"
    "  corelane status -c corelane.json    in another terminal\n"
    "\n"
    "Commands to a running server return when it is done: exit code 0 done,\n"
    "1 failed, with the reason, 2 wrong usage.\n"
    "Signals: TERM, INT, QUIT stop (twice: at once), HUP reload, USR1 reopen,\n"
    "TTIN and TTOU one worker more and fewer.\n";

static int
cli_print_help(void)
{
	printf("corelane %s, an application server\n\nusage:\n",
	    CORELANE_VERSION);
	for (size_t i = 0; i < CLI_COMMANDS; i++) {
		const struct cli_command *c = &cli_commands[i];
		char left[48];

		if (c->help == NULL)
			continue;
		snprintf(left, sizeof(left), "%s %s", c->name, c->usage);
		printf("  corelane %-32s %s\n", left, c->help);
	}
	fputs(cli_help_tail, stdout);
	return CLI_DONE;
}

static int
cli_print_version(bool with_build)
{
	printf("corelane %s\n", CORELANE_VERSION);
	if (with_build)
		fputs(version_build, stdout);
	return CLI_DONE;
}

/* --- commands --- */

static const struct cli_command *
cli_find(const char *name)
{
	for (size_t i = 0; i < CLI_COMMANDS; i++)
		if (strcmp(cli_commands[i].name, name) == 0)
			return &cli_commands[i];
	return NULL;
}

static int
cli_refuse_unknown(const char *name)
{
	struct suggest near = {.word = str_of(name)};

	for (size_t i = 0; i < CLI_COMMANDS; i++)
		suggest_try(&near, cli_commands[i].name);
	fprintf(stderr, "corelane: unknown command '%s'", name);
	if (near.best != NULL)
		fprintf(stderr, ": did you mean '%s'?", near.best);
	fprintf(stderr, "\n'corelane --help' lists them.\n");
	return CLI_USAGE;
}

static int
cli_refuse(const struct cli_command *c, const char *why)
{
	fprintf(stderr, "corelane %s: %s\nusage: corelane %s %s\n", c->name,
	    why, c->name, c->usage);
	return CLI_USAGE;
}

/* --- parsing --- */

struct cli_parsed {
	struct cli_args args;
	unsigned given;		/* TAKES_*: the options that were there */
	bool help, version, build;
};

static int
cli_parse_workers(const char *text, unsigned *ret_workers)
{
	uint64_t n;

	if (str_to_u64(str_of(text), &n) == -1 || n < 1 ||
	    n > SHARED_WORKERS_MAX) {
		fprintf(stderr, "corelane: -w must be a number from 1 to %u, "
		    "not '%s'\n", SHARED_WORKERS_MAX, text);
		return -1;
	}
	*ret_workers = (unsigned)n;
	return 0;
}

/* Takes one option.  Returns 0, or -1 with the reason printed. */
static int
cli_take(int option, struct cli_parsed *p)
{
	switch (option) {
	case 'c':
		p->args.config = optarg;
		p->given |= TAKES_CONFIG;
		return 0;
	case 's':
		p->args.socket = optarg;
		p->given |= TAKES_SOCKET;
		return 0;
	case 'w':
		p->given |= TAKES_WORKERS;
		return cli_parse_workers(optarg, &p->args.workers);
	case OPT_JSON:
		p->args.json = true;
		p->given |= TAKES_JSON;
		return 0;
	case OPT_PRINT:
		p->args.print = true;
		p->given |= TAKES_PRINT;
		return 0;
	case OPT_NOW:
		p->args.now = true;
		p->given |= TAKES_NOW;
		return 0;
	case OPT_CLAIMS:
		p->args.claims = optarg;
		p->given |= TAKES_CLAIMS;
		return 0;
	case OPT_EXPIRES:
		p->args.expires = optarg;
		p->given |= TAKES_CLAIMS;
		return 0;
	case OPT_ROUTE:
		p->args.route = optarg;
		p->given |= TAKES_CLAIMS;
		return 0;
	case 'h':
		p->help = true;
		return 0;
	case 'v':
		p->version = true;
		return 0;
	case 'V':
		p->version = p->build = true;
		return 0;
	default:
		/* getopt_long() has said what is wrong. */
		fprintf(stderr, "'corelane --help' lists what there is.\n");
		return -1;
	}
}

/* What a command can't do with what was given, or NULL. */
static const char *
cli_find_fault(const struct cli_command *c, const struct cli_parsed *p,
    int operand_count)
{
	if (p->given & ~c->takes)
		return "takes no such option";
	if (c->takes & NEEDS_CONFIG && p->args.config == NULL)
		return "say which configuration with -c FILE";
	if (c->takes & NEEDS_SERVER && p->args.config == NULL &&
	    p->args.socket == NULL)
		return "say which server with -c FILE or -s SOCKET";
	if (operand_count > (c->operand != NULL) + !!(c->takes & TAKES_MORE))
		return "too many arguments";
	if (c->operand != NULL && operand_count == 0)
		return c->operand;
	return NULL;
}

int
cli_run(int argc, char **argv)
{
	struct cli_parsed p = {.given = 0};
	const struct cli_command *c = &cli_commands[0];
	const char *fault;
	int option, first;

	while ((option = getopt_long(argc, argv, "c:s:w:hvV", cli_options,
	    NULL)) != -1)
		if (cli_take(option, &p) == -1)
			return CLI_USAGE;
	if (p.help)
		return cli_print_help();
	if (p.version)
		return cli_print_version(p.build);
	first = optind;		/* getopt_long() has moved operands here */
	if (first < argc) {
		c = cli_find(argv[first]);
		if (c == NULL)
			return cli_refuse_unknown(argv[first]);
		first++;
	}
	fault = cli_find_fault(c, &p, argc - first);
	if (fault != NULL)
		return cli_refuse(c, fault);
	p.args.operand = first < argc ? argv[first] : NULL;
	p.args.operand2 = first + 1 < argc ? argv[first + 1] : NULL;
	return c->run(&p.args);
}
