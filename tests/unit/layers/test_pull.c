#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "layers/fsck.h"
#include "layers/image.h"
#include "layers/pull.h"
#include "layers/snapshot.h"
#include "unit/layers/fakeregistry.h"

#define LAYERS 6
#define SIZE 300000

static char dir[] = "/tmp/cbuild-test-pull-XXXXXX";
static int stores;
static struct fake_registry fake;
static struct cb_registry *registry;
static struct cb_platform amd64, arm64;

/* A store of its own for each test, and a puller on it. */
struct world {
	struct cb_store *store;
	struct cb_puller *puller;
};

static void open_world(struct world *w)
{
	cleanup_free char *path = cb_xasprintf("%s/store-%d", dir, stores++);
	enum cb_store_flavour flavour = geteuid() == 0 ? CB_STORE_TRUSTED : CB_STORE_USER;

	assert_int_equal(cb_store_open(path, flavour, &w->store, NULL), 0);
	w->puller = cb_puller_new(registry, w->store);
}

static void close_world(struct world *w)
{
	cb_puller_free(w->puller);
	cb_store_free(w->store);
}
#define WORLD(name) struct world name __attribute__((cleanup(close_world))) = { 0 }

static struct cb_image *resolve(struct world *w, const char *rest)
{
	cleanup_free char *name = fake_registry_name(&fake, rest);
	cleanup_err struct cb_err *err = NULL;
	struct cb_image *image = NULL;

	cb_pull_resolve(w->puller, name, &amd64, 0, NULL, &image, &err);
	assert_string_equal(cb_err_msg(err), "");
	return image;
}

static void check_layer(struct world *w, const char *id, size_t number)
{
	cleanup_close int fd = -EBADF;
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *name = cb_xasprintf("layer-%zu", number), *large = cb_xasprintf("d/size-%zu", number);
	cleanup_free char *want = cb_xasprintf("%zu", number);
	struct stat st;

	assert_int_equal(cb_snapshot_open(w->store, id, &fd, NULL), 0);
	assert_int_equal(cb_file_read_at(fd, name, 100, &text, NULL), 0);
	assert_string_equal(cb_buf_str(&text), want);
	assert_int_equal(fstatat(fd, large, &st, 0), 0);
	assert_int_equal(st.st_size, SIZE);
}

struct seen {
	pthread_mutex_t lock;
	int done[LAYERS];
	uint64_t bytes[LAYERS];
	bool backwards;
};

static void note(void *userdata, size_t layer, uint64_t bytes, uint64_t total)
{
	struct seen *seen = userdata;

	pthread_mutex_lock(&seen->lock);
	seen->backwards |= bytes < seen->bytes[layer] || bytes > total;
	seen->bytes[layer] = bytes;
	seen->done[layer] += bytes == total;
	pthread_mutex_unlock(&seen->lock);
}

static void all_layers(void **state)
{
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_strv struct cb_strv ids = { 0 }, again = { 0 }, problems = { 0 };
	struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER };
	cleanup_err struct cb_err *err = NULL;
	WORLD(w);
	int requests;

	(void)state;
	open_world(&w);
	image = resolve(&w, "app:1");
	assert_int_equal(image->from, CB_IMAGE_REGISTRY);
	assert_int_equal(image->n_layers, LAYERS);
	assert_string_equal(image->config->env.v[0], "A=linux/amd64");
	assert_int_equal(strlen(image->config_json), image->config_len);

	cb_pull_layers(w.puller, image, 3, note, &seen, NULL, &ids, &err);
	assert_string_equal(cb_err_msg(err), "");
	assert_int_equal(ids.n, LAYERS);
	assert_false(seen.backwards);
	for (size_t i = 0; i < LAYERS; i++) {
		check_layer(&w, ids.v[i], i);
		assert_int_equal(seen.done[i], 1);
		assert_int_equal(cb_blob_has(w.store, &image->layers[i].desc.digest, NULL, NULL), 1);
	}
	/* Nothing is fetched twice, and only the tag is asked for again. */
	requests = httpd_count(fake.server);
	assert_int_equal(cb_pull_layers(w.puller, image, 0, NULL, NULL, NULL, &again, NULL), 0);
	assert_true(cb_strv_equal(&ids, &again));
	assert_int_equal(httpd_count(fake.server), requests);
	image = cb_image_free(image);
	image = resolve(&w, "app:1");
	assert_int_equal(httpd_count(fake.server), requests + 1);
	assert_int_equal(cb_store_check(w.store, true, &problems, NULL), 0);
	for (size_t i = 0; i < problems.n; i++)
		print_message("# %s\n", problems.v[i]);
	assert_int_equal(problems.n, 0);
}

