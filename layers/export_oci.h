/*
 * Writers of finished images: OCI layout (tar or directory) and `docker load` archive.
 *
 * Output is deterministic: blobs in order of first use, fixed owners, modes and times. Blobs are streamed from the
 * store.
 */
#ifndef CB_LAYERS_EXPORT_OCI_H
#define CB_LAYERS_EXPORT_OCI_H

#include "base/cancel.h"
#include "layers/descriptor.h"
#include "layers/store.h"

struct cb_export {
	const struct cb_descriptor *desc; /* manifest or index in the store */
	const struct cb_strv *names;      /* full references ("docker.io/library/app:latest"); may be empty */
	const struct cb_export *next;     /* one more image in the same file, or NULL; its progress is not looked at */
	const char *created;              /* value of the created annotation in index.json, or NULL for none */
	const struct cb_cancel *cancel;   /* or NULL */
	/** Called as bytes are written; may be NULL. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *progress_ctx;
};

/** Writes an OCI layout as a tar stream to @fd (which need not seek). */
int cb_export_oci_tar(struct cb_store *store, const struct cb_export *what, int fd, struct cb_err **err);
/** Writes an OCI layout into the directory @dirfd: blobs and entries of other names that are there are kept. */
int cb_export_oci_dir(struct cb_store *store, const struct cb_export *what, int dirfd, struct cb_err **err);
/** Writes the archive that `docker load` reads: manifest.json beside an OCI layout. No indexes. */
int cb_export_docker_tar(struct cb_store *store, const struct cb_export *what, int fd, struct cb_err **err);

#endif
