/* Images as files: OCI layout in a tar or a directory, `docker load` archive. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/timefmt.h"
#include "builder/engine.h"
#include "builder/output_drivers.h"
#include "layers/export_oci.h"

static void report(void *ctx, uint64_t done, uint64_t total)
{
	cb_output_status(ctx, "sending tarball", done, total);
}

static int write_dir(struct cb_store *store, const struct cb_export *what, const char *dest, struct cb_err **err)
{
	cleanup_close int dirfd = -EBADF;

	if (cb_path_mkdirs(dest, 0755) < 0)
		return cb_err_errno(err, errno, "make directory %s", dest);
	dirfd = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return cb_err_errno(err, errno, "open %s", dest);
	return cb_export_oci_dir(store, what, dirfd, err);
}

static int write_file(const struct cb_output_request *request, struct cb_store *store, const struct cb_export *what,
	struct cb_err **err)
{
	struct cb_output_file file;
	int r = cb_output_file_open(request->dest, &file, err);

	if (r < 0)
		return r;
	if (request->type == CB_OUTPUT_DOCKER)
		r = cb_export_docker_tar(store, what, file.fd, err);
	else
		r = cb_export_oci_tar(store, what, file.fd, err);
	return cb_output_file_close(&file, r, err);
}

int cb_output_archive(const struct cb_output_request *request, const struct cb_results *results,
	struct cb_cancel *cancel, const struct cb_output_progress *progress, json_t **ret_meta, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_json json_t *meta = NULL;
	struct cb_store *store = results->v[0]->store;
	struct cb_export what = { .desc = &desc, .names = &request->names, .cancel = cancel };
	int r;

	r = cb_output_store_image(request, results, &desc, &meta, err);
	if (r < 0)
		return r;
	what.created = results->v[0]->config->created;
	if (progress) {
		what.progress = report;
		what.progress_ctx = (void *)progress;
	}
	if (request->engine)
		r = cb_engine_take(request->engine, store, &what, err);
	else if (request->tar)
		r = write_file(request, store, &what, err);
	else
		r = write_dir(store, &what, request->dest, err);
	if (r < 0)
		return r;
	*ret_meta = CB_TAKE_PTR(meta);
	return 0;
}
