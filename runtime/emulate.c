#include "runtime/emulate.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/path.h"
#include "runtime/channel.h"
#include "runtime/emulate_elf.h"
#include "runtime/entry.h"
#include "runtime/kernel.h"
#include "runtime/runtime_private.h"

/* Program headers are at the start of every emulator that there is. */
#define HEAD_MAX 4096
#define ARCHS_MAX 16

struct emulated {
	bool known;
	enum cb_emulation how;
	char *detail;
};

struct cb_emulations {
	pthread_mutex_t lock;
	struct emulated v[ARCHS_MAX]; /* as cb_emulate_archs */
	bool tried;                   /* to register handlers of our own */
	char *refused;                /* why that could not be; or NULL */
	char *programs[ARCHS_MAX];    /* that were registered */
	int mount;                    /* of our binfmt_misc; handlers live as long as it does */
};

struct cb_emulations *cb_emulations_new(void)
{
	struct cb_emulations *e = cb_new0(struct cb_emulations);

	pthread_mutex_init(&e->lock, NULL);
	e->mount = -EBADF;
	return e;
}

struct cb_emulations *cb_emulations_free(struct cb_emulations *e)
{
	if (!e)
		return NULL;
	for (size_t i = 0; i < ARCHS_MAX; i++) {
		free(e->v[i].detail);
		free(e->programs[i]);
	}
	free(e->refused);
	cb_closep(&e->mount);
	pthread_mutex_destroy(&e->lock);
	free(e);
	return NULL;
}

const char *cb_emulation_name(enum cb_emulation how)
{
	static const char *const names[] = { "none", "native", "host", "own" };

	return names[how];
}

char *cb_emulation_program(const char *arch)
{
	const struct cb_emulate_arch *known = cb_emulate_arch_find(arch);

	return known ? cb_xasprintf("qemu-%s-static", known->qemu) : NULL;
}

/* ---- trying --------------------------------------------------------------------------------------------------- */

/* The child of a threaded process: nothing but system calls. */
static CB_NORETURN void run_probe(int userns, int dir)
{
	static const char *const argv[] = { "probe", NULL };

	if (userns >= 0 && setns(userns, CLONE_NEWUSER) < 0)
		_exit(1);
	/* In an empty root, as a step has it: an emulator that is looked up by its name there does not count. */
	if (fchdir(dir) < 0 || chroot(".") < 0)
		_exit(1);
	(void)execve("/probe", (char *const *)argv, (char *const *)&argv[1]);
	_exit(1);
}

static bool write_probe(int dir, const struct cb_emulate_arch *arch)
{
	uint8_t image[CB_EMULATE_PROBE_MAX];
	size_t len = cb_emulate_probe(arch, image);
	cleanup_close int fd = openat(dir, "probe", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	return fd >= 0 && fchmod(fd, 0755) == 0 && cb_fd_write_all(fd, image, len) == 0;
}

static bool runs(const struct cb_runtime *rt, const struct cb_emulate_arch *arch)
{
	char name[32];
	bool ran = false;
	int status = 0;

	snprintf(name, sizeof(name), "probe-%d", (int)getpid());
	if (mkdirat(rt->overlay.scratch_fd, name, 0755) < 0)
		return false;
	cleanup_close int dir = openat(rt->overlay.scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0 && fchmod(dir, 0755) == 0 && write_probe(dir, arch)) {
		pid_t pid = fork();

		if (pid == 0)
			run_probe(rt->zygote.userns_fd, dir);
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		ran = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CB_EMULATE_STATUS;
	}
	(void)cb_path_remove_tree(rt->overlay.scratch_fd, name, NULL);
	return ran;
}

/* ---- handlers of our own -------------------------------------------------------------------------------------- */

static bool is_emulator(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[HEAD_MAX];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return false;
	ssize_t n = cb_fd_read_full(fd, head, sizeof(head));
	return n > 0 && cb_emulate_is_static(head, (size_t)n);
}

/* Newer distributions have left the suffix away, so what is dynamically linked must be told apart by looking. */
static char *find_in(const char *list, const char *qemu)
{
	static const char *const forms[] = { "%s/qemu-%s-static", "%s/qemu-%s" };
	cleanup_strv struct cb_strv dirs = { 0 };

	cb_strv_split(&dirs, list ? list : "", ':');
	for (size_t i = 0; i < dirs.n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(forms) && dirs.v[i][0] == '/'; k++) {
			cleanup_free char *path = cb_xasprintf(forms[k], dirs.v[i], qemu);

			if (is_emulator(path))
				return CB_TAKE_PTR(path);
		}
	}
	return NULL;
}

