#include "builder/settings.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/num.h"
#include "builder/cachemounts.h"
#include "builder/remotes.h"
#include "builder/secret.h"
#include "builder/settings_ids.h"
#include "builder/settings_limits.h"
#include "builder/settings_security.h"
#include "builder/settings_values.h"
#include "runtime/runtime.h"

void cb_settings_init(struct cb_settings *settings)
{
	*settings = (struct cb_settings){ .isolation = cb_xstrdup("auto"),
		.fetch_limit = CB_FETCH_LIMIT_DEFAULT,
		.fetch_timeout = CB_FETCH_TIMEOUT_DEFAULT };
}

void cb_settings_done(struct cb_settings *settings)
{
	char *strings[] = { settings->file, settings->context, settings->target, settings->iidfile,
		settings->metadata_file, settings->digest_file, settings->output_env, settings->isolation,
		settings->root, settings->cpuset_cpus, settings->cpuset_mems, settings->cgroup_parent,
		settings->hostname, settings->load };
	struct cb_strv *lists[] = { &settings->build_args, &settings->build_contexts, &settings->platforms,
		&settings->labels, &settings->tags, &settings->no_cache_filter, &settings->cache_from,
		&settings->cache_to, &settings->cache_mount_from, &settings->cache_mount_to, &settings->add_hosts,
		&settings->allow, &settings->ignored, &settings->annotations, &settings->ci_outputs, &settings->dns,
		&settings->dns_search, &settings->dns_options };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		cb_strv_done(lists[i]);
	for (size_t i = 0; i < settings->n_outputs; i++)
		cb_output_spec_done(&settings->outputs[i]);
	for (size_t i = 0; i < settings->n_ulimits; i++)
		free(settings->ulimits[i].name);
	for (size_t i = 0; i < settings->n_secrets; i++) {
		free(settings->secrets[i].id);
		free(settings->secrets[i].src);
		free(settings->secrets[i].env);
		cb_secret_wipe(&settings->secrets[i].value);
	}
	cb_access_done(&settings->access);
	cb_security_options_done(&settings->security);
	free(settings->outputs);
	free(settings->ulimits);
	free(settings->secrets);
	for (size_t i = 0; i < settings->n_ssh; i++) {
		free(settings->ssh[i].id);
		cb_strv_done(&settings->ssh[i].paths);
	}
	free(settings->ssh);
	*settings = (struct cb_settings){ 0 };
}

void cb_output_spec_done(struct cb_output_spec *spec)
{
	free(spec->type);
	free(spec->dest);
	cb_strv_done(&spec->attrs);
	*spec = (struct cb_output_spec){ 0 };
}

const char *cb_output_spec_get(const struct cb_output_spec *spec, const char *key)
{
	return cb_env_get(&spec->attrs, key);
}

