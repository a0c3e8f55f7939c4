/*
 * mknod of devices in all the ways that it can be asked for, in a RUN step: one line for each, with what came of it.
 * Where the kernel itself makes them and where cbuild does, the lines have to be the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NULL_DEVICE makedev(1, 3)

static void result(const char *what, long r, const char *path)
{
	struct stat st;

	printf("%s: %s", what, r < 0 ? strerrorname_np(errno) : "made");
	if (r >= 0 && path && lstat(path, &st) == 0)
		printf(" %o %u:%u %u,%u", st.st_mode, st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev));
	printf("\n");
}

static void node(const char *what, const char *path, mode_t mode, dev_t dev)
{
	result(what, mknod(path, mode, dev), path);
}

static void caps(uint32_t effective)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective = data[0].permitted & effective;
	data[1].effective = 0;
	if (syscall(SYS_capset, &head, data) < 0)
		perror("capset");
}

/* In a child of its own. */
#define APART(code)                                                                                                    \
	do {                                                                                                           \
		fflush(stdout);                                                                                        \
		pid_t pid_ = fork();                                                                                   \
		if (pid_ == 0) {                                                                                       \
			code;                                                                                          \
			fflush(stdout);                                                                                \
			_exit(0);                                                                                      \
		}                                                                                                      \
		waitpid(pid_, NULL, 0);                                                                                \
	} while (0)

static void kinds(void)
{
	umask(027);
	node("character", "/n/c", S_IFCHR | 0666, NULL_DEVICE);
	node("block", "/n/b", S_IFBLK | 0660, makedev(8, 17));
	node("large numbers", "/n/large", S_IFBLK | 0600, makedev(4000, 1000000));
	node("block 0:0", "/n/b0", S_IFBLK | 0600, 0);
	node("whiteout", "/n/w", S_IFCHR | 0600, 0);
	node("fifo", "/n/p", S_IFIFO | 0666, 0);
	umask(0);
	node("all bits", "/n/bits", S_IFCHR | 07777, NULL_DEVICE);
	result("bits above", syscall(SYS_mknodat, AT_FDCWD, "/n/above", 0x10000 | S_IFCHR | 0600, 0x103), "/n/above");
	umask(022);
}

static void names(void)
{
	static char path[5000];
	int dir = open("/n", O_RDONLY | O_DIRECTORY), file = open("/n/file", O_RDWR | O_CREAT, 0600);
	int top = open("/", O_PATH);

	memset(path, 'x', sizeof(path) - 1);
	memcpy(path, "/n/", 3);
	node("long path", path, S_IFCHR, NULL_DEVICE);
	path[3 + 256] = '\0';
	node("long name", path, S_IFCHR, NULL_DEVICE);
	path[3 + 255] = '\0';
	node("longest name", path, S_IFCHR, NULL_DEVICE);
	node("no name", "", S_IFCHR, NULL_DEVICE);
	node("dot", ".", S_IFCHR, NULL_DEVICE);
	node("dots", "/n/..", S_IFCHR, NULL_DEVICE);
	node("root", "/", S_IFCHR, NULL_DEVICE);
	node("slash", "/n/slash/", S_IFCHR, NULL_DEVICE);
	node("slash behind what is there", "/n/c/", S_IFCHR, NULL_DEVICE);
	node("bad address", (char *)8, S_IFCHR, NULL_DEVICE);
	node("there already", "/n/c", S_IFCHR, NULL_DEVICE);
	node("no directory", "/n/none/c", S_IFCHR, NULL_DEVICE);
	node("below a file", "/n/file/c", S_IFCHR, NULL_DEVICE);
	symlink("loop", "/n/loop");
	node("loop", "/n/loop/c", S_IFCHR, NULL_DEVICE);
	symlink("nowhere", "/n/dangling");
	node("dangling link", "/n/dangling", S_IFCHR, NULL_DEVICE);
	symlink("../../../../../../../..", "/n/up");
	node("link above the root", "/n/up/n/by-link", S_IFCHR, NULL_DEVICE);
	symlink("/n", "/n/absolute");
	node("absolute link", "/n/absolute/../n/by-absolute", S_IFCHR, NULL_DEVICE);
	result("descriptor", mknodat(dir, "by-fd", S_IFCHR | 0600, NULL_DEVICE), "/n/by-fd");
	result("descriptor, up", mknodat(dir, "../../../n/by-fd-up", S_IFCHR | 0600, NULL_DEVICE), "/n/by-fd-up");
	result("path descriptor", mknodat(top, "n/by-top", S_IFCHR | 0600, NULL_DEVICE), "/n/by-top");
	result("descriptor of a file", mknodat(file, "x", S_IFCHR, NULL_DEVICE), NULL);
	result("no descriptor", mknodat(99, "x", S_IFCHR, NULL_DEVICE), NULL);
	result("no descriptor, absolute", mknodat(99, "/n/no-fd", S_IFCHR | 0600, NULL_DEVICE), "/n/no-fd");
	chdir("/n");
	node("working directory", "by-cwd", S_IFCHR | 0600, NULL_DEVICE);
	APART(mkdir("/n/gone", 0700); chdir("/n/gone"); rmdir("/n/gone");
		node("directory that is gone", "x", S_IFCHR, NULL_DEVICE));
	chdir("/");
	node("proc", "/proc/x", S_IFCHR, NULL_DEVICE);
	node("read-only", "/sys/x", S_IFCHR, NULL_DEVICE);
	close(dir);
	close(file);
	close(top);
}

