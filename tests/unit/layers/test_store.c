/* Blobs, locks, snapshots, records, layers: what one process sees. */
#include "storefix.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "base/timefmt.h"
#include "layers/cachemount.h"
#include "layers/fsck.h"
#include "layers/layertable.h"
#include "layers/record.h"
#include "layers/snapshot.h"

static const char hello_digest[] = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

static struct cb_digest digest_of(const char *text)
{
	struct cb_digest digest;

	cb_digest_of(text, strlen(text), &digest);
	return digest;
}

static void blob_round_trip(void **state)
{
	struct cb_store *store = ((struct fixture *)*state)->store;
	cleanup_buf struct cb_buf text = { 0 };
	struct cb_digest digest;
	uint64_t size = 0;

	assert_ok(cb_blob_put(store, "hello", 5, &digest, &err));
	assert_string_equal(digest.text, hello_digest);
	assert_code(cb_blob_has(store, &digest, &size, &err), 1);
	assert_int_equal(size, 5);
	assert_ok(cb_blob_put(store, "hello", 5, NULL, &err));
	assert_ok(cb_blob_read(store, &digest, 5, &text, &err));
	assert_string_equal(cb_buf_str(&text), "hello");
	assert_code(cb_blob_read(store, &digest, 4, &text, &err), CB_ERR_LIMIT);
	assert_ok(cb_blob_remove(store, &digest, &err));
	assert_code(cb_blob_has(store, &digest, NULL, &err), 0);
	assert_code(cb_blob_read(store, &digest, 5, &text, &err), CB_ERR_NOT_FOUND);
}

