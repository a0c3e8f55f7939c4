#include "builder/chain.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/num.h"

/* What the texts of cached layers begin with. */
#define CACHED "layer:"

struct cb_chain_set {
	pthread_mutex_t mutex;
	struct cb_arena *arena;
	struct cb_map *by_content; /* content id -> chain */
	struct cb_map *by_diff_id; /* of base layers -> some chain with it on top */
};

struct cb_chain_set *cb_chain_set_new(void)
{
	struct cb_chain_set *set = cb_new0(struct cb_chain_set);

	pthread_mutex_init(&set->mutex, NULL);
	set->arena = cb_arena_new();
	set->by_content = cb_map_new(NULL);
	set->by_diff_id = cb_map_new(NULL);
	return set;
}

struct cb_chain_set *cb_chain_set_free(struct cb_chain_set *set)
{
	if (!set)
		return NULL;
	cb_map_free(set->by_content);
	cb_map_free(set->by_diff_id);
	cb_arena_free(set->arena);
	pthread_mutex_destroy(&set->mutex);
	free(set);
	return NULL;
}

const char *cb_chain_content(const struct cb_chain *chain)
{
	return chain ? chain->content.text : "empty";
}

/* The one chain of @below and the layer that @sample describes. */
static const struct cb_chain *intern(
	struct cb_chain_set *set, const struct cb_chain *below, const struct cb_chain *sample)
{
	char text[2 * CB_DIGEST_TEXT_MAX + CB_SNAPSHOT_ID_MAX + 4];
	struct cb_digest content;
	struct cb_chain *chain;
	int len = snprintf(text, sizeof(text), "%s %s%s %s", cb_chain_content(below), sample->snapshot,
		sample->cached ? "+" : "", sample->diff_id.text);

	assert(len > 0 && (size_t)len < sizeof(text));
	cb_digest_of(text, (size_t)len, &content);

	pthread_mutex_lock(&set->mutex);
	chain = cb_map_get(set->by_content, content.text);
	if (!chain) {
		chain = cb_arena_alloc(set->arena, sizeof(*chain));
		*chain = *sample;
		chain->below = below;
		chain->depth = cb_chain_depth(below) + 1;
		chain->content = content;
		cb_map_set(set->by_content, content.text, chain);
		if (chain->base && !cb_map_has(set->by_diff_id, chain->diff_id.text))
			cb_map_set(set->by_diff_id, chain->diff_id.text, chain);
	}
	pthread_mutex_unlock(&set->mutex);
	return chain;
}

const struct cb_chain *cb_chain_add(struct cb_chain_set *set, const struct cb_chain *below, const char *id)
{
	struct cb_chain sample = { 0 };

	assert(strlen(id) < sizeof(sample.snapshot));
	memcpy(sample.snapshot, id, strlen(id) + 1);
	return intern(set, below, &sample);
}

const struct cb_chain *cb_chain_add_base(struct cb_chain_set *set, const struct cb_chain *below,
	const struct cb_digest *diff_id, const struct cb_base *base, size_t at)
{
	struct cb_chain sample = { .diff_id = *diff_id, .base = base, .base_at = at };

	return intern(set, below, &sample);
}

const struct cb_chain *cb_chain_add_cached(struct cb_chain_set *set, const struct cb_chain *below,
	const struct cb_digest *diff_id, const struct cb_cached_layer *layer)
{
	struct cb_chain sample = { .diff_id = *diff_id, .cached = layer };

	return intern(set, below, &sample);
}

const struct cb_chain **cb_chain_list(const struct cb_chain *chain)
{
	const struct cb_chain **list = cb_xcalloc(cb_chain_depth(chain) + 1, sizeof(*list));

	for (; chain; chain = chain->below)
		list[chain->depth - 1] = chain;
	return list;
}

const struct cb_chain *cb_chain_stack(
	struct cb_chain_set *set, const struct cb_chain *lower, const struct cb_chain *upper)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(upper);

	for (size_t i = 0; i < cb_chain_depth(upper); i++)
		lower = intern(set, lower, list[i]);
	return lower;
}

void cb_chain_write(const struct cb_chain *chain, struct cb_strv *ret)
{
	cleanup_free const struct cb_chain **list = cb_chain_list(chain);

	for (size_t i = 0; i < cb_chain_depth(chain); i++) {
		if (list[i]->cached)
			cb_strv_addf(ret, CACHED "%s@%lld", list[i]->diff_id.text, (long long)list[i]->cached->created);
		else
			cb_strv_add(ret, list[i]->base ? list[i]->diff_id.text : list[i]->snapshot);
	}
}

/* "layer:sha256:…@123" on top of @below, or NULL. */
static const struct cb_chain *read_cached(struct cb_chain_set *set, const struct cb_chain *below, const char *text,
	cb_chain_cached_fn cached, void *userdata)
{
	const char *at = strchr(text, '@');
	cleanup_free char *name = at ? cb_xstrndup(text, (size_t)(at - text)) : NULL;
	const struct cb_cached_layer *layer;
	struct cb_digest diff_id;
	int64_t created;

	if (!name || !cb_digest_parse(name, &diff_id) || !cb_num_i64(at + 1, &created))
		return NULL;
	layer = cached ? cached(userdata, &diff_id, created) : NULL;
	return layer ? cb_chain_add_cached(set, below, &diff_id, layer) : NULL;
}

int cb_chain_read(struct cb_chain_set *set, const struct cb_strv *layers, cb_chain_cached_fn cached, void *userdata,
	const struct cb_chain **ret)
{
	const struct cb_chain *chain = NULL;

	for (size_t i = 0; i < layers->n; i++) {
		struct cb_digest diff_id;

		if (cb_str_starts(layers->v[i], CACHED)) {
			chain = read_cached(set, chain, layers->v[i] + sizeof(CACHED) - 1, cached, userdata);
			if (!chain)
				return 1;
		} else if (cb_digest_parse(layers->v[i], &diff_id)) {
			const struct cb_chain *known;

			pthread_mutex_lock(&set->mutex);
			known = cb_map_get(set->by_diff_id, diff_id.text);
			pthread_mutex_unlock(&set->mutex);
			if (!known)
				return 1;
			chain = intern(set, chain, known);
		} else if (strlen(layers->v[i]) < CB_SNAPSHOT_ID_MAX) {
			chain = cb_chain_add(set, chain, layers->v[i]);
		} else {
			return 1;
		}
	}
	*ret = chain;
	return 0;
}
