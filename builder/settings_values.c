#include "builder/settings_values.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/csv.h"
#include "base/num.h"
#include "builder/hostaddress.h"
#include "layers/platform.h"
#include "parser/mountflag.h"

const char *cb_environ_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; envp && *envp; envp++) {
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	}
	return NULL;
}

int cb_settings_add_host(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	const char *sep = strpbrk(text, ":=");
	cleanup_free char *address = NULL;
	unsigned char binary[sizeof(struct in6_addr)];
	size_t len;

	if (!sep || sep == text)
		return cb_err_set(err, CB_ERR_USAGE, "--add-host is NAME:IP, not \"%s\"", text);
	address = cb_xstrdup(sep + 1);
	len = strlen(address);
	if (len > 1 && *address == '[' && address[len - 1] == ']') {
		address[len - 1] = '\0';
		memmove(address, address + 1, len - 1);
	}
	if (strcmp(address, CB_HOST_GATEWAY) != 0 && inet_pton(AF_INET, address, binary) != 1 &&
		inet_pton(AF_INET6, address, binary) != 1)
		return cb_err_set(err, CB_ERR_USAGE, "--add-host %s: \"%s\" is not an IP address", text, address);
	cb_strv_addf(&settings->add_hosts, "%.*s=%s", (int)(sep - text), text, address);
	return 0;
}

static bool parse_limit(const char *text, int64_t *ret)
{
	return cb_num_i64(text, ret) && *ret >= -1;
}

/** -1 is above every number. */
static bool limit_above(int64_t a, int64_t b)
{
	return b != -1 && (a == -1 || a > b);
}

int cb_settings_add_ulimit(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	static const char *const known[] = { "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice",
		"nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack" };
	cleanup_free char *name = NULL, *soft = NULL;
	const char *eq = strchr(text, '='), *colon, *near;
	struct cb_ulimit_spec *spec;
	int64_t lo, hi;
	bool found = false;

	if (!eq || eq == text)
		return cb_err_set(err, CB_ERR_USAGE, "--ulimit is NAME=SOFT[:HARD], not \"%s\"", text);
	name = cb_xstrndup(text, (size_t)(eq - text));
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		found |= !strcmp(name, known[i]);
	if (!found) {
		near = cb_str_nearest(name, known, ARRAY_SIZE(known));
		cb_err_set(err, CB_ERR_USAGE, "--ulimit %s: unknown limit \"%s\"", text, name);
		return near ? cb_err_hint(err, CB_ERR_USAGE, "did you mean %s?", near) : CB_ERR_USAGE;
	}
	colon = strchr(eq, ':');
	soft = colon ? cb_xstrndup(eq + 1, (size_t)(colon - eq - 1)) : cb_xstrdup(eq + 1);
	if (!parse_limit(soft, &lo) || (colon && !parse_limit(colon + 1, &hi)))
		return cb_err_set(err, CB_ERR_USAGE, "--ulimit %s: a limit is a number, or -1 for none", text);
	if (!colon)
		hi = lo;
	if (limit_above(lo, hi))
		return cb_err_set(err, CB_ERR_USAGE, "--ulimit %s: the soft limit is above the hard one", text);
	CB_GROW(settings->ulimits, settings->cap_ulimits, settings->n_ulimits + 1);
	spec = &settings->ulimits[settings->n_ulimits++];
	*spec = (struct cb_ulimit_spec){ CB_TAKE_PTR(name), lo, hi };
	return 0;
}

struct secret_fields {
	char *id, *src, *env, *type;
};

static void secret_fields_done(struct secret_fields *fields)
{
	free(fields->id);
	free(fields->src);
	free(fields->env);
	free(fields->type);
}

static int secret_field(struct secret_fields *fields, const char *text, const char *field, struct cb_err **err)
{
	const char *eq = strchr(field, '=');
	cleanup_free char *key = NULL;
	char **slot;

	if (!eq)
		return cb_err_set(err, CB_ERR_USAGE, "--secret %s: \"%s\" is not key=value", text, field);
	key = cb_xstrndup(field, (size_t)(eq - field));
	cb_str_lower(key);
	if (!strcmp(key, "id"))
		slot = &fields->id;
	else if (!strcmp(key, "src") || !strcmp(key, "source"))
		slot = &fields->src;
	else if (!strcmp(key, "env"))
		slot = &fields->env;
	else if (!strcmp(key, "type"))
		slot = &fields->type;
	else
		return cb_err_set(err, CB_ERR_USAGE, "--secret %s: unknown key \"%s\"", text, key);
	free(*slot);
	*slot = cb_xstrdup(eq + 1);
	return 0;
}

