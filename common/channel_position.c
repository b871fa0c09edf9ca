/* SPDX-License-Identifier: MIT */
/*
 * Names of channels, and positions in them: as text, and compared.
 *
 *	5f3a9c21:42			epoch and offset: all of one origin
 *	5f3a9c21:42_5f3a9c21.30_b7c1d2e3.12	30 of ours, 12 of another's
 *
 * A position without a list has been given all that its own epoch published,
 * up to its offset, and nothing else.
 *
 * Owns nothing.
 * Here: text and arithmetic.  Not here: where messages are (channel_log.c).
 * Context: pure but for the entries, which are the ring's; any process.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/channel_region.h"

#define EPOCH_DIGITS 8

/* --- names --- */

static bool
name_has_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
	    (byte >= 'A' && byte <= 'Z') || byte == '.' || byte == ':' ||
	    byte == '_' || byte == '-';
}

static bool
name_is_made_of_bytes(struct str name)
{
	if (name.len > CHANNEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!name_has_byte(name.p[i]))
			return false;
	return true;
}

bool
channel_name_is_valid(struct str name)
{
	return name.len > 0 && name_is_made_of_bytes(name);
}

bool
channel_pattern_is_valid(struct str pattern)
{
	if (pattern.len == 0 || pattern.len > CHANNEL_NAME_MAX)
		return false;
	if (pattern.p[pattern.len - 1] == '*')
		pattern.len--;
	return pattern.len == 0 || name_is_made_of_bytes(pattern);
}

bool
channel_matches(struct str pattern, struct str name)
{
	if (pattern.len == 0 || pattern.p[pattern.len - 1] != '*')
		return str_eq(pattern, name);
	pattern.len--;
	return str_has_prefix(name, pattern);
}

/* --- text --- */

size_t
channel_position_print(const struct channel_position *pos,
    char to[CHANNEL_POSITION_MAX])
{
	size_t len = (size_t)snprintf(to, CHANNEL_POSITION_MAX,
	    "%08" PRIx32 ":%" PRIu64, pos->epoch, pos->offset);

	/* Sixteen of them at 30 bytes, and 29 before: there is room. */
	for (unsigned i = 0; i < pos->seen_count; i++)
		len += (size_t)snprintf(to + len, CHANNEL_POSITION_MAX - len,
		    "_%08" PRIx32 ".%" PRIu64, pos->seen[i].origin,
		    pos->seen[i].number);
	return len;
}

/* "5f3a9c21" of `rest`, and the separator behind. */
static bool
position_cut_epoch(struct str *rest, char separator, uint32_t *ret_epoch)
{
	uint32_t epoch = 0;
	int digit;

	if (rest->len <= EPOCH_DIGITS || rest->p[EPOCH_DIGITS] != separator)
		return false;
	for (size_t i = 0; i < EPOCH_DIGITS; i++) {
		digit = str_hex_digit(rest->p[i]);
		if (digit == -1)
			return false;
		epoch = epoch << 4 | (uint32_t)digit;
	}
	*rest = str_from(rest->p + EPOCH_DIGITS + 1,
	    rest->len - EPOCH_DIGITS - 1);
	*ret_epoch = epoch;
	return epoch != 0;
}

static bool
position_parse_seen(struct str text, struct channel_position *pos)
{
	unsigned n = pos->seen_count;

	if (n == CHANNEL_ORIGINS_MAX ||
	    !position_cut_epoch(&text, '.', &pos->seen[n].origin) ||
	    str_to_u64(text, &pos->seen[n].number) == -1)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (pos->seen[i].origin == pos->seen[n].origin)
			return false;
	pos->seen_count++;
	return true;
}

bool
channel_position_parse(struct str text, struct channel_position *ret_pos)
{
	struct channel_position pos = {0};
	struct str rest = text, part;

	if (text.len >= CHANNEL_POSITION_MAX || !str_cut(&rest, '_', &part) ||
	    !position_cut_epoch(&part, ':', &pos.epoch) ||
	    str_to_u64(part, &pos.offset) == -1)
		return false;
	while (str_cut(&rest, '_', &part))
		if (!position_parse_seen(part, &pos))
			return false;
	*ret_pos = pos;
	return true;
}

/* --- of entries, and compared --- */

void
channel_entry_position(const struct channel_entry *e,
    struct channel_position *ret_pos)
{
	size_t count = e->seen.len / sizeof(struct channel_origin);
	struct channel_origin seen[CHANNEL_ORIGINS_MAX];
	unsigned n = 0;

	if (count > CHANNEL_ORIGINS_MAX)
		count = 0;
	if (count > 0)
		memcpy(seen, e->seen.p, count * sizeof(seen[0]));
	ret_pos->epoch = e->epoch;
	ret_pos->offset = e->offset;
	/* Our own stands last there, and has no number yet where nothing was
	 * published here; it is told first. */
	if (count > 0 && seen[count - 1].number > 0) {
		ret_pos->seen[n].origin = seen[count - 1].origin;
		ret_pos->seen[n++].number = seen[count - 1].number;
	}
	for (size_t i = 0; i + 1 < count; i++, n++) {
		ret_pos->seen[n].origin = seen[i].origin;
		ret_pos->seen[n].number = seen[i].number;
	}
	ret_pos->seen_count = n;
}

/* The last message of an origin that has been given; 0: none. */
static uint64_t
position_number(const struct channel_position *pos, uint32_t origin)
{
	if (pos->seen_count == 0)
		return pos->epoch == origin ? pos->offset : 0;
	for (unsigned i = 0; i < pos->seen_count; i++)
		if (pos->seen[i].origin == origin)
			return pos->seen[i].number;
	return 0;
}

bool
channel_position_has(const struct channel_position *pos,
    const struct channel_entry *e)
{
	if (pos->epoch == e->epoch)
		return e->offset <= pos->offset;
	return e->number <= position_number(pos, e->origin);
}

/* With its own epoch for a list of one. */
static struct channel_position
position_listed(const struct channel_position *pos)
{
	struct channel_position listed = *pos;

	if (listed.seen_count == 0 && pos->offset > 0) {
		listed.seen_count = 1;
		listed.seen[0].origin = pos->epoch;
		listed.seen[0].number = pos->offset;
	}
	return listed;
}

bool
channel_position_missed(const struct channel_position *since,
    const struct channel_position *now, uint64_t *ret_count)
{
	struct channel_position a, b;
	uint64_t count = 0;

	if (since->epoch == 0 || now->epoch == 0)
		return false;
	if (since->epoch == now->epoch) {
		if (since->offset > now->offset)
			return false;
		*ret_count = now->offset - since->offset;
		return true;
	}
	a = position_listed(since);
	b = position_listed(now);
	if (a.seen_count == 0)
		return false;
	for (unsigned i = 0; i < a.seen_count; i++)
		if (position_number(&b, a.seen[i].origin) < a.seen[i].number)
			return false;
	for (unsigned i = 0; i < b.seen_count; i++) {
		uint64_t has = position_number(&a, b.seen[i].origin);

		count += b.seen[i].number > has ? b.seen[i].number - has : 0;
	}
	*ret_count = count;
	return true;
}
