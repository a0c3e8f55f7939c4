/* What the store holds, and what collecting it removes: exactly that, oldest first, nothing in use, nothing named. */
#include "storefix.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/timefmt.h"
#include "layers/cachemount.h"
#include "layers/fsck.h"
#include "layers/gc.h"
#include "layers/image.h"
#include "layers/layertable.h"
#include "layers/record.h"
#include "layers/snapshot.h"

static void run_sql(struct fixture *fx, const char *sql)
{
	cleanup_free char *path = cb_xasprintf("%s/db.sqlite", fx->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 60000);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* A snapshot of @kib, made on @parent, last used @age seconds ago, with a record called @title. */
static char *make_snapshot(struct fixture *fx, const char *parent, unsigned int kib, int age, const char *title)
{
	struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run", .parent = (char *)parent };
	cleanup_free char *data = cb_xcalloc(1024, kib);
	cleanup_free char *sql = NULL;
	struct cb_record record = { .place = (char *)title };
	struct cb_digest key;
	int fd;
	char *id;

	memset(data, 'x', (size_t)1024 * kib);
	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	fd = openat(cb_snapshot_fs(s), "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(cb_fd_write_all(fd, data, (size_t)1024 * kib), 0);
	close(fd);
	assert_ok(cb_snapshot_commit(s, &info, &err));
	id = cb_xstrdup(cb_snapshot_id(s));
	cb_snapshot_free(s);
	record.snapshot = id;
	cb_digest_of(id, strlen(id), &key);
	assert_ok(cb_record_put(fx->store, &key, 1, &record, NULL, &err));
	sql = cb_xasprintf(
		"UPDATE snapshots SET last_used=%lld WHERE id='%s'", (long long)cb_time_now().tv_sec - age, id);
	run_sql(fx, sql);
	return id;
}

struct wanted {
	char *ids[8];
	struct cb_strv gone;
};

static void note(void *ctx, const struct cb_usage_item *item)
{
	cb_strv_add(&((struct wanted *)ctx)->gone, item->id);
}

static bool not_the_second(void *ctx, const struct cb_usage_item *item)
{
	return strcmp(((struct wanted *)ctx)->ids[1], item->id) != 0;
}

static const struct {
	const char *name;
	struct cb_gc what;
	const char *gone; /* places in ids, in the order in which they go */
} rows[] = {
	{ "all", { 0 }, "1032" },
	{ "dry run", { .dry_run = true }, "1032" },
	{ "what was used within an hour stays", { .keep_seconds = 3600 }, "10" },
	{ "size: the oldest go, of one chain the top first", { .limited = true, .keep_bytes = 330 << 10 }, "1" },
	{ "size: more of them", { .limited = true, .keep_bytes = 100 << 10 }, "103" },
	{ "size that is kept already", { .limited = true, .keep_bytes = 1 << 20 }, "" },
	{ "size and time", { .limited = true, .keep_seconds = 3600 }, "10" },
	{ "what others stand on waits for them", { .take = not_the_second }, "32" },
};

static void rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *fx;
		struct wanted wanted = { 0 };
		struct cb_gc what = rows[i].what;
		struct cb_gc_result result;
		cleanup_usage struct cb_usage usage = { 0 };
		cleanup_strv struct cb_strv left = { 0 };
		uint64_t total, bytes = 0;

		print_message("# %s\n", rows[i].name);
		fixture_setup((void **)&fx);
		wanted.ids[0] = make_snapshot(fx, NULL, 100, 7000, "FROM");
		wanted.ids[1] = make_snapshot(fx, wanted.ids[0], 120, 7000, "RUN one");
		wanted.ids[2] = make_snapshot(fx, NULL, 90, 100, "COPY");
		wanted.ids[3] = make_snapshot(fx, NULL, 100, 200, "RUN two");
		what.gone = note;
		what.ctx = &wanted;
		assert_ok(cb_usage_read(fx->store, NULL, &usage, &err));
		assert_ok(cb_usage_total(fx->store, &total, &err));
		assert_int_equal(total, usage.total);
		assert_ok(cb_gc_run(fx->store, &what, &result, &err));
		assert_int_equal(wanted.gone.n, strlen(rows[i].gone));
		for (size_t k = 0; k < wanted.gone.n; k++)
			assert_string_equal(wanted.gone.v[k], wanted.ids[rows[i].gone[k] - '0']);
		for (size_t k = 0; k < usage.n; k++)
			if (cb_strv_has(&wanted.gone, usage.v[k].id))
				bytes += usage.v[k].size;
		assert_int_equal(result.bytes, bytes);
		assert_int_equal(result.left, usage.total - bytes);
		assert_ok(cb_snapshot_list(fx->store, &left, &err));
		assert_int_equal(left.n, what.dry_run ? 4 : 4 - wanted.gone.n);
		assert_int_equal(count_entries(fx, "snapshots"), left.n);
		cb_strv_done(&wanted.gone);
		for (size_t k = 0; k < 4; k++)
			free(wanted.ids[k]);
		fixture_teardown((void **)&fx);
	}
}

