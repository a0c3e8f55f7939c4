#include "builder/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/strv.h"
#include "builder/access.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"

const struct cb_command cb_commands[] = {
	{ "build", "[OPTIONS] CONTEXT", "build an image (the default command)", { cb_build_options, NULL },
		cb_cmd_build },
	{ "check", "[OPTIONS] CONTEXT|FILE", "report what is unwise in a Buildfile, without building",
		{ cb_check_options_table, cb_build_options }, cb_cmd_check },
	{ "explain", "[OPTIONS] [CONTEXT]", "say why the steps of the last build ran", { cb_explain_options, NULL },
		cb_cmd_explain },
	{ "graph", "[OPTIONS] CONTEXT", "print the graph of steps of a build", { cb_graph_options, cb_build_options },
		cb_cmd_graph },
	{ "verify", "[OPTIONS] CONTEXT", "build twice, and say where the results begin to differ",
		{ cb_build_options, NULL }, cb_cmd_verify },
	{ "run", "[OPTIONS] IMAGE [COMMAND...]", "run a built image in the foreground", { cb_run_options, NULL },
		cb_cmd_run },
	{ "push", "[OPTIONS] NAME [DEST]", "push an image of the store to a registry",
		{ cb_push_options, cb_access_options }, cb_cmd_push },
	{ "pull", "[OPTIONS] NAME", "fetch an image into the store", { cb_pull_options, cb_access_options },
		cb_cmd_pull },
	{ "index", "create [OPTIONS] NAME SOURCE...", "join images of single platforms in one name",
		{ cb_index_options, cb_access_options }, cb_cmd_index },
	{ "login", "[OPTIONS] [REGISTRY]", "try and keep user and password of a registry",
		{ cb_login_options, cb_access_options }, cb_cmd_login },
	{ "logout", "[REGISTRY]", "forget user and password of a registry", { NULL, NULL }, cb_cmd_logout },
	{ "parse", "[OPTIONS] FILE|-", "check the syntax of a Buildfile, or print its tree", { cb_parse_options, NULL },
		cb_cmd_parse },
	{ "fmt", "[OPTIONS] FILE|-...", "give Buildfiles the common look", { cb_fmt_options, NULL }, cb_cmd_fmt },
	{ "flatten", "[OPTIONS] CONTEXT", "print the equivalent Dockerfile in one file", { cb_flatten_options, NULL },
		cb_cmd_flatten },
	{ "doctor", "[OPTIONS]", "tell what this host allows, and how to get more", { cb_doctor_options, NULL },
		cb_cmd_doctor },
	{ "images", "[OPTIONS] [PATTERN...]", "list the images of the store", { cb_images_options, NULL },
		cb_cmd_images },
	{ "tag", "[OPTIONS] IMAGE NAME...", "give an image one more name", { cb_tag_options, NULL }, cb_cmd_tag },
	{ "rmi", "[OPTIONS] IMAGE...", "remove images from the store", { cb_rmi_options, NULL }, cb_cmd_rmi },
	{ "inspect", "[OPTIONS] IMAGE...", "show config and manifest of an image", { cb_inspect_options, NULL },
		cb_cmd_inspect },
	{ "history", "[OPTIONS] IMAGE", "show what an image was made by", { cb_history_options, NULL },
		cb_cmd_history },
	{ "size", "[OPTIONS] IMAGE [IMAGE]", "show what the layers of an image hold, and what grew",
		{ cb_size_options, cb_access_options }, cb_cmd_size },
	{ "diff", "[OPTIONS] IMAGE IMAGE", "show how two images differ", { cb_diff_options, cb_access_options },
		cb_cmd_diff },
	{ "save", "[OPTIONS] IMAGE...", "write images to an archive", { cb_save_options, NULL }, cb_cmd_save },
	{ "load", "[OPTIONS] [FILE|DIR]", "read images from an archive or a layout", { cb_load_options, NULL },
		cb_cmd_load },
	{ "cache-mount", "ls|export|import|rm [OPTIONS] [ID...] [CACHE]",
		"show, remove, keep and fetch what RUN --mount=type=cache left",
		{ cb_cache_mount_options, cb_access_options }, cb_cmd_cache_mount },
	{ "du", "[OPTIONS]", "show what the store holds", { cb_du_options, NULL }, cb_cmd_du },
	{ "prune", "[OPTIONS]", "remove what no image and no build needs", { cb_prune_options, NULL }, cb_cmd_prune },
	{ "policy", "[OPTIONS]", "show or set what the store keeps by itself", { cb_policy_options, NULL },
		cb_cmd_policy },
	{ "fsck", "[OPTIONS]", "check the store, and mend it with --repair", { cb_fsck_options, NULL }, cb_cmd_fsck },
	{ "completion", "bash|zsh|fish", "print completions for a shell", { NULL, NULL }, cb_cmd_completion },
	{ "debug", "words", "answer requests for expansion on standard input", { NULL, NULL }, cb_cmd_debug },
	{ "version", "", "print the version", { NULL, NULL }, cb_cmd_version },
	{ "help", "[COMMAND]", "explain cbuild or one command", { NULL, NULL }, cb_cmd_help },
};
const size_t cb_n_commands = ARRAY_SIZE(cb_commands);

const struct cb_command *cb_command_find(const char *name)
{
	for (size_t i = 0; i < cb_n_commands; i++) {
		if (!strcmp(cb_commands[i].name, name))
			return &cb_commands[i];
	}
	return NULL;
}

/** A first operand that is no path and nearly a command is a slip of the finger. */
static int check_typo(const char *arg, struct cb_err **err)
{
	const char *names[ARRAY_SIZE(cb_commands)], *near;

	if (*arg == '-' || strchr(arg, '/') || strchr(arg, '.') || !access(arg, F_OK))
		return 0;
	for (size_t i = 0; i < cb_n_commands; i++)
		names[i] = cb_commands[i].name;
	near = cb_str_nearest(arg, names, cb_n_commands);
	if (!near)
		return 0;
	cb_err_set(err, CB_ERR_USAGE, "there is no command or context \"%s\"", arg);
	return cb_err_hint(err, CB_ERR_USAGE, "did you mean cbuild %s?", near);
}

/*
 * A descriptor that was closed for us must not become the store's database, with the result printed into it: something
 * stands in that fails as a closed one does. What goes to standard error may be lost.
 */
static void hold_standard_descriptors(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < (int)ARRAY_SIZE(flags); fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			_exit(CB_EXIT_ENVIRONMENT);
	}
}

int cb_command_main(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	const struct cb_command *command;

	hold_standard_descriptors();
	/* A closed pipe and a file that grew above `ulimit -f` are errors to report, not a death in the middle of a
	 * build. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		cb_help_print(NULL, STDERR_FILENO);
		return CB_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cb_help_print(NULL, STDOUT_FILENO);
	if (!strcmp(argv[1], "--version"))
		return cb_cmd_version(0, NULL);
	command = cb_command_find(argv[1]);
	if (command)
		return command->run(argc - 2, argv + 2);
	if (check_typo(argv[1], &err) < 0)
		return cb_report_fail(err, NULL, NULL);
	return cb_cmd_build(argc - 1, argv + 1);
}
