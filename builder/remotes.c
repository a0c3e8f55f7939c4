/* Remote caches: opening them, how they fail, keys. */
#include "builder/remotes.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "builder/cachekey.h"
#include "builder/remotes_inner.h"

/* ---- opening -------------------------------------------------------------------------------------------------- */

int cb_remotes_check_spec(const char *text, bool to, struct cb_err **err)
{
	__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };

	return cb_remote_spec_parse(text, to, &spec, err);
}

int cb_remotes_is_inline(const char *text, bool *ret, struct cb_err **err)
{
	__attribute__((cleanup(cb_remote_spec_done))) struct cb_remote_spec spec = { 0 };
	int r = cb_remote_spec_parse(text, true, &spec, err);

	if (r == 0)
		*ret = spec.type == CB_REMOTE_INLINE;
	return r;
}

static int open_end(
	struct cb_remotes *remotes, struct cb_remote_end *end, const char *text, bool to, struct cb_err **err)
{
	const char *option = to ? "--cache-to" : "--cache-from";
	int r = cb_remote_spec_parse(text, to, &end->spec, err);

	return r < 0 ? r : cb_remote_end_open(remotes->build, option, to, cb_remote_inline_read, end, err);
}

int cb_remotes_new(struct cb_build *build, struct cb_remotes **ret, struct cb_err **err)
{
	const struct cb_settings *settings = build->settings;
	CB_CLEANUP(cb_remotes_free) struct cb_remotes *remotes = NULL;
	struct cb_platform host;
	int r = 0;

	*ret = NULL;
	if (!settings->cache_from.n && !settings->cache_to.n)
		return 0;
	remotes = cb_new0(struct cb_remotes);
	remotes->build = build;
	pthread_mutex_init(&remotes->mutex, NULL);
	pthread_cond_init(&remotes->answered, NULL);
	cb_remotes_asking_init(remotes);
	cb_platform_host(&host);
	remotes->salt =
		cb_xasprintf("cbuild cache 1\n%s\n%s\n", host.arch, cb_owner_recorded() ? "one owner" : "owners");
	remotes->from = cb_newa0(struct cb_remote_end, settings->cache_from.n + 1);
	remotes->to = cb_newa0(struct cb_remote_end, settings->cache_to.n + 1);
	for (size_t i = 0; i < settings->cache_from.n && r == 0; i++)
		r = open_end(remotes, &remotes->from[remotes->n_from++], settings->cache_from.v[i], false, err);
	for (size_t i = 0; i < settings->cache_to.n && r == 0; i++) {
		bool inlined = false;

		r = cb_remotes_is_inline(settings->cache_to.v[i], &inlined, err);
		remotes->inlined |= inlined;
		if (r == 0 && !inlined)
			r = open_end(remotes, &remotes->to[remotes->n_to++], settings->cache_to.v[i], true, err);
	}
	if (r < 0)
		return r;
	*ret = CB_TAKE_PTR(remotes);
	return 0;
}

struct cb_remotes *cb_remotes_free(struct cb_remotes *remotes)
{
	if (!remotes)
		return NULL;
	cb_remotes_asking_done(remotes);
	cb_remote_ends_free(remotes->from, remotes->n_from);
	cb_remote_ends_free(remotes->to, remotes->n_to);
	cb_map_free(remotes->uploads);
	cb_err_free(remotes->failed);
	free(remotes->salt);
	pthread_cond_destroy(&remotes->answered);
	pthread_mutex_destroy(&remotes->mutex);
	free(remotes);
	return NULL;
}

void cb_remotes_broke_promise(struct cb_remotes *remotes, const struct cb_remote_cache *cache)
{
	for (size_t i = 0; remotes && i < remotes->n_from; i++)
		if (remotes->from[i].cache == cache)
			atomic_fetch_add(&remotes->from[i].broken, 1);
}

void cb_remotes_result(struct cb_remotes *remotes, struct cb_remote_end *end, int code, struct cb_err *err)
{
	cleanup_err struct cb_err *why = err;
	unsigned int failures = cb_remote_end_count(end, code);

	if (!failures)
		return;
	if (end->spec.must) {
		pthread_mutex_lock(&remotes->mutex);
		if (!remotes->failed) {
			cb_err_wrap(&why, code, "%s", end->cache->shown);
			remotes->failed = CB_TAKE_PTR(why);
		}
		pthread_mutex_unlock(&remotes->mutex);
		return;
	}
	if (failures <= CB_REMOTE_FAILURES_MAX)
		cb_remote_end_warn(end, NULL, NULL, failures, why);
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

void cb_remotes_key(const struct cb_remotes *remotes, const char *key, struct cb_digest *ret)
{
	cleanup_free char *text = cb_xasprintf("%s%s", remotes->salt, key);

	cb_digest_of(text, strlen(text), ret);
}

int cb_remotes_chain(struct cb_build *build, const struct cb_chain *chain, struct cb_digest *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };

	for (; chain; chain = chain->below) {
		__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
		int r = 0;

		if (!*chain->snapshot) {
			cb_buf_addf(&text, "%s\n", chain->diff_id.text);
			continue;
		}
		r = cb_snapshot_stat(build->store, chain->snapshot, &info, err);
		if (r != 0)
			return r;
		if (!cb_digest_is_set(&info.diff_id))
			return 1;
		cb_buf_addf(&text, "%s\n", info.diff_id.text);
	}
	cb_digest_of(cb_buf_str(&text), text.len, ret);
	return 0;
}

int cb_remotes_below(struct cb_build *build, const struct cb_vertex *vertex, struct cb_digest *ret)
{
	const struct cb_vertex *parent = cb_vertex_parent(vertex);

	if (parent && !parent->result)
		return 1;
	return cb_remotes_chain(
		       build, parent ? ((const struct cb_step_result *)parent->result)->chain : NULL, ret, NULL)
		       ? 1
		       : 0;
}

int cb_remotes_content_key(struct cb_remotes *remotes, const struct cb_vertex *vertex, struct cb_digest *ret)
{
	struct cb_digest below, content;

	for (size_t i = 0; i < vertex->n_inputs; i++)
		if (!vertex->inputs[i].vertex->result)
			return 1;
	if (cb_remotes_below(remotes->build, vertex, &below) != 0)
		return 1;
	cb_cachekey_content(vertex, below.text, &content, NULL);
	cb_remotes_key(remotes, content.text, ret);
	return 0;
}
