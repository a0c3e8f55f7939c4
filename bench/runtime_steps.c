/*
 * What a RUN step costs: a chain of empty steps, each on an overlay of all the ones before it.
 *
 * Usage: runtime_steps [STEPS [ISOLATION]]
 * Prints milliseconds per step (median, minimum, mean), with a sandbox prepared ahead and without, with the network of
 * the host, with none and with that of the build, without control groups, and the same for `crun run` on a plain
 * directory when crun is installed and we are root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/spawn.h"
#include "base/timefmt.h"
#include "runtime/runtime.h"

#define MAX_STEPS 450

struct bench {
	char dir[64];
	int dirfd, base, steps;
	int layers[MAX_STEPS + 1];
	size_t n_layers;
	double ms[MAX_STEPS], wall;
};

static CB_NORETURN void die(struct cb_err *err, const char *what)
{
	fprintf(stderr, "runtime_steps: %s: %s\n", what, err ? cb_err_msg(err) : strerror(errno));
	exit(1);
}

static int make_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0755) < 0)
		die(NULL, name);
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_base(struct bench *b)
{
	snprintf(b->dir, sizeof(b->dir), "/var/tmp/cbuild-bench-XXXXXX");
	if (!mkdtemp(b->dir) || chmod(b->dir, 0755) < 0)
		die(NULL, "scratch directory");
	b->dirfd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->base = make_dir(b->dirfd, "base");
	cleanup_close int bin = make_dir(b->base, "bin");
	cleanup_close int in = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	cleanup_close int out = openat(bin, "true", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (in < 0 || out < 0 || cb_fd_copy(in, out, NULL, NULL) < 0)
		die(NULL, "/bin/busybox");
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(struct bench *b, const char *name)
{
	qsort(b->ms, (size_t)b->steps, sizeof(double), compare);
	printf("%-34s median %6.2f  min %6.2f  mean %6.2f ms/step\n", name, b->ms[b->steps / 2], b->ms[0],
		b->wall / b->steps);
}

static void one_step(struct bench *b, struct cb_runtime *rt, int dir, enum cb_run_network network, int i)
{
	static const char *const argv[] = { "/bin/true", NULL };
	struct cb_run_spec spec = CB_RUN_SPEC_INIT;
	struct cb_run_result result;
	struct cb_err *err = NULL;
	struct cb_run *run;
	char name[32];

	snprintf(name, sizeof(name), "s%d", i);
	cleanup_close int step = make_dir(dir, name);
	int fs = make_dir(step, "fs");
	cleanup_close int work = make_dir(step, "work");
	spec.layers = b->layers;
	spec.n_layers = b->n_layers;
	spec.upper_fd = fs;
	spec.work_fd = work;
	spec.argv = argv;
	spec.network = network;
	if (cb_runtime_start(rt, &spec, &run, &err) < 0 || cb_runtime_wait(run, NULL, 0, &result, &err) < 0)
		die(err, "run");
	if (result.status)
		die(NULL, "status of true");
	cb_run_result_done(&result);
	b->layers[b->n_layers++] = fs;
}

static void chain(struct bench *b, struct cb_runtime *rt, enum cb_run_network network, const char *name)
{
	cleanup_close int dir = make_dir(b->dirfd, name);

	b->layers[0] = b->base;
	b->n_layers = 1;
	uint64_t begin = cb_time_mono();
	for (int i = 0; i < b->steps; i++) {
		uint64_t start = cb_time_mono();
		one_step(b, rt, dir, network, i);
		b->ms[i] = (double)(cb_time_mono() - start) / 1e6;
	}
	b->wall = (double)(cb_time_mono() - begin) / 1e6;
	print(b, name);
	for (size_t i = 1; i < b->n_layers; i++)
		close(b->layers[i]);
}

static void measure(struct bench *b, enum cb_isolation isolation, bool no_prepare)
{
	const struct cb_runtime_options options = {
		.isolation = isolation,
		.scratch_fd = b->dirfd,
		.store_fd = b->dirfd,
		.no_prepare = no_prepare,
	};
	struct cb_runtime *rt;
	struct cb_err *err = NULL;
	char name[64];

	uint64_t start = cb_time_mono();
	if (cb_runtime_open(&options, &rt, &err) < 0)
		die(err, "open");
	const char *mode = cb_isolation_name(cb_runtime_info(rt)->isolation);
	printf("%s: open %.2f ms\n", mode, (double)(cb_time_mono() - start) / 1e6);
	snprintf(name, sizeof(name), "%s, %s, host network", mode, no_prepare ? "cold" : "prepared");
	chain(b, rt, CB_RUN_NETWORK_HOST, name);
	snprintf(name, sizeof(name), "%s, %s, no network", mode, no_prepare ? "cold" : "prepared");
	chain(b, rt, CB_RUN_NETWORK_NONE, name);
	/* The first of these waits until it is connected: the median and the minimum do not show it. */
	snprintf(name, sizeof(name), "%s, %s, default network", mode, no_prepare ? "cold" : "prepared");
	chain(b, rt, CB_RUN_NETWORK_DEFAULT, name);
	cb_runtime_close(rt);
}

