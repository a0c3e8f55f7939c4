#include "unit/layers/treebuild.h"

#include <fnmatch.h>
#include <pthread.h>

#include "base/map.h"
#include "base/pool.h"
#include "layers/contenthash.h"
#include "layers/digest.h"

static int match(const char *pattern, const char *name, struct cb_err **err)
{
	(void)err;
	return fnmatch(pattern, name, 0) == 0;
}

static void digest_of(int fd, const char *source, const struct cb_content_spec *like, unsigned char ret[32])
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_sources struct cb_sources sources = { 0 };
	struct cb_content_spec spec = like ? *like : (struct cb_content_spec){ 0 };
	struct cb_match_spec how = { .match = match };
	struct cb_content_result result;
	cleanup_err struct cb_err *err = NULL;
	char *copy = cb_xstrdup(source), *save = NULL;

	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	how.tree = spec.tree = tree;
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strcmp(word, "--parents") == 0)
			how.parents = true;
		else
			assert_int_equal(cb_sources_add(&sources, &how, word, &err), 0);
	}
	free(copy);
	spec.sources = &sources;
	assert_int_equal(cb_content_digest(&spec, &result, &err), 0);
	memcpy(ret, result.digest, 32);
}

/* Are the digests of two trees equal? */
static const struct {
	const char *name, *a, *source_a, *b, *source_b;
	bool same, root;
} rows[] = {
	{ "the same", "f s/a =x", "s", "f s/a =x", "s", true, false },
	{ "touch", "f s/a @5 =x", "s", "f s/a @6 =x", "s", true, false },
	{ "touch of a directory", "d s/t @5", "s", "d s/t @6", "s", true, false },
	{ "chmod", "f s/a 644 =x", "s", "f s/a 755 =x", "s", false, false },
	{ "chmod of a directory", "d s/t", "s", "d s/t 700", "s", false, false },
	{ "chmod of the top counts not", "d s; f s/a", "s", "d s 700; f s/a", "s", true, false },
	{ "setuid", "f s/a 755", "s", "f s/a 4755", "s", false, false },
	{ "chown", "f s/a 1:2", "s", "f s/a 1:3", "s", false, true },
	{ "content", "f s/a =x", "s", "f s/a =y", "s", false, false },
	{ "rename inside", "f s/a =x", "s", "f s/b =x", "s", false, false },
	{ "another source directory", "f s/a =x", "s", "f t/a =x", "t", true, false },
	{ "moved with its directory", "f s/a =x", "s", "f p/q/s/a =x", "p/q/s", true, false },
	{ "a literal file's name", "f a =x", "a", "f b =x", "b", true, false },
	{ "a matched file's name", "f a1 =x", "a*", "f a2 =x", "a*", false, false },
	{ "a matched file's directory", "f p/a1 =x", "p/a*", "f q/a1 =x", "q/a*", true, false },
	{ "matches in order", "f a1 =x; f a2 =y", "a*", "f a1 =y; f a2 =x", "a*", false, false },
	{ "one more match", "f a1 =x", "a*", "f a1 =x; f a2 =x", "a*", false, false },
	{ "no match is no file", "f b", "a*", "f c", "a*", true, false },
	{ "link target", "l s/l >a", "s", "l s/l >b", "s", false, false },
	{ "link and file", "l s/l >a", "s", "f s/l =a", "s", false, false },
	{ "file and directory", "f s/a", "s", "d s/a", "s", false, false },
	{ "source through a link", "f a =x; l l >a", "l", "f l =x", "l", true, false },
	{ "directory through a link", "f s/a =x; l l >s", "l", "f l/a =x", "l", true, false },
	{ "empty directory", "d s/t; f s/a", "s", "f s/a", "s", false, false },
	{ "fifo and file", "p s/p", "s", "f s/p", "s", false, false },
	{ "names do not run together", "f s/a =x; f s/b =y", "s", "f s/ab =xy", "s", false, false },
	{ "structure does not run together", "f s/a/b =x; d s/c", "s", "d s/a; f s/c/b =x", "s", false, false },
	{ "a directory is not a file", "d a", "a", "f a", "a", false, false },
	{ "order of sources", "f a =x; f b =y", "a b", "f a =x; f b =y", "b a", false, false },
	{ "parents: the path counts", "f a/x =1", "--parents a/x", "f b/x =1", "--parents b/x", false, false },
	{ "parents: others do not", "f a/x =1", "--parents a/x", "f a/x =1; f a/y", "--parents a/x", true, false },
	{ "parents: modes on the way", "d a; f a/x =1", "--parents a/x", "d a 700; f a/x =1", "--parents a/x", false,
		false },
	{ "parents: from the pivot on", "f p/a/x =1", "--parents p/./a/x", "f q/a/x =1", "--parents q/./a/x", true,
		false },
	{ "parents: wildcard takes only what it needs", "f a/x =1; f b/y", "--parents */x", "f a/x =1; f c/z",
		"--parents */x", true, false },
	{ "two names of one file", "f s/a =x; h s/b >s/a", "s", "f s/a =x; f s/b =x", "s", false, false },
	{ "the same links elsewhere", "f s/a =x; h s/b >s/a", "s", "f t/a =x; h t/b >t/a", "t", true, false },
	{ "a name outside does not count", "f s/a =x; h b >s/a", "s", "f s/a =x", "s", true, false },
	{ "other names of one file", "f s/a =x; h s/b >s/a; f s/c =x", "s", "f s/a =x; f s/b =x; h s/c >s/a", "s",
		false, false },
	{ "device numbers", "c s/n >1.3", "s", "c s/n >1.5", "s", false, true },
};

