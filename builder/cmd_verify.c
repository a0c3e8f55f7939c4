/* cbuild verify: builds twice in separate stores, and says where the results begin to differ. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"
#include "builder/build.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/storecmd.h"
#include "builder/verify.h"

/* Coarsest time in formats that steps write (zip). */
#define TICK_S 2

struct trial {
	char *top; /* of everything that verify makes */
	struct cb_settings settings;
	char **argv;
	int argc;
};

static void trial_done(struct trial *trial)
{
	free(trial->top);
	cb_settings_done(&trial->settings);
}

/* ---- options -------------------------------------------------------------------------------------------------- */

static int check_settings(const struct cb_settings *settings, struct cb_err **err)
{
	const char *option = settings->n_outputs       ? "--output"
			     : settings->tags.n        ? "--tag"
			     : settings->iidfile       ? "--iidfile"
			     : settings->push          ? "--push"
			     : settings->load          ? "--load"
			     : settings->metadata_file ? "--metadata-file"
						       : NULL;

	if (option)
		return cb_err_set(err, CB_ERR_USAGE, "cbuild verify makes no output: %s has no place here", option);
	if (settings->call != CB_CALL_BUILD)
		return cb_err_set(err, CB_ERR_USAGE, "cbuild verify builds: --call has no place here");
	if (!strcmp(settings->context, "-") || (settings->file && !strcmp(settings->file, "-"))) {
		cb_err_set(err, CB_ERR_USAGE, "standard input can be read once, and cbuild verify builds twice");
		return cb_err_hint(err, CB_ERR_USAGE, "put it into a file");
	}
	return 0;
}

/* Beside the store: there is room, and file systems that cannot hold a store are not used for one. */
static int make_top(const struct cb_settings *settings, char **ret, struct cb_err **err)
{
	cleanup_free char *clean = cb_path_clean(settings->root);
	cleanup_free char *parent = cb_path_dir(clean);
	cleanup_free char *top = cb_xasprintf("%s.verify-XXXXXX", clean);

	if (cb_path_mkdirs(parent, 0755) < 0 || !mkdtemp(top))
		return cb_err_errno(err, errno, "make a directory beside the store %s", settings->root);
	*ret = CB_TAKE_PTR(top);
	return 0;
}

/* ---- building ------------------------------------------------------------------------------------------------- */

static void make_argv(const struct trial *trial, const char *name, bool second, struct cb_strv *argv)
{
	/* No hyphen begins a context behind "--". */
	cb_strv_add(argv, "cbuild");
	cb_strv_add(argv, "build");
	cb_strv_add(argv, "--reproducible");
	/* Layers are read once more, here. */
	cb_strv_addf(argv, "--output=type=oci,tar=false,compression=uncompressed,\"dest=%s/%s.oci\"", trial->top, name);
	if (second && !trial->settings.jobs)
		cb_strv_add(argv, "--jobs=1");
	for (int i = 0; i < trial->argc; i++)
		cb_strv_add(argv, trial->argv[i]);
	/* The last one counts, and nothing can follow "--". */
	for (size_t i = 0; i < argv->n; i++)
		if (!strcmp(argv->v[i], "--"))
			return;
	cb_strv_addf(argv, "--root=%s/%s", trial->top, name);
}

/* The exit status of a build as its own process, or a negative code. */
static int build(const struct trial *trial, const char *name, bool second, struct cb_err **err)
{
	cleanup_strv struct cb_strv argv = { 0 };
	struct cb_cancel *cancel = cb_storecmd_cancel();
	int status, r;
	pid_t pid, got;

	make_argv(trial, name, second, &argv);
	fprintf(stderr, "%s build\n", name);
	r = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv.v, environ);
	if (r)
		return cb_err_errno(err, r, "start a build");
	while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		if (cb_cancel_raised(cancel))
			kill(pid, SIGTERM);
	if (got < 0)
		return cb_err_errno(err, errno, "wait for a build");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A step that writes the time must not write the same one again. */
static void wait_for_another_time(void)
{
	time_t end = time(NULL) / TICK_S;

	while (time(NULL) / TICK_S == end && !cb_cancel_raised(cb_storecmd_cancel())) {
		const struct timespec pause = { .tv_nsec = 50000000 };

		nanosleep(&pause, NULL);
	}
}

static int build_twice(const struct trial *trial, struct cb_err **err)
{
	int r = build(trial, "first", false, err);

	if (r != 0)
		return r;
	wait_for_another_time();
	return build(trial, "second", true, err);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

/* A store without root holds files of other ids, which only its user namespace may remove. */
static void remove_top(const struct trial *trial)
{
	cleanup_free char *parent = trial->top ? cb_path_dir(trial->top) : NULL;
	cleanup_err struct cb_err *err = NULL;
	cleanup_close int dirfd = -EBADF;
	int r;

	if (!trial->top)
		return;
	r = cb_runtime_enter(cb_build_isolation(&trial->settings), &err);
	if (r == 0) {
		dirfd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = dirfd < 0 ? cb_err_errno(&err, errno, "open %s", parent)
			      : cb_path_remove_tree(dirfd, cb_path_base(trial->top), &err);
	}
	if (r < 0)
		fprintf(stderr, "warning: %s is left: %s\n", trial->top, cb_err_msg(err));
}

static int verify(const struct trial *trial)
{
	cleanup_free char *first = cb_xasprintf("%s/first.oci", trial->top);
	cleanup_free char *second = cb_xasprintf("%s/second.oci", trial->top);
	cleanup_err struct cb_err *err = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	int r = build_twice(trial, &err), printed;

	if (r > 0)
		return r; /* it said why */
	if (r == 0)
		r = cb_verify_compare(first, second, cb_storecmd_cancel(), &out, &err);
	if (r < 0)
		return cb_storecmd_fail(err);
	if (r > 0)
		cb_buf_adds(&out,
			"hint: what a step writes must depend on its inputs alone; ARG SOURCE_DATE_EPOCH gives it a "
			"time that does\n");
	printed = cb_storecmd_print(&out);
	return printed != CB_EXIT_OK ? printed : r > 0 ? CB_EXIT_FAILED : CB_EXIT_OK;
}

int cb_cmd_verify(int argc, char **argv)
{
	__attribute__((cleanup(trial_done))) struct trial trial = { .argv = argv, .argc = argc };
	cleanup_err struct cb_err *err = NULL;
	int r, status;

	cb_settings_init(&trial.settings);
	r = cb_settings_parse(&trial.settings, argc, argv, environ, &err);
	if (r > 0)
		return cb_help_command("verify");
	if (r == 0)
		r = check_settings(&trial.settings, &err);
	if (r == 0)
		r = make_top(&trial.settings, &trial.top, &err);
	if (r < 0)
		return cb_report_fail(err, NULL, NULL);
	status = verify(&trial);
	remove_top(&trial);
	return status;
}
