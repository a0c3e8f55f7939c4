#include "builder/imagestate.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "builder/ports.h"

#define COMMENT "buildkit.dockerfile.v0"
#define COMMENT_SYNTHETIC "buildkit.exporter.image.v0"

/* What every image has that is not for Windows. */
static void add_default_path(struct cb_image_config *config)
{
	if (!cb_env_get(&config->env, "PATH") && !cb_str_eq(config->platform.os, "windows"))
		cb_env_set(&config->env, "PATH", CB_DEFAULT_PATH);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static struct cb_imagestate *state_of(struct cb_image_config *config)
{
	struct cb_imagestate *state = cb_new0(struct cb_imagestate);

	state->config = config;
	add_default_path(config);
	return state;
}

struct cb_imagestate *cb_imagestate_new(const struct cb_platform *platform)
{
	struct cb_image_config *config = cb_image_config_new(platform);

	cb_image_config_set(&config->working_dir, cb_str_eq(platform->os, "windows") ? "\\" : "/");
	return state_of(config);
}

struct cb_imagestate *cb_imagestate_of_image(const struct cb_image_config *base)
{
	struct cb_image_config *config = cb_image_config_copy(base);
	struct cb_imagestate *state;

	free(config->created);
	config->created = NULL;
	cb_strv_done(&config->onbuild);
	state = state_of(config);
	state->n_base_history = config->n_history;
	return state;
}

struct cb_imagestate *cb_imagestate_of_stage(const struct cb_imagestate *parent)
{
	struct cb_imagestate *state = cb_new0(struct cb_imagestate);

	state->config = cb_image_config_copy(parent->config);
	cb_strv_done(&state->config->onbuild);
	state->n_base_history = parent->n_base_history;
	return state;
}

struct cb_imagestate *cb_imagestate_free(struct cb_imagestate *state)
{
	if (!state)
		return NULL;
	cb_image_config_free(state->config);
	free(state);
	return NULL;
}

static void drop_list(struct cb_strv *list)
{
	cb_strv_done(list);
	*list = (struct cb_strv){ 0 };
}

void cb_imagestate_reset(struct cb_imagestate *state, unsigned int parts)
{
	struct cb_image_config *config = state->config;

	if (parts & CB_RESET_VOLUMES)
		drop_list(&config->volumes);
	if (parts & CB_RESET_EXPOSE)
		drop_list(&config->exposed_ports);
	if (parts & CB_RESET_ENTRYPOINT)
		drop_list(&config->entrypoint);
	if (parts & CB_RESET_CMD)
		drop_list(&config->cmd);
	if (parts & (CB_RESET_CMD | CB_RESET_ENTRYPOINT) && !config->cmd.n && !config->entrypoint.n)
		config->args_escaped = false;
	if (parts & CB_RESET_ENV) {
		drop_list(&config->env);
		add_default_path(config);
	}
	if (parts & CB_RESET_LABELS)
		json_object_clear(config->labels);
	if (parts & CB_RESET_USER)
		cb_image_config_set(&config->user, NULL);
	if (parts & CB_RESET_WORKDIR)
		cb_image_config_set(&config->working_dir, "/");
	if (parts & CB_RESET_HEALTHCHECK)
		config->healthcheck = cb_healthcheck_free(config->healthcheck);
}

/* ---- history text --------------------------------------------------------------------------------------------- */

void cb_imagestate_history(struct cb_imagestate *state, const char *created_by, bool layer)
{
	cb_image_config_add_history(state->config, NULL, created_by, NULL, COMMENT, !layer);
}

/* "CMD [a b]": Go's %v of a list of strings. */
static void history_list(struct cb_imagestate *state, const char *word, const struct cb_strv *items)
{
	cleanup_free char *joined = cb_strv_join(items, " ");
	cleanup_free char *text = cb_xasprintf("%s [%s]", word, joined);

	cb_imagestate_history(state, text, false);
}

/* "CMD [\"a\" \"b\"]": Go's %q of a list of strings. */
static void history_quoted(struct cb_imagestate *state, const char *word, const struct cb_strv *items)
{
	cleanup_buf struct cb_buf text = { 0 };

	cb_buf_addf(&text, "%s [", word);
	for (size_t i = 0; i < items->n; i++) {
		if (i)
			cb_buf_addc(&text, ' ');
		cb_str_quote(&text, items->v[i]);
	}
	cb_buf_addc(&text, ']');
	cb_imagestate_history(state, cb_buf_str(&text), false);
}

static void history_pairs(
	struct cb_imagestate *state, const char *word, const struct cb_strv *keys, const struct cb_strv *values)
{
	cleanup_buf struct cb_buf text = { 0 };

	cb_buf_adds(&text, word);
	for (size_t i = 0; i < keys->n; i++)
		cb_buf_addf(&text, " %s=%s", keys->v[i], values->v[i]);
	cb_imagestate_history(state, cb_buf_str(&text), false);
}

/* ---- instructions --------------------------------------------------------------------------------------------- */

void cb_imagestate_env(struct cb_imagestate *state, const struct cb_strv *keys, const struct cb_strv *values)
{
	for (size_t i = 0; i < keys->n; i++)
		cb_env_set(&state->config->env, keys->v[i], values->v[i]);
	history_pairs(state, "ENV", keys, values);
}

void cb_imagestate_label(struct cb_imagestate *state, const struct cb_strv *keys, const struct cb_strv *values)
{
	for (size_t i = 0; i < keys->n; i++)
		cb_image_config_set_label(state->config, keys->v[i], values->v[i]);
	history_pairs(state, "LABEL", keys, values);
}

void cb_imagestate_shell_argv(const struct cb_imagestate *state, struct cb_strv *ret)
{
	if (state->config->shell.n) {
		cb_strv_copy(ret, &state->config->shell);
		return;
	}
	if (cb_str_eq(state->config->platform.os, "windows")) {
		cb_strv_add(ret, "cmd");
		cb_strv_add(ret, "/S");
		cb_strv_add(ret, "/C");
		return;
	}
	cb_strv_add(ret, "/bin/sh");
	cb_strv_add(ret, "-c");
}

static void set_command(struct cb_imagestate *state, struct cb_strv *member, const struct cb_command_form *command)
{
	cb_strv_done(member);
	*member = (struct cb_strv){ 0 };
	if (command->shell)
		cb_imagestate_shell_argv(state, member);
	for (size_t i = 0; i < command->argv.n; i++)
		cb_strv_add(member, command->argv.v[i].s);
}

void cb_imagestate_cmd(struct cb_imagestate *state, const struct cb_command_form *command)
{
	set_command(state, &state->config->cmd, command);
	state->config->args_escaped = true;
	state->cmd_set = true;
	history_quoted(state, "CMD", &state->config->cmd);
}

void cb_imagestate_entrypoint(struct cb_imagestate *state, const struct cb_command_form *command)
{
	set_command(state, &state->config->entrypoint, command);
	if (!state->cmd_set) {
		cb_strv_done(&state->config->cmd);
		state->config->cmd = (struct cb_strv){ 0 };
	}
	history_quoted(state, "ENTRYPOINT", &state->config->entrypoint);
}

void cb_imagestate_shell(struct cb_imagestate *state, const struct cb_texts *argv)
{
	cb_strv_done(&state->config->shell);
	state->config->shell = (struct cb_strv){ 0 };
	for (size_t i = 0; i < argv->n; i++)
		cb_strv_add(&state->config->shell, argv->v[i].s);
	history_list(state, "SHELL", &state->config->shell);
}

static void add_duration(struct cb_buf *text, const char *name, int64_t ns)
{
	cb_buf_addf(text, " %s:", name);
	cb_num_format_duration(text, ns);
}

void cb_imagestate_healthcheck(struct cb_imagestate *state, const struct cb_health_check *check)
{
	struct cb_healthcheck *own = cb_new0(struct cb_healthcheck);
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *test = NULL;

	if (check->type == CB_HEALTH_NONE) {
		cb_strv_add(&own->test, "NONE");
	} else {
		cb_strv_add(&own->test, check->cmd.shell ? "CMD-SHELL" : "CMD");
		for (size_t i = 0; i < check->cmd.argv.n; i++)
			cb_strv_add(&own->test, check->cmd.argv.v[i].s);
	}
	own->interval = check->interval;
	own->timeout = check->timeout;
	own->start_period = check->start_period;
	own->start_interval = check->start_interval;
	own->retries = check->retries;
	cb_healthcheck_free(state->config->healthcheck);
	state->config->healthcheck = own;

	test = cb_strv_join(&own->test, " ");
	cb_buf_addf(&text, "HEALTHCHECK {Test:[%s]", test);
	add_duration(&text, "Interval", own->interval);
	add_duration(&text, "Timeout", own->timeout);
	add_duration(&text, "StartPeriod", own->start_period);
	add_duration(&text, "StartInterval", own->start_interval);
	cb_buf_addf(&text, " Retries:%lld}", (long long)own->retries);
	cb_imagestate_history(state, cb_buf_str(&text), false);
}

int cb_imagestate_check_port(const char *word, struct cb_err **err)
{
	cleanup_strv struct cb_strv ports = { 0 };

	return cb_ports_expand(word, &ports, err);
}

int cb_imagestate_expose(struct cb_imagestate *state, const struct cb_strv *words, struct cb_err **err)
{
	cleanup_strv struct cb_strv ports = { 0 };

	for (size_t i = 0; i < words->n; i++) {
		int r = cb_ports_expand(words->v[i], &ports, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ports.n; i++)
		cb_image_config_add_port(state->config, ports.v[i]);
	history_list(state, "EXPOSE", &ports);
	return 0;
}

int cb_imagestate_volume(struct cb_imagestate *state, const struct cb_strv *paths, struct cb_err **err)
{
	cleanup_strv struct cb_strv trimmed = { 0 };

	for (size_t i = 0; i < paths->n; i++) {
		char *path = cb_str_trim(paths->v[i]);

		cb_strv_take(&trimmed, path);
		if (!*path)
			return cb_err_set(err, CB_ERR_INPUT, "VOLUME specified can not be an empty string");
	}
	for (size_t i = 0; i < trimmed.n; i++)
		cb_image_config_add_volume(state->config, trimmed.v[i]);
	history_list(state, "VOLUME", &trimmed);
	return 0;
}

static bool signal_known(const char *name)
{
	static const char *const names[] = {
		"ABRT",
		"ALRM",
		"BUS",
		"CHLD",
		"CLD",
		"CONT",
		"FPE",
		"HUP",
		"ILL",
		"INT",
		"IO",
		"IOT",
		"KILL",
		"PIPE",
		"POLL",
		"PROF",
		"PWR",
		"QUIT",
		"SEGV",
		"STKFLT",
		"STOP",
		"SYS",
		"TERM",
		"TRAP",
		"TSTP",
		"TTIN",
		"TTOU",
		"UNUSED",
		"URG",
		"USR1",
		"USR2",
		"VTALRM",
		"WINCH",
		"XCPU",
		"XFSZ",
		"RTMIN",
		"RTMAX",
	};
	uint32_t number;

	if (cb_num_u32(name, &number))
		return number > 0 && number <= 64;
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cb_str_ieq(name, names[i]))
			return true;
	if (!strncasecmp(name, "RTMIN+", 6))
		return cb_num_u32(name + 6, &number) && number <= 15;
	if (!strncasecmp(name, "RTMAX-", 6))
		return cb_num_u32(name + 6, &number) && number <= 14;
	return false;
}

int cb_imagestate_stopsignal(struct cb_imagestate *state, const char *name, struct cb_err **err)
{
	cleanup_free char *text = NULL;

	if (!signal_known(name))
		return cb_err_set(err, CB_ERR_INPUT, "invalid signal: %s", name);
	cb_image_config_set(&state->config->stop_signal, name);
	text = cb_xasprintf("STOPSIGNAL %s", name);
	cb_imagestate_history(state, text, false);
	return 0;
}

void cb_imagestate_user(struct cb_imagestate *state, const char *user)
{
	cleanup_free char *text = cb_xasprintf("USER %s", user);

	cb_image_config_set(&state->config->user, user);
	cb_imagestate_history(state, text, false);
}

const char *cb_imagestate_cwd(const struct cb_imagestate *state)
{
	const char *cwd = state->config->working_dir;

	return cwd && *cwd ? cwd : "/";
}

void cb_imagestate_workdir(struct cb_imagestate *state, const char *path)
{
	cleanup_free char *joined = *path == '/' ? cb_path_abs(path) : cb_path_join(cb_imagestate_cwd(state), path);
	cleanup_free char *absolute = cb_path_abs(joined);
	cleanup_free char *text = cb_xasprintf("WORKDIR %s", absolute);

	cb_image_config_set(&state->config->working_dir, absolute);
	cb_imagestate_history(state, text, !cb_str_eq(absolute, "/"));
}

void cb_imagestate_maintainer(struct cb_imagestate *state, const char *author)
{
	cleanup_free char *text = cb_xasprintf("MAINTAINER %s", author);

	cb_image_config_set(&state->config->author, author);
	cb_imagestate_history(state, text, false);
}

void cb_imagestate_onbuild(struct cb_imagestate *state, const char *trigger)
{
	cb_strv_add(&state->config->onbuild, trigger);
}

/* ---- the end -------------------------------------------------------------------------------------------------- */

static void set_time(char **member, struct timespec t)
{
	char text[CB_TIME_TEXT_MAX];

	cb_time_format(t, text);
	free(*member);
	*member = cb_xstrdup(text);
}

/* One history item with a layer for each layer. */
static void match_history(struct cb_image_config *config, size_t n_layers)
{
	size_t at = 0;

	for (size_t i = 0; i < config->n_history; i++) {
		if (config->history[i].empty_layer)
			continue;
		if (at < n_layers)
			at++;
		else
			config->history[i].empty_layer = true;
	}
	for (; at < n_layers; at++)
		cb_image_config_add_history(config, NULL, NULL, NULL, COMMENT_SYNTHETIC, false);
}

void cb_imagestate_finish(
	struct cb_imagestate *state, const struct cb_image_layer_fact *layers, size_t n, const struct timespec *epoch)
{
	struct cb_image_config *config = state->config;
	struct timespec time = { 0 };
	size_t at = 0;

	config->n_diff_ids = 0;
	for (size_t i = 0; i < n; i++)
		cb_image_config_add_diff_id(config, &layers[i].diff_id);
	match_history(config, n);

	/* Items before the first new layer have its time; without a new layer, that of the base image's end. */
	for (size_t i = 0; i < n && !time.tv_sec; i++)
		if (!layers[i].base)
			time = layers[i].created;
	for (size_t i = state->n_base_history; !time.tv_sec && i-- > 0;)
		if (config->history[i].created && cb_time_parse(config->history[i].created, &time))
			break;
	for (size_t i = 0; i < config->n_history; i++) {
		struct cb_history *item = &config->history[i];

		if (!item->empty_layer && at < n && !layers[at++].base)
			time = layers[at - 1].created;
		if (!item->created || i >= state->n_base_history)
			set_time(&item->created, epoch ? *epoch : time);
	}
	free(config->created);
	config->created = config->n_history ? cb_xstrdup_null(config->history[config->n_history - 1].created) : NULL;
	if (!config->created)
		set_time(&config->created, epoch ? *epoch : time);
}