static int output_fields(const char *text, struct cb_output_spec *spec, struct cb_err **err)
{
	cleanup_strv struct cb_strv fields = { 0 };

	if (cb_csv_split(text, &fields, err) < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--output");
	for (size_t i = 0; i < fields.n; i++) {
		const char *eq = strchr(fields.v[i], '=');
		cleanup_free char *key = NULL;

		if (!eq || eq == fields.v[i])
			return cb_err_set(err, CB_ERR_USAGE, "--output %s: \"%s\" is not key=value", text, fields.v[i]);
		key = cb_xstrndup(fields.v[i], (size_t)(eq - fields.v[i]));
		cb_str_lower(key);
		if (!strcmp(key, "type") || !strcmp(key, "dest")) {
			char **slot = *key == 't' ? &spec->type : &spec->dest;

			free(*slot);
			*slot = cb_xstrdup(eq + 1);
		} else {
			cb_env_set(&spec->attrs, key, eq + 1);
		}
	}
	if (!spec->type || !*spec->type) {
		cb_err_set(err, CB_ERR_USAGE, "--output %s: type= is missing", text);
		return cb_err_hint(err, CB_ERR_USAGE, "for example: --output type=oci,dest=image.tar");
	}
	if (spec->dest && !*spec->dest)
		return cb_err_set(err, CB_ERR_USAGE, "--output %s: dest= is empty", text);
	return 0;
}

int cb_output_spec_parse(const char *text, struct cb_output_spec *ret, struct cb_err **err)
{
	struct cb_output_spec spec = { 0 };
	int r;

	if (!*text)
		return cb_err_set(err, CB_ERR_USAGE, "--output is empty");
	/* Neither quotes nor commas nor an equals sign: a path, as docker takes it. */
	if (!strpbrk(text, "=,\"")) {
		ret->type = cb_xstrdup(strcmp(text, "-") ? "local" : "tar");
		ret->dest = cb_xstrdup(text);
		ret->attrs = (struct cb_strv){ 0 };
		return 0;
	}
	r = output_fields(text, &spec, err);
	if (r < 0) {
		cb_output_spec_done(&spec);
		return r;
	}
	*ret = spec;
	return 0;
}

char *cb_settings_default_root(const char *option, char *const *envp)
{
	const char *value;

	if (option)
		return cb_xstrdup(option);
	value = cb_environ_get(envp, "CBUILD_ROOT");
	if (value && *value)
		return cb_xstrdup(value);
	if (!geteuid())
		return cb_xstrdup("/var/lib/cbuild");
	value = cb_environ_get(envp, "XDG_DATA_HOME");
	if (value && *value == '/')
		return cb_xasprintf("%s/cbuild", value);
	value = cb_environ_get(envp, "HOME");
	if (value && *value == '/')
		return cb_xasprintf("%s/.local/share/cbuild", value);
	return cb_xasprintf("/var/tmp/cbuild-%u", (unsigned int)geteuid());
}

/** Splits "KEY=VALUE"; a missing "=" is @bare, NULL for an error. */
static int set_pair(struct cb_strv *list, const char *option, const char *text, const char *bare, struct cb_err **err)
{
	const char *eq = strchr(text, '=');
	cleanup_free char *key = eq ? cb_xstrndup(text, (size_t)(eq - text)) : cb_xstrdup(text);

	if (!*key || (!eq && !bare))
		return cb_err_set(err, CB_ERR_USAGE, "--%s is KEY=VALUE, not \"%s\"", option, text);
	cb_env_set(list, key, eq ? eq + 1 : bare);
	return 0;
}

static int set_build_arg(struct cb_settings *settings, const char *text, char *const *envp, struct cb_err **err)
{
	const char *value;

	if (strchr(text, '=') || !*text)
		return set_pair(&settings->build_args, "build-arg", text, NULL, err);
	value = cb_environ_get(envp, text);
	if (value)
		cb_env_set(&settings->build_args, text, value);
	return 0;
}

int cb_progress_mode_parse(const char *source, const char *text, enum cb_progress_mode *ret, struct cb_err **err)
{
	static const char *const names[] = { "auto", "tty", "plain", "rawjson", "quiet", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*ret = (enum cb_progress_mode)i;
			return 0;
		}
	}
	cb_err_set(err, CB_ERR_USAGE, "%s: unknown mode \"%s\"", source, text);
	return cb_err_hint(err, CB_ERR_USAGE, "the modes are auto, tty, plain, rawjson, quiet and none");
}

static int set_network(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	if (!strcmp(text, "default") || !strcmp(text, "sandbox"))
		settings->network = CB_NETWORK_DEFAULT;
	else if (!strcmp(text, "none"))
		settings->network = CB_NETWORK_NONE;
	else if (!strcmp(text, "host"))
		settings->network = CB_NETWORK_HOST;
	else
		return cb_err_set(err, CB_ERR_USAGE, "--network is default, none or host, not \"%s\"", text);
	return 0;
}

static int set_isolation(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	const char *name = strcmp(text, "default") ? text : "auto";
	enum cb_isolation isolation;

	if (cb_isolation_find(name, &isolation)) {
		free(settings->isolation);
		settings->isolation = cb_xstrdup(name);
		return 0;
	}
	cb_err_set(err, CB_ERR_USAGE, "--isolation: unknown mode \"%s\"", text);
	return cb_err_hint(
		err, CB_ERR_USAGE, "the modes are auto, root+userns, root, ranges, single, shared and chroot");
}

static int add_allow(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	/* Of devices none is ever there; scripts allow them all the same. */
	if (strcmp(text, "network.host") && strcmp(text, "security.insecure") && strcmp(text, "device") &&
		!cb_str_starts(text, "device=")) {
		cb_err_set(err, CB_ERR_USAGE, "--allow: unknown entitlement \"%s\"", text);
		return cb_err_hint(err, CB_ERR_USAGE, "there are network.host and security.insecure");
	}
	if (!cb_strv_has(&settings->allow, text))
		cb_strv_add(&settings->allow, text);
	return 0;
}

static int add_output(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	struct cb_output_spec spec;
	int r = cb_output_spec_parse(text, &spec, err);

	if (r < 0)
		return r;
	CB_GROW(settings->outputs, settings->cap_outputs, settings->n_outputs + 1);
	settings->outputs[settings->n_outputs++] = spec;
	return 0;
}

