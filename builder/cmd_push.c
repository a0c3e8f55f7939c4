/* `cbuild push NAME [DEST]`: an image of the store to a registry. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/transfer.h"
#include "layers/image.h"
#include "layers/push.h"

enum { OPT_DIGEST_FILE = 1 };

const struct cb_opt cb_push_options[] = {
	{ "digest-file", 0, CB_OPT_VALUE, OPT_DIGEST_FILE, "FILE", "write the digest of what was pushed to FILE",
		"file" },
	CB_TRANSFER_OPTS,
	{ 0 },
};

struct request {
	struct cb_transfer_options options;
	const char *name, *dest, *digest_file;
};

struct pushing {
	struct cb_transfer transfer;
	const struct request *request;
	struct cb_ref *ref;
	struct cb_descriptor desc;
	pthread_mutex_t lock; /* of the counts */
	unsigned int sent, there, mounted;
	uint64_t bytes;
};

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->name && request->dest)
		return cb_err_set(err, CB_ERR_USAGE, "push takes a name and a destination: \"%s\"", value);
	*(request->name ? &request->dest : &request->name) = value;
	return 0;
}

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (opt->id != OPT_DIGEST_FILE)
		return cb_transfer_set(&request->options, opt, value, err);
	request->digest_file = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "push",
		.tables = { cb_push_options, cb_access_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r == 0 && !ret->name) {
		cb_err_set(err, CB_ERR_USAGE, "push needs the name of an image");
		return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild push registry.example.com/team/app:1");
	}
	return r;
}

/* Where the image goes: DEST, else the place that its name says. */
static int parse_dest(const struct request *request, struct cb_ref **ret, struct cb_err **err)
{
	const char *text = request->dest ? request->dest : request->name;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	int r;

	if (cb_str_starts(text, "docker://"))
		text += strlen("docker://");
	r = cb_ref_parse(text, &ref, err);
	if (r < 0)
		return cb_err_recode(err, CB_ERR_USAGE);
	if (ref->has_digest) {
		cb_err_set(err, CB_ERR_USAGE, "cannot push to a digest: \"%s\"", text);
		return cb_err_hint(err, CB_ERR_USAGE, "name a tag: cbuild push NAME REGISTRY/REPOSITORY:TAG");
	}
	*ret = CB_TAKE_PTR(ref);
	return 0;
}

/* Whether two images share a layer. */
static bool share(const struct cb_manifest *a, const struct cb_manifest *b)
{
	for (size_t i = 0; i < a->n_layers; i++)
		for (size_t j = 0; j < b->n_layers; j++)
			if (cb_digest_equal(&a->layers[i].digest, &b->layers[j].digest))
				return true;
	return false;
}

/* Repositories of the same registry whose images here share layers with ours: they may have them there, too. */
static void find_mounts(struct pushing *p, struct cb_strv *ret)
{
	CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *ours = NULL;
	CB_CLEANUP(cb_index_free) struct cb_index *names = NULL;
	struct cb_store *store = p->transfer.store;

	if (cb_stored_image_load(store, &p->desc, NULL, &ours, NULL) < 0 || cb_tag_list(store, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names->n_entries; i++) {
		const char *name = cb_descriptor_annotation(&names->entries[i], CB_ANNOTATION_REF_NAME);
		CB_CLEANUP(cb_stored_image_free) struct cb_stored_image *other = NULL;
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

		if (!name || cb_ref_parse(name, &ref, NULL) < 0 || !cb_str_eq(ref->registry, p->ref->registry) ||
			cb_strv_has(ret, ref->repository))
			continue;
		if (cb_stored_image_load(store, &names->entries[i], NULL, &other, NULL) == 0 &&
			share(ours->manifest, other->manifest))
			cb_strv_add(ret, ref->repository);
	}
}

static void report(void *userdata, const struct cb_descriptor *blob, enum cb_push_state state, uint64_t sent)
{
	struct pushing *p = userdata;

	if (state == CB_PUSH_SENDING || state == CB_PUSH_SENT)
		cb_transfer_status(&p->transfer, blob->digest.text, sent, blob->size);
	pthread_mutex_lock(&p->lock);
	p->sent += state == CB_PUSH_SENT;
	p->bytes += state == CB_PUSH_SENT ? blob->size : 0;
	p->there += state == CB_PUSH_THERE;
	p->mounted += state == CB_PUSH_MOUNTED;
	pthread_mutex_unlock(&p->lock);
}

static int push_main(void *arg, struct cb_err **err)
{
	struct pushing *p = arg;
	cleanup_strv struct cb_strv tags = { 0 }, mounts = { 0 };
	cleanup_free char *line = NULL;
	struct cb_push what = { .registry = p->transfer.registry,
		.store = p->transfer.store,
		.desc = &p->desc,
		.ref = p->ref,
		.tags = &tags,
		.mount_from = &mounts,
		.progress = report,
		.userdata = p,
		.cancel = p->transfer.scheduler.cancel };
	int r;

	cb_strv_add(&tags, p->ref->tag);
	find_mounts(p, &mounts);
	r = cb_push_image(&what, err);
	if (r < 0)
		return r;
	line = cb_xasprintf("blobs: %u sent, %u there, %u mounted", p->sent, p->there, p->mounted);
	cb_transfer_status(&p->transfer, line, 1, 1);
	return 0;
}

/* The image that the request names. */
static int find_image(struct pushing *p, struct cb_err **err)
{
	int r = cb_tag_find(p->transfer.store, p->request->name, &p->desc, err);

	if (r <= 0)
		return r;
	cb_err_set(err, CB_ERR_NOT_FOUND, "image %s is not in the store", p->request->name);
	return cb_err_hint(err, CB_ERR_NOT_FOUND, "cbuild -t %s . makes it", p->request->name);
}

static int run(struct pushing *p, struct cb_err **err)
{
	cleanup_free char *full = cb_ref_format(p->ref), *name = cb_xasprintf("pushing to %s", full);
	int r = find_image(p, err);

	if (r == 0)
		r = cb_transfer_run(&p->transfer, name, push_main, p, err);
	if (r == 0 && p->request->digest_file)
		r = cb_atomic_write(
			AT_FDCWD, p->request->digest_file, p->desc.digest.text, strlen(p->desc.digest.text), 0644, err);
	if (r == 0 && (printf("%s@%s\n", full, p->desc.digest.text) < 0 || fflush(stdout) < 0))
		r = cb_err_errno(err, errno, "write standard output");
	return r;
}

int cb_cmd_push(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	struct pushing pushing = { .request = &request };
	int r = read_arguments(argc, argv, &request, &err), status;

	if (r > 0) {
		cb_transfer_options_done(&request.options);
		return cb_help_command("push");
	}
	if (r == 0)
		r = parse_dest(&request, &pushing.ref, &err);
	if (r == 0)
		r = cb_transfer_open(&pushing.transfer, &request.options, "Pushing", &err);
	if (r < 0) {
		status = cb_report_fail(err, NULL, NULL);
	} else {
		pthread_mutex_init(&pushing.lock, NULL);
		r = run(&pushing, &err);
		status = cb_transfer_conclude(&pushing.transfer, r, err);
		cb_transfer_close(&pushing.transfer);
		pthread_mutex_destroy(&pushing.lock);
	}
	cb_descriptor_done(&pushing.desc);
	cb_ref_free(pushing.ref);
	cb_transfer_options_done(&request.options);
	return status;
}
