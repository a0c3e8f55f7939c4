/*
 * What COPY of many small files costs beside a bare loop that does the same necessary work in one thread: open, read,
 * create, write, set the time, close. Also: the content digest, without and with remembered file digests.
 *
 *   cc -O2 -D_GNU_SOURCE -I. -o copy bench/copy.c build/release/layers/libcb_layers.a build/release/base/libcb_base.a \
 *      -lcrypto -ljansson -lpthread && ./copy [FILES [BYTES [DIRECTORY]]]
 *
 * By default 100000 files of 1000 bytes in a new directory below /tmp.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "base/pool.h"
#include "base/timefmt.h"
#include "layers/contenthash.h"
#include "layers/copytree.h"

#define PER_DIR 500

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int r, struct cb_err *err)
{
	if (r < 0) {
		fprintf(stderr, "%s\n", cb_err_msg(err));
		exit(1);
	}
}

static int new_dir(int top, const char *name)
{
	int fd;

	if (mkdirat(top, name, 0755) < 0)
		die(name);
	fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(name);
	return fd;
}

static void make_files(int dirfd, unsigned long n, size_t bytes)
{
	char *data = malloc(bytes + 1), name[64];

	for (unsigned long i = 0; i < n; i++) {
		int fd;

		snprintf(name, sizeof(name), "d%lu", i / PER_DIR);
		if (i % PER_DIR == 0)
			mkdirat(dirfd, name, 0755);
		snprintf(name, sizeof(name), "d%lu/file%lu", i / PER_DIR, i);
		memset(data, (int)(i % 251), bytes);
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
			die(name);
		close(fd);
	}
	free(data);
}

static void bare_file(int from, int to, const char *name)
{
	char data[64 << 10];
	int src = openat(from, name, O_RDONLY | O_CLOEXEC);
	int dst = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct stat st;
	ssize_t n;

	if (src < 0 || dst < 0 || fstat(src, &st) < 0)
		die(name);
	for (off_t left = st.st_size; left > 0; left -= n) {
		n = read(src, data, sizeof(data));
		if (n <= 0 || write(dst, data, (size_t)n) != n)
			die(name);
	}
	futimens(dst, (struct timespec[2]){ st.st_atim, st.st_mtim });
	close(src);
	close(dst);
}

static void bare_copy(int from, int to)
{
	DIR *dir = fdopendir(openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *d;

	while ((d = readdir(dir))) {
		if (*d->d_name == '.')
			continue;
		if (d->d_type == DT_DIR) {
			int sub = openat(from, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			int made = new_dir(to, d->d_name);

			bare_copy(sub, made);
			close(sub);
			close(made);
		} else {
			bare_file(from, to, d->d_name);
		}
	}
	closedir(dir);
}

/* A hash index in memory. */
struct memory {
	pthread_mutex_t lock;
	struct cb_map *map;
};

static bool memory_lookup(void *userdata, const struct cb_file_id *id, unsigned char sha256[32])
{
	struct memory *m = userdata;
	char key[64];
	void *found;

	snprintf(key, sizeof(key), "%lx:%lx", (unsigned long)id->ino, (unsigned long)id->ctime_ns);
	pthread_mutex_lock(&m->lock);
	found = cb_map_get(m->map, key);
	pthread_mutex_unlock(&m->lock);
	if (found)
		memcpy(sha256, found, 32);
	return found;
}

static void memory_store(void *userdata, const struct cb_file_id *id, const unsigned char sha256[32])
{
	struct memory *m = userdata;
	char key[64];

	snprintf(key, sizeof(key), "%lx:%lx", (unsigned long)id->ino, (unsigned long)id->ctime_ns);
	pthread_mutex_lock(&m->lock);
	cb_map_set(m->map, key, cb_xmemdup(sha256, 32));
	pthread_mutex_unlock(&m->lock);
}

static double floor_s;

static void report(const char *what, uint64_t start)
{
	double s = (double)(cb_time_mono() - start) / 1e9;

	if (floor_s == 0)
		floor_s = s;
	printf("%-34s %7.3f s  %5.2f x\n", what, s, s / floor_s);
}

static void bench_copy(const char *what, struct cb_tree *tree, const struct cb_sources *sources, int upper,
	struct cb_pool *pool, const struct cb_hash_index *index)
{
	struct cb_copy_spec spec = {
		.src = tree, .sources = sources, .dest = "/app/", .upper = upper, .pool = pool, .index = index
	};
	struct cb_err *err = NULL;
	uint64_t start = cb_time_mono();

	check(cb_copy_run(&spec, &err), err);
	report(what, start);
}

static void bench_hash(const char *what, struct cb_tree *tree, const struct cb_sources *sources, struct cb_pool *pool,
	const struct cb_hash_index *index)
{
	struct cb_content_spec spec = { .tree = tree, .sources = sources, .pool = pool, .index = index };
	struct cb_content_result result;
	struct cb_err *err = NULL;
	uint64_t start = cb_time_mono();

	check(cb_content_digest(&spec, &result, &err), err);
	report(what, start);
}

static int no_match(const char *pattern, const char *name, struct cb_err **err)
{
	(void)err;
	return strcmp(pattern, name) == 0;
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
	char *top = cb_xasprintf("%s/cb-bench-copy-XXXXXX", argc > 3 ? argv[3] : "/tmp");
	struct memory memory = { PTHREAD_MUTEX_INITIALIZER, cb_map_new(free) };
	struct cb_hash_index index = { memory_lookup, memory_store, &memory };
	struct cb_pool *pool = cb_pool_new("bench", cb_cpu_count());
	struct cb_sources sources = { 0 };
	struct cb_tree *tree = NULL;
	struct cb_err *err = NULL;
	int fd, src;
	uint64_t start;

	if (!mkdtemp(top))
		die(top);
	fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	src = new_dir(fd, "src");
	make_files(src, n, bytes);
	sleep(1); /* younger stamps are not trusted */
	check(cb_tree_new_plain(src, NULL, true, &tree, &err), err);
	check(cb_sources_add(&sources, &(struct cb_match_spec){ tree, no_match, false, false }, ".", &err), err);
	printf("%lu files of %zu bytes\n", n, bytes);
	bare_copy(src, new_dir(fd, "warm"));
	syncfs(fd);
	start = cb_time_mono();
	bare_copy(src, new_dir(fd, "bare"));
	report("bare loop, one thread", start);
	syncfs(fd);
	bench_copy("copy, one thread", tree, &sources, new_dir(fd, "one"), NULL, NULL);
	syncfs(fd);
	bench_copy("copy, all processors", tree, &sources, new_dir(fd, "all"), pool, NULL);
	syncfs(fd);
	bench_hash("digest", tree, &sources, NULL, NULL);
	bench_hash("digest, all processors, remember", tree, &sources, pool, &index);
	bench_hash("digest, known files", tree, &sources, pool, &index);
	bench_copy("copy, digests known", tree, &sources, new_dir(fd, "known"), pool, &index);
	cb_sources_done(&sources);
	cb_tree_free(tree);
	cb_pool_free(pool);
	cb_map_free(memory.map);
	cb_path_remove_tree(AT_FDCWD, top, NULL);
	free(top);
	return 0;
}
