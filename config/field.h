/* SPDX-License-Identifier: MIT */
/*
 * The shape of the configuration's table: what a key is called, what it takes,
 * where its value goes, and what it means.  The table itself is in table.c,
 * table_handlers.c, table_middleware.c, table_modules.c and table_realtime.c;
 * everything that knows a key reads it there:
 *
 *	            +-> read.c       file to struct config, defaults, messages
 *	table*.c ---+-> print.c      struct config to file: check --print
 *	            +-> schema.c     corelane.schema.json
 *	            +-> reference.c  the README's tables
 *
 *	static const struct field timeouts[] = {
 *		{.key = "head", .kind = FIELD_DURATION, .def = JSON("10s"),
 *		 AT(struct config, timeouts.head_ms), .min = 1, .max = HOUR_MS,
 *		 .help = "the whole head of a request must be here"},
 *	};
 *
 * Context: constant; internal to config/.
 */
#ifndef CORELANE_CONFIG_FIELD_H
#define CORELANE_CONFIG_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/str.h"
#include "config/node.h"

/* What a key takes, and the C type behind it. */
enum field_kind {
	FIELD_BOOL,		/* bool */
	FIELD_INT,		/* int or int64_t */
	FIELD_SIZE,		/* size_t: "16KiB", 16384 */
	FIELD_DURATION,		/* int64_t, milliseconds: "10s" */
	FIELD_SECONDS,		/* int64_t, whole seconds: "1m" */
	FIELD_STRING,		/* struct str */
	FIELD_PATH,		/* struct str, made absolute */
	FIELD_OUTPUT,		/* struct str: "stderr", "stdout" or a path */
	FIELD_ADDRESS,		/* struct str that address_parse() takes */
	FIELD_LIBRARY,		/* struct config_library: "api.so", or a path */
	FIELD_DATABASE,		/* struct str: "sqlite:..." made absolute */
	FIELD_ENUM,		/* an enum or int: the index in `names` */
	FIELD_SELECTOR,		/* the same; it chooses a section's variant */
	FIELD_METHODS,		/* unsigned, METHOD_BIT()s */
	FIELD_STRINGS,		/* struct config_strings */
	FIELD_MAP,		/* struct config_fields: an object of strings */
	FIELD_JSON,		/* struct str: any value, as text */
	FIELD_NODE,		/* const struct node *: an object, as it is */
	FIELD_SECTION,		/* an object; its keys lie in the same struct */
	FIELD_POINTER,		/* an object of its own, or NULL */
	FIELD_LIST,		/* array and count: a list of such objects */
	FIELD_DICT,		/* the same: an object of them, by name */
	FIELD_ABSENT,		/* nothing: not part of this build */
	FIELD_KIND_COUNT
};

enum field_flags {
	FIELD_REQUIRED = 1,
	FIELD_NULLABLE = 2,	/* null: CONFIG_AUTO, empty, none */
	FIELD_AUTO = 4,		/* "auto": CONFIG_AUTO */
	FIELD_SECRET = 8,	/* printed as "***" */
	FIELD_FROM_FILE = 16	/* {"file": "path"} stands for its content */
};

/* Says what a text must be ("a token"), or NULL when it is right. */
typedef const char *(*field_check_fn)(struct str text);

struct section;
struct variant;

struct field {
	const char *key;
	enum field_kind kind;
	unsigned flags;
	size_t offset, bytes;		/* of the value in its struct: AT() */
	/* A bool in the same struct that reading this key sets to `when_is`; in
	 * another state the key isn't printed.  0: none. */
	size_t when;
	bool when_is;
	const char *def;		/* as the file would say it: JSON() */
	int64_t min, max;		/* numbers, sizes, durations */
	const int *numbers;		/* FIELD_INT: only these; ends with 0 */
	const char *const *names;	/* FIELD_ENUM: ends with NULL */
	const struct variant *variants;	/* FIELD_SELECTOR: the section's */
	field_check_fn check;		/* strings, also in lists and maps */
	field_check_fn check_key;	/* FIELD_MAP, FIELD_DICT */
	const struct section *section;	/* _SECTION, _POINTER, _LIST, _DICT */
	const char *help;		/* a phrase, no full stop */
};

