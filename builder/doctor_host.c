/* Facts about the host, asked for by doing where that is possible. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/owner.h"
#include "base/path.h"
#include "base/spawn.h"
#include "builder/doctor.h"
#include "runtime/idmap.h"

#define SMALL_FILE ((size_t)256 << 10)

static void add(json_t *list, const char *name, bool ok, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void add(json_t *list, const char *name, bool ok, const char *remedy, const char *fmt, ...)
{
	cleanup_free char *value = NULL;
	va_list ap;

	va_start(ap, fmt);
	value = cb_xvasprintf(fmt, ap);
	va_end(ap);
	json_array_append_new(list,
		json_pack("{s:s,s:s,s:b,s:s}", "name", name, "value", value, "ok", ok, "remedy", ok ? "" : remedy));
}

/* First line of a small file, "" when there is none. Caller frees. */
static char *line_of(const char *path)
{
	cleanup_buf struct cb_buf text = { 0 };

	if (cb_file_read_at(AT_FDCWD, path, SMALL_FILE, &text, NULL) < 0)
		return cb_xstrdup("");
	return cb_xstrndup(cb_buf_str(&text), strcspn(cb_buf_str(&text), "\n"));
}

static void add_kernel(json_t *list)
{
	struct utsname uts;
	unsigned long major, minor;
	char *end;

	(void)uname(&uts);
	major = strtoul(uts.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	add(list, "kernel", major > 5 || (major == 5 && minor >= 11), "cbuild needs Linux 5.11 or newer", "%s %s",
		uts.release, uts.machine);
}

static const char *container_of(void)
{
	if (access("/run/.containerenv", F_OK) == 0)
		return ", in a container (podman)";
	if (access("/.dockerenv", F_OK) == 0)
		return ", in a container (docker)";
	return "";
}

static const char *kind_of_root(void)
{
	if (geteuid() != 0)
		return "";
	if (cb_idmap_is_identity())
		return ", root";
	return cb_owner_recorded() ? ", root of a user namespace with one id: owners are recorded"
				   : ", root of a user namespace";
}

static void add_user(json_t *list)
{
	const struct passwd *pw = getpwuid(getuid());

	add(list, "user", true, "", "%s (%u)%s%s", pw ? pw->pw_name : "without a name in /etc/passwd",
		(unsigned int)geteuid(), kind_of_root(), container_of());
}

static void add_userns(json_t *list)
{
	cleanup_free char *max = line_of("/proc/sys/user/max_user_namespaces");
	cleanup_free char *clone = line_of("/proc/sys/kernel/unprivileged_userns_clone");
	cleanup_free char *apparmor = line_of("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");

	if (strcmp(max, "0") == 0)
		add(list, "user namespaces", false, "as root: sysctl user.max_user_namespaces=28633", "none allowed");
	else if (strcmp(clone, "0") == 0)
		add(list, "user namespaces", false, "as root: sysctl kernel.unprivileged_userns_clone=1",
			"only for root");
	else if (strcmp(apparmor, "1") == 0)
		add(list, "user namespaces", false,
			"an AppArmor profile for cbuild with \"userns,\", or sysctl "
			"kernel.apparmor_restrict_unprivileged_userns=0",
			"restricted by AppArmor");
	else
		add(list, "user namespaces", true, "", "at most %s", *max ? max : "(unknown)");
}

static void add_ranges(json_t *list)
{
	cleanup_buf struct cb_buf text = { 0 };
	const struct passwd *pw = getpwuid(getuid());
	struct cb_id_range ranges[CB_ID_RANGES_MAX];

	(void)cb_file_read_at(AT_FDCWD, "/etc/subuid", SMALL_FILE, &text, NULL);
	if (cb_id_ranges(cb_buf_str(&text), text.len, pw ? pw->pw_name : NULL, getuid(), ranges) > 0) {
		add(list, "id range", true, "", "%u:%u (/etc/subuid)", (unsigned int)ranges[0].start,
			(unsigned int)ranges[0].count);
		return;
	}
	add(list, "id range", geteuid() == 0,
		"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER", "%s",
		geteuid() ? "none in /etc/subuid" : "not needed by root");
}

static const char *fs_name(long type)
{
	static const struct {
		long type;
		const char *name;
	} names[] = {
		{ 0xEF53, "ext4" },
		{ 0x58465342, "xfs" },
		{ 0x9123683E, "btrfs" },
		{ 0x01021994, "tmpfs" },
		{ 0x794c7630, "overlay" },
		{ 0x6969, "nfs" },
		{ 0x65735546, "fuse" },
		{ 0x2fc12fc1, "zfs" },
		{ 0xca451a4e, "bcachefs" },
		{ 0xF2F52010, "f2fs" },
		{ 0x01021997, "9p" },
		{ (long)0xff534d42, "cifs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

static bool try_reflink(int dir, int from)
{
	cleanup_close int to = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return to >= 0 && ioctl(to, FICLONE, from) == 0;
}

static void add_store(json_t *list, const char *root)
{
	cleanup_free char *dir = cb_path_clean(root);
	cleanup_buf struct cb_buf room = { 0 };
	struct statvfs vfs = { 0 };
	struct statfs fs = { 0 };

	while (access(dir, F_OK) < 0 && strcmp(dir, "/") != 0 && strcmp(dir, ".") != 0) {
		char *up = cb_path_dir(dir);
		free(dir);
		dir = up;
	}
	cleanup_close int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0 || fstatfs(at, &fs) < 0 || fstatvfs(at, &vfs) < 0) {
		add(list, "store", false, "name another one: --root DIR or CBUILD_ROOT", "%s: %s", root,
			strerror(errno));
		return;
	}
	uint64_t bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	cb_num_format_size(&room, bytes);
	cleanup_close int file = openat(at, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	add(list, "store", faccessat(at, ".", W_OK, AT_EACCESS) == 0, "name another one: --root DIR or CBUILD_ROOT",
		"%s (%s%s)", root, fs_name(fs.f_type),
		faccessat(at, ".", W_OK, AT_EACCESS) == 0 ? "" : ", not writable");
	add(list, "free space", bytes >= (uint64_t)1 << 30, "a build of usual size wants some GiB: make room", "%s",
		cb_buf_str(&room));
	if (file < 0)
		return;
	bool attributes = fsetxattr(file, "user.cbuild.trial", "1", 1, 0) == 0;
	add(list, "attributes", attributes, "put the store on ext4, xfs, btrfs or a tmpfs of Linux 6.6", "%s",
		attributes ? "user.* can be stored" : "user.* cannot be stored");
	add(list, "reflinks", true, "", "%s", try_reflink(at, file) ? "yes" : "no");
}

static void add_limits(json_t *list)
{
	cleanup_free char *remedy = NULL, *text = NULL;
	bool ok = cb_doctor_limits(&text, &remedy);

	add(list, "limits", ok, remedy, "%s", text);
}

/* Where our own control group is, and whether we may make others in it. */
static void add_cgroups(json_t *list)
{
	cleanup_buf struct cb_buf text = { 0 };
	const char *own = NULL;

	(void)cb_file_read_at(AT_FDCWD, "/proc/self/cgroup", SMALL_FILE, &text, NULL);
	for (const char *p = cb_buf_str(&text); p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, "0::", 3) == 0)
			own = p + 3;
	if (!own) {
		add(list, "cgroups", true, "", "no cgroup v2");
		return;
	}
	cleanup_free char *rel = cb_xstrndup(own, strcspn(own, "\n"));
	const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		cleanup_free char *dir = cb_xasprintf("%s%s", mounts[i], rel);
		cleanup_free char *file = cb_xasprintf("%s/cgroup.controllers", dir);
		if (access(file, R_OK) < 0)
			continue;
		cleanup_free char *controllers = line_of(file);
		add(list, "cgroups", true, "", "v2 %s, %s, controllers: %s", rel,
			access(dir, W_OK) == 0 ? "writable" : "not writable", *controllers ? controllers : "none");
		return;
	}
	add(list, "cgroups", true, "", "v2 is not mounted");
}

static void add_program(json_t *list, const char *name, bool needed, const char *remedy)
{
	bool have = cb_spawn_have(name);

	add(list, name, have || !needed, remedy, "%s", have ? "installed" : "not installed");
}

static void add_pasta(json_t *list)
{
	cleanup_close int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int errnum = errno;

	if (!cb_spawn_have("pasta"))
		add(list, "pasta", false, "apt-get install passt (steps then get a network of their own)",
			"not installed");
	else if (tun < 0)
		add(list, "pasta", false,
			"as root: chmod 666 /dev/net/tun, in a container: --device /dev/net/tun (steps then get a "
			"network of their own)",
			"installed, but /dev/net/tun cannot be opened: %s", strerror(errnum));
	else
		add(list, "pasta", true, "", "installed");
}

static void add_seccomp(json_t *list)
{
	struct seccomp_notif_sizes sizes;
	cleanup_buf struct cb_buf status = { 0 };
	bool notify = syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;

	(void)cb_file_read_at(AT_FDCWD, "/proc/self/status", SMALL_FILE, &status, NULL);
	const char *mode = strstr(cb_buf_str(&status), "\nSeccomp:\t");
	bool filtered = mode && mode[strlen("\nSeccomp:\t")] == '2';
	add(list, "seccomp", notify, "the kernel needs CONFIG_SECCOMP_FILTER", "%s%s",
		notify ? "filters and notifications" : "no notifications",
		filtered ? "; this process is filtered already (a container?)" : "");
}

json_t *cb_doctor_host(const char *root)
{
	json_t *list = json_array();

	add_kernel(list);
	add_user(list);
	add_userns(list);
	add_ranges(list);
	add_program(list, "newuidmap", geteuid() != 0, "apt-get install uidmap");
	add_store(list, root);
	add_cgroups(list);
	add_limits(list);
	add_seccomp(list);
	add_pasta(list);
	add_program(list, "git", true, "apt-get install git (contexts and ADD of repositories)");
	return list;
}
