/* `cbuild index create NAME SOURCE...`: images of single platforms as one image of several. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/transfer.h"
#include "layers/image.h"
#include "layers/push.h"

enum { OPT_DIGEST_FILE = 1, OPT_PUSH };

const struct cb_opt cb_index_options[] = {
	{ "digest-file", 0, CB_OPT_VALUE, OPT_DIGEST_FILE, "FILE", "write the digest of the index to FILE", "file" },
	{ "push", 0, CB_OPT_FLAG, OPT_PUSH, NULL, "push it, with all its images, to the registry of NAME", NULL },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *verb, *name, *digest_file;
	struct cb_strv sources;
	bool push;
};

struct joining {
	struct cb_transfer transfer;
	const struct request *request;
	struct cb_ref *ref;
	char *full;
	struct cb_index *index;
	struct cb_descriptor desc; /* of the index */
};

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	if (!request->verb)
		request->verb = value;
	else if (!request->name)
		request->name = value;
	else
		cb_strv_add(&request->sources, value);
	return 0;
}

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_DIGEST_FILE:
		request->digest_file = value;
		return 0;
	case OPT_PUSH:
		request->push = cb_opt_bool(value);
		return 0;
	default:
		return cb_transfer_set(&request->options, opt, value, err);
	}
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "index",
		.tables = { cb_index_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r != 0)
		return r;
	if (!ret->verb || strcmp(ret->verb, "create") != 0)
		cb_err_set(err, CB_ERR_USAGE, "index knows one verb: create");
	else if (!ret->sources.n)
		cb_err_set(err, CB_ERR_USAGE, "index create needs a name and the images to join");
	else
		return 0;
	return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild index create app:1 app:1-amd64 app:1-arm64");
}

static int parse_name(struct joining *j, struct cb_err **err)
{
	int r = cb_ref_parse(j->request->name, &j->ref, err);

	if (r < 0)
		return cb_err_recode(err, CB_ERR_USAGE);
	if (j->ref->has_digest)
		return cb_err_set(err, CB_ERR_USAGE, "an index cannot be named by a digest: \"%s\"", j->request->name);
	j->full = cb_ref_format(j->ref);
	return 0;
}

static void progress(void *userdata, size_t layer, uint64_t bytes, uint64_t total)
{
	cleanup_free char *line = cb_xasprintf("blob %zu", layer + 1);

	cb_transfer_status(userdata, line, bytes, total);
}

/* @source in the store, else from its registry. "docker://" asks the registry in any case. */
static int find_source(struct joining *j, const char *source, struct cb_descriptor *ret, struct cb_err **err)
{
	struct cb_transfer *t = &j->transfer;
	int r = 1;

	if (cb_str_starts(source, "docker://"))
		source += strlen("docker://");
	else
		r = cb_tag_find(t->store, source, ret, err);
	if (r > 0)
		r = cb_pull_all(t->puller, source, 0, progress, t, t->scheduler.cancel, ret, err);
	return r;
}

static bool is_attestation(const struct cb_descriptor *entry)
{
	return entry->has_platform && cb_str_eq(entry->platform.os, "unknown");
}

static int add_entry(struct joining *j, const struct cb_descriptor *from, const char *source, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor entry = { 0 };
	char platform[CB_PLATFORM_TEXT_MAX], other[CB_PLATFORM_TEXT_MAX];

	cb_descriptor_copy(&entry, from);
	/* Names of the store are no business of an index. */
	cb_descriptor_annotate(&entry, CB_ANNOTATION_REF_NAME, NULL);
	cb_descriptor_annotate(&entry, CB_ANNOTATION_IMAGE_NAME, NULL);
	if (entry.annotations && !json_object_size(entry.annotations)) {
		json_decref(entry.annotations);
		entry.annotations = NULL;
	}
	cb_platform_format(&entry.platform, platform);
	for (size_t i = 0; i < j->index->n_entries; i++) {
		const struct cb_descriptor *at = &j->index->entries[i];

		if (cb_digest_equal(&at->digest, &entry.digest))
			return 0;
		cb_platform_format(&at->platform, other);
		if (!is_attestation(&entry) && strcmp(platform, other) == 0)
			return cb_err_set(
				err, CB_ERR_INPUT, "%s is the second image for %s in the index", source, platform);
	}
	cb_index_add(j->index, &entry);
	return 0;
}

