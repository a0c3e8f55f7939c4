/* Private to credentials: what reading and changing a config.json have in common. */
#ifndef CB_LAYERS_DOCKERCFG_DOC_H
#define CB_LAYERS_DOCKERCFG_DOC_H

#include <jansson.h>
#include <stdbool.h>

/** @key as it is compared: without scheme, API version and last slashes, docker.io by that name. Caller frees. */
char *cb_dockercfg_plain_key(const char *key);
/** The member of @obj (may be no object) whose plain key is @want; *ret_key (may be NULL) is the key as written. */
json_t *cb_dockercfg_find(const json_t *obj, const char *want, const char **ret_key);
/** What docker login calls the host @host. */
const char *cb_dockercfg_server(const char *host);
/** Whether docker-credential-<name> is the plain name of a program. */
bool cb_dockercfg_helper_ok(const char *name);

#endif
