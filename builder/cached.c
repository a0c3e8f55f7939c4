#include "builder/cached.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/parallel.h"
#include "builder/remotes.h"
#include "layers/layertable.h"
#include "layers/remotecache.h"

/** Layers fetched at a time. */
#define PARALLEL 8
/** Lost layers that are told of one by one. */
#define TOLD_MAX 3

struct entry {
	struct cb_cached_layer layer;
	struct cb_image image;
	struct cb_image_layer of;
};

struct cb_cached_set {
	pthread_mutex_t mutex;
	struct cb_map *map;        /* "diff ID created" -> struct entry */
	struct cb_map *lost;       /* diff IDs */
	struct cb_map *lost_blobs; /* digests of their blobs */
};

static void entry_free(void *value)
{
	struct entry *entry = value;

	cb_descriptor_done(&entry->of.desc);
	free(entry);
}

struct cb_cached_set *cb_cached_set_new(void)
{
	struct cb_cached_set *set = cb_new0(struct cb_cached_set);

	pthread_mutex_init(&set->mutex, NULL);
	set->map = cb_map_new(entry_free);
	set->lost = cb_map_new(NULL);
	set->lost_blobs = cb_map_new(NULL);
	return set;
}

struct cb_cached_set *cb_cached_set_free(struct cb_cached_set *set)
{
	if (!set)
		return NULL;
	cb_map_free(set->map);
	cb_map_free(set->lost);
	cb_map_free(set->lost_blobs);
	pthread_mutex_destroy(&set->mutex);
	free(set);
	return NULL;
}

const struct cb_cached_layer *cb_cached_layer(struct cb_build *build, const struct cb_digest *diff_id,
	const struct cb_descriptor *blob, struct cb_remote_cache *cache, int64_t created)
{
	struct cb_cached_set *set = build->cached;
	cleanup_free char *key = cb_xasprintf("%s %lld %s", diff_id->text, (long long)created, cache ? "remote" : "");
	struct entry *entry;

	pthread_mutex_lock(&set->mutex);
	entry = cb_map_get(set->map, key);
	if (!entry) {
		entry = cb_new0(struct entry);
		entry->of.diff_id = *diff_id;
		if (blob)
			cb_descriptor_copy(&entry->of.desc, blob);
		entry->image = (struct cb_image){
			.from = CB_IMAGE_CACHE, .layers = &entry->of, .n_layers = 1, .cache = cache
		};
		entry->layer = (struct cb_cached_layer){ &entry->image, created };
		cb_map_set(set->map, key, entry);
	}
	pthread_mutex_unlock(&set->mutex);
	return &entry->layer;
}

const struct cb_cached_layer *cb_cached_local(void *userdata, const struct cb_digest *diff_id, int64_t created)
{
	struct cb_build *build = userdata;
	cleanup_descriptor struct cb_descriptor blob = { 0 };
	cleanup_free char *id = NULL;
	int fd;

	if (cb_cached_layer_lost(build, diff_id))
		return NULL;
	if (cb_snapshot_find(build->store, diff_id, &id, NULL) == 0)
		return cb_cached_layer(build, diff_id, NULL, NULL, created);
	if (cb_layer_find_any(build->store, diff_id, &blob, NULL) != 0 ||
		cb_blob_open(build->store, &blob.digest, &fd, NULL, NULL) < 0)
		return NULL;
	close(fd);
	return cb_cached_layer(build, diff_id, &blob, NULL, created);
}

/* ---- losing --------------------------------------------------------------------------------------------------- */

static bool is_lost(struct cb_cached_set *set, const struct cb_map *map, const struct cb_digest *digest)
{
	bool lost;

	pthread_mutex_lock(&set->mutex);
	lost = cb_map_has(map, digest->text);
	pthread_mutex_unlock(&set->mutex);
	return lost;
}

bool cb_cached_layer_lost(const struct cb_build *build, const struct cb_digest *diff_id)
{
	return is_lost(build->cached, build->cached->lost, diff_id);
}

