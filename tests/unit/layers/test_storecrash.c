/* Several processes on one store, killed processes, reboots, full disks. */
#include "storefix.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "layers/fsck.h"
#include "layers/image.h"
#include "layers/record.h"
#include "layers/snapshot.h"

static struct cb_digest digest_of(const char *text)
{
	struct cb_digest digest;

	cb_digest_of(text, strlen(text), &digest);
	return digest;
}

/* Every operation of a build, over and over, for as long as it is let live. */
static void work(const char *dir, unsigned int seed, unsigned int rounds)
{
	struct cb_store *store = NULL;

	if (cb_store_open(dir, CB_STORE_TRUSTED, &store, NULL) < 0)
		_exit(2);
	for (unsigned int i = 0; i < rounds; i++) {
		struct cb_snapshot *s = NULL;
		struct cb_snapshot_info info = { .kind = (char *)"run" };
		struct cb_record record = { 0 };
		struct cb_lock *lock = NULL;
		struct cb_digest key;
		char text[64], image[64];
		int fd = -1;

		snprintf(text, sizeof(text), "%u-%u", seed, i);
		key = digest_of(text);
		if (cb_lock_wait(store, i % 2 ? "shared" : text, NULL, &lock, NULL) < 0 ||
			cb_snapshot_new(store, &s, NULL) < 0 || mkdirat(cb_snapshot_fs(s), "d", 0700) < 0 ||
			cb_snapshot_work(s, NULL) < 0 || cb_blob_put(store, text, strlen(text), NULL, NULL) < 0 ||
			cb_snapshot_commit(s, &info, NULL) < 0)
			_exit(3);
		record.snapshot = (char *)cb_snapshot_id(s);
		if (cb_record_put(store, &key, 1, &record, NULL, NULL) < 0)
			_exit(4);
		if (i % 4 == 0) {
			struct cb_descriptor desc = { .media_type = (char *)CB_MEDIA_OCI_MANIFEST, .digest = key };

			snprintf(image, sizeof(image), "image:%u", seed % 3);
			desc.size = strlen(text);
			if (cb_tag_set(store, image, &desc, NULL) < 0)
				_exit(5);
		}
		if (i % 5 == 4) {
			char *id = cb_xstrdup(cb_snapshot_id(s));

			s = cb_snapshot_free(s);
			if (cb_snapshot_remove(store, id, NULL) != 0)
				_exit(6);
			free(id);
		} else if (cb_snapshot_open(store, cb_snapshot_id(s), &fd, NULL) != 0) {
			_exit(7);
		}
		if (fd >= 0)
			close(fd);
		cb_snapshot_free(s);
		cb_lock_free(lock);
	}
	cb_store_free(store);
	_exit(0);
}

static pid_t start(struct fixture *fx, unsigned int seed, unsigned int rounds)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		work(fx->dir, seed, rounds);
	return pid;
}

static void assert_sound(struct fixture *fx)
{
	cleanup_strv struct cb_strv problems = { 0 };

	assert_ok(cb_store_check(fx->store, true, &problems, &err));
	/* The tags of work() name text blobs, which are no manifests: the only complaint that is right. */
	for (size_t i = 0; i < problems.n; i++)
		if (!strstr(problems.v[i], "image docker.io/library/image:"))
			fail_msg("%s", problems.v[i]);
}

static void processes_share_a_store(void **state)
{
	struct fixture *fx = *state;
	cleanup_strv struct cb_strv ids = { 0 };
	pid_t pids[4];
	int status;

	fx->store = cb_store_free(fx->store);
	for (unsigned int i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = start(fx, i, 25);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count_entries(fx, "tmp"), 0);
	reopen(fx);
	assert_ok(cb_snapshot_list(fx->store, &ids, &err));
	assert_int_equal(ids.n, 80);
	assert_sound(fx);
}

