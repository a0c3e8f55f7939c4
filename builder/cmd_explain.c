/* `cbuild explain`: why the steps of the last build ran. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "builder/account.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/inputs.h"
#include "builder/report.h"
#include "builder/storecmd.h"
#include "layers/journal.h"

enum { EXPLAIN_FORMAT = 1, EXPLAIN_ROOT };

const struct cb_opt cb_explain_options[] = {
	{ "format", 0, CB_OPT_VALUE, EXPLAIN_FORMAT, "FORMAT", "text, or JSON for programs", "text|json" },
	{ "root", 0, CB_OPT_VALUE, EXPLAIN_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	const char *context, *root;
	bool json;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (opt->id != EXPLAIN_ROOT)
		return cb_storecmd_format(value, &request->json, err);
	request->root = value;
	return 0;
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (request->context)
		return cb_err_set(
			err, CB_ERR_USAGE, "one context, please: \"%s\" and \"%s\" are two", request->context, value);
	request->context = value;
	return 0;
}

/** 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "explain",
		.tables = { cb_explain_options },
		.option = take_option,
		.arg = ret,
		.operand = take_operand };

	return cb_opt_read(&reader, argc, argv, err);
}

static int explain(struct cb_store *store, const struct request *request, struct cb_buf *out, struct cb_err **err)
{
	cleanup_free char *project = request->context ? cb_inputs_project(request->context) : NULL;
	cleanup_free char *text = NULL;
	cleanup_json json_t *account = NULL;
	int r = cb_journal_latest(store, project, &text, err);

	if (r > 0) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "%s was not built with this store yet",
			request->context ? request->context : "anything");
		return cb_err_hint(err, CB_ERR_NOT_FOUND, "name the context that was built, and the store with --root");
	}
	if (r == 0)
		r = cb_json_parse(text, strlen(text), &account, err);
	if (r == 0)
		r = cb_account_complete(store, NULL, account, err);
	if (r < 0)
		return r;
	if (request->json) {
		cleanup_free char *dump = cb_json_dump(account, false);

		cb_buf_addf(out, "%s\n", dump);
	} else {
		cb_account_text(account, out);
	}
	return 0;
}

static int print(const struct cb_buf *text, bool sanitise, struct cb_err **err)
{
	cleanup_buf struct cb_buf clean = { 0 };

	if (sanitise)
		cb_progress_sanitise(&clean, text->data, text->len);
	if (cb_fd_write_all(STDOUT_FILENO, sanitise ? clean.data : text->data, sanitise ? clean.len : text->len) < 0)
		return cb_err_errno(err, errno, "write standard output");
	return 0;
}

int cb_cmd_explain(int argc, char **argv)
{
	CB_CLEANUP(cb_store_free) struct cb_store *store = NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_free char *root = NULL;
	struct request request = { 0 };
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("explain");
	if (r == 0)
		r = cb_runtime_enter(CB_ISOLATION_AUTO, &err);
	root = cb_settings_default_root(request.root, environ);
	if (r == 0) {
		r = cb_store_open(root, cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER, &store, &err);
		if (r < 0)
			r = cb_err_recode(&err, CB_ERR_IO);
	}
	if (r == 0)
		r = explain(store, &request, &out, &err);
	if (r == 0)
		r = print(&out, !request.json, &err);
	return r < 0 ? cb_report_fail(err, NULL, NULL) : CB_EXIT_OK;
}
