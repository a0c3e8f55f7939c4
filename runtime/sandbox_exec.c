/*
 * The last steps before the command: working directory, limits, standard streams, ids, capabilities, filter, exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/owner.h"
#include "base/strv.h"
#include "runtime/channel.h"
#include "runtime/kernel.h"
#include "runtime/notify.h"
#include "runtime/recorder.h"
#include "runtime/sandbox.h"
#include "runtime/zygote.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void enter_cwd(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	cleanup_free char *path = cb_xstrdup(spec->cwd);

	if (chdir(path) == 0)
		return;
	for (char *p = path + 1; errno == ENOENT || errno == EEXIST; p++) {
		char *slash = strchr(p, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(path, 0755) == 0) {
			if (cb_owner_fchownat(AT_FDCWD, path, spec->uid, spec->gid) < 0)
				break;
		} else if (errno != EEXIST) {
			break;
		}
		if (!slash) {
			if (chdir(path) == 0)
				return;
			break;
		}
		*slash = '/';
		p = slash;
		errno = ENOENT;
	}
	cb_sandbox_fail(sb, errno, "enter working directory %s", spec->cwd);
}

static rlim_t limit_of(uint64_t v)
{
	return v == UINT64_MAX ? RLIM_INFINITY : (rlim_t)v;
}

/* Raising a hard limit needs a privilege outside: take what there is, and say so. */
static void set_limits(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	for (size_t i = 0; i < spec->n_ulimits; i++) {
		const struct cb_ulimit *u = &spec->ulimits[i];
		__rlimit_resource_t resource = (__rlimit_resource_t)u->resource;
		struct rlimit want = { .rlim_cur = limit_of(u->soft), .rlim_max = limit_of(u->hard) }, have;
		if (setrlimit(resource, &want) == 0)
			continue;
		if (errno != EPERM || getrlimit(resource, &have) < 0)
			cb_sandbox_fail(sb, errno, "set resource limit %s", u->name);
		want.rlim_max = CB_MIN(want.rlim_max, have.rlim_max);
		want.rlim_cur = CB_MIN(want.rlim_cur, want.rlim_max);
		if (setrlimit(resource, &want) < 0)
			cb_sandbox_fail(sb, errno, "set resource limit %s", u->name);
		cb_sandbox_report(sb, CB_REPORT_WARNING, 0, "resource limit %s lowered to %llu, the most allowed here",
			u->name, (unsigned long long)want.rlim_max);
	}
}

static void set_stdio(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	const int from[] = { spec->stdin_fd, spec->stdout_fd, spec->stderr_fd };

	for (int i = 0; i < 3; i++) {
		cleanup_close int null = -EBADF;
		if (from[i] < 0)
			null = open("/dev/null", O_RDWR | O_CLOEXEC);
		/* All received descriptors are above 3, so none is overwritten before its turn. */
		if ((from[i] < 0 && null < 0) || dup2(from[i] < 0 ? null : from[i], i) < 0)
			cb_sandbox_fail(sb, errno, "connect standard streams");
	}
}

static void set_groups(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	if (syscall(SYS_setgroups, spec->n_groups, spec->groups) == 0)
		return;
	/* With one id only, groups cannot be set, and those of the user that we run as cannot be used by anybody else.
	 */
	char policy[8] = "";
	cleanup_close int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!read(fd, policy, sizeof(policy) - 1);
	if (strncmp(policy, "deny", 4) != 0)
		cb_sandbox_fail(sb, errno, "set groups (an id above what this user may use?)");
}

/* Who runs us is asked about devices from now on; without a listener the kernel's answer stays what it is. */
static void give_listener(const struct cb_sandbox *sb, int listener)
{
	const struct cb_report_head head = { .kind = CB_REPORT_ASKING };

	(void)cb_channel_send(sb->sock, &head, sizeof(head), &listener, 1);
	close(listener);
}

