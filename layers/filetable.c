/* The table itself: what a layer does to the layers below it. */
#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "layers/filetable_inner.h"

/* What lower layers have between two keys. */
#define RANGE "key>=?1 AND key<?2 AND layer<?3"

/* Nothing is kept, so nothing must be safe; the cache is what may be in memory. */
static const char pragmas[] =
	"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-32000;";
static const char schema[] =
	"CREATE TABLE entry (key BLOB PRIMARY KEY, layer INT, type INT, mode INT, uid INT, gid INT, size INT, sec INT,"
	" nsec INT, link BLOB, major INT, minor INT, content BLOB, xattrs BLOB, inode INT, linked INT, spot INT)"
	" WITHOUT ROWID;"
	"CREATE INDEX by_inode ON entry (inode) WHERE linked > 0;"
	"CREATE TABLE waste (key BLOB, layer INT, taker INT, deleted INT, size INT);";

int cb_filetable_fail(struct cb_filetable *table, int code, struct cb_err **err)
{
	int r;

	if ((code & 0xff) != SQLITE_FULL)
		return cb_err_set(err, CB_ERR_IO, "table of files: %s", sqlite3_errmsg(table->db));
	r = cb_err_set(err, CB_ERR_NO_SPACE, "no space left for the table of files");
	return cb_err_hint(err, r, "name a directory with room in TMPDIR");
}

int cb_filetable_exec(struct cb_filetable *table, const char *sql, struct cb_err **err)
{
	int r = sqlite3_exec(table->db, sql, NULL, NULL, NULL);

	return r == SQLITE_OK ? 0 : cb_filetable_fail(table, r, err);
}

int cb_filetable_prepare(struct cb_filetable *table, const char *sql, sqlite3_stmt **ret, struct cb_err **err)
{
	int r = sqlite3_prepare_v2(table->db, sql, -1, ret, NULL);

	return r == SQLITE_OK ? 0 : cb_filetable_fail(table, r, err);
}

int cb_filetable_step(struct cb_filetable *table, sqlite3_stmt *stmt, struct cb_err **err)
{
	int r = sqlite3_step(stmt);

	if (r == SQLITE_ROW)
		return 1;
	return r == SQLITE_DONE ? 0 : cb_filetable_fail(table, r, err);
}

/* Runs to the end and makes ready for the next time. */
static int run(struct cb_filetable *table, sqlite3_stmt *stmt, struct cb_err **err)
{
	int r = cb_filetable_step(table, stmt, err);

	sqlite3_reset(stmt);
	return r;
}

static int prepare_all(struct cb_filetable *table, struct cb_err **err)
{
	int r = cb_filetable_prepare(table,
		"SELECT layer, type, size, mode, uid, gid, sec, nsec, link, major, minor, content, xattrs, inode,"
		" linked, spot FROM entry WHERE key=?1",
		&table->find, err);

	if (r == 0)
		r = cb_filetable_prepare(table,
			"INSERT OR REPLACE INTO entry VALUES"
			" (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
			&table->put, err);
	if (r == 0)
		r = cb_filetable_prepare(table, "SELECT 1 FROM entry WHERE " RANGE " LIMIT 1", &table->any, err);
	if (r == 0)
		r = cb_filetable_prepare(table, "INSERT INTO waste VALUES (?1,?2,?3,?4,?5)", &table->waste, err);
	return r;
}

/* The empty name is a temporary file. */
static struct cb_filetable *open_table(int *ret_code)
{
	struct cb_filetable *table = cb_new0(struct cb_filetable);

