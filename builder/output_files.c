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
#include "layers/tarwrite.h"
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

static const int64_t *epoch_of(const struct cb_result *result, int64_t *space)
{
	*space = result->epoch.tv_sec;
	return result->has_epoch ? space : NULL;
}

/* BuildKit's name of the directory that has the files of one platform: "linux_arm_v7". */
static char *platform_dir(const struct cb_result *result)
{
	char text[CB_PLATFORM_TEXT_MAX];

	cb_platform_format(&result->platform, text);
	for (char *c = text; *c; c++)
		if (*c == '/')
			*c = '_';
	return cb_xstrdup(text);
}

static int write_dir(const struct cb_result *result, const char *dest, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_close int dirfd = -EBADF;
	int64_t epoch;
	int r = open_chain(result, &tree, err);

	if (r < 0)
		return r;
	if (cb_path_mkdirs(dest, 0755) < 0)
		return cb_err_errno(err, errno, "make directory %s", dest);
	dirfd = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return cb_err_errno(err, errno, "open %s", dest);
	r = cb_export_local(tree, epoch_of(result, &epoch), dirfd, cancel, err);
	return r < 0 ? cb_err_wrap(err, r, "output %s", dest) : r;
}

static int write_dirs(const struct cb_results *results, const char *dest, struct cb_cancel *cancel, struct cb_err **err)
{
	int r = 0;

	if (results->n == 1)
		return write_dir(results->v[0], dest, cancel, err);
	for (size_t i = 0; r == 0 && i < results->n; i++) {
		cleanup_free char *name = platform_dir(results->v[i]), *path = cb_path_join(dest, name);

		r = write_dir(results->v[i], path, cancel, err);
	}
	return r;
}

static int add_tar(const struct cb_result *result, const char *below, struct cb_tarwriter *tar,
	struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	int64_t epoch;
	int r = open_chain(result, &tree, err);

	return r < 0 ? r : cb_export_tar_below(tree, below, epoch_of(result, &epoch), tar, cancel, err);
}

static int write_tar(const struct cb_results *results, const char *dest, struct cb_cancel *cancel, struct cb_err **err)
{
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = NULL;
	struct cb_output_file file;
	int r = cb_output_file_open(dest, &file, err);

	if (r < 0)
		return r;
	tar = cb_tarwriter_new(cb_sink_fd(&file.fd));
	for (size_t i = 0; r == 0 && i < results->n; i++) {
		cleanup_free char *name = platform_dir(results->v[i]);

		r = add_tar(results->v[i], results->n > 1 ? name : NULL, tar, cancel, err);
	}
	if (r == 0)
		r = cb_tarwriter_finish(tar, err);
	return cb_output_file_close(&file, r, err);
}

int cb_output_files(const struct cb_output_request *request, const struct cb_results *results, struct cb_cancel *cancel,
	const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err)
{
	int r;

	cb_output_status(progress, "copying files", 0, 0);
	if (request->type == CB_OUTPUT_LOCAL)
		r = write_dirs(results, request->dest, cancel, err);
	else
		r = write_tar(results, request->dest, cancel, err);
	if (r < 0)
		return r;
	*ret_meta = json_object();
	return 0;
}