/** Adds the parts of a comma-separated value. */
static int add_list(struct cb_strv *list, const char *option, const char *text, struct cb_err **err)
{
	cleanup_strv struct cb_strv parts = { 0 };

	cb_strv_split(&parts, text, ',');
	for (size_t i = 0; i < parts.n; i++) {
		char *part = cb_str_trim(parts.v[i]);

		if (!*part) {
			free(part);
			return cb_err_set(err, CB_ERR_USAGE, "--%s \"%s\" has an empty part", option, text);
		}
		cb_strv_take(list, part);
	}
	return 0;
}

static int add_cache_mount(struct cb_settings *settings, bool to, const char *value, struct cb_err **err)
{
	int r = cb_cachemounts_check_spec(to ? "--cache-mount-to" : "--cache-mount-from", value, to, err);

	if (r == 0)
		cb_strv_add(to ? &settings->cache_mount_to : &settings->cache_mount_from, value);
	return r;
}

static int add_cache(struct cb_settings *settings, bool to, const char *value, struct cb_err **err)
{
	int r = cb_remotes_check_spec(value, to, err);

	if (r == 0)
		cb_strv_add(to ? &settings->cache_to : &settings->cache_from, value);
	return r;
}

/* As docker's flag, it may be given without a value or with a boolean. */
static int set_squash(struct cb_settings *settings, const char *value, struct cb_err **err)
{
	if (!*value || !strcmp(value, "new") || !strcmp(value, "true") || !strcmp(value, "1"))
		settings->squash = CB_SQUASH_NEW;
	else if (!strcmp(value, "all"))
		settings->squash = CB_SQUASH_ALL;
	else if (!strcmp(value, "false") || !strcmp(value, "0"))
		settings->squash = CB_SQUASH_NONE;
	else
		return cb_err_set(err, CB_ERR_USAGE, "--squash is new or all, not \"%s\"", value);
	return 0;
}

static int set_explain(struct cb_settings *settings, const char *value, struct cb_err **err)
{
	if (!*value || !strcmp(value, "text") || !strcmp(value, "true"))
		settings->explain = CB_EXPLAIN_TEXT;
	else if (!strcmp(value, "json"))
		settings->explain = CB_EXPLAIN_JSON;
	else if (!strcmp(value, "false"))
		settings->explain = CB_EXPLAIN_NONE;
	else
		return cb_err_set(err, CB_ERR_USAGE, "--explain is text or json, not \"%s\"", value);
	return 0;
}

static int set_load(struct cb_settings *settings, const char *value, struct cb_err **err)
{
	static const char *const engines[] = { "auto", "docker", "podman" };
	const char *engine = !*value || !strcmp(value, "true") ? "auto" : value;
	bool known = !strcmp(value, "false");

	for (size_t i = 0; i < ARRAY_SIZE(engines) && !known; i++)
		known = !strcmp(engine, engines[i]);
	if (!known)
		return cb_err_set(err, CB_ERR_USAGE, "--load is docker, podman or auto, not \"%s\"", value);
	free(settings->load);
	settings->load = strcmp(value, "false") != 0 ? cb_xstrdup(engine) : NULL;
	return 0;
}

static int set_jobs(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	uint32_t jobs;

	if (!cb_num_u32(text, &jobs) || !jobs || jobs > CB_SETTINGS_JOBS_MAX)
		return cb_err_set(
			err, CB_ERR_USAGE, "--jobs is a number from 1 to %d, not \"%s\"", CB_SETTINGS_JOBS_MAX, text);
	settings->jobs = jobs;
	return 0;
}

static int set_shm_size(struct cb_settings *settings, const char *text, struct cb_err **err)
{
	if (!cb_num_size(text, &settings->shm_size))
		return cb_err_set(err, CB_ERR_USAGE, "--shm-size is a size such as 64m, not \"%s\"", text);
	return 0;
}

/** A string that must not be empty; the last one counts. */
static int set_string(char **slot, const char *option, const char *text, struct cb_err **err)
{
	if (!*text)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is empty", option);
	free(*slot);
	*slot = cb_xstrdup(text);
	return 0;
}

static int add_string(struct cb_strv *list, const char *option, const char *text, struct cb_err **err)
{
	if (!*text)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is empty", option);
	cb_strv_add(list, text);
	return 0;
}