/* Config first; a blob without unpacking; then the snapshot out of that blob. */
static void lazily(void **state)
{
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_free char *id = NULL, *same = NULL, *found = NULL;
	WORLD(w);
	int requests;

	(void)state;
	open_world(&w);
	image = resolve(&w, "app:1");
	requests = httpd_count(fake.server);
	assert_int_equal(cb_pull_blob(w.puller, image, 2, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(cb_pull_blob(w.puller, image, 2, NULL, NULL, NULL, NULL), 1);
	assert_int_equal(httpd_count(fake.server), requests + 1);
	assert_int_equal(cb_snapshot_find(w.store, &image->layers[2].diff_id, &found, NULL), 1);
	assert_int_equal(cb_pull_layer(w.puller, image, 2, NULL, NULL, NULL, &id, NULL), 0);
	assert_int_equal(cb_pull_layer(w.puller, image, 2, NULL, NULL, NULL, &same, NULL), 1);
	assert_int_equal(httpd_count(fake.server), requests + 1);
	assert_string_equal(id, same);
	check_layer(&w, id, 2);
}

/* A blob that went bad in the store is fetched again. */
static void damaged_blob(void **state)
{
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_free char *id = NULL, *path = NULL;
	cleanup_close int fd = -EBADF;
	cleanup_buf struct cb_buf body = { 0 };
	WORLD(w);

	(void)state;
	open_world(&w);
	image = resolve(&w, "app:1");
	assert_int_equal(cb_pull_blob(w.puller, image, 0, NULL, NULL, NULL, NULL), 0);
	path = cb_xasprintf("%s/blobs/sha256/%s", cb_store_path(w.store), cb_digest_hex(&image->layers[0].desc.digest));
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "damage", 6, 1000), 6);
	assert_int_equal(cb_pull_layer(w.puller, image, 0, NULL, NULL, NULL, &id, NULL), 0);
	check_layer(&w, id, 0);
	assert_int_equal(cb_blob_read(w.store, &image->layers[0].desc.digest, 1 << 20, &body, NULL), 0);
}

static void *pull_the_same(void *arg)
{
	struct world *w = arg;
	CB_CLEANUP(cb_image_free) struct cb_image *image = resolve(w, "app:1");
	char *id = NULL;

	cb_pull_layer(w->puller, image, 0, NULL, NULL, NULL, &id, NULL);
	return id;
}

static void threads_pull_once(void **state)
{
	pthread_t threads[6];
	cleanup_free char *log = NULL, *first = NULL;
	size_t before;
	int fetched = 0;
	WORLD(w);

	(void)state;
	open_world(&w);
	log = httpd_log(fake.server);
	before = strlen(log);
	free(CB_TAKE_PTR(log));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pull_the_same, &w), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *id = NULL;

		pthread_join(threads[i], &id);
		assert_non_null(id);
		if (first)
			assert_string_equal(id, first);
		else
			first = cb_xstrdup(id);
		free(id);
	}
	{
		CB_CLEANUP(cb_image_free) struct cb_image *image = resolve(&w, "app:1");

		log = httpd_log(fake.server);
		for (char *p = log + before; (p = strstr(p, image->layers[0].desc.digest.text)); p++)
			fetched++;
	}
	assert_int_equal(fetched, 1);
}

/* Faults while layers are on their way. */
enum { CUT, SWAPPED, WRONG_DIFF_ID, NOT_A_TAR, TRUNCATED_GZIP, GONE, RESETS };
static int mode;

