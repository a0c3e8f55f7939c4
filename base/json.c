#include "base/json.h"

#include <string.h>

#include "base/buf.h"

/* jansson has a compile-time depth limit of its own; ours is checked first, on the bytes. */
static bool too_deep(const char *data, size_t len)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (data[i] == '\\')
				i++;
			else if (data[i] == '"')
				in_string = false;
			continue;
		}
		if (data[i] == '"')
			in_string = true;
		else if ((data[i] == '[' || data[i] == '{') && ++depth > CB_JSON_DEPTH_MAX)
			return true;
		else if ((data[i] == ']' || data[i] == '}') && depth)
			depth--;
	}
	return false;
}

int cb_json_parse(const char *data, size_t len, json_t **ret, struct cb_err **err)
{
	json_error_t why;
	json_t *doc;

	if (too_deep(data, len))
		return cb_err_set(err, CB_ERR_CORRUPT, "JSON is nested deeper than %d levels", CB_JSON_DEPTH_MAX);
	doc = json_loadb(data, len, JSON_ALLOW_NUL, &why);
	if (!doc)
		return cb_err_set(err, CB_ERR_CORRUPT, "malformed JSON at line %d: %s", why.line, why.text);
	*ret = doc;
	return 0;
}

static int wrong_type(const char *key, const char *want, struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "member \"%s\" is not %s", key, want);
}

int cb_json_get_str(const json_t *obj, const char *key, const char **ret, struct cb_err **err)
{
	json_t *value = json_object_get(obj, key);

	if (value && !json_is_null(value) && !json_is_string(value))
		return wrong_type(key, "a string", err);
	/* A NUL byte would cut the text short behind our back. */
	if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
		return wrong_type(key, "a string without NUL bytes", err);
	*ret = json_string_value(value);
	return *ret ? 0 : 1;
}

int cb_json_get_i64(const json_t *obj, const char *key, int64_t *ret, struct cb_err **err)
{
	json_t *value = json_object_get(obj, key);

	if (!value || json_is_null(value))
		return 1;
	if (!json_is_integer(value))
		return wrong_type(key, "an integer", err);
	*ret = json_integer_value(value);
	return 0;
}

int cb_json_get_bool(const json_t *obj, const char *key, bool *ret, struct cb_err **err)
{
	json_t *value = json_object_get(obj, key);

	if (!value || json_is_null(value))
		return 1;
	if (!json_is_boolean(value))
		return wrong_type(key, "true or false", err);
	*ret = json_is_true(value);
	return 0;
}

int cb_json_get_obj(const json_t *obj, const char *key, json_t **ret, struct cb_err **err)
{
	json_t *value = json_object_get(obj, key);

	if (value && !json_is_null(value) && !json_is_object(value))
		return wrong_type(key, "an object", err);
	*ret = json_is_object(value) ? value : NULL;
	return *ret ? 0 : 1;
}

int cb_json_get_arr(const json_t *obj, const char *key, json_t **ret, struct cb_err **err)
{
	json_t *value = json_object_get(obj, key);

	if (value && !json_is_null(value) && !json_is_array(value))
		return wrong_type(key, "an array", err);
	*ret = json_is_array(value) ? value : NULL;
	return *ret ? 0 : 1;
}

int cb_json_get_strv(const json_t *obj, const char *key, struct cb_strv *ret, struct cb_err **err)
{
	json_t *list = NULL, *item;
	size_t i;
	int r = cb_json_get_arr(obj, key, &list, err);

	if (r)
		return r;
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item))
			return wrong_type(key, "an array of strings", err);
	}
	json_array_foreach(list, i, item) cb_strv_add(ret, json_string_value(item));
	return 0;
}

json_t *cb_json_from_strv(const struct cb_strv *sv)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sv->n; i++)
		json_array_append_new(list, json_stringn_nocheck(sv->v[i], strlen(sv->v[i])));
	return list;
}

char *cb_json_dump(const json_t *doc, bool sorted)
{
	char *text = json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY | (sorted ? JSON_SORT_KEYS : 0));

	if (!text)
		abort(); /* only out of memory or a reference cycle of our own making */
	return text;
}

/* The characters that Go escapes can only stand inside strings, so a pass over the text is enough. */
char *cb_json_dump_go(const json_t *doc, bool sorted)
{
	cleanup_free char *text = cb_json_dump(doc, sorted);
	struct cb_buf out = { 0 };

	for (const char *p = text; *p; p++) {
		if (*p == '<' || *p == '>' || *p == '&')
			cb_buf_addf(&out, "\\u%04x", *p);
		else if (!strncmp(p, "\xe2\x80\xa8", 3) || !strncmp(p, "\xe2\x80\xa9", 3)) {
			cb_buf_addf(&out, "\\u202%c", p[2] == '\xa8' ? '8' : '9');
			p += 2;
		} else if (*p == '\\' && p[1] == 'u') {
			/* jansson writes capital hex digits, Go small ones. */
			char code[5] = { p[2], p[3], p[4], p[5] };

			cb_buf_addf(&out, "\\u%s", cb_str_lower(code));
			p += 5;
		} else if (*p == '\\') {
			cb_buf_add(&out, p++, 2);
		} else {
			cb_buf_addc(&out, *p);
		}
	}
	return cb_buf_take(&out);
}
