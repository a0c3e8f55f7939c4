/* `cbuild tag` and `cbuild rmi`: names of images in the store. */
#include <string.h>
#include <unistd.h>

#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "builder/storedimage.h"
#include "layers/gc.h"
#include "layers/reach.h"
#include "layers/ref.h"

enum { OPT_FORCE = 1, OPT_ROOT };

const struct cb_opt cb_tag_options[] = {
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};
const struct cb_opt cb_rmi_options[] = {
	{ "force", 'f', CB_OPT_FLAG, OPT_FORCE, NULL,
		"remove all names of an image that is given by its id; an image that is not there is no failure",
		NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	bool force;
	const char *root;
	struct cb_strv operands;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	if (opt->id == OPT_FORCE)
		request->force = cb_opt_bool(value);
	else
		request->root = value;
	return 0;
}

/* ---- tag ------------------------------------------------------------------------------------------------------ */

static int tag(const struct request *request, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	int r;

	if (request->operands.n < 2) {
		r = cb_err_set(err, CB_ERR_USAGE, "tag needs an image and a new name");
		return cb_err_hint(err, r, "for example: cbuild tag app:latest registry.example/app:1.0");
	}
	r = cb_storecmd_open(request->root, &store, err);
	if (r == 0)
		r = cb_stored_find(store, request->operands.v[0], &desc, err);
	for (size_t i = 1; r == 0 && i < request->operands.n; i++)
		r = cb_tag_set(store, request->operands.v[i], &desc, err);
	return r;
}

int cb_cmd_tag(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	const struct cb_opt_reader reader = { .command = "tag",
		.tables = { cb_tag_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err);

	if (r == 0)
		r = tag(&request, &err);
	cb_strv_done(&request.operands);
	if (r > 0)
		return cb_help_command("tag");
	return r < 0 ? cb_storecmd_fail(err) : CB_EXIT_OK;
}

/* ---- rmi ------------------------------------------------------------------------------------------------------ */

/* The clock of file systems advances in ticks; blobs that this process looked at must be older than its next open. */
#define TICK_USEC 30000

struct removal {
	struct cb_store *store;
	struct cb_reach reach; /* of what lost its name */
	struct cb_buf out;
};

static int untag(struct removal *removal, const char *name, const struct cb_descriptor *desc, struct cb_err **err)
{
	int r;

	cb_reach_add(removal->store, desc, &removal->reach);
	r = cb_tag_remove(removal->store, name, err);
	if (r == 0)
		cb_buf_addf(&removal->out, "Untagged: %s\n", name);
	return r < 0 ? r : 0;
}

/* Whether @text is the name of the image, not digits of its id. */
static bool is_name_of(const struct cb_strv *names, const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
	cleanup_free char *full = NULL;

	if (cb_ref_parse(text, &ref, NULL) < 0)
		return false;
	full = cb_ref_format(ref);
	return cb_strv_has(names, full);
}

static int names_of(struct cb_store *store, const struct cb_descriptor *desc, struct cb_strv *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	int r = cb_tag_list(store, &index, err);

	for (size_t i = 0; r == 0 && i < index->n_entries; i++) {
		const char *name = cb_descriptor_annotation(&index->entries[i], CB_ANNOTATION_REF_NAME);

		if (name && cb_digest_equal(&index->entries[i].digest, &desc->digest))
			cb_strv_add(ret, name);
	}
	return r;
}

static int remove_one(struct removal *removal, const struct request *request, const char *text, struct cb_err **err)
{
	cleanup_descriptor struct cb_descriptor desc = { 0 };
	cleanup_strv struct cb_strv names = { 0 };
	int r = cb_tag_find(removal->store, text, &desc, err);

	if (r > 0 && request->force)
		return 0;
	if (r > 0)
		r = cb_stored_find(removal->store, text, &desc, err);
	if (r == 0)
		r = names_of(removal->store, &desc, &names, err);
	if (r < 0)
		return r;
	if (is_name_of(&names, text))
		return untag(removal, text, &desc, err);
	if (names.n > 1 && !request->force) {
		cleanup_free char *list = cb_strv_join(&names, ", ");

		r = cb_err_set(err, CB_ERR_INPUT, "image %s has several names: %s", text, list);
		return cb_err_hint(err, r, "remove one by its name, or all of them with --force");
	}
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = untag(removal, names.v[i], &desc, err);
	if (r == 0) {
		cb_reach_add(removal->store, &desc, &removal->reach);
		r = cb_tag_remove_unnamed(removal->store, &desc.digest, err);
	}
	return r < 0 ? r : 0;
}

static bool lost_its_name(void *ctx, const struct cb_usage_item *item)
{
	const struct removal *removal = ctx;

	return item->kind == CB_USAGE_BLOB && !item->parent && cb_map_has(removal->reach.blobs, item->id);
}

static void tell_gone(void *ctx, const struct cb_usage_item *item)
{
	cb_buf_addf(&((struct removal *)ctx)->out, "Deleted: %s\n", item->id);
}

/* Blobs that nothing else needs. Layers of cached steps stay with their steps, for prune. */
static int sweep(struct removal *removal, const struct request *request, struct cb_err **err)
{
	struct cb_gc what = { .take = lost_its_name, .gone = tell_gone, .ctx = removal };
	struct cb_gc_result result;
	int r;

	removal->store = cb_store_free(removal->store);
	if (!removal->reach.blobs)
		return 0;
	usleep(TICK_USEC);
	r = cb_storecmd_open(request->root, &removal->store, err);
	return r < 0 ? r : cb_gc_run(removal->store, &what, &result, err);
}

static int remove_images(struct removal *removal, const struct request *request, struct cb_err **err)
{
	cleanup_err struct cb_err *late = NULL;
	int failed = 0, r;

	if (!request->operands.n)
		return cb_err_set(err, CB_ERR_USAGE, "rmi needs the name of an image");
	r = cb_storecmd_open(request->root, &removal->store, err);
	if (r < 0)
		return r;
	/* Those that can be removed are; the first failure is told. */
	for (size_t i = 0; i < request->operands.n; i++) {
		r = remove_one(removal, request, request->operands.v[i], failed ? NULL : err);
		if (r < 0 && !failed)
			failed = r;
	}
	r = sweep(removal, request, failed ? &late : err);
	return failed ? failed : r;
}

int cb_cmd_rmi(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	struct removal removal = { 0 };
	const struct cb_opt_reader reader = { .command = "rmi",
		.tables = { cb_rmi_options },
		.option = take_option,
		.arg = &request,
		.operands = &request.operands };
	int r = cb_opt_read(&reader, argc, argv, &err), status;

	if (r == 0)
		r = remove_images(&removal, &request, &err);
	status = cb_storecmd_print(&removal.out);
	cb_store_free(removal.store);
	cb_reach_done(&removal.reach);
	cb_buf_done(&removal.out);
	cb_strv_done(&request.operands);
	if (r > 0)
		return cb_help_command("rmi");
	return r < 0 ? cb_storecmd_fail(err) : status;
}
