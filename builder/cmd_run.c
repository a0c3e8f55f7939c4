/*
 * `cbuild run IMAGE [COMMAND...]`: an image of the store (or a registry) in the foreground, in the same kind of
 * container as a RUN step. What it writes is thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/path.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "builder/settings.h"
#include "builder/storecmd.h"
#include "layers/plainroot.h"
#include "layers/pull.h"
#include "layers/snapshot.h"
#include "layers/tree.h"
#include "runtime/emulate.h"
#include "runtime/runtime.h"
#include "runtime/user.h"

/** Time for the command to end after SIGTERM, as `docker stop` gives. */
#define GRACE_MS 10000

/** Times that another process may remove a layer before we hold it. */
#define PULLS_MAX 16

enum option { OPT_ENV, OPT_ENTRYPOINT, OPT_ISOLATION, OPT_NETWORK, OPT_PLATFORM, OPT_ROOT, OPT_USER, OPT_WORKDIR };

const struct cb_opt cb_run_options[] = {
	{ "entrypoint", 0, CB_OPT_VALUE, OPT_ENTRYPOINT, "COMMAND", "run COMMAND in place of the image's entry point",
		NULL },
	{ "env", 'e', CB_OPT_VALUE, OPT_ENV, "KEY[=VALUE]", "set a variable; without a value, from the environment",
		NULL },
	{ "isolation", 0, CB_OPT_VALUE, OPT_ISOLATION, "MODE", "how the command is separated from the host",
		"auto|root+userns|root|ranges|single|shared|chroot" },
	{ "network", 0, CB_OPT_VALUE, OPT_NETWORK, "MODE", "network of the command", "default|none|host" },
	{ "platform", 0, CB_OPT_VALUE, OPT_PLATFORM, "OS/ARCH", "the platform to choose from an index", NULL },
	{ "root", 0, CB_OPT_VALUE, OPT_ROOT, "DIR", "the store", "dir" },
	{ "user", 'u', CB_OPT_VALUE, OPT_USER, "USER[:GROUP]", "run as USER", NULL },
	{ "workdir", 'w', CB_OPT_VALUE, OPT_WORKDIR, "DIR", "start in DIR", NULL },
	{ 0 },
};

struct request {
	const char *image, *entrypoint, *user, *workdir;
	const char *root; /* --root as given, then the store's path */
	struct cb_strv env;
	enum cb_run_network network;
	enum cb_isolation isolation;
	struct cb_platform platform;
	char *const *command; /* NULL-terminated, may be empty */
};

/* What a run holds while it lasts. */
struct container {
	struct cb_store *store;
	struct cb_registry *registry;
	struct cb_puller *puller;
	struct cb_runtime *runtime;
	struct cb_image *image;
	struct cb_strv chain;
	int *layers;
	size_t n_layers;
	struct cb_snapshot *scratch;
	struct cb_tree *tree;
	struct cb_strv argv, env;
	struct cb_user user;
};

static struct cb_cancel *canceled;
static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
	cb_cancel_raise(canceled);
}

static void close_layers(struct container *c)
{
	for (size_t i = 0; i < c->n_layers; i++)
		close(c->layers[i]);
	free(c->layers);
	c->layers = NULL;
	c->n_layers = 0;
	cb_strv_done(&c->chain);
}

static void container_done(struct container *c)
{
	close_layers(c);
	cb_runtime_close(c->runtime);
	cb_snapshot_free(c->scratch);
	cb_tree_free(c->tree);
	cb_image_free(c->image);
	cb_puller_free(c->puller);
	cb_registry_free(c->registry);
	cb_store_free(c->store);
	cb_strv_done(&c->argv);
	cb_strv_done(&c->env);
	cb_user_done(&c->user);
}

static int parse_network(const char *value, enum cb_run_network *ret, struct cb_err **err)
{
	if (!strcmp(value, "default"))
		*ret = CB_RUN_NETWORK_DEFAULT;
	else if (!strcmp(value, "host"))
		*ret = CB_RUN_NETWORK_HOST;
	else if (!strcmp(value, "none"))
		*ret = CB_RUN_NETWORK_NONE;
	else
		return cb_err_set(err, CB_ERR_USAGE, "--network takes default, none or host, not \"%s\"", value);
	return 0;
}

static int parse_isolation(const char *value, enum cb_isolation *ret, struct cb_err **err)
{
	if (cb_isolation_find(value, ret))
		return 0;
	return cb_err_set(err, CB_ERR_USAGE, "unknown isolation \"%s\"", value);
}

