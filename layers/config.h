/*
 * Image configuration: the JSON document that says how to run an image and what its layers are.
 *
 * Reads OCI and Docker configs (untrusted: sizes and counts are limited); writes what BuildKit writes, byte for byte:
 * compact, Go's HTML-safe escapes, top-level keys sorted, members of "config" and "history" in the order of the OCI Go
 * structs, empty members left out. Unknown top-level keys are kept; what only Docker's classic builder wrote
 * ("container", "container_config", "docker_version", …) and unknown members of "config" are dropped, as BuildKit does.
 *
 * Plain struct; members may be changed freely between parse and write. Times stay text, so that what is not touched
 * comes out as it went in (Go's normal form).
 */
#ifndef CB_LAYERS_CONFIG_H
#define CB_LAYERS_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/strv.h"
#include "layers/digest.h"
#include "layers/platform.h"

#define CB_CONFIG_BYTES_MAX ((size_t)8 << 20)
#define CB_CONFIG_HISTORY_MAX 10000
#define CB_CONFIG_LAYERS_MAX 1000

struct cb_history {
	char *created, *created_by, *author, *comment; /* each may be NULL */
	bool empty_layer;
};

struct cb_healthcheck {
	struct cb_strv test; /* ["NONE"], ["CMD", …], ["CMD-SHELL", …]; empty: inherited */
	int64_t interval, timeout, start_period, start_interval; /* nanoseconds; 0: inherited */
	int64_t retries;
};

struct cb_image_config {
	struct cb_platform platform;
	struct cb_strv os_features;
	char *created; /* RFC 3339, or NULL */
	char *author;

	char *user, *working_dir, *stop_signal; /* NULL when absent */
	struct cb_strv env;                     /* "K=V" in order */
	struct cb_strv cmd, entrypoint, shell, onbuild;
	struct cb_strv exposed_ports, volumes; /* sets; written sorted */
	json_t *labels;                        /* object of strings, never NULL */
	struct cb_healthcheck *healthcheck;    /* or NULL */
	bool args_escaped;

	struct cb_history *history;
	size_t n_history, cap_history;
	struct cb_digest *diff_ids; /* bottom first */
	size_t n_diff_ids, cap_diff_ids;

	json_t *extra; /* unknown top-level keys, or NULL */
};

/** An empty configuration for @platform. */
struct cb_image_config *cb_image_config_new(const struct cb_platform *platform);
struct cb_image_config *cb_image_config_free(struct cb_image_config *config);
CB_DEFINE_CLEANUP(struct cb_image_config *, cb_image_config_free)
struct cb_image_config *cb_image_config_copy(const struct cb_image_config *from);

/** CB_ERR_CORRUPT for what is no image config, CB_ERR_LIMIT beyond the limits above. */
int cb_image_config_parse(const char *data, size_t len, struct cb_image_config **ret, struct cb_err **err);
/** The document; caller frees. @ret_len may be NULL. */
char *cb_image_config_write(const struct cb_image_config *config, size_t *ret_len);

/** Strings are copied; NULL stays NULL. */
void cb_image_config_add_history(struct cb_image_config *config, const char *created, const char *created_by,
	const char *author, const char *comment, bool empty_layer);
void cb_image_config_add_diff_id(struct cb_image_config *config, const struct cb_digest *diff_id);
void cb_image_config_set_label(struct cb_image_config *config, const char *key, const char *value);
/** NULL when there is none; borrowed. */
const char *cb_image_config_label(const struct cb_image_config *config, const char *key);
/** Adds "80/tcp" to the set. */
void cb_image_config_add_port(struct cb_image_config *config, const char *port);
void cb_image_config_add_volume(struct cb_image_config *config, const char *path);
/** Replaces a member such as &config->user; NULL or "" removes. */
void cb_image_config_set(char **member, const char *value);

struct cb_healthcheck *cb_healthcheck_copy(const struct cb_healthcheck *check);
struct cb_healthcheck *cb_healthcheck_free(struct cb_healthcheck *check);
/** The history entry's strings; for those who edit the array. */
void cb_history_done(struct cb_history *entry);

#endif
