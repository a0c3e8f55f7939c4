/* Names of images: index.json of the layout, with a copy in the database to mend it from. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "layers/image.h"
#include "layers/ref.h"
#include "layers/storedb.h"

#define LOCK_KEY "index.json"
#define HEX_MIN 4

int cb_tag_list(struct cb_store *store, struct cb_index **ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_file_read_at(store->dirfd, "index.json", CB_INDEX_BYTES_MAX, &text, err);

	if (r >= 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, ret, err);
	return r < 0 ? cb_err_wrap(err, r, "index.json of the store") : 0;
}

static int write_index(struct cb_store *store, const struct cb_index *index, struct cb_err **err)
{
	size_t len;
	cleanup_free char *text = cb_index_write(index, &len);

	if (len > CB_INDEX_BYTES_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "index.json of the store would be larger than %zu bytes",
			CB_INDEX_BYTES_MAX);
	return cb_store_write_file(store, store->dirfd, "index.json", text, len, err);
}

static int record_tag(struct cb_store *store, const char *name, const struct cb_descriptor *desc, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	cleanup_json json_t *doc = desc ? cb_descriptor_to_json(desc) : NULL;
	cleanup_free char *text = doc ? cb_json_dump(doc, false) : NULL;
	sqlite3_stmt *stmt = doc ? cb_db_prepare(store->db, "INSERT OR REPLACE INTO tags VALUES (?1, ?2)", err)
				 : cb_db_prepare(store->db, "DELETE FROM tags WHERE name=?1", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, name);
	if (doc)
		cb_db_bind_text(stmt, 2, text);
	return cb_db_run(store->db, stmt, err);
}

static bool entry_has_name(const struct cb_descriptor *entry, const char *name)
{
	return cb_str_eq(cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME), name) ||
	       cb_str_eq(cb_descriptor_annotation(entry, CB_ANNOTATION_IMAGE_NAME), name);
}

static bool drop_name(struct cb_index *index, const char *name)
{
	bool dropped = false;

	for (size_t i = index->n_entries; i-- > 0;) {
		if (!entry_has_name(&index->entries[i], name))
			continue;
		cb_index_remove(index, i);
		dropped = true;
	}
	return dropped;
}

/* The normalised name of a tag. */
static int tag_name(const char *text, char **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	int r = cb_ref_parse(text, &ref, err);

	if (r < 0)
		return r;
	if (ref->has_digest)
		return cb_err_set(err, CB_ERR_INPUT, "a tag cannot have a digest: \"%s\"", text);
	*ret = cb_ref_format(ref);
	return 0;
}

int cb_tag_set(struct cb_store *store, const char *text, const struct cb_descriptor *desc, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_descriptor struct cb_descriptor entry = { 0 };
	cleanup_free char *name = NULL;
	int r = tag_name(text, &name, err);

	if (r == 0)
		r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);
	if (r == 0)
		r = cb_tag_list(store, &index, err);
	if (r < 0)
		return r;

	cb_descriptor_copy(&entry, desc);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_REF_NAME, name);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_IMAGE_NAME, name);
	drop_name(index, name);
	cb_index_add(index, &entry);
	r = write_index(store, index, err);
	if (r == 0)
		r = record_tag(store, name, &entry, err);
	return r < 0 ? cb_err_wrap(err, r, "tag %s", name) : 0;
}

int cb_tag_remove(struct cb_store *store, const char *text, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_free char *name = NULL;
	int r = tag_name(text, &name, err);

	if (r >= 0)
		r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);
	if (r >= 0)
		r = cb_tag_list(store, &index, err);
	if (r < 0)
		return r;

	if (!drop_name(index, name))
		return 1;
	r = write_index(store, index, err);
	if (r == 0)
		r = record_tag(store, name, NULL, err);
	return r < 0 ? cb_err_wrap(err, r, "untag %s", name) : 0;
}

int cb_tag_set_unnamed(struct cb_store *store, const struct cb_descriptor *desc, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_descriptor struct cb_descriptor entry = { 0 };
	int r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);

	if (r == 0)
		r = cb_tag_list(store, &index, err);
	if (r < 0)
		return r;
	assert(index);
	for (size_t i = 0; i < index->n_entries; i++)
		if (cb_digest_equal(&index->entries[i].digest, &desc->digest))
			return 0;
	cb_descriptor_copy(&entry, desc);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_REF_NAME, NULL);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_IMAGE_NAME, NULL);
	cb_index_add(index, &entry);
	return write_index(store, index, err);
}

int cb_tag_remove_unnamed(struct cb_store *store, const struct cb_digest *digest, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	bool dropped = false;
	int r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);

	if (r == 0)
		r = cb_tag_list(store, &index, err);
	if (r < 0)
		return r;
	assert(index);
	for (size_t i = index->n_entries; i-- > 0;) {
		const struct cb_descriptor *entry = &index->entries[i];

		if (cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME) || !cb_digest_equal(&entry->digest, digest))
			continue;
		cb_index_remove(index, i);
		dropped = true;
	}
	if (!dropped)
		return 1;
	return write_index(store, index, err);
}

