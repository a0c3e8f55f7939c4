/*
 * What must hold in every mode: the tests of containers, shared by one program for each isolation.
 */
#ifndef CB_TESTS_RUNTIME_CONTAINERS_H
#define CB_TESTS_RUNTIME_CONTAINERS_H

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "containers_life.h"
#include "fixture.h"

/* What an isolation cannot give; docs/isolation.md. */
enum lacks { SHARED = 1, CHROOT = 2, PIDNS = 4 };

/* Scripts and what they print; status 0 unless said. */
static const struct {
	const char *name, *script, *want;
	int status;
	unsigned int not_in;
} scripts[] = {
	{ "status", "exit 42", "", 42, 0 },
	{ "both streams", "echo out; echo err >&2", "out\nerr\n", 0, 0 },
	{ "descriptors", "ls /proc/1/fd; true", "0\n1\n2\n", 0, SHARED | CHROOT },
	{ "stdin is empty", "cat; echo end", "end\n", 0, 0 },
	{ "capabilities", "grep ^Cap /proc/self/status | cut -f2 | tr '\\n' ' '",
		"0000000000000000 00000000a80425fb 00000000a80425fb 00000000a80425fb 0000000000000000 ", 0, CHROOT },
	{ "seccomp is a filter", "grep ^Seccomp: /proc/self/status | cut -f2", "2\n", 0, CHROOT },
	{ "setuid programs work", "grep ^NoNewPrivs /proc/self/status | cut -f2", "0\n", 0, CHROOT },
	{ "umask", "umask", "0022\n", 0, 0 },
	{ "pid, parent and session", "cut -d' ' -f1,4,6 /proc/1/stat", "1 0 1\n", 0, SHARED | CHROOT },
	{ "signals", "grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f2 | sort | tr '\\n' ' '",
		"0000000000000000 0000000000000000 ", 0, CHROOT },
	{ "hostname", "hostname", "buildkitsandbox\n", 0, CHROOT },
	{ "hosts", "head -n1 /etc/hosts", "127.0.0.1\tlocalhost buildkitsandbox\n", 0, CHROOT },
	{ "resolv.conf", "test -f /etc/resolv.conf", "", 0, 0 },
	{ "generated files cannot be written", "echo x 2>/dev/null >/etc/hosts || echo refused", "refused\n", 0,
		CHROOT },
	{ "root", "pwd; ls -a / | tr '\\n' ' '", "/\n. .. bin dev etc home proc root sys tmp ", 0, 0 },
	{ "devices", "echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 2 /dev/urandom | wc -c", "4\n2\n", 0, 0 },
	{ "device links", "readlink /dev/fd; readlink /dev/ptmx", "/proc/self/fd\npts/ptmx\n", 0, 0 },
	{ "masked files are empty",
		"cat /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug 2>/dev/null | wc -c", "0\n", 0,
		CHROOT },
	{ "masked directories are empty", "ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v : | wc -w",
		"0\n", 0, CHROOT },
	{ "kernel settings are read-only", "echo x 2>/dev/null >/proc/sys/kernel/domainname || echo refused",
		"refused\n", 0, CHROOT },
	{ "sysfs is read-only", "mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused", "refused\n", 0, CHROOT },
	{ "devices of the host stay closed",
		"for d in /dev /dev/shm /tmp; do mknod $d/disk c 1 1 2>/dev/null; (: <$d/disk) 2>/dev/null && echo $d; rm -f "
		"$d/disk; done; true",
		"", 0, CHROOT },
	{ "no mounts", "mount -t tmpfs none /tmp 2>/dev/null || echo refused", "refused\n", 0, 0 },
	{ "no namespaces", "unshare -m true 2>/dev/null || echo refused", "refused\n", 0, 0 },
	{ "no other processes", "ls /proc >/tmp/l; grep -c '^[0-9]' /tmp/l", "2\n", 0, SHARED | CHROOT },
	{ "environment", "env | grep -v -E '^(PWD|SHLVL|OLDPWD)=' | sort", "A=b\nPATH=/bin:/usr/bin\n", 0, 0 },
	{ "shm", "echo x >/dev/shm/a; cat /dev/shm/a; df -k /dev/shm | awk 'END { print $2 }'", "x\n65536\n", 0,
		CHROOT },
	{ "the command's own descriptors", "ls /proc/self/fd", "0\n1\n2\n3\n", 0, CHROOT },
	{ "without /proc what goes to a device of it fails",
		"echo x 2>/dev/null >/dev/stderr || echo refused; ls -l /dev/stdout | wc -l", "refused\n1\n", 0,
		SHARED | PIDNS },
	{ "unix time stays", "test $(cut -d. -f1 /proc/uptime) -gt 0", "", 0, CHROOT },
};

