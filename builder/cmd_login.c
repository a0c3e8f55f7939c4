/* `cbuild login` and `cbuild logout`: credentials of registries, where docker, podman and skopeo look for them. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "builder/access.h"
#include "builder/command.h"
#include "builder/help.h"
#include "builder/report.h"
#include "layers/dockercfg.h"
#include "layers/ref.h"

/* Longest user name and password. */
#define SECRET_MAX (64 * 1024)
#define REGISTRY_DEFAULT "docker.io"

enum { OPT_PASSWORD = 1, OPT_PASSWORD_STDIN, OPT_USERNAME };

const struct cb_opt cb_login_options[] = {
	{ "password", 'p', CB_OPT_VALUE, OPT_PASSWORD, "PASSWORD", "the password; better: --password-stdin", NULL },
	{ "password-stdin", 0, CB_OPT_FLAG, OPT_PASSWORD_STDIN, NULL, "read the password from standard input", NULL },
	{ "username", 'u', CB_OPT_VALUE, OPT_USERNAME, "USER", "the user", NULL },
	{ 0 },
};

struct request {
	struct cb_access access;
	char *registry;
	const char *username, *password;
	bool password_stdin;
};

/* "https://host/v2/" as people paste it: the host alone. */
static int take_registry(char **slot, const char *text, struct cb_err **err)
{
	cleanup_free char *test = NULL, *host = NULL;
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	if (*slot)
		return cb_err_set(err, CB_ERR_USAGE, "one registry, please: \"%s\" and \"%s\" are two", *slot, text);
	if (cb_str_starts(text, "https://") || cb_str_starts(text, "http://"))
		text = strstr(text, "://") + 3;
	host = cb_xstrndup(text, strcspn(text, "/"));
	if (!strcmp(host, "index.docker.io") || !strcmp(host, "registry-1.docker.io")) {
		free(host);
		host = cb_xstrdup(REGISTRY_DEFAULT);
	}
	test = cb_xasprintf("%s/x", host);
	if (cb_ref_parse(test, &ref, NULL) < 0 || !cb_str_eq(ref->registry, host))
		return cb_err_set(err, CB_ERR_USAGE, "\"%s\" is no registry: HOST or HOST:PORT", text);
	*slot = CB_TAKE_PTR(host);
	return 0;
}

static int take_option(void *arg, const struct cb_opt *opt, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	switch (opt->id) {
	case OPT_PASSWORD:
		request->password = value;
		return 0;
	case OPT_PASSWORD_STDIN:
		request->password_stdin = cb_opt_bool(value);
		return 0;
	case OPT_USERNAME:
		request->username = value;
		return 0;
	default:
		return cb_access_set(&request->access, opt, value, err);
	}
}

static int take_operand(void *arg, const char *value, struct cb_err **err)
{
	struct request *request = arg;

	return take_registry(&request->registry, value, err);
}

/* 1 when help was asked for. */
static int read_arguments(struct request *request, int argc, char **argv, struct cb_err **err)
{
	const struct cb_opt_reader reader = { .command = "login",
		.tables = { cb_login_options, cb_access_options },
		.option = take_option,
		.arg = request,
		.operand = take_operand };
	int r = cb_opt_read(&reader, argc, argv, err);

	if (r != 0)
		return r;
	if (request->password && request->password_stdin)
		return cb_err_set(err, CB_ERR_USAGE, "--password and --password-stdin contradict each other");
	if ((request->password || request->password_stdin) && !request->username)
		return cb_err_set(err, CB_ERR_USAGE, "a password needs --username");
	if (!request->registry)
		request->registry = cb_xstrdup(REGISTRY_DEFAULT);
	return 0;
}

/* One line of the terminal, or all of what standard input is, without the last line break. */
static int read_secret(bool line, char **ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 };
	char c;
	ssize_t n = 1;

	while (data.len <= SECRET_MAX && (n = read(STDIN_FILENO, &c, 1)) > 0 && (!line || c != '\n'))
		cb_buf_addc(&data, c);
	if (n < 0)
		return cb_err_errno(err, errno, "read standard input");
	while (data.len && strchr("\r\n", data.data[data.len - 1]))
		data.data[--data.len] = '\0';
	if (!data.len || data.len > SECRET_MAX || strlen(data.data) != data.len)
		return cb_err_set(err, CB_ERR_INPUT, "what was read is empty, too long, or has a NUL");
	*ret = cb_buf_take(&data);
	return 0;
}

