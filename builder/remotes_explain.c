/* Remote caches: what they know of steps that did not hit. */
#include <stdlib.h>

#include "builder/inputs.h"
#include "builder/remotes_inner.h"
#include "layers/filelist.h"

/* What the caches know of one step. */
struct known {
	struct cb_remotes *remotes;
	struct cb_remote_record records[8];
	struct cb_remote_end *ends[8];
	size_t n;
};

static void known_done(struct known *known)
{
	for (size_t i = 0; i < known->n; i++)
		cb_remote_record_done(&known->records[i]);
}

static void collect(struct known *known, const char *place)
{
	struct cb_remotes *remotes = known->remotes;
	struct cb_digest key;

	cb_remotes_key(remotes, place, &key);
	for (size_t i = 0; i < remotes->n_from && known->n < ARRAY_SIZE(known->records); i++) {
		struct cb_remote_end *end = &remotes->from[i];
		struct cb_err *err = NULL;
		int r;

		if (!cb_remote_end_alive(end))
			continue;
		r = cb_remotes_get_record(end, &key, remotes->build->scheduler.cancel, &known->records[known->n], &err);
		cb_remotes_result(remotes, end, r, err);
		if (r == 0 && known->records[known->n].inputs)
			known->ends[known->n++] = end;
		else if (r == 0)
			cb_remote_record_done(&known->records[known->n]);
	}
}

static int take_bytes(void *userdata, const void *data, size_t len, struct cb_err **err)
{
	struct cb_buf *buf = userdata;

	if (buf->len + len > CB_FILELIST_BYTES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "a list of files is too large");
	cb_buf_add(buf, data, len);
	return 0;
}

static int known_files(void *ctx, size_t at, struct cb_buf *ret, struct cb_err **err)
{
	struct known *known = ctx;
	const struct cb_remote_record *record = &known->records[at];
	struct cb_remote_cache *cache = known->ends[at]->cache;
	struct cb_digest got;
	int r;

	if (!record->has_files || record->files.size > CB_FILELIST_BYTES_MAX)
		return 1;
	r = cache->ops->get_blob(
		cache->self, &record->files, take_bytes, ret, known->remotes->build->scheduler.cancel, err);
	if (r < 0)
		return r;
	cb_digest_of(ret->data, ret->len, &got);
	return cb_digest_equal(&got, &record->files.digest)
		       ? 0
		       : cb_err_set(err, CB_ERR_CORRUPT, "a list of files does not have its digest");
}

int cb_remotes_explain(struct cb_remotes *remotes, const json_t *now, const struct cb_buf *files,
	struct cb_differences *ret, struct cb_err **err)
{
	__attribute__((cleanup(known_done))) struct known known = { .remotes = remotes };
	struct cb_explain_record candidates[ARRAY_SIZE(known.records)];
	struct cb_explain_source source = { .v = candidates, .files = known_files, .ctx = &known };
	cleanup_free char *place = NULL, *slot = NULL;

	if (!remotes || !remotes->n_from)
		return 0;
	place = cb_inputs_place(now);
	slot = cb_inputs_slot(now);
	collect(&known, place);
	collect(&known, slot);
	for (size_t i = 0; i < known.n; i++)
		candidates[source.n++] = (struct cb_explain_record){ .inputs = known.records[i].inputs };
	return cb_explain(now, files, &source, ret, err);
}