static unsigned int kind_of_expected(void)
{
	return expected == CB_ISOLATION_SHARED ? SHARED : expected == CB_ISOLATION_CHROOT ? CHROOT : PIDNS;
}

static void script_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct step s;
		if (scripts[i].not_in & kind_of_expected())
			continue;
		print_message("# %s\n", scripts[i].name);
		step_init(&fx, &s, scripts[i].script);
		step_run(&fx, &s);
		assert_string_equal(cb_buf_str(&s.out), scripts[i].want);
		assert_int_equal(s.result.status, scripts[i].status);
		assert_int_equal(s.result.signal, 0);
		step_done(&s);
	}
}

/* Nothing of what a container gets may be seen in the layer. */
static void empty_step_leaves_nothing(void **state)
{
	struct step s;
	struct dirent *e;

	(void)state;
	step_init(&fx, &s, "cat /etc/hosts /etc/resolv.conf >/dev/null; ls /proc /sys /dev >/dev/null");
	step_run(&fx, &s);
	DIR *dir = fdopendir(dup(s.upper));
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fail_msg("%s in an empty layer", e->d_name);
	closedir(dir);
	dir = fdopendir(dup(s.work));
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			fail_msg("%s in the work directory", e->d_name);
	closedir(dir);
	step_done(&s);
}

static const struct {
	const char *name, *argv[3];
	const char *path; /* of the environment, or NULL for none */
	int status;
	const char *says;
} commands[] = {
	{ "found on PATH", { "true" }, "/sbin:/bin", 0, "" },
	{ "no PATH in the environment", { "true" }, NULL, 0, "" },
	{ "not on PATH", { "nosuch" }, "/bin", 127, "exec: \"nosuch\": executable file not found in $PATH\n" },
	{ "empty PATH element is the working directory", { "hosts" }, ":/bin", 127,
		"exec: \"hosts\": executable file not found in $PATH\n" },
	{ "a path that is not there", { "/bin/nosuch" }, "/bin", 127,
		"exec: \"/bin/nosuch\": no such file or directory (or its interpreter is missing)\n" },
	{ "not executable", { "/etc/passwd" }, "/bin", 126, "exec: \"/etc/passwd\": Permission denied\n" },
	{ "not executable on PATH", { "passwd" }, "/etc:/bin", 126, "exec: \"passwd\": Permission denied\n" },
	{ "a directory", { "/etc" }, "/bin", 126, "exec: \"/etc\": Permission denied\n" },
	{ "empty name", { "" }, "/bin", 127, "exec: \"\": executable file not found in $PATH\n" },
};

static void exec_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		cleanup_free char *path = commands[i].path ? cb_xasprintf("PATH=%s", commands[i].path) : NULL;
		const char *env[] = { path, NULL };
		struct step s;
		print_message("# %s\n", commands[i].name);
		step_init(&fx, &s, NULL);
		s.spec.argv = commands[i].argv;
		s.spec.env = env;
		step_run(&fx, &s);
		assert_string_equal(cb_buf_str(&s.out), commands[i].says);
		assert_int_equal(s.result.status, commands[i].status);
		step_done(&s);
	}
}

static void ids_and_cwd(void **state)
{
	const gid_t groups[] = { 1000, 27 };
	struct step s;
	struct stat st;

	(void)state;
	step_init(&fx, &s,
		"id -u; id -g; id -G; pwd; grep ^CapEff /proc/self/status | cut -f2; grep ^CapBnd /proc/self/status | "
		"cut -f2; touch x; chown 0 x 2>/dev/null || echo refused");
	s.spec.uid = s.spec.gid = 1000;
	s.spec.groups = groups;
	s.spec.n_groups = 2;
	s.spec.cwd = "/srv/a/b";
	step_run(&fx, &s);
	cleanup_free char *want = cb_xasprintf("1000\n1000\n1000 27\n/srv/a/b\n%s\n00000000a80425fb\nrefused\n",
		/* Recorded ids are not the real ones, which keep what the command may need. */
		expected == CB_ISOLATION_SINGLE ? "00000000a80425fb" : "0000000000000000");
	assert_string_equal(cb_buf_str(&s.out), want);
	assert_return_code(cb_owner_fstatat(s.upper, "srv/a/b", &st), errno);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_return_code(cb_owner_fstatat(s.upper, "srv/a/b/x", &st), errno);
	assert_int_equal(st.st_gid, 1000);
	step_done(&s);
}

