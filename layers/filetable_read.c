/* What the table says when all layers are in it. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "layers/digest.h"
#include "layers/filetable_inner.h"

/* Paths of one group of equal files that are given. */
#define PATHS_MAX 5

struct cb_filetable_walk {
	struct cb_filetable *table;
	sqlite3_stmt *rows, *first;
	struct cb_buf path, link, same;
};

int cb_filetable_walk_open(struct cb_filetable *table, struct cb_filetable_walk **ret, struct cb_err **err)
{
	struct cb_filetable_walk *walk = cb_new0(struct cb_filetable_walk);
	int r = cb_filetable_prepare(table,
		"SELECT key, layer, type, mode, uid, gid, size, sec, nsec, link, major, minor, content, xattrs, inode, linked, spot"
		" FROM entry ORDER BY key",
		&walk->rows, err);

	walk->table = table;
	if (r == 0)
		r = cb_filetable_prepare(
			table, "SELECT min(key), count(*) FROM entry WHERE linked>0 AND inode=?1", &walk->first, err);
	if (r < 0)
		cb_filetable_walk_free(walk);
	else
		*ret = walk;
	return r;
}

struct cb_filetable_walk *cb_filetable_walk_free(struct cb_filetable_walk *walk)
{
	if (walk) {
		sqlite3_finalize(walk->rows);
		sqlite3_finalize(walk->first);
		cb_buf_done(&walk->path);
		cb_buf_done(&walk->link);
		cb_buf_done(&walk->same);
		free(walk);
	}
	return NULL;
}

/* The first of the names of a file; of a file that had several it may be the only one that is left. */
static int find_first(
	struct cb_filetable_walk *walk, int64_t inode, struct cb_filetable_entry *ret, struct cb_err **err)
{
	sqlite3_stmt *stmt = walk->first;
	int r;

	sqlite3_bind_int64(stmt, 1, inode);
	r = cb_filetable_step(walk->table, stmt, err);
	if (r > 0 && sqlite3_column_int64(stmt, 1) > 1) {
		cb_filetable_path(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &walk->same);
		ret->same_as = cb_buf_str(&walk->same);
	}
	sqlite3_reset(stmt);
	return CB_MIN(r, 0);
}

int cb_filetable_next(struct cb_filetable_walk *walk, struct cb_filetable_entry *ret, struct cb_err **err)
{
	sqlite3_stmt *row = walk->rows;
	int r = cb_filetable_step(walk->table, row, err);

	if (r <= 0)
		return r;
	cb_filetable_path(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), &walk->path);
	cb_buf_clear(&walk->link);
	cb_buf_add(&walk->link, sqlite3_column_blob(row, 9), (size_t)sqlite3_column_bytes(row, 9));
	*ret = (struct cb_filetable_entry){
		.path = cb_buf_str(&walk->path),
		.layer = (unsigned int)sqlite3_column_int64(row, 1),
		.type = (char)sqlite3_column_int(row, 2),
		.mode = (uint32_t)sqlite3_column_int64(row, 3),
		.uid = (uint32_t)sqlite3_column_int64(row, 4),
		.gid = (uint32_t)sqlite3_column_int64(row, 5),
		.size = (uint64_t)sqlite3_column_int64(row, 6),
		.mtime = { .tv_sec = sqlite3_column_int64(row, 7), .tv_nsec = (long)sqlite3_column_int64(row, 8) },
		.link = cb_buf_str(&walk->link),
		.major = (uint32_t)sqlite3_column_int64(row, 10),
		.minor = (uint32_t)sqlite3_column_int64(row, 11),
		.content = sqlite3_column_blob(row, 12),
		.xattrs = sqlite3_column_blob(row, 13),
		.xattrs_len = (size_t)sqlite3_column_bytes(row, 13),
		.repeated = sqlite3_column_int(row, 15) == 2,
		.spot = sqlite3_column_int64(row, 16),
	};
	if (sqlite3_column_int(row, 15)) {
		r = find_first(walk, sqlite3_column_int64(row, 14), ret, err);
		if (r < 0)
			return r;
	}
	return 1;
}

/* ---- sums ----------------------------------------------------------------------------------------------------- */

