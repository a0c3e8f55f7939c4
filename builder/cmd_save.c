/* `cbuild save` and `cbuild load`: images of the store to files and back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/pool.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/output_drivers.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/storedimage.h"
#include "layers/export_oci.h"
#include "layers/import.h"
#include "layers/ref.h"

enum { OPT_FORMAT = 1, OPT_INPUT, OPT_OUTPUT, OPT_PLATFORM, OPT_QUIET, OPT_ROOT, OPT_TAG };

const struct cb_opt cb_save_options[] = {
	{ "format", 0, CB_OPT_VALUE, OPT_FORMAT, "FORMAT",
		"docker (for docker load; the default), oci (an OCI layout in a tar), or oci-dir (in a directory)",
		"docker|oci|oci-dir" },
	{ "output", 'o', CB_OPT_VALUE, OPT_OUTPUT, "FILE", "the file or directory; default: standard output", "file" },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "of an image of several platforms this one", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};
const struct cb_opt cb_load_options[] = {
	{ "input", 'i', CB_OPT_VALUE, OPT_INPUT, "FILE", "the archive or OCI layout; default: standard input", "file" },
	{ "quiet", 'q', CB_OPT_FLAG, OPT_QUIET, NULL, "print image ids only", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ "tag", 't', CB_OPT_VALUE, OPT_TAG, "NAME[:TAG]", "name the image so, too; the archive must have only one",
		NULL },
	{ 0 },
};

enum format { FORMAT_DOCKER, FORMAT_OCI, FORMAT_OCI_DIR };

struct request {
	enum format format;
	const char *file, *root;
	bool quiet, has_platform;
	struct cb_platform platform;
	struct cb_strv operands, tags;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	static const char *const formats[] = { "docker", "oci", "oci-dir" };
	struct request *request = arg;

	switch (opt->id) {
	case OPT_FORMAT:
		for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
			if (strcmp(formats[i], value) != 0)
				continue;
			request->format = (enum format)i;
			return 0;
		}
		return cb_err_set(err, CB_ERR_USAGE, "--format is docker, oci or oci-dir, not \"%s\"", value);
	case OPT_INPUT:
	case OPT_OUTPUT:
		request->file = value;
		return 0;
	case OPT_PLATFORM:
		request->has_platform = true;
		return cb_storecmd_platform(value, &request->platform, err);
	case OPT_QUIET:
		request->quiet = cb_opt_bool(value);
		return 0;
	case OPT_TAG:
		cb_strv_add(&request->tags, value);
		return 0;
	default:
		request->root = value;
		return 0;
	}
}

/* ---- save ----------------------------------------------------------------------------------------------------- */

/* What is to be written: one entry an image, each with the names that it was asked for by. */
struct saving {
	struct cb_export *v;
	struct cb_descriptor *descs;
	struct cb_strv *names;
	size_t n;
};

static void saving_done(struct saving *saving)
{
	for (size_t i = 0; i < saving->n; i++) {
		cb_descriptor_done(&saving->descs[i]);
		cb_strv_done(&saving->names[i]);
	}
	free(saving->v);
	free(saving->descs);
	free(saving->names);
}

/* Asked for by its digest, an image has no name in the file. */
static void add_name(struct cb_strv *names, const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL;

	if (cb_ref_parse(text, &ref, NULL) < 0 || ref->has_digest)
		return;
	full = cb_ref_format(ref);
	if (!cb_strv_has(names, full))
		cb_strv_add(names, full);
}

static bool named_so(const struct cb_descriptor *desc, const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL;

	if (cb_ref_parse(text, &ref, NULL) < 0)
		return false;
	full = cb_ref_format(ref);
	return cb_str_eq(cb_descriptor_annotation(desc, CB_ANNOTATION_REF_NAME), full);
}

