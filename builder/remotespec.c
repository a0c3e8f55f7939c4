#include "builder/remotespec.h"

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/mem.h"
#include "base/num.h"

static const struct {
	const char *name;
	enum cb_remote_type type;
	const char *needs_from, *needs_to; /* an attribute that must be there */
	const char *attrs;                 /* that it knows, each between blanks */
} types[] = {
	{ "local", CB_REMOTE_LOCAL_DIR, "src", "dest", " src dest " },
	{ "http", CB_REMOTE_HTTP, "url", "url", " url " },
	{ "registry", CB_REMOTE_REGISTRY, "ref", "ref", " ref " },
	{ "s3", CB_REMOTE_S3, "bucket", "bucket",
		" bucket region endpoint_url prefix access_key_id secret_access_key session_token use_path_style " },
	{ "inline", CB_REMOTE_INLINE, NULL, NULL, " " },
};

void cb_remote_spec_done(struct cb_remote_spec *spec)
{
	cb_strv_done(&spec->attrs);
	cb_strv_done(&spec->ids);
	*spec = (struct cb_remote_spec){ 0 };
}

const char *cb_remote_spec_get(const struct cb_remote_spec *spec, const char *key)
{
	return cb_env_get(&spec->attrs, key);
}

/* What is being parsed. */
struct parsing {
	const char *text, *option;
	bool to, mounts;
};

static int wrong(const struct parsing *p, const char *what, const char *hint, struct cb_err **err)
{
	cb_err_set(err, CB_ERR_USAGE, "%s %s: %s", p->option, p->text, what);
	return hint ? cb_err_hint(err, CB_ERR_USAGE, "%s", hint) : CB_ERR_USAGE;
}

static const char *types_of(const struct parsing *p)
{
	return p->to && !p->mounts ? "types are local, http, registry, s3 and inline"
				   : "types are local, http, registry and s3";
}

static int find_type(const struct parsing *p, const char *name, size_t *ret, struct cb_err **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name)) {
			*ret = i;
			return 0;
		}
	}
	return wrong(p, "there is no such type", types_of(p), err);
}

static bool take_timeout(struct cb_remote_spec *spec)
{
	const char *timeout = cb_remote_spec_get(spec, "timeout");

	spec->timeout_ns = CB_REMOTE_TIMEOUT_NS;
	return !timeout || (cb_num_duration(timeout, &spec->timeout_ns) && spec->timeout_ns >= INT64_C(100000000) &&
				   spec->timeout_ns <= INT64_C(3600000000000));
}

/* What an image carries is for its own layers, and part of the image. */
static int check_inline(const struct cb_remote_spec *spec, const struct parsing *p, struct cb_err **err)
{
	if (p->mounts)
		return wrong(p, "an image carries no cache mounts", NULL, err);
	if (!p->to)
		return wrong(p, "records in an image are read where the image is",
			"use --cache-from type=registry,ref=IMAGE", err);
	if (cb_str_eq(cb_remote_spec_get(spec, "mode"), "max"))
		return wrong(p, "an image has the layers of its own steps only: mode=max is not possible",
			"use type=registry with a name of its own for all steps", err);
	if (cb_remote_spec_get(spec, "ignore-error"))
		return wrong(p, "ignore-error has no meaning: what fails is the output of the image", NULL, err);
	return 0;
}

static int take_mode(struct cb_remote_spec *spec, const struct parsing *p, struct cb_err **err)
{
	const char *mode = cb_remote_spec_get(spec, "mode"), *ignore = cb_remote_spec_get(spec, "ignore-error");

	if (mode && strcmp(mode, "min") != 0 && strcmp(mode, "max") != 0)
		return wrong(p, "mode is min or max", NULL, err);
	if (ignore && strcmp(ignore, "true") != 0 && strcmp(ignore, "false") != 0)
		return wrong(p, "ignore-error is true or false", NULL, err);
	if (!take_timeout(spec))
		return wrong(p, "timeout is a duration such as 5s, from 100ms to 1h", NULL, err);
	spec->max = cb_str_eq(mode, "max");
	spec->must = cb_str_eq(ignore, "false");
	return 0;
}

static int take_size(
	const struct cb_remote_spec *spec, const struct parsing *p, const char *key, uint64_t *ret, struct cb_err **err)
{
	const char *value = cb_remote_spec_get(spec, key);
	cleanup_free char *what = cb_xasprintf("%s is a size (2g)", key);

	if (value && (!cb_num_size(value, ret) || !*ret))
		return wrong(p, what, NULL, err);
	return 0;
}

static int take_sizes(struct cb_remote_spec *spec, const struct parsing *p, struct cb_err **err)
{
	const char *on = cb_remote_spec_get(spec, "on");
	int r = take_size(spec, p, "max-size", &spec->max_size, err);

	if (r == 0)
		r = take_size(spec, p, "max-total", &spec->max_total, err);
	if (r == 0 && on && strcmp(on, "always") != 0 && strcmp(on, "success") != 0)
		return wrong(p, "on is always or success", NULL, err);
	spec->on_success = cb_str_eq(on, "success");
	return r;
}