static int take_option(struct request *request, int id, const char *value, struct cb_err **err)
{
	switch (id) {
	case OPT_ENTRYPOINT:
		request->entrypoint = value;
		return 0;
	case OPT_ENV:
		if (strchr(value, '='))
			cb_strv_add(&request->env, value);
		else if (getenv(value))
			cb_strv_addf(&request->env, "%s=%s", value, getenv(value));
		return 0;
	case OPT_ISOLATION:
		return parse_isolation(value, &request->isolation, err);
	case OPT_NETWORK:
		return parse_network(value, &request->network, err);
	case OPT_PLATFORM:
		return cb_storecmd_platform(value, &request->platform, err);
	case OPT_ROOT:
		request->root = value;
		return 0;
	case OPT_USER:
		request->user = value;
		return 0;
	default:
		request->workdir = value;
		return 0;
	}
}

/* 1 when help was asked for. */
static int parse(struct request *request, int argc, char **argv, struct cb_err **err)
{
	struct cb_opt_parser parser = { .argc = argc, .argv = argv, .tables = { cb_run_options } };
	const struct cb_opt *opt;
	const char *value;
	int r = 0;

	while (!request->image && (r = cb_opt_next(&parser, &opt, &value, err)) > 0) {
		if (!opt) {
			request->image = value;
			request->command = argv + parser.at;
			continue;
		}
		if (opt->id == CB_OPT_HELP)
			return 1;
		r = take_option(request, opt->id, value, err);
		if (r < 0)
			return r;
	}
	if (request->image)
		return 0;
	if (r < 0)
		return r;
	cb_err_set(err, CB_ERR_USAGE, "run needs the name of an image");
	return cb_err_hint(err, CB_ERR_USAGE, "for example: cbuild run app:latest");
}

static int open_image(struct container *c, const struct request *request, struct cb_err **err)
{
	enum cb_store_flavour flavour = cb_runtime_trusted_xattrs() ? CB_STORE_TRUSTED : CB_STORE_USER;
	const struct cb_registry_options options = { 0 };
	int r;

	r = cb_store_open(request->root, flavour, &c->store, err);
	if (r < 0)
		return cb_err_recode(err, CB_ERR_IO);
	if (r < 0)
		return r;
	/* The helper process of the runtime must be forked before pulling starts threads. */
	r = cb_runtime_open(
		&(struct cb_runtime_options){
			.isolation = request->isolation, .scratch_fd = cb_store_tmpfd(c->store), .no_prepare = true },
		&c->runtime, err);
	if (r == 0)
		r = cb_registry_new(&options, &c->registry, err);
	if (r < 0)
		return r;
	c->puller = cb_puller_new(c->registry, c->store);
	return cb_pull_resolve(c->puller, request->image, &request->platform, 0, canceled, &c->image, err);
}

/* 1 when one was removed between its unpacking and our use of it. */
static int open_layers_once(struct container *c, struct cb_err **err)
{
	int r;

	close_layers(c);
	r = cb_pull_layers(c->puller, c->image, 0, NULL, NULL, canceled, &c->chain, err);
	if (r < 0)
		return r;
	c->layers = cb_newa0(int, c->chain.n);
	for (; r == 0 && c->n_layers < c->chain.n; c->n_layers += r == 0)
		r = cb_snapshot_open(c->store, c->chain.v[c->n_layers], &c->layers[c->n_layers], err);
	return r;
}

static int open_layers(struct container *c, struct cb_err **err)
{
	int r = 1;

	for (int i = 0; r > 0 && i < PULLS_MAX; i++)
		r = open_layers_once(c, err);
	return r > 0 ? cb_err_set(err, CB_ERR_IO, "layers are removed as soon as they are unpacked") : r;
}

static int look_up_user(struct container *c, const char *spec, struct cb_err **err)
{
	cleanup_buf struct cb_buf passwd = { 0 }, group = { 0 };
	enum cb_flavour flavour = cb_runtime_trusted_xattrs() ? CB_FLAVOUR_TRUSTED : CB_FLAVOUR_USER;
	int r;

	r = cb_tree_new_layers(c->layers, c->n_layers, flavour, &c->tree, err);
	if (r == 0)
		r = cb_tree_read_file(c->tree, "/etc/passwd", CB_USER_FILE_MAX, &passwd, err);
	if (r >= 0)
		r = cb_tree_read_file(c->tree, "/etc/group", CB_USER_FILE_MAX, &group, err);
	if (r < 0)
		return r;
	return cb_user_resolve(spec, cb_buf_str(&passwd), passwd.len, cb_buf_str(&group), group.len, &c->user, err);
}

