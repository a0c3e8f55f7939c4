/*
 * In memory: entries in one array, found through an open-addressing table of their positions. In the database: the
 * entries of a scope packed into CHUNKS blobs by their hash, so that a change of one file writes a sixteenth.
 */
#include "layers/statindex.h"

#include <sqlite3.h>
#include <string.h>
#include <time.h>

#include "base/timefmt.h"
#include "layers/storedb.h"

#define CHUNKS 16
#define MAGIC UINT64_C(0x63627374617431)
#define ENTRIES_MAX 8000000
#define UNUSED_SECONDS (INT64_C(30) * 24 * 3600)
#define TOUCH_SECONDS (INT64_C(24) * 3600)
/* Above the tick of any kernel (100 Hz), so that an equal ctime means an equal file. */
#define GRANULARITY_NS 20000000
/* File systems that keep whole or even seconds show by a zero fraction. */
#define COARSE_NS INT64_C(2000000000)

/* As stored: native byte order, no padding. */
struct entry {
	uint64_t dev, ino, size;
	int64_t mtime, ctime;
	uint8_t digest[CB_DIGEST_SIZE];
};

struct cb_stat_index {
	struct cb_store *store;
	char *scope;
	pthread_mutex_t lock;
	struct entry *entries;
	bool *seen;
	size_t n, cap, cap_seen;
	uint32_t *table; /* position + 1, 0: free */
	size_t mask;
	int64_t opened; /* ns; entries changed later are not kept */
	bool dirty[CHUNKS], stale;
};

static int64_t to_ns(struct timespec t)
{
	return (int64_t)((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec);
}

static uint64_t hash_of(uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino + dev * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);

	h ^= h >> 32;
	return h * UINT64_C(0xc4ceb9fe1a85ec53);
}

static size_t chunk_of(const struct entry *e)
{
	return (size_t)(hash_of(e->dev, e->ino) >> 60);
}

/* The place in the table of (dev, ino): its entry's or a free one. */
static size_t slot_of(const struct cb_stat_index *index, uint64_t dev, uint64_t ino)
{
	size_t at = (size_t)hash_of(dev, ino) & index->mask;

	for (;; at = (at + 1) & index->mask) {
		const struct entry *e;

		if (!index->table[at])
			return at;
		e = &index->entries[index->table[at] - 1];
		if (e->dev == dev && e->ino == ino)
			return at;
	}
}

static void grow_table(struct cb_stat_index *index, size_t want)
{
	size_t size = 1024;

	while (size < want * 2)
		size *= 2;
	if (index->table && size <= index->mask + 1)
		return;
	free(index->table);
	index->table = cb_newa0(uint32_t, size);
	index->mask = size - 1;
	for (size_t i = 0; i < index->n; i++)
		index->table[slot_of(index, index->entries[i].dev, index->entries[i].ino)] = (uint32_t)i + 1;
}

/* The entry of (dev, ino), made when missing; NULL when there are too many. */
static struct entry *obtain(struct cb_stat_index *index, uint64_t dev, uint64_t ino)
{
	size_t slot;

	grow_table(index, index->n + 1);
	slot = slot_of(index, dev, ino);
	if (!index->table[slot]) {
		if (index->n >= ENTRIES_MAX)
			return NULL;
		CB_GROW(index->entries, index->cap, index->n + 1);
		CB_GROW(index->seen, index->cap_seen, index->n + 1);
		index->entries[index->n] = (struct entry){ .dev = dev, .ino = ino };
		index->seen[index->n] = false;
		index->table[slot] = (uint32_t)++index->n;
	}
	return &index->entries[index->table[slot] - 1];
}

static void load_chunk(struct cb_stat_index *index, const uint8_t *data, size_t len)
{
	uint64_t magic;
	struct entry e;

	if (len < sizeof(magic) || (len - sizeof(magic)) % sizeof(e))
		return;
	memcpy(&magic, data, sizeof(magic));
	if (magic != MAGIC)
		return;
	grow_table(index, index->n + len / sizeof(e));
	for (size_t at = sizeof(magic); at < len; at += sizeof(e)) {
		struct entry *to;

		memcpy(&e, data + at, sizeof(e));
		to = obtain(index, e.dev, e.ino);
		if (to)
			*to = e;
	}
}

static int load(struct cb_stat_index *index, struct cb_err **err)
{
	CB_DB_SCOPE(index->store->db);
	struct cb_store *store = index->store;
	int64_t now = cb_time_now().tv_sec;
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT used, data FROM stat_chunks WHERE scope=?1", err);
	int r = stmt ? 1 : cb_db_failed(store->db);

	if (stmt)
		cb_db_bind_text(stmt, 1, index->scope);
	while (stmt && (r = cb_db_step(store->db, stmt, err)) > 0) {
		size_t len;
		const void *data = cb_db_blob(stmt, 1, &len);

		if (cb_db_int(stmt, 0) < now - TOUCH_SECONDS)
			index->stale = true;
		if (data)
			load_chunk(index, data, len);
	}
	return r;
}

