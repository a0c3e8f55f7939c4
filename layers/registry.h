/*
 * Client of the OCI distribution API: manifests and blobs of one registry, checked against their digests.
 *
 * A client holds connections, credentials, tokens and the registries configuration; it is shared by threads. Calls take
 * a normalised reference; its endpoints (mirrors, then the registry itself) are tried in order and the first that has
 * the thing answers; the error of the last is reported. HTTPS throughout, except: loopback hosts and hosts that are
 * configured insecure use plain HTTP when HTTPS does not answer there; which of the two a host speaks is found once.
 */
#ifndef CB_LAYERS_REGISTRY_H
#define CB_LAYERS_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/strv.h"
#include "layers/descriptor.h"
#include "layers/dockercfg.h"
#include "layers/http.h"
#include "layers/ref.h"

struct cb_registry;

/** Zeros stand for defaults. Copied. */
struct cb_registry_options {
	struct cb_http_options http;
	const char *const *insecure_hosts; /* NULL-terminated: unchecked certificates and plain HTTP allowed; or NULL */
	const char *const *certs_dirs;     /* NULL-terminated: in place of the usual certs.d; or NULL */
	const struct cb_credential *credential; /* in place of those of the configuration files; or NULL */
	uint64_t upload_chunk; /* blobs beyond it go up in pieces of so many bytes; 0: whole, in pieces when that fails
				*/
	int commit_timeout_ms; /* silence allowed when a registry takes over what was uploaded: 120 s */
};

/** Reads the docker and containers configuration files of the environment. */
int cb_registry_new(const struct cb_registry_options *options, struct cb_registry **ret, struct cb_err **err);
struct cb_registry *cb_registry_free(struct cb_registry *registry);
CB_DEFINE_CLEANUP(struct cb_registry *, cb_registry_free)

/** GET /v2/ with the credentials there are: CB_ERR_DENIED when they are wrong. @host as in a reference. */
int cb_registry_ping(struct cb_registry *registry, const char *host, struct cb_cancel *cancel, struct cb_err **err);

/**
 * The descriptor of the manifest or index that @ref names (HEAD, or GET where the registry answers HEAD poorly).
 * CB_ERR_NOT_FOUND when there is none.
 */
int cb_registry_resolve(struct cb_registry *registry, const struct cb_ref *ref, struct cb_cancel *cancel,
	struct cb_descriptor *ret, struct cb_err **err);

/** The bytes of the manifest @desc in @ref's repository, verified. Replaces the content of @body. */
int cb_registry_manifest(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *desc,
	struct cb_cancel *cancel, struct cb_buf *body, struct cb_err **err);

/**
 * Streams the blob @desc to @sink: exactly desc->size bytes on success, with the right digest (known only at the end:
 * on CB_ERR_CORRUPT the caller drops what it took). Broken transfers are resumed, the sink never sees a byte twice.
 */
int cb_registry_blob(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *desc,
	cb_http_sink sink, void *userdata, struct cb_cancel *cancel, struct cb_err **err);

/** As cb_registry_blob, but only the size is checked: for a sink whose owner hashes anyway. */
int cb_registry_blob_unverified(struct cb_registry *registry, const struct cb_ref *ref,
	const struct cb_descriptor *desc, cb_http_sink sink, void *userdata, struct cb_cancel *cancel,
	struct cb_err **err);

/** A small blob (image config) of at most @max bytes, verified. */
int cb_registry_blob_read(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *desc,
	size_t max, struct cb_cancel *cancel, struct cb_buf *body, struct cb_err **err);

#endif
