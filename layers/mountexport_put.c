/* From chunks to packs, indexes and a record: what the cache has already, and what is sent to it. */
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/parallel.h"
#include "base/timefmt.h"
#include "layers/mountexport.h"

/** Questions whether a pack is still there, at once. */
#define ASKING 8
/** Packs below this are small, and rewritten when there are more than so many. */
#define SMALL ((uint64_t)1 << 20)
#define SMALL_MAX 16
/** Indexes that a record may have before one takes their place. */
#define INDEXES 16

/* ---- what is there -------------------------------------------------------------------------------------------- */

struct asking {
	struct cb_mount_exporting *x;
	size_t *packs;
	bool *there;
};

static int ask(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct asking *a = userdata;
	const struct cb_pack *pack = a->x->set.packs[a->packs[at]];
	const struct cb_descriptor blob = { .digest = pack->digest, .size = pack->size };
	const struct cb_remote_cache *cache = a->x->spec->cache;
	int r = cache->ops->has_blob(cache->self, &blob, cancel, err);

	a->there[at] = r > 0;
	return CB_MIN(r, 0);
}

/* Packs of the record that are worth keeping and still there are in use from now on. */
static int use_packs(struct cb_mount_exporting *x, struct cb_err **err)
{
	cleanup_free size_t *packs = cb_newa0(size_t, x->base.n_packs + 1);
	cleanup_free bool *there = cb_newa0(bool, x->base.n_packs + 1);
	struct asking asking = { x, packs, there };
	size_t n = 0, small = 0;
	int r;

	for (size_t i = 0; i < x->base.n_packs; i++)
		small += x->base.packs[i].size < SMALL;
	for (size_t i = 0; i < x->base.n_packs; i++) {
		const struct cb_mount_blob *blob = &x->base.packs[i];
		size_t at;

		if (!cb_packset_pack(&x->set, &blob->digest, &at) || (small > SMALL_MAX && blob->size < SMALL) ||
			blob->live < x->set.packs[at]->raw / 2)
			continue;
		packs[n++] = at;
	}
	r = cb_parallel_each("packs", ASKING, n, ask, &asking, x->spec->cancel, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (there[i])
			cb_packset_use(&x->set, packs[i]);
	return r;
}

static void forget_base(struct cb_mount_exporting *x)
{
	cb_packset_done(&x->set);
	cb_mountdoc_done(&x->base);
	x->based = x->own = false;
}

int cb_mount_export_base(struct cb_mount_exporting *x, struct cb_err **err)
{
	const struct cb_mount_export *spec = x->spec;
	int r = 0;

	for (size_t i = 0; i < spec->n_keys && !x->based; i++) {
		cleanup_err struct cb_err *why = NULL;

		r = cb_mount_find(spec->cache, &spec->keys[i], spec->cancel, &x->base, &x->base_digest, &why);
		if (r == 0)
			r = cb_mount_indexes(spec->cache, &x->base, spec->cancel, &x->set, &why);
		if (r == 0) {
			x->based = true;
			x->own = i == 0;
			continue;
		}
		/* A record that is no good is written anew; a cache that does not answer would not take it. */
		if (r < 0 && r != CB_ERR_CORRUPT && r != CB_ERR_UNSUPPORTED && r != CB_ERR_LIMIT &&
			r != CB_ERR_NOT_FOUND)
			return cb_err_move(err, CB_TAKE_PTR(why));
		forget_base(x);
	}
	return x->based ? use_packs(x, err) : 0;
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

static int send_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct cb_mount_exporting *x = userdata;
	const struct cb_pack *pack = x->set.packs[x->pending[at].pack];
	const struct cb_descriptor blob = {
		.media_type = (char *)CB_MEDIA_MOUNT_PACK, .digest = pack->digest, .size = pack->size
	};

	return x->spec->cache->ops->put_blob(x->spec->cache->self, &blob, x->pending[at].fd, cancel, err);
}

static int send_pending(struct cb_mount_exporting *x, struct cb_err **err)
{
	int r = cb_parallel_each("packs", CB_MOUNT_PENDING, x->n_pending, send_one, x, x->spec->cancel, err);

	while (x->n_pending) {
		x->n_pending--;
		x->stats->sent += x->set.packs[x->pending[x->n_pending].pack]->size;
		cb_closep(&x->pending[x->n_pending].fd);
	}
	return r;
}

int cb_mount_export_pack(void *arg, size_t pack, int fd, struct cb_err **err)
{
	struct cb_mount_exporting *x = arg;

	x->pending[x->n_pending].pack = pack;
	x->pending[x->n_pending].fd = fd;
	return ++x->n_pending == CB_MOUNT_PENDING ? send_pending(x, err) : 0;
}

static int send_bytes(
	struct cb_mount_exporting *x, const void *data, size_t len, struct cb_mount_blob *ret, struct cb_err **err)
{
	cleanup_close int fd = memfd_create("index", MFD_CLOEXEC);
	struct cb_descriptor blob = { .media_type = (char *)CB_MEDIA_MOUNT_INDEX, .size = len };

	if (fd < 0 || cb_fd_write_all(fd, data, len) < 0)
		return cb_err_errno(err, errno, "make an index of packs");
	cb_digest_of(data, len, &blob.digest);
	*ret = (struct cb_mount_blob){ .digest = blob.digest, .size = len };
	x->stats->sent += len;
	return x->spec->cache->ops->put_blob(x->spec->cache->self, &blob, fd, x->spec->cancel, err);
}

/* ---- the record ----------------------------------------------------------------------------------------------- */

static int end_streams(struct cb_mount_exporting *x, struct cb_err **err)
{
	int r = cb_chunker_end(&x->tree, err);

	if (r == 0)
		r = cb_chunker_end(&x->times, err);
	if (r == 0)
		r = cb_packwriter_end(x->writer, err);
	return r == 0 ? send_pending(x, err) : r;
}

static bool equal(const struct cb_mount_chunks *a, const struct cb_mount_chunks *b)
{
	return a->digests.len == b->digests.len &&
	       (!a->digests.len || !memcmp(a->digests.data, b->digests.data, a->digests.len));
}

static bool any_fresh(const struct cb_packset *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->packs[i]->fresh)
			return true;
	return false;
}