static int layer_fault(struct fake_registry *reg, struct httpd_request *req)
{
	const char *digest = strstr(req->path, "/blobs/");
	struct fake_item *item = digest ? fake_blob(reg, digest + 7) : NULL;

	if (!item || item->data.len < SIZE / 2)
		return -1;
	switch (mode) {
	case CUT:
		return httpd_ranged(req, NULL, item->data.data, item->data.len, reg->n++ % 3 < 2 ? 100000 : SIZE_MAX);
	case RESETS:
		return reg->n++ % 2 ? -1 : httpd_reset(req);
	case SWAPPED: {
		cleanup_free char *copy = cb_xmemdup(item->data.data, item->data.len);

		copy[item->data.len / 2] ^= 1;
		return httpd_ranged(req, NULL, copy, item->data.len, SIZE_MAX);
	}
	case GONE:
		return httpd_text(req, 404, NULL, "");
	default:
		return -1;
	}
}

static const struct {
	const char *name, *want;
	int mode, code;
} faults[] = {
	{ "app:1", NULL, CUT, 0 },
	{ "app:1", NULL, RESETS, 0 },
	{ "app:1", "layer sha256:", SWAPPED, CB_ERR_CORRUPT },
	{ "app:1", "HTTP status 404", GONE, CB_ERR_NOT_FOUND },
	{ "bad:diff", "its content has diff ID", WRONG_DIFF_ID, CB_ERR_CORRUPT },
	{ "bad:tar", "layer sha256:", NOT_A_TAR, CB_ERR_CORRUPT },
	{ "bad:gzip", "layer sha256:", TRUNCATED_GZIP, CB_ERR_CORRUPT },
};

static void layer_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
		cleanup_strv struct cb_strv ids = { 0 }, snapshots = { 0 };
		cleanup_err struct cb_err *err = NULL;
		WORLD(w);
		int r;

		open_world(&w);
		image = resolve(&w, faults[i].name);
		mode = faults[i].mode;
		fake.n = 0;
		fake.fault = layer_fault;
		r = cb_pull_layers(w.puller, image, 2, NULL, NULL, NULL, &ids, &err);
		fake.fault = NULL;
		print_message("# %s, %d: %s\n", faults[i].name, mode, cb_err_msg(err));
		assert_int_equal(r, faults[i].code);
		if (r == 0) {
			assert_int_equal(ids.n, LAYERS);
			check_layer(&w, ids.v[LAYERS - 1], LAYERS - 1);
			continue;
		}
		assert_non_null(strstr(cb_err_msg(err), faults[i].want));
		assert_int_equal(ids.n, 0);
		if (cb_str_starts(faults[i].name, "bad")) {
			assert_int_equal(cb_snapshot_list(w.store, &snapshots, NULL), 0);
			assert_int_equal(snapshots.n, 0);
		}
	}
}

static int stall_blobs(struct fake_registry *reg CB_UNUSED, struct httpd_request *req)
{
	if (!strstr(req->path, "/blobs/"))
		return -1;
	httpd_raw(req, "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", 40);
	usleep(700000);
	return 0;
}

static void *raise_soon(void *arg)
{
	usleep(200000);
	cb_cancel_raise(arg);
	return NULL;
}

static void cancellation(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
	cleanup_strv struct cb_strv ids = { 0 };
	cleanup_err struct cb_err *err = NULL;
	uint64_t start;
	pthread_t thread;
	WORLD(w);

	(void)state;
	open_world(&w);
	image = resolve(&w, "app:1");
	fake.fault = stall_blobs;
	start = cb_time_mono();
	assert_int_equal(pthread_create(&thread, NULL, raise_soon, cancel), 0);
	assert_int_equal(cb_pull_layers(w.puller, image, 1, NULL, NULL, cancel, &ids, &err), CB_ERR_CANCELED);
	assert_string_equal(cb_err_msg(err), "canceled");
	assert_true(cb_time_mono() - start < 600000000);
	pthread_join(thread, NULL);
	fake.fault = NULL;
}

