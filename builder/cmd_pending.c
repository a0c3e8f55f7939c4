/* Commands whose work is done elsewhere and has not arrived: they say so and fail. */
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"

const struct cb_opt cb_graph_options[] = { { 0 } };

static int refuse(const char *name)
{
	cleanup_err struct cb_err *err = NULL;

	cb_err_set(&err, CB_ERR_UNSUPPORTED, "cbuild %s is not part of this version", name);
	return cb_report_fail(err, NULL, NULL);
}

int cb_cmd_build(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return refuse("build");
}

int cb_cmd_graph(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return refuse("graph");
}
