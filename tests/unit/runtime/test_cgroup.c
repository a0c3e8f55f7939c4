/* Control groups: where they are, what is written into them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/strv.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_leaf.h"

#define V2_LINE "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct {
	const char *name, *mounts, *self, *want;
} layouts[] = {
	{ "nothing mounted", "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", "" },
	{ "v2", V2_LINE, "0::/user.slice/s.scope\n", "v2 0 /sys/fs/cgroup /sys/fs/cgroup/user.slice/s.scope\n" },
	{ "v2, root of a namespace", V2_LINE, "0::/\n", "v2 0 /sys/fs/cgroup /sys/fs/cgroup\n" },
	{ "v2, outside of the namespace", V2_LINE, "0::/../x\n", "v2 0 /sys/fs/cgroup /sys/fs/cgroup\n" },
	{ "v1 with controllers of one mount",
		"31 24 0:27 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
		"32 24 0:28 / /cg/mem rw shared:1 master:2 - cgroup cgroup rw,memory\n"
		"33 24 0:29 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n",
		"4:memory:/a/b\n3:cpuacct,cpu:/c\n1:name=systemd:/d\n0::/e\n",
		"v1 2 /cg/cpu,cpuacct /cg/cpu,cpuacct/c\nv1 1 /cg/mem /cg/mem/a/b\n" },
	{ "a part of the hierarchy is mounted", "31 24 0:27 /docker/1 /cg/pids ro - cgroup cgroup rw,pids\n",
		"4:pids:/docker/1/x\n", "v1 8 /cg/pids /cg/pids/x\n" },
	{ "a name that begins like another", "31 24 0:27 /docker/1 /cg/pids ro - cgroup cgroup rw,pids\n",
		"4:pids:/docker/12\n", "v1 8 /cg/pids /cg/pids\n" },
	{ "mounted twice", V2_LINE "40 24 0:26 / /mnt rw - cgroup2 none rw\n", "0::/x\n",
		"v2 0 /sys/fs/cgroup /sys/fs/cgroup/x\n" },
	{ "blanks", "31 24 0:27 / /a\\040b rw - cgroup2 c rw\n", "0::/x\n", "v2 0 /a b /a b/x\n" },
	{ "broken lines", "31 24\n\n- cgroup2 c rw\n31 24 0:27 / /x rw - cgroup2\n", "0\n:\n", "" },
};

static void layout_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		struct cb_cgroup_layout layout;
		cleanup_buf struct cb_buf got = { 0 };

		print_message("# %s\n", layouts[i].name);
		cb_cgroup_layout_parse(layouts[i].mounts, layouts[i].self, &layout);
		for (size_t k = 0; k < layout.n; k++)
			cb_buf_addf(&got, "%s %u %s %s\n", layout.v[k].v2 ? "v2" : "v1", layout.v[k].controllers,
				layout.v[k].mount, layout.v[k].own);
		cb_cgroup_layout_done(&layout);
		assert_string_equal(cb_buf_str(&got), layouts[i].want);
	}
}

static const struct {
	const char *parent, *want;
} parents[] = {
	{ "/", "" },
	{ "/a/b/", "a/b" },
	{ "a//./b", "a/b" },
	{ "build.slice", "build.slice" },
	{ "a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice" },
	{ "x/a-b.slice", "x/a-b.slice" },
	{ "../x", NULL },
	{ "a/../../x", NULL },
};

static void parent_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		cleanup_free char *got = cb_cgroup_parent_path(parents[i].parent);

		print_message("# %s\n", parents[i].parent);
		if (parents[i].want)
			assert_string_equal(got, parents[i].want);
		else
			assert_null(got);
	}
}

static const struct {
	const char *name;
	struct cb_limits limits;
	unsigned int needs;
	const char *v1, *v2;
} limits[] = {
	{ "nothing asked for", { 0 }, 0, "pids.max=4096 ", "pids.max=4096 " },
	{ "any number of processes", { .pids = -1 }, 0, "", "" },
	{ "processes", { .pids = 7 }, CB_CONTROLLER_PIDS, "pids.max=7 ", "pids.max=7 " },
	{ "memory, as much swap", { .memory = 1000, .pids = -1 }, CB_CONTROLLER_MEMORY,
		"memory.limit_in_bytes=1000 memory.memsw.limit_in_bytes=2000? ",
		"memory.max=1000 memory.swap.max=1000? " },
	{ "memory and swap", { .memory = 1000, .memory_swap = 1500, .pids = -1 }, CB_CONTROLLER_MEMORY,
		"memory.limit_in_bytes=1000 memory.memsw.limit_in_bytes=1500 ",
		"memory.max=1000 memory.swap.max=500 " },
	{ "no swap", { .memory = 1000, .memory_swap = 1000, .pids = -1 }, CB_CONTROLLER_MEMORY,
		"memory.limit_in_bytes=1000 memory.memsw.limit_in_bytes=1000 ", "memory.max=1000 memory.swap.max=0 " },
	{ "any swap", { .memory = 1000, .memory_swap = -1, .pids = -1 }, CB_CONTROLLER_MEMORY,
		"memory.limit_in_bytes=1000 memory.memsw.limit_in_bytes=-1 ", "memory.max=1000 memory.swap.max=max " },
	{ "least and most weight", { .cpu_shares = 2, .pids = -1 }, CB_CONTROLLER_CPU, "cpu.shares=2 ",
		"cpu.weight=1 " },
	{ "most weight", { .cpu_shares = 262144, .pids = -1 }, CB_CONTROLLER_CPU, "cpu.shares=262144 ",
		"cpu.weight=10000 " },
	{ "usual weight", { .cpu_shares = 1024, .pids = -1 }, CB_CONTROLLER_CPU, "cpu.shares=1024 ", "cpu.weight=39 " },
	{ "quota", { .cpu_quota = 50000, .pids = -1 }, CB_CONTROLLER_CPU,
		"cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 ", "cpu.max=50000 100000 " },
	{ "period only", { .cpu_period = 50000, .pids = -1 }, CB_CONTROLLER_CPU, "cpu.cfs_period_us=50000 ",
		"cpu.max=max 50000 " },
	{ "processors", { .cpuset_cpus = "0-1", .cpuset_mems = "0", .pids = -1 }, CB_CONTROLLER_CPUSET,
		"cpuset.cpus=0-1 cpuset.mems=0 ", "cpuset.cpus=0-1 cpuset.mems=0 " },
};

static void limit_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		print_message("# %s\n", limits[i].name);
		assert_int_equal(cb_cgroup_needs(&limits[i].limits), limits[i].needs);
		for (int v2 = 0; v2 < 2; v2++) {
			struct cb_cgroup_setting settings[CB_CGROUP_SETTINGS_MAX];
			cleanup_buf struct cb_buf got = { 0 };
			size_t n = cb_cgroup_settings(&limits[i].limits, v2, settings);

			for (size_t k = 0; k < n; k++) {
				cb_buf_addf(&got, "%s=%s%s ", settings[k].file, settings[k].value,
					settings[k].optional ? "?" : "");
				free(settings[k].value);
			}
			assert_string_equal(cb_buf_str(&got), v2 ? limits[i].v2 : limits[i].v1);
		}
	}
}

/* ---- a real group of v2, with whatever controller it has ------------------------------------------------------- */