static const struct {
	const char *name, *want; /* the Env of the image, or the message */
	bool arm;
	int code;
} platforms[] = {
	{ "multi:1", "A=linux/amd64", false, 0 },
	{ "multi:1", "A=linux/arm64", true, 0 },
	{ "app:1", "A=linux/amd64", true, 0 }, /* no index: taken as it is */
	{ "arm-only:1", "no match for platform linux/amd64 (there are: linux/arm64)", false, CB_ERR_NOT_FOUND },
	{ "nested:1", "A=linux/arm64", true, 0 },
	{ "loop:1", "nested too deeply", false, CB_ERR_CORRUPT },
	{ "counts:1", "the config names 0 layers, the manifest 6", false, CB_ERR_CORRUPT },
	{ "nothing:1", "HTTP status 404", false, CB_ERR_NOT_FOUND },
	{ "UPPER", "", false, CB_ERR_INPUT },
};

static void choose_platform(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++) {
		cleanup_free char *name = fake_registry_name(&fake, platforms[i].name);
		CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
		cleanup_err struct cb_err *err = NULL;
		WORLD(w);
		int r;

		open_world(&w);
		r = cb_pull_resolve(w.puller, name, platforms[i].arm ? &arm64 : &amd64, 0, NULL, &image, &err);
		print_message("# %s: %s\n", platforms[i].name, cb_err_msg(err));
		assert_int_equal(r, platforms[i].code);
		if (r < 0)
			assert_non_null(strstr(cb_err_msg(err), platforms[i].want));
		else
			assert_string_equal(image->config->env.v[0], platforms[i].want);
	}
}

/* A tag of the user's goes first, unless the registry is asked for. */
static void local_tags(void **state)
{
	CB_CLEANUP(cb_image_free) struct cb_image *remote = NULL, *image = NULL;
	cleanup_free char *tagged = fake_registry_name(&fake, "mine:1"), *id = NULL;
	cleanup_free char *by_digest = NULL;
	cleanup_err struct cb_err *err = NULL;
	WORLD(w);
	int requests;

	(void)state;
	open_world(&w);
	remote = resolve(&w, "app:1");
	assert_int_equal(cb_pull_resolve(w.puller, tagged, &amd64, 0, NULL, &image, &err), CB_ERR_NOT_FOUND);
	assert_int_equal(cb_tag_set(w.store, tagged, &remote->manifest, NULL), 0);
	assert_int_equal(cb_tag_set(w.store, "mine:1", &remote->manifest, NULL), 0);

	requests = httpd_count(fake.server);
	assert_int_equal(cb_pull_resolve(w.puller, tagged, &amd64, 0, NULL, &image, &err), 0);
	assert_int_equal(image->from, CB_IMAGE_STORE);
	image = cb_image_free(image);
	assert_int_equal(cb_pull_resolve(w.puller, "mine:1", &amd64, CB_PULL_NEVER, NULL, &image, &err), 0);
	assert_string_equal(image->name, "docker.io/library/mine:1");
	assert_string_equal(image->manifest.digest.text, remote->manifest.digest.text);
	image = cb_image_free(image);
	assert_int_equal(httpd_count(fake.server), requests);

	assert_int_equal(
		cb_pull_resolve(w.puller, tagged, &amd64, CB_PULL_ALWAYS, NULL, &image, &err), CB_ERR_NOT_FOUND);
	assert_int_equal(
		cb_pull_resolve(w.puller, "other:1", &amd64, CB_PULL_NEVER, NULL, &image, &err), CB_ERR_NOT_FOUND);
	/* Of another platform it is no answer. */
	assert_int_equal(cb_pull_resolve(w.puller, tagged, &arm64, 0, NULL, &image, &err), CB_ERR_NOT_FOUND);

	/* By digest nobody needs to be asked; the layers still come from the registry. */
	by_digest = cb_xasprintf("127.0.0.1:%d/app@%s", httpd_port(fake.server), remote->manifest.digest.text);
	requests = httpd_count(fake.server);
	assert_int_equal(cb_pull_resolve(w.puller, by_digest, &amd64, CB_PULL_ALWAYS, NULL, &image, &err), 0);
	assert_int_equal(httpd_count(fake.server), requests);
	assert_string_equal(image->manifest.media_type, CB_MEDIA_OCI_MANIFEST);
	assert_string_equal(image->top.media_type, CB_MEDIA_OCI_MANIFEST);
	assert_int_equal(cb_pull_layer(w.puller, image, 1, NULL, NULL, NULL, &id, NULL), 0);
	check_layer(&w, id, 1);
}

