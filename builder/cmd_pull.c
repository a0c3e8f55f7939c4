/* `cbuild pull NAME`: an image of a registry into the store, under its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/parallel.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/transfer.h"
#include "layers/image.h"

/* Layers at a time that are only fetched. */
#define PARALLEL 4

enum { OPT_ALL = 1, OPT_DIGEST_FILE, OPT_NO_UNPACK, OPT_PLATFORM };

const struct cb_opt cb_pull_options[] = {
	{ "all-platforms", 'a', CB_OPT_FLAG, OPT_ALL, NULL, "fetch all of an index, and unpack nothing", NULL },
	{ "digest-file", 0, CB_OPT_VALUE, OPT_DIGEST_FILE, "FILE", "write the digest of the image to FILE", "file" },
	{ "no-unpack", 0, CB_OPT_FLAG, OPT_NO_UNPACK, NULL, "only fetch; layers are unpacked when they are needed",
		NULL },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "the platform to choose from an index", NULL },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *name, *platform, *digest_file;
	bool all, no_unpack;
};

struct pulling {
	struct cb_transfer transfer;
	const struct request *request;
	struct cb_platform platform;
	struct cb_image *image; /* NULL for all platforms */
	char *full;             /* the whole reference */
	struct cb_descriptor desc;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_ALL:
		request->all = cb_opt_bool(value);
		return 0;
	case OPT_DIGEST_FILE:
		request->digest_file = value;
		return 0;
	case OPT_NO_UNPACK:
		request->no_unpack = cb_opt_bool(value);
		return 0;
	case OPT_PLATFORM:
		request->platform = value;
		return 0;
	default:
		return cb_transfer_set(&request->options, opt, value, err);
	}
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->name)
		return cb_err_set(err, CB_ERR_USAGE, "pull takes one name: \"%s\"", value);
	request->name = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "pull",
		.tables = { cb_pull_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && !ret->name) {
		cb_err_set(err, CB_ERR_USAGE, "pull needs the name of an image");
		return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild pull debian:12");
	}
	if (r == 0 && ret->all && ret->platform)
		return cb_err_set(err, CB_ERR_USAGE, "--all-platforms and --platform contradict each other");
	return r;
}

static int parse_name(struct pulling *p, struct cb_err **err)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	const char *text = p->request->name;
	int r;

	if (cb_str_starts(text, "docker://"))
		text += strlen("docker://");
	r = cb_ref_parse(text, &ref, err);
	if (r < 0)
		return cb_err_recode(err, CB_ERR_USAGE);
	p->full = cb_ref_format(ref);
	cb_platform_host(&p->platform);
	return p->request->platform ? cb_storecmd_platform(p->request->platform, &p->platform, err) : 0;
}

static void progress(void *userdata, size_t layer, uint64_t bytes, uint64_t total)
{
	struct pulling *p = userdata;
	cleanup_free char *line =
		p->image ? cb_xstrdup(p->image->layers[layer].desc.digest.text) : cb_xasprintf("blob %zu", layer + 1);

	cb_transfer_status(&p->transfer, line, bytes, total);
}

static int fetch_layer(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct pulling *p = userdata;

	return cb_pull_blob(p->transfer.puller, p->image, at, progress, p, cancel, err);
}

static int pull_one(struct pulling *p, struct cb_err **err)
{
	struct cb_cancel *cancel = p->transfer.scheduler.cancel;
	cleanup_strv struct cb_strv ids = { 0 };
	int r;

	r = cb_pull_resolve(p->transfer.puller, p->full, &p->platform, CB_PULL_ALWAYS, cancel, &p->image, err);
	if (r == 0 && !p->request->no_unpack)
		r = cb_pull_layers(p->transfer.puller, p->image, 0, progress, p, cancel, &ids, err);
	/* A layer that was unpacked long ago may have no blob, or another one. */
	if (r == 0)
		r = cb_parallel_each("pull", PARALLEL, p->image->n_layers, fetch_layer, p, cancel, err);
	if (r < 0)
		return r;
	cb_descriptor_copy(&p->desc, &p->image->manifest);
	p->desc.has_platform = true;
	p->desc.platform = p->image->config->platform;
	return 0;
}

static int pull_main(void *arg, struct cb_err **err)
{
	struct pulling *p = arg;
	struct cb_transfer *t = &p->transfer;
	int r;

	if (p->request->all)
		r = cb_pull_all(t->puller, p->full, PARALLEL, progress, p, t->scheduler.cancel, &p->desc, err);
	else
		r = pull_one(p, err);
	/* What was asked for by its digest has no name. */
	if (r == 0 && !strchr(p->full, '@'))
		r = cb_tag_set(t->store, p->full, &p->desc, err);
	return r;
}

static int run(struct pulling *p, struct cb_err **err)
{
	cleanup_free char *name = cb_xasprintf("pulling %s", p->full);
	const char *digest = p->desc.digest.text;
	int r = cb_transfer_run(&p->transfer, name, pull_main, p, err);

	if (r == 0 && p->request->digest_file)
		r = cb_atomic_write(AT_FDCWD, p->request->digest_file, digest, strlen(digest), 0644, err);
	if (r < 0)
		return r;
	if (strchr(p->full, '@') ? printf("%s\n", p->full) < 0 : printf("%s@%s\n", p->full, digest) < 0)
		return cb_err_errno(err, errno, "write standard output");
	return fflush(stdout) < 0 ? cb_err_errno(err, errno, "write standard output") : 0;
}

int cb_cmd_pull(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	struct pulling pulling = { .request = &request };
	int r = read_arguments(argc, argv, &request, &err), status;

	if (r > 0) {
		cb_transfer_options_done(&request.options);
		return cb_help_command("pull");
	}
	if (r == 0)
		r = parse_name(&pulling, &err);
	if (r == 0)
		r = cb_transfer_open(&pulling.transfer, &request.options, "Pulling", &err);
	if (r < 0) {
		status = cb_report_fail(err, NULL, NULL);
	} else {
		r = run(&pulling, &err);
		status = cb_transfer_conclude(&pulling.transfer, r, err);
		cb_image_free(pulling.image);
		cb_transfer_close(&pulling.transfer);
	}
	cb_descriptor_done(&pulling.desc);
	free(pulling.full);
	cb_transfer_options_done(&request.options);
	return status;
}