static void invariants(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_close int a = tb_dir(), b = tb_dir();
		unsigned char da[32], db[32];

		print_message("# %s\n", rows[i].name);
		if (rows[i].root && !tb_root) {
			print_message("# SKIPPED (needs root)\n");
			continue;
		}
		tb_build(a, rows[i].a);
		tb_build(b, rows[i].b);
		digest_of(a, rows[i].source_a, NULL, da);
		digest_of(b, rows[i].source_b, NULL, db);
		assert_int_equal(memcmp(da, db, 32) == 0, rows[i].same);
	}
}

/* A mount shows the directory itself, a copy does not. */
static void whole_directory(void **state)
{
	struct cb_content_spec whole = { .whole = true };
	cleanup_close int fd = tb_dir();
	unsigned char a[32], b[32];

	(void)state;
	tb_build(fd, "f s/a; d s 755");
	digest_of(fd, "s", &whole, a);
	tb_build(fd, "d s 711");
	digest_of(fd, "s", &whole, b);
	assert_memory_not_equal(a, b, 32);
}

static enum cb_path_verdict no_objects(void *userdata, const char *path, bool is_dir)
{
	(void)userdata, (void)is_dir;
	return cb_str_ends(path, ".o") ? CB_PATH_DROP : CB_PATH_TAKE;
}

static void excluded_files(void **state)
{
	struct cb_path_filter filter = { no_objects, NULL };
	struct cb_content_spec spec = { .exclude = &filter };
	cleanup_close int fd = tb_dir();
	unsigned char a[32], b[32], c[32];

	(void)state;
	tb_build(fd, "f s/a; f s/t/b.o =1");
	digest_of(fd, "s", &spec, a);
	tb_build(fd, "f s/t/b.o =2; f s/c.o");
	digest_of(fd, "s", &spec, b);
	tb_build(fd, "f s/t/b =2");
	digest_of(fd, "s", &spec, c);
	assert_memory_equal(a, b, 32);
	assert_memory_not_equal(a, c, 32);
}