bool cb_cached_blob_lost(const struct cb_build *build, const struct cb_digest *blob)
{
	return is_lost(build->cached, build->cached->lost_blobs, blob);
}

bool cb_cached_lost(const struct cb_build *build, const struct cb_chain *chain)
{
	for (; chain; chain = chain->below)
		if (chain->cached && cb_cached_layer_lost(build, &chain->diff_id))
			return true;
	return false;
}

/* A full disk or a signal says nothing of the cache. */
static bool is_ours(int code)
{
	return code == CB_ERR_CANCELED || code == CB_ERR_NO_SPACE || code == CB_ERR_IO || code == CB_ERR_TIMEOUT;
}

void cb_cached_failed(struct cb_build *build, const struct cb_chain *chain, int code, const struct cb_err *why)
{
	struct cb_cached_set *set = build->cached;
	cleanup_free char *note = NULL;
	struct cb_remote_cache *cache;
	size_t n;

	if (code >= 0 || is_ours(code) || !chain->cached)
		return;
	cache = chain->cached->image->cache;
	pthread_mutex_lock(&set->mutex);
	n = cb_map_has(set->lost, chain->diff_id.text) ? SIZE_MAX : cb_map_len(set->lost);
	cb_map_set(set->lost, chain->diff_id.text, set);
	if (cb_digest_is_set(&chain->cached->image->layers[0].desc.digest))
		cb_map_set(set->lost_blobs, chain->cached->image->layers[0].desc.digest.text, set);
	pthread_mutex_unlock(&set->mutex);
	if (n == SIZE_MAX)
		return;
	if (cache)
		cb_remotes_broke_promise(build->remotes, cache);
	if (n >= TOLD_MAX)
		return;
	note = cb_xasprintf(
		"%s: %s; the steps that made it run instead", cache ? cache->shown : "the store", cb_err_msg(why));
	cb_build_note(build, NULL, note);
}

/* ---- fetching ------------------------------------------------------------------------------------------------- */

struct fetching {
	struct cb_build *build;
	const struct cb_chain **v;
	struct cb_err *err; /* of the first that could not be had; guarded by the set's mutex */
};

static int fetch_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct fetching *fetching = userdata;
	struct cb_cached_set *set = fetching->build->cached;
	cleanup_free char *id = NULL;
	struct cb_err *why = NULL;
	int r = cb_pull_layer(
		fetching->build->puller, fetching->v[at]->cached->image, 0, NULL, NULL, cancel, &id, &why);

	if (r >= 0)
		return 0;
	if (is_ours(r))
		return cb_err_move(err, why);
	/* All that are lost are to be known at once. */
	cb_cached_failed(fetching->build, fetching->v[at], r, why);
	pthread_mutex_lock(&set->mutex);
	if (!fetching->err)
		fetching->err = CB_TAKE_PTR(why);
	pthread_mutex_unlock(&set->mutex);
	cb_err_free(why);
	return 0;
}

int cb_cached_fetch(struct cb_build *build, const struct cb_chain *chain, struct cb_err **err)
{
	cleanup_free const struct cb_chain **missing = NULL;
	struct fetching fetching = { .build = build };
	size_t n = 0;
	int r = 0, fd;

	for (const struct cb_chain *at = chain; at; at = at->below) {
		if (!at->cached)
			continue;
		r = cb_snapfds_get(build->snapfds, at, &fd, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (!missing)
			missing = cb_xcalloc(cb_chain_depth(chain), sizeof(*missing));
		missing[n++] = at;
	}
	fetching.v = missing;
	r = n ? cb_parallel_each("fetch", PARALLEL, n, fetch_one, &fetching, build->scheduler.cancel, err) : 0;
	if (r < 0)
		cb_err_free(CB_TAKE_PTR(fetching.err));
	else if (fetching.err)
		r = cb_err_move(err, CB_TAKE_PTR(fetching.err));
	for (size_t i = 0; i < n && r == 0; i++)
		r = cb_snapfds_get(build->snapfds, missing[i], &fd, err);
	return r;
}
