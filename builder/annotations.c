#include "builder/annotations.h"

#include <string.h>

#include "base/json.h"

enum type { TYPE_MANIFEST, TYPE_DESCRIPTOR, TYPE_INDEX, TYPE_INDEX_DESCRIPTOR };
static const char *const types[] = { "manifest", "manifest-descriptor", "index", "index-descriptor" };

struct parsed {
	json_t *made[ARRAY_SIZE(types)]; /* objects of strings, or NULL */
	const struct cb_platform *platform;
};

static void set(json_t **obj, const char *key, const char *value)
{
	if (!*obj)
		*obj = json_object();
	json_object_set_new(*obj, key, json_string(value));
}

/* "manifest[linux/amd64]" → the type, and whether the platform is that of the image. 1 when it is no type at all. */
static int parse_type(
	const char *text, const struct parsed *parsed, enum type *ret, bool *ret_counts, struct cb_err **err)
{
	size_t len = strcspn(text, "[");
	struct cb_platform platform;

	*ret_counts = true;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strlen(types[i]) != len || strncmp(types[i], text, len) != 0)
			continue;
		*ret = (enum type)i;
		if (!text[len])
			return 0;
		if (text[strlen(text) - 1] != ']')
			return cb_err_set(err, CB_ERR_USAGE, "--annotation: \"%.100s\" has no ]", text);
		cleanup_free char *name = cb_xstrndup(text + len + 1, strlen(text) - len - 2);

		if (cb_platform_parse(name, &platform, err) < 0)
			return cb_err_wrap(err, CB_ERR_USAGE, "--annotation");
		*ret_counts = parsed->platform && cb_platform_equal(&platform, parsed->platform);
		return 0;
	}
	return 1;
}

/* A prefix that is no list of types belongs to the key. */
static int parse_one(struct parsed *parsed, const char *text, struct cb_err **err)
{
	const char *equals = strchr(text, '='), *colon = strchr(text, ':');
	cleanup_free char *key = NULL, *prefix = NULL;
	cleanup_strv struct cb_strv list = { 0 };
	enum type type = TYPE_MANIFEST;
	bool counts;
	int r;

	if (!equals || equals == text)
		return cb_err_set(err, CB_ERR_USAGE, "--annotation takes KEY=VALUE, not \"%.100s\"", text);
	if (colon && colon < equals) {
		prefix = cb_xstrndup(text, (size_t)(colon - text));
		cb_strv_split(&list, prefix, ',');
		r = parse_type(list.v[0], parsed, &type, &counts, err);
		if (r < 0)
			return r;
		if (r > 0)
			colon = NULL;
	}
	if (!colon || colon > equals) {
		key = cb_xstrndup(text, (size_t)(equals - text));
		set(&parsed->made[TYPE_MANIFEST], key, equals + 1);
		return 0;
	}
	key = cb_xstrndup(colon + 1, (size_t)(equals - colon - 1));
	if (!*key)
		return cb_err_set(err, CB_ERR_USAGE, "--annotation takes KEY=VALUE, not \"%.100s\"", text);
	for (size_t i = 0; i < list.n; i++) {
		r = parse_type(list.v[i], parsed, &type, &counts, err);
		if (r > 0)
			return cb_err_set(err, CB_ERR_USAGE, "--annotation: unknown type \"%.100s\"", list.v[i]);
		if (r < 0)
			return r;
		if (counts)
			set(&parsed->made[type], key, equals + 1);
	}
	return 0;
}

static void parsed_done(struct parsed *parsed)
{
	for (size_t i = 0; i < ARRAY_SIZE(parsed->made); i++)
		json_decref(parsed->made[i]);
}

static json_t *take(struct parsed *parsed, enum type type)
{
	json_t *made = parsed->made[type];

	parsed->made[type] = NULL;
	return made;
}

static int parse_all(struct parsed *parsed, const struct cb_strv *list, struct cb_err **err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++)
		r = parse_one(parsed, list->v[i], err);
	return r;
}

int cb_annotations_of(const struct cb_strv *list, const struct cb_platform *platform, json_t **ret_manifest,
	json_t **ret_descriptor, struct cb_err **err)
{
	__attribute__((cleanup(parsed_done))) struct parsed parsed = { .platform = platform };
	int r = parse_all(&parsed, list, err);

	if (r < 0)
		return r;
	*ret_manifest = take(&parsed, TYPE_MANIFEST);
	*ret_descriptor = take(&parsed, TYPE_DESCRIPTOR);
	return 0;
}

int cb_annotations_of_index(
	const struct cb_strv *list, bool several, json_t **ret_index, json_t **ret_descriptor, struct cb_err **err)
{
	__attribute__((cleanup(parsed_done))) struct parsed parsed = { 0 };
	int r = parse_all(&parsed, list, err);

	if (r < 0)
		return r;
	for (int type = TYPE_INDEX; type <= TYPE_INDEX_DESCRIPTOR && !several; type++) {
		if (!parsed.made[type])
			continue;
		cb_err_set(err, CB_ERR_USAGE, "--annotation %s:%s: an image of one platform has no index", types[type],
			json_object_iter_key(json_object_iter(parsed.made[type])));
		return cb_err_hint(err, CB_ERR_USAGE, "use manifest: or manifest-descriptor:");
	}
	*ret_index = take(&parsed, TYPE_INDEX);
	*ret_descriptor = take(&parsed, TYPE_INDEX_DESCRIPTOR);
	return 0;
}