static int ask_two(struct cb_filetable *table, const char *sql, uint64_t *a, uint64_t *b, struct cb_err **err)
{
	sqlite3_stmt *stmt;
	int r = cb_filetable_prepare(table, sql, &stmt, err);

	if (r < 0)
		return r;
	r = cb_filetable_step(table, stmt, err);
	if (r > 0) {
		*a = (uint64_t)sqlite3_column_int64(stmt, 0);
		*b = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	sqlite3_finalize(stmt);
	return CB_MIN(r, 0);
}

int cb_filetable_wasted(struct cb_filetable *table, uint64_t *ret_bytes, uint64_t *ret_files, struct cb_err **err)
{
	return ask_two(table, "SELECT total(size), count(*) FROM waste", ret_bytes, ret_files, err);
}

int cb_filetable_each_waste(struct cb_filetable *table, unsigned int max,
	void (*fn)(void *arg, const struct cb_filetable_waste *waste), void *arg, struct cb_err **err)
{
	cleanup_buf struct cb_buf path = { 0 };
	sqlite3_stmt *stmt;
	int r = cb_filetable_prepare(table,
		"SELECT key, layer, taker, deleted, size FROM waste WHERE size>0 ORDER BY size DESC, key, layer LIMIT ?1",
		&stmt, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, max);
	while ((r = cb_filetable_step(table, stmt, err)) > 0) {
		struct cb_filetable_waste waste = {
			.layer = (unsigned int)sqlite3_column_int64(stmt, 1),
			.by = (unsigned int)sqlite3_column_int64(stmt, 2),
			.deleted = sqlite3_column_int(stmt, 3),
			.bytes = (uint64_t)sqlite3_column_int64(stmt, 4),
		};

		cb_filetable_path(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &path);
		waste.path = cb_buf_str(&path);
		fn(arg, &waste);
	}
	sqlite3_finalize(stmt);
	return r;
}

/* Equal files that are not names of one. The conditions are those of the index. */
#define COUNTED "type=45 AND linked<2 AND size>0"
#define INDEX "CREATE INDEX IF NOT EXISTS by_content ON entry (content, size) WHERE " COUNTED
#define SAME "(SELECT content, size, count(*) AS times FROM entry WHERE " COUNTED " GROUP BY content HAVING times>1)"

int cb_filetable_repeated(struct cb_filetable *table, uint64_t *ret_bytes, uint64_t *ret_groups, struct cb_err **err)
{
	int r = cb_filetable_exec(table, INDEX, err);

	return r < 0 ? r
		     : ask_two(table, "SELECT total(size*(times-1)), count(*) FROM " SAME, ret_bytes, ret_groups, err);
}

static int name_group(struct cb_filetable *table, const void *content, struct cb_strv *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf path = { 0 };
	sqlite3_stmt *stmt;
	int r = cb_filetable_prepare(
		table, "SELECT key FROM entry WHERE content=?1 AND " COUNTED " ORDER BY key LIMIT ?2", &stmt, err);

	if (r < 0)
		return r;
	sqlite3_bind_blob(stmt, 1, content, CB_DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, PATHS_MAX);
	while ((r = cb_filetable_step(table, stmt, err)) > 0) {
		cb_filetable_path(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &path);
		cb_strv_add(ret, cb_buf_str(&path));
	}
	sqlite3_finalize(stmt);
	return r;
}

int cb_filetable_each_same(struct cb_filetable *table, unsigned int max,
	void (*fn)(void *arg, const struct cb_filetable_same *same), void *arg, struct cb_err **err)
{
	sqlite3_stmt *stmt = NULL;
	int r = cb_filetable_exec(table, INDEX, err);

	if (r == 0)
		r = cb_filetable_prepare(table,
			"SELECT content, size, times FROM " SAME " ORDER BY size*(times-1) DESC, content LIMIT ?1",
			&stmt, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, max);
	while ((r = cb_filetable_step(table, stmt, err)) > 0) {
		cleanup_strv struct cb_strv paths = { 0 };
		struct cb_filetable_same same = {
			.bytes = (uint64_t)sqlite3_column_int64(stmt, 1),
			.times = (uint64_t)sqlite3_column_int64(stmt, 2),
			.paths = &paths,
		};

		r = name_group(table, sqlite3_column_blob(stmt, 0), &paths, err);
		if (r < 0)
			break;
		fn(arg, &same);
	}
	sqlite3_finalize(stmt);
	return r;
}
