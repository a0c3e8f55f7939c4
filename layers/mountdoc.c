#include "layers/mountdoc.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/timefmt.h"
#include "layers/packset.h"

#define KIND "cache-mount"
#define VERSION 1
#define ID_MAX 4096

void cb_mountdoc_done(struct cb_mountdoc *doc)
{
	free(doc->id);
	cb_buf_done(&doc->tree.digests);
	cb_buf_done(&doc->times.digests);
	free(doc->indexes);
	free(doc->packs);
	*doc = (struct cb_mountdoc){ 0 };
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static json_t *write_chunks(const struct cb_mount_chunks *chunks)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cb_mount_chunks_n(chunks); i++) {
		struct cb_digest digest;

		cb_digest_from_bytes((const uint8_t *)chunks->digests.data + i * CB_DIGEST_SIZE, &digest);
		json_array_append_new(list, json_string(digest.text));
	}
	return list;
}

static json_t *write_blobs(const struct cb_mount_blob *blobs, size_t n, bool live)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *blob =
			json_pack("{s:s, s:I}", "digest", blobs[i].digest.text, "size", (json_int_t)blobs[i].size);

		if (live)
			json_object_set_new(blob, "live", json_integer((json_int_t)blobs[i].live));
		json_array_append_new(list, blob);
	}
	return list;
}

char *cb_mountdoc_write(const struct cb_mountdoc *doc)
{
	char created[CB_TIME_TEXT_MAX];
	cleanup_json json_t *obj = NULL;

	cb_time_format((struct timespec){ .tv_sec = doc->created }, created);
	obj = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I}", "version", VERSION, "kind", KIND, "id",
		doc->id ? doc->id : "", "created", created, "files", (json_int_t)doc->files, "bytes",
		(json_int_t)doc->bytes);
	/* Ids that are no UTF-8 are known by their key alone. */
	if (!obj)
		obj = json_pack("{s:i, s:s, s:s, s:s, s:I, s:I}", "version", VERSION, "kind", KIND, "id", "", "created",
			created, "files", (json_int_t)doc->files, "bytes", (json_int_t)doc->bytes);
	if (cb_digest_is_set(&doc->parent))
		json_object_set_new(obj, "parent", json_string(doc->parent.text));
	json_object_set_new(obj, "tree", write_chunks(&doc->tree));
	json_object_set_new(obj, "times", write_chunks(&doc->times));
	json_object_set_new(obj, "indexes", write_blobs(doc->indexes, doc->n_indexes, false));
	json_object_set_new(obj, "packs", write_blobs(doc->packs, doc->n_packs, true));
	return cb_json_dump(obj, false);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int corrupt(struct cb_err **err, const char *what)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "record of a cache mount: %s", what);
}

static int get_number(const json_t *obj, const char *key, uint64_t max, uint64_t *ret, struct cb_err **err)
{
	int64_t v = 0;
	int r = cb_json_get_i64(obj, key, &v, err);

	if (r < 0)
		return r;
	if (r > 0 || v < 0 || (uint64_t)v > max)
		return cb_err_set(err, CB_ERR_CORRUPT, "record of a cache mount: \"%s\" is missing or wrong", key);
	*ret = (uint64_t)v;
	return 0;
}

static int get_list(const json_t *obj, const char *key, size_t max, json_t **ret, struct cb_err **err)
{
	int r = cb_json_get_arr(obj, key, ret, err);

	if (r < 0)
		return r;
	if (r > 0 || json_array_size(*ret) > max)
		return cb_err_set(err, CB_ERR_CORRUPT, "record of a cache mount: \"%s\" is missing or too long", key);
	return 0;
}

static int get_chunks(const json_t *obj, const char *key, struct cb_mount_chunks *ret, struct cb_err **err)
{
	json_t *list = NULL;
	int r = get_list(obj, key, CB_PACK_CHUNKS_MAX, &list, err);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		uint8_t bytes[CB_DIGEST_SIZE];
		struct cb_digest digest;

		if (!text || !cb_digest_parse(text, &digest))
			return corrupt(err, "a chunk has no digest");
		cb_digest_to_bytes(&digest, bytes);
		cb_buf_add(&ret->digests, bytes, sizeof(bytes));
	}
	return r;
}