static void owners(void)
{
	/* A default list of access: user::rwx, group::r-x, other::---, as the kernel stores it. */
	static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255 };

	mkdir("/n/sgid", 0755);
	chown("/n/sgid", 3, 50);
	chmod("/n/sgid", 02775);
	node("directory with a group", "/n/sgid/c", S_IFCHR | 02770, NULL_DEVICE);
	mkdir("/n/acl", 0755);
	if (setxattr("/n/acl", "system.posix_acl_default", acl, sizeof(acl), 0) == 0) {
		umask(077);
		node("default list of access", "/n/acl/c", S_IFCHR | 0666, NULL_DEVICE);
		umask(022);
	}
	mkdir("/n/of1000", 0755);
	chown("/n/of1000", 1000, 1000);
	mkdir("/n/closed", 0);
	mkdir("/n/group", 0070);
	chown("/n/group", 5, 777);
	chmod("/n/group", 0070);
	mkdir("/n/search", 0700);
	chown("/n/search", 5, 5);
	mkdir("/n/search/open", 0777);
	chmod("/n/search/open", 0777);
	node("closed, for root", "/n/closed/c", S_IFCHR, NULL_DEVICE);
	APART(caps(~(1U << CAP_MKNOD)); node("without CAP_MKNOD", "/n/nocap", S_IFCHR, NULL_DEVICE);
		node("there already, without it", "/n/c", S_IFCHR, NULL_DEVICE));
	APART(caps(1U << CAP_MKNOD); node("closed, without CAP_DAC_OVERRIDE", "/n/closed/d", S_IFCHR, NULL_DEVICE);
		node("behind a closed one", "/n/search/open/d", S_IFCHR, NULL_DEVICE);
		node("group, not of it", "/n/group/d", S_IFCHR, NULL_DEVICE));
	APART(gid_t groups[40]; for (gid_t i = 0; i < 40; i++) groups[i] = 738 + i; setgroups(40, groups);
		caps(1U << CAP_MKNOD); node("group, of it", "/n/group/e", S_IFCHR, NULL_DEVICE));
	APART(setfsgid(1000); setfsuid(1000); caps(1U << CAP_MKNOD);
		node("file system ids", "/n/of1000/c", S_IFCHR | 0666, NULL_DEVICE);
		node("file system ids, elsewhere", "/n/elsewhere", S_IFCHR, NULL_DEVICE));
	APART(setfsuid(1000); node("file system id alone", "/n/of1000/d", S_IFCHR, NULL_DEVICE));
	APART(setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000);
		node("user", "/n/of1000/e", S_IFCHR, NULL_DEVICE));
	APART(setresgid(0, 1000, 0); setresuid(0, 1000, 0); caps(1U << CAP_MKNOD);
		node("effective ids", "/n/of1000/f", S_IFCHR | 0640, NULL_DEVICE));
}

static void jailed(void)
{
	mkdir("/n/jail", 0755);
	symlink("/", "/n/jail/link");
	int out = open("/n", O_RDONLY | O_DIRECTORY);
	APART(if (chdir("/n/jail") || chroot("/n/jail")) perror("chroot");
		node("in a jail", "/../../jailed", S_IFCHR, NULL_DEVICE);
		node("by a link", "/link/linked", S_IFCHR, NULL_DEVICE);
		result("out of it by a descriptor", mknodat(out, "out", S_IFCHR, NULL_DEVICE), NULL);
		result("and up", mknodat(out, "../n/out-up", S_IFCHR, NULL_DEVICE), NULL));
	close(out);
	printf("in the jail: %d %d\n", access("/n/jail/jailed", F_OK), access("/n/jail/linked", F_OK));
	printf("outside: %d %d\n", access("/n/out", F_OK), access("/n/out-up", F_OK));
}

static void *some(void *arg)
{
	char path[32];

	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/n/many/%d-%d", (int)(intptr_t)arg, i);
		if (mknod(path, S_IFCHR | 0600, makedev(1, (unsigned int)i)) < 0)
			printf("%s: %s\n", path, strerrorname_np(errno));
	}
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

static void many(void)
{
	const struct itimerval often = { { 0, 300 }, { 0, 300 } }, never = { { 0, 0 }, { 0, 0 } };
	/* Without this flag the call may end with EINTR, which the kernel's own never does. */
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	pthread_t threads[4];

	mkdir("/n/many", 0755);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, some, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("many: done\n");
}

/* As a program of 32 bits does it. What is static is below 4 GiB. */
static void compat(void)
{
#ifdef __x86_64__
	static const char one[] = "/n/int80", two[] = "/n/int80at";
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(14L), "b"(one), "c"((long)(S_IFCHR | 0600)), "d"(0x105L)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-r;
	result("i386 mknod", r, one);
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(297L), "b"((long)AT_FDCWD), "c"(two), "d"((long)(S_IFBLK | 0600)), "S"(0x801L)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = (int)-r;
	result("i386 mknodat", r, two);
#endif
}

/* Nothing that was made opens, wherever. */
static void opens(void)
{
	static const char *const places[] = { "/n/o", "/dev/o", "/dev/shm/o", "/cache/o", "/tmpfs/o" };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char what[40];
		node(places[i], places[i], S_IFCHR | 0666, NULL_DEVICE);
		snprintf(what, sizeof(what), "open %s", places[i]);
		result(what, open(places[i], O_RDONLY | O_NONBLOCK), NULL);
		unlink(places[i]);
		node(places[i], places[i], S_IFBLK | 0666, makedev(7, 0));
		result(what, open(places[i], O_RDONLY | O_NONBLOCK), NULL);
		if (places[i][1] != 'n')
			unlink(places[i]);
	}
	node("bound", "/bound/o", S_IFCHR | 0666, NULL_DEVICE);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/n", 0755);
	kinds();
	names();
	owners();
	jailed();
	many();
	compat();
	opens();
	return 0;
}
