#include "layers/pull_source.h"
#include "layers/remotecache.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define COPY_SIZE (256 * 1024)

void cb_layout_split(const char *text, char **ret_dir, char **ret_tag, char **ret_digest)
{
	const char *at = strrchr(text, '@'), *slash = strrchr(text, '/'), *colon;
	size_t len = strlen(text);

	*ret_tag = *ret_digest = NULL;
	if (at && (!slash || at > slash)) {
		*ret_digest = cb_xstrdup(at + 1);
		len = (size_t)(at - text);
	}
	colon = memrchr(text, ':', len);
	if (colon && (!slash || colon > slash)) {
		*ret_tag = cb_xstrndup(colon + 1, (size_t)(text + len - colon - 1));
		len = (size_t)(colon - text);
	}
	*ret_dir = cb_xstrndup(text, len);
}

/* "latest" names an entry "latest" and one "docker.io/library/app:latest". */
static bool has_tag(const struct cb_descriptor *desc, const char *tag)
{
	const char *name = cb_descriptor_annotation(desc, CB_ANNOTATION_REF_NAME);
	const char *colon = name ? strrchr(name, ':') : NULL;

	return name && (strcmp(name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0));
}

static const struct cb_descriptor *choose(const struct cb_index *index, const char *tag, const char *digest)
{
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct cb_descriptor *desc = &index->entries[i];

		if (digest ? strcmp(desc->digest.text, digest) == 0 : tag ? has_tag(desc, tag) : index->n_entries == 1)
			return desc;
	}
	/* Docker's default, when nothing was asked for. */
	if (!tag && !digest && index->n_entries > 1)
		return choose(index, "latest", NULL);
	return NULL;
}

int cb_layout_find(const char *dir, const char *tag, const char *digest, struct cb_descriptor *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_free char *path = cb_xasprintf("%s/index.json", dir);
	cleanup_buf struct cb_buf body = { 0 };
	const struct cb_descriptor *desc;
	int r;

	r = cb_file_read_at(AT_FDCWD, path, CB_INDEX_BYTES_MAX, &body, err);
	if (r == 0)
		r = cb_index_parse(body.data ? body.data : "", body.len, &index, err);
	if (r < 0)
		return cb_err_wrap(err, r, "OCI layout %s", dir);
	assert(index);
	desc = choose(index, tag, digest);
	if (!desc && (tag || digest))
		return cb_err_set(err, CB_ERR_NOT_FOUND, "OCI layout %s has no image %s", dir, digest ? digest : tag);
	if (!desc)
		return cb_err_set(
			err, CB_ERR_NOT_FOUND, "OCI layout %s has %zu images: name one of them", dir, index->n_entries);
	cb_descriptor_copy(ret, desc);
	return 0;
}

int cb_layout_open_blob(const char *dir, const struct cb_digest *digest, int *ret_fd, struct cb_err **err)
{
	cleanup_free char *path = cb_xasprintf("%s/blobs/sha256/%s", dir, cb_digest_hex(digest));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return cb_err_errno(err, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

static int read_layout_document(const struct cb_pull_source *src, const struct cb_descriptor *desc, size_t max,
	struct cb_buf *body, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct cb_digest digest;
	int r;

	r = cb_layout_open_blob(src->layout, &desc->digest, &fd, err);
	if (r == 0)
		r = cb_fd_read_all(fd, max, desc->digest.text, body, err);
	if (r < 0)
		return cb_err_wrap(err, r, "OCI layout %s", src->layout);
	cb_digest_of(body->data ? body->data : "", body->len, &digest);
	if (!cb_digest_equal(&digest, &desc->digest))
		return cb_err_set(err, CB_ERR_CORRUPT, "OCI layout %s: blob %s has digest %s", src->layout,
			desc->digest.text, digest.text);
	return 0;
}

static int fetch_document(const struct cb_pull_source *src, const struct cb_descriptor *desc, size_t max,
	struct cb_buf *body, struct cb_err **err)
{
	enum cb_media_kind kind = cb_media_kind(desc->media_type);

	if (src->layout)
		return read_layout_document(src, desc, max, body, err);
	if (src->store_only || !src->ref)
		return cb_err_set(err, CB_ERR_NOT_FOUND, "%s is not in the store", desc->digest.text);
	if (kind == CB_MEDIA_KIND_INDEX || kind == CB_MEDIA_KIND_MANIFEST)
		return cb_registry_manifest(src->puller->registry, src->ref, desc, src->cancel, body, err);
	return cb_registry_blob_read(src->puller->registry, src->ref, desc, max, src->cancel, body, err);
}

int cb_pull_document(const struct cb_pull_source *src, const struct cb_descriptor *desc, size_t max,
	struct cb_buf *body, struct cb_err **err)
{
	struct cb_store *store = src->puller->store;
	int r;

	cb_buf_clear(body);
	r = cb_blob_has(store, &desc->digest, NULL, err);
	if (r < 0)
		return r;
	if (r > 0) {
		cleanup_err struct cb_err *why = NULL;

		r = cb_blob_read(store, &desc->digest, max, body, &why);
		/* Thrown away meanwhile, or damaged: the source has it still. */
		if (r != CB_ERR_NOT_FOUND && r != CB_ERR_CORRUPT)
			return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
		cb_buf_clear(body);
	}
	r = fetch_document(src, desc, max, body, err);
	if (r < 0)
		return r;
	return cb_blob_put(store, body->data ? body->data : "", body->len, NULL, err);
}

static int stream_fd(int fd, const struct cb_pull_source *src, const struct cb_descriptor *desc, cb_http_sink sink,
	void *userdata, struct cb_err **err)
{
	cleanup_free char *buf = cb_xmalloc(COPY_SIZE);
	uint64_t total = 0;
	int r;

	for (;;) {
		ssize_t n = read(fd, buf, COPY_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read blob %s", desc->digest.text);
		if (n == 0)
			break;
		total += (uint64_t)n;
		r = total > desc->size ? 0 : sink(userdata, buf, (size_t)n, err);
		if (r == 0)
			r = cb_cancel_check(src->cancel, err);
		if (r < 0)
			return r;
		if (total > desc->size)
			break;
	}
	if (total != desc->size)
		return cb_err_set(err, CB_ERR_CORRUPT, "OCI layout %s: blob %s has another size than %llu bytes",
			src->layout, desc->digest.text, (unsigned long long)desc->size);
	return 0;
}

int cb_pull_stream(const struct cb_pull_source *src, const struct cb_descriptor *desc, cb_http_sink sink,
	void *userdata, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	int r;

	if (src->cache)
		return src->cache->ops->get_blob(src->cache->self, desc, sink, userdata, src->cancel, err);
	if (!src->layout) {
		if (src->store_only || !src->ref)
			return cb_err_set(err, CB_ERR_NOT_FOUND, "layer %s is not in the store", desc->digest.text);
		return cb_registry_blob_unverified(
			src->puller->registry, src->ref, desc, sink, userdata, src->cancel, err);
	}
	r = cb_layout_open_blob(src->layout, &desc->digest, &fd, err);
	if (r < 0)
		return cb_err_wrap(err, r, "OCI layout %s", src->layout);
	return stream_fd(fd, src, desc, sink, userdata, err);
}
