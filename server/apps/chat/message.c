/* SPDX-License-Identifier: MIT */
/*
 * Messages: what the server makes of what somebody says.
 *
 *	{"id": uuid, "user_id", "username", "content", "timestamp": seconds,
 *	 "message_type": "Text" | "Image" | "File" | "System"}
 *
 * Id, user and time are the server's; text that people have typed is escaped
 * before it is published, once, so that it is harmless to a page that forgets.
 *
 * Context: a worker's loop.  visitor.c -> [message.c]
 */
#include "chat.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char *const kinds[] = {
	[MESSAGE_TEXT] = "Text",
	[MESSAGE_IMAGE] = "Image",
	[MESSAGE_FILE] = "File",
	[MESSAGE_SYSTEM] = "System",
};

bool
message_kind_of(const char *text, enum message_kind *ret_kind)
{
	enum message_kind kind;

	for (kind = MESSAGE_TEXT; kind < MESSAGE_SYSTEM; kind++) {
		if (strcmp(text, kinds[kind]) == 0) {
			*ret_kind = kind;
			return true;
		}
	}
	return false;
}

static const char *
entity(char byte)
{
	switch (byte) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* The first max_chars characters of UTF-8. */
static struct lane_str
cut(struct lane_str text, unsigned max_chars)
{
	unsigned chars = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		/* All but 10xxxxxx begin one. */
		if (((unsigned char)text.p[i] & 0xc0) != 0x80 &&
		    chars++ == max_chars)
			break;
	}
	return (struct lane_str){text.p, i};
}

/* Byte by byte, so that an entity is never escaped again. */
struct lane_str
message_escape(struct lane_ctx *c, struct lane_str text, unsigned max_chars)
{
	struct lane_str part = cut(text, max_chars), out = {NULL, 0};
	size_t i, len = 0;
	char *p, *at;

	for (i = 0; i < part.len; i++)
		len += entity(part.p[i]) ? strlen(entity(part.p[i])) : 1;
	p = at = lane_alloc(c, len + 1);
	if (p == NULL)
		return out;
	for (i = 0; i < part.len; i++) {
		const char *e = entity(part.p[i]);
		size_t n = e != NULL ? strlen(e) : 1;

		memcpy(at, e != NULL ? e : &part.p[i], n);
		at += n;
	}
	out.p = p;
	out.len = len;
	return out;
}

/* RFC 9562 5.4: version 4, variant 10. */
static struct lane_str
uuid(struct lane_ctx *c)
{
	static const char digits[] = "0123456789abcdef";
	struct lane_str none = {NULL, 0};
	unsigned char bytes[16];
	char *text = lane_alloc(c, 37), *p = text;
	unsigned i;

	if (text == NULL || getrandom(bytes, sizeof(bytes), 0) != 16)
		return none;
	bytes[6] = (unsigned char)(0x40 | (bytes[6] & 0x0f));
	bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 0x0f];
	}
	return (struct lane_str){text, 36};
}

int
message_publish(struct lane_ctx *c, const struct visitor *v,
    enum message_kind kind, struct lane_str content)
{
	bool is_system = kind == MESSAGE_SYSTEM;
	struct lane_str id = uuid(c), text;
	struct lane_json_writer *w = lane_json_new(c);

	if (id.p == NULL || content.p == NULL)
		return -ENOMEM;
	lane_json_object(w);
	lane_json_add_str(w, "id", id);
	lane_json_add_str(
	    w, "user_id", lane_str_of(is_system ? "system" : v->user));
	lane_json_add_str(
	    w, "username", lane_str_of(is_system ? "System" : v->name));
	lane_json_add_str(w, "content", content);
	lane_json_add_int(w, "timestamp", lane_time_s(c));
	lane_json_add_str(w, "message_type", lane_str_of(kinds[kind]));
	lane_json_end(w);
	text = lane_json_text(w);
	if (text.p == NULL)
		return -ENOMEM;
	return lane_publish(c, v->room, text, LANE_PUBLISH_JSON);
}