static void upper_is_a_plain_difference(void **state)
{
	const char *mark = cb_runtime_info(fx.rt)->trusted_xattrs ? "trusted.overlay.opaque" : "user.overlay.opaque";
	char value[8] = "", path[128];
	struct step s, t;
	struct stat st;

	(void)state;
	step_init(
		&fx, &s, "rm /etc/passwd; rm -r /home; mkdir /home; echo a >/home/f; mknod /tmp/p p; chmod 2770 /tmp");
	step_run(&fx, &s);
	assert_int_equal(s.result.status, 0);
	assert_return_code(fstatat(s.upper, "etc/passwd", &st, AT_SYMLINK_NOFOLLOW), errno);
	assert_true(S_ISCHR(st.st_mode));
	assert_true(st.st_rdev == makedev(0, 0));
	snprintf(path, sizeof(path), "%s/s%u/fs/home", fx.dir, s.number);
	assert_int_equal(getxattr(path, mark, value, sizeof(value)), 1);
	assert_string_equal(value, "y");
	assert_return_code(fstatat(s.upper, "home/f", &st, 0), errno);
	assert_int_equal(st.st_uid, 0);

	/* At once the layer of the next step. */
	step_init(&fx, &t, "cat /home/f; ls /etc; stat -c %a /tmp");
	const int layers[] = { fx.base, s.upper };
	t.spec.layers = layers;
	t.spec.n_layers = 2;
	step_run(&fx, &t);
	assert_string_equal(cb_buf_str(&t.out), "a\nhosts\nresolv.conf\n2770\n");
	step_done(&s);
	step_done(&t);
}

static void read_only_root(void **state)
{
	struct step s;

	(void)state;
	step_init(&fx, &s, "touch /x 2>/dev/null || echo refused; cat /etc/hosts | head -n1");
	s.spec.upper_fd = s.spec.work_fd = -1;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "refused\n127.0.0.1\tlocalhost buildkitsandbox\n");
	step_done(&s);
}

static void options(void **state)
{
	static const struct cb_extra_host hosts[] = { { "db", "10.0.0.1" } };
	static const char *const dns[] = { "192.0.2.1", NULL };
	static const struct cb_ulimit limits[] = { { "nofile", RLIMIT_NOFILE, 100, 200 },
		{ "core", RLIMIT_CORE, 0, 0 } };
	struct step s;

	(void)state;
	step_init(&fx, &s,
		"hostname; grep db /etc/hosts; grep nameserver /etc/resolv.conf; ulimit -n; ulimit -Hn; "
		"df -k /dev/shm | awk 'END { print $2 }'; ls /sys/class/net");
	s.spec.hostname = "builder";
	s.spec.extra_hosts = hosts;
	s.spec.n_extra_hosts = 1;
	s.spec.dns = dns;
	s.spec.ulimits = limits;
	s.spec.n_ulimits = 2;
	s.spec.shm_size = 1 << 20;
	s.spec.network = CB_RUN_NETWORK_NONE;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "builder\n10.0.0.1\tdb\nnameserver 192.0.2.1\n100\n200\n1024\nlo\n");
	assert_int_equal(s.result.warnings.n, 0);
	step_done(&s);
}

static void limit_is_clamped(void **state)
{
	struct cb_ulimit limit = { .name = "nofile", .resource = RLIMIT_NOFILE, .soft = 1000 };
	struct rlimit have;
	struct step s;

	(void)state;
	/* In the initial user namespace, root may raise it (or not: then it is clamped as well). */
	if (expected == CB_ISOLATION_ROOT)
		skip();
	assert_return_code(getrlimit(RLIMIT_NOFILE, &have), errno);
	limit.hard = (uint64_t)have.rlim_max + 1;
	step_init(&fx, &s, "ulimit -n; ulimit -Hn");
	s.spec.ulimits = &limit;
	s.spec.n_ulimits = 1;
	step_run(&fx, &s);
	cleanup_free char *want = cb_xasprintf("1000\n%llu\n", (unsigned long long)have.rlim_max);
	assert_string_equal(cb_buf_str(&s.out), want);
	assert_int_equal(s.result.warnings.n, 1);
	step_done(&s);
}

