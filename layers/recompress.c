#include "layers/recompress.h"

#include <assert.h>

#include "base/fd.h"
#include "layers/layertable.h"

static int make(struct cb_store *store, const struct cb_digest *diff_id, const struct cb_descriptor *from,
	const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_descriptor *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *plain = NULL;
	__attribute__((cleanup(cb_layer_done))) struct cb_layer layer = { 0 };
	cleanup_close int fd = -EBADF;
	int r = cb_blob_open(store, &from->digest, &fd, NULL, err);

	if (r == 0)
		r = cb_decompressor_open(cb_source_fd(&fd), NULL, &plain, err);
	if (r == 0)
		r = cb_layer_commit_tar(store, cb_decompressor_source(plain), compression, pool, cancel, &layer, err);
	if (r == 0 && !cb_digest_equal(&layer.diff_id, diff_id))
		r = cb_err_set(err, CB_ERR_CORRUPT, "its content is %s, not %s", layer.diff_id.text, diff_id->text);
	/* Who asks for no level finds none of another. */
	if (r == 0 && compression->level == CB_LEVEL_DEFAULT)
		r = cb_layer_put(store, &layer.diff_id, layer.size, &layer.blob, err);
	if (r < 0)
		return cb_err_wrap(err, r, "compress layer %s", from->digest.text);
	cb_descriptor_copy(ret, &layer.blob);
	return 0;
}

int cb_layer_recompress(struct cb_store *store, const struct cb_digest *diff_id, const struct cb_descriptor *from,
	const struct cb_compress_spec *compression, struct cb_pool *pool, const struct cb_cancel *cancel,
	struct cb_descriptor *ret, struct cb_err **err)
{
	int r = 1;

	assert(ret);
	/* Nobody knows the level of a blob that is there. */
	if (compression->level == CB_LEVEL_DEFAULT)
		r = cb_layer_find(store, diff_id, compression->codec, ret, err);
	if (r > 0)
		r = make(store, diff_id, from, compression, pool, cancel, ret, err);
	if (r == 0 && from->annotations) {
		json_decref(ret->annotations);
		ret->annotations = json_deep_copy(from->annotations);
	}
	return r;
}