/* Of an index the image of the platform that was asked for. */
static int choose(
	struct cb_store *store, const struct request *request, struct cb_descriptor *desc, struct cb_err **err)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	int r;

	if (cb_media_kind(desc->media_type) != CB_MEDIA_KIND_INDEX)
		return 0;
	if (!request->has_platform && request->format == FORMAT_DOCKER) {
		cb_err_set(err, CB_ERR_UNSUPPORTED, "a docker archive holds one platform, this image has several");
		return cb_err_hint(
			err, CB_ERR_UNSUPPORTED, "choose one with --platform, or --format oci, which holds them all");
	}
	if (!request->has_platform)
		return 0;
	r = cb_stored_image_load(store, desc, &request->platform, &image, err);
	if (r < 0)
		return r;
	cb_descriptor_done(desc);
	cb_descriptor_copy(desc, &image->desc);
	return 0;
}

static int add_image(struct cb_store *store, const struct request *request, struct saving *saving, const char *text,
	struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	size_t at = 0;
	int r = cb_stored_find(store, text, &desc, err);
	bool named = r == 0 && named_so(&desc, text);

	if (r == 0)
		r = choose(store, request, &desc, err);
	if (r < 0)
		return r;
	while (at < saving->n && !cb_digest_equal(&saving->descs[at].digest, &desc.digest))
		at++;
	if (at == saving->n) {
		cb_descriptor_copy(&saving->descs[at], &desc);
		saving->v[at] = (struct cb_export){ .desc = &saving->descs[at], .names = &saving->names[at] };
		if (at)
			saving->v[at - 1].next = &saving->v[at];
		saving->n++;
	}
	if (named)
		add_name(&saving->names[at], text);
	return 0;
}

static int write_dir(struct cb_store *store, const struct cb_export *what, const char *path, struct cb_err **err)
{
	cleanup_close int dirfd = -EBADF;

	if (cb_path_mkdirs(path, 0755) < 0)
		return cb_err_errno(err, errno, "make directory %s", path);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return cb_err_errno(err, errno, "open %s", path);
	return cb_export_oci_dir(store, what, dirfd, err);
}

static int write_file(
	struct cb_store *store, const struct request *request, const struct cb_export *what, struct cb_err **err)
{
	struct cb_output_file file;
	int r = cb_output_file_open(request->file, &file, err);

	if (r < 0)
		return r;
	if (request->format == FORMAT_DOCKER)
		r = cb_export_docker_tar(store, what, file.fd, err);
	else
		r = cb_export_oci_tar(store, what, file.fd, err);
	return cb_output_file_close(&file, r, err);
}

static int save(struct request *request, struct cb_err **err)
{
	__attribute__((cleanup(saving_done))) struct saving saving = { 0 };
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	int r;

	if (!request->operands.n)
		return cb_err_set(err, CB_ERR_USAGE, "save needs the name of an image");
	if (!request->file)
		request->file = "-";
	if (!strcmp(request->file, "-") && request->format == FORMAT_OCI_DIR)
		return cb_err_set(err, CB_ERR_USAGE, "--format oci-dir needs --output DIR");
	if (!strcmp(request->file, "-") && isatty(STDOUT_FILENO))
		return cb_err_set(err, CB_ERR_USAGE,
			"refusing to write an archive to a terminal: redirect it or give --output FILE");
	r = cb_storecmd_open(request->root, &store, err);
	if (r < 0)
		return r;
	saving.v = cb_newa0(struct cb_export, request->operands.n);
	saving.descs = cb_newa0(struct cb_descriptor, request->operands.n);
	saving.names = cb_newa0(struct cb_strv, request->operands.n);
	for (size_t i = 0; r == 0 && i < request->operands.n; i++)
		r = add_image(store, request, &saving, request->operands.v[i], err);
	if (r < 0)
		return r;
	saving.v[0].cancel = cb_storecmd_cancel();
	return request->format == FORMAT_OCI_DIR ? write_dir(store, saving.v, request->file, err)
						 : write_file(store, request, saving.v, err);
}

static void request_done(struct request *request)
{
	cb_strv_done(&request->operands);
	cb_strv_done(&request->tags);
}

