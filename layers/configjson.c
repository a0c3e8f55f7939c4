/* The JSON of image configurations: reading untrusted ones, writing BuildKit's bytes. */
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "layers/config.h"
#include "layers/jsondoc.h"

#define NAMES_MAX 100000 /* items of any list or set */
/* Variables are looked up one by one, and the kernel starts no program with so many of them. */
#define ENV_MAX 10000

/* Top-level keys that are members of the struct, and those of Docker's classic builder that a new image drops. */
static const char *const known_keys[] = { "architecture", "author", "config", "container", "container_config",
	"created", "docker_version", "history", "id", "os", "os.features", "os.version", "parent", "rootfs",
	"throwaway", "variant" };

void cb_image_config_set_label(struct cb_image_config *config, const char *key, const char *value)
{
	cb_jsondoc_set_entry(config->labels, key, value);
}

const char *cb_image_config_label(const struct cb_image_config *config, const char *key)
{
	return json_string_value(json_object_get(config->labels, key));
}

/* Go reads a time and writes it anew: in UTC that only drops trailing zeros. Other zones are left as they are. */
static int get_time(const json_t *obj, const char *key, char **ret, struct cb_err **err)
{
	char text[CB_TIME_TEXT_MAX];
	struct timespec t;
	int r = cb_jsondoc_get_text(obj, key, ret, err);

	if (r < 0 || !*ret)
		return r;
	if (!cb_time_parse(*ret, &t)) {
		r = cb_err_set(err, CB_ERR_CORRUPT, "\"%s\" is not a time: \"%.60s\"", key, *ret);
		free(*ret);
		*ret = NULL;
		return r;
	}
	if (cb_str_ends(*ret, "Z")) {
		cb_time_format(t, text);
		cb_image_config_set(ret, text);
	}
	return 0;
}

static int get_list(const json_t *obj, const char *key, size_t max, struct cb_strv *ret, struct cb_err **err)
{
	int r;

	if (json_array_size(json_object_get(obj, key)) > max)
		return cb_err_set(err, CB_ERR_LIMIT, "\"%s\" has more than %zu items", key, max);
	r = cb_json_get_strv(obj, key, ret, err);
	return r < 0 ? r : 0;
}

static int parse_healthcheck(const json_t *obj, struct cb_image_config *config, struct cb_err **err)
{
	struct cb_healthcheck *check;
	json_t *doc = NULL;
	int r = cb_json_get_obj(obj, "Healthcheck", &doc, err);

	if (r != 0)
		return r < 0 ? r : 0;
	check = config->healthcheck = cb_new0(struct cb_healthcheck);
	r = get_list(doc, "Test", NAMES_MAX, &check->test, err);
	if (r >= 0)
		r = cb_json_get_i64(doc, "Interval", &check->interval, err);
	if (r >= 0)
		r = cb_json_get_i64(doc, "Timeout", &check->timeout, err);
	if (r >= 0)
		r = cb_json_get_i64(doc, "StartPeriod", &check->start_period, err);
	if (r >= 0)
		r = cb_json_get_i64(doc, "StartInterval", &check->start_interval, err);
	if (r >= 0)
		r = cb_json_get_i64(doc, "Retries", &check->retries, err);
	return r < 0 ? cb_err_wrap(err, r, "healthcheck") : 0;
}