int cb_settings_add_secret(struct cb_settings *settings, const char *text, char *const *envp, struct cb_err **err)
{
	__attribute__((cleanup(secret_fields_done))) struct secret_fields f = { 0 };
	cleanup_strv struct cb_strv fields = { 0 };
	struct cb_secret_spec *spec;
	int r;

	if (cb_csv_split(text, &fields, err) < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--secret");
	for (size_t i = 0; i < fields.n; i++) {
		r = secret_field(&f, text, fields.v[i], err);
		if (r < 0)
			return r;
	}
	if (!f.id || !*f.id)
		return cb_err_set(err, CB_ERR_USAGE, "--secret %s: id= is missing", text);
	if (f.type && strcmp(f.type, "file") && strcmp(f.type, "env"))
		return cb_err_set(err, CB_ERR_USAGE, "--secret %s: type is file or env, not \"%s\"", text, f.type);
	if (f.type && !strcmp(f.type, "env") && !f.env)
		f.env = CB_TAKE_PTR(f.src);
	if (f.src && f.env)
		return cb_err_set(err, CB_ERR_USAGE, "--secret %s: src= and env= exclude each other", text);
	if (!f.src && !f.env) {
		bool variable = (f.type && !strcmp(f.type, "env")) || (!f.type && cb_environ_get(envp, f.id));

		*(variable ? &f.env : &f.src) = cb_xstrdup(f.id);
	}
	CB_GROW(settings->secrets, settings->cap_secrets, settings->n_secrets + 1);
	spec = &settings->secrets[settings->n_secrets++];
	*spec = (struct cb_secret_spec){
		.id = CB_TAKE_PTR(f.id), .src = CB_TAKE_PTR(f.src), .env = CB_TAKE_PTR(f.env)
	};
	return 0;
}

static int call_attribute(struct cb_settings *settings, const char *text, const char *field, struct cb_err **err)
{
	if (!strcmp(field, "format=json"))
		settings->call_json = true;
	else if (!strcmp(field, "format=text"))
		settings->call_json = false;
	else if (!strcmp(field, "ignorestatus") || !strcmp(field, "ignorestatus=true"))
		settings->call_ignore_status = true;
	else if (strcmp(field, "ignorestatus=false") != 0)
		return cb_err_set(err, CB_ERR_USAGE, "--call %s: unknown attribute \"%s\"", text, field);
	return 0;
}

int cb_settings_set_call(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	static const char *const names[] = { "build", "check", "outline", "targets" };
	cleanup_strv struct cb_strv fields = { 0 };
	const char *method;
	size_t found;

	if (cb_csv_split(text, &fields, err) < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--call");
	method = fields.n ? fields.v[0] : "";
	/* docker's older name of it. */
	if (!strcmp(method, "lint"))
		method = "check";
	for (found = 0; found < ARRAY_SIZE(names); found++)
		if (!strcmp(method, names[found]))
			break;
	if (found == ARRAY_SIZE(names)) {
		cb_err_set(err, CB_ERR_USAGE, "--call: unknown method \"%s\"", method);
		return cb_err_hint(err, CB_ERR_USAGE, "the methods are build, check, outline and targets");
	}
	settings->call = (enum cb_call)found;
	for (size_t i = 1; i < fields.n; i++) {
		int r = call_attribute(settings, text, fields.v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

int cb_settings_add_ssh(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	const char *value = strchr(text, '=');
	size_t len = strcspn(text, "=");
	cleanup_strv struct cb_strv parts = { 0 };
	struct cb_ssh_spec *spec;

	if (!len || (value && !value[1]))
		return cb_err_set(err, CB_ERR_USAGE, "--ssh %s: expected default, ID or ID=SOCKET|KEY", text);
	for (size_t i = 0; i < settings->n_ssh; i++)
		if (strlen(settings->ssh[i].id) == len && !strncmp(settings->ssh[i].id, text, len))
			return cb_err_set(err, CB_ERR_USAGE, "--ssh %.*s is given twice", (int)len, text);
	CB_GROW(settings->ssh, settings->cap_ssh, settings->n_ssh + 1);
	spec = &settings->ssh[settings->n_ssh++];
	*spec = (struct cb_ssh_spec){ .id = cb_xstrndup(text, len) };
	if (value)
		cb_strv_split(&parts, value + 1, ',');
	for (size_t i = 0; i < parts.n; i++) {
		const char *part = parts.v[i];

		if (!*part)
			return cb_err_set(err, CB_ERR_USAGE, "--ssh %s has an empty part", text);
		if (!cb_str_starts(part, "raw="))
			cb_strv_add(&spec->paths, part);
		else if (!cb_mount_bool(part + strlen("raw="), &spec->raw))
			return cb_err_set(err, CB_ERR_USAGE, "--ssh %s: raw takes true or false", text);
	}
	if (spec->raw && spec->paths.n != 1)
		return cb_err_set(err, CB_ERR_USAGE, "--ssh %s: raw is for one socket, ID=SOCKET,raw=true", text);
	return 0;
}

static bool has_platform(const struct cb_platform *list, size_t n, const struct cb_platform *platform)
{
	for (size_t i = 0; i < n; i++)
		if (cb_platform_equal(&list[i], platform))
			return true;
	return false;
}

int cb_settings_platforms(
	const struct cb_settings *settings, struct cb_platform **ret, size_t *ret_n, struct cb_err **err)
{
	const struct cb_strv *given = &settings->platforms;
	cleanup_free struct cb_platform *list = cb_xcalloc(given->n + 1, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < given->n; i++) {
		struct cb_platform platform;

		if (cb_platform_parse(given->v[i], &platform, err) < 0)
			return cb_err_wrap(err, CB_ERR_USAGE, "--platform");
		if (cb_platform_check(&platform, err) < 0)
			return cb_err_wrap(err, CB_ERR_USAGE, "--platform %s", given->v[i]);
		if (!has_platform(list, n, &platform))
			list[n++] = platform;
	}
	if (!n)
		cb_platform_host(&list[n++]);
	*ret = CB_TAKE_PTR(list);
	*ret_n = n;
	return 0;
}