static int add_index(struct joining *j, const struct cb_descriptor *desc, const char *source, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	cleanup_buf struct cb_buf text = { 0 };
	int r = cb_blob_read(j->transfer.store, &desc->digest, CB_INDEX_BYTES_MAX, &text, err);

	if (r == 0)
		r = cb_index_parse(cb_buf_str(&text), text.len, &index, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		r = add_entry(j, &index->entries[i], source, err);
	return r;
}

static int add_source(struct joining *j, const char *source, struct cb_err **err)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *image = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r = find_source(j, source, &desc, err);

	if (r < 0)
		return r;
	if (cb_media_kind(desc.media_type) == CB_MEDIA_KIND_INDEX)
		return add_index(j, &desc, source, err);
	r = cb_stored_image_load(j->transfer.store, &desc, NULL, &image, err);
	if (r < 0)
		return r;
	desc.has_platform = true;
	desc.platform = image->config->platform;
	return add_entry(j, &desc, source, err);
}

static void report(void *userdata, const struct cb_descriptor *blob, enum cb_push_state state, uint64_t sent)
{
	if (state == CB_PUSH_SENDING || state == CB_PUSH_SENT)
		cb_transfer_status(userdata, blob->digest.text, sent, blob->size);
}

static int push(struct joining *j, struct cb_err **err)
{
	cleanup_strv struct cb_strv tags = { 0 };
	struct cb_push what = { .registry = j->transfer.registry,
		.store = j->transfer.store,
		.desc = &j->desc,
		.ref = j->ref,
		.tags = &tags,
		.progress = report,
		.userdata = &j->transfer,
		.cancel = j->transfer.scheduler.cancel };

	cb_strv_add(&tags, j->ref->tag);
	return cb_push_image(&what, err);
}

static int join_main(void *arg, struct cb_err **err)
{
	struct joining *j = arg;
	cleanup_free char *text = NULL;
	struct cb_digest digest;
	size_t len;
	int r = 0;

	j->index = cb_index_new(false);
	for (size_t i = 0; r == 0 && i < j->request->sources.n; i++) {
		r = add_source(j, j->request->sources.v[i], err);
		if (r < 0 && r != CB_ERR_CANCELED)
			cb_err_wrap(err, r, "%s", j->request->sources.v[i]);
	}
	if (r < 0)
		return r;
	text = cb_index_write(j->index, &len);
	r = cb_blob_put(j->transfer.store, text, len, &digest, err);
	if (r < 0)
		return r;
	cb_descriptor_init(&j->desc, CB_MEDIA_OCI_INDEX, &digest, len);
	r = cb_tag_set(j->transfer.store, j->full, &j->desc, err);
	return r == 0 && j->request->push ? push(j, err) : r;
}

static int run(struct joining *j, struct cb_err **err)
{
	cleanup_free char *name = cb_xasprintf("joining %s", j->full);
	const char *digest = j->desc.digest.text;
	int r = cb_transfer_run(&j->transfer, name, join_main, j, err);

	if (r == 0 && j->request->digest_file)
		r = cb_atomic_write(AT_FDCWD, j->request->digest_file, digest, strlen(digest), 0644, err);
	if (r == 0 && (printf("%s@%s\n", j->full, digest) < 0 || fflush(stdout) < 0))
		r = cb_err_errno(err, errno, "write standard output");
	return r;
}

int cb_cmd_index(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	struct joining joining = { .request = &request };
	int r = read_arguments(argc, argv, &request, &err), status = CB_EXIT_OK;

	if (r == 0)
		r = parse_name(&joining, &err);
	if (r == 0)
		r = cb_transfer_open(&joining.transfer, &request.options, "Joining", &err);
	if (r > 0) {
		status = cb_help_command("index");
	} else if (r < 0) {
		status = cb_report_fail(err, NULL, NULL);
	} else {
		r = run(&joining, &err);
		status = cb_transfer_conclude(&joining.transfer, r, err);
		cb_transfer_close(&joining.transfer);
	}
	cb_index_free(joining.index);
	cb_descriptor_done(&joining.desc);
	cb_ref_free(joining.ref);
	free(joining.full);
	cb_strv_done(&request.sources);
	cb_transfer_options_done(&request.options);
	return status;
}