static int get_blob(const json_t *obj, uint64_t max, bool live, struct cb_mount_blob *ret, struct cb_err **err)
{
	const char *text = NULL;
	int r = json_is_object(obj) ? cb_json_get_str(obj, "digest", &text, err) : 1;

	if (r < 0)
		return r;
	if (!text || !cb_digest_parse(text, &ret->digest))
		return corrupt(err, "a blob has no digest");
	r = get_number(obj, "size", max, &ret->size, err);
	return r == 0 && live ? get_number(obj, "live", CB_MOUNT_BYTES_MAX, &ret->live, err) : r;
}

static int get_blobs(const json_t *obj, const char *key, size_t max_n, uint64_t max, bool live,
	struct cb_mount_blob **ret, size_t *ret_n, struct cb_err **err)
{
	json_t *list = NULL;
	int r = get_list(obj, key, max_n, &list, err);

	if (r < 0)
		return r;
	*ret = cb_newa0(struct cb_mount_blob, json_array_size(list) + 1);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
		r = get_blob(json_array_get(list, i), max, live, &(*ret)[(*ret_n)++], err);
	return r;
}

static int get_head(const json_t *obj, struct cb_mountdoc *doc, struct cb_err **err)
{
	const char *kind = NULL, *id = NULL, *created = NULL, *parent = NULL;
	struct timespec time = { 0 };
	uint64_t version = 0;
	int r = get_number(obj, "version", INT32_MAX, &version, err);

	if (r == 0)
		r = cb_json_get_str(obj, "kind", &kind, err);
	if (r < 0)
		return r;
	if (!cb_str_eq(kind, KIND))
		return corrupt(err, "it is one of something else");
	if (version != VERSION)
		return cb_err_set(err, CB_ERR_UNSUPPORTED,
			"record of a cache mount of version %llu; this cbuild knows %d", (unsigned long long)version,
			VERSION);
	if (cb_json_get_str(obj, "id", &id, err) < 0 || cb_json_get_str(obj, "created", &created, err) < 0 ||
		cb_json_get_str(obj, "parent", &parent, err) < 0)
		return CB_ERR_CORRUPT;
	if (!created || !cb_time_parse(created, &time) || (parent && !cb_digest_parse(parent, &doc->parent)) ||
		(id && strlen(id) > ID_MAX))
		return corrupt(err, "time, parent or id is wrong");
	doc->created = time.tv_sec;
	doc->id = cb_xstrdup_null(id);
	r = get_number(obj, "files", INT64_MAX, &doc->files, err);
	return r < 0 ? r : get_number(obj, "bytes", CB_MOUNT_BYTES_MAX, &doc->bytes, err);
}

int cb_mountdoc_parse(const char *data, size_t len, struct cb_mountdoc *ret, struct cb_err **err)
{
	cleanup_mountdoc struct cb_mountdoc doc = { 0 };
	cleanup_json json_t *obj = NULL;
	int r = cb_json_parse(data, len, &obj, err);

	if (r == 0)
		r = json_is_object(obj) ? get_head(obj, &doc, err) : corrupt(err, "it is no object");
	if (r == 0)
		r = get_chunks(obj, "tree", &doc.tree, err);
	if (r == 0)
		r = get_chunks(obj, "times", &doc.times, err);
	if (r == 0)
		r = get_blobs(obj, "indexes", CB_MOUNT_INDEXES_MAX, CB_PACK_INDEX_MAX, false, &doc.indexes,
			&doc.n_indexes, err);
	if (r == 0)
		r = get_blobs(obj, "packs", CB_PACKS_MAX, CB_PACK_MAX, true, &doc.packs, &doc.n_packs, err);
	if (r < 0)
		return r;
	*ret = doc;
	doc = (struct cb_mountdoc){ 0 };
	return 0;
}
