/*
 * Layers of steps that are known by their diff ID: they came from a remote cache and are fetched when something needs
 * them, or are in the store from an earlier build that did.
 *
 * A layer that is not what was promised, when it comes to it, is lost for the rest of the build: records that need it
 * are taken for none, and the steps that made it run.
 */
#ifndef CB_BUILDER_CACHED_H
#define CB_BUILDER_CACHED_H

#include "builder/build.h"

struct cb_remote_cache;
struct cb_cached_set;

struct cb_cached_set *cb_cached_set_new(void);
struct cb_cached_set *cb_cached_set_free(struct cb_cached_set *set);
CB_DEFINE_CLEANUP(struct cb_cached_set *, cb_cached_set_free)

/** The layer @diff_id whose blob @cache (NULL: only the store) has. Lives as long as the build. */
const struct cb_cached_layer *cb_cached_layer(struct cb_build *build, const struct cb_digest *diff_id,
	const struct cb_descriptor *blob, struct cb_remote_cache *cache, int64_t created);
/** A cb_chain_cached_fn of what the store has, unpacked or not; @userdata is the build. */
const struct cb_cached_layer *cb_cached_local(void *userdata, const struct cb_digest *diff_id, int64_t created);
/** Makes sure that all cached layers of @chain are unpacked. Any thread. Failing, it may have lost some. */
int cb_cached_fetch(struct cb_build *build, const struct cb_chain *chain, struct cb_err **err);
/** Any thread: the layer on top of @chain could not be had, as @why says. Nothing when that is not the cache's fault.
 */
void cb_cached_failed(struct cb_build *build, const struct cb_chain *chain, int code, const struct cb_err *why);
/** Some layer of @chain is lost. Any thread. */
bool cb_cached_lost(const struct cb_build *build, const struct cb_chain *chain);
/** The layer @diff_id is lost. Any thread. */
bool cb_cached_layer_lost(const struct cb_build *build, const struct cb_digest *diff_id);
/** The bytes of @blob, which some cache has, are not what they should be, or are gone: they have to be put again. */
bool cb_cached_blob_lost(const struct cb_build *build, const struct cb_digest *blob);

#endif
