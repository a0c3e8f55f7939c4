#include "layers/gc.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "layers/cachemount.h"
#include "layers/snapshot.h"
#include "layers/storedb.h"

#define LOCK_KEY "gc"
/* How often builds look for what is too old, in seconds. */
#define LOOK_SECONDS 86400
/* How long the count of what all processes wrote is believed. */
#define RECOUNT_NS UINT64_C(2000000000)

struct collection {
	struct cb_store *store;
	const struct cb_gc *what;
	struct cb_usage usage;
	struct cb_map *by_id;           /* snapshots */
	struct cb_usage_item **victims; /* in the order in which they go */
	size_t n_victims;
	uint64_t free; /* on the disk, as far as is known */
	struct cb_gc_result result;
};

static void collection_done(struct collection *c)
{
	cb_usage_done(&c->usage);
	cb_map_free(c->by_id);
	free(c->victims);
}

static uint64_t room_on_disk(struct cb_store *store)
{
	struct statvfs fs;

	return fstatvfs(store->dirfd, &fs) < 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
}

static bool may_go(const struct cb_gc *what, const struct cb_usage_item *item, int64_t newest)
{
	if (item->in_use || item->last_used > newest)
		return false;
	if (item->named && (!what->all || item->kind == CB_USAGE_BLOB))
		return false;
	return !what->take || what->take(what->ctx, item);
}

/* Oldest first; of one time the one that was made last, which stands on the others. */
static int compare(const void *a, const void *b)
{
	const struct cb_usage_item *x = *(struct cb_usage_item *const *)a, *y = *(struct cb_usage_item *const *)b;

	if (x->last_used != y->last_used)
		return x->last_used < y->last_used ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->order != y->order)
		return x->order > y->order ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void choose(struct collection *c)
{
	int64_t newest = INT64_MAX;

	if (c->what->keep_seconds > 0)
		newest = cb_time_now().tv_sec - c->what->keep_seconds;
	c->by_id = cb_map_new(NULL);
	c->victims = cb_xcalloc(c->usage.n + 1, sizeof(struct cb_usage_item *));
	for (size_t i = 0; i < c->usage.n; i++) {
		struct cb_usage_item *item = &c->usage.v[i];

		if (item->kind == CB_USAGE_SNAPSHOT)
			cb_map_set(c->by_id, item->id, item);
		if (may_go(c->what, item, newest))
			c->victims[c->n_victims++] = item;
	}
	qsort(c->victims, c->n_victims, sizeof(struct cb_usage_item *), compare);
}

static bool enough(const struct collection *c)
{
	return c->what->limited && c->result.left <= c->what->keep_bytes && c->free >= c->what->min_free;
}

/* What the table of layers knows of a blob that is gone; with its snapshot there it can be made again. */
static int forget_blob(struct cb_store *store, const struct cb_digest *digest, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db,
		"DELETE FROM layer_blobs WHERE digest=?1 AND diff_id NOT IN"
		" (SELECT diff_id FROM snapshots WHERE diff_id IS NOT NULL)",
		err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_digest(stmt, 1, digest);
	return cb_db_run(store->db, stmt, err);
}

static int remove_blob(struct cb_store *store, const char *text, struct cb_err **err)
{
	struct cb_digest digest;
	bool gone = false;
	int r;

	if (!cb_digest_parse(text, &digest))
		return 1;
	r = cb_blob_sweep(store, &digest, 1, &gone, err);
	if (r == 0 && gone)
		r = forget_blob(store, &digest, err);
	return r < 0 ? r : !gone;
}

/* 0 gone, 1 in use after all. */
static int remove_item(const struct collection *c, const struct cb_usage_item *item, struct cb_err **err)
{
	if (c->what->dry_run)
		return 0;
	switch (item->kind) {
	case CB_USAGE_SNAPSHOT:
		return cb_snapshot_remove(c->store, item->id, err);
	case CB_USAGE_CACHEMOUNT:
		return cb_cachemount_remove(c->store, item->id, err);
	case CB_USAGE_BLOB:
		break;
	}
	return remove_blob(c->store, item->id, err);
}