static void killed_processes_leave_nothing(void **state)
{
	struct fixture *fx = *state;

	for (unsigned int round = 0; round < 40; round++) {
		pid_t pids[2];
		int status;

		fx->store = cb_store_free(fx->store);
		for (unsigned int i = 0; i < ARRAY_SIZE(pids); i++)
			pids[i] = start(fx, round * 2 + i, 1000000);
		usleep(2000 + round * 1500);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
			kill(pids[i], SIGKILL);
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_true(WIFSIGNALED(status));
		}
		reopen(fx);
		assert_int_equal(count_entries(fx, "tmp"), 2); /* our lock and our directory */
		assert_sound(fx);
	}
}

/* The next open must not take a living process for a dead one. */
static void living_processes_are_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run" };
	pid_t pid;
	int status;

	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	pid = start(fx, 1, 1000000);
	usleep(50000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pid = start(fx, 1, 1); /* cleans up after the killed one */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_ok(cb_snapshot_commit(s, &info, &err));
	cb_snapshot_free(s);
	assert_sound(fx);
}

static void run_sql(struct fixture *fx, const char *sql)
{
	cleanup_free char *path = cb_xasprintf("%s/db.sqlite", fx->dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static char *commit_one(struct fixture *fx)
{
	struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run" };
	char *id;

	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	assert_ok(cb_snapshot_commit(s, &info, &err));
	id = cb_xstrdup(cb_snapshot_id(s));
	cb_snapshot_free(s);
	return id;
}

static void make_dir(struct fixture *fx, const char *name)
{
	cleanup_free char *path = cb_xasprintf("%s/%s", fx->dir, name);

	if (cb_path_mkdirs(path, 0755) < 0)
		fail_msg("mkdir %s", path);
}

static void overwrite(struct fixture *fx, const char *name, const char *text)
{
	cleanup_free char *path = cb_xasprintf("%s/%s", fx->dir, name);
	FILE *file;

	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* What a process may leave when it dies between any two steps, made by hand. */
static void half_made_states(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *kept = commit_one(fx);
	cleanup_free char *doomed = commit_one(fx);
	cleanup_free char *lost = commit_one(fx);
	cleanup_free char *sql =
		cb_xasprintf("INSERT INTO doomed VALUES ('%s'); DELETE FROM snapshots WHERE id='%s'", doomed, doomed);
	cleanup_free char *lost_dir = cb_xasprintf("snapshots/%s", lost);
	int fd = -1;

	assert_ok(cb_path_remove_tree(cb_store_dirfd(fx->store), lost_dir, &err));
	fx->store = cb_store_free(fx->store);
	/* killed in the middle of a step */
	overwrite(fx, "tmp/aaaaaaaaaaaa.lock", "");
	make_dir(fx, "tmp/aaaaaaaaaaaa/aaaaaaaaaaaa00000000/fs/usr");
	make_dir(fx, "tmp/aaaaaaaaaaaa/work-aaaaaaaaaaaa00000000/work");
	overwrite(fx, "tmp/aaaaaaaaaaaa/aaaaaaaaaaaa00000001", "half a blob");
	/* after the rename of a snapshot, before its row */
	make_dir(fx, "snapshots/aaaaaaaaaaaa00000002/fs");
	overwrite(fx, "locks/0123456789abcdef0123456789abcdef", "");
	/* while it was opening, and while another one was sweeping */
	overwrite(fx, "tmp/bbbbbbbbbbbb.new", "");
	overwrite(fx, "tmp/cccccccccccc.lock", "");
	make_dir(fx, "tmp/dddddddddddd");
	/* after the row of a removed snapshot went, before its directory did */
	run_sql(fx, sql);

	reopen(fx);
	assert_int_equal(count_entries(fx, "tmp"), 2);
	assert_int_equal(count_entries(fx, "snapshots"), 1);
	assert_int_equal(count_entries(fx, "locks"), 1);
	assert_ok(cb_snapshot_open(fx->store, kept, &fd, &err));
	close(fd);
	assert_code(cb_snapshot_open(fx->store, doomed, &fd, &err), 1);
	assert_code(cb_snapshot_open(fx->store, lost, &fd, &err), 1);
	assert_sound(fx);
}

static void power_cut_drops_what_was_not_synced(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *safe = commit_one(fx);
	cleanup_free char *lost = NULL;
	cleanup_free char *torn = NULL;
	cleanup_free char *orphan = cb_xasprintf("%s/snapshots/00000000000000000000", fx->dir);
	struct cb_descriptor image = { .media_type = (char *)CB_MEDIA_OCI_MANIFEST };
	cleanup_descriptor struct cb_descriptor found = { 0 };
	struct cb_digest old, whole, half;
	int fd = -1;

	assert_ok(cb_blob_put(fx->store, "old", 3, &old, &err));
	image.digest = old;
	image.size = 3;
	assert_ok(cb_tag_set(fx->store, "kept", &image, &err));
	assert_ok(cb_store_sync(fx->store, &err));
	usleep(30000); /* the stamps of files are coarser than the clock */
	lost = commit_one(fx);
	assert_ok(cb_blob_put(fx->store, "whole", 5, &whole, &err));
	assert_ok(cb_blob_put(fx->store, "half", 4, &half, &err));
	torn = cb_xasprintf("blobs/sha256/%s", cb_digest_hex(&half));

	fx->store = cb_store_free(fx->store);
	run_sql(fx, "UPDATE snapshots SET boot='before' WHERE boot IS NOT NULL;"
		    "UPDATE meta SET value='before' WHERE key='boot'");
	overwrite(fx, torn, "ha");
	overwrite(fx, "index.json", "");
	assert_int_equal(mkdir(orphan, 0755), 0);

	reopen(fx);
	assert_ok(cb_snapshot_open(fx->store, safe, &fd, &err));
	close(fd);
	assert_code(cb_snapshot_open(fx->store, lost, &fd, &err), 1);
	assert_code(cb_blob_has(fx->store, &old, NULL, &err), 1);
	assert_code(cb_blob_has(fx->store, &whole, NULL, &err), 1);
	assert_code(cb_blob_has(fx->store, &half, NULL, &err), 0);
	assert_int_equal(count_entries(fx, "snapshots"), 1);
	assert_ok(cb_tag_find(fx->store, "kept", &found, &err));
	assert_true(cb_digest_equal(&found.digest, &old));
}

static void corrupt_database_is_told(void **state)
{
	struct fixture *fx = *state;
	struct cb_store *store = NULL;
	char garbage[8192];

	free(commit_one(fx));
	fx->store = cb_store_free(fx->store);
	memset(garbage, 'x', sizeof(garbage) - 1);
	garbage[sizeof(garbage) - 1] = '\0';
	overwrite(fx, "db.sqlite-wal", "");
	overwrite(fx, "db.sqlite", garbage);
	assert_code(cb_store_open(fx->dir, CB_STORE_TRUSTED, &store, &err), CB_ERR_CORRUPT);

	/* What the hint says: without a database the store works again, its snapshots gone. */
	{
		char command[200];

		snprintf(command, sizeof(command), "rm %s/db.sqlite*", fx->dir);
		assert_int_equal(system(command), 0);
	}
	reopen(fx);
	assert_int_equal(count_entries(fx, "snapshots"), 0);
	assert_int_equal(count_entries(fx, "tmp"), 2);
	assert_sound(fx);
}

static void newer_schema_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct cb_store *store = NULL;

	fx->store = cb_store_free(fx->store);
	run_sql(fx, "UPDATE meta SET value=99 WHERE key='schema'");
	assert_code(cb_store_open(fx->dir, CB_STORE_TRUSTED, &store, &err), CB_ERR_UNSUPPORTED);
}

/* Fills the disk of the store to the last block but @spare KiB. */
static void fill(const char *dir, size_t spare)
{
	cleanup_free char *path = cb_xasprintf("%s/filler", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char block[4096] = { 1 };
	off_t size;

	assert_true(fd >= 0);
	while (write(fd, block, sizeof(block)) > 0)
		;
	size = lseek(fd, 0, SEEK_END);
	assert_int_equal(ftruncate(fd, CB_MAX(size - (off_t)spare * 1024, 0)), 0);
	close(fd);
}

/* In a mount namespace of its own, so that nothing can stay behind. */
static void full_disk(void **state)
{
	if (unshare(CLONE_NEWNS) < 0)
		skip();

	struct fixture *fx = *state;
	cleanup_free char *disk = cb_xasprintf("%s/disk", fx->dir);
	cleanup_free char *root = cb_xasprintf("%s/disk/store", fx->dir);
	cleanup_free char *filler = cb_xasprintf("%s/disk/filler", fx->dir);
	cleanup_free char *big = cb_xcalloc(1, 1 << 20);
	cleanup_strv struct cb_strv problems = { 0 };
	struct cb_store *store = NULL;
	struct cb_record record = { .facts = big };
	struct cb_digest digest, key = digest_of("key");
	struct cb_descriptor image = { .media_type = (char *)CB_MEDIA_OCI_MANIFEST, .size = 1 };
	struct cb_index *index = NULL;
	int full = 0, r;

	assert_int_equal(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mkdir(disk, 0755), 0);
	assert_int_equal(mount("tmpfs", disk, "tmpfs", 0, "size=4m"), 0);

	assert_ok(cb_store_open(root, CB_STORE_TRUSTED, &store, &err));
	image.digest = key;
	assert_ok(cb_tag_set(store, "small", &image, &err));
	fill(disk, 256);
	memset(big, 'b', (1 << 20) - 1);
	cb_digest_of(big, 1 << 20, &digest);
	assert_code(cb_blob_put(store, big, 1 << 20, NULL, &err), CB_ERR_NO_SPACE);
	assert_code(cb_blob_has(store, &digest, NULL, &err), 0);
	assert_code(cb_record_put(store, &key, 1, &record, NULL, &err), CB_ERR_NO_SPACE);
	assert_code(cb_record_find(store, &key, &record, &err), 1);

	/* The list of names stays whole. */
	memset(big, 'p', 300000);
	big[300000] = '\0';
	cb_descriptor_annotate(&image, "padding", big);
	assert_code(cb_tag_set(store, "large", &image, &err), CB_ERR_NO_SPACE);
	cb_descriptor_annotate(&image, "padding", NULL);
	assert_ok(cb_tag_list(store, &index, &err));
	assert_int_equal(index->n_entries, 1);
	json_decref(image.annotations);
	cb_index_free(index);

	fill(disk, 0);
	for (int i = 0; i < 500 && !full; i++) {
		struct cb_snapshot *s = NULL;
		struct cb_snapshot_info info = { .kind = (char *)"run" };
		struct cb_err *err = NULL;

		r = cb_snapshot_new(store, &s, &err);
		if (r == 0)
			r = cb_snapshot_commit(s, &info, &err);
		full = r == CB_ERR_NO_SPACE;
		if (r < 0 && !full)
			fail_msg("%s", cb_err_msg(err));
		cb_snapshot_free(s);
		cb_err_free(err);
	}
	assert_true(full);

	assert_int_equal(unlink(filler), 0);
	assert_ok(cb_blob_put(store, big, 1 << 20, NULL, &err));
	assert_ok(cb_tag_remove(store, "small", &err));
	assert_ok(cb_store_check(store, true, &problems, &err));
	for (size_t i = 0; i < problems.n; i++)
		fail_msg("%s", problems.v[i]);
	cb_store_free(store);
	assert_ok(cb_store_open(root, CB_STORE_TRUSTED, &store, &err));
	cb_store_free(store);
	assert_int_equal(umount2(disk, MNT_DETACH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_share_a_store, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(killed_processes_leave_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(living_processes_are_left_alone, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(half_made_states, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(power_cut_drops_what_was_not_synced, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(corrupt_database_is_told, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(newer_schema_is_refused, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(full_disk, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
