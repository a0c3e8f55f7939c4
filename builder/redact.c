#include "builder/redact.h"

#include <string.h>

#define MASK "***"
/* Line ends do not count, so that any number of them may follow the beginning of a value: this many may. */
#define HELD_MAX 8192

/* Shows what was held back, but for its end that may be the beginning of a value; with @last all of it. */
static void show(struct cb_redactor *redactor, struct cb_buf *out, bool last)
{
	const char *raw = cb_buf_str(&redactor->held);
	size_t len = redactor->held.len, shown = 0, from = 0, stop = len, n, open;
	cleanup_free char *text = cb_xmalloc(len + 1);
	cleanup_free size_t *map = cb_xcalloc(len + 1, sizeof(*map));
	struct cb_needle_match match;

	n = cb_needles_strip(raw, len, text, map);
	open = last ? n : cb_needles_open_end(redactor->needles, text, n);
	while (cb_needles_find(redactor->needles, text, n, from, &match) && match.at < open) {
		cb_buf_add(out, raw + shown, map[match.at] - shown);
		cb_buf_adds(out, MASK);
		from = match.at + match.len;
		shown = map[from - 1] + 1;
	}
	if (open < n)
		stop = open > from ? map[open] : shown;
	cb_buf_add(out, raw + shown, stop - shown);
	explicit_bzero(text, len);
	memmove(redactor->held.data, raw + stop, len - stop);
	explicit_bzero(redactor->held.data + len - stop, stop);
	redactor->held.len = len - stop;
}

void cb_redactor_add(struct cb_redactor *redactor, const void *data, size_t len, struct cb_buf *out)
{
	if (cb_needles_empty(redactor->needles)) {
		cb_buf_add(out, data, len);
		return;
	}
	cb_buf_add(&redactor->held, data, len);
	if (redactor->held.len)
		show(redactor, out, redactor->held.len - len > HELD_MAX);
}

void cb_redactor_flush(struct cb_redactor *redactor, struct cb_buf *out)
{
	if (redactor->held.len)
		show(redactor, out, true);
}

bool cb_redactor_holds_line(const struct cb_redactor *redactor)
{
	return redactor->held.len && memchr(redactor->held.data, '\n', redactor->held.len);
}

void cb_redactor_done(struct cb_redactor *redactor)
{
	if (redactor->held.data)
		explicit_bzero(redactor->held.data, redactor->held.cap);
	cb_buf_done(&redactor->held);
}

char *cb_redact(const struct cb_needles *needles, const char *text)
{
	struct cb_redactor redactor = { .needles = needles };
	struct cb_buf out = { 0 };

	if (cb_needles_empty(needles) || !text)
		return NULL;
	cb_buf_add(&redactor.held, text, strlen(text));
	cb_redactor_flush(&redactor, &out);
	cb_redactor_done(&redactor);
	if (strcmp(cb_buf_str(&out), text) == 0) {
		cb_buf_done(&out);
		return NULL;
	}
	return cb_buf_take(&out);
}

/* What takes the place of @value, or NULL. Keys of objects are names of ours. */
static json_t *redact_value(const struct cb_needles *needles, json_t *value)
{
	cleanup_free char *clean = NULL;
	const char *key;
	json_t *item;
	size_t at;

	if (json_is_string(value)) {
		clean = cb_redact(needles, json_string_value(value));
		return clean ? json_string(clean) : NULL;
	}
	json_array_foreach(value, at, item)
	{
		json_t *other = redact_value(needles, item);

		if (other)
			json_array_set_new(value, at, other);
	}
	json_object_foreach(value, key, item)
	{
		json_t *other = redact_value(needles, item);

		if (other)
			json_object_set_new(value, key, other);
	}
	return NULL;
}

void cb_redact_json(const struct cb_needles *needles, json_t *doc)
{
	if (!cb_needles_empty(needles))
		json_decref(redact_value(needles, doc));
}
