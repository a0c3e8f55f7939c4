/*
 * Authentication to registries: Basic and Bearer with a token service.
 *
 * One object serves all hosts of a registry client. It remembers how a host challenged, and its tokens by scope until
 * they expire, so that later requests carry a valid header from the start. Thread-safe; two threads that need the same
 * token fetch it once. Credentials are only asked for when a host challenges, and are never sent over plain HTTP to a
 * token service of a registry that was reached by HTTPS.
 */
#ifndef CB_LAYERS_REGAUTH_H
#define CB_LAYERS_REGAUTH_H

#include <stddef.h>
#include <stdint.h>

#include "layers/dockercfg.h"
#include "layers/http.h"

#define CB_CHALLENGES_MAX 8

/** One challenge of a WWW-Authenticate header; absent parameters are NULL. */
struct cb_challenge {
	char *scheme; /* lower case */
	char *realm, *service, *scope, *error;
};
struct cb_challenges {
	struct cb_challenge v[CB_CHALLENGES_MAX];
	size_t n;
};
void cb_challenges_done(struct cb_challenges *list);
#define cleanup_challenges __attribute__((cleanup(cb_challenges_done)))

/** Adds the challenges of one header value (RFC 9110 section 11.6.1). What cannot be read ends the value silently. */
void cb_challenges_parse(const char *value, struct cb_challenges *list);

struct cb_regauth;

/** All borrowed for its life. @cfg may be NULL: anonymous. */
struct cb_regauth *cb_regauth_new(struct cb_http *http, const struct cb_dockercfg *cfg);
struct cb_regauth *cb_regauth_free(struct cb_regauth *auth);
CB_DEFINE_CLEANUP(struct cb_regauth *, cb_regauth_free)

/** The requests to one repository of one host: fills an authorizer for cb_http_request. */
struct cb_regauth_scope {
	struct cb_regauth *auth;
	const char *host;              /* as in the URL, with port */
	const char *config_host;       /* the name that credentials are looked up by */
	const char *repository;        /* "library/debian", or NULL for the API base */
	const char *actions;           /* "pull", "pull,push" */
	const char *mount_from;        /* a second repository whose pull is asked for, or NULL */
	const struct cb_http_tls *tls; /* of the host, used for a token service on the same host; or NULL */
	unsigned int refused;          /* ours, start with 0: challenges answered in vain */
	uint64_t used;                 /* ours, start with 0: serial number of the value handed out last */
};
/** @scope is borrowed while @ret is used, and serves one thread. */
void cb_regauth_authorizer(struct cb_regauth_scope *scope, struct cb_http_authorizer *ret);

/** base64("user:password") with "Basic " before it. Caller frees. */
char *cb_regauth_basic(const char *user, const char *password);

#endif
