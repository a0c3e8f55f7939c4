/* Does what the database says agree with what is on disk? */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/image.h"
#include "layers/snapshot.h"
#include "layers/storedb.h"

struct check {
	struct cb_store *store;
	struct cb_strv *problems;
	bool content;
};

static int check_snapshots(struct check *check, struct cb_err **err)
{
	cleanup_strv struct cb_strv ids = { 0 };
	int r = cb_snapshot_list(check->store, &ids, err);

	for (size_t i = 0; r == 0 && i < ids.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/fs", ids.v[i]);
		struct stat st;

		if (fstatat(check->store->snapshots, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			cb_strv_addf(check->problems, "snapshot %s is recorded but has no directory", ids.v[i]);
	}
	return r;
}

static int check_snapshot_dir(void *ctx, const char *name, struct cb_err **err)
{
	struct check *check = ctx;
	int r = cb_snapshot_stat(check->store, name, NULL, err);

	if (r > 0 && !cb_store_proc_alive(check->store, name))
		cb_strv_addf(check->problems, "snapshots/%s is not recorded", name);
	return r < 0 ? r : 0;
}

static int check_blob(void *ctx, const char *name, struct cb_err **err)
{
	struct check *check = ctx;
	cleanup_close int fd = openat(check->store->blobs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct cb_digest got;
	int r;

	if (fd < 0) {
		if (errno != ENOENT)
			cb_strv_addf(check->problems, "blob %s cannot be read: %s", name, strerror(errno));
		return 0;
	}
	if (strlen(name) != 64 || strspn(name, "0123456789abcdef") != 64) {
		cb_strv_addf(check->problems, "blobs/sha256/%s is no blob", name);
		return 0;
	}
	if (!check->content)
		return 0;
	r = cb_digest_of_fd(fd, &got, NULL, err);
	if (r < 0)
		return cb_err_wrap(err, r, "blob %s", name);
	if (strcmp(cb_digest_hex(&got), name) != 0)
		cb_strv_addf(check->problems, "blob sha256:%s has digest %s", name, got.text);
	return 0;
}

static void check_named_image(struct check *check, const struct cb_descriptor *entry)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	cleanup_err struct cb_err *why = NULL;
	const char *name = cb_descriptor_annotation(entry, CB_ANNOTATION_REF_NAME);
	const struct cb_platform *platform = entry->has_platform ? &entry->platform : NULL;

	if (!name)
		name = entry->digest.text;
	if (cb_stored_image_load(check->store, entry, platform, &image, &why) < 0) {
		cb_strv_addf(check->problems, "image %s: %s", name, cb_err_msg(why));
		return;
	}
	for (size_t i = 0; i < image->manifest->n_layers; i++) {
		const struct cb_descriptor *layer = &image->manifest->layers[i];
		uint64_t size = 0;

		if (cb_blob_has(check->store, &layer->digest, &size, NULL) <= 0)
			cb_strv_addf(check->problems, "image %s: layer blob %s is missing", name, layer->digest.text);
		else if (size != layer->size)
			cb_strv_addf(check->problems, "image %s: layer blob %s has %llu bytes instead of %llu", name,
				layer->digest.text, (unsigned long long)size, (unsigned long long)layer->size);
	}
}

static int check_database(struct check *check, struct cb_err **err)
{
	CB_DB_SCOPE(check->store->db);
	sqlite3_stmt *stmt = cb_db_prepare(check->store->db, "PRAGMA quick_check(10)", err);
	int r = stmt ? 1 : cb_db_failed(check->store->db);

	while (stmt && (r = cb_db_step(check->store->db, stmt, err)) > 0) {
		cleanup_free char *line = cb_db_text(stmt, 0);

		if (line && strcmp(line, "ok") != 0)
			cb_strv_addf(check->problems, "database: %s", line);
	}
	return r;
}

int cb_store_check(struct cb_store *store, bool content, struct cb_strv *problems, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	struct check check = { store, problems, content };
	int r = check_database(&check, err);

	if (r == 0)
		r = check_snapshots(&check, err);
	if (r == 0)
		r = cb_store_each_name(store->dirfd, "snapshots", check_snapshot_dir, &check, err);
	if (r == 0)
		r = cb_store_each_name(store->dirfd, "blobs/sha256", check_blob, &check, err);
	if (r == 0)
		r = cb_tag_list(store, &index, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		check_named_image(&check, &index->entries[i]);
	return r;
}
