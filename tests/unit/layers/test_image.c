/* Images of the store, their names, and the exports; read by other tools where these are installed. */
#include "storefix.h"

#include <sys/stat.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "layers/compress.h"
#include "layers/export_oci.h"
#include "layers/fsck.h"
#include "layers/image.h"
#include "layers/tarwrite.h"

struct image_fixture {
	struct fixture *fx;
	struct cb_descriptor desc;
	struct cb_digest config;
};

/* A one-layer image with a file /hello. */
static void make_image(struct fixture *fx, const char *text, struct cb_descriptor *ret, struct cb_digest *ret_config)
{
	CB_CLEANUP(cb_image_config_free) struct cb_image_config *config = NULL;
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	CB_CLEANUP(cb_compressor_free) struct cb_compressor *gzip = NULL;
	const struct cb_compress_spec spec = { CB_CODEC_GZIP, CB_LEVEL_DEFAULT };
	cleanup_buf struct cb_buf plain = { 0 };
	cleanup_buf struct cb_buf packed = { 0 };
	cleanup_descriptor struct cb_descriptor layer = { 0 };
	struct cb_digest diff_id, blob;
	struct cb_platform platform;

	tar = cb_tarwriter_new(cb_sink_buf(&plain));
	assert_ok(cb_tarwriter_file(tar, "hello", 0644, 0, text, strlen(text), &err));
	assert_ok(cb_tarwriter_finish(tar, &err));
	cb_digest_of(plain.data, plain.len, &diff_id);
	assert_ok(cb_compressor_open(&spec, NULL, cb_sink_buf(&packed), &gzip, &err));
	assert_ok(cb_compressor_write(gzip, plain.data, plain.len, &err));
	assert_ok(cb_compressor_finish(gzip, &err));
	assert_ok(cb_blob_put(fx->store, packed.data, packed.len, &blob, &err));
	cb_descriptor_init(&layer, CB_MEDIA_OCI_LAYER_GZIP, &blob, packed.len);

	cb_platform_host(&platform);
	config = cb_image_config_new(&platform);
	cb_strv_add(&config->cmd, "/hello");
	cb_image_config_add_diff_id(config, &diff_id);
	cb_image_config_add_history(config, "2024-01-01T00:00:00Z", "COPY hello / # buildkit", NULL, NULL, false);
	assert_ok(cb_stored_image_put(fx->store, config, &layer, 1, false, NULL, ret, &err));
	assert_ok(cb_stored_image_load(fx->store, ret, NULL, &image, &err));
	assert_string_equal(image->config->cmd.v[0], "/hello");
	assert_true(cb_digest_equal(&image->manifest->layers[0].digest, &blob));
	*ret_config = image->manifest->config.digest;
}

static int setup(void **state)
{
	struct image_fixture *ifx = cb_new0(struct image_fixture);
	void *fx = NULL;

	fixture_setup(&fx);
	ifx->fx = fx;
	make_image(ifx->fx, "hello\n", &ifx->desc, &ifx->config);
	*state = ifx;
	return 0;
}

static int teardown(void **state)
{
	struct image_fixture *ifx = *state;
	void *fx = ifx->fx;

	cb_descriptor_done(&ifx->desc);
	free(ifx);
	return fixture_teardown(&fx);
}

/* Runs @argv; the output must hold @want. */
static void run_tool(const char *const *argv, const char *want)
{
	const struct cb_spawn spawn = { .argv = argv, .timeout_ms = 60000 };
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_buf struct cb_buf errout = { 0 };
	struct cb_err *err = NULL;
	int r = cb_spawn_run(&spawn, &out, &errout, &err);

	if (r != 0)
		fail_msg("%s %s: %d %s", argv[0], argv[1], r, r < 0 ? cb_err_msg(err) : cb_buf_str(&errout));
	if (!strstr(cb_buf_str(&out), want))
		fail_msg("%s %s: \"%s\" is not in: %s", argv[0], argv[1], want, cb_buf_str(&out));
}