static void account(struct collection *c, const struct cb_usage_item *item)
{
	struct cb_usage_item *parent = item->parent ? cb_map_get(c->by_id, item->parent) : NULL;

	if (item->kind == CB_USAGE_SNAPSHOT && parent && parent->children)
		parent->children--;
	c->result.bytes += item->size;
	c->result.left -= CB_MIN(item->size, c->result.left);
	c->result.items++;
	if (c->what->dry_run)
		c->free += CB_MIN(item->size, UINT64_MAX - c->free);
	else if (c->what->min_free)
		c->free = room_on_disk(c->store);
	if (c->what->gone)
		c->what->gone(c->what->ctx, item);
}

/* One time through the list; how many went. What others stand on has to wait until they are gone. */
static int pass(struct collection *c, size_t *ret, struct cb_err **err)
{
	size_t left = 0;

	*ret = 0;
	for (size_t i = 0; i < c->n_victims; i++) {
		struct cb_usage_item *item = c->victims[i];
		int r = cb_cancel_check(c->what->cancel, err);

		if (r < 0)
			return r;
		if (enough(c)) {
			*ret = 0;
			return 0;
		}
		if (item->kind == CB_USAGE_SNAPSHOT && item->children) {
			c->victims[left++] = item;
			continue;
		}
		r = remove_item(c, item, err);
		if (r < 0)
			return r;
		if (r == 0) {
			account(c, item);
			++*ret;
		}
	}
	c->n_victims = left;
	return 0;
}

/* Of layers that are nowhere any more. */
static int forget_layers(struct cb_store *store, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);

	return cb_db_exec(store->db,
		"DELETE FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM layer_blobs)"
		" AND diff_id NOT IN (SELECT diff_id FROM snapshots WHERE diff_id IS NOT NULL)",
		err);
}

static int collect(struct cb_store *store, const struct cb_gc *what, struct cb_gc_result *ret, struct cb_err **err)
{
	__attribute__((cleanup(collection_done))) struct collection c = { .store = store, .what = what };
	size_t gone = 0;
	int r = cb_usage_read(store, what->cancel, &c.usage, err);

	if (r < 0)
		return r;
	c.result.left = c.usage.total;
	c.free = room_on_disk(store);
	choose(&c);
	do
		r = pass(&c, &gone, err);
	while (r == 0 && gone && c.n_victims);
	if (r == 0 && c.result.items && !what->dry_run)
		r = forget_layers(store, err);
	*ret = c.result;
	return r;
}

int cb_gc_run(struct cb_store *store, const struct cb_gc *what, struct cb_gc_result *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	struct cb_gc_result result = { 0 };
	int r = cb_lock_wait(store, LOCK_KEY, what->cancel, &lock, err);

	if (r == 0)
		r = collect(store, what, &result, err);
	if (r == CB_ERR_NO_SPACE && cb_store_use_spare(store->path))
		r = collect(store, what, &result, err);
	*ret = result;
	return r;
}

/* ---- at the end of a build ------------------------------------------------------------------------------------ */

/* When something was last looked for that is too old. */
static int64_t last_look(struct cb_store *store)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT value FROM meta WHERE key='gc-looked'", NULL);

	return stmt && cb_db_step(store->db, stmt, NULL) > 0 ? cb_db_int(stmt, 0) : 0;
}

static int note_look(struct cb_store *store, int64_t now, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "INSERT OR REPLACE INTO meta VALUES ('gc-looked', ?1)", err);

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_int(stmt, 1, now);
	return cb_db_run(store->db, stmt, err);
}

static void add_result(struct cb_gc_result *sum, const struct cb_gc_result *one)
{
	sum->bytes += one->bytes;
	sum->items += one->items;
	sum->left = one->left;
}