static char *first_controller(const char *mount)
{
	cleanup_free char *path = cb_xasprintf("%s/cgroup.controllers", mount);
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(AT_FDCWD, path, 4096, &text, NULL) < 0 || cb_buf_str(&text)[0] <= ' ')
		return NULL;
	return cb_xasprintf("+%.*s", (int)strcspn(cb_buf_str(&text), " \n"), cb_buf_str(&text));
}

static int put(int dir, const char *file, const char *text)
{
	cleanup_close int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 || cb_fd_write_all(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int move(int dir, pid_t pid)
{
	cleanup_free char *text = cb_xasprintf("%d", (int)pid);

	return put(dir, "cgroup.procs", text);
}

static bool is_in(const char *end)
{
	cleanup_buf struct cb_buf text = { 0 };

	(void)cb_file_read_at(AT_FDCWD, "/proc/self/cgroup", 65536, &text, NULL);
	const char *v2 = strstr(cb_buf_str(&text), "0::");
	return v2 && cb_str_ends(v2, end);
}

/* In a child, alone in @group: 0, or the number of the check that failed. The @stranger is somewhere else. */
static int leave_and_return(int group, const char *controller, pid_t stranger)
{
	cleanup_close int dir = openat(group, "below", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *without = cb_xasprintf("-%s", controller + 1);

	if (dir < 0 || put(group, "cgroup.procs", "0") < 0)
		return 1;
	if (put(group, "cgroup.subtree_control", controller) != -EBUSY)
		return 2;
	if (cb_cgroup_leave(group, dir) < 0 || !is_in("/below/self\n"))
		return 3;
	if (put(group, "cgroup.subtree_control", controller) < 0)
		return 4;
	/* Not while the children have controllers. */
	if (cb_cgroup_return(group, dir) || !is_in("/below/self\n"))
		return 5;
	if (put(group, "cgroup.subtree_control", without) < 0 || !cb_cgroup_return(group, dir) ||
		is_in("/below/self\n"))
		return 6;
	/* A child of ours goes along: a build has made its seed by then. */
	pid_t child = fork();
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	int r = 0;
	if (cb_cgroup_leave(group, dir) < 0 || !is_in("/below/self\n"))
		r = 7;
	else if (put(group, "cgroup.subtree_control", controller) < 0 ||
		 put(group, "cgroup.subtree_control", without) < 0 || !cb_cgroup_return(group, dir))
		r = 8;
	else if (move(group, stranger) < 0 || cb_cgroup_leave(group, dir) == 0 || errno != EBUSY ||
		 is_in("/below/self\n"))
		r = 9;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return r;
}

/* A group is busy for a moment after its last process. */
static bool remove_soon(int dir, const char *name)
{
	for (int i = 0; i < 100; i++) {
		if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
			return true;
		if (errno != EBUSY)
			return false;
		(void)usleep(10000);
	}
	return false;
}

static void leaves_its_group(void **state)
{
	cleanup_buf struct cb_buf mounts = { 0 };
	struct cb_cgroup_layout layout;
	cleanup_free char *mount = NULL, *name = cb_xasprintf("cbuild-test-%d", (int)getpid());

	(void)state;
	(void)cb_file_read_at(AT_FDCWD, "/proc/self/mountinfo", 1U << 20, &mounts, NULL);
	cb_cgroup_layout_parse(cb_buf_str(&mounts), "", &layout);
	for (size_t i = 0; i < layout.n; i++)
		if (layout.v[i].v2)
			mount = cb_xstrdup(layout.v[i].mount);
	cb_cgroup_layout_done(&layout);
	cleanup_free char *controller = mount ? first_controller(mount) : NULL;
	cleanup_close int top = mount ? open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	cleanup_buf struct cb_buf on = { 0 };
	(void)cb_file_read_at(top, "cgroup.subtree_control", 4096, &on, NULL);
	const bool was_on = controller && strstr(cb_buf_str(&on), controller + 1);
	if (top < 0 || !controller || put(top, "cgroup.subtree_control", controller) < 0 ||
		mkdirat(top, name, 0755) < 0) {
		print_message("SKIPPED: no group of cgroup v2 with a controller can be made here\n");
		skip();
		return;
	}
	cleanup_close int group = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = -1;
	assert_int_equal(mkdirat(group, "below", 0755), 0);
	/* Not of the family of the one that leaves. */
	pid_t stranger = fork();
	if (stranger == 0) {
		(void)pause();
		_exit(0);
	}
	pid_t pid = fork();
	if (pid == 0)
		_exit(leave_and_return(group, controller, stranger));
	(void)waitpid(pid, &status, 0);
	(void)kill(stranger, SIGKILL);
	(void)waitpid(stranger, NULL, 0);
	(void)remove_soon(group, "below/self");
	(void)remove_soon(group, "below");
	bool removed = remove_soon(top, name);
	if (!was_on) {
		controller[0] = '-';
		(void)put(top, "cgroup.subtree_control", controller);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(removed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_table),
		cmocka_unit_test(parent_table),
		cmocka_unit_test(limit_table),
		cmocka_unit_test(leaves_its_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