static void names(void **state)
{
	struct image_fixture *ifx = *state;
	struct cb_store *store = ifx->fx->store;
	struct cb_descriptor other = { 0 };
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	struct cb_digest config;
	cleanup_free char *pinned = NULL;

	make_image(ifx->fx, "other\n", &other, &config);
	assert_ok(cb_tag_set(store, "app", &ifx->desc, &err));
	assert_ok(cb_tag_set(store, "localhost:5000/app:v1", &other, &err));
	assert_ok(cb_tag_set(store, "app:two", &ifx->desc, &err));
	pinned = cb_xasprintf("app@%s", ifx->desc.digest.text);

	const struct {
		const char *text;
		const struct cb_digest *want; /* NULL: not there */
		int code;
	} cases[] = {
		{ "app", &ifx->desc.digest, 0 },
		{ "app:latest", &ifx->desc.digest, 0 },
		{ "docker.io/library/app", &ifx->desc.digest, 0 },
		{ "app:two", &ifx->desc.digest, 0 },
		{ "localhost:5000/app:v1", &other.digest, 0 },
		{ pinned, &ifx->desc.digest, 0 },
		{ ifx->desc.digest.text, &ifx->desc.digest, 0 },
		{ cb_digest_hex(&other.digest), &other.digest, 0 },
		{ config.text, &other.digest, 0 },
		{ "app:three", NULL, 1 },
		{ "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL, 1 },
		{ "App", NULL, CB_ERR_INPUT },
		{ "", NULL, CB_ERR_INPUT },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_descriptor struct cb_descriptor got = { 0 };

		print_message("# %s\n", cases[i].text);
		assert_code(cb_tag_find(store, cases[i].text, &got, &err), cases[i].code);
		if (cases[i].want)
			assert_true(cb_digest_equal(&got.digest, cases[i].want));
	}

	/* A name moves, and goes. */
	assert_ok(cb_tag_set(store, "app:latest", &other, &err));
	assert_ok(cb_tag_remove(store, "app:two", &err));
	assert_code(cb_tag_remove(store, "app:two", &err), 1);
	assert_code(cb_tag_set(store, pinned, &other, &err), CB_ERR_INPUT);
	assert_ok(cb_tag_list(store, &index, &err));
	assert_int_equal(index->n_entries, 2);
	assert_true(cb_digest_equal(&index->entries[0].digest, &other.digest));
	assert_true(cb_digest_equal(&index->entries[1].digest, &other.digest));
	cb_descriptor_done(&other);
}

static void check_tells_what_is_missing(void **state)
{
	struct image_fixture *ifx = *state;
	cleanup_strv struct cb_strv problems = { 0 };

	assert_ok(cb_tag_set(ifx->fx->store, "app", &ifx->desc, &err));
	assert_ok(cb_store_check(ifx->fx->store, true, &problems, &err));
	assert_int_equal(problems.n, 0);
	assert_ok(cb_blob_remove(ifx->fx->store, &ifx->config, &err));
	assert_ok(cb_store_check(ifx->fx->store, true, &problems, &err));
	assert_int_equal(problems.n, 1);
	assert_non_null(strstr(problems.v[0], "app:latest"));
}

static void store_is_read_in_place(void **state)
{
	struct image_fixture *ifx = *state;
	cleanup_free char *where = cb_xasprintf("oci:%s:docker.io/library/app:latest", ifx->fx->dir);

	assert_ok(cb_tag_set(ifx->fx->store, "app", &ifx->desc, &err));
	if (!cb_spawn_have("skopeo"))
		skip();
	run_tool((const char *const[]){ "skopeo", "inspect", where, NULL }, ifx->desc.digest.text);
	run_tool((const char *const[]){ "skopeo", "inspect", "--config", where, NULL }, "/hello");
}

static char *export_file(struct image_fixture *ifx, const char *name, const struct cb_export *what,
	int (*export)(struct cb_store *, const struct cb_export *, int, struct cb_err **))
{
	char *path = cb_xasprintf("%s/tmp/%s", ifx->fx->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_ok(export(ifx->fx->store, what, fd, &err));
	close(fd);
	return path;
}

static void count_progress(void *ctx, uint64_t done, uint64_t total)
{
	uint64_t *last = ctx;

	assert_true(done > *last && done <= total);
	*last = done;
}

static void oci_tar(void **state)
{
	struct image_fixture *ifx = *state;
	cleanup_strv struct cb_strv tags = { 0 };
	uint64_t last = 0;
	struct cb_export what = { .desc = &ifx->desc,
		.names = &tags,
		.created = "2024-01-01T00:00:00Z",
		.progress = count_progress,
		.progress_ctx = &last };
	cleanup_free char *first = NULL;
	cleanup_free char *second = NULL;
	cleanup_free char *archive = NULL;

	cb_strv_add(&tags, "docker.io/library/app:latest");
	cb_strv_add(&tags, "localhost:5000/app:v2");
	first = export_file(ifx, "first.tar", &what, cb_export_oci_tar);
	assert_true(last > 0);
	last = 0;
	second = export_file(ifx, "second.tar", &what, cb_export_oci_tar);
	run_tool((const char *const[]){ "cmp", first, second, NULL }, "");
	run_tool((const char *const[]){ "tar", "tf", first, NULL }, "index.json\noci-layout\n");
	run_tool((const char *const[]){ "tar", "xOf", first, "index.json", NULL },
		"\"io.containerd.image.name\": \"localhost:5000/app:v2\"");
	run_tool((const char *const[]){ "tar", "xOf", first, "index.json", NULL },
		"\"org.opencontainers.image.ref.name\": \"v2\"");
	if (!cb_spawn_have("skopeo"))
		skip();
	archive = cb_xasprintf("oci-archive:%s:v2", first);
	run_tool((const char *const[]){ "skopeo", "inspect", archive, NULL }, ifx->desc.digest.text);
}

static void oci_directory(void **state)
{
	struct image_fixture *ifx = *state;
	cleanup_strv struct cb_strv one = { 0 };
	cleanup_strv struct cb_strv two = { 0 };
	struct cb_export what = { .desc = &ifx->desc, .names = &one };
	cleanup_free char *dir = cb_xasprintf("%s/tmp/layout", ifx->fx->dir);
	cleanup_free char *where = cb_xasprintf("oci:%s:two", dir);
	cleanup_buf struct cb_buf text = { 0 };
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_close int fd = -EBADF;

	cb_strv_add(&one, "docker.io/library/app:one");
	cb_strv_add(&two, "docker.io/library/app:two");
	assert_int_equal(mkdir(dir, 0755), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(cb_export_oci_dir(ifx->fx->store, &what, fd, &err));
	what.names = &two;
	for (int i = 0; i < 2; i++) {
		cb_buf_clear(&text);
		index = cb_index_free(index);
		assert_ok(cb_export_oci_dir(ifx->fx->store, &what, fd, &err));
		assert_ok(cb_file_read_at(fd, "index.json", 100000, &text, &err));
		assert_ok(cb_index_parse(cb_buf_str(&text), text.len, &index, &err));
		assert_int_equal(index->n_entries, 2);
	}
	assert_int_equal(count_entries(ifx->fx, "tmp/layout"), 3);
	assert_int_equal(count_entries(ifx->fx, "tmp/layout/blobs/sha256"), 3);
	if (!cb_spawn_have("skopeo"))
		skip();
	run_tool((const char *const[]){ "skopeo", "inspect", where, NULL }, ifx->desc.digest.text);
}

static void docker_tar(void **state)
{
	struct image_fixture *ifx = *state;
	cleanup_strv struct cb_strv tags = { 0 };
	struct cb_export what = { .desc = &ifx->desc, .names = &tags };
	cleanup_free char *path = NULL;
	cleanup_free char *archive = NULL;
	cleanup_free char *config = cb_xasprintf("[{\"Config\":\"blobs/sha256/%s\"", cb_digest_hex(&ifx->config));

	cb_strv_add(&tags, "docker.io/library/app:v1");
	path = export_file(ifx, "docker.tar", &what, cb_export_docker_tar);
	run_tool((const char *const[]){ "tar", "xOf", path, "manifest.json", NULL }, config);
	run_tool((const char *const[]){ "tar", "xOf", path, "manifest.json", NULL }, "\"RepoTags\":[\"app:v1\"]");
	if (!cb_spawn_have("skopeo"))
		skip();
	archive = cb_xasprintf("docker-archive:%s:app:v1", path);
	run_tool((const char *const[]){ "skopeo", "inspect", archive, NULL }, "\"Layers\"");
}

static void exports_fail_cleanly(void **state)
{
	struct image_fixture *ifx = *state;
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	struct cb_export what = { .desc = &ifx->desc, .cancel = cancel };
	cleanup_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	cleanup_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_code(cb_export_oci_tar(ifx->fx->store, &what, full, &err), CB_ERR_NO_SPACE);
	cb_cancel_raise(cancel);
	assert_code(cb_export_oci_tar(ifx->fx->store, &what, null, &err), CB_ERR_CANCELED);
	what.cancel = NULL;
	assert_ok(cb_export_oci_tar(ifx->fx->store, &what, null, &err));
	assert_ok(cb_blob_remove(ifx->fx->store, &ifx->config, &err));
	assert_code(cb_export_oci_tar(ifx->fx->store, &what, null, &err), CB_ERR_NOT_FOUND);
	assert_code(cb_export_docker_tar(ifx->fx->store, &what, null, &err), CB_ERR_NOT_FOUND);
}

/* An index with two platforms: the whole of it is exported, one of it is loaded. */
static void several_platforms(void **state)
{
	struct image_fixture *ifx = *state;
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_index_new(false);
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	cleanup_descriptor struct cb_descriptor other = { 0 };
	cleanup_descriptor struct cb_descriptor top = { 0 };
	struct cb_export what = { .desc = &top };
	struct cb_platform want;
	cleanup_free char *text = NULL;
	cleanup_free char *path = NULL;
	cleanup_free char *blob = NULL;
	cleanup_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct cb_digest config, digest;
	size_t len;

	make_image(ifx->fx, "other\n", &other, &config);
	assert_ok(cb_platform_parse("linux/s390x", &other.platform, &err));
	cb_index_add(index, &ifx->desc);
	cb_index_add(index, &other);
	text = cb_index_write(index, &len);
	assert_ok(cb_blob_put(ifx->fx->store, text, len, &digest, &err));
	cb_descriptor_init(&top, CB_MEDIA_OCI_INDEX, &digest, len);

	assert_ok(cb_platform_parse("linux/s390x", &want, &err));
	assert_ok(cb_stored_image_load(ifx->fx->store, &top, &want, &image, &err));
	assert_true(cb_digest_equal(&image->desc.digest, &other.digest));
	assert_ok(cb_platform_parse("linux/mips64", &want, &err));
	image = cb_stored_image_free(image);
	assert_code(cb_stored_image_load(ifx->fx->store, &top, &want, &image, &err), CB_ERR_NOT_FOUND);
	assert_code(cb_export_docker_tar(ifx->fx->store, &what, null, &err), CB_ERR_UNSUPPORTED);
	path = export_file(ifx, "multi.tar", &what, cb_export_oci_tar);
	blob = cb_xasprintf("blobs/sha256/%s\n", cb_digest_hex(&config));
	run_tool((const char *const[]){ "tar", "tf", path, NULL }, blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(check_tells_what_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(store_is_read_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(oci_tar, setup, teardown),
		cmocka_unit_test_setup_teardown(oci_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(docker_tar, setup, teardown),
		cmocka_unit_test_setup_teardown(exports_fail_cleanly, setup, teardown),
		cmocka_unit_test_setup_teardown(several_platforms, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
