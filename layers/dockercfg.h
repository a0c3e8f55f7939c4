/*
 * Credentials of registries, as docker, podman and skopeo keep them.
 *
 * Files, first match wins: DOCKER_AUTH_CONFIG (the document itself); REGISTRY_AUTH_FILE, which when set replaces the
 * rest; config.json in $DOCKER_CONFIG or ~/.docker; $XDG_RUNTIME_DIR/containers/auth.json;
 * $XDG_CONFIG_HOME/containers/auth.json (~/.config). Within a file: credHelpers of the host, then auths with keys from
 * the most specific ("host/team/app") to the host, then credsStore.
 * Immutable after loading, so shared by threads.
 */
#ifndef CB_LAYERS_DOCKERCFG_H
#define CB_LAYERS_DOCKERCFG_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define CB_DOCKERCFG_SIZE_MAX (1024 * 1024)
/** Time that a credential helper gets. */
#define CB_DOCKERCFG_HELPER_MS 30000

/** Either user and password, or a token. Zero-initialise; cb_credential_done wipes. */
struct cb_credential {
	char *username, *password;
	char *identity_token; /* OAuth2 refresh token */
	char *registry_token; /* bearer token used as it is */
};
void cb_credential_done(struct cb_credential *cred);
#define cleanup_credential __attribute__((cleanup(cb_credential_done)))

struct cb_dockercfg;

/** Missing files are no error; one that cannot be read or parsed is CB_ERR_INPUT with its name. */
int cb_dockercfg_load(struct cb_dockercfg **ret, struct cb_err **err);
/** One document; @name is for errors. */
int cb_dockercfg_parse(const char *data, size_t len, const char *name, struct cb_dockercfg **ret, struct cb_err **err);
struct cb_dockercfg *cb_dockercfg_free(struct cb_dockercfg *cfg);
CB_DEFINE_CLEANUP(struct cb_dockercfg *, cb_dockercfg_free)

/**
 * The credential for @repository (may be NULL) at @host ("docker.io" finds https://index.docker.io/v1/ as well).
 * 0 found, 1 there is none. A helper that fails otherwise than by "not found" is CB_ERR_DENIED.
 */
int cb_dockercfg_lookup(const struct cb_dockercfg *cfg, const char *host, const char *repository,
	struct cb_credential *ret, struct cb_err **err);
/** Answers every lookup with a copy of @cred: to try it. */
struct cb_dockercfg *cb_dockercfg_of(const struct cb_credential *cred);

/*
 * Changing what is kept: by the helper that the file names for @host (credHelpers, credsStore), else in the file
 * itself, with mode 0600, whole or not at all, everything else in it untouched. The file is REGISTRY_AUTH_FILE when
 * that is set, else config.json of $DOCKER_CONFIG or ~/.docker. *ret_where names the file or helper; caller frees.
 */

/** Keeps user and password of @cred. */
int cb_dockercfg_save(const char *host, const struct cb_credential *cred, char **ret_where, struct cb_err **err);
/** 1 when nothing was kept for @host. */
int cb_dockercfg_erase(const char *host, char **ret_where, struct cb_err **err);

#endif
