/*
 * The subcommands of cbuild: main looks the name up here, help and completions are made from it.
 *
 * A command gets the arguments after its name, prints its results on standard output and everything else on standard
 * error, and returns an enum cb_exit.
 */
#ifndef CB_BUILDER_COMMAND_H
#define CB_BUILDER_COMMAND_H

#include <stddef.h>

#include "builder/opt.h"

struct cb_command {
	const char *name;                /* "parse" */
	const char *args;                /* "[OPTIONS] FILE|-" */
	const char *summary;             /* one line, lower case, no full stop */
	const struct cb_opt *options[2]; /* tables, ended by a zero entry each; NULL: none but --help */
	int (*run)(int argc, char **argv);
};

extern const struct cb_command cb_commands[];
extern const size_t cb_n_commands;

/** The command, or NULL. */
const struct cb_command *cb_command_find(const char *name);
/** Runs cbuild with the arguments of main. */
int cb_command_main(int argc, char **argv);

/* Tables of the commands that have options of their own, each defined beside its command; build's are in settings.h. */
extern const struct cb_opt cb_graph_options[], cb_run_options[], cb_parse_options[], cb_fmt_options[],
	cb_flatten_options[], cb_check_options_table[], cb_doctor_options[], cb_explain_options[];
extern const struct cb_opt cb_size_options[], cb_diff_options[];
int cb_cmd_size(int argc, char **argv);
int cb_cmd_diff(int argc, char **argv);
extern const struct cb_opt cb_push_options[], cb_pull_options[], cb_login_options[], cb_index_options[];
extern const struct cb_opt cb_fsck_options[], cb_du_options[], cb_prune_options[], cb_policy_options[],
	cb_cache_mount_options[];

int cb_cmd_build(int argc, char **argv);
int cb_cmd_check(int argc, char **argv);
int cb_cmd_explain(int argc, char **argv);
int cb_cmd_graph(int argc, char **argv);
int cb_cmd_index(int argc, char **argv);
int cb_cmd_login(int argc, char **argv);
int cb_cmd_logout(int argc, char **argv);
int cb_cmd_push(int argc, char **argv);
int cb_cmd_pull(int argc, char **argv);
int cb_cmd_verify(int argc, char **argv);
int cb_cmd_run(int argc, char **argv);
extern const struct cb_opt cb_images_options[], cb_tag_options[], cb_rmi_options[], cb_inspect_options[],
	cb_history_options[], cb_save_options[], cb_load_options[];
int cb_cmd_images(int argc, char **argv);
int cb_cmd_tag(int argc, char **argv);
int cb_cmd_rmi(int argc, char **argv);
int cb_cmd_inspect(int argc, char **argv);
int cb_cmd_history(int argc, char **argv);
int cb_cmd_save(int argc, char **argv);
int cb_cmd_load(int argc, char **argv);
int cb_cmd_cache_mount(int argc, char **argv);
int cb_cmd_fsck(int argc, char **argv);
int cb_cmd_du(int argc, char **argv);
int cb_cmd_prune(int argc, char **argv);
int cb_cmd_policy(int argc, char **argv);
int cb_cmd_fmt(int argc, char **argv);
int cb_cmd_flatten(int argc, char **argv);
int cb_cmd_parse(int argc, char **argv);
int cb_cmd_doctor(int argc, char **argv);
int cb_cmd_completion(int argc, char **argv);
int cb_cmd_debug(int argc, char **argv);
int cb_cmd_version(int argc, char **argv);
int cb_cmd_help(int argc, char **argv);

#endif
