#include "layers/config.h"

#include <string.h>

void cb_history_done(struct cb_history *entry)
{
	free(entry->created);
	free(entry->created_by);
	free(entry->author);
	free(entry->comment);
	memset(entry, 0, sizeof(*entry));
}

struct cb_healthcheck *cb_healthcheck_copy(const struct cb_healthcheck *check)
{
	struct cb_healthcheck *copy = cb_xmemdup(check, sizeof(*check));

	memset(&copy->test, 0, sizeof(copy->test));
	cb_strv_copy(&copy->test, &check->test);
	return copy;
}

struct cb_healthcheck *cb_healthcheck_free(struct cb_healthcheck *check)
{
	if (check) {
		cb_strv_done(&check->test);
		free(check);
	}
	return NULL;
}

struct cb_image_config *cb_image_config_new(const struct cb_platform *platform)
{
	struct cb_image_config *config = cb_new0(struct cb_image_config);

	if (platform)
		config->platform = *platform;
	config->labels = json_object();
	return config;
}

struct cb_image_config *cb_image_config_free(struct cb_image_config *config)
{
	if (!config)
		return NULL;

	cb_strv_done(&config->os_features);
	free(config->created);
	free(config->author);
	free(config->user);
	free(config->working_dir);
	free(config->stop_signal);
	cb_strv_done(&config->env);
	cb_strv_done(&config->cmd);
	cb_strv_done(&config->entrypoint);
	cb_strv_done(&config->shell);
	cb_strv_done(&config->onbuild);
	cb_strv_done(&config->exposed_ports);
	cb_strv_done(&config->volumes);
	json_decref(config->labels);
	cb_healthcheck_free(config->healthcheck);
	for (size_t i = 0; i < config->n_history; i++)
		cb_history_done(&config->history[i]);
	free(config->history);
	free(config->diff_ids);
	json_decref(config->extra);
	free(config);
	return NULL;
}

struct cb_image_config *cb_image_config_copy(const struct cb_image_config *from)
{
	struct cb_image_config *to = cb_image_config_new(&from->platform);

	cb_strv_copy(&to->os_features, &from->os_features);
	to->created = cb_xstrdup_null(from->created);
	to->author = cb_xstrdup_null(from->author);
	to->user = cb_xstrdup_null(from->user);
	to->working_dir = cb_xstrdup_null(from->working_dir);
	to->stop_signal = cb_xstrdup_null(from->stop_signal);
	cb_strv_copy(&to->env, &from->env);
	cb_strv_copy(&to->cmd, &from->cmd);
	cb_strv_copy(&to->entrypoint, &from->entrypoint);
	cb_strv_copy(&to->shell, &from->shell);
	cb_strv_copy(&to->onbuild, &from->onbuild);
	cb_strv_copy(&to->exposed_ports, &from->exposed_ports);
	cb_strv_copy(&to->volumes, &from->volumes);
	json_object_update(to->labels, from->labels);
	if (from->healthcheck)
		to->healthcheck = cb_healthcheck_copy(from->healthcheck);
	to->args_escaped = from->args_escaped;
	for (size_t i = 0; i < from->n_history; i++) {
		const struct cb_history *h = &from->history[i];

		cb_image_config_add_history(to, h->created, h->created_by, h->author, h->comment, h->empty_layer);
	}
	for (size_t i = 0; i < from->n_diff_ids; i++)
		cb_image_config_add_diff_id(to, &from->diff_ids[i]);
	to->extra = json_deep_copy(from->extra);
	return to;
}

void cb_image_config_add_history(struct cb_image_config *config, const char *created, const char *created_by,
	const char *author, const char *comment, bool empty_layer)
{
	CB_GROW(config->history, config->cap_history, config->n_history + 1);
	config->history[config->n_history++] = (struct cb_history){
		.created = cb_xstrdup_null(created),
		.created_by = cb_xstrdup_null(created_by),
		.author = cb_xstrdup_null(author),
		.comment = cb_xstrdup_null(comment),
		.empty_layer = empty_layer,
	};
}

void cb_image_config_add_diff_id(struct cb_image_config *config, const struct cb_digest *diff_id)
{
	CB_GROW(config->diff_ids, config->cap_diff_ids, config->n_diff_ids + 1);
	config->diff_ids[config->n_diff_ids++] = *diff_id;
}

void cb_image_config_add_port(struct cb_image_config *config, const char *port)
{
	if (!cb_strv_has(&config->exposed_ports, port))
		cb_strv_add(&config->exposed_ports, port);
}

void cb_image_config_add_volume(struct cb_image_config *config, const char *path)
{
	if (!cb_strv_has(&config->volumes, path))
		cb_strv_add(&config->volumes, path);
}

void cb_image_config_set(char **member, const char *value)
{
	char *copy = value && *value ? cb_xstrdup(value) : NULL;

	free(*member);
	*member = copy;
}
