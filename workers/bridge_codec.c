/* SPDX-License-Identifier: MIT */
/*
 * What the bridge writes to Redis and reads from there: see bridge_codec.h.
 *
 * Owns nothing.
 * Here: the formats.
 * Context: pure functions.
 */
#include "workers/bridge_codec.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/utf8.h"
#include "server/json_check.h"

/* By enum channel_content. */
static const char codec_contents[] = {
	[CHANNEL_TEXT] = 't',
	[CHANNEL_JSON] = 'j',
	[CHANNEL_BINARY] = 'b',
	[CHANNEL_JOIN] = '+',
	[CHANNEL_LEAVE] = '-',
};

bool
bridge_id_parse(struct str text, struct bridge_id *ret_id)
{
	struct str ms;

	if (!str_cut(&text, '-', &ms) || str_is_null(text))
		return false;
	return str_to_u64(ms, &ret_id->ms) == 0 &&
	    str_to_u64(text, &ret_id->seq) == 0;
}

size_t
bridge_id_print(const struct bridge_id *id, char to[BRIDGE_ID_BYTES])
{
	return (size_t)snprintf(to, BRIDGE_ID_BYTES, "%" PRIu64 "-%" PRIu64,
	    id->ms, id->seq);
}

int
bridge_id_cmp(const struct bridge_id *a, const struct bridge_id *b)
{
	if (a->ms != b->ms)
		return a->ms < b->ms ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

void
bridge_envelope_print(struct buf *out, const struct bridge_envelope *e)
{
	buf_printf(out,
	    "1 %016" PRIx64 " %08" PRIx32 " %" PRIu64 " %c %" PRId64 "\n",
	    e->machine, e->origin, e->number, codec_contents[e->content],
	    e->time_ms);
	buf_add(out, e->data);
}

static bool
codec_hex(struct str text, size_t digits, uint64_t *ret_value)
{
	uint64_t value = 0;
	int digit;

	if (text.len != digits)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		digit = str_hex_digit(text.p[i]);
		if (digit == -1)
			return false;
		value = value << 4 | (uint64_t)digit;
	}
	*ret_value = value;
	return true;
}

static bool
codec_content(struct str text, enum channel_content *ret_content)
{
	for (size_t i = 0; i < sizeof(codec_contents); i++)
		if (text.len == 1 && text.p[0] == codec_contents[i]) {
			*ret_content = (enum channel_content)i;
			return true;
		}
	return false;
}

static bool
codec_data_is_good(enum channel_content content, struct str data)
{
	struct json_fault fault;

	switch (content) {
	case CHANNEL_BINARY:
		return true;
	case CHANNEL_TEXT:
		return utf8_is_valid(data);
	case CHANNEL_JSON:
	case CHANNEL_JOIN:
	case CHANNEL_LEAVE:
		return json_check(data, JSON_DEPTH_MAX, &fault) == 0;
	}
	return false;
}

bool
bridge_envelope_parse(struct str text, struct bridge_envelope *ret_e)
{
	struct str line, version, machine, origin, number, content;
	uint64_t origin_value, time_ms;

	if (!str_cut(&text, '\n', &line) || str_is_null(text))
		return false;
	if (!str_cut(&line, ' ', &version) || !str_eq(version, STR("1")) ||
	    !str_cut(&line, ' ', &machine) || !str_cut(&line, ' ', &origin) ||
	    !str_cut(&line, ' ', &number) || !str_cut(&line, ' ', &content))
		return false;
	if (!codec_hex(machine, 16, &ret_e->machine) ||
	    !codec_hex(origin, 8, &origin_value) ||
	    str_to_u64(number, &ret_e->number) == -1 ||
	    !codec_content(content, &ret_e->content) ||
	    str_to_u64(line, &time_ms) == -1 || time_ms > INT64_MAX)
		return false;
	ret_e->origin = (uint32_t)origin_value;
	ret_e->time_ms = (int64_t)time_ms;
	ret_e->data = text;
	return ret_e->origin != 0 && ret_e->number != 0 &&
	    codec_data_is_good(ret_e->content, text);
}

bool
bridge_push_parse(struct str text, struct bridge_id *ret_id,
    struct str *ret_envelope)
{
	struct str id;

	if (!str_cut(&text, ' ', &id) || str_is_null(text))
		return false;
	*ret_envelope = text;
	return bridge_id_parse(id, ret_id);
}

void
bridge_glob_add(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] != '\0' && strchr("*?[]\\", text.p[i]) != NULL)
			buf_add_byte(out, '\\');
		buf_add_byte(out, text.p[i]);
	}
}
