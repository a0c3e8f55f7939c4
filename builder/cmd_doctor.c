/* `cbuild doctor`: which ways of separating steps work here, why the others do not, and what can be done. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/command.h"
#include "builder/doctor.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/storecmd.h"

enum { DOCTOR_FORMAT = 1, DOCTOR_ROOT };

const struct cb_opt cb_doctor_options[] = {
	{ "format", 0, CB_OPT_VALUE, DOCTOR_FORMAT, "FORMAT", "print text or json", "text|json" },
	{ "root", 0, CB_OPT_VALUE, DOCTOR_ROOT, "DIR", "the store", "dir" },
	{ 0 },
};

struct request {
	bool json;
	const char *root;
};

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	if (opt->id != DOCTOR_ROOT)
		return cb_storecmd_format(value, &request->json, err);
	request->root = value;
	return 0;
}

/* 1 when help was asked for. */
static int read_arguments(int argc, char **argv, struct request *ret, struct cb_err **err)
{
	const struct cb_opt_reader reader = {
		.command = "doctor", .tables = { cb_doctor_options }, .option = take_option, .arg = ret
	};

	return cb_opt_read(&reader, argc, argv, err);
}

static json_t *rung_json(const struct cb_doctor_rung *rung, bool chosen)
{
	return json_pack("{s:s,s:b,s:b,s:s,s:s,s:i,s:s,s:s}", "name", cb_isolation_name(rung->isolation), "works",
		rung->works, "chosen", chosen, "gives", cb_isolation_gives(rung->isolation), "reason", rung->reason,
		"errno", rung->errnum, "remedy", rung->remedy, "layers", rung->overlay);
}

/* What has no emulator has one remedy: it is said once. */
static void print_platforms(const json_t *platforms, struct cb_buf *out)
{
	const char *remedy = "";
	json_t *item;
	size_t i;

	if (json_array_size(platforms))
		cb_buf_adds(out, "\nplatforms whose programs run in steps\n");
	json_array_foreach(platforms, i, item)
	{
		const char *detail = json_string_value(json_object_get(item, "detail"));
		const char *fix = json_string_value(json_object_get(item, "remedy"));

		cb_buf_addf(out, "  %-15s %s%s%s%s\n", json_string_value(json_object_get(item, "name")),
			json_string_value(json_object_get(item, "gives")), *detail ? " (" : "", detail,
			*detail ? ")" : "");
		if (*fix)
			remedy = fix;
	}
	if (*remedy)
		cb_buf_addf(out, "  %-15s fix: %s\n", "", remedy);
}

static void print_text(const json_t *doc, struct cb_buf *out)
{
	json_t *item;
	size_t i;

	cb_buf_adds(out, "isolation, best first\n");
	json_array_foreach(json_object_get(doc, "rungs"), i, item)
	{
		bool works = json_is_true(json_object_get(item, "works"));
		const char *remedy = json_string_value(json_object_get(item, "remedy"));
		cb_buf_addf(out, "  %-13s %-4s %s%s\n", json_string_value(json_object_get(item, "name")),
			works ? "yes" : "no",
			works ? json_string_value(json_object_get(item, "layers"))
			      : json_string_value(json_object_get(item, "reason")),
			json_is_true(json_object_get(item, "chosen")) ? "  <- builds take this" : "");
		if (!works && *remedy)
			cb_buf_addf(out, "  %-13s      fix: %s\n", "", remedy);
	}
	print_platforms(json_object_get(doc, "platforms"), out);
	cb_buf_adds(out, "\nhost\n");
	json_array_foreach(json_object_get(doc, "host"), i, item)
	{
		const char *remedy = json_string_value(json_object_get(item, "remedy"));
		cb_buf_addf(out, "  %-15s %s%s\n", json_string_value(json_object_get(item, "name")),
			json_is_true(json_object_get(item, "ok")) ? "" : "! ",
			json_string_value(json_object_get(item, "value")));
		if (*remedy)
			cb_buf_addf(out, "  %-15s   fix: %s\n", "", remedy);
	}
}

/* Auto first: it says which one the others are measured by. */
static int examine(const char *root, json_t **ret, struct cb_err **err)
{
	cleanup_json json_t *rungs = json_array();
	cleanup_json json_t *platforms = json_array();
	enum cb_isolation chosen = CB_ISOLATION_AUTO;
	int r = 0;

	for (int i = CB_ISOLATION_AUTO; r == 0 && i <= CB_ISOLATION_LAST; i++) {
		__attribute__((cleanup(cb_doctor_rung_done))) struct cb_doctor_rung rung = { 0 };
		r = cb_doctor_try((enum cb_isolation)i, root, &rung, err);
		if (r == 0 && i == CB_ISOLATION_AUTO) {
			chosen = rung.works ? rung.got : CB_ISOLATION_AUTO;
			if (rung.platforms)
				json_array_extend(platforms, rung.platforms);
		}
		if (r == 0 && i != CB_ISOLATION_AUTO)
			json_array_append_new(rungs, rung_json(&rung, chosen == rung.isolation));
	}
	if (r < 0)
		return r;
	*ret = json_pack("{s:s,s:b,s:O,s:O,s:o}", "isolation", cb_isolation_name(chosen), "works",
		chosen != CB_ISOLATION_AUTO, "rungs", rungs, "platforms", platforms, "host", cb_doctor_host(root));
	return 0;
}

int cb_cmd_doctor(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	cleanup_json json_t *doc = NULL;
	struct request request = { 0 };
	int r = read_arguments(argc, argv, &request, &err);

	if (r > 0)
		return cb_help_command("doctor");
	cleanup_free char *root = cb_settings_default_root(request.root, environ);
	if (r == 0)
		r = examine(root, &doc, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	if (request.json) {
		cleanup_free char *text = cb_json_dump(doc, false);
		cb_buf_addf(&out, "%s\n", text);
	} else {
		print_text(doc, &out);
	}
	if (cb_fd_write_all(STDOUT_FILENO, out.data, out.len) < 0)
		return CB_EXIT_ENVIRONMENT;
	return json_is_true(json_object_get(doc, "works")) ? CB_EXIT_OK : CB_EXIT_ENVIRONMENT;
}