/* security.capability is content, other attributes are not. */
static void attributes(void **state)
{
	/* cap_net_raw=ep, revision 2 */
	static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 0x20 };
	cleanup_close int fd = tb_dir();
	unsigned char plain[32], user[32], cap[32];
	int f;

	(void)state;
	if (!tb_root) {
		print_message("# SKIPPED (needs root): security.capability\n");
		skip();
	}
	tb_build(fd, "f s/a 755");
	digest_of(fd, "s", NULL, plain);
	f = openat(fd, "s/a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(f, "user.x", "1", 1, 0), 0);
	digest_of(fd, "s", NULL, user);
	assert_int_equal(fsetxattr(f, "security.capability", capability, sizeof(capability), 0), 0);
	digest_of(fd, "s", NULL, cap);
	close(f);
	assert_memory_equal(plain, user, 32);
	assert_memory_not_equal(plain, cap, 32);
}

/* --- Index and threads ----------------------------------------------------------------------------------------------
 */

struct memory {
	pthread_mutex_t lock;
	struct cb_map *map;
	size_t lookups, hits, stores;
};

static void key_of(const struct cb_file_id *id, char key[static 128])
{
	snprintf(key, 128, "%lx:%lx:%lx:%lx:%lx", (unsigned long)id->dev, (unsigned long)id->ino,
		(unsigned long)id->size, (unsigned long)id->mtime_ns, (unsigned long)id->ctime_ns);
}

static bool lookup(void *userdata, const struct cb_file_id *id, unsigned char sha256[32])
{
	struct memory *m = userdata;
	char key[128];
	void *found;

	key_of(id, key);
	pthread_mutex_lock(&m->lock);
	m->lookups++;
	found = cb_map_get(m->map, key);
	m->hits += found != NULL;
	pthread_mutex_unlock(&m->lock);
	if (found)
		memcpy(sha256, found, 32);
	return found;
}

static void store(void *userdata, const struct cb_file_id *id, const unsigned char sha256[32])
{
	struct memory *m = userdata;
	char key[128];

	key_of(id, key);
	pthread_mutex_lock(&m->lock);
	m->stores++;
	cb_map_set(m->map, key, cb_xmemdup(sha256, 32));
	pthread_mutex_unlock(&m->lock);
}

static void settle(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
}

static void remembers(void **state)
{
	struct memory m = { PTHREAD_MUTEX_INITIALIZER, cb_map_new(free), 0, 0, 0 };
	struct cb_hash_index index = { lookup, store, &m };
	struct cb_content_spec spec = { .index = &index };
	cleanup_close int fd = tb_dir();
	unsigned char fresh[32], first[32], again[32], changed[32];

	(void)state;
	tb_build(fd, "f s/a =x; f s/t/b =y; l s/l >a; f s/e");
	digest_of(fd, "s", NULL, fresh);
	/* Stamps of this moment might be given again. */
	digest_of(fd, "s", &spec, first);
	assert_int_equal(m.stores, 0);
	settle();
	digest_of(fd, "s", &spec, first);
	assert_int_equal(m.stores, 3);
	m.hits = 0;
	digest_of(fd, "s", &spec, again);
	assert_int_equal(m.hits, 3);
	assert_int_equal(m.stores, 3);
	assert_memory_equal(fresh, first, 32);
	assert_memory_equal(first, again, 32);
	/* Same size, and the old time stamp put back: the ctime tells. */
	tb_build(fd, "f s/a =z");
	digest_of(fd, "s", &spec, changed);
	assert_memory_not_equal(changed, again, 32);
	cb_map_free(m.map);
}

static void build_many(int fd)
{
	for (int d = 0; d < 10; d++) {
		char text[64];

		for (int f = 0; f < 90; f++) {
			snprintf(text, sizeof(text), "f s/d%d/e%d/f%d =%d", d, f % 3, f, d * f);
			tb_build(fd, text);
		}
	}
}

