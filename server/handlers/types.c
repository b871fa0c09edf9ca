/* SPDX-License-Identifier: MIT */
/*
 * The table of media types that a site needs (IANA's registry); a route's
 * "types" come before it.
 *
 * Owns nothing.  Here: endings.  Not here: looking into files.
 * Context: any thread.
 */
#include "server/handlers/types.h"

#include <stdlib.h>
#include <strings.h>

#define ENDING_BYTES_MAX 15
#define UTF8 "; charset=utf-8"

struct media_type {
	char ending[ENDING_BYTES_MAX + 1];
	struct str type;
};

/* In the order of strcasecmp(), for bsearch(). */
static const struct media_type types[] = {
	{".aac", STR_INIT("audio/aac")},
	{".apng", STR_INIT("image/apng")},
	{".avif", STR_INIT("image/avif")},
	{".bin", STR_INIT("application/octet-stream")},
	{".bmp", STR_INIT("image/bmp")},
	{".bz2", STR_INIT("application/x-bzip2")},
	{".css", STR_INIT("text/css" UTF8)},
	{".csv", STR_INIT("text/csv" UTF8)},
	{".eot", STR_INIT("application/vnd.ms-fontobject")},
	{".epub", STR_INIT("application/epub+zip")},
	{".flac", STR_INIT("audio/flac")},
	{".gif", STR_INIT("image/gif")},
	{".gz", STR_INIT("application/gzip")},
	{".htm", STR_INIT("text/html" UTF8)},
	{".html", STR_INIT("text/html" UTF8)},
	{".ico", STR_INIT("image/vnd.microsoft.icon")},
	{".ics", STR_INIT("text/calendar" UTF8)},
	{".jpeg", STR_INIT("image/jpeg")},
	{".jpg", STR_INIT("image/jpeg")},
	{".js", STR_INIT("text/javascript" UTF8)},
	{".json", STR_INIT("application/json")},
	{".jsonld", STR_INIT("application/ld+json")},
	{".jxl", STR_INIT("image/jxl")},
	{".log", STR_INIT("text/plain" UTF8)},
	{".m3u8", STR_INIT("application/vnd.apple.mpegurl")},
	{".m4a", STR_INIT("audio/mp4")},
	{".map", STR_INIT("application/json")},
	{".md", STR_INIT("text/markdown" UTF8)},
	{".mjs", STR_INIT("text/javascript" UTF8)},
	{".mov", STR_INIT("video/quicktime")},
	{".mp3", STR_INIT("audio/mpeg")},
	{".mp4", STR_INIT("video/mp4")},
	{".mpd", STR_INIT("application/dash+xml")},
	{".oga", STR_INIT("audio/ogg")},
	{".ogg", STR_INIT("audio/ogg")},
	{".ogv", STR_INIT("video/ogg")},
	{".opus", STR_INIT("audio/ogg")},
	{".otf", STR_INIT("font/otf")},
	{".pdf", STR_INIT("application/pdf")},
	{".png", STR_INIT("image/png")},
	{".rss", STR_INIT("application/rss+xml")},
	{".svg", STR_INIT("image/svg+xml")},
	{".tar", STR_INIT("application/x-tar")},
	{".tif", STR_INIT("image/tiff")},
	{".tiff", STR_INIT("image/tiff")},
	{".ts", STR_INIT("video/mp2t")},
	{".ttf", STR_INIT("font/ttf")},
	{".txt", STR_INIT("text/plain" UTF8)},
	{".vtt", STR_INIT("text/vtt" UTF8)},
	{".wasm", STR_INIT("application/wasm")},
	{".wav", STR_INIT("audio/wav")},
	{".webm", STR_INIT("video/webm")},
	{".webmanifest", STR_INIT("application/manifest+json")},
	{".webp", STR_INIT("image/webp")},
	{".woff", STR_INIT("font/woff")},
	{".woff2", STR_INIT("font/woff2")},
	{".xhtml", STR_INIT("application/xhtml+xml")},
	{".xml", STR_INIT("application/xml")},
	{".xz", STR_INIT("application/x-xz")},
	{".yaml", STR_INIT("application/yaml")},
	{".yml", STR_INIT("application/yaml")},
	{".zip", STR_INIT("application/zip")},
	{".zst", STR_INIT("application/zstd")},
};

struct str
type_ending(struct str path)
{
	size_t at = path.len;

	while (at > 0 && path.p[at - 1] != '/')
		if (path.p[--at] == '.')
			return str_from(path.p + at, path.len - at);
	return STR("");
}

static int
type_compare(const void *key, const void *entry)
{
	return strcasecmp(key, ((const struct media_type *)entry)->ending);
}

struct str
type_find(struct str ending)
{
	const struct media_type *found;
	char key[ENDING_BYTES_MAX + 1];

	if (ending.len == 0 || ending.len > ENDING_BYTES_MAX)
		return str_from(NULL, 0);
	memcpy(key, ending.p, ending.len);
	key[ending.len] = '\0';
	found = bsearch(key, types, sizeof(types) / sizeof(types[0]),
	    sizeof(types[0]), type_compare);
	return found != NULL ? found->type : str_from(NULL, 0);
}
