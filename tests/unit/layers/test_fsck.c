/* fsck and its repairs; a store of an older schema; what is in use is not removed. */
#include "storefix.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "layers/cachemount.h"
#include "layers/diskusage.h"
#include "layers/fsck.h"
#include "layers/image.h"
#include "layers/layertable.h"
#include "layers/record.h"
#include "layers/snapshot.h"

static void run_sql(struct fixture *fx, const char *sql)
{
	cleanup_free char *path = cb_xasprintf("%s/db.sqlite", fx->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void write_file(struct fixture *fx, const char *name, const char *text)
{
	cleanup_free char *path = cb_xasprintf("%s/%s", fx->dir, name);
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A snapshot with a file and a directory in it, counted. */
static char *make_snapshot(struct fixture *fx)
{
	struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run" };
	char *id;

	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	assert_int_equal(mkdirat(cb_snapshot_fs(s), "d", 0755), 0);
	assert_ok(cb_snapshot_commit(s, &info, &err));
	id = cb_xstrdup(cb_snapshot_id(s));
	cb_snapshot_free(s);
	assert_ok(cb_snapshot_count(fx->store, id, &err));
	return id;
}

/* An image of one layer, named. */
static void make_image(struct fixture *fx, const char *name, struct cb_digest *ret_layer)
{
	struct cb_platform platform = { 0 };
	cleanup_descriptor struct cb_descriptor layer = { 0 }, desc = { 0 };
	struct cb_image_config *config;

	cb_platform_host(&platform);
	config = cb_image_config_new(&platform);
	assert_ok(cb_blob_put(fx->store, name, strlen(name), ret_layer, &err));
	cb_descriptor_init(&layer, CB_MEDIA_OCI_LAYER_GZIP, ret_layer, strlen(name));
	cb_image_config_add_diff_id(config, ret_layer);
	assert_ok(cb_stored_image_put(fx->store, config, &layer, 1, false, NULL, &desc, &err));
	assert_ok(cb_tag_set(fx->store, name, &desc, &err));
	assert_ok(cb_layer_put(fx->store, ret_layer, 10240, &layer, &err));
	cb_image_config_free(config);
}

static void damage_blob(struct fixture *fx, char *ids[])
{
	struct cb_digest layer;
	cleanup_free char *path = NULL;

	(void)ids;
	make_image(fx, "damaged", &layer);
	path = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(&layer));
	write_file(fx, path, "xxxxxxx");
}

static void lose_manifest(struct fixture *fx, char *ids[])
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_digest layer;

	(void)ids;
	make_image(fx, "lost", &layer);
	assert_ok(cb_tag_find(fx->store, "lost", &desc, &err));
	assert_ok(cb_blob_remove(fx->store, &desc.digest, &err));
}

static void lose_directory(struct fixture *fx, char *ids[])
{
	cleanup_free char *path = cb_xasprintf("%s/snapshots/%s", fx->dir, ids[0]);

	assert_ok(cb_path_remove_tree(AT_FDCWD, path, &err));
}

static void change_snapshot(struct fixture *fx, char *ids[])
{
	cleanup_free char *path = cb_xasprintf("snapshots/%s/fs/new", ids[0]);

	write_file(fx, path, "");
}

static void lose_row(struct fixture *fx, char *ids[])
{
	cleanup_free char *sql = cb_xasprintf("DELETE FROM snapshots WHERE id='%s'", ids[0]);
	cleanup_free char *from = cb_xasprintf("%s/snapshots/%s", fx->dir, ids[0]);
	cleanup_free char *to = cb_xasprintf("%s/snapshots/00000000000000000000", fx->dir);

	run_sql(fx, sql);
	/* Its process lives, and could be about to record it. */
	assert_int_equal(rename(from, to), 0);
}

static void foreign_blob(struct fixture *fx, char *ids[])
{
	(void)ids;
	write_file(fx, "blobs/sha256/readme", "");
}

static void foreign_tmp(struct fixture *fx, char *ids[])
{
	(void)ids;
	write_file(fx, "tmp/scratch", "");
}

static void stray_rows(struct fixture *fx, char *ids[])
{
	(void)ids;
	run_sql(fx, "PRAGMA foreign_keys=OFF; INSERT INTO records(snapshot) VALUES ('nowhere');"
		    "INSERT INTO record_keys VALUES (x'00', 12345)");
}

static void other_size(struct fixture *fx, char *ids[])
{
	struct cb_digest layer;

	(void)ids;
	make_image(fx, "size", &layer);
	run_sql(fx, "UPDATE layer_blobs SET size=99");
}

static void wrong_layout(struct fixture *fx, char *ids[])
{
	(void)ids;
	write_file(fx, "oci-layout", "{}");
}

static void torn_index(struct fixture *fx, char *ids[])
{
	struct cb_digest layer;

	(void)ids;
	make_image(fx, "torn", &layer);
	write_file(fx, "index.json", "{");
}

static void other_names(struct fixture *fx, char *ids[])
{
	struct cb_digest layer;

	(void)ids;
	make_image(fx, "named", &layer);
	run_sql(fx, "UPDATE tags SET name='docker.io/library/other:latest'");
}

static const struct {
	const char *name;
	void (*plant)(struct fixture *fx, char *ids[]);
	size_t problems;  /* of the first check */
	size_t left;      /* after the repair */
	const char *text; /* of the first problem */
} rows[] = {
	{ "nothing", NULL, 0, 0, NULL },
	{ "a blob with other bytes: its image has to be made again", damage_blob, 1, 1, "has digest" },
	{ "a manifest is missing: the name goes", lose_manifest, 1, 0, "image docker.io/library/lost:latest" },
	{ "a snapshot without directory", lose_directory, 1, 0, "has no directory" },
	{ "a file more in a snapshot", change_snapshot, 1, 0, "holds 4 entries instead of 3" },
	{ "a directory without row", lose_row, 1, 0, "snapshots/00000000000000000000 is not recorded" },
	{ "no blob", foreign_blob, 1, 0, "blobs/sha256/readme is no blob" },
	{ "nobody's temporary", foreign_tmp, 1, 0, "tmp/scratch belongs to no process" },
	{ "rows that lead nowhere", stray_rows, 2, 0, "records without their snapshot" },
	{ "another size of a blob", other_size, 1, 0, "is recorded with another size" },
	{ "oci-layout", wrong_layout, 1, 0, "oci-layout" },
	{ "index.json", torn_index, 1, 0, "index.json" },
	{ "names in the database", other_names, 2, 0, "the name docker.io/library/" },
};

static size_t check(struct fixture *fx, unsigned int flags, const char *text)
{
	struct cb_fsck fsck = { 0 };
	bool found = !text;
	size_t n;

	assert_ok(cb_fsck_run(fx->store, flags, NULL, &fsck, &err));
	for (size_t i = 0; i < fsck.n; i++) {
		print_message("#   %s%s\n", fsck.problems[i].text, fsck.problems[i].repaired ? " (repaired)" : "");
		found = found || strstr(fsck.problems[i].text, text);
	}
	assert_true(found);
	n = fsck.n;
	cb_fsck_done(&fsck);
	return n;
}

static void damage_is_found_and_mended(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *fx;
		char *ids[1];

		print_message("# %s\n", rows[i].name);
		fixture_setup((void **)&fx);
		ids[0] = make_snapshot(fx);
		if (rows[i].plant)
			rows[i].plant(fx, ids);
		assert_int_equal(check(fx, CB_FSCK_CONTENT, rows[i].text), rows[i].problems);
		check(fx, CB_FSCK_CONTENT | CB_FSCK_REPAIR, NULL);
		assert_int_equal(check(fx, CB_FSCK_CONTENT, NULL), rows[i].left);
		free(ids[0]);
		fixture_teardown((void **)&fx);
	}
}

