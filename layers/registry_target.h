/*
 * Private to the registry client: requests to one repository at one endpoint.
 */
#ifndef CB_LAYERS_REGISTRY_TARGET_H
#define CB_LAYERS_REGISTRY_TARGET_H

#include <pthread.h>

#include "base/map.h"
#include "layers/regauth.h"
#include "layers/registriesconf.h"
#include "layers/registry.h"

struct cb_registry {
	struct cb_http *http;
	struct cb_dockercfg *cfg;
	struct cb_regauth *auth;
	struct cb_registriesconf *conf;
	struct cb_strv insecure_hosts;
	uint64_t upload_chunk;
	int commit_timeout_ms;
	pthread_mutex_t lock;   /* of schemes */
	struct cb_map *schemes; /* host -> "http" or "https", once found out */
};

/* Everything borrowed; one thread. */
struct cb_target {
	struct cb_registry *registry;
	const struct cb_endpoint *endpoint;
	const char *scheme;
	struct cb_http_tls tls;
	struct cb_regauth_scope scope;
	struct cb_http_authorizer authorizer;
	struct cb_cancel *cancel;
};

/** What is done at an endpoint: 0 or an error, after which the next one is asked if this one was a mirror. */
typedef int (*cb_target_fn)(struct cb_target *target, void *userdata, struct cb_err **err);

struct cb_target_query {
	const char *host, *repository;
	const char *actions;    /* "pull" or "pull,push" */
	const char *mount_from; /* see cb_regauth_scope */
	bool by_digest, push;
	struct cb_cancel *cancel;
};
/** The query for writing to @ref's repository. */
struct cb_target_query cb_target_push_query(const struct cb_ref *ref, struct cb_cancel *cancel);
/** Calls @fn for the endpoints of the query in order until one answers 0. */
int cb_target_each(struct cb_registry *registry, const struct cb_target_query *query, cb_target_fn fn, void *userdata,
	struct cb_err **err);

/** Fills in url (of @path, which begins with "/v2/"), authorization, TLS and cancel, and runs it. */
int cb_target_do(struct cb_target *target, struct cb_http_request *req, const char *path, struct cb_http_response *resp,
	struct cb_err **err);
/**
 * As cb_target_do for a whole URL that the registry gave (a Location): credentials and certificates go along only when
 * it is the registry's own origin. CB_ERR_DENIED for http when the registry is asked by https.
 */
int cb_target_do_url(struct cb_target *target, struct cb_http_request *req, const char *url,
	struct cb_http_response *resp, struct cb_err **err);
/** "/v2/<repository>/<kind>/<name>". Caller frees. */
char *cb_target_path(const struct cb_target *target, const char *kind, const char *name);

#endif
