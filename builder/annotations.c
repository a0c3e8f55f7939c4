#include "builder/annotations.h"

#include <string.h>

#include "base/json.h"

enum type { TYPE_MANIFEST, TYPE_DESCRIPTOR, TYPE_INDEX, TYPE_INDEX_DESCRIPTOR };
static const char *const types[] = { "manifest", "manifest-descriptor", "index", "index-descriptor" };

struct parsed {
	json_t *manifest, *descriptor;
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

static int apply(struct parsed *parsed, enum type type, const char *key, const char *value, struct cb_err **err)
{
	if (type == TYPE_MANIFEST) {
		set(&parsed->manifest, key, value);
	} else if (type == TYPE_DESCRIPTOR) {
		set(&parsed->descriptor, key, value);
	} else {
		cb_err_set(err, CB_ERR_USAGE, "--annotation %s:%s: an image of one platform has no index", types[type],
			key);
		return cb_err_hint(err, CB_ERR_USAGE, "use manifest: or manifest-descriptor:");
	}
	return 0;
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
		return apply(parsed, TYPE_MANIFEST, key, equals + 1, err);
	}
	key = cb_xstrndup(colon + 1, (size_t)(equals - colon - 1));
	if (!*key)
		return cb_err_set(err, CB_ERR_USAGE, "--annotation takes KEY=VALUE, not \"%.100s\"", text);
	for (size_t i = 0; i < list.n; i++) {
		r = parse_type(list.v[i], parsed, &type, &counts, err);
		if (r > 0)
			return cb_err_set(err, CB_ERR_USAGE, "--annotation: unknown type \"%.100s\"", list.v[i]);
		if (r == 0 && counts)
			r = apply(parsed, type, key, equals + 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cb_annotations_of(const struct cb_strv *list, const struct cb_platform *platform, json_t **ret_manifest,
	json_t **ret_descriptor, struct cb_err **err)
{
	struct parsed parsed = { .platform = platform };

	for (size_t i = 0; i < list->n; i++) {
		int r = parse_one(&parsed, list->v[i], err);

		if (r < 0) {
			json_decref(parsed.manifest);
			json_decref(parsed.descriptor);
			return r;
		}
	}
	*ret_manifest = parsed.manifest;
	*ret_descriptor = parsed.descriptor;
	return 0;
}
