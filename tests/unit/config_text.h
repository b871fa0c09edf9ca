/* SPDX-License-Identifier: MIT */
/*
 * What the tests of config/ share: a text, and what the loader has to say
 * about it, as one string with a line for each problem.
 *
 *	config_text_check("[]", "x.json:1:1: must be an object, not a list\n",
 *	    "the root is an object");
 *
 * Context: one process per test file.
 */
#ifndef CORELANE_TESTS_CONFIG_TEXT_H
#define CORELANE_TESTS_CONFIG_TEXT_H

#include <stdlib.h>

#include "common/buf.h"
#include "config/config.h"
#include "tests/unit/unit.h"

/* A text and the problems it has; "" for none. */
struct config_text {
	const char *name;
	struct str text;
	const char *problems;
};

#define TEXT(literal) STR_INIT(literal)

/* Adds a line for each problem and frees them. */
static inline void
config_text_drain(struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->count; i++)
		buf_printf(out, "%s\n", problems->item[i]);
	config_problems_done(problems);
}

/* Fails unless exactly these problems are told, and a config is returned if,
 * and only if, there are none. */
static inline void
config_text_check(struct str text, const char *problems, const char *name)
{
	struct config_problems found;
	struct config *cfg = config_parse(text, "x.json", &found);
	struct buf lines;

	buf_init(&lines, 0);
	config_text_drain(&found, &lines);
	unit_check((cfg != NULL) == (problems[0] == '\0'), name);
	unit_check_str(buf_str(&lines), str_of(problems), name);
	buf_done(&lines);
	config_unref(cfg);
}

static inline void
config_text_check_all(const struct config_text *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		config_text_check(cases[i].text, cases[i].problems,
		    cases[i].name);
}

/* The config of a text that has no problem: the caller's reference. */
static inline struct config *
config_text_read(struct str text, const char *name)
{
	struct config_problems problems;
	struct config *cfg = config_parse(text, name, &problems);

	if (cfg == NULL)
		fail_msg("%s", problems.count > 0 ? problems.item[0] : name);
	config_problems_done(&problems);
	return cfg;
}

#endif