/* The digits when @text may be (the start of) a digest: all of it, hex, long enough. NULL otherwise. */
static const char *digest_digits(const char *text)
{
	size_t len;

	if (cb_str_starts(text, "sha256:"))
		text += strlen("sha256:");
	len = strlen(text);
	return len >= HEX_MIN && len <= 64 && strspn(text, "0123456789abcdef") == len ? text : NULL;
}

static bool config_starts(struct cb_store *store, const struct cb_descriptor *desc, const char *digits)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_media_kind(desc->media_type) != CB_MEDIA_KIND_MANIFEST ||
		cb_blob_read(store, &desc->digest, CB_MANIFEST_BYTES_MAX, &text, NULL) < 0 ||
		cb_manifest_parse(cb_buf_str(&text), text.len, &manifest, NULL) < 0)
		return false;
	return cb_str_starts(cb_digest_hex(&manifest->config.digest), digits);
}

static int find_digits(struct cb_store *store, const struct cb_index *index, const char *digits,
	struct cb_descriptor *ret, struct cb_err **err)
{
	size_t found = index->n_entries;

	for (size_t i = 0; i < index->n_entries; i++) {
		const struct cb_descriptor *entry = &index->entries[i];

		if (!cb_str_starts(cb_digest_hex(&entry->digest), digits) && !config_starts(store, entry, digits))
			continue;
		if (found < i && !cb_digest_equal(&index->entries[found].digest, &entry->digest))
			return cb_err_set(err, CB_ERR_INPUT, "image id %s is ambiguous", digits);
		found = i;
	}
	if (found == index->n_entries)
		return 1;
	cb_descriptor_copy(ret, &index->entries[found]);
	return 0;
}

int cb_tag_find(struct cb_store *store, const char *text, struct cb_descriptor *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *name = NULL;
	cleanup_err struct cb_err *not_ref = NULL;
	const char *digits = digest_digits(text);
	int r = cb_tag_list(store, &index, err);

	if (r < 0)
		return r;
	/* A name comes first: "cafe" may be both. A whole digest is no valid name. */
	if (cb_ref_parse(text, &ref, &not_ref) == 0) {
		struct cb_digest want = ref->digest;
		bool pinned = ref->has_digest;

		if (pinned) {
			ref->has_digest = false;
			if (!ref->tag)
				ref->tag = cb_xstrdup("latest");
		}
		name = cb_ref_format(ref);
		for (size_t i = 0; i < index->n_entries; i++) {
			const struct cb_descriptor *entry = &index->entries[i];

			if (!entry_has_name(entry, name) || (pinned && !cb_digest_equal(&entry->digest, &want)))
				continue;
			cb_descriptor_copy(ret, entry);
			return 0;
		}
		if (pinned)
			return find_digits(store, index, cb_digest_hex(&want), ret, err);
	} else if (!digits) {
		return cb_err_move(err, CB_TAKE_PTR(not_ref));
	}
	return digits ? find_digits(store, index, digits, ret, err) : 1;
}

static int rebuild(struct cb_store *store, struct cb_index *index, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT descriptor FROM tags ORDER BY name", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		cleanup_free char *text = cb_db_text(stmt, 0);
		cleanup_json json_t *doc = NULL;
		cleanup_descriptor struct cb_descriptor entry = { 0 };

		if (text && cb_json_parse(text, strlen(text), &doc, NULL) == 0 &&
			cb_descriptor_parse(doc, &entry, NULL) == 0)
			cb_index_add(index, &entry);
	}
	return r;
}

int cb_tag_repair(struct cb_store *store, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *fresh = NULL;
	int r;

	if (cb_tag_list(store, &index, NULL) == 0)
		return 0;
	cb_log_debug("index.json of the store is unreadable and made anew");
	fresh = cb_index_new(false);
	fresh->bare = true;
	r = rebuild(store, fresh, err);
	return r < 0 ? r : write_index(store, fresh, err);
}

/* The table of tags as it is: name -> descriptor text. */
static int read_table(struct cb_store *store, struct cb_map *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT name, descriptor FROM tags", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		cleanup_free char *name = cb_db_text(stmt, 0);

		if (name)
			cb_map_set(ret, name, cb_db_text(stmt, 1));
	}
	return r;
}

int cb_tag_compare(struct cb_store *store, bool mend, struct cb_strv *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	CB_CLEANUP(cb_map_free) struct cb_map *table = cb_map_new(free);
	const char *name;
	size_t at = 0;
	int r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);

	if (r == 0)
		r = cb_tag_list(store, &index, err);
	if (r == 0)
		r = read_table(store, table, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++) {
		cleanup_json json_t *doc = cb_descriptor_to_json(&index->entries[i]);
		cleanup_free char *text = cb_json_dump(doc, false);

		/* Entries of other tools may have none. */
		name = cb_descriptor_annotation(&index->entries[i], CB_ANNOTATION_REF_NAME);
		if (!name)
			continue;
		if (!cb_str_eq(cb_map_get(table, name), text)) {
			cb_strv_add(ret, name);
			if (mend)
				r = record_tag(store, name, &index->entries[i], err);
		}
		cb_map_del(table, name);
	}
	while (r == 0 && cb_map_next(table, &at, &name, NULL)) {
		cb_strv_add(ret, name);
		if (mend)
			r = record_tag(store, name, NULL, err);
	}
	return r;
}
