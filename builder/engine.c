#include "builder/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "base/strv.h"
#include "layers/engineload.h"

#define DOCKER_SOCKET "/var/run/docker.sock"
/* Of what podman says when it fails. */
#define SAID_MAX ((size_t)4096)
#define POLL_MS 50

struct cb_engine {
	bool podman;
	char *socket, *url, *certs; /* as cb_engine_address */
	/* the waiting process, when the program is used; -EBADF otherwise */
	int control, data, said;
};

struct cb_engine *cb_engine_free(struct cb_engine *engine)
{
	if (!engine)
		return NULL;
	cb_closep(&engine->control);
	cb_closep(&engine->data);
	cb_closep(&engine->said);
	free(engine->socket);
	free(engine->url);
	free(engine->certs);
	free(engine);
	return NULL;
}

const char *cb_engine_name(const struct cb_engine *engine)
{
	return engine->podman ? "podman" : "docker";
}

/* ---- podman, the program -------------------------------------------------------------------------------------- */

/* Runs it, and tells how it ended; ends it when cbuild is gone. */
static CB_NORETURN void waiting_main(int control, int data, int said)
{
	struct pollfd owner = { .fd = control, .events = POLLIN };
	int status = 0;
	char go;

	(void)signal(SIGPIPE, SIG_IGN);
	if (read(control, &go, 1) != 1)
		_exit(0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		if (dup2(data, 0) < 0 || dup2(said, 1) < 0 || dup2(said, 2) < 0)
			_exit(127);
		(void)execlp("podman", "podman", "load", "--quiet", (char *)NULL);
		_exit(127);
	}
	close(data);
	close(said);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		/* Nothing more is said to us: what comes is the end. */
		if (poll(&owner, 1, POLL_MS) > 0) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, &status, 0);
		}
	}
	status = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
	(void)!write(control, &status, sizeof(status));
	_exit(0);
}

static int start_waiting(struct cb_engine *engine, struct cb_err **err)
{
	int control[2] = { -EBADF, -EBADF }, data[2] = { -EBADF, -EBADF }, said[2] = { -EBADF, -EBADF };
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0 && pipe2(data, O_CLOEXEC) == 0 &&
		pipe2(said, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		close(control[0]);
		close(data[1]);
		close(said[0]);
		waiting_main(control[1], data[0], said[1]);
	}
	int errnum = errno;
	cb_closep(&control[1]);
	cb_closep(&data[0]);
	cb_closep(&said[1]);
	engine->control = control[0];
	engine->data = data[1];
	engine->said = said[0];
	return pid < 0 ? cb_err_errno(err, errnum, "start the process for podman") : 0;
}

static int take_by_program(
	struct cb_engine *engine, struct cb_store *store, const struct cb_export *what, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	char said[SAID_MAX];
	int status = 127, r;

	if (cb_fd_write_all(engine->control, "G", 1) < 0)
		return cb_err_errno(err, errno, "start podman");
	r = cb_export_docker_tar(store, what, engine->data, &why);
	/* Its end is the end of the archive: half of one is no image, which podman notices. */
	cb_closep(&engine->data);
	if (r == CB_ERR_CANCELED) {
		cb_closep(&engine->control);
		return cb_err_move(err, CB_TAKE_PTR(why));
	}
	ssize_t n = cb_fd_read_full(engine->said, said, sizeof(said) - 1);
	/* More than that must not stop it. */
	while (n > 0 && cb_fd_read_full(engine->said, said + SAID_MAX / 2, SAID_MAX / 2 - 1) > 0)
		;
	if (cb_fd_read_full(engine->control, &status, sizeof(status)) != (ssize_t)sizeof(status))
		status = 127;
	if (status == 0)
		return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	return cb_err_set(err, CB_ERR_IO, "podman load: %s",
		*said           ? said
		: status == 127 ? "podman could not be started"
				: "it failed without a word");
}

int cb_engine_take(struct cb_engine *engine, struct cb_store *store, const struct cb_export *what, struct cb_err **err)
{
	const struct cb_engine_address address = { engine->socket, engine->url, engine->certs };

	if (engine->control >= 0)
		return take_by_program(engine, store, what, err);
	int r = cb_engine_load(&address, store, what, err);
	return r < 0 && r != CB_ERR_CANCELED ? cb_err_wrap(err, r, "%s at %s", cb_engine_name(engine),
						       engine->socket ? engine->socket : engine->url)
					     : r;
}

/* ---- finding -------------------------------------------------------------------------------------------------- */

