#include "runtime/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "runtime/channel.h"
#include "runtime/kernel.h"
#include "runtime/zygote.h"

static void report(const struct cb_sandbox *sb, enum cb_report kind, int errnum, const char *fmt, va_list ap)
{
	char msg[CB_REPORT_MAX];
	const struct cb_report_head head = { .kind = kind, .errnum = errnum };

	memcpy(msg, &head, sizeof(head));
	int n = vsnprintf(msg + sizeof(head), sizeof(msg) - sizeof(head), fmt, ap);
	size_t len = n < 0 ? 0 : CB_MIN((size_t)n, sizeof(msg) - sizeof(head) - 1);
	/* When nobody listens any more, the sandbox is about to be killed anyway. */
	(void)cb_channel_send(sb->sock, msg, sizeof(head) + len, NULL, 0);
}

void cb_sandbox_report(const struct cb_sandbox *sb, enum cb_report kind, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(sb, kind, errnum, fmt, ap);
	va_end(ap);
}

void cb_sandbox_fail(const struct cb_sandbox *sb, int errnum, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report(sb, CB_REPORT_ERROR, errnum, fmt, ap);
	va_end(ap);
	_exit(CB_STATUS_BROKEN);
}

/* Everything inherited from the zygote goes, above all the channels of other sandboxes. */
static void keep_channels(struct cb_sandbox *sb)
{
	int sock = fcntl(sb->sock, F_DUPFD_CLOEXEC, 10);
	int recorder = sb->recorder < 0 ? -1 : fcntl(sb->recorder, F_DUPFD_CLOEXEC, 10);

	if (dup3(sock, 3, O_CLOEXEC) < 0)
		_exit(CB_STATUS_BROKEN);
	sb->sock = 3;
	if (sb->recorder >= 0 && dup3(recorder, 4, O_CLOEXEC) < 0)
		cb_sandbox_fail(sb, errno, "keep the channel to the recorder");
	sb->recorder = sb->recorder < 0 ? -1 : 4;
	if (cb_sys_close_range(sb->recorder < 0 ? 4 : 5, ~0U, 0) < 0)
		cb_sandbox_fail(sb, errno, "close descriptors");
}

static void raise_loopback(const struct cb_sandbox *sb)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		cb_sandbox_fail(sb, errno, "bring up lo");
}

/*
 * In its control groups, the sandbox makes itself a namespace of them, in which they are the root. It is alone in its
 * thread group, which "tasks" of v1 wants.
 */
