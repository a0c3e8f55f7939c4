/* What a table of small trees cannot show: many, deep, big, sparse and privileged files. */
#include "unit/layers/treebuild.h"

#include <pthread.h>
#include <sys/resource.h>

#include "base/map.h"
#include "base/pool.h"
#include "layers/copytree.h"

static int match(const char *pattern, const char *name, struct cb_err **err)
{
	(void)err;
	return strcmp(pattern, name) == 0;
}

/* COPY . /d/ into @spec->upper; the rest of @spec as given. */
static int copy_dot(int src, struct cb_copy_spec *spec, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_sources struct cb_sources sources = { 0 };

	assert_int_equal(cb_tree_new_plain(src, NULL, true, &tree, err), 0);
	assert_int_equal(
		cb_sources_add(&sources, &(struct cb_match_spec){ .tree = tree, .match = match }, ".", err), 0);
	spec->src = tree;
	spec->sources = &sources;
	spec->dest = "/d/";
	return cb_copy_run(spec, err);
}

static void same_bytes(int a_dir, const char *a_name, int b_dir, const char *b_name)
{
	cleanup_close int a = openat(a_dir, a_name, O_RDONLY | O_CLOEXEC);
	cleanup_close int b = openat(b_dir, b_name, O_RDONLY | O_CLOEXEC);
	static char x[1 << 16], y[1 << 16];
	ssize_t n, m;

	assert_true(a >= 0 && b >= 0);
	do {
		n = cb_fd_read_full(a, x, sizeof(x));
		m = cb_fd_read_full(b, y, sizeof(y));
		assert_true(n >= 0);
		assert_int_equal(n, m);
		assert_memory_equal(x, y, (size_t)n);
	} while (n > 0);
}

static void write_pattern(int fd, size_t n, off_t at)
{
	char *data = cb_xmalloc(n);

	for (size_t i = 0; i < n; i++)
		data[i] = (char)(i * 31 + i / 977);
	assert_int_equal(pwrite(fd, data, n, at), n);
	free(data);
}

