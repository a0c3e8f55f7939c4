#include "layers/usage.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "layers/cachemount.h"
#include "layers/reach.h"
#include "layers/snapshot.h"
#include "layers/storedb.h"

#define LOCKS_MAX ((size_t)64 << 20)

void cb_usage_done(struct cb_usage *usage)
{
	for (size_t i = 0; i < usage->n; i++) {
		free(usage->v[i].type);
		free(usage->v[i].id);
		free(usage->v[i].parent);
		free(usage->v[i].title);
	}
	free(usage->v);
	memset(usage, 0, sizeof(*usage));
}

bool cb_usage_reclaimable(const struct cb_usage_item *item)
{
	return !item->in_use && !item->named;
}

static struct cb_usage_item *add_item(struct cb_usage *usage)
{
	CB_GROW(usage->v, usage->cap, usage->n + 1);
	usage->v[usage->n] = (struct cb_usage_item){ 0 };
	return &usage->v[usage->n++];
}

/* ---- locks ---------------------------------------------------------------------------------------------------- */

/* Inodes below the store that somebody holds a lock on. */
struct locked {
	struct cb_map *inodes;
};

/* "1: FLOCK ADVISORY READ 123 fd:01:456 0 EOF": the device as the kernel prints it and the inode. */
static bool parse_lock(char *line, char **ret_device, char **ret_inode)
{
	char *at = strstr(line, "FLOCK"), *save = NULL, *word = NULL, *colon;

	if (!at)
		return false;
	word = strtok_r(at, " ", &save);
	for (int i = 0; word && i < 4; i++)
		word = strtok_r(NULL, " ", &save);
	colon = word ? strrchr(word, ':') : NULL;
	if (!colon)
		return false;
	*colon = '\0';
	*ret_device = word;
	*ret_inode = colon + 1;
	return true;
}

/*
 * Asking for a lock would be noticed by who wants it at the same moment; the kernel's list tells without asking. Some
 * file systems print another device there than stat does: that of the lock we hold ourselves is the right one.
 */
static void read_locks(struct cb_store *store, struct locked *ret)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *device = NULL;
	char own[24], *save = NULL;
	struct stat st;

	ret->inodes = cb_map_new(NULL);
	if (cb_file_read_at(AT_FDCWD, "/proc/locks", LOCKS_MAX, &text, NULL) < 0 || fstat(store->proc_lock, &st) < 0)
		return;
	snprintf(own, sizeof(own), "%llu", (unsigned long long)st.st_ino);
	for (int pass = 0; pass < 2; pass++) {
		cleanup_free char *copy = cb_xstrdup(cb_buf_str(&text));

		for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			char *on, *inode;

			if (!parse_lock(line, &on, &inode))
				continue;
			if (pass == 0 && !device && !strcmp(inode, own))
				device = cb_xstrdup(on);
			if (pass == 1 && device && !strcmp(on, device))
				cb_map_set(ret->inodes, inode, ret);
		}
	}
}

static bool is_locked(const struct locked *locked, int dirfd, const char *path)
{
	struct stat st;
	char inode[24];

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	snprintf(inode, sizeof(inode), "%llu", (unsigned long long)st.st_ino);
	return cb_map_has(locked->inodes, inode);
}

/* ---- snapshots ------------------------------------------------------------------------------------------------ */

static int list_uncounted(struct cb_store *store, struct cb_strv *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT id FROM snapshots WHERE disk IS NULL", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0)
		cb_strv_take(ret, cb_db_text(stmt, 0));
	return r;
}

static int count_all(struct cb_store *store, const struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_strv struct cb_strv ids = { 0 };
	int r = list_uncounted(store, &ids, err);

	for (size_t i = 0; r >= 0 && i < ids.n; i++) {
		r = cb_cancel_check(cancel, err);
		if (r == 0)
			r = cb_snapshot_count(store, ids.v[i], err);
	}
	return r < 0 ? r : 0;
}