static int parse_config(const json_t *doc, struct cb_image_config *config, struct cb_err **err)
{
	json_t *obj = NULL, *labels = NULL;
	int r = cb_json_get_obj(doc, "config", &obj, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = cb_jsondoc_get_text(obj, "User", &config->user, err);
	if (r >= 0)
		r = cb_jsondoc_get_names(obj, "ExposedPorts", &config->exposed_ports, err);
	if (r >= 0)
		r = get_list(obj, "Env", ENV_MAX, &config->env, err);
	if (r >= 0)
		r = get_list(obj, "Entrypoint", NAMES_MAX, &config->entrypoint, err);
	if (r >= 0)
		r = get_list(obj, "Cmd", NAMES_MAX, &config->cmd, err);
	if (r >= 0)
		r = cb_jsondoc_get_names(obj, "Volumes", &config->volumes, err);
	if (r >= 0)
		r = cb_jsondoc_get_text(obj, "WorkingDir", &config->working_dir, err);
	if (r >= 0)
		r = cb_jsondoc_get_strings(obj, "Labels", &labels, err);
	if (labels) {
		json_decref(config->labels);
		config->labels = labels;
	}
	if (r >= 0)
		r = cb_jsondoc_get_text(obj, "StopSignal", &config->stop_signal, err);
	if (r >= 0)
		r = cb_json_get_bool(obj, "ArgsEscaped", &config->args_escaped, err);
	if (r >= 0)
		r = get_list(obj, "OnBuild", NAMES_MAX, &config->onbuild, err);
	if (r >= 0)
		r = get_list(obj, "Shell", NAMES_MAX, &config->shell, err);
	if (r >= 0)
		r = parse_healthcheck(obj, config, err);
	return r < 0 ? r : 0;
}

static int parse_history(const json_t *doc, struct cb_image_config *config, struct cb_err **err)
{
	json_t *list = NULL;
	int r = cb_json_get_arr(doc, "history", &list, err);

	if (r != 0)
		return r < 0 ? r : 0;
	if (json_array_size(list) > CB_CONFIG_HISTORY_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "history has more than %d entries", CB_CONFIG_HISTORY_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		struct cb_history *h;

		if (!json_is_object(item))
			return cb_err_set(err, CB_ERR_CORRUPT, "history entry %zu is not an object", i);
		cb_image_config_add_history(config, NULL, NULL, NULL, NULL, false);
		h = &config->history[i];
		r = get_time(item, "created", &h->created, err);
		if (r >= 0)
			r = cb_jsondoc_get_text(item, "created_by", &h->created_by, err);
		if (r >= 0)
			r = cb_jsondoc_get_text(item, "author", &h->author, err);
		if (r >= 0)
			r = cb_jsondoc_get_text(item, "comment", &h->comment, err);
		if (r >= 0)
			r = cb_json_get_bool(item, "empty_layer", &h->empty_layer, err);
		if (r < 0)
			return cb_err_wrap(err, r, "history entry %zu", i);
	}
	return 0;
}

static int parse_rootfs(const json_t *doc, struct cb_image_config *config, struct cb_err **err)
{
	json_t *rootfs = NULL, *list = NULL;
	int r = cb_json_get_obj(doc, "rootfs", &rootfs, err);

	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_set(err, CB_ERR_CORRUPT, "has no rootfs");
	r = cb_json_get_arr(rootfs, "diff_ids", &list, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (json_array_size(list) > CB_CONFIG_LAYERS_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "has more than %d layers", CB_CONFIG_LAYERS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct cb_digest diff_id;

		if (!text || !cb_digest_parse(text, &diff_id))
			return cb_err_set(err, CB_ERR_CORRUPT, "diff ID %zu is not a sha256 digest", i);
		cb_image_config_add_diff_id(config, &diff_id);
	}
	return 0;
}

static void keep_unknown(const json_t *doc, struct cb_image_config *config)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)doc, key, value)
	{
		bool known = false;

		for (size_t i = 0; i < ARRAY_SIZE(known_keys) && !known; i++)
			known = strcmp(known_keys[i], key) == 0;
		if (known)
			continue;
		if (!config->extra)
			config->extra = json_object();
		json_object_set(config->extra, key, value);
	}
}

static int parse_document(const json_t *doc, struct cb_image_config *config, struct cb_err **err)
{
	struct cb_platform *p = &config->platform;
	int r;

	if (!json_is_object(doc))
		return cb_err_set(err, CB_ERR_CORRUPT, "is not a JSON object");
	r = cb_jsondoc_get_field(doc, "os", p->os, sizeof(p->os), err);
	if (r >= 0)
		r = cb_jsondoc_get_field(doc, "architecture", p->arch, sizeof(p->arch), err);
	if (r >= 0)
		r = cb_jsondoc_get_field(doc, "variant", p->variant, sizeof(p->variant), err);
	if (r >= 0)
		r = cb_jsondoc_get_field(doc, "os.version", p->os_version, sizeof(p->os_version), err);
	if (r >= 0)
		r = get_list(doc, "os.features", NAMES_MAX, &config->os_features, err);
	if (r >= 0)
		r = get_time(doc, "created", &config->created, err);
	if (r >= 0)
		r = cb_jsondoc_get_text(doc, "author", &config->author, err);
	if (r >= 0)
		r = parse_config(doc, config, err);
	if (r >= 0)
		r = parse_history(doc, config, err);
	if (r >= 0)
		r = parse_rootfs(doc, config, err);
	if (r >= 0)
		keep_unknown(doc, config);
	return r;
}