static int set_unsupported(const char *option, const char *value, struct cb_err **err)
{
	/* Scripts switch these off, which is what they are. */
	if (!strcmp(value, "false"))
		return 0;
	cb_err_set(err, CB_ERR_USAGE, "--%s is not supported by this version of cbuild", option);
	if (strcmp(option, "device") != 0)
		return CB_ERR_USAGE;
	return cb_err_hint(err, CB_ERR_USAGE,
		"steps have /dev/null, zero, full, random, urandom and tty; one with RUN --security=insecure, --allow "
		"security.insecure and --isolation root may make others itself");
}

static void set_ignored(struct cb_settings *settings, const char *option)
{
	if (!cb_strv_has(&settings->ignored, option))
		cb_strv_add(&settings->ignored, option);
}

static int add_address(struct cb_strv *list, const char *option, const char *text, struct cb_err **err)
{
	unsigned char binary[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, binary) != 1 && inet_pton(AF_INET6, text, binary) != 1)
		return cb_err_set(err, CB_ERR_USAGE, "--%s is an IP address, not \"%s\"", option, text);
	cb_strv_add(list, text);
	return 0;
}

/** The options that name a place in the struct and need no more than that. */
static int set_simple(struct cb_settings *s, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	const char *name = opt->name;

	switch (opt->id) {
	case SET_DNS:
		return add_address(&s->dns, name, value, err);
	case SET_DNS_OPTION:
		return add_string(&s->dns_options, name, value, err);
	case SET_DNS_SEARCH:
		return add_string(&s->dns_search, name, value, err);
	case SET_HOSTNAME:
		return set_string(&s->hostname, name, value, err);
	case SET_FILE:
		return set_string(&s->file, name, value, err);
	case SET_IIDFILE:
		return set_string(&s->iidfile, name, value, err);
	case SET_DIGEST_FILE:
		return set_string(&s->digest_file, name, value, err);
	case SET_OUTPUT_ENV:
		return set_string(&s->output_env, name, value, err);
	case SET_ANNOTATION:
		return add_string(&s->annotations, name, value, err);
	case SET_CI_OUTPUT:
		return add_string(&s->ci_outputs, name, value, err);
	case SET_METADATA_FILE:
		return set_string(&s->metadata_file, name, value, err);
	case SET_ROOT:
		return set_string(&s->root, name, value, err);
	case SET_TARGET:
		return set_string(&s->target, name, value, err);
	case SET_TAG:
		return add_string(&s->tags, name, value, err);
	case SET_BUILD_CONTEXT:
		return set_pair(&s->build_contexts, name, value, NULL, err);
	case SET_LABEL:
		return set_pair(&s->labels, name, value, "", err);
	case SET_NO_CACHE_FILTER:
		return add_list(&s->no_cache_filter, name, value, err);
	case SET_PLATFORM:
		return add_list(&s->platforms, name, value, err);
	default:
		return cb_err_set(err, CB_ERR_INTERNAL, "option --%s has no meaning", name);
	}
}

int cb_settings_set(struct cb_settings *settings, const struct cb_opt *opt, const char *value, char *const *envp,
	struct cb_err **err)
{
	if (opt->id >= CB_ACCESS_ID)
		return cb_access_set(&settings->access, opt, value, err);
	if (cb_settings_is_limit(opt->id))
		return cb_settings_set_limit(settings, opt->id, opt->name, value, err);
	switch (opt->id) {
	case SET_RESOURCE:
		return cb_settings_add_resource(settings, value, err);
	case SET_ADD_HOST:
		return cb_settings_add_host(settings, value, err);
	case SET_ALLOW:
		return add_allow(settings, value, err);
	case SET_ALLOW_SECRET_LEAK:
		settings->allow_secret_leak = cb_opt_bool(value);
		return 0;
	case SET_BUILD_ARG:
		return set_build_arg(settings, value, envp, err);
	case SET_CALL:
		return cb_settings_set_call(settings, value, err);
	case SET_CHECK:
		settings->call = cb_opt_bool(value) ? CB_CALL_CHECK : CB_CALL_BUILD;
		return 0;
	case SET_DEBUG:
		settings->debug = cb_opt_bool(value);
		return 0;
	case SET_CACHE_FROM:
	case SET_CACHE_TO:
		return add_cache(settings, opt->id == SET_CACHE_TO, value, err);
	case SET_CACHE_MOUNT_FROM:
	case SET_CACHE_MOUNT_TO:
		return add_cache_mount(settings, opt->id == SET_CACHE_MOUNT_TO, value, err);
	case SET_EXPLAIN:
		return set_explain(settings, value, err);
	case SET_ISOLATION:
		return set_isolation(settings, value, err);
	case SET_JOBS:
		return set_jobs(settings, value, err);
	case SET_NETWORK:
		return set_network(settings, value, err);
	case SET_NO_CACHE:
		settings->no_cache = cb_opt_bool(value);
		return 0;
	case SET_OUTPUT:
		return add_output(settings, value, err);
	case SET_PROGRESS:
		return cb_progress_mode_parse("--progress", value, &settings->progress, err);
	case SET_PULL:
		settings->pull = cb_opt_bool(value);
		return 0;
	case SET_LOAD:
		return set_load(settings, value, err);
	case SET_PUSH:
		settings->push = cb_opt_bool(value);
		return 0;
	case SET_QUIET:
		settings->quiet = cb_opt_bool(value);
		return 0;
	case SET_REPRODUCIBLE:
		settings->reproducible = cb_opt_bool(value);
		return 0;
	case SET_SECRET:
		return cb_settings_add_secret(settings, value, envp, err);
	case SET_SECURITY_OPT:
		return cb_settings_add_security(settings, value, err);
	case SET_SHM_SIZE:
		return set_shm_size(settings, value, err);
	case SET_SQUASH:
		return set_squash(settings, value, err);
	case SET_SSH:
		return cb_settings_add_ssh(settings, value, err);
	case SET_ULIMIT:
		return cb_settings_add_ulimit(settings, value, err);
	case SET_IGNORED:
		set_ignored(settings, opt->name);
		return 0;
	case SET_UNSUPPORTED:
		return set_unsupported(opt->name, value, err);
	default:
		return set_simple(settings, opt, value, err);
	}
}

