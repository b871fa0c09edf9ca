/* SPDX-License-Identifier: MIT */
/*
 * Configurations: any bytes get a config or a problem; what is taken, printed
 * and read again is the same.
 *
 * No file can be opened meanwhile, so that {"file": "/dev/..."} is harmless;
 * the environment has one variable, LANE.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include <string.h>
#include <sys/resource.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

/* Sets how many files may be open; returns how many might have been. */
static rlim_t
files_allow(rlim_t count)
{
	struct rlimit limit;
	rlim_t before;

	FUZZ_PROMISE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	before = limit.rlim_cur;
	limit.rlim_cur = count;
	FUZZ_PROMISE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	return before;
}

/* Reads a text; what is told about it must be well-formed. */
static struct config *
read_text(struct str text)
{
	struct config_problems problems;
	rlim_t files = files_allow(0);
	struct config *cfg = config_parse(text, "x", &problems);

	files_allow(files);
	FUZZ_PROMISE((cfg == NULL) == (problems.count > 0));
	FUZZ_PROMISE(problems.count <= CONFIG_PROBLEMS_MAX);
	for (size_t i = 0; i < problems.count; i++) {
		const char *p = problems.item[i];

		FUZZ_PROMISE(strncmp(p, "x:", 2) == 0);
		FUZZ_PROMISE(strpbrk(p, "\n\r\t\x1b\x7f") == NULL);
		/* Nothing that the strict pass takes is refused by cJSON. */
		FUZZ_PROMISE(strstr(p, "out of memory") == NULL ||
		    problems.pos[i].line > 0);
	}
	config_problems_done(&problems);
	return cfg;
}

static void
check_round_trip(const struct config *cfg)
{
	struct config *again;
	struct buf b;

	buf_init(&b, 0);
	config_print(cfg, &b);
	again = read_text(buf_str(&b));
	FUZZ_PROMISE(again != NULL);
	FUZZ_PROMISE(str_eq(again->text_hash, cfg->text_hash));
	config_unref(again);
	buf_done(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size, so that a read past the end is seen. */
	char *text = malloc(size > 0 ? size : 1);
	struct config *cfg;

	FUZZ_PROMISE(text != NULL);
	FUZZ_PROMISE(clearenv() == 0 && setenv("LANE", "value", 1) == 0);
	memcpy(text, data, size);
	cfg = read_text(str_from(text, size));
	if (cfg != NULL)
		check_round_trip(cfg);
	config_unref(cfg);
	free(text);
	return 0;
}