static void join(struct cb_sandbox *sb, const struct cb_sandbox_setup *setup)
{
	struct statfs fs;

	for (size_t i = 0; i < setup->n_groups; i++) {
		if (write(setup->groups[i], "0", 1) == 1)
			sb->own_group |= fstatfs(setup->groups[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
		else if (setup->groups_required)
			cb_sandbox_fail(sb, errno, "join the control group of the step");
	}
	if (!(setup->kind & CB_SANDBOX_CHROOT) && unshare(CLONE_NEWCGROUP) < 0)
		cb_sandbox_fail(sb, errno, "make a control group namespace");
	if (setup->kind & CB_SANDBOX_JOINED && setns(setup->netns, CLONE_NEWNET) < 0)
		cb_sandbox_fail(sb, errno, "join the network of the build");
}

static int take_fd(const int *fds, size_t n_fds, uint64_t index)
{
	return index < n_fds ? fds[index] : -1;
}

static void decode_mounts(struct cb_wire *in, const int *fds, size_t n_fds, struct cb_sandbox_spec *spec)
{
	spec->n_mounts = (size_t)cb_wire_get_u64(in);
	if (spec->n_mounts > CB_RUN_MOUNTS_MAX)
		in->bad = true;
	if (in->bad)
		spec->n_mounts = 0;
	spec->mounts = cb_newa0(struct cb_sandbox_mount, spec->n_mounts + 1);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct cb_sandbox_mount *m = &spec->mounts[i];
		m->kind = (enum cb_run_mount_kind)cb_wire_get_u64(in);
		m->target = cb_wire_get_str(in);
		m->sub = cb_wire_get_str(in);
		m->readonly = cb_wire_get_u64(in) != 0;
		m->generated = cb_wire_get_u64(in) != 0;
		m->fd = take_fd(fds, n_fds, cb_wire_get_u64(in));
		m->size = cb_wire_get_u64(in);
		m->data = cb_wire_get_bytes(in, &m->len);
		m->uid = (uid_t)cb_wire_get_u64(in);
		m->gid = (gid_t)cb_wire_get_u64(in);
		m->mode = (mode_t)cb_wire_get_u64(in);
		if (!m->target)
			in->bad = true;
	}
}

static void decode(
	const struct cb_sandbox *sb, struct cb_wire *in, const int *fds, size_t n_fds, struct cb_sandbox_spec *spec)
{
	size_t len;

	spec->root_fd = take_fd(fds, n_fds, cb_wire_get_u64(in));
	spec->stdin_fd = take_fd(fds, n_fds, cb_wire_get_u64(in));
	spec->stdout_fd = take_fd(fds, n_fds, cb_wire_get_u64(in));
	spec->stderr_fd = take_fd(fds, n_fds, cb_wire_get_u64(in));
	spec->argv = cb_wire_get_strv(in);
	spec->env = cb_wire_get_strv(in);
	spec->cwd = cb_wire_get_str(in);
	spec->hostname = cb_wire_get_str(in);
	spec->uid = (uid_t)cb_wire_get_u64(in);
	spec->gid = (gid_t)cb_wire_get_u64(in);
	const void *groups = cb_wire_get_bytes(in, &len);
	spec->n_groups = len / sizeof(gid_t);
	spec->groups = len ? cb_xmemdup(groups, len) : NULL;
	spec->filter = cb_wire_get_bytes(in, &spec->filter_len);
	spec->filter = spec->filter_len ? cb_xmemdup(spec->filter, spec->filter_len) : NULL;
	spec->unfiltered = cb_wire_get_u64(in) != 0;
	spec->no_new_privs = cb_wire_get_u64(in) != 0;
	spec->insecure = cb_wire_get_u64(in) != 0;
	spec->readonly = cb_wire_get_u64(in) != 0;
	spec->shm_size = cb_wire_get_u64(in);
	const void *limits = cb_wire_get_bytes(in, &len);
	spec->n_ulimits = len / sizeof(struct cb_ulimit);
	spec->ulimits = len ? cb_xmemdup(limits, len) : NULL;
	decode_mounts(in, fds, n_fds, spec);
	if (in->bad || spec->root_fd < 0 || !spec->argv[0] || !spec->cwd || !spec->hostname)
		cb_sandbox_fail(sb, EBADMSG, "read the run specification");
}

/* The bytes stay mapped until exec; nothing of them is ever in the container's address space. */
static void receive(const struct cb_sandbox *sb, struct cb_sandbox_spec *spec)
{
	struct cb_spec_head head;
	int fds[CB_CHANNEL_FDS_MAX];
	size_t n_fds = ARRAY_SIZE(fds);
	ssize_t n = cb_channel_recv(sb->sock, &head, sizeof(head), fds, &n_fds);

	if (n == 0)
		_exit(0); /* not needed any more */
	if (n != (ssize_t)sizeof(head) || n_fds < 2)
		cb_sandbox_fail(sb, n < 0 ? errno : EBADMSG, "receive the run specification");
	char *data = mmap(NULL, head.wire_len, PROT_READ, MAP_PRIVATE, fds[0], 0);
	if (data == MAP_FAILED)
		cb_sandbox_fail(sb, errno, "map the run specification");
	close(fds[0]);
	struct cb_wire in = { .p = data, .end = data + head.wire_len };
	decode(sb, &in, fds + 1, n_fds - 1, spec);
}

void cb_sandbox_main(int sock, int recorder, const struct cb_sandbox_setup *setup)
{
	const unsigned int kind = setup->kind;
	struct cb_sandbox sb = { .sock = sock, .recorder = recorder, .kind = kind, .root = CB_STAGE_ROOT };
	struct cb_sandbox_spec spec = { .root_fd = -1 };
	sigset_t none;

	(void)prctl(PR_SET_NAME, "cbuild-sandbox");
	join(&sb, setup);
	keep_channels(&sb);
	/* The zygote has reset all the others. */
	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	umask(0);
	/* Keys of the user that runs cbuild stay with it. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM)
		cb_sandbox_fail(&sb, errno, "make a session keyring");
	if (kind & CB_SANDBOX_NETNS)
		raise_loopback(&sb);
	/* Without a pid namespace nothing else makes sure that all ends with the zygote. */
	if (kind & (CB_SANDBOX_SHARED | CB_SANDBOX_CHROOT))
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The recorder goes where the asking process is. A filter around us may forbid it, which must show in the
	 * trial. */
	if (kind & CB_SANDBOX_RECORDED && chroot("/") < 0)
		cb_sandbox_fail(&sb, errno, "change root, which the recorder of owners has to");
	if (kind & CB_SANDBOX_CHROOT)
		cb_sandbox_stage_chroot(&sb);
	else
		cb_sandbox_stage(&sb);
	if (cb_caps_bound(cb_caps_kept(kind, kind & CB_SANDBOX_INSECURE)) < 0)
		cb_sandbox_fail(&sb, errno, "drop capabilities");
	cb_sandbox_report(&sb, CB_REPORT_READY, 0, "%s", "");

	receive(&sb, &spec);
	if (kind & CB_SANDBOX_CHROOT)
		cb_sandbox_assemble_chroot(&sb, &spec);
	else
		cb_sandbox_assemble(&sb, &spec);
	cb_sandbox_exec(&sb, &spec);
}
