/*
 * The inside of filetable.h: its struct and its statements.
 *
 * A key is the path with NUL in place of "/", without the first: so a directory comes right before what is in it, and
 * all of that is between two keys.
 */
#ifndef CB_LAYERS_FILETABLE_INNER_H
#define CB_LAYERS_FILETABLE_INNER_H

#include "base/buf.h"
#include "layers/filetable.h"

struct sqlite3;
struct sqlite3_stmt;

struct cb_filetable {
	struct sqlite3 *db;
	struct sqlite3_stmt *find, *put, *waste, *any; /* used once for each entry */
	unsigned int layer;                            /* the one that is being added */
	int64_t inode;                                 /* last number given */
	int spool;                                     /* descriptor, or negative */
	uint64_t spooled;                              /* bytes in it */
	bool unlinked;                                 /* a name of a file with several was taken away in this layer */
};

/* What becomes a row. */
struct cb_filetable_row {
	struct cb_filetable_entry entry; /* path, layer and same_as are not used */
	int64_t inode;
	int linked; /* 0: one name; 1: the name that counts; 2: another one */
};

int cb_filetable_fail(struct cb_filetable *table, int code, struct cb_err **err);
/** Runs @sql, which has no parameters. */
int cb_filetable_exec(struct cb_filetable *table, const char *sql, struct cb_err **err);
int cb_filetable_prepare(struct cb_filetable *table, const char *sql, struct sqlite3_stmt **ret, struct cb_err **err);
/** 1: a row, 0: done. */
int cb_filetable_step(struct cb_filetable *table, struct sqlite3_stmt *stmt, struct cb_err **err);

void cb_filetable_key(const char *path, struct cb_buf *ret);
/** From a key to "/a/b". */
void cb_filetable_path(const void *key, size_t len, struct cb_buf *ret);

int cb_filetable_begin(struct cb_filetable *table, struct cb_err **err);
/** Puts a row, and takes away what it replaces. */
int cb_filetable_put(
	struct cb_filetable *table, const struct cb_buf *key, struct cb_filetable_row *row, struct cb_err **err);
/** The row at @key becomes one of a file with several names, and the row at @link another one of its names. */
int cb_filetable_link(
	struct cb_filetable *table, const struct cb_buf *key, const struct cb_buf *target, struct cb_err **err);
/** Takes away what lower layers have at @key and below, or with @below only what is below it. */
int cb_filetable_remove(
	struct cb_filetable *table, const struct cb_buf *key, bool below, bool deleted, struct cb_err **err);
int cb_filetable_end(struct cb_filetable *table, struct cb_err **err);

/** An attribute for cb_filetable_xattrs. */
struct cb_filetable_attr {
	const char *name;
	const void *value;
	size_t len;
};
/** Sorts @attrs and appends them as they are kept. */
void cb_filetable_xattrs(struct cb_filetable_attr *attrs, size_t n, struct cb_buf *ret);

#endif
