/* SPDX-License-Identifier: MIT */
/*
 * The table of metric names: see metric_names.h.
 *
 * Owns nothing.  Invariant: an entry's hash, once set, never changes, and no
 * two entries of a kind have the same.
 * Here: claiming and reading.  Not here: printing (stats_*.c).
 * Context: any process or thread; no locks.
 */
#include "common/metric_names.h"

#include <string.h>

#include "common/stats.h"
#include "common/utf8.h"

static struct metric_entry *
metric_entries(
    struct metric_names *names, enum metric_kind kind, unsigned *ret_count)
{
	*ret_count =
	    kind == METRIC_COUNTER ? METRIC_COUNTERS : METRIC_HISTOGRAMS;
	return kind == METRIC_COUNTER ? names->counter : names->histogram;
}

static void
words_store(_Atomic uint64_t *to, const char *text, size_t bytes)
{
	uint64_t word;

	for (size_t i = 0; i < bytes / 8; i++) {
		memcpy(&word, text + i * 8, 8);
		atomic_store_explicit(&to[i], word, memory_order_relaxed);
	}
}

static void
words_load(const _Atomic uint64_t *from, char *text, size_t bytes)
{
	uint64_t word;

	for (size_t i = 0; i < bytes / 8; i++) {
		word = atomic_load_explicit(&from[i], memory_order_relaxed);
		memcpy(text + i * 8, &word, 8);
	}
}

static bool
name_has_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_';
}

/* "<module>_<name>"; false: it is empty or doesn't fit. */
static bool
text_set_name(struct metric_text *t, enum metric_kind kind, struct str module,
    struct str name)
{
	size_t len = module.len + 1 + name.len;

	if (kind == METRIC_COUNTER && str_has_suffix(name, STR("_total")))
		len -= strlen("_total");
	if (module.len == 0 || len <= module.len + 1 || name.len == 0 ||
	    len >= sizeof(t->name))
		return false;
	memcpy(t->name, module.p, module.len);
	t->name[module.len] = '_';
	memcpy(t->name + module.len + 1, name.p, len - module.len - 1);
	for (size_t i = 0; i < len; i++)
		if (!name_has_byte(t->name[i]))
			t->name[i] = '_';
	return true;
}

/* One line of UTF-8, cut between two characters. */
static void
text_set_help(struct metric_text *t, struct str help)
{
	size_t at = 0;

	while (help.len > 0) {
		size_t n = utf8_length(help);
		bool is_text = n > 1 ||
		    (n == 1 && (uint8_t)*help.p >= ' ' && *help.p != 0x7f);

		if (n == 0)
			n = 1;
		if (at + n >= sizeof(t->help))
			break;
		memcpy(t->help + at, is_text ? help.p : " ", is_text ? n : 1);
		at += n;
		help = str_from(help.p + n, help.len - n);
	}
}

static uint64_t
text_hash(const struct metric_text *t)
{
	uint64_t hash = str_hash(str_of(t->name));

	return hash != 0 ? hash : 1;
}

/* Takes the entry for `hash`; true when it is, or was, that name's. */
static bool
entry_claim(struct metric_entry *e, uint64_t hash)
{
	uint64_t found = 0;

	return atomic_compare_exchange_strong(&e->hash, &found, hash) ||
	    found == hash;
}

static void
entry_complete(struct metric_entry *e, const struct metric_text *t)
{
	if (atomic_load_explicit(&e->is_complete, memory_order_acquire))
		return;
	words_store(e->name, t->name, sizeof(t->name));
	words_store(e->help, t->help, sizeof(t->help));
	atomic_store_explicit(&e->is_complete, 1, memory_order_release);
}

/* A family has one kind: "api_lookups" can't be both. */
static bool
names_has(struct metric_names *names, enum metric_kind kind, uint64_t hash)
{
	unsigned count;
	struct metric_entry *e = metric_entries(names, kind, &count);

	for (unsigned i = 0; i < count; i++)
		if (atomic_load(&e[i].hash) == hash)
			return true;
	return false;
}

int
metric_names_claim(struct metric_names *names, enum metric_kind kind,
    struct str module, struct str name, struct str help)
{
	enum metric_kind other =
	    kind == METRIC_COUNTER ? METRIC_HISTOGRAM : METRIC_COUNTER;
	struct metric_text text = {.name = ""};
	struct metric_entry *e;
	uint64_t hash;
	unsigned count;

	if (!text_set_name(&text, kind, module, name))
		return -1;
	text_set_help(&text, help);
	hash = text_hash(&text);
	if (names_has(names, other, hash) || stats_has_family(text.name))
		return -1;
	e = metric_entries(names, kind, &count);
	for (unsigned i = 0; i < count; i++) {
		if (!entry_claim(&e[i], hash))
			continue;
		entry_complete(&e[i], &text);
		return (int)i;
	}
	return -1;
}

bool
metric_names_get(const struct metric_names *names, enum metric_kind kind,
    unsigned index, struct metric_text *ret_text)
{
	const struct metric_entry *e = kind == METRIC_COUNTER ?
	    &names->counter[index] :
	    &names->histogram[index];

	if (!atomic_load_explicit(&e->is_complete, memory_order_acquire))
		return false;
	words_load(e->name, ret_text->name, sizeof(ret_text->name));
	words_load(e->help, ret_text->help, sizeof(ret_text->help));
	return true;
}
