/* From a record to a directory that becomes the cache mount. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/cachemount.h"
#include "layers/mountplace.h"
#include "layers/mountremote.h"
#include "layers/storedb.h"

/** Room for what a record's packs hold besides what it needs. */
#define SLACK ((uint64_t)256 << 20)

struct counting {
	const struct cb_mount_import *spec;
	pthread_mutex_t mutex;
	uint64_t done, total;
};

static void count(void *arg, uint64_t bytes)
{
	struct counting *c = arg;

	pthread_mutex_lock(&c->mutex);
	c->done += bytes;
	c->spec->progress(c->spec->arg, c->done, c->total);
	pthread_mutex_unlock(&c->mutex);
}

/* A hostile record shall not fill the disk. */
static int check_size(
	const struct cb_mount_import *spec, const struct cb_mountdoc *doc, uint64_t *ret_packs, struct cb_err **err)
{
	uint64_t packs = 0;

	for (size_t i = 0; i < doc->n_packs; i++)
		packs += doc->packs[i].size;
	*ret_packs = packs;
	if (doc->bytes > spec->max_bytes || packs / 2 > spec->max_bytes + SLACK) {
		cb_err_set(err, CB_ERR_LIMIT, "the cache mount has %llu bytes, in packs of %llu; %llu are allowed",
			(unsigned long long)doc->bytes, (unsigned long long)packs, (unsigned long long)spec->max_bytes);
		return cb_err_hint(err, CB_ERR_LIMIT, "allow more with max-size=");
	}
	return cb_store_reserve(spec->store, doc->bytes + packs, err);
}

static int use_packs(struct cb_packset *set, const struct cb_mountdoc *doc, struct cb_err **err)
{
	for (size_t i = 0; i < doc->n_packs; i++) {
		size_t at;

		if (!cb_packset_pack(set, &doc->packs[i].digest, &at) || set->packs[at]->size != doc->packs[i].size)
			return cb_err_set(err, CB_ERR_CORRUPT, "record of a cache mount: no index has the pack %s",
				doc->packs[i].digest.text);
		cb_packset_use(set, at);
	}
	return 0;
}

static int place(const struct cb_mount_import *spec, const struct cb_mountdoc *doc, struct cb_packread *packs,
	int dirfd, struct cb_mountplace_stats *ret, struct cb_err **err)
{
	struct cb_mountplace_spec target = {
		.dirfd = dirfd, .packs = packs, .max_bytes = doc->bytes, .cancel = spec->cancel
	};
	cleanup_free struct cb_packread_stream *tree = cb_new0(struct cb_packread_stream);
	cleanup_free struct cb_packread_stream *times = cb_new0(struct cb_packread_stream);
	CB_CLEANUP(cb_mountlist_free) struct cb_mountlist *list = NULL;

	tree->packs = times->packs = packs;
	tree->digests = (const uint8_t *)doc->tree.digests.data;
	tree->n = cb_mount_chunks_n(&doc->tree);
	times->digests = (const uint8_t *)doc->times.digests.data;
	times->n = cb_mount_chunks_n(&doc->times);
	list = cb_mountlist_new(cb_packread_source(tree), cb_packread_source(times));
	return cb_mountplace(&target, list, ret, err);
}

/* Fetches all of it into the new directory @dirfd. */
static int fetch(const struct cb_mount_import *spec, const struct cb_mountdoc *doc, int dirfd,
	struct cb_mount_import_result *ret, struct cb_err **err)
{
	struct counting counting = { .spec = spec, .mutex = PTHREAD_MUTEX_INITIALIZER };
	cleanup_packset struct cb_packset set = { 0 };
	CB_CLEANUP(cb_packread_free) struct cb_packread *packs = NULL;
	struct cb_mountplace_stats stats = { 0 };
	int r = check_size(spec, doc, &counting.total, err);

	if (r == 0)
		r = cb_mount_indexes(spec->cache, doc, spec->cancel, &set, err);
	if (r == 0)
		r = use_packs(&set, doc, err);
	if (r < 0)
		return r;
	packs = cb_packread_new(&set, cb_store_tmpfd(spec->store));
	r = cb_packread_fetch(packs, spec->cache, spec->progress ? count : NULL, &counting, spec->cancel, err);
	if (r == 0)
		r = place(spec, doc, packs, dirfd, &stats, err);
	if (r < 0)
		return r;
	ret->files = stats.files;
	ret->bytes = stats.bytes;
	ret->received = counting.total;
	for (size_t i = 0; i < doc->n_indexes; i++)
		ret->received += doc->indexes[i].size;
	return 0;
}

static int import(const struct cb_mount_import *spec, const struct cb_mountdoc *doc, struct cb_mount_import_result *ret,
	struct cb_err **err)
{
	int tmpfd = cb_store_tmpfd(spec->store), r;
	cleanup_free char *name = cb_store_unique_name(spec->store);
	cleanup_close int fd = -EBADF;

	if (mkdirat(tmpfd, name, 0700) < 0)
		return cb_err_errno(err, errno, "make a directory for a cache mount");
	fd = openat(tmpfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? cb_err_errno(err, errno, "open a directory for a cache mount") : fetch(spec, doc, fd, ret, err);
	if (r == 0)
		r = cb_cachemount_adopt(spec->store, spec->name, spec->title, name, spec->replace, err);
	/* Whatever is left is removed at the end of this process at the latest. */
	if (r != 0)
		cb_path_remove_tree(tmpfd, name, NULL);
	return r > 0 ? CB_MOUNT_KEPT : r;
}

int cb_mount_import(const struct cb_mount_import *spec, struct cb_mount_import_result *ret, struct cb_err **err)
{
	for (size_t i = 0; i < spec->n_keys; i++) {
		cleanup_mountdoc struct cb_mountdoc doc = { 0 };
		struct cb_mount_import_result result = { .key = i };
		int r = cb_mount_find(spec->cache, &spec->keys[i], spec->cancel, &doc, NULL, err);

		if (r > 0)
			continue;
		if (r == 0)
			r = import(spec, &doc, &result, err);
		if (r == 0)
			*ret = result;
		return r;
	}
	return CB_MOUNT_NONE;
}