static int ask(const char *prompt, bool hidden, char **ret, struct cb_err **err)
{
	struct termios before, quiet;
	int r;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0) {
		cb_err_set(err, CB_ERR_USAGE, "there is no terminal to ask for user and password");
		return cb_err_hint(err, CB_ERR_USAGE, "cbuild login --username USER --password-stdin REGISTRY <FILE");
	}
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	(void)!cb_fd_write_all(STDERR_FILENO, prompt, strlen(prompt));
	if (hidden)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	r = read_secret(true, ret, err);
	if (hidden) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		(void)!cb_fd_write_all(STDERR_FILENO, "\n", 1);
	}
	return r;
}

static int read_credential(const struct request *request, struct cb_credential *cred, struct cb_err **err)
{
	int r = 0;

	if (request->username)
		cred->username = cb_xstrdup(request->username);
	else
		r = ask("Username: ", false, &cred->username, err);
	if (r < 0)
		return r;
	assert(cred->username);
	if (strchr(cred->username, ':') || !*cred->username)
		return cb_err_set(err, CB_ERR_USAGE, "a user name is not empty and has no colon");
	if (request->password)
		cred->password = cb_xstrdup(request->password);
	else if (request->password_stdin)
		r = read_secret(false, &cred->password, err);
	else
		r = ask("Password: ", true, &cred->password, err);
	return r;
}

/* Asks the registry with these credentials and no others. */
static int try_credential(const struct request *request, const struct cb_credential *cred, struct cb_err **err)
{
	CB_CLEANUP(cb_registry_free) struct cb_registry *registry = NULL;
	struct cb_registry_options options = { .credential = cred };
	int r;

	cb_access_apply(&request->access, &options);
	r = cb_registry_new(&options, &registry, err);
	if (r == 0)
		r = cb_registry_ping(registry, request->registry, NULL, err);
	if (r == CB_ERR_DENIED)
		cb_err_hint(err, r, "nothing was stored: are user and password right?");
	return r;
}

static int login(const struct request *request, struct cb_err **err)
{
	cleanup_credential struct cb_credential cred = { 0 };
	cleanup_free char *where = NULL;
	int r = read_credential(request, &cred, err);

	if (r == 0)
		r = try_credential(request, &cred, err);
	if (r == 0)
		r = cb_dockercfg_save(request->registry, &cred, &where, err);
	if (r < 0)
		return r;
	if (printf("logged in to %s as %s, kept by %s\n", request->registry, cred.username, where) < 0 ||
		fflush(stdout))
		return cb_err_errno(err, errno, "write standard output");
	return 0;
}

int cb_cmd_login(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	struct request request = { 0 };
	int r = read_arguments(&request, argc, argv, &err), status = CB_EXIT_OK;

	if (r > 0)
		status = cb_help_command("login");
	else if (r == 0)
		r = login(&request, &err);
	if (r < 0)
		status = cb_report_fail(err, NULL, NULL);
	free(request.registry);
	cb_access_done(&request.access);
	return status;
}

static int logout(int argc, char **argv, struct cb_err **err)
{
	struct cb_opt_parser parser = { .argc = argc, .argv = argv };
	cleanup_free char *registry = NULL, *where = NULL;
	const struct cb_opt *opt;
	const char *value;
	int r;

	while ((r = cb_opt_next(&parser, &opt, &value, err)) > 0) {
		if (opt)
			return 1;
		r = take_registry(&registry, value, err);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	if (!registry)
		registry = cb_xstrdup(REGISTRY_DEFAULT);
	r = cb_dockercfg_erase(registry, &where, err);
	if (r < 0)
		return r;
	r = r > 0 ? printf("not logged in to %s\n", registry)
		  : printf("logged out of %s, removed from %s\n", registry, where);
	return r < 0 || fflush(stdout) ? cb_err_errno(err, errno, "write standard output") : 0;
}

int cb_cmd_logout(int argc, char **argv)
{
	cleanup_err struct cb_err *err = NULL;
	int r = logout(argc, argv, &err);

	if (r > 0)
		return cb_help_command("logout");
	return r < 0 ? cb_report_fail(err, NULL, NULL) : CB_EXIT_OK;
}