	table->spool = -EBADF;
	*ret_code =
		sqlite3_open_v2("", &table->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	return table;
}

int cb_filetable_new(struct cb_filetable **ret, struct cb_err **err)
{
	struct cb_filetable *table;
	int code, r;

	table = open_table(&code);
	r = code == SQLITE_OK ? cb_filetable_exec(table, pragmas, err) : cb_filetable_fail(table, code, err);
	if (r == 0)
		r = cb_filetable_exec(table, schema, err);
	if (r == 0)
		r = prepare_all(table, err);
	if (r < 0) {
		cb_filetable_free(table);
		return r;
	}
	*ret = table;
	return 0;
}

int cb_filetable_copy(struct cb_filetable *table, struct cb_filetable **ret, struct cb_err **err)
{
	struct cb_filetable *copy;
	sqlite3_backup *backup = NULL;
	int code, r;

	copy = open_table(&code);
	if (code == SQLITE_OK)
		backup = sqlite3_backup_init(copy->db, "main", table->db, "main");
	if (backup) {
		sqlite3_backup_step(backup, -1);
		code = sqlite3_backup_finish(backup);
	} else if (code == SQLITE_OK) {
		code = sqlite3_errcode(copy->db);
	}
	r = code == SQLITE_OK ? cb_filetable_exec(copy, pragmas, err) : cb_filetable_fail(copy, code, err);
	if (r == 0)
		r = prepare_all(copy, err);
	if (r < 0) {
		cb_filetable_free(copy);
		return r;
	}
	copy->layer = table->layer;
	copy->inode = table->inode;
	*ret = copy;
	return 0;
}

void cb_filetable_spool(struct cb_filetable *table, int fd)
{
	table->spool = fd;
}

struct cb_filetable *cb_filetable_free(struct cb_filetable *table)
{
	if (table) {
		sqlite3_finalize(table->find);
		sqlite3_finalize(table->put);
		sqlite3_finalize(table->waste);
		sqlite3_finalize(table->any);
		sqlite3_close(table->db);
		free(table);
	}
	return NULL;
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

void cb_filetable_key(const char *path, struct cb_buf *ret)
{
	cb_buf_clear(ret);
	while (*path == '/')
		path++;
	for (; *path; path++)
		cb_buf_addc(ret, *path == '/' ? '\0' : *path);
}

void cb_filetable_path(const void *key, size_t len, struct cb_buf *ret)
{
	const char *text = key;

	cb_buf_clear(ret);
	cb_buf_addc(ret, '/');
	for (size_t i = 0; i < len; i++)
		cb_buf_addc(ret, text[i] ? text[i] : '/');
}

int cb_filetable_order(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	/* A slash sorts before every other byte: what is in a directory follows it at once. */
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a - (unsigned char)*b;
}

static int bind_key(sqlite3_stmt *stmt, int at, const struct cb_buf *key)
{
	return sqlite3_bind_blob(stmt, at, key->len ? key->data : "", (int)key->len, SQLITE_STATIC);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

int cb_filetable_begin(struct cb_filetable *table, struct cb_err **err)
{
	table->unlinked = false;
	return cb_filetable_exec(table, "BEGIN", err);
}

static int write_row(
	struct cb_filetable *table, const struct cb_buf *key, const struct cb_filetable_row *row, struct cb_err **err)
{
	const struct cb_filetable_entry *e = &row->entry;
	sqlite3_stmt *stmt = table->put;

	bind_key(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, table->layer);
	sqlite3_bind_int64(stmt, 3, e->type);
	sqlite3_bind_int64(stmt, 4, e->mode);
	sqlite3_bind_int64(stmt, 5, e->uid);
	sqlite3_bind_int64(stmt, 6, e->gid);
	sqlite3_bind_int64(stmt, 7, (int64_t)e->size);
	sqlite3_bind_int64(stmt, 8, e->mtime.tv_sec);
	sqlite3_bind_int64(stmt, 9, e->mtime.tv_nsec);
	sqlite3_bind_blob(stmt, 10, e->link, (int)strlen(e->link), SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 11, e->major);
	sqlite3_bind_int64(stmt, 12, e->minor);
	if (e->content)
		sqlite3_bind_blob(stmt, 13, e->content, 32, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, 13);
	sqlite3_bind_blob(stmt, 14, e->xattrs_len ? e->xattrs : "", (int)e->xattrs_len, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 15, row->inode);
	sqlite3_bind_int64(stmt, 16, row->linked);
	sqlite3_bind_int64(stmt, 17, e->spot);
	return run(table, stmt, err);
}

static int note_waste(struct cb_filetable *table, const struct cb_buf *key, int64_t layer, int64_t size, bool deleted,
	struct cb_err **err)
{
	sqlite3_stmt *stmt = table->waste;

	bind_key(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, layer);
	sqlite3_bind_int64(stmt, 3, table->layer);
	sqlite3_bind_int64(stmt, 4, deleted);
	sqlite3_bind_int64(stmt, 5, size);
	return run(table, stmt, err);
}

/* As far as replacing it needs to know. */
struct old {
	int64_t layer, size, inode;
	char type;
	int linked;
};

/* 1 when there is one. */
static int find_old(struct cb_filetable *table, const struct cb_buf *key, struct old *ret, struct cb_err **err)
{
	sqlite3_stmt *stmt = table->find;
	int r;

	bind_key(stmt, 1, key);
	r = cb_filetable_step(table, stmt, err);
	if (r > 0)
		*ret = (struct old){ .layer = sqlite3_column_int64(stmt, 0),
			.type = (char)sqlite3_column_int(stmt, 1),
			.size = sqlite3_column_int64(stmt, 2),
			.inode = sqlite3_column_int64(stmt, 13),
			.linked = sqlite3_column_int(stmt, 14) };
	sqlite3_reset(stmt);
	return r;
}

/* Bytes are wasted when the last name of a file goes. */
static int other_names(struct cb_filetable *table, const struct cb_buf *key, int64_t inode, struct cb_err **err)
{
	sqlite3_stmt *stmt;
	int r = cb_filetable_prepare(
		table, "SELECT 1 FROM entry WHERE linked>0 AND inode=?2 AND key<>?1 LIMIT 1", &stmt, err);

	if (r < 0)
		return r;
	bind_key(stmt, 1, key);
	sqlite3_bind_int64(stmt, 2, inode);
	r = cb_filetable_step(table, stmt, err);
	sqlite3_finalize(stmt);
	return r;
}

static int replace(
	struct cb_filetable *table, const struct cb_buf *key, const struct old *old, bool deleted, struct cb_err **err)
{
	int r = old->linked ? other_names(table, key, old->inode, err) : 0;

	table->unlinked |= old->linked > 0;
	if (r == 0 && old->type == '-' && old->layer < table->layer)
		r = note_waste(table, key, old->layer, old->size, deleted, err);
	return CB_MIN(r, 0);
}

int cb_filetable_put(
	struct cb_filetable *table, const struct cb_buf *key, struct cb_filetable_row *row, struct cb_err **err)
{
	struct old old = { .layer = table->layer };
	int r = find_old(table, key, &old, err);

	if (r > 0 && old.type != 'd')
		r = replace(table, key, &old, false, err);
	else if (r >= 0 && table->layer && row->entry.type != 'd')
		r = cb_filetable_remove(table, key, true, false, err);
	if (r < 0)
		return r;
	if (!row->inode)
		row->inode = ++table->inode;
	return write_row(table, key, row, err);
}

int cb_filetable_link(
	struct cb_filetable *table, const struct cb_buf *key, const struct cb_buf *target, struct cb_err **err)
{
	struct cb_filetable_row row = { .linked = 2 };
	cleanup_buf struct cb_buf path = { 0 }, xattrs = { 0 }, link = { 0 };
	struct cb_filetable_entry *e = &row.entry;
	sqlite3_stmt *stmt = table->find;
	uint8_t content[32];
	int r, linked;

	bind_key(stmt, 1, target);
	r = cb_filetable_step(table, stmt, err);
	if (r <= 0) {
		sqlite3_reset(stmt);
		cb_filetable_path(target->data, target->len, &path);
		return r < 0 ? r
			     : cb_err_set(
				       err, CB_ERR_CORRUPT, "hard link to %s, which is not there", cb_buf_str(&path));
	}
	e->type = (char)sqlite3_column_int(stmt, 1);
	e->size = (uint64_t)sqlite3_column_int64(stmt, 2);
	e->mode = (uint32_t)sqlite3_column_int64(stmt, 3);
	e->uid = (uint32_t)sqlite3_column_int64(stmt, 4);
	e->gid = (uint32_t)sqlite3_column_int64(stmt, 5);
	e->mtime.tv_sec = sqlite3_column_int64(stmt, 6);
	e->mtime.tv_nsec = (long)sqlite3_column_int64(stmt, 7);
	cb_buf_add(&link, sqlite3_column_blob(stmt, 8), (size_t)sqlite3_column_bytes(stmt, 8));
	e->link = cb_buf_str(&link);
	e->major = (uint32_t)sqlite3_column_int64(stmt, 9);
	e->minor = (uint32_t)sqlite3_column_int64(stmt, 10);
	if (sqlite3_column_bytes(stmt, 11) == sizeof(content)) {
		memcpy(content, sqlite3_column_blob(stmt, 11), sizeof(content));
		e->content = content;
	}
	cb_buf_add(&xattrs, sqlite3_column_blob(stmt, 12), (size_t)sqlite3_column_bytes(stmt, 12));
	e->xattrs = xattrs.data;
	e->xattrs_len = xattrs.len;
	row.inode = sqlite3_column_int64(stmt, 13);
	linked = sqlite3_column_int(stmt, 14);
	e->spot = sqlite3_column_int64(stmt, 15);
	sqlite3_reset(stmt);
	/* A directory has one name. */
	if (e->type == 'd')
		return cb_err_set(err, CB_ERR_CORRUPT, "hard link to a directory");
	if (!linked) {
		sqlite3_stmt *mark;

		r = cb_filetable_prepare(table, "UPDATE entry SET linked=1 WHERE key=?1", &mark, err);
		if (r < 0)
			return r;
		bind_key(mark, 1, target);
		r = run(table, mark, err);
		sqlite3_finalize(mark);
		if (r < 0)
			return r;
	}
	return cb_filetable_put(table, key, &row, err);
}

/* ---- taking away ---------------------------------------------------------------------------------------------- */

/* Runs @sql for what lower layers have between two keys. */
static int run_range(struct cb_filetable *table, const char *sql, const struct cb_buf *from, const struct cb_buf *to,
	bool deleted, struct cb_err **err)
{
	sqlite3_stmt *stmt;
	int r = cb_filetable_prepare(table, sql, &stmt, err);

	if (r < 0)
		return r;
	bind_key(stmt, 1, from);
	bind_key(stmt, 2, to);
	sqlite3_bind_int64(stmt, 3, table->layer);
	sqlite3_bind_int64(stmt, 4, deleted);
	r = run(table, stmt, err);
	sqlite3_finalize(stmt);
	return r;
}

static int remove_range(struct cb_filetable *table, const struct cb_buf *from, const struct cb_buf *to, bool deleted,
	struct cb_err **err)
{
	int r;

	/* Most files replace nothing. */
	bind_key(table->any, 1, from);
	bind_key(table->any, 2, to);
	sqlite3_bind_int64(table->any, 3, table->layer);
	r = run(table, table->any, err);
	if (r <= 0)
		return r;
	r = run_range(table,
		"INSERT INTO waste SELECT key, layer, ?3, ?4, size FROM entry WHERE " RANGE " AND type=45 AND linked=0",
		from, to, deleted, err);

	if (r == 0)
		r = run_range(table,
			"INSERT INTO waste SELECT min(key), layer, ?3, ?4, size FROM entry e WHERE " RANGE
			" AND type=45 AND linked>0 GROUP BY inode HAVING NOT EXISTS (SELECT 1 FROM entry o WHERE o.linked>0"
			" AND o.inode=e.inode AND NOT (o.key>=?1 AND o.key<?2 AND o.layer<?3))",
			from, to, deleted, err);
	if (r == 0)
		r = run_range(table, "DELETE FROM entry WHERE " RANGE, from, to, deleted, err);
	table->unlinked |= r == 0 && sqlite3_changes(table->db) > 0;
	return r;
}

int cb_filetable_remove(
	struct cb_filetable *table, const struct cb_buf *key, bool below, bool deleted, struct cb_err **err)
{
	cleanup_buf struct cb_buf from = { 0 }, to = { 0 };
	struct old old;
	int r = 0;

	if (!table->layer)
		return 0;
	if (!below) {
		r = find_old(table, key, &old, err);
		if (r > 0 && old.layer < table->layer) {
			cleanup_buf struct cb_buf next = { 0 };

			cb_buf_add(&next, key->data, key->len);
			cb_buf_addc(&next, '\0');
			r = remove_range(table, key, &next, deleted, err);
		}
		if (r < 0)
			return r;
	}
	cb_buf_add(&from, key->data, key->len);
	cb_buf_addc(&from, key->len ? '\0' : '\1');
	cb_buf_add(&to, key->data, key->len);
	if (key->len)
		cb_buf_addc(&to, '\1');
	/* Behind every name. */
	for (int i = 0; !key->len && i < 256; i++)
		cb_buf_addc(&to, '\377');
	return remove_range(table, &from, &to, deleted, err);
}

int cb_filetable_end(struct cb_filetable *table, struct cb_err **err)
{
	int r = 0;

	/* Where the name that counted went, another one does. */
	if (table->unlinked)
		r = cb_filetable_exec(table,
			"UPDATE entry SET linked=1 WHERE linked=2 AND linked>0 AND key=(SELECT min(o.key) FROM entry o"
			" WHERE o.linked>0 AND o.inode=entry.inode) AND NOT EXISTS (SELECT 1 FROM entry o"
			" WHERE o.linked>0 AND o.linked=1 AND o.inode=entry.inode)",
			err);
	if (r == 0)
		r = cb_filetable_exec(table, "COMMIT", err);
	table->layer++;
	return r;
}
