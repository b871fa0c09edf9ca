/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes channel_position_parse(): what it accepts fits when it is printed, and
 * comes back from that.
 *
 * Context: called by libFuzzer's main or by replay.c.
 */
#include "common/channel_log.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_from((const char *)data, size), again;
	char printed[CHANNEL_POSITION_MAX];
	struct channel_position pos, read;
	uint64_t missed = 1;

	if (!channel_position_parse(text, &pos))
		return 0;
	FUZZ_PROMISE(pos.epoch != 0 && pos.seen_count <= CHANNEL_ORIGINS_MAX);
	again = str_from(printed, channel_position_print(&pos, printed));
	FUZZ_PROMISE(again.len < CHANNEL_POSITION_MAX);
	FUZZ_PROMISE(channel_position_parse(again, &read));
	FUZZ_PROMISE(read.epoch == pos.epoch && read.offset == pos.offset);
	FUZZ_PROMISE(read.seen_count == pos.seen_count);
	for (unsigned i = 0; i < pos.seen_count; i++)
		FUZZ_PROMISE(read.seen[i].origin == pos.seen[i].origin &&
		    read.seen[i].number == pos.seen[i].number);
	FUZZ_PROMISE(channel_position_missed(&pos, &read, &missed));
	FUZZ_PROMISE(missed == 0);
	return 0;
}
