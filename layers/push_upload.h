/*
 * Uploading to a registry: one blob, one manifest, and the question whether it is allowed.
 *
 * A blob is asked for first (HEAD), then mounted from another repository of the registry where that is offered, and
 * sent only when it has to be: whole in one PUT or, when the registry's client has an upload_chunk or a whole one broke
 * off, in pieces by PATCH, which go on where the registry says it stands. A session that is lost is begun anew. Pauses
 * and the number of attempts follow the client's HTTP options; acknowledged progress refills them.
 *
 * All functions may be called from several threads. @ref says registry and repository; mirrors are never written to.
 */
#ifndef CB_LAYERS_PUSH_UPLOAD_H
#define CB_LAYERS_PUSH_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/strv.h"
#include "layers/digest.h"
#include "layers/ref.h"
#include "layers/registry.h"

/** A blob to upload. Everything borrowed. */
struct cb_upload {
	struct cb_digest digest;
	uint64_t size;
	const void *data; /* its bytes; or NULL, and then open is called when they are needed */
	/** Sets *ret_fd to a descriptor that has them from offset 0 (read by pread; closed by the callee). */
	int (*open)(void *userdata, int *ret_fd, struct cb_err **err);
	const struct cb_strv *mount_from; /* repositories of this registry that may have it, best first; or NULL */
	/** May be NULL. @sent of size; less than before when something has to be sent again. */
	void (*progress)(void *userdata, uint64_t sent);
	void *userdata;
};

enum cb_upload_outcome {
	CB_UPLOAD_SENT,    /* 0 */
	CB_UPLOAD_THERE,   /* the repository had it */
	CB_UPLOAD_MOUNTED, /* linked from another repository */
};

/** Brings the blob into @ref's repository: an enum cb_upload_outcome or an error. */
int cb_registry_upload(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_upload *upload,
	struct cb_cancel *cancel, struct cb_err **err);

/** 1 when @ref's repository has the blob, with that size, else 0. */
int cb_registry_has_blob(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *blob,
	struct cb_cancel *cancel, struct cb_err **err);

/**
 * Stores the document of @len bytes under @name, a tag or its own digest, after all it refers to is there. The digest
 * that the registry answers with must be that of the bytes: CB_ERR_CORRUPT otherwise.
 */
int cb_registry_put_manifest(struct cb_registry *registry, const struct cb_ref *ref, const char *name,
	const char *media_type, const void *data, size_t len, struct cb_cancel *cancel, struct cb_err **err);

/**
 * Whether pushing to @ref's repository is allowed, found out by beginning an upload and giving it up: CB_ERR_DENIED,
 * CB_ERR_NOT_FOUND (some registries want repositories to be made beforehand) or CB_ERR_NETWORK.
 */
int cb_registry_may_push(
	struct cb_registry *registry, const struct cb_ref *ref, struct cb_cancel *cancel, struct cb_err **err);

#endif
