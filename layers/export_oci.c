#include "layers/export_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "layers/exportset.h"
#include "layers/image.h"

static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

int cb_export_oci_tar(struct cb_store *store, const struct cb_export *what, int fd, struct cb_err **err)
{
	cleanup_export_set struct cb_export_set set = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	int r = cb_export_set_collect(store, what, &set, err);

	if (r < 0)
		return r;
	tar = cb_tarwriter_new(cb_sink_fd(&fd));
	r = cb_export_set_tar(store, what, &set, tar, err);
	return r < 0 ? r : cb_tarwriter_finish(tar, err);
}

static int copy_blob(struct cb_store *store, const struct cb_export *what, struct cb_export_set *set,
	const struct cb_export_blob *blob, int dir, struct cb_err **err)
{
	const char *name = cb_digest_hex(&blob->digest);
	cleanup_close int from = -EBADF;
	cleanup_close int to = -EBADF;
	cleanup_free char *tmp = NULL;
	uint64_t len = 0;
	struct stat st;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		(uint64_t)st.st_size == blob->size)
		return cb_export_set_advance(what, set, blob->size, err);
	r = cb_blob_open(store, &blob->digest, &from, NULL, err);
	if (r == 0)
		r = cb_atomic_open(dir, name, 0644, &to, &tmp, err);
	if (r < 0)
		return r;
	r = cb_fd_copy(from, to, &len, err);
	if (r == 0 && len != blob->size)
		r = cb_err_set(err, CB_ERR_CORRUPT, "blob %s became shorter", blob->digest.text);
	/* No fsync: who wants an export to survive a power cut syncs it himself. */
	if (r == 0 && renameat(dir, tmp, dir, name) < 0)
		r = cb_err_errno(err, errno, "write blob %s", blob->digest.text);
	if (r < 0) {
		cb_atomic_abort(dir, tmp);
		return r;
	}
	return cb_export_set_advance(what, set, len, err);
}

static bool same_name(const struct cb_descriptor *a, const struct cb_descriptor *b)
{
	const char *tag_a = cb_descriptor_annotation(a, CB_ANNOTATION_REF_NAME);
	const char *tag_b = cb_descriptor_annotation(b, CB_ANNOTATION_REF_NAME);

	if (!tag_a && !tag_b)
		return cb_digest_equal(&a->digest, &b->digest);
	return cb_str_eq(tag_a, tag_b);
}

/* Entries of other names that are there stay. */
static int merge_index(int dirfd, struct cb_index *fresh, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *old = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_file_read_at(dirfd, "index.json", CB_INDEX_BYTES_MAX, &text, NULL);

	if (r == CB_ERR_NOT_FOUND)
		return 0;
	r = cb_index_parse(cb_buf_str(&text), text.len, &old, err);
	if (r < 0)
		return cb_err_wrap(err, r, "index.json that is there");
	for (size_t i = 0; i < old->n_entries; i++) {
		bool replaced = false;

		for (size_t j = 0; j < fresh->n_entries && !replaced; j++)
			replaced = same_name(&old->entries[i], &fresh->entries[j]);
		if (!replaced)
			cb_index_add(fresh, &old->entries[i]);
	}
	return 0;
}

static int open_blobs(int dirfd, int *ret_fd, struct cb_err **err)
{
	if ((mkdirat(dirfd, "blobs", 0755) < 0 && errno != EEXIST) ||
		(mkdirat(dirfd, "blobs/sha256", 0755) < 0 && errno != EEXIST))
		return cb_err_errno(err, errno, "create blobs/sha256");
	*ret_fd = openat(dirfd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? cb_err_errno(err, errno, "open blobs/sha256") : 0;
}

int cb_export_oci_dir(struct cb_store *store, const struct cb_export *what, int dirfd, struct cb_err **err)
{
	cleanup_export_set struct cb_export_set set = { 0 };
	CB_CLEANUP(cb_index_free) struct cb_index *index = cb_export_set_index(what);
	cleanup_free char *text = NULL;
	cleanup_close int blobs = -EBADF;
	size_t len;
	int r = cb_export_set_collect(store, what, &set, err);

	if (r == 0)
		r = open_blobs(dirfd, &blobs, err);
	for (size_t i = 0; r == 0 && i < set.n; i++)
		r = copy_blob(store, what, &set, &set.blobs[i], blobs, err);
	if (r == 0)
		r = merge_index(dirfd, index, err);
	if (r < 0)
		return r;
	text = cb_index_write(index, &len);
	r = cb_atomic_write(dirfd, "oci-layout", layout_text, strlen(layout_text), 0644, err);
	return r < 0 ? r : cb_atomic_write(dirfd, "index.json", text, len, 0644, err);
}