static int read_snapshots(
	struct cb_store *store, const struct cb_reach *reach, struct cb_usage *usage, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT s.id, s.kind, s.parent, s.diff_id, coalesce(s.disk, 0), s.created, s.last_used, s.uses, s.seq,"
		" (SELECT place FROM records r WHERE r.snapshot=s.id ORDER BY r.id DESC LIMIT 1),"
		" (SELECT count(*) FROM snapshots c WHERE c.parent=s.id) FROM snapshots s",
		err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		struct cb_usage_item *item = add_item(usage);
		struct cb_digest diff_id;

		item->kind = CB_USAGE_SNAPSHOT;
		item->id = cb_db_text(stmt, 0);
		item->type = cb_db_text(stmt, 1);
		item->parent = cb_db_text(stmt, 2);
		item->named =
			reach->diff_ids && cb_db_digest(stmt, 3, &diff_id) && cb_map_has(reach->diff_ids, diff_id.text);
		item->size = (uint64_t)cb_db_int(stmt, 4);
		item->created = cb_db_int(stmt, 5);
		item->last_used = cb_db_int(stmt, 6);
		item->uses = (uint64_t)cb_db_int(stmt, 7);
		item->order = cb_db_int(stmt, 8);
		item->title = cb_db_text(stmt, 9);
		item->children = (size_t)cb_db_int(stmt, 10);
	}
	return r;
}

/* ---- blobs ---------------------------------------------------------------------------------------------------- */

/* A layer blob and the snapshot that has it unpacked. */
struct layer {
	char *snapshot;
	int64_t last_used;
};

static void layer_free(void *value)
{
	struct layer *layer = value;

	free(layer->snapshot);
	free(layer);
}

static int read_layers(struct cb_store *store, struct cb_map *ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"SELECT b.digest, s.id, max(coalesce(s.last_used, 0)) FROM layer_blobs b"
		" LEFT JOIN snapshots s ON s.diff_id=b.diff_id GROUP BY b.digest",
		err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		struct cb_digest digest;
		struct layer *layer;

		if (!cb_db_digest(stmt, 0, &digest))
			continue;
		layer = cb_new0(struct layer);
		layer->snapshot = cb_db_text(stmt, 1);
		layer->last_used = cb_db_int(stmt, 2);
		cb_map_set(ret, digest.text, layer);
	}
	return r;
}

struct blobs {
	struct cb_usage *usage;
	const struct cb_reach *reach;
	const struct cb_map *layers;
};

static int add_blob(void *ctx, const struct cb_blob_info *info, struct cb_err **err)
{
	const struct blobs *blobs = ctx;
	const struct layer *layer = cb_map_get(blobs->layers, info->digest.text);
	struct cb_usage_item *item = add_item(blobs->usage);

	(void)err;
	item->kind = CB_USAGE_BLOB;
	item->id = cb_xstrdup(info->digest.text);
	item->type = cb_xstrdup(layer ? "layer" : "document");
	item->parent = layer ? cb_xstrdup_null(layer->snapshot) : NULL;
	item->size = info->disk;
	item->created = info->made / 1000000000;
	item->last_used = info->used / 1000000000;
	/* The layer of a step is as much in use as the step: it would have to be compressed again. */
	if (layer && layer->last_used > item->last_used)
		item->last_used = layer->last_used;
	item->order = INT64_MAX;
	item->in_use = info->in_use;
	item->named = blobs->reach->blobs && cb_map_has(blobs->reach->blobs, info->digest.text);
	return 0;
}

static int read_blobs(struct cb_store *store, const struct cb_reach *reach, struct cb_usage *usage, struct cb_err **err)
{
	CB_CLEANUP(cb_map_free) struct cb_map *layers = cb_map_new(layer_free);
	struct blobs blobs = { usage, reach, layers };
	int r = read_layers(store, layers, err);

	return r < 0 ? r : cb_blob_each(store, add_blob, &blobs, err);
}