int cb_stat_index_open(struct cb_store *store, const char *scope, struct cb_stat_index **ret, struct cb_err **err)
{
	struct cb_stat_index *index = cb_new0(struct cb_stat_index);
	struct timespec now;
	int r = 0;

	/* The clock that file systems stamp with. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	index->opened = to_ns(now);
	index->store = store;
	index->scope = cb_xstrdup(scope);
	pthread_mutex_init(&index->lock, NULL);
	if (store)
		r = load(index, err);
	if (r < 0) {
		cb_stat_index_free(index);
		return cb_err_wrap(err, r, "read the stat index");
	}
	*ret = index;
	return 0;
}

struct cb_stat_index *cb_stat_index_free(struct cb_stat_index *index)
{
	if (index) {
		free(index->entries);
		free(index->seen);
		free(index->table);
		free(index->scope);
		pthread_mutex_destroy(&index->lock);
		free(index);
	}
	return NULL;
}

bool cb_stat_index_get(struct cb_stat_index *index, const struct stat *st, uint8_t ret[static CB_DIGEST_SIZE])
{
	bool found = false;

	pthread_mutex_lock(&index->lock);
	if (index->table) {
		size_t slot = slot_of(index, st->st_dev, st->st_ino);
		const struct entry *e = index->table[slot] ? &index->entries[index->table[slot] - 1] : NULL;

		if (e && e->size == (uint64_t)st->st_size && e->mtime == to_ns(st->st_mtim) &&
			e->ctime == to_ns(st->st_ctim)) {
			memcpy(ret, e->digest, CB_DIGEST_SIZE);
			index->seen[index->table[slot] - 1] = true;
			found = true;
		}
	}
	pthread_mutex_unlock(&index->lock);
	return found;
}

/* Could the file change once more and keep this ctime? */
static bool is_racy(const struct cb_stat_index *index, const struct stat *st)
{
	int64_t margin = st->st_ctim.tv_nsec ? GRANULARITY_NS : COARSE_NS;

	return to_ns(st->st_ctim) >= index->opened - margin;
}

void cb_stat_index_put(struct cb_stat_index *index, const struct stat *st, const uint8_t digest[static CB_DIGEST_SIZE])
{
	struct entry *e;

	if (is_racy(index, st))
		return;
	pthread_mutex_lock(&index->lock);
	e = obtain(index, st->st_dev, st->st_ino);
	if (e) {
		e->size = (uint64_t)st->st_size;
		e->mtime = to_ns(st->st_mtim);
		e->ctime = to_ns(st->st_ctim);
		memcpy(e->digest, digest, CB_DIGEST_SIZE);
		index->seen[e - index->entries] = true;
		index->dirty[chunk_of(e)] = true;
	}
	pthread_mutex_unlock(&index->lock);
}

static int write_chunk(struct cb_stat_index *index, size_t chunk, bool prune, int64_t now, struct cb_err **err)
{
	struct cb_db *db = index->store->db;
	cleanup_buf struct cb_buf data = { 0 };
	const uint64_t magic = MAGIC;
	sqlite3_stmt *stmt = cb_db_prepare(db, "INSERT OR REPLACE INTO stat_chunks VALUES (?1, ?2, ?3, ?4)", err);

	if (!stmt)
		return cb_db_failed(db);
	cb_buf_add(&data, &magic, sizeof(magic));
	for (size_t i = 0; i < index->n; i++)
		if (chunk_of(&index->entries[i]) == chunk && (index->seen[i] || !prune))
			cb_buf_add(&data, &index->entries[i], sizeof(index->entries[i]));
	cb_db_bind_text(stmt, 1, index->scope);
	cb_db_bind_int(stmt, 2, (int64_t)chunk);
	cb_db_bind_int(stmt, 3, now);
	cb_db_bind_blob(stmt, 4, data.data, data.len);
	return cb_db_run(db, stmt, err);
}

/* Notes that the scope is in use, and forgets scopes that were not for long. */
static int touch_scopes(struct cb_stat_index *index, int64_t now, struct cb_err **err)
{
	struct cb_db *db = index->store->db;
	sqlite3_stmt *touch = cb_db_prepare(db, "UPDATE stat_chunks SET used=?2 WHERE scope=?1 AND used<?2", err);
	sqlite3_stmt *forget = cb_db_prepare(db, "DELETE FROM stat_chunks WHERE used<?1", err);
	int r;

	if (!touch || !forget)
		return cb_db_failed(db);
	cb_db_bind_text(touch, 1, index->scope);
	cb_db_bind_int(touch, 2, now);
	cb_db_bind_int(forget, 1, now - UNUSED_SECONDS);
	r = cb_db_run(db, touch, err);
	return r < 0 ? r : cb_db_run(db, forget, err);
}

static int flush_locked(struct cb_stat_index *index, bool prune, struct cb_err **err)
{
	int64_t now = cb_time_now().tv_sec;
	bool any = index->stale;
	int r;

	for (size_t i = 0; prune && i < index->n; i++)
		if (!index->seen[i])
			index->dirty[chunk_of(&index->entries[i])] = true;
	for (size_t i = 0; i < CHUNKS; i++)
		any = any || index->dirty[i];
	if (!any || !index->store)
		return 0;

	CB_DB_SCOPE(index->store->db);
	r = cb_db_begin(index->store->db, err);
	for (size_t i = 0; r == 0 && i < CHUNKS; i++)
		if (index->dirty[i])
			r = write_chunk(index, i, prune, now, err);
	if (r == 0 && index->stale)
		r = touch_scopes(index, now, err);
	if (r == 0)
		r = cb_db_commit(index->store->db, err);
	if (r == 0) {
		memset(index->dirty, 0, sizeof(index->dirty));
		index->stale = false;
	}
	return r;
}

int cb_stat_index_flush(struct cb_stat_index *index, bool prune, struct cb_err **err)
{
	int r;

	pthread_mutex_lock(&index->lock);
	r = flush_locked(index, prune, err);
	pthread_mutex_unlock(&index->lock);
	return r < 0 ? cb_err_wrap(err, r, "write the stat index") : 0;
}
