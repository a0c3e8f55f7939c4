#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/timefmt.h"

struct child {
	pid_t pid;
	int in, out, errout; /* our ends, -EBADF when closed */
};

static void child_close(struct child *child)
{
	cb_closep(&child->in);
	cb_closep(&child->out);
	cb_closep(&child->errout);
}

/*
 * posix_spawn may fail half-way with the pipes made: everything is closed by the cleanup attributes. stdin is a
 * socket, so that writing to a child that is gone gives EPIPE without SIGPIPE.
 */
static int start(const struct cb_spawn *spec, struct child *child, struct cb_err **err)
{
	int in[2] = { -EBADF, -EBADF }, out[2] = { -EBADF, -EBADF }, errout[2] = { -EBADF, -EBADF };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
		pipe2(errout, O_CLOEXEC) < 0)
		r = errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	if (!r) {
		sigemptyset(&none);
		sigfillset(&all);
		posix_spawnattr_setsigmask(&attr, &none);
		posix_spawnattr_setsigdefault(&attr, &all);
		posix_spawnattr_setpgroup(&attr, 0);
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
		if (spec->dir)
			posix_spawn_file_actions_addchdir_np(&actions, spec->dir);
		posix_spawn_file_actions_adddup2(&actions, in[0], 0);
		posix_spawn_file_actions_adddup2(&actions, out[1], 1);
		posix_spawn_file_actions_adddup2(&actions, errout[1], 2);
		r = posix_spawnp(&child->pid, spec->argv[0], &actions, &attr, (char *const *)spec->argv,
			spec->env ? (char *const *)spec->env : environ);
	}
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	cb_closep(&in[0]);
	cb_closep(&out[1]);
	cb_closep(&errout[1]);
	child->in = in[1];
	child->out = out[0];
	child->errout = errout[0];
	if (r) {
		child_close(child);
		return cb_err_errno(err, r, "run %s", spec->argv[0]);
	}
	return 0;
}

/* Reads what is there into @buf; closes at the end. */
static void drain(int *fd, struct cb_buf *buf, size_t max)
{
	char chunk[8192];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		cb_closep(fd);
		*fd = -EBADF;
		return;
	}
	if (buf && buf->len < max)
		cb_buf_add(buf, chunk, CB_MIN((size_t)n, max - buf->len));
}

static void feed(struct child *child, const struct cb_spawn *spec, size_t *sent)
{
	const char *data = spec->input;
	ssize_t n = 0;

	if (*sent < spec->input_len)
		n = send(child->in, data + *sent, spec->input_len - *sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		*sent += (size_t)n;
	if (*sent >= spec->input_len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		cb_closep(&child->in);
		child->in = -EBADF;
	}
}

/* Milliseconds until @end, or until the watcher is to be asked; -1: for ever. */
static int pause_of(const struct cb_spawn *spec, uint64_t now, uint64_t end)
{
	uint64_t left = end == UINT64_MAX ? UINT64_MAX : (end - now) / 1000000u + 1;

	if (spec->watch)
		left = CB_MIN(left, (uint64_t)CB_SPAWN_WATCH_MS);
	return left == UINT64_MAX ? -1 : (int)CB_MIN(left, (uint64_t)INT_MAX);
}

/* Returns 1 when the time is over, or nobody wants it any more; the watcher's code when that is negative. */
static int converse(struct child *child, const struct cb_spawn *spec, struct cb_buf *out, struct cb_buf *errout,
	struct cb_err **err)
{
	uint64_t end = spec->timeout_ms ? cb_time_mono() + (uint64_t)spec->timeout_ms * 1000000u : UINT64_MAX;
	size_t max = spec->max_output ? spec->max_output : (size_t)1 << 20, sent = 0;

	while (child->out >= 0 || child->errout >= 0) {
		struct pollfd fds[4] = {
			{ .fd = child->in, .events = POLLOUT },
			{ .fd = child->out, .events = POLLIN },
			{ .fd = child->errout, .events = POLLIN },
			{ .fd = cb_cancel_fd(spec->cancel), .events = POLLIN },
		};
		uint64_t now = cb_time_mono();
		int r;

		if (now >= end || cb_cancel_raised(spec->cancel))
			return 1;
		r = spec->watch ? spec->watch(spec->watch_arg, err) : 0;
		if (r < 0)
			return r;
		if (poll(fds, ARRAY_SIZE(fds), pause_of(spec, now, end)) < 0)
			continue;
		if (fds[0].revents)
			feed(child, spec, &sent);
		if (fds[1].revents)
			drain(&child->out, out, max);
		if (fds[2].revents)
			drain(&child->errout, errout, max);
	}
	return 0;
}

int cb_spawn_run(const struct cb_spawn *spec, struct cb_buf *out, struct cb_buf *errout, struct cb_err **err)
{
	struct child child = { .in = -EBADF, .out = -EBADF, .errout = -EBADF };
	int status, r, late;

	r = start(spec, &child, err);
	if (r < 0)
		return r;
	/* Before it wrote much: of a program's own making nothing is that fast. */
	if (spec->max_file) {
		struct rlimit limit = { spec->max_file, spec->max_file };

		(void)prlimit(child.pid, RLIMIT_FSIZE, &limit, NULL);
	}
	late = converse(&child, spec, out, errout, err);
	child_close(&child);
	if (late)
		kill(-child.pid, SIGKILL);
	while (waitpid(child.pid, &status, 0) < 0)
		if (errno != EINTR)
			return cb_err_errno(err, errno, "wait for %s", spec->argv[0]);
	if (late < 0)
		return late;
	r = cb_cancel_check(late ? spec->cancel : NULL, err);
	if (r < 0)
		return r;
	if (late)
		return cb_err_set(err, CB_ERR_LIMIT, "%s did not end within %d ms", spec->argv[0], spec->timeout_ms);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool cb_spawn_have(const char *program)
{
	const char *path = getenv("PATH");

	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
		const char *end = strchrnul(p, ':');
		char file[PATH_MAX];

		if (snprintf(file, sizeof(file), "%.*s/%s", (int)(end - p), p, program) < (int)sizeof(file) &&
			access(file, X_OK) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}