int cb_image_config_parse(const char *data, size_t len, struct cb_image_config **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = cb_image_config_new(NULL);
	cleanup_json json_t *doc = NULL;
	int r;

	if (len > CB_CONFIG_BYTES_MAX)
		return cb_err_set(
			err, CB_ERR_LIMIT, "image config has %zu bytes, more than %zu", len, CB_CONFIG_BYTES_MAX);
	r = cb_json_parse(data, len, &doc, err);
	if (r >= 0)
		r = parse_document(doc, config, err);
	if (r < 0)
		return cb_err_wrap(err, r, "image config");

	*ret = CB_TAKE_PTR(config);
	return 0;
}

static void set_number(json_t *obj, const char *key, int64_t value)
{
	if (value)
		json_object_set_new(obj, key, json_integer(value));
}

static json_t *write_healthcheck(const struct cb_healthcheck *check)
{
	json_t *obj = json_object();

	cb_jsondoc_set_strv(obj, "Test", &check->test);
	set_number(obj, "Interval", check->interval);
	set_number(obj, "Timeout", check->timeout);
	set_number(obj, "StartPeriod", check->start_period);
	set_number(obj, "StartInterval", check->start_interval);
	set_number(obj, "Retries", check->retries);
	return obj;
}

/* Members in the order of the Go structs: OCI's ImageConfig, then Docker's extensions. */
static json_t *write_config(const struct cb_image_config *config)
{
	json_t *obj = json_object();

	cb_jsondoc_set_text(obj, "User", config->user);
	cb_jsondoc_set_names(obj, "ExposedPorts", &config->exposed_ports);
	cb_jsondoc_set_strv(obj, "Env", &config->env);
	cb_jsondoc_set_strv(obj, "Entrypoint", &config->entrypoint);
	cb_jsondoc_set_strv(obj, "Cmd", &config->cmd);
	cb_jsondoc_set_names(obj, "Volumes", &config->volumes);
	cb_jsondoc_set_text(obj, "WorkingDir", config->working_dir);
	cb_jsondoc_set_sorted(obj, "Labels", config->labels);
	cb_jsondoc_set_text(obj, "StopSignal", config->stop_signal);
	if (config->args_escaped)
		json_object_set_new(obj, "ArgsEscaped", json_true());
	if (config->healthcheck)
		json_object_set_new(obj, "Healthcheck", write_healthcheck(config->healthcheck));
	cb_jsondoc_set_strv(obj, "OnBuild", &config->onbuild);
	cb_jsondoc_set_strv(obj, "Shell", &config->shell);
	return obj;
}

static json_t *write_history(const struct cb_image_config *config)
{
	json_t *list = config->n_history ? json_array() : json_null();

	for (size_t i = 0; i < config->n_history; i++) {
		const struct cb_history *h = &config->history[i];
		json_t *obj = json_object();

		cb_jsondoc_set_text(obj, "created", h->created);
		cb_jsondoc_set_text(obj, "created_by", h->created_by);
		cb_jsondoc_set_text(obj, "author", h->author);
		cb_jsondoc_set_text(obj, "comment", h->comment);
		if (h->empty_layer)
			json_object_set_new(obj, "empty_layer", json_true());
		json_array_append_new(list, obj);
	}
	return list;
}

static json_t *write_rootfs(const struct cb_image_config *config)
{
	json_t *obj = json_object();
	json_t *list = config->n_diff_ids ? json_array() : json_null();

	json_object_set_new(obj, "type", json_string("layers"));
	for (size_t i = 0; i < config->n_diff_ids; i++)
		json_array_append_new(list, json_string(config->diff_ids[i].text));
	json_object_set_new(obj, "diff_ids", list);
	return obj;
}

char *cb_image_config_write(const struct cb_image_config *config, size_t *ret_len)
{
	cleanup_json json_t *doc = json_object();
	cleanup_json json_t *sorted = NULL;
	char *text;

	if (config->extra)
		json_object_update(doc, config->extra);
	json_object_set_new(doc, "architecture", cb_jsondoc_text(config->platform.arch));
	json_object_set_new(doc, "os", cb_jsondoc_text(config->platform.os));
	cb_jsondoc_set_text(doc, "variant", config->platform.variant);
	cb_jsondoc_set_text(doc, "os.version", config->platform.os_version);
	cb_jsondoc_set_strv(doc, "os.features", &config->os_features);
	cb_jsondoc_set_text(doc, "created", config->created);
	cb_jsondoc_set_text(doc, "author", config->author);
	json_object_set_new(doc, "config", write_config(config));
	json_object_set_new(doc, "history", write_history(config));
	json_object_set_new(doc, "rootfs", write_rootfs(config));

	sorted = cb_jsondoc_sorted(doc);
	text = cb_json_dump_go(sorted, false);
	if (ret_len)
		*ret_len = strlen(text);
	return text;
}
