/*
 * Images straight into a container engine: the archive of `docker load` as the body of POST /images/load, made while it
 * is sent. Docker and podman both know that request.
 */
#ifndef CB_LAYERS_ENGINELOAD_H
#define CB_LAYERS_ENGINELOAD_H

#include "layers/export_oci.h"

/** Where an engine listens. Strings are borrowed. */
struct cb_engine_address {
	const char *socket; /* path of a unix socket, or NULL */
	const char *url;    /* "http://host:2375"; anything with a socket */
	const char *certs;  /* directory with ca.pem, cert.pem and key.pem, for https; or NULL */
};

/** Sends @what; what->cancel ends it. CB_ERR_NETWORK when the engine cannot be reached, else what it says. */
int cb_engine_load(
	const struct cb_engine_address *to, struct cb_store *store, const struct cb_export *what, struct cb_err **err);
/** The error in an engine's answer, JSON values one after the other, or NULL when there is none. Caller frees. */
char *cb_engine_complaint(const char *answer, size_t len);

#endif
