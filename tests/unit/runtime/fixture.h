/*
 * A root file system from the host's static busybox, an open runtime, and one call to run a command on it.
 */
#ifndef CB_TESTS_RUNTIME_FIXTURE_H
#define CB_TESTS_RUNTIME_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/owner.h"
#include "base/path.h"
#include "runtime/runtime.h"

#define SKIPPED 77

struct fixture {
	char dir[64]; /* holds base/ and one directory a step: sN/fs, sN/work */
	int dirfd;
	unsigned int steps;
	struct cb_runtime *rt;
	int base;
};

/* The one of this program, and the isolation that it was opened with. */
static struct fixture fx;
static enum cb_isolation expected;

static inline int fixture_mkdir(int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* bin/busybox with its applets as links, etc/passwd and group, tmp. */
static inline int fixture_fill(int base)
{
	static const char *const applets[] = { "sh", "true", "false", "cat", "ls", "id", "echo", "sleep", "mkdir", "rm",
		"touch", "mount", "readlink", "hostname", "grep", "ip", "ln", "chmod", "chown", "stat", "kill", "mv",
		"mknod", "wc", "head", "env", "pwd", "umask", "ps", "dd", "df", "sync", "find", "awk", "unshare", "cut",
		"sort", "tr", "test" };
	static const char *const dirs[] = { "bin", "etc", "tmp", "home", "root" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(base, dirs[i], strcmp(dirs[i], "tmp") == 0 ? 01777 : 0755) < 0)
			return -1;
	if (fchmodat(base, "tmp", 01777, 0) < 0)
		return -1;
	int in = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	int out = openat(base, "bin/busybox", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (in < 0 || out < 0 || cb_fd_copy(in, out, NULL, NULL) < 0)
		return -1;
	close(in);
	close(out);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		char path[64];
		snprintf(path, sizeof(path), "bin/%s", applets[i]);
		if (symlinkat("busybox", base, path) < 0)
			return -1;
	}
	FILE *f = fdopen(openat(base, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), "w");
	fprintf(f, "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n");
	fclose(f);
	return 0;
}

/* 0, or SKIPPED with the reason printed. Must run before cmocka starts anything. */
static inline int fixture_open(struct fixture *f, enum cb_isolation enter, const struct cb_runtime_options *options)
{
	cleanup_err struct cb_err *err = NULL;
	struct cb_runtime_options opts = *options;

	umask(022);
	if (cb_runtime_enter(enter, &err) < 0) {
		fprintf(stderr, "SKIPPED: %s\n", cb_err_msg(err));
		return SKIPPED;
	}
	snprintf(f->dir, sizeof(f->dir), "/tmp/runtime-test-XXXXXX");
	if (!mkdtemp(f->dir) || chmod(f->dir, 0755) < 0)
		return 1;
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->base = fixture_mkdir(f->dirfd, "base");
	if (f->base < 0 || fixture_fill(f->base) < 0) {
		perror("fill base");
		return 1;
	}
	opts.scratch_fd = f->dirfd;
	opts.store_fd = f->dirfd;
	if (cb_runtime_open(&opts, &f->rt, &err) < 0) {
		fprintf(stderr, "SKIPPED: %s\n", cb_err_msg(err));
		(void)cb_path_remove_tree(AT_FDCWD, f->dir, NULL);
		return SKIPPED;
	}
	return 0;
}

static inline void fixture_close(struct fixture *f)
{
	cleanup_err struct cb_err *err = NULL;

	cb_runtime_close(f->rt);
	close(f->base);
	close(f->dirfd);
	if (cb_path_remove_tree(AT_FDCWD, f->dir, &err) < 0)
		fprintf(stderr, "%s\n", cb_err_msg(err));
}

/* What a step left: its upper directory stays open for looking at. */
struct step {
	int upper, work, out_r, out_w;
	struct cb_run_spec spec;
	const char *argv[4];
	struct cb_buf out;
	struct cb_run_result result;
	struct cb_run *run;
	unsigned int number;
};

/* Without overlay the caller makes the root, with the directories that a container is to find. */
static inline void step_copy_root(struct step *s)
{
	static const char *const dirs[] = { "proc", "sys", "dev" };

	assert_int_equal(fixture_fill(s->upper), 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_return_code(mkdirat(s->upper, dirs[i], 0755), errno);
	s->spec.plain = true;
}

static inline void step_init(struct fixture *f, struct step *s, const char *script)
{
	static const char *const env[] = { "PATH=/bin:/usr/bin", "A=b", NULL };
	char name[32];
	int pair[2];

	*s = (struct step){ .spec = CB_RUN_SPEC_INIT };
	s->number = __atomic_fetch_add(&f->steps, 1, __ATOMIC_RELAXED);
	snprintf(name, sizeof(name), "s%u", s->number);
	int dir = fixture_mkdir(f->dirfd, name);
	s->upper = fixture_mkdir(dir, "fs");
	s->work = fixture_mkdir(dir, "work");
	close(dir);
	assert_return_code(pipe2(pair, O_CLOEXEC), errno);
	s->out_r = pair[0];
	s->out_w = pair[1];
	s->argv[0] = "/bin/sh";
	s->argv[1] = "-c";
	s->argv[2] = script;
	s->spec.layers = &f->base;
	s->spec.n_layers = 1;
	s->spec.upper_fd = s->upper;
	s->spec.work_fd = s->work;
	s->spec.argv = s->argv;
	s->spec.env = env;
	s->spec.stdout_fd = s->spec.stderr_fd = s->out_w;
	if (cb_runtime_info(f->rt)->storage == CB_STORAGE_COPY)
		step_copy_root(s);
}

static inline int step_start(struct fixture *f, struct step *s, struct cb_err **err)
{
	int r = cb_runtime_start(f->rt, &s->spec, &s->run, err);

	close(s->out_w);
	s->out_w = -1;
	return r;
}

/* Reads the output to its end, then waits. The step's result, or a negative code. */
static inline int step_finish(struct step *s, struct cb_err **err)
{
	struct pollfd fds[1 + CB_RUN_FDS] = { { .fd = s->out_r, .events = POLLIN } };

	while (s->out.len < 1 << 20) {
		char data[4096];
		cb_runtime_watch(s->run, fds + 1);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			return cb_err_errno(err, errno, "poll");
		cb_runtime_attend(s->run, fds + 1);
		ssize_t n = fds[0].revents ? read(s->out_r, data, sizeof(data)) : 1;
		if (n <= 0)
			break;
		if (fds[0].revents)
			cb_buf_add(&s->out, data, (size_t)n);
	}
	return cb_runtime_wait(s->run, NULL, 0, &s->result, err);
}

static inline void step_done(struct step *s)
{
	cb_buf_done(&s->out);
	cb_run_result_done(&s->result);
	cb_closep(&s->upper);
	cb_closep(&s->work);
	cb_closep(&s->out_r);
	cb_closep(&s->out_w);
}

/* Start and finish; any failure to make the container fails the test. */
static inline void step_run(struct fixture *f, struct step *s)
{
	cleanup_err struct cb_err *err = NULL;
	int r = step_start(f, s, &err);

	if (r == 0)
		r = step_finish(s, &err);
	if (r < 0)
		fail_msg("%s", cb_err_msg(err));
}

#endif
