/* What a store keeps by itself: defaults, and settings recorded in its database. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/num.h"
#include "base/strv.h"
#include "layers/gc.h"
#include "layers/storedb.h"

#define GIB ((uint64_t)1 << 30)
#define DAY INT64_C(86400)

const char *const cb_gc_policy_names[] = { "gc", "keep-storage", "keep-duration", "min-free", "quota", NULL };

static uint64_t disk_size(struct cb_store *store)
{
	struct statvfs fs;

	return fstatvfs(store->dirfd, &fs) < 0 ? 0 : (uint64_t)fs.f_blocks * fs.f_frsize;
}

static void set_defaults(struct cb_store *store, struct cb_gc_policy *policy)
{
	uint64_t disk = disk_size(store);

	*policy = (struct cb_gc_policy){ .keep_bytes = CB_MIN(disk / 10 * 6, 100 * GIB),
		.keep_seconds = 60 * DAY,
		.min_free = CB_MIN(disk / 20, 10 * GIB) };
}

/* A size, "N%" of the disk, or "none". */
static bool parse_size(struct cb_store *store, const char *value, uint64_t none, uint64_t *ret)
{
	size_t len = strlen(value);
	uint32_t percent;

	if (!strcmp(value, "none")) {
		*ret = none;
		return true;
	}
	if (len && value[len - 1] == '%') {
		cleanup_free char *number = cb_xstrndup(value, len - 1);

		if (!cb_num_u32(number, &percent) || percent > 100)
			return false;
		*ret = disk_size(store) / 100 * percent;
		return true;
	}
	return cb_num_size(value, ret);
}

bool cb_gc_parse_duration(const char *value, int64_t *ret)
{
	size_t len = strlen(value);
	int64_t ns;
	uint32_t days;

	if (!strcmp(value, "none")) {
		*ret = 0;
		return true;
	}
	if (len && value[len - 1] == 'd') {
		cleanup_free char *number = cb_xstrndup(value, len - 1);

		if (!cb_num_u32(number, &days))
			return false;
		*ret = days * DAY;
		return true;
	}
	if (!cb_num_duration(value, &ns) || ns < 0)
		return false;
	*ret = ns / 1000000000;
	return true;
}

static int wrong(const char *name, const char *value, const char *wanted, struct cb_err **err)
{
	return cb_err_set(err, CB_ERR_INPUT, "%s takes %s, not \"%.100s\"", name, wanted, value);
}

int cb_gc_policy_apply(
	struct cb_store *store, struct cb_gc_policy *policy, const char *name, const char *value, struct cb_err **err)
{
	static const char size[] = "a size (20g), a part of the disk (50%) or none";
	uint64_t *to;

	if (!strcmp(name, "gc")) {
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return wrong(name, value, "on or off", err);
		policy->off = !strcmp(value, "off");
		return 0;
	}
	if (!strcmp(name, "keep-duration")) {
		if (!cb_gc_parse_duration(value, &policy->keep_seconds))
			return wrong(name, value, "a time (48h, 30d) or none", err);
		return 0;
	}
	if (!strcmp(name, "keep-storage"))
		to = &policy->keep_bytes;
	else if (!strcmp(name, "min-free"))
		to = &policy->min_free;
	else if (!strcmp(name, "quota"))
		to = &policy->quota;
	else
		return cb_err_set(err, CB_ERR_INPUT, "there is no setting \"%.100s\"", name);
	if (!parse_size(store, value, to == &policy->keep_bytes ? UINT64_MAX : 0, to))
		return wrong(name, value, size, err);
	return 0;
}

/* The recorded value, or NULL. */
static int read_setting(struct cb_store *store, const char *name, char **ret, struct cb_err **err)
{
	CB_DB_SCOPE(store->db);
	cleanup_free char *key = cb_xasprintf("policy %s", name);
	sqlite3_stmt *stmt = cb_db_prepare(store->db, "SELECT value FROM meta WHERE key=?1", err);
	int r;

	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, key);
	r = cb_db_step(store->db, stmt, err);
	*ret = r > 0 ? cb_db_text(stmt, 0) : NULL;
	return r < 0 ? r : 0;
}

int cb_gc_policy_read(struct cb_store *store, struct cb_gc_policy *ret, struct cb_err **err)
{
	int r = 0;

	set_defaults(store, ret);
	for (const char *const *name = cb_gc_policy_names; r == 0 && *name; name++) {
		cleanup_free char *value = NULL;

		r = read_setting(store, *name, &value, err);
		if (r == 0 && value)
			r = cb_gc_policy_apply(store, ret, *name, value, err);
	}
	return r;
}

int cb_gc_policy_set(struct cb_store *store, const char *name, const char *value, struct cb_err **err)
{
	struct cb_gc_policy policy;
	cleanup_free char *key = cb_xasprintf("policy %s", name);
	bool forget = !strcmp(value, "default");
	sqlite3_stmt *stmt;
	int r = 0;

	set_defaults(store, &policy);
	r = cb_gc_policy_apply(store, &policy, name, forget ? (!strcmp(name, "gc") ? "on" : "none") : value, err);
	if (r < 0)
		return r;

	CB_DB_SCOPE(store->db);
	stmt = forget ? cb_db_prepare(store->db, "DELETE FROM meta WHERE key=?1", err)
		      : cb_db_prepare(store->db, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", err);
	if (!stmt)
		return cb_db_failed(store->db);
	cb_db_bind_text(stmt, 1, key);
	if (!forget)
		cb_db_bind_text(stmt, 2, value);
	return cb_db_run(store->db, stmt, err);
}