/* A store is an OCI layout, so one of them serves as the source. */
static void layouts(void **state)
{
	CB_CLEANUP(cb_image_free) struct cb_image *remote = NULL;
	cleanup_free char *digest_name = NULL, *empty = cb_xasprintf("oci-layout://%s/none", dir);
	cleanup_free char *name = NULL, *wrong = NULL, *bare = NULL;
	cleanup_strv struct cb_strv ids = { 0 };
	WORLD(source);
	const char *path;

	(void)state;
	open_world(&source);
	path = cb_store_path(source.store);
	remote = resolve(&source, "app:1");
	assert_int_equal(cb_pull_layers(source.puller, remote, 0, NULL, NULL, NULL, &ids, NULL), 0);
	assert_int_equal(cb_tag_set(source.store, "base:v2", &remote->manifest, NULL), 0);
	name = cb_xasprintf("oci-layout://%s:v2", path);
	wrong = cb_xasprintf("oci-layout://%s:v3", path);
	bare = cb_xasprintf("oci-layout://%s", path);
	digest_name = cb_xasprintf("oci-layout://%s@%s", path, remote->manifest.digest.text);
	{
		const struct {
			const char *name;
			int code;
		} cases[] = { { name, 0 }, { digest_name, 0 }, { bare, 0 }, { wrong, CB_ERR_NOT_FOUND },
			{ empty, CB_ERR_NOT_FOUND } };

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			CB_CLEANUP(cb_image_free) struct cb_image *image = NULL;
			cleanup_strv struct cb_strv got = { 0 };
			cleanup_err struct cb_err *err = NULL;
			int requests = httpd_count(fake.server);
			WORLD(w);
			int r;

			open_world(&w);
			r = cb_pull_resolve(w.puller, cases[i].name, &amd64, CB_PULL_ALWAYS, NULL, &image, &err);
			print_message("# %s: %s\n", cases[i].name, cb_err_msg(err));
			assert_int_equal(r, cases[i].code);
			if (r < 0)
				continue;
			assert_int_equal(image->from, CB_IMAGE_LAYOUT);
			assert_int_equal(cb_pull_layers(w.puller, image, 0, NULL, NULL, NULL, &got, NULL), 0);
			check_layer(&w, got.v[LAYERS - 1], LAYERS - 1);
			assert_int_equal(httpd_count(fake.server), requests);
		}
	}
}

static void put_text(const char *repository, const char *type, char *text, struct cb_digest *ret)
{
	fake_put_manifest(&fake, repository, "1", type, text, strlen(text), ret);
	free(text);
}

static char *entry(const char *type, const struct cb_digest *digest, const char *arch)
{
	return cb_xasprintf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s%s%s}", type, digest->text,
		(size_t)0, arch ? ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" : "", arch ? arch : "",
		arch ? "\"}" : "");
}

#define INDEX_HEAD "{\"schemaVersion\":2,\"mediaType\":\"" CB_MEDIA_OCI_INDEX "\",\"manifests\":["

static void put_indexes(void)
{
	struct cb_digest one, two, index;
	cleanup_free char *a = NULL, *b = NULL, *nested = NULL;

	fake_put_image(&fake, "multi", NULL, "linux/amd64", 1, 10, &one);
	fake_put_image(&fake, "multi", NULL, "linux/arm64", 1, 10, &two);
	fake_put_image(&fake, "nested", NULL, "linux/arm64", 1, 10, &two);
	fake_put_image(&fake, "arm-only", NULL, "linux/arm64", 1, 10, &two);
	a = entry(CB_MEDIA_OCI_MANIFEST, &one, "amd64");
	b = entry(CB_MEDIA_OCI_MANIFEST, &two, "arm64");
	put_text("multi", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s,%s]}", a, b), &index);
	put_text("arm-only", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s]}", b), &index);
	put_text("nested", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s]}", b), &index);
	nested = entry(CB_MEDIA_OCI_INDEX, &index, "arm64");
	put_text("nested", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s]}", nested), &index);

	/* Each level names the one before it, deeper than is followed. */
	put_text("loop", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s]}", a), &index);
	for (int i = 0; i < 6; i++) {
		cleanup_free char *level = entry(CB_MEDIA_OCI_INDEX, &index, "amd64");

		put_text("loop", CB_MEDIA_OCI_INDEX, cb_xasprintf(INDEX_HEAD "%s]}", level), &index);
	}
}

