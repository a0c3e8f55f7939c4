#include "layers/jsondoc.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

/* The length of the valid UTF-8 sequence at @p, or 0. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
		(p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static char *to_utf8(const char *s)
{
	cleanup_buf struct cb_buf out = { 0 };

	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		size_t n = utf8_length(p);

		if (n)
			cb_buf_add(&out, p, n);
		else
			cb_buf_adds(&out, "\xef\xbf\xbd");
		p += n ? n : 1;
	}
	return cb_buf_take(&out);
}

json_t *cb_jsondoc_text(const char *s)
{
	json_t *text = json_string(s);

	if (!text) {
		cleanup_free char *clean = to_utf8(s);

		text = json_string(clean);
	}
	assert(text);
	return text;
}

static void set_key(json_t *obj, const char *key, json_t *value)
{
	cleanup_free char *clean = to_utf8(key);
	int r = json_object_set_new(obj, clean, value);

	assert(r == 0);
	(void)r;
}

void cb_jsondoc_set_entry(json_t *obj, const char *key, const char *value)
{
	set_key(obj, key, cb_jsondoc_text(value));
}

void cb_jsondoc_set_text(json_t *obj, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(obj, key, cb_jsondoc_text(value));
}

void cb_jsondoc_set_strv(json_t *obj, const char *key, const struct cb_strv *sv)
{
	json_t *list;

	if (!sv->n)
		return;
	list = json_array();
	for (size_t i = 0; i < sv->n; i++)
		json_array_append_new(list, cb_jsondoc_text(sv->v[i]));
	json_object_set_new(obj, key, list);
}

void cb_jsondoc_set_names(json_t *obj, const char *key, const struct cb_strv *names)
{
	cleanup_strv struct cb_strv sorted = { 0 };
	json_t *set;

	if (!names->n)
		return;
	cb_strv_copy(&sorted, names);
	cb_strv_sort(&sorted);
	set = json_object();
	for (size_t i = 0; i < sorted.n; i++)
		set_key(set, sorted.v[i], json_object());
	json_object_set_new(obj, key, set);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

json_t *cb_jsondoc_sorted(const json_t *obj)
{
	size_t n = json_object_size(obj), at = 0;
	cleanup_free const char **keys = cb_newa0(const char *, n + 1);
	json_t *copy = json_object();
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)obj, key, value) keys[at++] = key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		json_object_set(copy, keys[i], json_object_get(obj, keys[i]));
	return copy;
}

void cb_jsondoc_set_sorted(json_t *obj, const char *key, const json_t *from)
{
	if (from && json_object_size(from))
		json_object_set_new(obj, key, cb_jsondoc_sorted(from));
}

static void newline(struct cb_buf *out, size_t depth)
{
	cb_buf_addc(out, '\n');
	for (size_t i = 0; i < depth; i++)
		cb_buf_adds(out, "  ");
}

/* Works on the compact text, so that the escapes of strings are those of the compact form. */
char *cb_jsondoc_indent(const json_t *doc, size_t *ret_len)
{
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_free char *compact = cb_json_dump_go(doc, false);
	bool in_string = false;
	size_t depth = 0;

	for (const char *p = compact; *p; p++) {
		if (in_string) {
			cb_buf_addc(&out, *p);
			if (*p == '\\')
				cb_buf_addc(&out, *++p);
			else if (*p == '"')
				in_string = false;
		} else if ((*p == '{' || *p == '[') && (p[1] == '}' || p[1] == ']')) {
			cb_buf_add(&out, p++, 2);
		} else if (*p == '{' || *p == '[') {
			cb_buf_addc(&out, *p);
			newline(&out, ++depth);
		} else if (*p == '}' || *p == ']') {
			newline(&out, --depth);
			cb_buf_addc(&out, *p);
		} else if (*p == ',') {
			cb_buf_addc(&out, ',');
			newline(&out, depth);
		} else if (*p == ':') {
			cb_buf_adds(&out, ": ");
		} else {
			in_string = *p == '"';
			cb_buf_addc(&out, *p);
		}
	}
	if (ret_len)
		*ret_len = out.len;
	return cb_buf_take(&out);
}

int cb_jsondoc_get_text(const json_t *obj, const char *key, char **ret, struct cb_err **err)
{
	const char *text = NULL;
	int r = cb_json_get_str(obj, key, &text, err);

	if (r < 0)
		return r;
	*ret = text && *text ? cb_xstrdup(text) : NULL;
	return 0;
}

int cb_jsondoc_get_field(const json_t *obj, const char *key, char *field, size_t size, struct cb_err **err)
{
	const char *text = NULL;
	int r = cb_json_get_str(obj, key, &text, err);

	if (r < 0)
		return r;
	if (text && strlen(text) >= size)
		return cb_err_set(err, CB_ERR_LIMIT, "\"%s\" is longer than %zu bytes", key, size - 1);
	snprintf(field, size, "%s", text ? text : "");
	return 0;
}

int cb_jsondoc_get_strings(const json_t *obj, const char *key, json_t **ret, struct cb_err **err)
{
	json_t *map = NULL, *value;
	const char *name;
	int r = cb_json_get_obj(obj, key, &map, err);

	if (r < 0)
		return r;
	if (r == 0) {
		json_object_foreach(map, name, value)
		{
			if (!json_is_string(value))
				return cb_err_set(
					err, CB_ERR_CORRUPT, "member \"%s\" of \"%s\" is not a string", name, key);
		}
	}
	*ret = r == 0 ? json_incref(map) : NULL;
	return 0;
}

int cb_jsondoc_get_names(const json_t *obj, const char *key, struct cb_strv *ret, struct cb_err **err)
{
	json_t *map = NULL, *value;
	const char *name;
	int r = cb_json_get_obj(obj, key, &map, err);

	if (r != 0)
		return r < 0 ? r : 0;
	json_object_foreach(map, name, value) cb_strv_add(ret, name);
	return 0;
}
