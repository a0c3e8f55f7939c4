#include "layers/layertable.h"

#include <sqlite3.h>
#include <string.h>

#include "layers/storedb.h"

int cb_layer_put(struct cb_store *store, const struct cb_digest *diff_id, uint64_t size,
	const struct cb_descriptor *blob, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *layer, *entry;
	int r = cb_db_begin(store->db, err);

	if (r < 0)
		return r;
	layer = cb_db_prepare(store->db,
		"INSERT INTO layers VALUES (?1, ?2) ON CONFLICT(diff_id) DO UPDATE SET size=?2 WHERE ?2>0", err);
	entry = cb_db_prepare(store->db, "INSERT OR REPLACE INTO layer_blobs VALUES (?1, ?2, ?3, ?4, ?5)", err);
	if (!layer || !entry)
		return cb_db_failed(store->db);
	cb_db_bind_digest(layer, 1, diff_id);
	cb_db_bind_int(layer, 2, (int64_t)size);
	cb_db_bind_digest(entry, 1, diff_id);
	cb_db_bind_digest(entry, 2, &blob->digest);
	cb_db_bind_int(entry, 3, (int64_t)blob->size);
	cb_db_bind_text(entry, 4, blob->media_type);
	cb_db_bind_int(entry, 5, cb_media_layer_codec(blob->media_type));
	r = cb_db_run(store->db, layer, err);
	if (r == 0)
		r = cb_db_run(store->db, entry, err);
	if (r == 0)
		r = cb_db_commit(store->db, err);
	return r < 0 ? cb_err_wrap(err, r, "record layer %s", diff_id->text) : 0;
}

struct candidates {
	struct cb_descriptor *v;
	size_t n, cap;
};

static void candidates_done(struct candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		cb_descriptor_done(&c->v[i]);
	free(c->v);
}

/* Blobs recorded for @diff_id; any codec when @codec is negative. */
static int collect(
	struct cb_store *store, const struct cb_digest *diff_id, int codec, struct candidates *out, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT digest, size, media_type FROM layer_blobs WHERE diff_id=?1 AND (?2<0 OR codec=?2)", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	if (stmt) {
		cb_db_bind_digest(stmt, 1, diff_id);
		cb_db_bind_int(stmt, 2, codec);
	}
	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		struct cb_digest digest;
		cleanup_free char *type = cb_db_text(stmt, 2);

		if (!cb_db_digest(stmt, 0, &digest))
			continue;
		CB_GROW(out->v, out->cap, out->n + 1);
		cb_descriptor_init(&out->v[out->n++], type ? type : "", &digest, (uint64_t)cb_db_int(stmt, 1));
	}
	return r;
}

static int pick(struct cb_store *store, const struct cb_digest *diff_id, int codec, bool must_be_here,
	struct cb_descriptor *ret, struct cb_err **err)
{
	__attribute__((cleanup(candidates_done))) struct candidates found = { 0 };
	size_t chosen;
	int r = collect(store, diff_id, codec, &found, err);

	if (r < 0)
		return r;
	for (chosen = 0; chosen < found.n; chosen++) {
		uint64_t size;

		r = cb_blob_has(store, &found.v[chosen].digest, &size, err);
		if (r < 0)
			return r;
		if (r > 0 && size == found.v[chosen].size)
			break;
	}
	if (chosen == found.n && (must_be_here || !found.n))
		return 1;
	cb_descriptor_copy(ret, &found.v[chosen < found.n ? chosen : 0]);
	return 0;
}

int cb_layer_find(struct cb_store *store, const struct cb_digest *diff_id, enum cb_codec codec,
	struct cb_descriptor *ret, struct cb_err **err)
{
	return pick(store, diff_id, (int)codec, true, ret, err);
}

int cb_layer_find_any(
	struct cb_store *store, const struct cb_digest *diff_id, struct cb_descriptor *ret, struct cb_err **err)
{
	return pick(store, diff_id, -1, false, ret, err);
}

int cb_layer_diff_id(struct cb_store *store, const struct cb_digest *digest, struct cb_digest *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT diff_id FROM layer_blobs WHERE digest=?1 LIMIT 1", err);
	struct cb_digest found;
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, digest);
	r = cb_db_step(store->db, stmt, err);
	if (r < 0)
		return r;
	if (r == 0 || !cb_db_digest(stmt, 0, &found))
		return 1;
	*ret = found;
	return 0;
}

int cb_layer_size(struct cb_store *store, const struct cb_digest *diff_id, uint64_t *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT size FROM layers WHERE diff_id=?1 AND size>0", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, diff_id);
	r = cb_db_step(store->db, stmt, err);
	if (r <= 0)
		return r < 0 ? r : 1;
	*ret = (uint64_t)cb_db_int(stmt, 0);
	return 0;
}