static void what_is_open_stays(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *open = make_snapshot(fx, NULL, 4, 100, "open");
	cleanup_free char *closed = make_snapshot(fx, NULL, 4, 100, "closed");
	cleanup_usage struct cb_usage usage = { 0 };
	struct cb_gc what = { 0 };
	struct cb_gc_result result;
	int fd = -1, mount = -1, lock = -1;

	assert_ok(cb_snapshot_open(fx->store, open, &fd, &err));
	assert_ok(cb_cachemount_open(fx->store, "held", "id", &mount, &lock, &err));
	assert_ok(cb_usage_read(fx->store, NULL, &usage, &err));
	assert_int_equal(usage.n, 3);
	for (size_t i = 0; i < usage.n; i++)
		assert_int_equal(usage.v[i].in_use, strcmp(usage.v[i].id, closed) != 0);
	assert_string_equal(usage.v[0].title, "open");
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 1);
	close(fd);
	close(lock);
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 2);
	assert_int_equal(result.left, 0);
	close(mount);
}

/* An image of one layer whose snapshot is there, too. */
static void named_images_stay(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *id = make_snapshot(fx, NULL, 4, 100, "RUN");
	cleanup_free char *other = make_snapshot(fx, NULL, 4, 100, "RUN other");
	cleanup_descriptor struct cb_descriptor layer = { 0 }, desc = { 0 };
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	struct cb_platform platform = { 0 };
	struct cb_digest digest, unnamed;
	struct cb_gc what = { 0 };
	struct cb_gc_result result;

	cb_platform_host(&platform);
	config = cb_image_config_new(&platform);
	assert_ok(cb_blob_put(fx->store, "layer", 5, &digest, &err));
	assert_ok(cb_blob_put(fx->store, "unnamed", 7, &unnamed, &err));
	cb_descriptor_init(&layer, CB_MEDIA_OCI_LAYER_GZIP, &digest, 5);
	cb_image_config_add_diff_id(config, &digest);
	assert_ok(cb_stored_image_put(fx->store, config, &layer, 1, false, NULL, &desc, &err));
	assert_ok(cb_tag_set(fx->store, "named", &desc, &err));
	assert_ok(cb_layer_put(fx->store, &digest, 10240, &layer, &err));
	assert_ok(cb_snapshot_set_diff_id(fx->store, id, &digest, 10240, &err));

	usleep(30000); /* the clock of file systems is coarse */
	reopen(fx);
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 2); /* the other snapshot, the other blob */
	assert_code(cb_snapshot_stat(fx->store, other, NULL, &err), 1);
	assert_code(cb_blob_has(fx->store, &unnamed, NULL, &err), 0);
	what.all = true;
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 1);
	assert_code(cb_snapshot_stat(fx->store, id, NULL, &err), 1);
	assert_ok(cb_stored_image_load(fx->store, &desc, NULL, &image, &err));
	assert_code(cb_blob_has(fx->store, &digest, NULL, &err), 1);
	assert_ok(cb_tag_remove(fx->store, "named", &err));
	usleep(30000);
	reopen(fx);
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 3);
	assert_int_equal(count_entries(fx, "blobs/sha256"), 0);
}

static void policies(void **state)
{
	static const struct {
		const char *name, *value;
		int code;
	} settings[] = {
		{ "gc", "off", 0 },
		{ "gc", "maybe", CB_ERR_INPUT },
		{ "keep-storage", "20g", 0 },
		{ "keep-storage", "50%", 0 },
		{ "keep-storage", "101%", CB_ERR_INPUT },
		{ "keep-storage", "much", CB_ERR_INPUT },
		{ "keep-duration", "30d", 0 },
		{ "keep-duration", "-1h", CB_ERR_INPUT },
		{ "quota", "1m", 0 },
		{ "quota", "", CB_ERR_INPUT },
		{ "min-free", "none", 0 },
		{ "colour", "red", CB_ERR_INPUT },
	};
	struct fixture *fx = *state;
	struct cb_gc_policy policy;

	assert_ok(cb_gc_policy_read(fx->store, &policy, &err));
	assert_false(policy.off);
	assert_true(policy.keep_bytes > 0 && policy.keep_bytes <= UINT64_C(100) << 30);
	assert_int_equal(policy.keep_seconds, 60 * 86400);
	assert_int_equal(policy.quota, 0);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		assert_code(cb_gc_policy_set(fx->store, settings[i].name, settings[i].value, &err), settings[i].code);
	assert_ok(cb_gc_policy_read(fx->store, &policy, &err));
	assert_true(policy.off);
	assert_int_equal(policy.keep_seconds, 30 * 86400);
	assert_int_equal(policy.quota, 1 << 20);
	assert_int_equal(policy.min_free, 0);
	assert_ok(cb_gc_policy_set(fx->store, "quota", "default", &err));
	assert_ok(cb_gc_policy_read(fx->store, &policy, &err));
	assert_int_equal(policy.quota, 0);
}

