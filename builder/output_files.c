/* The file system itself: a directory or a plain tar. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "builder/output_drivers.h"
#include "layers/diff.h"
#include "layers/snapshot.h"
#include "layers/stream.h"
#include "layers/tree.h"

static int open_chain(const struct cb_result *result, struct cb_tree **ret, struct cb_err **err)
{
	int *fds = cb_newa0(int, result->chain.n);
	size_t n = 0;
	int r = 0;

	for (; n < result->chain.n; n++) {
		r = cb_snapshot_open(result->store, result->chain.v[n], &fds[n], err);
		if (r > 0)
			r = cb_err_set(err, CB_ERR_NOT_FOUND, "snapshot %s is gone", result->chain.v[n]);
		if (r < 0)
			break;
	}
	if (r == 0) {
		enum cb_flavour flavour =
			cb_store_flavour(result->store) == CB_STORE_USER ? CB_FLAVOUR_USER : CB_FLAVOUR_TRUSTED;

		r = cb_tree_new_layers(fds, n, flavour, ret, err);
	}
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
	return r;
}

static int write_dir(
	struct cb_tree *tree, const char *dest, const int64_t *epoch, struct cb_cancel *cancel, struct cb_err **err)
{
	cleanup_close int dirfd = -EBADF;
	int r;

	if (cb_path_mkdirs(dest, 0755) < 0)
		return cb_err_errno(err, errno, "make directory %s", dest);
	dirfd = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return cb_err_errno(err, errno, "open %s", dest);
	r = cb_export_local(tree, epoch, dirfd, cancel, err);
	return r < 0 ? cb_err_wrap(err, r, "output %s", dest) : r;
}

static int write_tar(
	struct cb_tree *tree, const char *dest, const int64_t *epoch, struct cb_cancel *cancel, struct cb_err **err)
{
	struct cb_output_file file;
	int r = cb_output_file_open(dest, &file, err);

	if (r < 0)
		return r;
	r = cb_export_tar(tree, epoch, cb_sink_fd(&file.fd), cancel, err);
	return cb_output_file_close(&file, r, err);
}

int cb_output_files(const struct cb_output_request *request, const struct cb_result *result, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	int64_t epoch = result->epoch.tv_sec;
	const int64_t *clamp = result->has_epoch ? &epoch : NULL;
	int r;

	r = open_chain(result, &tree, err);
	if (r < 0)
		return r;
	cb_output_status(progress, "copying files", 0, 0);
	if (request->type == CB_OUTPUT_LOCAL)
		r = write_dir(tree, request->dest, clamp, cancel, err);
	else
		r = write_tar(tree, request->dest, clamp, cancel, err);
	if (r < 0)
		return r;
	*ret_meta = json_object();
	return 0;
}
