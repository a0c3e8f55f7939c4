/*
 * Remote caches of a build: --cache-from is asked for records, --cache-to gets records and layers.
 *
 * Asking: as soon as a definition key is known its record is asked for in the background, many at a time. A step that
 * is not in the store waits for its answer while others go on, and for no longer than the timeout of the cache. A
 * record found makes a result of cached layers (builder/cached.h): nothing is downloaded before something reads it.
 * Keys are salted with the architecture and with whether files can have owners here, since both can change what the
 * same step gives.
 *
 * Giving: layers are committed and uploaded while later steps run, records at the end, when all layers of theirs are
 * there. A cache that fails twice in a row is left alone for the rest of the build; that is a warning, not a failure,
 * unless its ignore-error=false says otherwise.
 *
 * Trust: digests of layers are checked, but which layers belong to a key is the cache's word. Whoever can write to a
 * cache decides what builds that read it are made of.
 */
#ifndef CB_BUILDER_REMOTES_H
#define CB_BUILDER_REMOTES_H

#include "builder/build.h"
#include "builder/explain.h"

struct cb_remotes;

/** Opens what the settings name; *ret is NULL when they name nothing. */
int cb_remotes_new(struct cb_build *build, struct cb_remotes **ret, struct cb_err **err);
/** No job of it may be running. */
struct cb_remotes *cb_remotes_free(struct cb_remotes *remotes);
CB_DEFINE_CLEANUP(struct cb_remotes *, cb_remotes_free)

/** Checks one --cache-from or --cache-to before anything is opened: CB_ERR_USAGE. */
int cb_remotes_check_spec(const char *text, bool to, struct cb_err **err);

/** Whether a --cache-to is of type inline. CB_ERR_USAGE. */
int cb_remotes_is_inline(const char *text, bool *ret, struct cb_err **err);

/* All take NULL for no remotes. */

/** Coordinator: @vertex has its key. */
void cb_remotes_ask(struct cb_remotes *remotes, const struct cb_vertex *vertex);
/** Coordinator: 1 with *ret when a cache has the definition key of @vertex, else 0, or CB_SCHEDULER_LATER. */
int cb_remotes_find(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret);
/** Coordinator: asks for the content key, the inputs are finished. 0 once that is answered, or CB_SCHEDULER_LATER. */
int cb_remotes_ask_content(struct cb_remotes *remotes, struct cb_vertex *vertex);
/** Any thread: 1 with *ret when that answer was a record, else 0. */
int cb_remotes_find_content(struct cb_remotes *remotes, struct cb_vertex *vertex, struct cb_step_result **ret);
/** Coordinator, about ten times a second: gives up on answers that take too long. */
void cb_remotes_tick(struct cb_remotes *remotes);
/** What every store calls @chain: a digest of its diff IDs. 1 when one is not known. */
int cb_remotes_chain(struct cb_build *build, const struct cb_chain *chain, struct cb_digest *ret, struct cb_err **err);
/** What every store calls the file system below @vertex: 0, or 1 when that is not known. */
int cb_remotes_below(struct cb_build *build, const struct cb_vertex *vertex, struct cb_digest *ret);
/** Any thread: @cache did not give what a record of it promised; some such, and it is left alone. */
void cb_remotes_broke_promise(struct cb_remotes *remotes, const struct cb_remote_cache *cache);
/**
 * Coordinator, after the steps, before anything is given: waits for the answers about steps that nobody had to look at,
 * no longer than steps do.
 */
int cb_remotes_settle(struct cb_remotes *remotes, struct cb_err **err);
/**
 * Coordinator, after the steps: what the image of the chain @target with @n layers (diff IDs, bottom first) carries in
 * its config, under CB_REMOTES_INLINE, for --cache-to type=inline; NULL when that was not asked for. New reference.
 */
json_t *cb_remotes_inline(
	struct cb_remotes *remotes, const struct cb_chain *target, const struct cb_digest *diff_ids, size_t n);
/** Member of an image's config with records; a base image's own says nothing of what is built on it. */
#define CB_REMOTES_INLINE "cbuild.cache.v1"
/** Coordinator: @vertex was executed. */
void cb_remotes_made(struct cb_remotes *remotes, const struct cb_vertex *vertex);
/** Coordinator: a message CB_MSG_TASK; true when it was one of an upload. */
bool cb_remotes_message(struct cb_remotes *remotes, struct cb_msg *msg);
/** Coordinator: @chain's top layer was committed. */
void cb_remotes_committed(struct cb_remotes *remotes, const struct cb_chain *chain);
/** Coordinator, after the build: uploads what is missing, and the records; keeps what came from caches in the store. */
int cb_remotes_finish(struct cb_remotes *remotes, struct cb_err **err);
/** Compares with what the caches know of the place of @now, when the store knows nothing. */
int cb_remotes_explain(struct cb_remotes *remotes, const json_t *now, const struct cb_buf *files,
	struct cb_differences *ret, struct cb_err **err);

#endif