static int compose(struct container *c, const struct request *request, struct cb_err **err)
{
	const struct cb_image_config *config = c->image->config;
	int r;

	if (request->entrypoint)
		cb_strv_add(&c->argv, request->entrypoint);
	else
		cb_strv_copy(&c->argv, &config->entrypoint);
	for (char *const *word = request->command; *word; word++)
		cb_strv_add(&c->argv, *word);
	if (!*request->command && !request->entrypoint)
		cb_strv_copy(&c->argv, &config->cmd);
	if (!c->argv.n) {
		cb_err_set(err, CB_ERR_INPUT, "the image has no command of its own");
		return cb_err_hint(err, CB_ERR_INPUT, "say what to run: cbuild run %s COMMAND", request->image);
	}
	cb_strv_copy(&c->env, &config->env);
	for (size_t i = 0; i < request->env.n; i++) {
		const char *equals = strchr(request->env.v[i], '=');
		cleanup_free char *key = cb_xstrndup(request->env.v[i], (size_t)(equals - request->env.v[i]));

		cb_env_set(&c->env, key, equals + 1);
	}
	r = look_up_user(c, request->user ? request->user : config->user, err);
	if (r < 0)
		return r;
	if (!cb_env_get(&c->env, "PATH"))
		cb_env_set(&c->env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	if (!cb_env_get(&c->env, "HOME"))
		cb_env_set(&c->env, "HOME", c->user.home);
	if (isatty(STDIN_FILENO) && !cb_env_get(&c->env, "TERM") && getenv("TERM"))
		cb_env_set(&c->env, "TERM", getenv("TERM"));
	return 0;
}

static int make_root(struct container *c, struct cb_run_spec *spec, struct cb_err **err)
{
	CB_CLEANUP(cb_plainroot_free) struct cb_plainroot *plain = NULL;

	spec->upper_fd = cb_snapshot_fs(c->scratch);
	if (cb_runtime_info(c->runtime)->storage == CB_STORAGE_COPY) {
		spec->plain = true;
		return cb_plainroot_new(c->tree, spec->upper_fd, true, NULL, canceled, &plain, err);
	}
	spec->layers = c->layers;
	spec->n_layers = c->n_layers;
	spec->work_fd = cb_snapshot_work(c->scratch, err);
	return spec->work_fd < 0 ? spec->work_fd : 0;
}

static int run(struct container *c, const struct request *request, struct cb_run_result *result, struct cb_err **err)
{
	const struct cb_image_config *config = c->image->config;
	cleanup_free char *cwd = cb_path_abs(request->workdir      ? request->workdir
					     : config->working_dir ? config->working_dir
								   : "/");
	struct cb_run_spec spec = CB_RUN_SPEC_INIT;
	struct cb_run *handle;
	int r;

	r = cb_snapshot_new(c->store, &c->scratch, err);
	if (r < 0)
		return r;
	r = make_root(c, &spec, err);
	if (r < 0)
		return r;
	spec.argv = (const char *const *)c->argv.v;
	spec.env = (const char *const *)c->env.v;
	spec.cwd = cwd;
	spec.uid = c->user.uid;
	spec.gid = c->user.gid;
	spec.groups = c->user.groups;
	spec.n_groups = c->user.n_groups;
	spec.network = request->network;
	spec.stdin_fd = STDIN_FILENO;
	spec.stdout_fd = STDOUT_FILENO;
	spec.stderr_fd = STDERR_FILENO;
	/* What cannot be executed says so itself. */
	(void)cb_runtime_emulate(c->runtime, config->platform.arch, NULL);
	r = cb_runtime_start(c->runtime, &spec, &handle, err);
	if (r == 0)
		r = cb_runtime_wait(handle, canceled, GRACE_MS, result, err);
	return r;
}

static int run_image(const struct request *request, int *ret_status, struct cb_err **err)
{
	struct container c = { 0 };
	struct cb_run_result result = { 0 };
	int r;

	r = open_image(&c, request, err);
	if (r == 0)
		r = open_layers(&c, err);
	if (r == 0)
		r = compose(&c, request, err);
	if (r == 0)
		r = run(&c, request, &result, err);
	if (r == 0)
		*ret_status = result.killed && signal_seen ? 128 + signal_seen : result.status;
	cb_run_result_done(&result);
	container_done(&c);
	return r;
}

int cb_cmd_run(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	cleanup_err struct cb_err *err = NULL;
	cleanup_free char *root = NULL;
	struct request request = { .isolation = CB_ISOLATION_AUTO };
	int status = CB_EXIT_OK, r;

	cb_platform_host(&request.platform);
	r = parse(&request, argc, argv, &err);
	if (r > 0)
		return cb_help_print(cb_command_find("run"), STDOUT_FILENO);
	/* Asked while we are still who we are: an ordinary user is root once entered. */
	root = cb_settings_default_root(request.root, environ);
	request.root = root;
	if (r == 0)
		r = cb_runtime_enter(request.isolation, &err);
	if (r == 0) {
		canceled = cb_cancel_new();
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGHUP, &action, NULL);
		r = run_image(&request, &status, &err);
		if (r < 0 && signal_seen)
			status = 128 + signal_seen;
	}
	cb_strv_done(&request.env);
	if (r < 0 && !signal_seen)
		return cb_report_fail(err, NULL, NULL);
	return status;
}
