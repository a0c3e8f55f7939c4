/*
 * Where a registry name is reached: registries.conf (version 2) and certs.d.
 *
 * Read from $CONTAINERS_REGISTRIES_CONF alone when that is set; else from ~/.config/containers/registries.conf or, when
 * there is none, /etc/containers/registries.conf, and then *.conf of /etc/containers/registries.conf.d and
 * ~/.config/containers/registries.conf.d in order of name: a later table of one prefix replaces the earlier. Obeyed are
 * [[registry]] with prefix, location, insecure, blocked, mirror-by-digest-only, and [[registry.mirror]] with location,
 * insecure, pull-from-mirror; other well-formed keys and tables are ignored; what is not TOML is CB_ERR_INPUT with its
 * line.
 * Immutable after loading, so shared by threads.
 */
#ifndef CB_LAYERS_REGISTRIESCONF_H
#define CB_LAYERS_REGISTRIESCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define CB_REGISTRIESCONF_SIZE_MAX (1024 * 1024)
#define CB_REGISTRIESCONF_TABLES_MAX 10000

/** One place to ask, in the order to ask. */
struct cb_endpoint {
	char *host;                     /* with port; "registry-1.docker.io" for docker.io */
	char *repository;               /* after rewriting */
	bool insecure;                  /* certificates unchecked, plain HTTP when HTTPS does not answer */
	bool mirror;                    /* a failure here goes on to the next */
	char *ca_pem;                   /* *.crt of certs.d, concatenated; or NULL */
	char *client_cert, *client_key; /* file names; or NULL */
};
struct cb_endpoints {
	struct cb_endpoint *v;
	size_t n;
};
void cb_endpoints_done(struct cb_endpoints *list);
#define cleanup_endpoints __attribute__((cleanup(cb_endpoints_done)))

struct cb_registriesconf;

/** Missing files give an empty configuration. */
int cb_registriesconf_load(struct cb_registriesconf **ret, struct cb_err **err);
int cb_registriesconf_parse(
	const char *data, size_t len, const char *name, struct cb_registriesconf **ret, struct cb_err **err);
struct cb_registriesconf *cb_registriesconf_free(struct cb_registriesconf *conf);
CB_DEFINE_CLEANUP(struct cb_registriesconf *, cb_registriesconf_free)

/** Directories searched for <host:port>/{*.crt,*.cert,*.key}, in place of the usual ones. NULL-terminated, copied. */
void cb_registriesconf_set_certs_dirs(struct cb_registriesconf *conf, const char *const *dirs);

/**
 * The endpoints for @repository at @host, mirrors first; some mirrors serve only requests @by_digest, and none serves
 * a @push. CB_ERR_DENIED when blocked.
 */
int cb_registriesconf_lookup(const struct cb_registriesconf *conf, const char *host, const char *repository,
	bool by_digest, bool push, struct cb_endpoints *ret, struct cb_err **err);

#endif