static void database_is_replaced(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *aside = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	struct cb_store *store = NULL;
	struct cb_digest layer;

	free(make_snapshot(fx));
	make_image(fx, "kept", &layer);
	assert_code(cb_fsck_reset(fx->dir, &aside, &err), CB_ERR_IO); /* it is in use */
	fx->store = cb_store_free(fx->store);
	write_file(fx, "db.sqlite-wal", "");
	write_file(fx, "db.sqlite",
		"this is no database, and it is long enough to be looked at by who thinks it is one.....");
	assert_code(cb_store_open(fx->dir, CB_STORE_TRUSTED, &store, &err), CB_ERR_CORRUPT);
	assert_ok(cb_fsck_reset(fx->dir, &aside, &err));
	assert_int_equal(access(aside, F_OK), 0);
	reopen(fx);
	assert_int_equal(count_entries(fx, "snapshots"), 0);
	assert_ok(cb_tag_find(fx->store, "kept", &desc, &err));
	check(fx, CB_FSCK_CONTENT | CB_FSCK_REPAIR, NULL);
	assert_int_equal(check(fx, CB_FSCK_CONTENT, NULL), 0);
}

/* The tables of the first version, with a snapshot, its record and a name in them. */
static const char version1[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE snapshots(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT,"
	" parent TEXT, diff_id BLOB, size INTEGER, created INTEGER, last_used INTEGER, boot TEXT);"
	"CREATE INDEX snapshots_diff ON snapshots(diff_id) WHERE diff_id IS NOT NULL;"
	"CREATE INDEX snapshots_boot ON snapshots(boot) WHERE boot IS NOT NULL;"
	"CREATE TABLE doomed(id TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE records(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" snapshot TEXT REFERENCES snapshots(id) ON DELETE CASCADE, created INTEGER, duration INTEGER, bytes INTEGER,"
	" place TEXT, facts TEXT, inputs TEXT);"
	"CREATE INDEX records_snapshot ON records(snapshot);"
	"CREATE INDEX records_place ON records(place, id) WHERE place IS NOT NULL;"
	"CREATE TABLE record_keys(key BLOB PRIMARY KEY,"
	" record INTEGER NOT NULL REFERENCES records(id) ON DELETE CASCADE) WITHOUT ROWID;"
	"CREATE INDEX record_keys_record ON record_keys(record);"
	"CREATE TABLE layers(diff_id BLOB PRIMARY KEY, size INTEGER) WITHOUT ROWID;"
	"CREATE TABLE layer_blobs(diff_id BLOB, digest BLOB, size INTEGER, media_type TEXT, codec INTEGER,"
	" PRIMARY KEY(diff_id, digest)) WITHOUT ROWID;"
	"CREATE INDEX layer_blobs_digest ON layer_blobs(digest);"
	"CREATE TABLE stat_chunks(scope TEXT, chunk INTEGER, used INTEGER, data BLOB, PRIMARY KEY(scope, chunk));"
	"CREATE TABLE tags(name TEXT PRIMARY KEY, descriptor TEXT NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('flavour', 'trusted');"
	"INSERT INTO snapshots(id, kind, created, last_used) VALUES ('0123456789ab00000001', 'run', 1700000000, 1700000000);"
	"INSERT INTO records(snapshot, place) VALUES ('0123456789ab00000001', 'RUN true');"
	"INSERT INTO record_keys VALUES (x'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', 1);";

static void older_stores_are_brought_forward(void **state)
{
	static const char *const versions[] = { "INSERT INTO meta VALUES ('schema', 1)", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct fixture *fx;
		cleanup_free char *sql = cb_xasprintf("%s%s", version1, versions[i]);
		cleanup_free char *path = NULL, *files = NULL;
		__attribute__((cleanup(cb_snapshot_info_done))) struct cb_snapshot_info info = { 0 };
		cleanup_record struct cb_record record = { 0 };
		struct cb_digest key;

		fixture_setup((void **)&fx);
		fx->store = cb_store_free(fx->store);
		files = cb_xasprintf("rm %s/db.sqlite*", fx->dir);
		assert_int_equal(system(files), 0);
		run_sql(fx, sql);
		path = cb_xasprintf("%s/snapshots/0123456789ab00000001/fs", fx->dir);
		assert_int_equal(cb_path_mkdirs(path, 0755), 0);
		run_sql(fx, "INSERT OR REPLACE INTO meta SELECT 'boot', 'x'");

		reopen(fx);
		assert_ok(cb_snapshot_count(fx->store, "0123456789ab00000001", &err));
		assert_ok(cb_snapshot_stat(fx->store, "0123456789ab00000001", &info, &err));
		assert_string_equal(info.kind, "run");
		assert_true(info.counted);
		assert_int_equal(info.entries, 2);
		cb_digest_of("hello", 5, &key);
		assert_ok(cb_record_find(fx->store, &key, &record, &err));
		assert_string_equal(record.snapshot, "0123456789ab00000001");
		assert_int_equal(check(fx, CB_FSCK_CONTENT, NULL), 0);
		reopen(fx);
		fixture_teardown((void **)&fx);
	}
}

/* Another process that knows of a blob, and lives until its input ends. */
static pid_t start_user(struct fixture *fx, const struct cb_digest *digest, int *ret_write, int *ret_read)
{
	int go[2], ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct cb_store *store = NULL;
		bool ok;

		close(go[1]);
		ok = cb_store_open(fx->dir, CB_STORE_TRUSTED, &store, NULL) == 0 &&
		     cb_blob_has(store, digest, NULL, NULL) == 1 && write(ready[1], "x", 1) == 1 &&
		     read(go[0], &c, 1) >= 0 && cb_blob_has(store, digest, NULL, NULL) == 1;
		cb_store_free(store);
		_exit(!ok);
	}
	close(go[0]);
	close(ready[1]);
	*ret_write = go[1];
	*ret_read = ready[0];
	return pid;
}

static void blobs_in_use_stay(void **state)
{
	struct fixture *fx = *state;
	struct cb_digest digests[2];
	bool gone[2];
	int go, ready, status;
	char c;
	pid_t pid;

	assert_ok(cb_blob_put(fx->store, "used", 4, &digests[0], &err));
	assert_ok(cb_blob_put(fx->store, "unused", 6, &digests[1], &err));
	fx->store = cb_store_free(fx->store);
	usleep(30000); /* the clock of file systems is coarse */
	pid = start_user(fx, &digests[0], &go, &ready);
	assert_int_equal(read(ready, &c, 1), 1);
	usleep(30000);
	reopen(fx);
	assert_ok(cb_blob_sweep(fx->store, digests, 2, gone, &err));
	assert_false(gone[0]);
	assert_true(gone[1]);
	close(go);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_ok(cb_blob_sweep(fx->store, digests, 1, gone, &err));
	assert_true(gone[0]);
	assert_code(cb_blob_has(fx->store, &digests[0], NULL, &err), 0);
	close(ready);
}

static void cache_mounts(void **state)
{
	struct fixture *fx = *state;
	cleanup_strv struct cb_strv names = { 0 };
	struct cb_cachemount_info info = { 0 };
	int fd = -1, lock = -1, file;

	assert_ok(cb_cachemount_open(fx->store, "go", "/root/.cache", &fd, &lock, &err));
	file = openat(fd, "object", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(file, "x", 1), 1);
	close(file);
	assert_code(cb_cachemount_remove(fx->store, "go", &err), 1);
	close(lock);
	assert_ok(cb_cachemount_stat(fx->store, "go", &info, &err));
	assert_string_equal(info.title, "/root/.cache");
	assert_int_equal(info.uses, 1);
	assert_true(info.size >= 4096);
	cb_cachemount_info_done(&info);
	assert_ok(cb_cachemount_list(fx->store, &names, &err));
	assert_int_equal(names.n, 1);
	assert_ok(cb_cachemount_remove(fx->store, "go", &err));
	assert_ok(cb_cachemount_remove(fx->store, "go", &err));
	assert_code(cb_cachemount_stat(fx->store, "go", &info, &err), 1);
	assert_int_equal(count_entries(fx, "cachemounts"), 0);
	close(fd);
}

static void hard_links_count_once(void **state)
{
	struct fixture *fx = *state;
	struct cb_disk_usage usage;
	cleanup_free char *command =
		cb_xasprintf("cd %s && mkdir -p t/a/b && head -c 100000 /dev/zero >t/a/f && ln t/a/f t/g &&"
			     " ln t/a/f t/a/b/h && ln -s g t/link && truncate -s 1G t/sparse",
			fx->dir);
	cleanup_free char *du = cb_xasprintf("du -s --block-size=1 %s/t", fx->dir);
	unsigned long long want;
	FILE *pipe;

	assert_int_equal(system(command), 0);
	pipe = popen(du, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%llu", &want), 1);
	pclose(pipe);
	assert_ok(cb_disk_usage(cb_store_dirfd(fx->store), "t", &usage, &err));
	assert_int_equal(usage.bytes, want);
	assert_int_equal(usage.entries, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_is_found_and_mended),
		cmocka_unit_test_setup_teardown(database_is_replaced, fixture_setup, fixture_teardown),
		cmocka_unit_test(older_stores_are_brought_forward),
		cmocka_unit_test_setup_teardown(blobs_in_use_stay, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(cache_mounts, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(hard_links_count_once, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
