/* Private to credentials: what reading and changing a config.json have in common. */
#ifndef CB_LAYERS_DOCKERCFG_DOC_H
#define CB_LAYERS_DOCKERCFG_DOC_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/** @key as it is compared: without scheme, API version and last slashes, docker.io by that name. Caller frees. */
char *cb_dockercfg_plain_key(const char *key);
/** The member of @obj (may be no object) whose plain key is @want; *ret_key (may be NULL) is the key as written. */
json_t *cb_dockercfg_find(const json_t *obj, const char *want, const char **ret_key);
/** What docker login calls the host @host. */
const char *cb_dockercfg_server(const char *host);
/**
 * Runs "docker-credential-<helper> @verb" with @input: its exit status, and what it writes in @out. When that is not 0
 * *ret_said is what it said; caller frees. CB_ERR_INPUT when @helper is no plain name of a program.
 */
int cb_dockercfg_call(const char *helper, const char *verb, const char *input, struct cb_buf *out, char **ret_said,
	struct cb_err **err);

#endif