static int set_context(struct cb_settings *settings, const char *value, struct cb_err **err)
{
	if (settings->context)
		return cb_err_set(
			err, CB_ERR_USAGE, "one context, please: \"%s\" and \"%s\" are two", settings->context, value);
	if (!*value)
		return cb_err_set(err, CB_ERR_USAGE, "the context is an empty text");
	settings->context = cb_xstrdup(value);
	return 0;
}

int cb_settings_finish(struct cb_settings *settings, char *const *envp, struct cb_err **err)
{
	const char *value;
	int r;

	if (!settings->context) {
		cb_err_set(err, CB_ERR_USAGE, "the context is missing");
		return cb_err_hint(err, CB_ERR_USAGE, "usually it is the current directory: cbuild build .");
	}
	if (!strcmp(settings->context, "-") && settings->file && !strcmp(settings->file, "-"))
		return cb_err_set(err, CB_ERR_USAGE, "context and Buildfile cannot both come from standard input");
	if (!settings->root)
		settings->root = cb_settings_default_root(NULL, envp);
	value = cb_environ_get(envp, "BUILDKIT_PROGRESS");
	if (settings->progress == CB_PROGRESS_AUTO && value && *value) {
		r = cb_progress_mode_parse("BUILDKIT_PROGRESS", value, &settings->progress, err);
		if (r < 0)
			return r;
	}
	if (settings->quiet)
		settings->progress = CB_PROGRESS_QUIET;
	value = cb_environ_get(envp, "SOURCE_DATE_EPOCH");
	if (value && !cb_env_get(&settings->build_args, "SOURCE_DATE_EPOCH"))
		cb_env_set(&settings->build_args, "SOURCE_DATE_EPOCH", value);
	/* As docker's client: who gives steps the host's network by default need not allow it once more. */
	if (settings->network == CB_NETWORK_HOST && !cb_strv_has(&settings->allow, "network.host"))
		cb_strv_add(&settings->allow, "network.host");
	r = cb_settings_check_security(settings, err);
	return r < 0 ? r : cb_settings_check_limits(settings, err);
}

int cb_settings_parse_extra(struct cb_settings *settings, const struct cb_settings_extra *extra, int argc,
	char *const *argv, char *const *envp, struct cb_err **err)
{
	struct cb_opt_parser parser = {
		.argc = argc, .argv = argv, .tables = { extra ? extra->table : NULL, cb_build_options }
	};
	const struct cb_opt *opt;
	const char *value;
	int r;

	while ((r = cb_opt_next(&parser, &opt, &value, err)) > 0) {
		if (!opt)
			r = set_context(settings, value, err);
		else if (opt->id == CB_OPT_HELP)
			return 1;
		else if (extra && opt->id >= CB_SETTINGS_EXTRA_ID)
			r = extra->set(extra->arg, opt->id, value, err);
		else
			r = cb_settings_set(settings, opt, value, envp, err);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : cb_settings_finish(settings, envp, err);
}

int cb_settings_parse(struct cb_settings *settings, int argc, char *const *argv, char *const *envp, struct cb_err **err)
{
	return cb_settings_parse_extra(settings, NULL, argc, argv, envp, err);
}