/* One value of a selector, and the keys that come with it. */
struct variant {
	const char *name;
	const struct section *section;
	/* Where any "MODULE.NAME" that stands for it goes, a struct str; 0:
	 * none does. */
	size_t dotted;
};

struct section_scope;

struct section {
	const char *name;		/* "timeouts", "routes[]" */
	const char *help;
	const struct field *fields;	/* ends with a NULL key */
	size_t bytes;			/* of the struct, where it has its own;
					 * it starts with a struct config_pos */
	size_t name_at;			/* FIELD_DICT: where the key goes */
	/* FIELD_NODE: takes all keys that have no row; NULL: an error. */
	const struct field *rest;
	/* A section whose keys depend on one of them: by enum value, ends with
	 * a NULL name; `later` are names that later builds know. */
	const struct variant *variants;
	const char *const *later;
	/* What no single key can tell; values are read, defaults filled in. */
	void (*check)(const struct section_scope *scope);
};

/* Tells of handlers and middleware whose module isn't in "modules"
 * (table_modules.c). */
void modules_check_names(const struct section_scope *root);

/* What a section's check sees. */
struct section_scope {
	struct report *report;
	struct node *node;	/* the object in the file */
	void *base;			/* the struct */
};

/* Whether a key of the scope was read without a problem, or is a default. */
bool scope_is_good(const struct section_scope *scope, const char *key);

/* Tells a problem at a key of the scope, or at the object that lacks it. */
void scope_report(const struct section_scope *scope, const char *key,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define AT(type, member)                                                       \
	.offset = offsetof(type, member),                                      \
	.bytes = sizeof(((type *)NULL)->member)
#define WHEN(type, member, value)                                              \
	.when = offsetof(type, member), .when_is = (value)
#define JSON(...) #__VA_ARGS__

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_S INT64_C(86400)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The table. */
extern const struct section config_section;
extern const struct section middleware_section;
extern const struct section route_section;
extern const struct section module_section;
extern const struct section database_section;
extern const struct section websocket_section;
extern const struct section sse_section;
extern const struct section channel_section;
extern const struct section channel_log_section;
extern const struct section cluster_section;

/* The variant that the struct at `base` has, or NULL for a plain section. */
const struct variant *section_variant(const struct section *s,
    const void *base);

/* The key of a section or of its variant (may be NULL), or NULL. */
const struct field *section_find(const struct section *s,
    const struct variant *v, struct str key);

/* The selector among a section's keys; NULL for a plain section. */
const struct field *section_selector(const struct section *s);

/* Appends what a key takes: "a duration like \"10s\", or null". */
void field_add_wants(struct buf *b, const struct field *f);

/* Appends a number as the file would say it: 100, "16KiB", "10s". */
void field_add_number(struct buf *b, const struct field *f, int64_t value);

/* Reads or writes the number behind any integer kind. */
int64_t field_get_number(const struct field *f, const void *base);
void field_set_number(const struct field *f, void *base, int64_t value);

struct reader {
	struct arena *arena;	/* borrowed */
	struct report *report;	/* borrowed */
	struct str folder;	/* relative paths start here */
};

/* Fills `base` from an object of the file: defaults first (read.c). */
void read_section(struct reader *r, const struct section *s, struct node *n,
    void *base);

/* Fills one key's member from a value that isn't an object or a list of them
 * (value.c). */
void read_value(struct reader *r, const struct field *f, struct node *n,
    void *base);

/* Whether a member's name is what the table wants; told when it isn't. */
bool read_key(struct reader *r, const struct field *f, struct node *n);

/* Appends the section as a JSON object.  with_secrets: for hashing only. */
void print_section(struct buf *b, const struct section *s, const void *base,
    bool with_secrets);

#endif
