#include "layers/remote_put.h"

#include "base/fd.h"
#include "layers/manifest.h"
#include "layers/mediatype.h"
#include "layers/push_upload.h"
#include "layers/remotecache.h"

static int duplicate(void *userdata, int *ret_fd, struct cb_err **err)
{
	*ret_fd = cb_fd_dup(*(int *)userdata);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "duplicate a descriptor") : 0;
}

int cb_remote_put_blob(struct cb_registry *registry, const struct cb_ref *ref, const struct cb_descriptor *blob, int fd,
	struct cb_cancel *cancel, struct cb_err **err)
{
	struct cb_upload upload = { .digest = blob->digest, .size = blob->size, .open = duplicate, .userdata = &fd };
	int r = cb_registry_upload(registry, ref, &upload, cancel, err);

	return CB_MIN(r, 0);
}

int cb_remote_put_document(struct cb_registry *registry, const struct cb_ref *ref, const void *data, size_t len,
	const struct cb_descriptor *blobs, size_t n, struct cb_cancel *cancel, struct cb_digest *ret_version,
	struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = cb_manifest_new(false);
	struct cb_upload upload = { .data = data, .size = len };
	cleanup_free char *document = NULL;
	size_t size;
	int r;

	cb_digest_of(data, len, &upload.digest);
	r = cb_registry_upload(registry, ref, &upload, cancel, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&manifest->config, CB_MEDIA_CACHE_CONFIG, &upload.digest, len);
	for (size_t i = 0; i < n; i++)
		cb_manifest_add_layer(manifest, &blobs[i]);
	document = cb_manifest_write(manifest, &size);
	if (ret_version)
		cb_digest_of(document, size, ret_version);
	return cb_registry_put_manifest(
		registry, ref, ref->tag ? ref->tag : "latest", CB_MEDIA_OCI_MANIFEST, document, size, cancel, err);
}