/* An image whose only layer is @blob while its config claims @diff_id. */
static void put_bad(const char *tag, const struct cb_buf *blob, const struct cb_digest *diff_id)
{
	cleanup_free char *config = cb_xasprintf(
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
		"[\"%s\"]}}",
		diff_id->text);
	cleanup_free char *manifest = NULL;
	struct cb_digest c, l, m;

	fake_put_blob(&fake, config, strlen(config), &c);
	fake_put_blob(&fake, blob->data, blob->len, &l);
	manifest = cb_xasprintf(
		"{\"schemaVersion\":2,\"mediaType\":\"" CB_MEDIA_OCI_MANIFEST "\",\"config\":{\"mediaType\":"
		"\"" CB_MEDIA_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		"\"" CB_MEDIA_OCI_LAYER_GZIP "\",\"digest\":\"%s\",\"size\":%zu}]}",
		c.text, strlen(config), l.text, blob->len);
	fake_put_manifest(&fake, "bad", tag, CB_MEDIA_OCI_MANIFEST, manifest, strlen(manifest), &m);
}

static void put_bad_images(void)
{
	cleanup_buf struct cb_buf tar = { 0 }, gzip = { 0 }, junk = { 0 };
	struct cb_digest good, other;

	fake_tar_add(&tar, "file", "content", 7);
	fake_tar_end(&tar);
	fake_compress(&tar, FAKE_GZIP, &gzip);
	cb_digest_of(tar.data, tar.len, &good);
	cb_digest_of("x", 1, &other);
	put_bad("diff", &gzip, &other);
	gzip.len -= 10;
	put_bad("gzip", &gzip, &good);
	for (int i = 0; i < 2000; i++)
		cb_buf_addc(&junk, (char)('a' + i % 26));
	put_bad("tar", &junk, &good);
}

/* A manifest with layers whose config has none. */
static void put_counts(void)
{
	static const char config[] =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	struct fake_item *item = cb_map_get(fake.manifests, "app:1");
	cleanup_buf struct cb_buf text = { 0 };
	char *at, size[64];
	struct cb_digest c, m;

	fake_put_blob(&fake, config, strlen(config), &c);
	at = strstr(item->data.data, "sha256:");
	cb_buf_add(&text, item->data.data, (size_t)(at - item->data.data));
	snprintf(size, sizeof(size), "\",\"size\":%zu", strlen(config));
	cb_buf_adds(&text, c.text);
	cb_buf_adds(&text, size);
	cb_buf_adds(&text, strchr(at, '}'));
	fake_put_manifest(&fake, "counts", "1", CB_MEDIA_OCI_MANIFEST, text.data, text.len, &m);
}

static int set_up(void **state)
{
	struct cb_registry_options options = { .http = { .backoff_ms = 2, .retries = 4, .stall_timeout_ms = 2000 } };
	struct cb_digest ignored;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	setenv("HOME", dir, 1);
	setenv("CONTAINERS_REGISTRIES_CONF", "/dev/null", 1);
	setenv("REGISTRY_AUTH_FILE", "/nonexistent", 1);
	cb_platform_parse("linux/amd64", &amd64, NULL);
	cb_platform_parse("linux/arm64", &arm64, NULL);
	fake_registry_start(&fake);
	fake_put_image(&fake, "app", "1", "linux/amd64", LAYERS, SIZE, &ignored);
	put_indexes();
	put_bad_images();
	put_counts();
	return cb_registry_new(&options, &registry, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	cb_registry_free(registry);
	fake_registry_stop(&fake);
	return cb_path_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_layers),
		cmocka_unit_test(lazily),
		cmocka_unit_test(damaged_blob),
		cmocka_unit_test(threads_pull_once),
		cmocka_unit_test(layer_faults),
		cmocka_unit_test(cancellation),
		cmocka_unit_test(choose_platform),
		cmocka_unit_test(local_tags),
		cmocka_unit_test(layouts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
