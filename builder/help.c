#include "builder/help.h"

#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/report.h"

static void overview(struct cb_buf *out)
{
	cb_buf_adds(out, "cbuild builds OCI images from Buildfiles (Dockerfiles).\n\n"
			 "Usage: cbuild [build] [OPTIONS] CONTEXT\n"
			 "       cbuild COMMAND ...\n\nCommands:\n");
	for (size_t i = 0; i < cb_n_commands; i++)
		cb_buf_addf(out, "  %-12s %s\n", cb_commands[i].name, cb_commands[i].summary);
	cb_buf_adds(out,
		"\nOptions of a command: cbuild COMMAND --help\n\n"
		"Exit status: 0 done, 1 the build failed, 2 wrong usage, 125 this host or cbuild itself failed,\n"
		"126 a registry or the network failed and a retry may help, 130 and 143 interrupted.\n");
}

void cb_help_text(struct cb_buf *out, const struct cb_command *command)
{
	if (!command) {
		overview(out);
		return;
	}
	cb_buf_addf(out, "Usage: cbuild %s %s\n\n%s\n\nOptions:\n", command->name, command->args, command->summary);
	cb_opt_help(out, command->options);
}

int cb_help_print(const struct cb_command *command, int fd)
{
	cleanup_buf struct cb_buf out = { 0 };

	cb_help_text(&out, command);
	return cb_fd_write_all(fd, out.data, out.len) < 0 ? CB_EXIT_ENVIRONMENT : CB_EXIT_OK;
}

int cb_help_command(const char *name)
{
	return cb_help_print(cb_command_find(name), STDOUT_FILENO);
}

int cb_cmd_help(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	const struct cb_command *command = NULL;

	if (argc > 0) {
		command = cb_command_find(argv[0]);
		if (!command) {
			cb_err_set(&err, CB_ERR_USAGE, "there is no command \"%s\"", argv[0]);
			return cb_report_fail(err, NULL, NULL);
		}
	}
	return cb_help_print(command, STDOUT_FILENO);
}

int cb_cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return printf("cbuild %s\n", CB_VERSION) < 0 || fflush(stdout) ? CB_EXIT_ENVIRONMENT : CB_EXIT_OK;
}