/* Around the borders where the way of copying changes, and a hole at either end. */
static void sizes(void **state)
{
	static const size_t lengths[] = { 1, 4095, 65535, 65536, 65537, 131071, 131072, 131073, 3 << 20 };
	cleanup_close int src = tb_dir(), upper = tb_dir();
	struct cb_copy_progress progress = { 0 };
	struct cb_copy_spec spec = { .upper = upper, .progress = &progress };
	cleanup_err struct cb_err *err = NULL;
	char name[32], copy[32];
	struct stat st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		cleanup_close int fd = -EBADF;

		snprintf(name, sizeof(name), "f%zu", i);
		fd = openat(src, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		write_pattern(fd, lengths[i], 0);
	}
	cleanup_close int holes = openat(src, "holes", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	write_pattern(holes, 5000, 1 << 20);
	assert_int_equal(ftruncate(holes, 64 << 20), 0);
	assert_int_equal(copy_dot(src, &spec, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		snprintf(copy, sizeof(copy), "d/f%zu", i);
		same_bytes(src, name, upper, copy);
	}
	same_bytes(src, "holes", upper, "d/holes");
	assert_int_equal(fstatat(upper, "d/holes", &st, 0), 0);
	assert_true(st.st_blocks * 512 < 8 << 20);
	assert_int_equal(progress.entries, ARRAY_SIZE(lengths) + 1);
}

static void attributes(void **state)
{
	static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 0x20 };
	cleanup_close int src = tb_dir(), upper = tb_dir(), from = -EBADF, to = -EBADF;
	struct cb_copy_spec spec = { .upper = upper };
	cleanup_err struct cb_err *err = NULL;
	char value[64];

	(void)state;
	tb_build(src, "f a 755 =program");
	from = openat(src, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(from, "user.x", "1", 1, 0), 0);
	if (tb_root)
		assert_int_equal(fsetxattr(from, "security.capability", capability, sizeof(capability), 0), 0);
	else
		print_message("# SKIPPED (needs root): security.capability\n");
	assert_int_equal(copy_dot(src, &spec, &err), 0);
	to = openat(upper, "d/a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(to, "user.x", value, sizeof(value)), -1);
	if (tb_root) {
		assert_int_equal(fgetxattr(to, "security.capability", value, sizeof(value)), sizeof(capability));
		assert_memory_equal(value, capability, sizeof(capability));
	}
}

/* The umask and a default ACL of the store do not get into images. */
static void umask_does_not_matter(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0777 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		cleanup_close int src = tb_dir(), upper = tb_dir();
		struct cb_copy_spec spec = { .upper = upper };
		cleanup_buf struct cb_buf out = { 0 };
		mode_t old;

		tb_build(src, "f a 666; f t/b 777; p p 666; d t 777");
		old = umask(masks[i]);
		assert_int_equal(copy_dot(src, &spec, NULL), 0);
		umask(old);
		tb_show(upper, "", &out);
		assert_string_equal(cb_buf_str(&out), "d d; f d/a 666; p d/p 666; d d/t 777; f d/t/b 777");
	}
}

/* More directories below each other than descriptors for them: 600 levels (twice, source and destination) with 450. */
static void deep_tree(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 3);
	struct rlimit old, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ 450, old.rlim_max };
	for (int with_pool = 0; with_pool < 2; with_pool++) {
		cleanup_close int src = tb_dir(), upper = tb_dir();
		struct cb_copy_spec spec = { .upper = upper, .pool = with_pool ? pool : NULL };
		cleanup_err struct cb_err *err = NULL;
		int fd = dup(src), depth = 0, r;

		for (int i = 0; i < 600; i++) {
			int next;

			tb_build(fd, "d d 700; f x =1; d e");
			next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(fd);
			fd = next;
		}
		close(fd);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = copy_dot(src, &spec, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		if (r < 0)
			print_message("# %.200s\n", cb_err_msg(err));
		assert_int_equal(r, 0);
		for (fd = openat(upper, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0; depth++) {
			int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			assert_int_equal(faccessat(fd, "x", F_OK, 0), next < 0 ? -1 : 0);
			close(fd);
			fd = next;
		}
		assert_int_equal(depth, 601);
	}
	cb_pool_free(pool);
}

static void show_sum(int fd, unsigned long *entries, unsigned long *sum)
{
	cleanup_buf struct cb_buf out = { 0 };

	tb_show(fd, "", &out);
	*entries = *sum = 0;
	for (const char *at = cb_buf_str(&out); *at; at++) {
		*entries += *at == ';';
		*sum = *sum * 31 + (unsigned char)*at;
	}
}

/* Threads change nothing in the result, over parents that have some of it. */
static void many_files(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 4);
	cleanup_close int src = tb_dir(), below = tb_dir(), one = tb_dir(), many = tb_dir();
	CB_CLEANUP(cb_tree_free) struct cb_tree *parents = NULL;
	struct cb_copy_spec spec = { .upper = one };
	cleanup_err struct cb_err *err = NULL;
	unsigned long n[2], sum[2];

	(void)state;
	for (int d = 0; d < 8; d++) {
		for (int f = 0; f < 200; f++) {
			char text[128];

			snprintf(text, sizeof(text), "f s%d/t%d/f%d @%d =%d", d, f % 3, f, f, d * f);
			tb_build(src, text);
			if (f % 50 == 7) {
				snprintf(text, sizeof(text), "h s%d/link%d >s%d/t%d/f%d", d, f, d, f % 3, f);
				tb_build(src, text);
				snprintf(text, sizeof(text), "f d/s%d/t%d/f%d =old; d d/s%d/u%d", d, f % 3, f, d, f);
				tb_build(below, text);
			}
		}
	}
	assert_int_equal(cb_tree_new_layers(&below, 1, tb_flavour(), &parents, &err), 0);
	spec.parents = parents;
	assert_int_equal(copy_dot(src, &spec, &err), 0);
	spec.upper = many;
	spec.pool = pool;
	assert_int_equal(copy_dot(src, &spec, &err), 0);
	show_sum(one, &n[0], &sum[0]);
	show_sum(many, &n[1], &sum[1]);
	assert_int_equal(n[0], n[1]);
	assert_int_equal(sum[0], sum[1]);
	assert_true(n[0] > 1600);
	cb_pool_free(pool);
}

/* --- Hashing on the way ----------------------------------------------------------------------------------------------
 */

struct seen {
	pthread_mutex_t lock;
	size_t stored;
	unsigned char last[32];
};

static void seen_store(void *userdata, const struct cb_file_id *id, const unsigned char sha256[32])
{
	struct seen *seen = userdata;

	(void)id;
	pthread_mutex_lock(&seen->lock);
	seen->stored++;
	memcpy(seen->last, sha256, 32);
	pthread_mutex_unlock(&seen->lock);
}

static void hashes_on_the_way(void **state)
{
	struct seen seen = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct cb_hash_index index = { NULL, seen_store, &seen };
	cleanup_close int src = tb_dir(), upper = tb_dir(), fd = -EBADF;
	struct cb_copy_spec spec = { .upper = upper, .index = &index };
	unsigned char want[32];
	struct stat st;

	(void)state;
	fd = openat(src, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	write_pattern(fd, 200000, 0);
	nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
	assert_int_equal(copy_dot(src, &spec, NULL), 0);
	assert_int_equal(seen.stored, 1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(cb_content_file(fd, &st, NULL, NULL, want, NULL, NULL), 0);
	assert_memory_equal(seen.last, want, 32);
	same_bytes(src, "a", upper, "d/a");
}

static void canceled(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	cleanup_close int src = tb_dir(), upper = tb_dir();
	struct cb_copy_spec spec = { .upper = upper, .cancel = cancel };
	cleanup_err struct cb_err *err = NULL;

	(void)state;
	tb_build(src, "f a =x; f t/b");
	cb_cancel_raise(cancel);
	assert_int_equal(copy_dot(src, &spec, &err), CB_ERR_CANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(attributes),
		cmocka_unit_test(umask_does_not_matter),
		cmocka_unit_test(deep_tree),
		cmocka_unit_test(many_files),
		cmocka_unit_test(hashes_on_the_way),
		cmocka_unit_test(canceled),
	};

	return tb_run(tests);
}