/* ---- cache mounts --------------------------------------------------------------------------------------------- */

static int read_cachemounts(
	struct cb_store *store, const struct locked *locked, struct cb_usage *usage, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };
	int r = cb_cachemount_list(store, &names, err);

	for (size_t i = 0; r >= 0 && i < names.n; i++) {
		struct cb_cachemount_info info = { 0 };
		cleanup_free char *lock = cb_xasprintf("cachemounts/.%s", names.v[i]);
		bool in_use = is_locked(locked, store->dirfd, lock);
		struct cb_usage_item *item;

		r = cb_cachemount_stat(store, names.v[i], &info, err);
		if (r != 0)
			continue;
		item = add_item(usage);
		item->kind = CB_USAGE_CACHEMOUNT;
		item->type = cb_xstrdup("cachemount");
		item->id = CB_TAKE_PTR(info.name);
		item->title = CB_TAKE_PTR(info.title);
		item->size = info.size;
		item->uses = info.uses;
		item->created = info.created;
		item->last_used = info.last_used;
		item->in_use = in_use;
	}
	return r < 0 ? r : 0;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int read_all(struct cb_store *store, const struct cb_cancel *cancel, struct cb_usage *usage, struct cb_err **err)
{
	cleanup_reach struct cb_reach reach = { 0 };
	struct locked locked = { 0 };
	int r = cb_store_flush(store, err);

	if (r == 0)
		r = count_all(store, cancel, err);
	if (r == 0)
		r = cb_reach_names(store, &reach, err);
	if (r == 0)
		r = read_snapshots(store, &reach, usage, err);
	if (r < 0)
		return r;
	read_locks(store, &locked);
	for (size_t i = 0; i < usage->n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/fs", usage->v[i].id);

		usage->v[i].in_use = is_locked(&locked, store->snapshots, path);
	}
	r = read_blobs(store, &reach, usage, err);
	if (r == 0)
		r = read_cachemounts(store, &locked, usage, err);
	cb_map_free(locked.inodes);
	return r;
}

int cb_usage_read(struct cb_store *store, const struct cb_cancel *cancel, struct cb_usage *ret, struct cb_err **err)
{
	cleanup_usage struct cb_usage usage = { 0 };
	int r = read_all(store, cancel, &usage, err);

	if (r < 0)
		return cb_err_wrap(err, r, "look what the store holds");
	for (size_t i = 0; i < usage.n; i++)
		usage.total += usage.v[i].size;
	*ret = usage;
	usage = (struct cb_usage){ 0 };
	return 0;
}

struct sum {
	int dirfd;
	uint64_t total;
};

static int sum_blob(void *ctx, const char *name, struct cb_err **err)
{
	struct sum *sum = ctx;
	struct stat st;

	(void)err;
	if (fstatat(sum->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		sum->total += (uint64_t)st.st_blocks * 512;
	return 0;
}

int cb_usage_total(struct cb_store *store, uint64_t *ret, struct cb_err **err)
{
	struct sum sum = { store->blobs, 0 };
	int r = count_all(store, NULL, err);
	sqlite3_stmt *stmt;

	if (r == 0)
		r = cb_store_each_name(store->dirfd, "blobs/sha256", sum_blob, &sum, err);
	if (r < 0)
		return r;
	CB_DB_SCOPE(store->db);
	stmt = cb_db_prepare(store->db,
		"SELECT (SELECT coalesce(sum(disk), 0) FROM snapshots) + (SELECT coalesce(sum(size), 0) FROM"
		" cachemounts)",
		err);
	r = stmt ? cb_db_step(store->db, stmt, err) : cb_db_failed(store->db);
	if (r < 0)
		return r;
	*ret = sum.total + (uint64_t)cb_db_int(stmt, 0);
	return 0;
}