/* Packs that are needed; the others are in use no more. */
static void list_packs(struct cb_mount_exporting *x)
{
	struct cb_mountdoc *doc = &x->doc;

	doc->packs = cb_newa0(struct cb_mount_blob, x->set.n + 1);
	for (size_t i = 0; i < x->set.n; i++) {
		struct cb_pack *pack = x->set.packs[i];

		pack->use = pack->use && (pack->fresh || pack->live);
		if (pack->use)
			doc->packs[doc->n_packs++] = (struct cb_mount_blob){ pack->digest, pack->size,
				pack->fresh ? pack->raw : pack->live };
	}
}

static int put_indexes(struct cb_mount_exporting *x, struct cb_err **err)
{
	bool anew = x->base.n_indexes >= INDEXES;
	cleanup_buf struct cb_buf index = { 0 };
	struct cb_mountdoc *doc = &x->doc;

	doc->indexes = cb_newa0(struct cb_mount_blob, x->base.n_indexes + 1);
	for (size_t i = 0; i < x->base.n_indexes && !anew; i++)
		doc->indexes[doc->n_indexes++] = x->base.indexes[i];
	if (!anew && !any_fresh(&x->set))
		return 0;
	cb_packset_write(&x->set, !anew, &index);
	return send_bytes(x, index.data, index.len, &doc->indexes[doc->n_indexes++], err);
}

static int put_record(struct cb_mount_exporting *x, struct cb_err **err)
{
	const struct cb_mountdoc *doc = &x->doc;
	cleanup_free struct cb_descriptor *blobs = cb_newa0(struct cb_descriptor, doc->n_indexes + doc->n_packs + 1);
	cleanup_free char *text = cb_mountdoc_write(doc);
	size_t n = 0;

	for (size_t i = 0; i < doc->n_indexes; i++)
		blobs[n++] = (struct cb_descriptor){ .media_type = (char *)CB_MEDIA_MOUNT_INDEX,
			.digest = doc->indexes[i].digest,
			.size = doc->indexes[i].size };
	for (size_t i = 0; i < doc->n_packs; i++)
		blobs[n++] = (struct cb_descriptor){ .media_type = (char *)CB_MEDIA_MOUNT_PACK,
			.digest = doc->packs[i].digest,
			.size = doc->packs[i].size };
	x->stats->sent += strlen(text);
	if (strlen(text) > CB_REMOTE_RECORD_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "the record of the cache mount is too large");
	return x->spec->cache->ops->put_record(
		x->spec->cache->self, &x->spec->keys[0], text, strlen(text), blobs, n, x->spec->cancel, err);
}

int cb_mount_export_finish(struct cb_mount_exporting *x, struct cb_err **err)
{
	int r = end_streams(x, err);

	if (r < 0)
		return r;
	if (x->own && !any_fresh(&x->set) && equal(&x->doc.tree, &x->base.tree) &&
		equal(&x->doc.times, &x->base.times)) {
		x->stats->unchanged = true;
		return 0;
	}
	x->doc.id = cb_xstrdup_null(x->spec->id);
	x->doc.created = cb_time_now().tv_sec;
	x->doc.files = x->stats->files;
	x->doc.bytes = x->stats->bytes;
	if (x->based)
		x->doc.parent = x->base_digest;
	list_packs(x);
	r = put_indexes(x, err);
	if (r == 0)
		r = put_record(x, err);
	if (r == 0 && x->spec->cache->ops->finish)
		r = x->spec->cache->ops->finish(x->spec->cache->self, x->spec->cancel, err);
	return r;
}