/* Those that do not say where the cache is. */
static const char *common_attrs(const struct parsing *p)
{
	if (p->mounts)
		return p->to ? " scope branch fallback id max-size max-total on "
			     : " scope branch fallback id max-size ";
	return p->to ? " mode ignore-error " : " timeout ";
}

#define AS_IMAGE "layers of a cache are compressed as those of the image"

/* Attributes of other builders' --cache-to that can only have one value here. */
static const struct {
	const char *name, *value; /* that it may have; NULL: none */
	const char *type;         /* of which it is one; NULL: of all but inline */
	const char *what, *hint;
} fixed[] = {
	{ "oci-mediatypes", "true", "registry", "a cache is an OCI manifest: oci-mediatypes=true only", NULL },
	{ "image-manifest", "true", "registry", "a cache is one image manifest: image-manifest=true only", NULL },
	{ "force-compression", "false", NULL, AS_IMAGE ": force-compression=false only",
		"give force-compression to the output of the image" },
	{ "compression", NULL, NULL, AS_IMAGE ": compression is not possible",
		"give it to the output of the image: -o type=image,compression=zstd" },
	{ "compression-level", NULL, NULL, AS_IMAGE ": compression-level is not possible",
		"give it to the output of the image: -o type=image,compression-level=9" },
};

/* 1 when @key is one of those and has its value, 0 when it is none. */
static int check_fixed(
	const struct cb_remote_spec *spec, const struct parsing *p, size_t type, const char *key, struct cb_err **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && p->to && !p->mounts; i++) {
		if (strcmp(fixed[i].name, key) != 0 || types[type].type == CB_REMOTE_INLINE ||
			(fixed[i].type && strcmp(fixed[i].type, types[type].name) != 0))
			continue;
		if (fixed[i].value && cb_str_eq(cb_remote_spec_get(spec, key), fixed[i].value))
			return 1;
		return wrong(p, fixed[i].what, fixed[i].hint, err);
	}
	return 0;
}

static int check_attrs(const struct cb_remote_spec *spec, const struct parsing *p, size_t type, struct cb_err **err)
{
	const char *needed = p->to ? types[type].needs_to : types[type].needs_from;

	for (size_t i = 0; i < spec->attrs.n; i++) {
		cleanup_free char *key = cb_xstrndup(spec->attrs.v[i], strcspn(spec->attrs.v[i], "="));
		cleanup_free char *word = cb_xasprintf(" %s ", key), *what = NULL;
		int r = check_fixed(spec, p, type, key, err);

		if (r < 0)
			return r;
		if (r > 0 || !strcmp(key, "type") || strstr(common_attrs(p), word) || strstr(types[type].attrs, word))
			continue;
		what = cb_xasprintf("unknown attribute \"%s\"", key);
		return wrong(p, what, NULL, err);
	}
	if (needed && !cb_remote_spec_get(spec, needed)) {
		cleanup_free char *what = cb_xasprintf("%s= is missing", needed);

		return wrong(p, what, NULL, err);
	}
	return 0;
}

static int parse(const struct parsing *p, struct cb_remote_spec *ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv fields = { 0 };
	const char *name;
	size_t type = 0;
	int r;

	if (!*p->text)
		return wrong(p, "nothing is named", NULL, err);
	if (!strchr(p->text, '=')) {
		cb_env_set(&ret->attrs, "type", "registry");
		cb_env_set(&ret->attrs, "ref", p->text);
	} else if (cb_csv_split(p->text, &fields, err) < 0) {
		return cb_err_wrap(err, CB_ERR_USAGE, "%s", p->option);
	}
	for (size_t i = 0; i < fields.n; i++) {
		const char *eq = strchr(fields.v[i], '=');
		cleanup_free char *key = NULL;

		if (!eq || eq == fields.v[i])
			return wrong(p, "it is a list of key=value", NULL, err);
		key = cb_xstrndup(fields.v[i], (size_t)(eq - fields.v[i]));
		cb_str_lower(key);
		/* Any of several. */
		if (p->mounts && !strcmp(key, "id"))
			cb_strv_add(&ret->ids, eq + 1);
		else
			cb_env_set(&ret->attrs, key, eq + 1);
	}
	name = cb_remote_spec_get(ret, "type");
	if (!name)
		return wrong(p, "type= is missing", types_of(p), err);
	r = find_type(p, name, &type, err);
	ret->mounts = p->mounts;
	if (r == 0)
		r = p->mounts ? take_sizes(ret, p, err) : take_mode(ret, p, err);
	if (r == 0)
		r = check_attrs(ret, p, type, err);
	if (r == 0 && types[type].type == CB_REMOTE_INLINE)
		r = check_inline(ret, p, err);
	if (r == 0)
		ret->type = types[type].type;
	return r;
}

int cb_remote_spec_parse(const char *text, bool to, struct cb_remote_spec *ret, struct cb_err **err)
{
	const struct parsing parsing = { text, to ? "--cache-to" : "--cache-from", to, false };

	return parse(&parsing, ret, err);
}

int cb_remote_spec_parse_mounts(
	const char *text, bool to, const char *option, struct cb_remote_spec *ret, struct cb_err **err)
{
	const struct parsing parsing = { text, option, to, true };

	return parse(&parsing, ret, err);
}
