#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/owner.h"
#include "runtime/channel.h"
#include "runtime/entry.h"
#include "runtime/idmap.h"
#include "runtime/kernel.h"

static struct cb_entry entry;

const struct cb_entry *cb_entry_get(void)
{
	return &entry;
}

/* What the original process tells the forked one. */
struct mapped {
	int ok;
	enum cb_isolation isolation;
	int errnum;
	char reason[256];
};

bool cb_runtime_trusted_xattrs(void)
{
	cleanup_close int fd = memfd_create("cbuild-trial", MFD_CLOEXEC);

	/* Only root of the initial user namespace may write them: ask by doing. */
	return fd >= 0 && fsetxattr(fd, "trusted.cbuild", "1", 1, 0) == 0;
}

static bool may_mount(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	return geteuid() == 0 && syscall(SYS_capget, &head, data) == 0 &&
	       (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

static void relayed_signals(sigset_t *set)
{
	static const int list[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGCHLD };

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sigaddset(set, list[i]);
}

static CB_NORETURN void end_like(int status)
{
	const struct rlimit none = { 0, 0 };
	sigset_t all;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&all);
	(void)sigprocmask(SIG_UNBLOCK, &all, NULL);
	(void)raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

/* The original process: nothing left to do but to look like cbuild to whoever started it. */
static CB_NORETURN void stand_in(pid_t child)
{
	siginfo_t info;
	sigset_t set;
	int status;

	(void)prctl(PR_SET_NAME, "cbuild-outer");
	relayed_signals(&set);
	(void)cb_sys_close_range(3, ~0U, 0);
	for (;;) {
		if (waitpid(child, &status, WNOHANG) == child)
			end_like(status);
		if (sigwaitinfo(&set, &info) < 0)
			continue;
		/* A terminal signals the whole process group, so the child has had those already. */
		if (info.si_signo != SIGCHLD && info.si_code != SI_KERNEL)
			(void)kill(child, info.si_signo);
	}
}

static int map_child(pid_t child, enum cb_isolation want, struct mapped *m, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;
	enum cb_idmap how;
	int r = -1;

	m->isolation = CB_ISOLATION_RANGES;
	if (want != CB_ISOLATION_SINGLE)
		r = cb_idmap_write_many(child, &how, &why);
	if (r == 0)
		return 0;
	if (want == CB_ISOLATION_RANGES)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "isolation ranges: %s", cb_err_msg(why));
	m->isolation = CB_ISOLATION_SINGLE;
	m->errnum = why ? why->errnum : 0;
	snprintf(m->reason, sizeof(m->reason), "%s", why ? cb_err_msg(why) : "one id was asked for");
	return cb_idmap_write_single(child, err);
}

static int become_root(const struct mapped *m, pid_t parent)
{
	if (m->isolation == CB_ISOLATION_RANGES && setgroups(0, NULL) < 0)
		return -1;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -1;
	/* Set after the change of ids, which forgets it; the check closes the gap before. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return -1;
	(void)prctl(PR_SET_DUMPABLE, 1);
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

/* The forked process: in the namespaces first, then told its ids. Reports errno, 0 for success. */
static int inner(int sock, pid_t parent, const sigset_t *mask, struct cb_err **err)
{
	struct mapped m;
	int errnum = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno : 0;

	(void)cb_channel_send(sock, &errnum, sizeof(errnum), NULL, 0);
	if (cb_channel_recv(sock, &m, sizeof(m), NULL, NULL) != (ssize_t)sizeof(m) || !m.ok)
		_exit(1);
	close(sock);
	if (become_root(&m, parent) < 0)
		return cb_err_errno(err, errno, "become root of the user namespace");
	entry.entered = true;
	cb_owner_ask_again();
	entry.isolation = m.isolation;
	entry.ranges_errnum = m.errnum;
	memcpy(entry.ranges_reason, m.reason, sizeof(m.reason));
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	return 0;
}

static int no_userns(int errnum, struct cb_err **err)
{
	int r = cb_err_set(err, CB_ERR_UNSUPPORTED, "user namespaces cannot be used here: %s", strerror(errnum));

	if (*err)
		(*err)->errnum = errnum;
	return cb_err_hint(err, r,
		"run as root, or allow them: sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces, "
		"an AppArmor profile with \"userns,\", or in a container --security-opt seccomp=unconfined");
}

static int enter_userns(enum cb_isolation want, struct cb_err **err)
{
	struct mapped m = { 0 };
	int pair[2], errnum = 0, r = 0;
	sigset_t set, saved;
	pid_t self = getpid();

	if (cb_channel_pair(pair) < 0)
		return cb_err_errno(err, errno, "make channel");
	relayed_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &saved);
	pid_t child = fork();
	if (child == 0) {
		close(pair[0]);
		return inner(pair[1], self, &saved, err);
	}
	close(pair[1]);
	if (child < 0)
		r = cb_err_errno(err, errno, "fork");
	else if (cb_channel_recv(pair[0], &errnum, sizeof(errnum), NULL, NULL) != (ssize_t)sizeof(errnum))
		r = cb_err_set(err, CB_ERR_INTERNAL, "the process for the user namespace ended early");
	else if (errnum)
		r = no_userns(errnum, err);
	else
		r = map_child(child, want, &m, err);
	if (r == 0) {
		m.ok = 1;
		(void)cb_channel_send(pair[0], &m, sizeof(m), NULL, 0);
		stand_in(child);
	}
	close(pair[0]);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	(void)sigprocmask(SIG_SETMASK, &saved, NULL);
	return r;
}

static void enter_chroot(const struct cb_err *why)
{
	entry.entered = true;
	entry.isolation = CB_ISOLATION_CHROOT;
	entry.ranges_errnum = why ? why->errnum : 0;
	snprintf(entry.ranges_reason, sizeof(entry.ranges_reason), "%s", cb_err_msg(why));
}

int cb_runtime_enter(enum cb_isolation want, struct cb_err **err)
{
	cleanup_err struct cb_err *why = NULL;

	if (entry.entered)
		return 0;
	if (want == CB_ISOLATION_CHROOT) {
		enter_chroot(NULL);
		return 0;
	}
	/* Slave: what the host unmounts is not kept busy by us, and what we mount stays here. */
	if (want != CB_ISOLATION_RANGES && want != CB_ISOLATION_SINGLE && may_mount() && unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0) {
		entry.entered = true;
		entry.isolation = CB_ISOLATION_ROOT;
		return 0;
	}
	if (want == CB_ISOLATION_ROOT || want == CB_ISOLATION_ROOT_USERNS)
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "isolation %s needs root with CAP_SYS_ADMIN", cb_isolation_name(want));
	int r = enter_userns(want, &why);
	/* A container's root without namespaces still has chroot, this call leads nowhere. */
	if (r < 0 && geteuid() == 0 && want == CB_ISOLATION_AUTO && r == CB_ERR_UNSUPPORTED && chroot("/") == 0) {
		enter_chroot(why);
		return 0;
	}
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(why)) : 0;
}
