/* fsck of blobs, images and names. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "layers/fsck_inside.h"
#include "layers/image.h"

/* ---- blobs ---------------------------------------------------------------------------------------------------- */

static bool drop_blob(struct cb_fsck_run *run, const char *name)
{
	return run->repair && cb_path_remove_tree(run->store->blobs, name, NULL) == 0;
}

static int check_content(struct cb_fsck_run *run, const char *name, struct cb_err **err)
{
	/* Checking is no use: where the kernel lets us, the time of the last one stays. */
	cleanup_close int fd =
		openat(run->store->blobs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
	struct cb_digest got;
	int r;

	if (fd < 0 && errno == EPERM)
		fd = openat(run->store->blobs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		if (errno != ENOENT)
			cb_fsck_add(
				run, drop_blob(run, name), "blob sha256:%s cannot be read: %s", name, strerror(errno));
		return 0;
	}
	r = cb_digest_of_fd(fd, &got, NULL, err);
	if (r < 0)
		return cb_err_wrap(err, r, "blob %s", name);
	if (strcmp(cb_digest_hex(&got), name) != 0)
		cb_fsck_add(run, drop_blob(run, name), "blob sha256:%s has digest %s", name, got.text);
	return 0;
}

static int check_blob(void *ctx, const char *name, struct cb_err **err)
{
	struct cb_fsck_run *run = ctx;
	struct stat st;
	int r = cb_cancel_check(run->cancel, err);

	if (r < 0)
		return r;
	if (fstatat(run->store->blobs, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (strlen(name) != 64 || strspn(name, "0123456789abcdef") != 64 || !S_ISREG(st.st_mode)) {
		cb_fsck_add(run, drop_blob(run, name), "blobs/sha256/%s is no blob", name);
		return 0;
	}
	run->fsck->blobs++;
	return run->content ? check_content(run, name, err) : 0;
}

/* Sizes that the database has of blobs: 0 for one that is not there. */
static bool size_differs(struct cb_store *store, const struct cb_digest *digest, int64_t size, int64_t *ret)
{
	struct stat st;

	if (fstatat(store->blobs, cb_digest_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	*ret = (int64_t)st.st_size;
	return *ret != size;
}

static int find_wrong_sizes(struct cb_fsck_run *run, struct cb_strv *wrong, struct cb_err **err)
{
	CB_DB_SCOPE(run->store->db);
	sqlite3_stmt *stmt = cb_db_prepare(run->store->db, "SELECT digest, size FROM layer_blobs", err);
	int r = stmt ? 1 : cb_db_failed(run->store->db);

	while (stmt && (r = cb_db_step(run->store->db, stmt, err)) > 0) {
		struct cb_digest digest;
		int64_t size = 0;

		if (cb_db_digest(stmt, 0, &digest) && size_differs(run->store, &digest, cb_db_int(stmt, 1), &size))
			cb_strv_add(wrong, digest.text);
	}
	return r;
}

static int drop_layer_row(struct cb_store *store, const char *text, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "DELETE FROM layer_blobs WHERE digest=?1", err);
	struct cb_digest digest;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_digest_parse(text, &digest);
	cb_db_bind_digest(stmt, 1, &digest);
	return cb_db_run(store->db, stmt, err);
}

int cb_fsck_blobs(struct cb_fsck_run *run, struct cb_err **err)
{
	cleanup_strv struct cb_strv wrong = { 0 };
	int r = cb_store_each_name(run->store->dirfd, "blobs/sha256", check_blob, run, err);

	if (r == 0)
		r = find_wrong_sizes(run, &wrong, err);
	for (size_t i = 0; r == 0 && i < wrong.n; i++) {
		if (run->repair)
			r = drop_layer_row(run->store, wrong.v[i], err);
		cb_fsck_add(run, run->repair && r == 0, "database: blob %s is recorded with another size", wrong.v[i]);
	}
	return r;
}

/* ---- images --------------------------------------------------------------------------------------------------- */

static void check_layers(struct cb_fsck_run *run, const char *name, const struct cb_manifest *manifest)
{
	for (size_t i = 0; i < manifest->n_layers; i++) {
		const struct cb_descriptor *layer = &manifest->layers[i];
		struct stat st;

		/* Foreign layers are never kept. */
		if (cb_media_is_foreign(layer->media_type))
			continue;
		if (fstatat(run->store->blobs, cb_digest_hex(&layer->digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
			cb_fsck_add(run, false, "image %s: layer blob %s is missing", name, layer->digest.text);
		else if ((uint64_t)st.st_size != layer->size)
			cb_fsck_add(run, false, "image %s: layer blob %s has %llu bytes instead of %llu", name,
				layer->digest.text, (unsigned long long)st.st_size, (unsigned long long)layer->size);
	}
}

/* An index of several platforms: those that are here have to be whole, the others were never fetched. */
static int check_index(
	struct cb_fsck_run *run, const char *name, const struct cb_descriptor *entry, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_blob_read(run->store, &entry->digest, CB_INDEX_BYTES_MAX, &text, err);

	if (r == 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++) {
		CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
		const struct cb_descriptor *one = &index->entries[i];

		if (cb_media_kind(one->media_type) != CB_MEDIA_KIND_MANIFEST ||
			cb_blob_has(run->store, &one->digest, NULL, NULL) <= 0)
			continue;
		r = cb_stored_image_load(run->store, one, NULL, &image, err);
		if (r == 0)
			check_layers(run, name, image->manifest);
	}
	return r;
}

static void check_entry(struct cb_fsck_run *run, const struct cb_descriptor *entry)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	cleanup_err struct cb_err *why = NULL;
	const char *name = cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME);
	bool gone = false;
	int r;

	run->fsck->images++;
	if (cb_media_kind(entry->media_type) == CB_MEDIA_KIND_INDEX)
		r = check_index(run, name ? name : entry->digest.text, entry, &why);
	else
		r = cb_stored_image_load(run->store, entry, NULL, &image, &why);
	if (r == 0 && image)
		check_layers(run, name ? name : entry->digest.text, image->manifest);
	if (r >= 0)
		return;
	/* A name of what nobody can read any more is worth nothing. */
	if (run->repair && name)
		gone = cb_tag_remove(run->store, name, NULL) == 0;
	cb_fsck_add(run, gone, "image %s: %s", name ? name : entry->digest.text, cb_err_msg(why));
}

/* Names that the database and index.json do not agree about; index.json is right. */
static int check_names(struct cb_fsck_run *run, struct cb_err **err)
{
	cleanup_strv struct cb_strv differing = { 0 };
	int r = cb_tag_compare(run->store, run->repair, &differing, err);

	for (size_t i = 0; r == 0 && i < differing.n; i++)
		cb_fsck_add(run, run->repair, "database: the name %s is not as in index.json", differing.v[i]);
	return r;
}

static int check_layout(struct cb_fsck_run *run, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_json json_t *doc = NULL;
	const char *version = NULL;

	if (cb_file_read_at(run->store->dirfd, "oci-layout", 4096, &text, NULL) == 0 &&
		cb_json_parse(cb_buf_str(&text), text.len, &doc, NULL) == 0 &&
		cb_json_get_str(doc, "imageLayoutVersion", &version, NULL) == 0 && !strncmp(version, "1.", 2))
		return 0;
	if (run->repair) {
		int r = cb_store_write_layout(run->store, err);

		if (r < 0)
			return r;
	}
	cb_fsck_add(run, run->repair, "oci-layout is missing or damaged");
	return 0;
}

int cb_fsck_images(struct cb_fsck_run *run, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_err struct cb_err *why = NULL;
	int r = check_layout(run, err);

	if (r < 0)
		return r;
	if (cb_tag_list(run->store, &index, &why) < 0) {
		if (run->repair)
			r = cb_tag_repair(run->store, err);
		if (r < 0)
			return r;
		cb_fsck_add(run, run->repair, "%s", cb_err_msg(why));
		if (!run->repair)
			return 0;
		r = cb_tag_list(run->store, &index, err);
	}
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		check_entry(run, &index->entries[i]);
	return r < 0 ? r : check_names(run, err);
}