/* 0 when somebody listens there. */
static int try_socket(const char *path, struct cb_err **err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		return cb_err_errno(err, ENAMETOOLONG, "%s", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return cb_err_errno(err, errno, "%s", path);
	return 0;
}

static char *certs_of(void)
{
	const char *dir = getenv("DOCKER_CERT_PATH"), *verify = getenv("DOCKER_TLS_VERIFY"), *home = getenv("HOME");

	if (dir && *dir)
		return cb_xstrdup(dir);
	return verify && *verify && home ? cb_xasprintf("%s/.docker", home) : NULL;
}

/* DOCKER_HOST and CONTAINER_HOST: unix://PATH, tcp://HOST:PORT. */
static int by_address(struct cb_engine *engine, const char *variable, const char *text, struct cb_err **err)
{
	if (cb_str_starts(text, "unix://")) {
		engine->socket = cb_xstrdup(text + strlen("unix://"));
		int r = try_socket(engine->socket, err);
		return r < 0 ? cb_err_wrap(err, CB_ERR_UNSUPPORTED, "%s", variable) : 0;
	}
	if (cb_str_starts(text, "tcp://")) {
		engine->certs = certs_of();
		engine->url = cb_xasprintf("%s://%s", engine->certs ? "https" : "http", text + strlen("tcp://"));
		return 0;
	}
	cb_err_set(err, CB_ERR_UNSUPPORTED, "%s is %s: only unix:// and tcp:// can be loaded into", variable, text);
	return cb_err_hint(err, CB_ERR_UNSUPPORTED, "for others: cbuild save NAME | docker load");
}

static int find_docker(struct cb_engine *engine, struct cb_err **err)
{
	const char *host = getenv("DOCKER_HOST"), *runtime = getenv("XDG_RUNTIME_DIR");
	int r;

	engine->podman = false;
	if (host && *host)
		return by_address(engine, "DOCKER_HOST", host, err);
	if (runtime && *runtime) {
		engine->socket = cb_xasprintf("%s/docker.sock", runtime);
		if (try_socket(engine->socket, NULL) == 0)
			return 0;
		free(engine->socket);
	}
	engine->socket = cb_xstrdup(DOCKER_SOCKET);
	r = try_socket(engine->socket, err);
	return r < 0 ? cb_err_wrap(err, CB_ERR_UNSUPPORTED, "docker does not answer") : 0;
}

static int find_podman(struct cb_engine *engine, struct cb_err **err)
{
	const char *host = getenv("CONTAINER_HOST"), *runtime = getenv("XDG_RUNTIME_DIR");
	int r;

	engine->podman = true;
	if (host && *host)
		return by_address(engine, "CONTAINER_HOST", host, err);
	if (cb_spawn_have("podman"))
		return start_waiting(engine, err);
	engine->socket = geteuid() || !runtime ? cb_xasprintf("%s/podman/podman.sock", runtime ? runtime : "/run")
					       : cb_xstrdup("/run/podman/podman.sock");
	r = try_socket(engine->socket, err);
	return r < 0 ? cb_err_wrap(err, CB_ERR_UNSUPPORTED, "podman is not installed and does not answer") : 0;
}

static struct cb_engine *engine_new(void)
{
	struct cb_engine *engine = cb_new0(struct cb_engine);

	engine->control = engine->data = engine->said = -EBADF;
	return engine;
}

int cb_engine_find(const char *which, struct cb_engine **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_engine_free) struct cb_engine *docker = engine_new(), *podman = engine_new();
	const char *host = getenv("DOCKER_HOST");
	bool only_docker = !strcmp(which, "docker"), only_podman = !strcmp(which, "podman");
	cleanup_err struct cb_err *first = NULL, *second = NULL;

	if (!only_docker && !only_podman && strcmp(which, "auto") != 0)
		return cb_err_set(err, CB_ERR_USAGE, "--load is docker, podman or auto, not \"%s\"", which);
	if (!only_podman && find_docker(docker, &first) == 0) {
		*ret = CB_TAKE_PTR(docker);
		return 0;
	}
	/* Who names a docker means it. */
	if (!only_docker && (only_podman || !host || !*host) && find_podman(podman, &second) == 0) {
		*ret = CB_TAKE_PTR(podman);
		return 0;
	}
	if (first && second)
		cb_err_set(err, CB_ERR_UNSUPPORTED, "--load: %s; %s", cb_err_msg(first), cb_err_msg(second));
	else
		cb_err_set(err, CB_ERR_UNSUPPORTED, "--load: %s", cb_err_msg(first ? first : second));
	return cb_err_hint(err, CB_ERR_UNSUPPORTED,
		"start the daemon, or name it with DOCKER_HOST; -o type=docker,dest=FILE writes an archive for where one is");
}