static char *find_program(const struct cb_emulate_arch *arch)
{
	char *path = find_in(getenv("CBUILD_EMULATORS"), arch->qemu);

	return path ? path : find_in(getenv("PATH"), arch->qemu);
}

struct handler {
	char *rule, *program;
};

/* From the child: where it failed. */
struct outcome {
	int errnum;
	char what[48];
};

static int register_one(int mount, const struct handler *handler)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	cleanup_close int program = cb_sys_open_tree(AT_FDCWD, handler->program, OPEN_TREE_CLONE);
	cleanup_close int file = openat(mount, "register", O_WRONLY | O_CLOEXEC);
	char text[1024];

	if (program < 0 || file < 0 || cb_sys_mount_setattr(program, "", AT_EMPTY_PATH, &attr) < 0)
		return -1;
	/* P: keep argv[0]; O, C: credentials as of the program itself; F: opened now, once. */
	int n = snprintf(text, sizeof(text), "%s/proc/self/fd/%d:POCF", handler->rule, program);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return write(file, text, (size_t)n) == n ? 0 : -1;
}

static int mount_binfmt(int userns, const char **what)
{
	*what = "enter the user namespace";
	if (userns >= 0 && (setns(userns, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0))
		return -1;
	*what = "mount binfmt_misc in a user namespace (since Linux 6.7)";
	int fs = cb_sys_fsopen("binfmt_misc");
	if (fs < 0 || cb_sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return cb_sys_fsmount(fs, 0);
}

/* In a process of its own, which may enter the namespace that steps have. */
static CB_NORETURN void register_main(int userns, const struct handler *handlers, size_t n, int sock)
{
	struct outcome outcome = { 0 };
	const char *what;
	int mount = mount_binfmt(userns, &what), errnum = mount < 0 ? errno : 0;

	for (size_t i = 0; errnum == 0 && i < n; i++) {
		what = handlers[i].program;
		if (register_one(mount, &handlers[i]) < 0)
			errnum = errno;
	}
	outcome.errnum = errnum;
	if (errnum)
		snprintf(outcome.what, sizeof(outcome.what), "%s", what);
	(void)cb_channel_send(sock, &outcome, sizeof(outcome), &mount, errnum == 0);
	_exit(0);
}

static char *register_all(struct cb_runtime *rt, const struct handler *handlers, size_t n)
{
	struct outcome outcome = { 0 };
	int pair[2], fd = -EBADF;
	size_t n_fds = 1;

	if (cb_channel_pair(pair) < 0)
		return cb_xasprintf("make channel: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		register_main(rt->zygote.userns_fd, handlers, n, pair[1]);
	}
	close(pair[1]);
	ssize_t len = pid < 0 ? -1 : cb_channel_recv(pair[0], &outcome, sizeof(outcome), &fd, &n_fds);
	close(pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (len != (ssize_t)sizeof(outcome))
		return cb_xstrdup("the process that registers emulators ended early");
	outcome.what[sizeof(outcome.what) - 1] = '\0';
	if (outcome.errnum || !n_fds)
		return cb_xasprintf("%s: %s", outcome.what, strerror(outcome.errnum));
	rt->emulations->mount = fd;
	return NULL;
}

/* Handlers of our own hide those of the host: what is in use must be among ours. Returns why not, or NULL. */
static char *gather(const struct cb_emulations *e, struct handler *handlers, size_t *ret_n)
{
	for (size_t i = 0; i < cb_n_emulate_archs; i++) {
		const struct cb_emulate_arch *arch = &cb_emulate_archs[i];
		const struct emulated *known = &e->v[i];

		if (known->known && known->how == CB_EMULATION_NATIVE)
			continue;
		char *program = find_program(arch);
		if (!program && known->known && known->how == CB_EMULATION_HOST)
			return cb_xasprintf("no qemu-%s-static, and the host's handler for %s would be hidden",
				arch->qemu, arch->name);
		if (program)
			handlers[(*ret_n)++] = (struct handler){ cb_emulate_rule(arch), program };
	}
	return NULL;
}

static bool is_native(const struct cb_emulate_arch *arch)
{
	struct utsname uts;

	if (uname(&uts) < 0)
		return false;
	if (!strcmp(uts.machine, "x86_64"))
		return !strcmp(arch->name, "amd64") || !strcmp(arch->name, "386");
	if (!strcmp(uts.machine, "aarch64"))
		return !strcmp(arch->name, "arm64") || !strcmp(arch->name, "arm");
	return !strcmp(uts.machine, arch->qemu);
}

/* What the processor runs itself needs no handler, and is not to get one. */
static void learn_native(struct cb_runtime *rt)
{
	for (size_t i = 0; i < cb_n_emulate_archs; i++) {
		struct emulated *at = &rt->emulations->v[i];

		if (at->known || !is_native(&cb_emulate_archs[i]) || !runs(rt, &cb_emulate_archs[i]))
			continue;
		*at = (struct emulated){ true, CB_EMULATION_NATIVE, cb_xstrdup("") };
	}
}

static void try_own(struct cb_runtime *rt)
{
	struct cb_emulations *e = rt->emulations;
	struct handler handlers[ARCHS_MAX];
	enum cb_isolation entered = cb_entry_get()->isolation;
	size_t n = 0;

	e->tried = true;
	/* Elsewhere it would be the binfmt_misc of others, too. */
	if (rt->info.isolation == CB_ISOLATION_CHROOT ||
		(rt->zygote.userns_fd < 0 && entered != CB_ISOLATION_RANGES && entered != CB_ISOLATION_SINGLE)) {
		e->refused = cb_xasprintf("isolation %s has no user namespace to register an emulator in",
			cb_isolation_name(rt->info.isolation));
		return;
	}
	learn_native(rt);
	e->refused = gather(e, handlers, &n);
	if (!e->refused && n)
		e->refused = register_all(rt, handlers, n);
	for (size_t i = 0; i < n; i++) {
		const char *name = handlers[i].rule + strlen(":cbuild-");

		for (size_t k = 0; k < cb_n_emulate_archs; k++) {
			size_t len = strlen(cb_emulate_archs[k].name);

			if (!strncmp(name, cb_emulate_archs[k].name, len) && name[len] == ':' && !e->refused)
				e->programs[k] = CB_TAKE_PTR(handlers[i].program);
		}
		free(handlers[i].rule);
		free(handlers[i].program);
	}
}

static void learn(struct cb_runtime *rt, const struct cb_emulate_arch *arch, size_t at)
{
	struct cb_emulations *e = rt->emulations;
	struct emulated *known = &e->v[at];

	if (!e->programs[at] && runs(rt, arch)) {
		known->how = is_native(arch) ? CB_EMULATION_NATIVE : CB_EMULATION_HOST;
		known->detail = cb_xstrdup("");
		known->known = true;
		return;
	}
	if (!e->tried)
		try_own(rt);
	if (known->known)
		return;
	known->known = true;
	if (e->programs[at] && runs(rt, arch)) {
		known->how = CB_EMULATION_OWN;
		known->detail = cb_xstrdup(e->programs[at]);
		return;
	}
	known->how = CB_EMULATION_NONE;
	if (e->programs[at])
		known->detail = cb_xasprintf("%s does not run its programs", e->programs[at]);
	else if (e->refused)
		known->detail = cb_xstrdup(e->refused);
	else
		known->detail = cb_xasprintf("there is no qemu-%s-static on PATH", arch->qemu);
}

enum cb_emulation cb_runtime_emulate(struct cb_runtime *runtime, const char *arch, const char **ret_detail)
{
	const struct cb_emulate_arch *known = cb_emulate_arch_find(arch);
	struct cb_emulations *e = runtime->emulations;
	enum cb_emulation how = CB_EMULATION_NONE;
	const char *detail = "nothing is known of such programs";

	if (known) {
		size_t at = (size_t)(known - cb_emulate_archs);

		pthread_mutex_lock(&e->lock);
		if (!e->v[at].known)
			learn(runtime, known, at);
		how = e->v[at].how;
		detail = e->v[at].detail;
		pthread_mutex_unlock(&e->lock);
	}
	if (ret_detail)
		*ret_detail = detail;
	return how;
}
