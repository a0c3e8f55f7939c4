#include "builder/cached.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/parallel.h"
#include "layers/layertable.h"

/** Layers fetched at a time. */
#define PARALLEL 4

struct entry {
	struct cb_cached_layer layer;
	struct cb_image image;
	struct cb_image_layer of;
};

struct cb_cached_set {
	pthread_mutex_t mutex;
	struct cb_map *map; /* "diff ID created" -> struct entry */
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
	return set;
}

struct cb_cached_set *cb_cached_set_free(struct cb_cached_set *set)
{
	if (!set)
		return NULL;
	cb_map_free(set->map);
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

	if (cb_snapshot_find(build->store, diff_id, &id, NULL) == 0) {
		return cb_cached_layer(build, diff_id, NULL, NULL, created);
	}
	if (cb_layer_find_any(build->store, diff_id, &blob, NULL) != 0 ||
		cb_blob_open(build->store, &blob.digest, &fd, NULL, NULL) < 0)
		return NULL;
	close(fd);
	return cb_cached_layer(build, diff_id, &blob, NULL, created);
}

struct fetching {
	struct cb_build *build;
	const struct cb_chain **v;
};

static int fetch_one(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct fetching *fetching = userdata;
	cleanup_free char *id = NULL;
	int r = cb_pull_layer(fetching->build->puller, fetching->v[at]->cached->image, 0, NULL, NULL, cancel, &id, err);

	if (r >= 0 || r == CB_ERR_CANCELED)
		return r;
	return cb_err_hint(err, r, "the cache does not give what it promised: build without it");
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
	for (size_t i = 0; i < n && r == 0; i++)
		r = cb_snapfds_get(build->snapfds, missing[i], &fd, err);
	return r;
}