static void threads_agree(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 4);
	struct cb_content_spec spec = { .pool = pool };
	struct cb_content_files files = { .max = 50 };
	cleanup_close int fd = tb_dir();
	unsigned char one[32], many[32];

	(void)state;
	build_many(fd);
	digest_of(fd, "s", NULL, one);
	for (int i = 0; i < 5; i++) {
		digest_of(fd, "s", &spec, many);
		assert_memory_equal(one, many, 32);
	}
	spec.files = &files;
	digest_of(fd, "s", &spec, many);
	assert_memory_equal(one, many, 32);
	assert_int_equal(files.n, 50);
	assert_int_equal(files.total, 1 + 10 + 10 * 3 + 900);
	assert_string_equal(files.v[0].path, "s/");
	assert_string_equal(files.v[1].path, "s/d0/");
	assert_string_equal(files.v[2].path, "s/d0/e0/");
	assert_string_equal(files.v[3].path, "s/d0/e0/f0");
	assert_string_equal(files.v[4].path, "s/d0/e0/f12");
	cb_content_files_done(&files);
	cb_pool_free(pool);
}

/* The caller may be a job of the pool that is to help, with all its threads busy. */
struct job {
	int fd;
	struct cb_pool *pool;
	unsigned char digest[32];
};

static void run_job(void *arg)
{
	struct job *job = arg;
	struct cb_content_spec spec = { .pool = job->pool };

	digest_of(job->fd, "s", &spec, job->digest);
}

static void pool_is_busy(void **state)
{
	struct cb_pool *pool = cb_pool_new("test", 2);
	cleanup_close int fd = tb_dir();
	struct job jobs[6];

	(void)state;
	build_many(fd);
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		jobs[i] = (struct job){ .fd = fd, .pool = pool };
		cb_pool_submit(pool, CB_PRIORITY_NORMAL, run_job, &jobs[i]);
	}
	cb_pool_free(pool);
	for (size_t i = 1; i < ARRAY_SIZE(jobs); i++)
		assert_memory_equal(jobs[0].digest, jobs[i].digest, 32);
}

static void canceled(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	cleanup_sources struct cb_sources sources = { 0 };
	struct cb_content_spec spec = { .sources = &sources, .cancel = cancel };
	struct cb_content_result result;
	cleanup_err struct cb_err *err = NULL;
	cleanup_close int fd = tb_dir();

	(void)state;
	tb_build(fd, "f s/a =x; f s/t/b");
	assert_int_equal(cb_tree_new_plain(fd, NULL, false, &tree, NULL), 0);
	assert_int_equal(
		cb_sources_add(&sources, &(struct cb_match_spec){ .tree = tree, .match = match }, "s", &err), 0);
	spec.tree = tree;
	cb_cancel_raise(cancel);
	assert_int_equal(cb_content_digest(&spec, &result, &err), CB_ERR_CANCELED);
}

/* The whole file, whatever the offset. */
static void single_file(void **state)
{
	cleanup_close int fd = tb_dir(), f = -EBADF;
	struct cb_digest want, got;
	unsigned char raw[32];
	uint64_t n = 0;
	struct stat st;

	(void)state;
	tb_build(fd, "f a =hello");
	f = openat(fd, "a", O_RDONLY | O_CLOEXEC);
	lseek(f, 3, SEEK_SET);
	assert_int_equal(fstat(f, &st), 0);
	assert_int_equal(cb_content_file(f, &st, NULL, NULL, raw, &n, NULL), 0);
	cb_digest_of("hello", 5, &want);
	cb_digest_from_bytes(raw, &got);
	assert_string_equal(got.text, want.text);
	assert_int_equal(n, 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(invariants),
		cmocka_unit_test(whole_directory),
		cmocka_unit_test(excluded_files),
		cmocka_unit_test(attributes),
		cmocka_unit_test(remembers),
		cmocka_unit_test(threads_agree),
		cmocka_unit_test(pool_is_busy),
		cmocka_unit_test(canceled),
		cmocka_unit_test(single_file),
	};

	return tb_run(tests);
}