int cb_cmd_save(int argc, char **argv)
{
	__attribute__((cleanup(request_done))) struct request request = { 0 };
	cleanup_err struct cb_err *err = NULL;
	const struct cb_opt_reader reader = { .command = "save",
		.tables = { cb_save_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = save(&request, &err);
	if (r > 0)
		return cb_help_command("save");
	return r < 0 ? cb_storecmd_fail(err) : CB_EXIT_OK;
}

/* ---- load ----------------------------------------------------------------------------------------------------- */

static int open_input(const struct request *request, int *ret_fd, bool *ret_dir, struct cb_err **err)
{
	cleanup_close int fd = -EBADF;
	struct stat st;

	if (!strcmp(request->file, "-")) {
		if (isatty(STDIN_FILENO))
			return cb_err_set(err, CB_ERR_USAGE, "load reads an archive: redirect it or give --input FILE");
		fd = cb_fd_dup(STDIN_FILENO);
	} else {
		fd = open(request->file, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "open %s", request->file);
	*ret_dir = S_ISDIR(st.st_mode);
	*ret_fd = CB_TAKE_FD(fd);
	return 0;
}

/* The id that docker shows: the config's digest; of an index its own. */
static const char *id_of(struct cb_store *store, const struct cb_descriptor *desc, char *out)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;

	if (cb_media_kind(desc->media_type) == CB_MEDIA_KIND_INDEX ||
		cb_stored_image_load(store, desc, NULL, &image, NULL) < 0)
		return cb_stored_id(&desc->digest, true, out);
	return cb_stored_id(&image->manifest->config.digest, true, out);
}

static int name_image(struct cb_store *store, const struct request *request, const struct cb_import_image *image,
	struct cb_buf *out, struct cb_err **err)
{
	cleanup_strv struct cb_strv names = { 0 };
	char id[CB_DIGEST_TEXT_MAX];
	int r = 0;

	cb_strv_copy(&names, &image->names);
	for (size_t i = 0; i < request->tags.n; i++)
		cb_strv_add(&names, request->tags.v[i]);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		r = cb_tag_set(store, names.v[i], &image->desc, err);
		if (r == 0 && !request->quiet)
			cb_buf_addf(out, "Loaded image: %s\n", names.v[i]);
	}
	if (r < 0)
		return r;
	id_of(store, &image->desc, id);
	if (request->quiet)
		cb_buf_addf(out, "%s\n", id);
	else if (!names.n)
		cb_buf_addf(out, "Loaded image ID: %s\n", id);
	/* Without any name the next prune would take it. */
	if (!names.n)
		r = cb_tag_set_unnamed(store, &image->desc, err);
	return r;
}

static int load(struct request *request, struct cb_buf *out, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_import struct cb_import import = { 0 };
	cleanup_close int fd = -EBADF;
	struct cb_pool *pool;
	bool dir = false;
	int r;

	if (request->operands.n > 1 || (request->operands.n && request->file))
		return cb_err_set(err, CB_ERR_USAGE, "load reads one file");
	if (!request->file)
		request->file = request->operands.n ? request->operands.v[0] : "-";
	r = open_input(request, &fd, &dir, err);
	if (r == 0)
		r = cb_storecmd_open(request->root, &store, err);
	if (r < 0)
		return r;
	pool = cb_pool_new("load", cb_cpu_count());
	r = dir ? cb_import_dir(store, fd, cb_storecmd_cancel(), &import, err)
		: cb_import_tar(store, cb_source_fd(&fd), pool, cb_storecmd_cancel(), &import, err);
	cb_pool_free(pool);
	if (r < 0)
		return cb_err_wrap(err, r, "load %s", strcmp(request->file, "-") ? request->file : "standard input");
	if (request->tags.n && import.n != 1)
		return cb_err_set(err, CB_ERR_USAGE, "--tag names one image, and the archive has %zu", import.n);
	for (size_t i = 0; r == 0 && i < import.n; i++)
		r = name_image(store, request, &import.v[i], out, err);
	return r;
}

int cb_cmd_load(int argc, char **argv)
{
	__attribute__((cleanup(request_done))) struct request request = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	const struct cb_opt_reader reader = { .command = "load",
		.tables = { cb_load_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = load(&request, &out, &err);
	if (r > 0)
		return cb_help_command("load");
	return r < 0 ? cb_storecmd_fail(err) : cb_storecmd_print(&out);
}
