/* SPDX-License-Identifier: MIT */
/*
 * Forms: urlencoded, or of many parts.
 *
 * Owns nothing: all is the arena's, or slices of the content.
 * Invariant: a form with a status has no fields.
 * Here: which kind it is, and its lists.  Not here: syntax (query.c,
 * multipart.c).
 * Context: a worker's loop.  api_body.c -> [form.c] -> multipart.c
 */
#include "server/form.h"

#include "server/media_type.h"
#include "server/multipart.h"

static void
form_fail(struct form *form, int status, const char *what)
{
	form->fields.count = form->upload_count = 0;
	form->status = status;
	form->what = what;
}

static int
form_read_encoded(struct form *form, struct str content, struct arena *a)
{
	struct query_list *list;
	size_t i, count = 0;

	for (i = 0; i < content.len; i++)
		count += content.p[i] == '&';
	if (count >= FORM_FIELDS_MAX) {
		form_fail(form, 400, "the form has too many fields");
		return 0;
	}
	list = query_parse(content, a);
	if (list == NULL)
		return -1;
	form->fields = *list;
	if (list->malformed.p != NULL)
		form_fail(form, 400, "the form has a bad escape");
	return 0;
}

/* Room for one more in a list of the arena: twice as much when it is full. */
static void *
list_room(struct arena *a, void *item, size_t count, size_t size)
{
	void *bigger;

	if (count > 0 && (count & (count - 1)) != 0)
		return item;
	bigger = arena_alloc(a, (count > 0 ? 2 * count : 1) * size);
	if (bigger != NULL && count > 0)
		memcpy(bigger, item, count * size);
	return bigger;
}

static int
form_add_upload(struct form *form, const struct multipart_part *part,
    struct arena *a)
{
	struct lane_upload *u;

	/* What a browser sends for an input where no file was chosen. */
	if (part->filename.len == 0 && part->content.len == 0)
		return 0;
	form->uploads = list_room(a, form->uploads, form->upload_count,
	    sizeof(*u));
	if (form->uploads == NULL)
		return -1;
	u = &form->uploads[form->upload_count++];
	u->name = (struct lane_str){part->name.p, part->name.len};
	u->filename = (struct lane_str){part->filename.p, part->filename.len};
	u->type = (struct lane_str){part->type.p, part->type.len};
	u->content = (struct lane_str){part->content.p, part->content.len};
	return 0;
}

static int
form_add_part(struct form *form, const struct multipart_part *part,
    struct arena *a)
{
	struct query_list *list = &form->fields;

	if (part->filename.p != NULL)
		return form_add_upload(form, part, a);
	list->item = list_room(a, list->item, list->count, sizeof(*list->item));
	if (list->item == NULL)
		return -1;
	list->item[list->count++] = (struct pair){part->name, part->content};
	return 0;
}

static int
form_read_parts(struct form *form, struct str content_type,
    struct str content, struct arena *a)
{
	struct multipart m;
	struct multipart_part part;

	multipart_init(&m, content_type, content, a);
	for (;;) {
		switch (multipart_next(&m, &part)) {
		case MULTIPART_PART:
			if (form_add_part(form, &part, a) == -1)
				return -1;
			break;
		case MULTIPART_END:
			return 0;
		case MULTIPART_BAD:
			form_fail(form, 400, m.what);
			return 0;
		case MULTIPART_NO_MEMORY:
			return -1;
		}
	}
}

struct form *
form_parse(struct str content_type, struct str content, struct arena *a)
{
	struct form *form = arena_zalloc(a, sizeof(*form));
	int result = 0;

	if (form == NULL)
		return NULL;
	if (media_type_is(content_type,
	    STR("application/x-www-form-urlencoded")))
		result = form_read_encoded(form, content, a);
	else if (media_type_is(content_type, STR("multipart/form-data")))
		result = form_read_parts(form, content_type, content, a);
	else
		form_fail(form, 415, "the content is no form");
	return result == -1 ? NULL : form;
}