static void builds_end_with_a_collection(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *ancient = make_snapshot(fx, NULL, 4, 10 * 86400, "ancient");
	cleanup_free char *older = make_snapshot(fx, NULL, 400, 100, "older");
	cleanup_free char *newer = make_snapshot(fx, NULL, 400, 50, "newer");
	struct cb_gc_policy policy = { .keep_bytes = UINT64_MAX, .off = true, .keep_seconds = 86400 };
	struct cb_gc_result result;
	cleanup_usage struct cb_usage usage = { 0 };

	assert_ok(cb_usage_read(fx->store, NULL, &usage, &err)); /* counts them */
	assert_ok(cb_gc_auto(fx->store, &policy, NULL, &result, &err));
	assert_int_equal(result.items, 0);
	policy.off = false;
	assert_ok(cb_gc_auto(fx->store, &policy, NULL, &result, &err));
	assert_int_equal(result.items, 1);
	assert_code(cb_snapshot_stat(fx->store, ancient, NULL, &err), 1);
	policy.keep_bytes = 500 << 10;
	assert_ok(cb_gc_auto(fx->store, &policy, NULL, &result, &err));
	assert_int_equal(result.items, 1);
	assert_code(cb_snapshot_stat(fx->store, older, NULL, &err), 1);
	assert_ok(cb_snapshot_stat(fx->store, newer, NULL, &err));
	policy.min_free = UINT64_MAX;
	assert_ok(cb_gc_auto(fx->store, &policy, NULL, &result, &err));
	assert_code(cb_snapshot_stat(fx->store, newer, NULL, &err), 1);
}

static void quota(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *old = make_snapshot(fx, NULL, 400, 100, "old");
	cleanup_free char *big = cb_xcalloc(1, 1 << 20);
	struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run" };
	struct cb_err *why = NULL;
	int fd;

	cb_store_set_quota(fx->store, 600 << 10);
	/* What can go makes room. */
	assert_ok(cb_blob_put(fx->store, big, 300 << 10, NULL, &err));
	assert_ok(cb_blob_put(fx->store, big, 200 << 10, NULL, &err));
	assert_code(cb_snapshot_stat(fx->store, old, NULL, &err), 1);
	/* This process knows of its blobs: nothing can go any more. */
	assert_int_equal(cb_blob_put(fx->store, big, 150 << 10, NULL, &why), CB_ERR_NO_SPACE);
	assert_non_null(strstr(cb_err_msg(why), "quota of 614kB"));
	assert_non_null(why->hint);
	cb_err_free(why);
	/* A snapshot is counted before it is published. */
	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	fd = openat(cb_snapshot_fs(s), "data", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(cb_fd_write_all(fd, big, 200 << 10), 0);
	close(fd);
	assert_code(cb_snapshot_commit(s, &info, &err), CB_ERR_NO_SPACE);
	cb_snapshot_free(s);
	assert_int_equal(count_entries(fx, "snapshots"), 0);
	cb_store_set_quota(fx->store, 0);
	assert_ok(cb_blob_put(fx->store, big, 150 << 10, NULL, &err));
}

/* Rows only: what du and prune cost must not depend on what is in the snapshots. */
static void thousands(void **state)
{
	struct fixture *fx = *state;
	cleanup_usage struct cb_usage usage = { 0 };
	struct cb_gc what = { .dry_run = true };
	struct cb_gc_result result;
	uint64_t start;

	run_sql(fx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<5000)"
		    " INSERT INTO snapshots(id, kind, parent, size, created, last_used, disk, entries)"
		    " SELECT printf('%020x', i), 'run', CASE WHEN i%50 THEN printf('%020x', i-1) END, 1, i, i, 4096, 2"
		    " FROM n;"
		    "INSERT INTO records(snapshot, place) SELECT id, 'RUN ' || seq FROM snapshots");
	start = cb_time_mono();
	assert_ok(cb_usage_read(fx->store, NULL, &usage, &err));
	assert_int_equal(usage.n, 5000);
	assert_int_equal(usage.total, 5000 * 4096);
	assert_ok(cb_gc_run(fx->store, &what, &result, &err));
	assert_int_equal(result.items, 5000);
	print_message(
		"# two looks at 5000 snapshots: %llu ms\n", (unsigned long long)((cb_time_mono() - start) / 1000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test_setup_teardown(what_is_open_stays, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(named_images_stay, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(policies, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(builds_end_with_a_collection, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(quota, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(thousands, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
