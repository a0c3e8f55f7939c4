/* What export and import have in common: keys, records, indexes. */
#include "layers/mountremote.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/** Indexes of one record together. */
#define INDEXES_MAX CB_PACK_INDEX_MAX

void cb_mount_key(const char *platform, const char *scope, const char *branch, const char *name, struct cb_digest *ret)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();

	cb_hasher_adds(hasher, "cbuild cache mount 1");
	cb_hasher_adds(hasher, platform);
	cb_hasher_adds(hasher, scope);
	cb_hasher_adds(hasher, branch);
	cb_hasher_adds(hasher, name);
	cb_hasher_finish(hasher, ret);
}

int cb_mount_find(struct cb_remote_cache *cache, const struct cb_digest *key, struct cb_cancel *cancel,
	struct cb_mountdoc *ret, struct cb_digest *ret_digest, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 };
	int r = cache->ops->get_record(cache->self, key, cancel, &data, err);

	if (r == 0)
		r = cb_mountdoc_parse(cb_buf_str(&data), data.len, ret, err);
	if (r == 0 && ret_digest)
		cb_digest_of(data.data, data.len, ret_digest);
	return r;
}

struct taking {
	struct cb_buf *buf;
	size_t max;
};

static int take(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct taking *t = userdata;

	if (len > t->max - t->buf->len)
		return cb_err_set(err, CB_ERR_CORRUPT, "an index of packs is longer than its record says");
	cb_buf_add(t->buf, data, len);
	return 0;
}

int cb_mount_indexes(struct cb_remote_cache *cache, const struct cb_mountdoc *doc, struct cb_cancel *cancel,
	struct cb_packset *set, struct cb_err **err)
{
	uint64_t total = 0;
	int r = 0;

	for (size_t i = 0; i < doc->n_indexes; i++)
		total += doc->indexes[i].size;
	if (total > INDEXES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "the indexes of a cache mount are too large");
	for (size_t i = 0; r == 0 && i < doc->n_indexes; i++) {
		const struct cb_descriptor blob = { .digest = doc->indexes[i].digest, .size = doc->indexes[i].size };
		cleanup_buf struct cb_buf data = { 0 };
		struct taking taking = { &data, (size_t)blob.size };
		struct cb_digest got;

		r = cache->ops->get_blob(cache->self, &blob, take, &taking, cancel, err);
		if (r < 0)
			return r;
		cb_digest_of(cb_buf_str(&data), data.len, &got);
		if (!cb_digest_equal(&got, &blob.digest))
			return cb_err_set(
				err, CB_ERR_CORRUPT, "an index of packs does not have its digest %s", blob.digest.text);
		r = cb_packset_read(set, cb_buf_str(&data), data.len, err);
	}
	return r;
}