static void blob_writer_verifies(void **state)
{
	struct fixture *fx = *state;
	struct cb_digest want = digest_of("hello");
	static const struct {
		const char *name, *content;
		uint64_t size;
		int code;
	} cases[] = {
		{ "right", "hello", 5, 0 },
		{ "any size", "hello", UINT64_MAX, 0 },
		{ "wrong content", "hullo", 5, CB_ERR_CORRUPT },
		{ "wrong size", "hello", 6, CB_ERR_CORRUPT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CB_CLEANUP(cb_blob_writer_free) struct cb_blob_writer *writer = NULL;

		print_message("# %s\n", cases[i].name);
		assert_ok(cb_blob_remove(fx->store, &want, &err));
		assert_ok(cb_blob_writer_open(fx->store, &writer, &err));
		assert_ok(cb_blob_writer_write(writer, cases[i].content, 2, &err));
		assert_ok(cb_blob_writer_write(writer, cases[i].content + 2, strlen(cases[i].content) - 2, &err));
		assert_code(cb_blob_writer_finish(writer, &want, cases[i].size, NULL, &err), cases[i].code);
		assert_code(cb_blob_has(fx->store, &want, NULL, &err), cases[i].code == 0);
		writer = cb_blob_writer_free(writer);
		assert_int_equal(count_entries(fx, "tmp/[0-9a-f]*/"), 0);
	}
}

static void corrupted_blob_is_seen(void **state)
{
	struct fixture *fx = *state;
	cleanup_strv struct cb_strv problems = { 0 };
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *path = NULL;
	struct cb_digest digest;
	FILE *file;

	assert_ok(cb_blob_put(fx->store, "hello", 5, &digest, &err));
	path = cb_xasprintf("%s/blobs/sha256/%s", fx->dir, cb_digest_hex(&digest));
	assert_int_equal(unlink(path), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("jello", file);
	fclose(file);

	assert_code(cb_blob_read(fx->store, &digest, 100, &text, &err), CB_ERR_CORRUPT);
	assert_ok(cb_store_check(fx->store, false, &problems, &err));
	assert_int_equal(problems.n, 0);
	assert_ok(cb_store_check(fx->store, true, &problems, &err));
	assert_int_equal(problems.n, 1);
}

static char *make_snapshot(struct cb_store *store, const char *file, const char *diff)
{
	CB_CLEANUP(cb_snapshot_free) struct cb_snapshot *s = NULL;
	struct cb_snapshot_info info = { .kind = (char *)"run", .size = 7 };
	int fd;

	if (diff)
		info.diff_id = digest_of(diff);
	assert_ok(cb_snapshot_new(store, &s, &err));
	fd = openat(cb_snapshot_fs(s), file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	{
		struct cb_err *err = NULL;
		assert_true(cb_snapshot_work(s, &err) >= 0);
	}
	assert_ok(cb_snapshot_commit(s, &info, &err));
	return cb_xstrdup(cb_snapshot_id(s));
}

static void snapshot_life(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *id = make_snapshot(fx->store, "a", "layer");
	cleanup_free char *found = NULL;
	struct cb_digest diff = digest_of("layer"), other = digest_of("other");
	struct cb_snapshot_info info = { 0 };
	cleanup_free char *work = cb_xasprintf("snapshots/%s/work", id);
	int fd = -1;

	assert_int_equal(faccessat(cb_store_dirfd(fx->store), work, F_OK, 0), -1);
	assert_ok(cb_snapshot_open(fx->store, id, &fd, &err));
	assert_int_equal(faccessat(fd, "a", F_OK, 0), 0);
	assert_ok(cb_snapshot_find(fx->store, &diff, &found, &err));
	assert_string_equal(found, id);
	assert_code(cb_snapshot_find(fx->store, &other, &found, &err), 1);
	assert_ok(cb_snapshot_set_diff_id(fx->store, id, &other, 99, &err));
	assert_ok(cb_snapshot_stat(fx->store, id, &info, &err));
	assert_string_equal(info.kind, "run");
	assert_null(info.parent);
	assert_true(cb_digest_equal(&info.diff_id, &other));
	assert_int_equal(info.size, 99);
	cb_snapshot_info_done(&info);

	assert_code(cb_snapshot_remove(fx->store, id, &err), 1); /* in use */
	close(fd);
	assert_ok(cb_snapshot_remove(fx->store, id, &err));
	assert_code(cb_snapshot_open(fx->store, id, &fd, &err), 1);
	assert_ok(cb_snapshot_remove(fx->store, id, &err));
	assert_int_equal(count_entries(fx, "snapshots"), 0);
	assert_code(cb_snapshot_open(fx->store, "../../etc", &fd, &err), 1);
}

static void dropped_snapshot_leaves_nothing(void **state)
{
	struct fixture *fx = *state;
	struct cb_snapshot *s = NULL;

	assert_ok(cb_snapshot_new(fx->store, &s, &err));
	assert_int_equal(mkdirat(cb_snapshot_fs(s), "d", 0), 0);
	s = cb_snapshot_free(s);
	assert_int_equal(count_entries(fx, "tmp/[0-9a-f]*/"), 0);
	assert_int_equal(count_entries(fx, "snapshots"), 0);
}

static void records(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *id = make_snapshot(fx->store, "a", NULL);
	struct cb_digest keys[2] = { digest_of("definition"), digest_of("content") }, extra = digest_of("extra");
	struct cb_record in = { .snapshot = id,
		.facts = (char *)"{}",
		.inputs = (char *)"[1]",
		.place = (char *)"p/0",
		.duration_ns = 5,
		.bytes = 6 };
	cleanup_record struct cb_record out = { 0 };
	cleanup_free char *inputs = NULL;
	int64_t rec = 0;
	int fd;

	assert_code(cb_record_find(fx->store, &keys[0], &out, &err), 1);
	assert_ok(cb_record_put(fx->store, keys, 2, &in, &rec, &err));
	assert_ok(cb_record_add_key(fx->store, rec, &extra, &err));
	assert_ok(cb_record_set_facts(fx->store, rec, "{\"x\":1}", &err));
	for (int i = 0; i < 3; i++) {
		cb_record_done(&out);
		assert_ok(cb_record_find(fx->store, i < 2 ? &keys[i] : &extra, &out, &err));
		assert_string_equal(out.snapshot, id);
		assert_string_equal(out.facts, "{\"x\":1}");
		assert_int_equal(out.duration_ns, 5);
		assert_int_equal(out.bytes, 6);
		assert_null(out.inputs);
	}
	assert_ok(cb_record_inputs(fx->store, rec, &inputs, &err));
	assert_string_equal(inputs, "[1]");

	/* A second record takes a key over; the first stays reachable by the others. */
	in.snapshot = NULL;
	in.inputs = NULL;
	assert_ok(cb_record_put(fx->store, keys, 1, &in, NULL, &err));
	cb_record_done(&out);
	assert_ok(cb_record_find(fx->store, &keys[0], &out, &err));
	assert_null(out.snapshot);
	cb_record_done(&out);
	/* The second has no inputs, so only the first tells something. */
	{
		struct cb_record near[CB_RECORD_NEAR_MAX] = { 0 };

		assert_code(cb_record_near(fx->store, "p/0", "slot", 0, near, &err), 1);
		assert_int_equal(near[0].id, rec);
		assert_string_equal(near[0].inputs, "[1]");
		cb_record_done(&near[0]);
		assert_code(cb_record_near(fx->store, "p/0", "", rec, near, &err), 0);
		assert_code(cb_record_near(fx->store, "p/1", "s/1", 0, near, &err), 0);
	}

	/* Survives a new process; dies with its snapshot, also when only the directory was removed. */
	reopen(fx);
	assert_ok(cb_record_find(fx->store, &keys[1], &out, &err));
	cb_record_done(&out);
	{
		char path[200];

		snprintf(path, sizeof(path), "snapshots/%s", id);
		assert_ok(cb_path_remove_tree(cb_store_dirfd(fx->store), path, &err));
	}
	assert_code(cb_snapshot_open(fx->store, id, &fd, &err), 1);
	assert_code(cb_record_find(fx->store, &keys[1], &out, &err), 1);
	assert_code(cb_record_find(fx->store, &extra, &out, &err), 1);
	assert_ok(cb_record_find(fx->store, &keys[0], &out, &err));
}

static void layers(void **state)
{
	struct cb_store *store = ((struct fixture *)*state)->store;
	cleanup_descriptor struct cb_descriptor gz = { 0 };
	cleanup_descriptor struct cb_descriptor zst = { 0 };
	cleanup_descriptor struct cb_descriptor got = { 0 };
	struct cb_digest diff = digest_of("diff"), blob, absent = digest_of("absent"), back;
	uint64_t size = 0;

	assert_ok(cb_blob_put(store, "compressed", 10, &blob, &err));
	cb_descriptor_init(&gz, CB_MEDIA_OCI_LAYER_GZIP, &blob, 10);
	cb_descriptor_init(&zst, CB_MEDIA_OCI_LAYER_ZSTD, &absent, 11);
	assert_ok(cb_layer_put(store, &diff, 0, &zst, &err));
	assert_code(cb_layer_size(store, &diff, &size, &err), 1);
	assert_ok(cb_layer_find_any(store, &diff, &got, &err));
	assert_true(cb_digest_equal(&got.digest, &absent));
	assert_code(cb_layer_find(store, &diff, CB_CODEC_ZSTD, &got, &err), 1);

	assert_ok(cb_layer_put(store, &diff, 1234, &gz, &err));
	assert_ok(cb_layer_size(store, &diff, &size, &err));
	assert_int_equal(size, 1234);
	cb_descriptor_done(&got);
	assert_ok(cb_layer_find(store, &diff, CB_CODEC_GZIP, &got, &err));
	assert_true(cb_digest_equal(&got.digest, &blob));
	assert_string_equal(got.media_type, CB_MEDIA_OCI_LAYER_GZIP);
	cb_descriptor_done(&got);
	assert_ok(cb_layer_find_any(store, &diff, &got, &err));
	assert_true(cb_digest_equal(&got.digest, &blob));
	assert_code(cb_layer_find(store, &diff, CB_CODEC_NONE, &got, &err), 1);
	assert_ok(cb_layer_diff_id(store, &absent, &back, &err));
	assert_true(cb_digest_equal(&back, &diff));
	assert_code(cb_layer_diff_id(store, &diff, &back, &err), 1);
}

static void locks(void **state)
{
	struct fixture *fx = *state;
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	struct cb_lock *a = NULL, *b = NULL, *c = NULL;

	assert_ok(cb_lock_try(fx->store, "key", &a, &err));
	assert_code(cb_lock_try(fx->store, "key", &b, &err), 1);
	assert_null(b);
	assert_ok(cb_lock_wait(fx->store, "other", NULL, &c, &err));
	cb_cancel_raise(cancel);
	assert_code(cb_lock_wait(fx->store, "key", cancel, &b, &err), CB_ERR_CANCELED);
	a = cb_lock_free(a);
	assert_ok(cb_lock_try(fx->store, "key", &b, &err));
	cb_lock_free(b);
	cb_lock_free(c);
	assert_int_equal(count_entries(fx, "locks"), 1); /* .store */
}

static void wrong_places(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *inside = cb_xasprintf("%s/snapshots", fx->dir);
	struct cb_store *other = NULL;
	int fd = -1, lock = -1;

	free(make_snapshot(fx->store, "a", NULL));
	assert_code(cb_store_open(inside, CB_STORE_TRUSTED, &other, &err), CB_ERR_INPUT);
	assert_code(cb_store_open(fx->dir, CB_STORE_USER, &other, &err), CB_ERR_INPUT);
	assert_code(cb_store_open("/proc/self/x", CB_STORE_USER, &other, &err), CB_ERR_NOT_FOUND);
	assert_ok(cb_cachemount_open(fx->store, "go", NULL, &fd, &lock, &err));
	close(fd);
	close(lock);
	assert_code(cb_cachemount_open(fx->store, "..", NULL, &fd, &lock, &err), CB_ERR_INPUT);
	assert_code(cb_cachemount_open(fx->store, "a/b", NULL, &fd, &lock, &err), CB_ERR_INPUT);
}

static void *hammer(void *arg)
{
	struct cb_store *store = arg;

	for (int i = 0; i < 30; i++) {
		cleanup_free char *id = make_snapshot(store, "f", NULL);
		struct cb_digest key = digest_of(id);
		struct cb_record in = { .snapshot = id };
		cleanup_record struct cb_record out = { 0 };

		assert_ok(cb_record_put(store, &key, 1, &in, NULL, &err));
		assert_ok(cb_record_find(store, &key, &out, &err));
		assert_string_equal(out.snapshot, id);
		assert_ok(cb_blob_put(store, &i, sizeof(i), NULL, &err));
	}
	return NULL;
}

static void threads_share_a_store(void **state)
{
	struct fixture *fx = *state;
	cleanup_strv struct cb_strv ids = { 0 };
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, fx->store), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_ok(cb_snapshot_list(fx->store, &ids, &err));
	assert_int_equal(ids.n, 120);
}

/* Not a benchmark: catches a lookup that became a scan. */
static void lookups_are_quick(void **state)
{
	struct fixture *fx = *state;
	cleanup_free char *id = make_snapshot(fx->store, "f", NULL);
	struct cb_record in = { .snapshot = id, .facts = (char *)"{}" };
	uint64_t begin;

	for (uint64_t i = 0; i < 2000; i++) {
		struct cb_digest key;

		cb_digest_of(&i, sizeof(i), &key);
		assert_ok(cb_record_put(fx->store, &key, 1, &in, NULL, &err));
	}
	begin = cb_time_mono();
	for (uint64_t i = 0; i < 2000; i++) {
		cleanup_record struct cb_record out = { 0 };
		struct cb_digest key;

		cb_digest_of(&i, sizeof(i), &key);
		assert_ok(cb_record_find(fx->store, &key, &out, &err));
	}
	print_message("# %.1f us a lookup\n", (double)(cb_time_mono() - begin) / 1000 / 2000);
	assert_true(cb_time_mono() - begin < UINT64_C(2000) * 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(blob_round_trip, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(blob_writer_verifies, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(corrupted_blob_is_seen, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(snapshot_life, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(dropped_snapshot_leaves_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(records, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(layers, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(locks, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(wrong_places, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(threads_share_a_store, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(lookups_are_quick, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