/* What the default limit of processes costs: the same without any control group. */
static void measure_ungrouped(struct bench *b, enum cb_isolation isolation)
{
	const struct cb_runtime_options options = {
		.isolation = isolation, .scratch_fd = b->dirfd, .store_fd = b->dirfd, .limits = { .pids = -1 }
	};
	struct cb_runtime *rt;
	struct cb_err *err = NULL;

	if (cb_runtime_open(&options, &rt, &err) < 0)
		die(err, "open");
	chain(b, rt, CB_RUN_NETWORK_HOST, "without control groups, host network");
	cb_runtime_close(rt);
}

static void write_bundle(struct bench *b)
{
	const char *const spec_argv[] = { "crun", "spec", NULL };
	const struct cb_spawn spawn = { .argv = spec_argv, .dir = b->dir };
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_json json_t *doc = NULL;
	struct cb_err *err = NULL;
	char rootfs[80];

	snprintf(rootfs, sizeof(rootfs), "%s/rootfs", b->dir);
	if (symlink("base", rootfs) < 0 || cb_spawn_run(&spawn, NULL, NULL, &err) != 0 ||
		cb_file_read_at(b->dirfd, "config.json", 1 << 20, &text, &err) < 0 ||
		cb_json_parse(text.data, text.len, &doc, &err) < 0)
		die(err, "crun spec");
	json_t *process = json_object_get(doc, "process");
	json_object_set_new(process, "terminal", json_false());
	json_object_set_new(process, "args", json_pack("[s]", "/bin/true"));
	json_object_set_new(json_object_get(doc, "root"), "path", json_string("base"));
	cleanup_free char *out = cb_json_dump(doc, false);
	cleanup_close int fd = openat(b->dirfd, "config.json", O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || cb_fd_write_all(fd, out, strlen(out)) < 0)
		die(NULL, "config.json");
}

static void measure_crun(struct bench *b)
{
	struct cb_err *err = NULL;

	write_bundle(b);
	/* Our mount namespace is private: crun 1.8 knows hosts with one kind of cgroups only. */
	(void)mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	b->steps = CB_MIN(b->steps, 30);
	uint64_t begin = cb_time_mono();
	for (int i = 0; i < b->steps; i++) {
		char id[64];
		snprintf(id, sizeof(id), "cbuild-bench-%d-%d", (int)getpid(), i);
		const char *const argv[] = { "crun", "--cgroup-manager=disabled", "run", id, NULL };
		const struct cb_spawn spawn = { .argv = argv, .dir = b->dir };
		uint64_t start = cb_time_mono();
		int r = cb_spawn_run(&spawn, NULL, NULL, &err);
		if (r < 0)
			die(err, "crun");
		if (r > 0) {
			printf("crun run failed here, no comparison\n");
			return;
		}
		b->ms[i] = (double)(cb_time_mono() - start) / 1e6;
	}
	b->wall = (double)(cb_time_mono() - begin) / 1e6;
	print(b, "crun run, plain directory");
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct cb_err *err = NULL;
	enum cb_isolation isolation = CB_ISOLATION_AUTO;

	b.steps = argc > 1 ? atoi(argv[1]) : 30;
	if (b.steps < 1 || b.steps > MAX_STEPS)
		b.steps = 30;
	for (int i = CB_ISOLATION_AUTO; argc > 2 && i <= CB_ISOLATION_SINGLE; i++)
		if (strcmp(argv[2], cb_isolation_name((enum cb_isolation)i)) == 0)
			isolation = (enum cb_isolation)i;
	umask(022);
	if (cb_runtime_enter(isolation, &err) < 0)
		die(err, "enter");
	make_base(&b);
	measure(&b, isolation, false);
	measure_ungrouped(&b, isolation);
	measure(&b, isolation, true);
	if (cb_runtime_trusted_xattrs() && cb_spawn_have("crun"))
		measure_crun(&b);
	if (cb_path_remove_tree(AT_FDCWD, b.dir, &err) < 0)
		die(err, "clean up");
	return 0;
}