int cb_gc_auto(struct cb_store *store, const struct cb_gc_policy *policy, const struct cb_cancel *cancel,
	struct cb_gc_result *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	struct cb_gc old = { .all = true, .keep_seconds = policy->keep_seconds, .cancel = cancel };
	struct cb_gc much = { .all = true,
		.limited = true,
		.keep_bytes = policy->keep_bytes,
		.min_free = policy->min_free,
		.cancel = cancel };
	int64_t now = cb_time_now().tv_sec, looked = last_look(store);
	bool due = policy->keep_seconds && (looked > now || looked < now - LOOK_SECONDS);
	struct cb_gc_result one = { 0 };
	uint64_t total = 0;
	int r = 0;

	*ret = (struct cb_gc_result){ 0 };
	if (policy->off)
		return 0;
	r = cb_usage_total(store, &total, err);
	if (r < 0 || (!due && total <= policy->keep_bytes && room_on_disk(store) >= policy->min_free))
		return r;
	r = cb_lock_try(store, LOCK_KEY, &lock, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (due) {
		r = collect(store, &old, &one, err);
		add_result(ret, &one);
		if (r == 0)
			r = note_look(store, now, err);
	}
	if (r == 0)
		r = collect(store, &much, &one, err);
	add_result(ret, &one);
	return r;
}

/* ---- quota ---------------------------------------------------------------------------------------------------- */

void cb_store_set_quota(struct cb_store *store, uint64_t bytes)
{
	pthread_mutex_lock(&store->quota_lock);
	store->quota = bytes;
	store->counted = 0;
	pthread_mutex_unlock(&store->quota_lock);
}

static int recount(struct cb_store *store, struct cb_err **err)
{
	int r = cb_usage_total(store, &store->used, err);

	store->counted = cb_time_mono();
	return r;
}

static int make_room(struct cb_store *store, uint64_t bytes, struct cb_err **err)
{
	CB_CLEANUP(cb_lock_free) struct cb_lock *lock = NULL;
	struct cb_gc what = { .all = true, .limited = true };
	struct cb_gc_result result;
	int r;

	what.keep_bytes = bytes < store->quota ? store->quota - bytes : 0;
	/* Who has the lock makes room as well: what it leaves is counted afterwards. */
	r = cb_lock_wait(store, LOCK_KEY, NULL, &lock, err);
	if (r == 0)
		r = collect(store, &what, &result, err);
	return r < 0 ? r : recount(store, err);
}

static int refuse(const struct cb_store *store, uint64_t bytes, struct cb_err **err)
{
	cleanup_buf struct cb_buf quota = { 0 }, used = { 0 }, more = { 0 };

	cb_num_format_size(&quota, store->quota);
	cb_num_format_size(&used, store->used);
	cb_num_format_size(&more, bytes);
	cb_err_set(err, CB_ERR_NO_SPACE,
		"the store %s has a quota of %s: %s are used by what cannot be removed now%s%s%s", store->path,
		cb_buf_str(&quota), cb_buf_str(&used), bytes > 1 ? ", and " : "", bytes > 1 ? cb_buf_str(&more) : "",
		bytes > 1 ? " more are needed" : "");
	return cb_err_hint(err, CB_ERR_NO_SPACE,
		"see cbuild du; remove images with cbuild rmi, or raise the quota with cbuild policy --quota");
}

int cb_store_reserve(struct cb_store *store, uint64_t bytes, struct cb_err **err)
{
	int r = 0;

	pthread_mutex_lock(&store->quota_lock);
	if (store->quota) {
		/* Others write, too. */
		if (!store->counted || cb_time_mono() - store->counted > RECOUNT_NS)
			r = recount(store, err);
		if (r == 0 && store->used + bytes > store->quota)
			r = recount(store, err);
		if (r == 0 && store->used + bytes > store->quota)
			r = make_room(store, bytes, err);
		if (r == 0 && store->used + bytes > store->quota)
			r = refuse(store, bytes, err);
		if (r == 0)
			store->used += bytes;
	}
	pthread_mutex_unlock(&store->quota_lock);
	return r;
}
