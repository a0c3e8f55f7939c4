/* `cbuild fsck`: is the store sound? */
#include <string.h>
#include <unistd.h>

#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/storecmd.h"
#include "layers/fsck.h"

enum { OPT_QUICK = 1, OPT_REPAIR, OPT_ROOT };

const struct cb_opt cb_fsck_options[] = {
	{ "quick", 0, CB_OPT_FLAG, OPT_QUICK, NULL, "do not read the content of blobs and snapshots", NULL },
	{ "repair", 0, CB_OPT_FLAG, OPT_REPAIR, NULL, "mend what can be mended, drop what is of no use any more",
		NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	bool quick, repair;
	const char *root;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	(void)err;
	if (opt->id == OPT_ROOT)
		request->root = value;
	else
		*(opt->id == OPT_QUICK ? &request->quick : &request->repair) = cb_opt_bool(value);
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = {
		.command = "fsck", .tables = { cb_fsck_options }, .option = take_option, .arg = ret
	};

	return cb_opt_read(&reader, argc, argv, err);
}

/* A damaged database is put aside: what it knew can be made again, but for the images, which do not need it. */
static int replace_database(const struct request *request, struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *root = cb_settings_default_root(request->root, environ), *aside = NULL;
	int r = cb_fsck_reset(root, &aside, err);

	if (r == 0)
		cb_buf_addf(out, "repaired: the database was damaged and is now %s; cached steps are lost\n", aside);
	return r;
}

static int check_once(const struct request *request, struct cb_fsck *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	unsigned int flags = (request->quick ? 0u : CB_FSCK_CONTENT) | (request->repair ? CB_FSCK_REPAIR : 0u);
	int r = cb_storecmd_open(request->root, &store, err);

	return r < 0 ? r : cb_fsck_run(store, flags, cb_storecmd_cancel(), ret, err);
}

static void add_result(struct cb_buf *out, const struct cb_fsck *fsck)
{
	for (size_t i = 0; i < fsck->n; i++)
		cb_report_text(out, fsck->problems[i].repaired ? "repaired: " : "problem: ", fsck->problems[i].text);
	cb_buf_addf(out, "%zu snapshots, %zu blobs, %zu images: ", fsck->snapshots, fsck->blobs, fsck->images);
	if (!fsck->n)
		cb_buf_adds(out, "no problem\n");
	else
		cb_buf_addf(out, "%zu problems, %zu repaired\n", fsck->n, fsck->n_repaired);
}

int cb_cmd_fsck(int argc, char **argv)
{
	__attribute__((cleanup(cb_fsck_done))) struct cb_fsck fsck = { 0 };
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	struct request request = { 0 };
	int r = read_arguments(argc, argv, &request, &err), status;

	if (r > 0)
		return cb_help_command("fsck");
	if (r == 0)
		r = check_once(&request, &fsck, &err);
	if (r == CB_ERR_CORRUPT && request.repair) {
		err = cb_err_free(err);
		cb_fsck_done(&fsck);
		r = replace_database(&request, &out, &err);
		if (r == 0)
			r = check_once(&request, &fsck, &err);
	} else if (r == CB_ERR_CORRUPT) {
		cb_err_hint(&err, r,
			"cbuild fsck --repair puts a new one in its place: images stay, cached steps are lost");
	}
	if (r < 0)
		return cb_storecmd_fail(err);
	add_result(&out, &fsck);
	status = cb_storecmd_print(&out);
	return status == CB_EXIT_OK && fsck.n > fsck.n_repaired ? CB_EXIT_FAILED : status;
}
