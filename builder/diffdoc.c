#include "builder/diffdoc.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "builder/examine.h"

static bool nothing(const json_t *value)
{
	return !value || json_is_null(value) || json_is_false(value) ||
	       (json_is_object(value) && !json_object_size(value)) ||
	       (json_is_array(value) && !json_array_size(value)) ||
	       (json_is_string(value) && !json_string_length(value));
}

static void compare(const char *key, json_t *a, json_t *b, json_t *list)
{
	json_t *one;

	if ((nothing(a) && nothing(b)) || (a && b && json_equal(a, b)))
		return;
	one = json_object();
	json_object_set_new(one, "key", json_string(key));
	if (!nothing(a))
		json_object_set(one, "a", a);
	if (!nothing(b))
		json_object_set(one, "b", b);
	json_array_append_new(list, one);
}

/* A variable that is set twice has its last value. */
static json_t *variables(const json_t *env)
{
	json_t *doc = json_object(), *item;
	size_t i;

	json_array_foreach(env, i, item)
	{
		const char *text = json_string_value(item);
		size_t len = text ? strcspn(text, "=") : 0;

		if (text) {
			cleanup_free char *name = cb_xstrndup(text, len);

			json_object_set_new(doc, name, json_string(text[len] ? text + len + 1 : text + len));
		}
	}
	return doc;
}

/* Ports and volumes are objects with empty members. */
static json_t *as_set(const json_t *from)
{
	json_t *doc = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)from, key, value) json_object_set_new(doc, key, json_true());
	return doc;
}

void cb_diff_members(const char *prefix, const json_t *a, const json_t *b, json_t *list)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)a, key, value)
	{
		cleanup_free char *name = cb_xasprintf("%s.%s", prefix, key);
		json_t *other = json_object_get(b, key), *one;

		if (other && json_equal(value, other))
			continue;
		/* Here empty is not nothing: a variable may be so. */
		one = json_object();
		json_object_set_new(one, "key", json_string(name));
		json_object_set(one, "a", value);
		if (other)
			json_object_set(one, "b", other);
		json_array_append_new(list, one);
	}
	json_object_foreach((json_t *)b, key, value)
	{
		cleanup_free char *name = cb_xasprintf("%s.%s", prefix, key);
		json_t *one;

		if (json_object_get(a, key))
			continue;
		one = json_object();
		json_object_set_new(one, "key", json_string(name));
		json_object_set(one, "b", value);
		json_array_append_new(list, one);
	}
}

/* Members of "config"; those that have members of their own one by one. */
static void compare_member(const char *key, const json_t *a, const json_t *b, json_t *list)
{
	json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
	cleanup_json json_t *first = NULL, *second = NULL;

	if (!strcmp(key, "Env")) {
		first = variables(x);
		second = variables(y);
	} else if (!strcmp(key, "ExposedPorts") || !strcmp(key, "Volumes")) {
		first = as_set(x);
		second = as_set(y);
	} else if (!strcmp(key, "Labels")) {
		first = json_is_object(x) ? json_incref(x) : json_object();
		second = json_is_object(y) ? json_incref(y) : json_object();
	}
	if (first)
		cb_diff_members(key, first, second, list);
	else
		compare(key, x, y, list);
}

typedef void (*compare_fn)(const char *key, const json_t *a, const json_t *b, json_t *list);

static void compare_objects(const json_t *a, const json_t *b, compare_fn fn, json_t *list)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)a, key, value) fn(key, a, b, list);
	json_object_foreach((json_t *)b, key, value) if (!json_object_get(a, key)) fn(key, a, b, list);
}

static void compare_top(const char *key, const json_t *a, const json_t *b, json_t *list)
{
	if (strcmp(key, "config") != 0 && strcmp(key, "rootfs") != 0 && strcmp(key, "history") != 0 &&
		strcmp(key, "created") != 0)
		compare(key, json_object_get(a, key), json_object_get(b, key), list);
}

void cb_diff_config(const json_t *a, const json_t *b, bool times, json_t *list)
{
	cleanup_json json_t *none = json_object();
	const json_t *x = json_object_get(a, "config"), *y = json_object_get(b, "config");

	compare_objects(a, b, compare_top, list);
	if (times)
		compare("created", json_object_get(a, "created"), json_object_get(b, "created"), list);
	compare_objects(json_is_object(x) ? x : none, json_is_object(y) ? y : none, compare_member, list);
}

/* ---- history -------------------------------------------------------------------------------------------------- */

static bool same_entry(const json_t *a, const json_t *b, bool times)
{
	static const char *const keys[] = { "created_by", "author", "comment", "empty_layer", "created" };

	for (size_t i = 0; i < ARRAY_SIZE(keys) - !times; i++) {
		json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if (!(nothing(x) && nothing(y)) && !(x && y && json_equal(x, y)))
			return false;
	}
	return true;
}

static void add_entries(const json_t *history, size_t from, size_t to, const char *side, json_t *list)
{
	for (size_t i = from; i < to; i++) {
		json_t *one = json_object();

		json_object_set(one, side, json_array_get(history, i));
		json_array_append_new(list, one);
	}
}

void cb_diff_history(const json_t *a, const json_t *b, bool times, json_t *list)
{
	size_t n = json_array_size(a), m = json_array_size(b), start = 0, end = 0;

	while (start < CB_MIN(n, m) && same_entry(json_array_get(a, start), json_array_get(b, start), times))
		start++;
	while (end < CB_MIN(n, m) - start &&
		same_entry(json_array_get(a, n - end - 1), json_array_get(b, m - end - 1), times))
		end++;
	add_entries(a, start, n - end, "a", list);
	add_entries(b, start, m - end, "b", list);
}

/* ---- for people ----------------------------------------------------------------------------------------------- */

static void add_value(struct cb_buf *out, const json_t *value)
{
	cleanup_free char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	cb_examine_add(out, text ? text : "none");
}

void cb_diff_print_config(struct cb_buf *out, const json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		cb_buf_adds(out, "  ");
		cb_examine_add(out, json_string_value(json_object_get(one, "key")));
		cb_buf_adds(out, ": ");
		add_value(out, json_object_get(one, "a"));
		cb_buf_adds(out, " -> ");
		add_value(out, json_object_get(one, "b"));
		cb_buf_addc(out, '\n');
	}
}
