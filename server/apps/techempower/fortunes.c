/* SPDX-License-Identifier: MIT */
/*
 * The test with a page: all fortunes and one more, sorted, escaped.
 *
 * Owns nothing: rows and page are in the request's arena.
 * Invariant: no byte of a message reaches the page unescaped.
 * Here: /fortunes.  Context: a worker's loop.  techempower.c -> [fortunes.c]
 */
#include "techempower.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fortune {
	int64_t id;
	struct lane_str message;
};
struct fortunes {
	unsigned count;
	struct fortune item[];
};

/* A text that grows; with p NULL it is measured only. */
struct page {
	char *p;
	size_t len;
};

static void
page_add(struct page *page, struct lane_str s)
{
	if (page->p != NULL)
		memcpy(page->p + page->len, s.p, s.len);
	page->len += s.len;
}

static struct lane_str
page_entity(char byte)
{
	switch (byte) {
	case '<':
		return LANE_STR("&lt;");
	case '>':
		return LANE_STR("&gt;");
	case '&':
		return LANE_STR("&amp;");
	case '"':
		return LANE_STR("&quot;");
	case '\'':
		return LANE_STR("&#39;");
	}
	return (struct lane_str){NULL, 0};
}

static void
page_add_escaped(struct page *page, struct lane_str s)
{
	struct lane_str entity;
	size_t i, from = 0;

	for (i = 0; i < s.len; i++) {
		entity = page_entity(s.p[i]);
		if (entity.p == NULL)
			continue;
		page_add(page, (struct lane_str){s.p + from, i - from});
		page_add(page, entity);
		from = i + 1;
	}
	page_add(page, (struct lane_str){s.p + from, s.len - from});
}

static void
page_add_fortune(struct page *page, const struct fortune *f)
{
	char id[24];

	snprintf(id, sizeof(id), "%lld", (long long)f->id);
	page_add(page, LANE_STR("<tr><td>"));
	page_add(page, lane_str_of(id));
	page_add(page, LANE_STR("</td><td>"));
	page_add_escaped(page, f->message);
	page_add(page, LANE_STR("</td></tr>"));
}

static void
page_add_all(struct page *page, const struct fortunes *all)
{
	unsigned i;

	page_add(page, LANE_STR("<!DOCTYPE html><html><head>"
	    "<title>Fortunes</title></head><body><table>"
	    "<tr><th>id</th><th>message</th></tr>"));
	for (i = 0; i < all->count; i++)
		page_add_fortune(page, &all->item[i]);
	page_add(page, LANE_STR("</table></body></html>"));
}

static int
fortunes_send(struct lane_ctx *c, const struct fortunes *all)
{
	struct page page = {NULL, 0};

	page_add_all(&page, all);
	page.p = lane_alloc(c, page.len);
	if (page.p == NULL)
		return -ENOMEM;
	page.len = 0;
	page_add_all(&page, all);
	return lane_send_lent(c, 200, "text/html; charset=utf-8",
	    (struct lane_str){page.p, page.len});
}

static int
fortune_compare(const void *a, const void *b)
{
	struct lane_str x = ((const struct fortune *)a)->message;
	struct lane_str y = ((const struct fortune *)b)->message;
	int order = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);

	return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int
fortunes_on_rows(struct lane_ctx *c, void *state, struct lane_rows *rows)
{
	unsigned i, count = lane_rows_count(rows);
	struct fortunes *all;

	if (lane_rows_status(rows) != 0)
		return lane_rows_fail(c, rows);
	all = lane_alloc(
	    c, sizeof(*all) + (count + 1) * sizeof(all->item[0]));
	if (all == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		all->item[i].id = lane_rows_int(rows, i, 0);
		all->item[i].message = lane_rows_text(rows, i, 1);
	}
	all->item[count].message =
	    LANE_STR("Additional fortune added at request time.");
	all->count = count + 1;
	qsort(all->item, all->count, sizeof(all->item[0]), fortune_compare);
	return fortunes_send(c, all);
}

int
fortunes(struct lane_ctx *c)
{
	return lane_sql(c, .sql = "SELECT id, message FROM fortune",
	    .done = fortunes_on_rows);
}
