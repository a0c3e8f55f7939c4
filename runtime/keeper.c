#include "runtime/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "runtime/kernel.h"

static pid_t parent_of(int proc, const char *pid)
{
	char path[32], text[512];
	const char *end;

	snprintf(path, sizeof(path), "%.16s/stat", pid);
	cleanup_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : cb_fd_read_full(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	/* "1234 (name, which may hold anything) S 1 ..." */
	end = strrchr(text, ')');
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : -1;
}

/* Kills the children there are now, and waits for them. Their own children become ours as they die. */
static size_t end_now(int proc, bool (*spared)(void *arg, pid_t pid), void *arg)
{
	int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	pid_t self = getpid();
	size_t n = 0;

	for (const struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		if (pid <= 0 || parent_of(proc, d->d_name) != self || (spared && spared(arg, pid)))
			continue;
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		n++;
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return n;
}

void cb_keeper_end_strangers(int proc, bool (*spared)(void *arg, pid_t pid), void *arg)
{
	while (end_now(proc, spared, arg) > 0)
		;
}

static volatile sig_atomic_t command;

static void pass_on(int sig)
{
	if (command > 0)
		(void)kill(command, sig);
}

static CB_NORETURN void end_like(int status)
{
	const struct rlimit none = { 0, 0 };

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(WTERMSIG(status), SIG_DFL);
	(void)raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

void cb_keeper_split(struct cb_sandbox *sb, int proc, void (*finish)(void *arg), void *arg)
{
	struct sigaction action = { .sa_handler = pass_on };
	int status = 0;

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t self = getpid(), pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
			_exit(CB_STATUS_BROKEN);
		(void)setsid();
		return;
	}
	if (pid < 0)
		cb_sandbox_fail(sb, errno, "fork");
	(void)prctl(PR_SET_NAME, "cbuild-keeper");
	command = pid;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	/* The channel's end tells that the command runs, those of the streams that nothing more comes. */
	close(sb->sock);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	command = 0;
	cb_keeper_end_strangers(proc, NULL, NULL);
	if (finish)
		finish(arg);
	end_like(status);
}
