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
};

void cb_remote_spec_done(struct cb_remote_spec *spec)
{
	cb_strv_done(&spec->attrs);
	*spec = (struct cb_remote_spec){ 0 };
}

const char *cb_remote_spec_get(const struct cb_remote_spec *spec, const char *key)
{
	return cb_env_get(&spec->attrs, key);
}

static int wrong(const char *text, bool to, const char *what, const char *hint, struct cb_err **err)
{
	cb_err_set(err, CB_ERR_USAGE, "--cache-%s %s: %s", to ? "to" : "from", text, what);
	return hint ? cb_err_hint(err, CB_ERR_USAGE, "%s", hint) : CB_ERR_USAGE;
}

static int find_type(const char *text, bool to, const char *name, size_t *ret, struct cb_err **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name)) {
			*ret = i;
			return 0;
		}
	}
	return wrong(text, to, "there is no such type", "types are local, http, registry and s3", err);
}

static bool take_timeout(struct cb_remote_spec *spec)
{
	const char *timeout = cb_remote_spec_get(spec, "timeout");

	spec->timeout_ns = CB_REMOTE_TIMEOUT_NS;
	return !timeout || (cb_num_duration(timeout, &spec->timeout_ns) && spec->timeout_ns >= INT64_C(100000000) &&
				   spec->timeout_ns <= INT64_C(3600000000000));
}

static int take_mode(struct cb_remote_spec *spec, const char *text, bool to, struct cb_err **err)
{
	const char *mode = cb_remote_spec_get(spec, "mode"), *ignore = cb_remote_spec_get(spec, "ignore-error");

	if (mode && strcmp(mode, "min") != 0 && strcmp(mode, "max") != 0)
		return wrong(text, to, "mode is min or max", NULL, err);
	if (ignore && strcmp(ignore, "true") != 0 && strcmp(ignore, "false") != 0)
		return wrong(text, to, "ignore-error is true or false", NULL, err);
	if (!take_timeout(spec))
		return wrong(text, to, "timeout is a duration such as 5s, from 100ms to 1h", NULL, err);
	spec->max = cb_str_eq(mode, "max");
	spec->must = cb_str_eq(ignore, "false");
	return 0;
}

static int check_attrs(const struct cb_remote_spec *spec, const char *text, bool to, size_t type, struct cb_err **err)
{
	const char *needed = to ? types[type].needs_to : types[type].needs_from;

	for (size_t i = 0; i < spec->attrs.n; i++) {
		cleanup_free char *key = cb_xstrndup(spec->attrs.v[i], strcspn(spec->attrs.v[i], "="));
		cleanup_free char *word = cb_xasprintf(" %s ", key), *what = NULL;

		if (!strcmp(key, "type") || (!to && !strcmp(key, "timeout")) ||
			(to && (!strcmp(key, "mode") || !strcmp(key, "ignore-error"))) ||
			strstr(types[type].attrs, word))
			continue;
		what = cb_xasprintf("unknown attribute \"%s\"", key);
		return wrong(text, to, what, NULL, err);
	}
	if (!cb_remote_spec_get(spec, needed)) {
		cleanup_free char *what = cb_xasprintf("%s= is missing", needed);

		return wrong(text, to, what, NULL, err);
	}
	return 0;
}

int cb_remote_spec_parse(const char *text, bool to, struct cb_remote_spec *ret, struct cb_err **err)
{
	cleanup_strv struct cb_strv fields = { 0 };
	const char *name;
	size_t type = 0;
	int r;

	if (!*text)
		return wrong(text, to, "nothing is named", NULL, err);
	if (!strchr(text, '=')) {
		cb_env_set(&ret->attrs, "type", "registry");
		cb_env_set(&ret->attrs, "ref", text);
	} else if (cb_csv_split(text, &fields, err) < 0) {
		return cb_err_wrap(err, CB_ERR_USAGE, "--cache-%s", to ? "to" : "from");
	}
	for (size_t i = 0; i < fields.n; i++) {
		const char *eq = strchr(fields.v[i], '=');
		cleanup_free char *key = NULL;

		if (!eq || eq == fields.v[i])
			return wrong(text, to, "it is a list of key=value", NULL, err);
		key = cb_xstrndup(fields.v[i], (size_t)(eq - fields.v[i]));
		cb_env_set(&ret->attrs, cb_str_lower(key), eq + 1);
	}
	name = cb_remote_spec_get(ret, "type");
	if (!name)
		return wrong(text, to, "type= is missing", "types are local, http, registry and s3", err);
	r = find_type(text, to, name, &type, err);
	if (r == 0)
		r = take_mode(ret, text, to, err);
	if (r == 0)
		r = check_attrs(ret, text, to, type, err);
	if (r == 0)
		ret->type = types[type].type;
	return r;
}