/* A filter takes CAP_SYS_ADMIN, which a container's root does not have, or the promise to gain nothing by exec. */
static void load_filter(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	/* An insecure step could mount what it made without nodev. */
	bool asking = sb->kind & CB_SANDBOX_ASKING && !spec->insecure;
	int listener = -1;

	if ((spec->no_new_privs || sb->kind & CB_SANDBOX_CHROOT) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		cb_sandbox_fail(sb, errno, "set no_new_privs");
	/* The user's may forbid what it takes to give the listener away. */
	if (asking && (spec->filter || spec->unfiltered)) {
		struct sock_filter code[CB_NOTIFY_PROGRAM_MAX];
		listener = cb_notify_load(code, cb_notify_program(code));
	} else if (asking) {
		listener = cb_seccomp_load_asking();
	}
	if (listener >= 0)
		give_listener(sb, listener);
	if (spec->insecure || spec->unfiltered || (listener >= 0 && !spec->filter))
		return;
	if (cb_seccomp_load(spec->filter, spec->filter_len) < 0)
		cb_sandbox_fail(sb, errno, "load the seccomp filter");
}

/* With one id all stay who they are, and the recorder knows who they should be. Capabilities stay as well. */
static void drop_recorded(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	load_filter(sb, spec);
	if (cb_recorder_attach(sb->recorder, spec) < 0)
		cb_sandbox_fail(sb, errno, "start the recorder of owners");
	if (cb_caps_set(cb_caps_kept(sb->kind, spec->insecure)) < 0)
		cb_sandbox_fail(sb, errno, "set capabilities");
}

static void drop_privileges(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	uint64_t caps = cb_caps_kept(sb->kind, spec->insecure);

	if (sb->recorder >= 0) {
		drop_recorded(sb, spec);
		return;
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		cb_sandbox_fail(sb, errno, "keep capabilities");
	set_groups(sb, spec);
	/* By system call: there is one thread here, and glibc would signal others that it still knows of. */
	if (syscall(SYS_setresgid, spec->gid, spec->gid, spec->gid) < 0)
		cb_sandbox_fail(sb, errno, "become group %u", (unsigned int)spec->gid);
	if (syscall(SYS_setresuid, spec->uid, spec->uid, spec->uid) < 0)
		cb_sandbox_fail(sb, errno, "become user %u", (unsigned int)spec->uid);
	/* The change of user has emptied the effective set, but loading the filter takes CAP_SYS_ADMIN. */
	if (cb_caps_set(cb_caps_all()) < 0)
		cb_sandbox_fail(sb, errno, "keep capabilities");
	load_filter(sb, spec);
	if (cb_caps_set(spec->uid == 0 ? caps : 0) < 0)
		cb_sandbox_fail(sb, errno, "set capabilities");
}

static const char *env_get(char *const *env, const char *key)
{
	const char *value = NULL;
	size_t len = strlen(key);

	for (; *env; env++)
		if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
			value = *env + len + 1;
	return value;
}

static CB_NORETURN void cannot_exec(const char *name, int errnum)
{
	bool missing = errnum == ENOENT || errnum == ENOTDIR;
	const char *why = strerror(errnum);

	if (missing && !strchr(name, '/'))
		why = "executable file not found in $PATH";
	else if (missing)
		why = "no such file or directory (or its interpreter is missing)";
	(void)dprintf(STDERR_FILENO, "exec: \"%s\": %s\n", name, why);
	_exit(missing ? CB_STATUS_NOT_FOUND : CB_STATUS_NOT_EXECUTABLE);
}

static CB_NORETURN void exec_on_path(const struct cb_sandbox_spec *spec)
{
	const char *name = spec->argv[0], *path = env_get(spec->env, "PATH");
	cleanup_strv struct cb_strv dirs = { 0 };
	int best = ENOENT;

	cb_strv_split(&dirs, path ? path : DEFAULT_PATH, ':');
	for (size_t i = 0; i < dirs.n; i++) {
		cleanup_free char *file = cb_xasprintf("%s%s%s", dirs.v[i], *dirs.v[i] ? "/" : "./", name);
		struct stat st;
		/* Only regular files count: a directory of that name says EACCES. */
		if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
			continue;
		execve(file, spec->argv, spec->env);
		if (errno == ENOEXEC || errno == E2BIG || errno == ENOMEM || errno == ETXTBSY)
			cannot_exec(file, errno);
		if (errno == EACCES)
			best = EACCES;
	}
	cannot_exec(name, best);
}

void cb_sandbox_exec(const struct cb_sandbox *sb, const struct cb_sandbox_spec *spec)
{
	umask(022);
	enter_cwd(sb, spec);
	set_limits(sb, spec);
	set_stdio(sb, spec);
	/* Descriptors above 2, the channel among them, must not outlive exec; closing it there says that all went well.
	 */
	if (cb_sys_close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		cb_sandbox_fail(sb, errno, "close descriptors");
	drop_privileges(sb, spec);

	if (strchr(spec->argv[0], '/') || !*spec->argv[0]) {
		execve(spec->argv[0], spec->argv, spec->env);
		cannot_exec(spec->argv[0], errno);
	}
	exec_on_path(spec);
}