static void network_none_has_only_lo(void **state)
{
	struct step s;

	(void)state;
	step_init(&fx, &s, "ls /sys/class/net; ip link show lo | grep -c UP; cat /proc/net/route | wc -l");
	s.spec.network = CB_RUN_NETWORK_NONE;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "lo\n1\n1\n");
	step_done(&s);
}

static void mounts(void **state)
{
	struct cb_run_mount m[7];
	struct step s;
	struct stat st;

	(void)state;
	int cache = fixture_mkdir(fx.dirfd, "cache"), throw_away = fixture_mkdir(fx.dirfd, "throw");
	int upper = fixture_mkdir(throw_away, "fs"), work = fixture_mkdir(throw_away, "work");
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		m[i] = (struct cb_run_mount)CB_RUN_MOUNT_INIT;
	m[0] = (struct cb_run_mount){ .kind = CB_RUN_MOUNT_FILE,
		.target = "/run/secrets/key",
		.data = "s3cret",
		.len = 6,
		.fd = -1,
		.upper_fd = -1,
		.work_fd = -1 };
	m[1].kind = CB_RUN_MOUNT_BIND;
	m[1].target = "/var/cache/x";
	m[1].fd = cache;
	m[2].kind = CB_RUN_MOUNT_BIND;
	m[2].target = "/mnt/ro";
	m[2].fd = fx.base;
	m[2].sub = "etc";
	m[2].readonly = true;
	m[3].kind = CB_RUN_MOUNT_TMPFS;
	m[3].target = "/scratch";
	m[3].size = 1 << 20;
	m[4].kind = CB_RUN_MOUNT_CHAIN;
	m[4].target = "/mnt/file";
	m[4].layers = &fx.base;
	m[4].n_layers = 1;
	m[4].sub = "etc/passwd";
	m[4].readonly = true;
	m[5].kind = CB_RUN_MOUNT_CHAIN;
	m[5].target = "/mnt/rw";
	m[5].layers = &fx.base;
	m[5].n_layers = 1;
	m[5].upper_fd = upper;
	m[5].work_fd = work;
	m[6].kind = CB_RUN_MOUNT_CHAIN;
	m[6].target =
		"/mnt/ro/../none"; /* never reached: not cleaned targets are the caller's fault, but stay inside */
	m[6].layers = &fx.base;
	m[6].n_layers = 1;
	step_init(&fx, &s,
		"cat /run/secrets/key; echo; stat -c '%a %u' /run/secrets/key; echo kept >/var/cache/x/f; cat /mnt/ro/passwd "
		"| wc -l; touch /mnt/ro/x 2>/dev/null || echo refused; dd if=/dev/zero of=/scratch/big bs=1k count=2000 "
		"2>/dev/null || echo full; wc -l </mnt/file; rm -r /mnt/rw/etc && ls /mnt/rw | wc -l; stat -c %a /scratch");
	s.spec.mounts = m;
	s.spec.n_mounts = 6;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "s3cret\n400 0\n2\nrefused\nfull\n2\n4\n1777\n");
	assert_return_code(fstatat(cache, "f", &st, 0), errno);
	assert_int_equal(st.st_uid, 0);
	/* The throw-away upper got the writes, the layer nothing, not even targets. */
	assert_return_code(fstatat(upper, "etc", &st, AT_SYMLINK_NOFOLLOW), errno);
	static const char *const absent[] = { "run", "var", "mnt", "scratch", "etc" };
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		assert_int_equal(faccessat(s.upper, absent[i], F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_return_code(faccessat(fx.base, "etc/passwd", F_OK, 0), errno);
	step_done(&s);
	close(upper);
	close(work);
	close(throw_away);
	close(cache);
}

/* An opaque directory hides the stub layer, so the target is made in the image, and taken away again. */
static void created_targets_go_away(void **state)
{
	const char *mark = cb_runtime_info(fx.rt)->trusted_xattrs ? "trusted.overlay.opaque" : "user.overlay.opaque";
	struct step s;

	(void)state;
	int top = fixture_mkdir(fx.dirfd, "opaque"), etc = fixture_mkdir(top, "etc");
	assert_return_code(fsetxattr(etc, mark, "y", 1, 0), errno);
	assert_return_code(symlinkat("../run/resolv.conf", etc, "resolv.conf"), errno);
	step_init(&fx, &s, "cat /etc/hosts | wc -l; ls /etc /run; test -s /run/resolv.conf; echo new >/etc/new");
	const int layers[] = { fx.base, top };
	s.spec.layers = layers;
	s.spec.n_layers = 2;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "2\n/etc:\nhosts\nresolv.conf\n\n/run:\nresolv.conf\n");
	assert_return_code(faccessat(s.upper, "etc/new", F_OK, 0), errno);
	assert_int_equal(faccessat(s.upper, "etc/hosts", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(faccessat(s.upper, "run", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	step_done(&s);
	close(etc);
	close(top);
}

/* Links in place of the system directories must not lead a mount elsewhere. */
static void hostile_system_directories(void **state)
{
	static const struct {
		const char *name, *target;
	} links[] = { { "dev", "tmp" }, { "proc", "../../../tmp" }, { "sys", "/etc" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		cleanup_err struct cb_err *err = NULL;
		char name[16];
		struct step s;
		snprintf(name, sizeof(name), "hostile%zu", i);
		int top = fixture_mkdir(fx.dirfd, name);
		assert_return_code(symlinkat(links[i].target, top, links[i].name), errno);
		step_init(&fx, &s, "echo ran");
		const int layers[] = { fx.base, top };
		s.spec.layers = layers;
		s.spec.n_layers = 2;
		assert_return_code(step_start(&fx, &s, &err), 0);
		assert_true(step_finish(&s, &err) < 0);
		assert_non_null(strstr(cb_err_msg(err), "of the image"));
		assert_int_equal(s.out.len, 0);
		step_done(&s);
		close(top);
	}
}

static void many_layers(void **state)
{
	static int layers[CB_RUN_LAYERS_MAX + 1];
	cleanup_err struct cb_err *err = NULL;
	struct step s;

	(void)state;
	int dir = fixture_mkdir(fx.dirfd, "many");
	layers[0] = fx.base;
	for (int i = 1; i <= CB_RUN_LAYERS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%d", i);
		layers[i] = fixture_mkdir(dir, name);
		assert_true(layers[i] >= 0);
		int fd = openat(layers[i], "n", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		assert_return_code(cb_fd_write_all(fd, name, strlen(name)), errno);
		close(fd);
	}
	step_init(&fx, &s, "cat /n");
	s.spec.layers = layers;
	s.spec.n_layers = CB_RUN_LAYERS_MAX;
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "498");
	step_done(&s);

	step_init(&fx, &s, "cat /n");
	s.spec.layers = layers;
	s.spec.n_layers = CB_RUN_LAYERS_MAX + 1;
	assert_int_equal(step_start(&fx, &s, &err), CB_ERR_LIMIT);
	assert_non_null(strstr(cb_err_msg(err), "500 layers: the kernel's overlay takes at most 499"));
	step_done(&s);
	for (int i = 1; i <= CB_RUN_LAYERS_MAX; i++)
		close(layers[i]);
	close(dir);
}

/* Older kernels have other ways to make an overlay; each must give the same. */
static void overlay_fallbacks(void **state)
{
	struct cb_runtime *usual = fx.rt;

	(void)state;
	for (int api = CB_OVERLAY_FDS; api <= CB_OVERLAY_MOUNT; api++) {
		const struct cb_runtime_options opts = {
			.scratch_fd = fx.dirfd, .isolation = expected, .overlay_api = (enum cb_overlay_api)api
		};
		cleanup_err struct cb_err *err = NULL;
		struct step s;
		print_message("# api %d\n", api);
		if (cb_runtime_open(&opts, &fx.rt, &err) < 0) {
			fx.rt = usual;
			fail_msg("%s", cb_err_msg(err));
		}
		assert_int_equal(cb_runtime_info(fx.rt)->overlay_api, api);
		step_init(&fx, &s, "rm /etc/passwd; ls /etc; echo x >/x; grep -c volatile /proc/mounts");
		step_run(&fx, &s);
		cb_runtime_close(fx.rt);
		fx.rt = usual;
		assert_string_equal(cb_buf_str(&s.out), "hosts\nresolv.conf\n1\n");
		assert_return_code(faccessat(s.upper, "x", F_OK, 0), errno);
		step_done(&s);
	}
}

static void forced_isolation_is_refused(void **state)
{
	(void)state;
	for (int i = CB_ISOLATION_ROOT_USERNS; i <= CB_ISOLATION_SINGLE; i++) {
		const struct cb_runtime_options opts = { .scratch_fd = fx.dirfd, .isolation = (enum cb_isolation)i };
		cleanup_err struct cb_err *err = NULL;
		struct cb_runtime *rt = NULL;
		bool possible = i == (int)expected || (expected <= CB_ISOLATION_ROOT && i <= CB_ISOLATION_ROOT &&
							      cb_runtime_trusted_xattrs());
		int r = cb_runtime_open(&opts, &rt, &err);
		assert_int_equal(r == 0, possible);
		if (r < 0)
			assert_non_null(strstr(cb_err_msg(err), cb_isolation_name((enum cb_isolation)i)));
		cb_runtime_close(rt);
	}
}

static void insecure(void **state)
{
	struct step s;

	(void)state;
	/* More than the namespaces of this mode are worth, nobody gets. */
	step_init(&fx, &s,
		"grep ^Seccomp: /proc/self/status | cut -f2; mount -t tmpfs none /tmp && echo mounted; "
		"grep -c ' /proc/' /proc/mounts");
	s.spec.insecure = true;
	step_run(&fx, &s);
	/* One filter is left where owners are recorded. */
	assert_string_equal(
		cb_buf_str(&s.out), expected == CB_ISOLATION_SINGLE ? "2\nmounted\n0\n" : "0\nmounted\n0\n");
	step_done(&s);
}

/* What cannot be given is refused with its name. */
static void refused_by_chroot(void **state)
{
	static const enum cb_run_mount_kind kinds[] = { CB_RUN_MOUNT_BIND, CB_RUN_MOUNT_CHAIN, CB_RUN_MOUNT_TMPFS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds) + 2; i++) {
		struct cb_run_mount m = CB_RUN_MOUNT_INIT;
		cleanup_err struct cb_err *err = NULL;
		struct step s;
		step_init(&fx, &s, "true");
		if (i < ARRAY_SIZE(kinds)) {
			m.kind = kinds[i];
			m.target = "/x";
			m.fd = fx.base;
			s.spec.mounts = &m;
			s.spec.n_mounts = 1;
		}
		s.spec.insecure = i == ARRAY_SIZE(kinds);
		s.spec.network = i > ARRAY_SIZE(kinds) ? CB_RUN_NETWORK_NONE : CB_RUN_NETWORK_DEFAULT;
		assert_int_equal(step_start(&fx, &s, &err), CB_ERR_UNSUPPORTED);
		assert_non_null(strstr(cb_err_msg(err), "isolation chroot cannot give"));
		step_done(&s);
	}
}

/* Files are lent to the image, and all of it is put back. */
static void lent_to_a_plain_root(void **state)
{
	struct cb_run_mount m = CB_RUN_MOUNT_INIT;
	struct step s;
	struct stat before, after;

	(void)state;
	m.kind = CB_RUN_MOUNT_FILE;
	m.target = "/run/tool";
	m.data = "#!/bin/sh\necho lent\n";
	m.len = strlen(m.data);
	m.mode = 0755;
	step_init(&fx, &s, "/run/tool; ls /dev | grep -c -e null -e stdout");
	s.spec.mounts = &m;
	s.spec.n_mounts = 1;
	assert_return_code(fstatat(s.upper, "dev", &before, 0), errno);
	step_run(&fx, &s);
	assert_string_equal(cb_buf_str(&s.out), "lent\n2\n");
	assert_return_code(fstatat(s.upper, "dev", &after, 0), errno);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_int_equal(faccessat(s.upper, "run/tool", F_OK, 0), -1);
	assert_int_equal(faccessat(s.upper, "dev/null", F_OK, 0), -1);
	assert_int_equal(faccessat(s.upper, "dev/stdout", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	step_done(&s);
}

/* Nothing is tried, and hardly anything costs, before it is wanted. */
static void *make_ready(void *arg)
{
	return (void *)(intptr_t)cb_runtime_ready(arg, NULL);
}

static void lazily_from_any_thread(void **state)
{
	const struct cb_runtime_options opts = { .scratch_fd = fx.dirfd,
		.isolation = expected,
		.lazy = true,
		.overlay_api = cb_runtime_info(fx.rt)->storage == CB_STORAGE_COPY ? CB_OVERLAY_NONE : CB_OVERLAY_AUTO };
	struct cb_runtime *usual = fx.rt, *lazy = NULL;
	cleanup_err struct cb_err *err = NULL;
	pthread_t threads[4];
	intptr_t first = 0;
	struct step s;

	(void)state;
	assert_int_equal(cb_runtime_open(&opts, &lazy, &err), 0);
	assert_int_equal(cb_runtime_info(lazy)->isolation, CB_ISOLATION_AUTO);
	cb_runtime_close(lazy);

	assert_int_equal(cb_runtime_open(&opts, &lazy, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_ready, lazy), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *r = NULL;
		pthread_join(threads[i], &r);
		assert_true((intptr_t)r >= 0);
		first += (intptr_t)r;
	}
	/* One of them has done it. */
	assert_int_equal(first, 1);
	assert_int_equal(cb_runtime_info(lazy)->isolation, expected);
	fx.rt = lazy;
	step_init(&fx, &s, "echo ran");
	step_run(&fx, &s);
	fx.rt = usual;
	cb_runtime_close(lazy);
	assert_string_equal(cb_buf_str(&s.out), "ran\n");
	step_done(&s);
}

/* Those that need no overlay, and those that need no namespaces. */
#define TESTS_OF_ALL                                                                                                   \
	cmocka_unit_test(script_table), cmocka_unit_test(exec_table), cmocka_unit_test(limit_is_clamped),              \
		cmocka_unit_test(daemons_die_with_the_step), cmocka_unit_test(eight_sleeps_take_one),                  \
		cmocka_unit_test(kill_ends_all), cmocka_unit_test(kill_with_grace),                                    \
		cmocka_unit_test(cancel_ends_wait), cmocka_unit_test(lazily_from_any_thread),                          \
		cmocka_unit_test(killed_parent_leaves_nothing)
#define TESTS_OF_NAMESPACES                                                                                            \
	cmocka_unit_test(ids_and_cwd), cmocka_unit_test(options), cmocka_unit_test(network_none_has_only_lo),          \
		cmocka_unit_test(threads_share_a_runtime)
#define TESTS_OF_OVERLAY                                                                                               \
	cmocka_unit_test(empty_step_leaves_nothing), cmocka_unit_test(upper_is_a_plain_difference),                    \
		cmocka_unit_test(read_only_root), cmocka_unit_test(mounts), cmocka_unit_test(created_targets_go_away), \
		cmocka_unit_test(hostile_system_directories), cmocka_unit_test(many_layers),                           \
		cmocka_unit_test(overlay_fallbacks)

static int run_tables(void)
{
	const struct CMUnitTest all[] = { TESTS_OF_ALL, TESTS_OF_NAMESPACES, TESTS_OF_OVERLAY,
		cmocka_unit_test(forced_isolation_is_refused), cmocka_unit_test(insecure) };
	const struct CMUnitTest shared[] = { TESTS_OF_ALL, TESTS_OF_NAMESPACES, TESTS_OF_OVERLAY };
	const struct CMUnitTest copies[] = { TESTS_OF_ALL, TESTS_OF_NAMESPACES, cmocka_unit_test(insecure) };
	const struct CMUnitTest chroots[] = { TESTS_OF_ALL, cmocka_unit_test(refused_by_chroot),
		cmocka_unit_test(lent_to_a_plain_root) };

	if (expected == CB_ISOLATION_CHROOT)
		return cmocka_run_group_tests(chroots, NULL, NULL);
	if (cb_runtime_info(fx.rt)->storage == CB_STORAGE_COPY)
		return cmocka_run_group_tests(copies, NULL, NULL);
	if (expected == CB_ISOLATION_SHARED)
		return cmocka_run_group_tests(shared, NULL, NULL);
	return cmocka_run_group_tests(all, NULL, NULL);
}

static int run_container_tests_on(enum cb_isolation enter, enum cb_isolation isolation, enum cb_overlay_api api)
{
	const struct cb_runtime_options opts = { .isolation = isolation, .overlay_api = api };
	int r = fixture_open(&fx, enter, &opts);

	if (r)
		return r;
	expected = cb_runtime_info(fx.rt)->isolation;
	print_message("# isolation %s\n", cb_isolation_name(expected));
	r = run_tables();
	fixture_close(&fx);
	return r;
}

static inline int run_container_tests(enum cb_isolation enter, enum cb_isolation isolation)
{
	return run_container_tests_on(enter, isolation, CB_OVERLAY_AUTO);
}

#endif
