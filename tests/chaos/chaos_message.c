/* SPDX-License-Identifier: MIT */
/* Messages that show whether they are whole: see chaos_message.h. */
#include "tests/chaos/chaos_message.h"

#define CHAOS_MESSAGE_MIN sizeof(uint64_t)

struct str
chaos_message_make(char *data, uint64_t key)
{
	size_t len = CHAOS_MESSAGE_MIN +
	    (key >> 32) % (CHAOS_MESSAGE_MAX - CHAOS_MESSAGE_MIN + 1);

	memcpy(data, &key, sizeof(key));
	for (size_t i = sizeof(key); i < len; i++)
		data[i] = (char)(key * 31 + i * 7);
	return str_from(data, len);
}

bool
chaos_message_is_good(struct str data)
{
	char expected[CHAOS_MESSAGE_MAX];
	uint64_t key;

	if (data.len < sizeof(key))
		return false;
	memcpy(&key, data.p, sizeof(key));
	return str_eq(chaos_message_make(expected, key), data);
}
