/* Cache mounts that travel: chunks, packs, lists, records, and the way of a directory through a cache and back. */
#include "storefix.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/map.h"
#include "base/owner.h"
#include "base/strv.h"
#include "layers/cachemount.h"
#include "layers/chunker.h"
#include "layers/mountlist.h"
#include "layers/mountremote.h"
#include "layers/packread.h"
#include "layers/packset.h"
#include "layers/remotecache.h"
#include "layers/varint.h"

/* The same bytes for the same @seed everywhere. */
static void noise(void *out, size_t len, uint64_t seed)
{
	unsigned char *p = out;

	for (size_t i = 0; i < len; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		p[i] = (unsigned char)(seed >> 24);
	}
}

/* ---- chunks --------------------------------------------------------------------------------------------------- */

static size_t cut_all(const struct cb_chunk_sizes *sizes, const unsigned char *data, size_t len, struct cb_map *chunks)
{
	size_t n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t size = cb_chunk_cut(sizes, data + at, len - at);
		struct cb_digest digest;

		assert_in_range(size, 1, sizes->max);
		if (at + size < len)
			assert_true(size >= sizes->min);
		cb_digest_of(data + at, size, &digest);
		cb_map_set(chunks, digest.text, chunks);
		at += size;
	}
	return n;
}

/* What is cut from @changed, in percent of chunks that @len bytes of @data gave, too. */
static size_t kept(
	const struct cb_chunk_sizes *sizes, const void *data, size_t len, const void *changed, size_t changed_len)
{
	CB_CLEANUP(cb_map_free) struct cb_map *before = cb_map_new(NULL);
	CB_CLEANUP(cb_map_free) struct cb_map *after = cb_map_new(NULL);
	size_t same = 0, at = 0;
	const char *key;
	void *value;

	cut_all(sizes, data, len, before);
	cut_all(sizes, changed, changed_len, after);
	while (cb_map_next(before, &at, &key, &value))
		same += cb_map_has(after, key);
	return same * 100 / cb_map_len(before);
}

static void chunks_shift(void **state)
{
	const struct cb_chunk_sizes *all[] = { &cb_chunk_data, &cb_chunk_lists };
	size_t len = (size_t)16 << 20;
	cleanup_free unsigned char *data = cb_xmalloc(len + 3), *changed = cb_xmalloc(len + 3);

	(void)state;
	noise(data, len, 1);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		CB_CLEANUP(cb_map_free) struct cb_map *chunks = cb_map_new(NULL);
		size_t n = cut_all(all[i], data, len, chunks);

		print_message("# %zu chunks of %zu bytes on average\n", n, len / n);
		assert_in_range(len / n, all[i]->avg / 2, all[i]->avg * 2);
		memcpy(changed + 1, data, len);
		changed[0] = 'x';
		assert_in_range(kept(all[i], data, len, changed, len + 1), 95, 100);
		memcpy(changed, data, len);
		memmove(changed + len / 2 + 3, changed + len / 2, len - len / 2);
		memcpy(changed + len / 2, "new", 3);
		assert_in_range(kept(all[i], data, len, changed, len + 3), 95, 100);
		assert_in_range(kept(all[i], data, len, data + 100, len - 100), 95, 100);
	}
}

/* The cuts are part of the format: these numbers must never change. */
static void chunks_stay_where_they_are(void **state)
{
	static const size_t want[] = { 73268, 51258, 78307, 151145, 75524, 71990, 73618, 76083, 89352 };
	size_t len = (size_t)1 << 20, at = 0;
	cleanup_free unsigned char *data = cb_xmalloc(len);

	(void)state;
	noise(data, len, 42);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		size_t size = cb_chunk_cut(&cb_chunk_data, data + at, len - at);

		assert_int_equal(size, want[i]);
		at += size;
	}
	memset(data, 0, len);
	assert_int_equal(cb_chunk_cut(&cb_chunk_data, data, len), CB_CHUNK_MAX);
	assert_int_equal(cb_chunk_cut(&cb_chunk_data, data, 5), 5);
}

static int append(void *arg, const void *data, size_t len, struct cb_err **err)
{
	(void)data, (void)err;
	cb_buf_addf(arg, "%zu ", len);
	return 0;
}

static void chunks_in_pieces(void **state)
{
	static const size_t pieces[] = { 1 << 20, 4096, 100003, 7 };
	size_t len = (size_t)1 << 20;
	cleanup_free unsigned char *data = cb_xmalloc(len);
	cleanup_buf struct cb_buf want = { 0 };

	(void)state;
	noise(data, len, 7);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		cleanup_buf struct cb_buf got = { 0 };
		struct cb_chunker c = { .sizes = &cb_chunk_data, .take = append, .arg = &got };

		for (size_t at = 0; at < len; at += pieces[i])
			assert_ok(cb_chunker_add(&c, data + at, CB_MIN(pieces[i], len - at), &err));
		assert_ok(cb_chunker_end(&c, &err));
		cb_chunker_done(&c);
		if (!i)
			cb_buf_adds(&want, cb_buf_str(&got));
		assert_string_equal(cb_buf_str(&got), cb_buf_str(&want));
	}
}

/* ---- documents ------------------------------------------------------------------------------------------------ */

static void numbers(void **state)
{
	static const uint64_t rows[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX };
	static const int64_t signs[] = { 0, -1, 1, INT64_MIN, INT64_MAX };
	static const char *const bad[] = { "", "\x80", "\x80\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" };
	uint64_t v;
	int64_t s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct cb_buf buf = { 0 };
		struct cb_varint_in wire;

		cb_varint_put(&buf, rows[i]);
		wire = (struct cb_varint_in){ (unsigned char *)buf.data, (unsigned char *)buf.data + buf.len };
		assert_true(cb_varint_get(&wire, rows[i], &v) && v == rows[i] && wire.at == wire.end);
		wire.at = (unsigned char *)buf.data;
		assert_false(rows[i] && cb_varint_get(&wire, rows[i] - 1, &v));
	}
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		cleanup_buf struct cb_buf buf = { 0 };
		struct cb_varint_in wire;

		cb_varint_put_signed(&buf, signs[i]);
		wire = (struct cb_varint_in){ (unsigned char *)buf.data, (unsigned char *)buf.data + buf.len };
		assert_true(cb_varint_get_signed(&wire, &s) && s == signs[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t len = i == 2 ? 2 : strlen(bad[i]);
		struct cb_varint_in wire = { (const unsigned char *)bad[i], (const unsigned char *)bad[i] + len };

		assert_false(cb_varint_get(&wire, UINT64_MAX, &v));
	}
}

static void put_pack(struct cb_buf *out, unsigned int digest, uint64_t size, const uint64_t *frame_sizes, size_t frames,
	uint64_t chunk_len)
{
	char bytes[CB_DIGEST_SIZE];

	memset(bytes, (int)digest, sizeof(bytes));
	cb_buf_add(out, bytes, sizeof(bytes));
	cb_varint_put(out, size);
	cb_varint_put(out, frames);
	for (size_t i = 0; i < frames; i++) {
		cb_varint_put(out, frame_sizes[i]);
		cb_varint_put(out, 1);
		bytes[0] = (char)i;
		cb_buf_add(out, bytes, sizeof(bytes));
		cb_varint_put(out, chunk_len);
	}
}

static void indexes(void **state)
{
	static const struct {
		const char *name;
		uint64_t size, frames[2], chunk;
		size_t n;
		int code;
	} rows[] = {
		{ "two frames", 30, { 10, 20 }, 100, 2, 0 },
		{ "a gap", 31, { 10, 20 }, 100, 2, CB_ERR_CORRUPT },
		{ "beyond the pack", 29, { 10, 20 }, 100, 2, CB_ERR_CORRUPT },
		{ "an empty frame", 20, { 0, 20 }, 100, 2, CB_ERR_CORRUPT },
		{ "an empty chunk", 30, { 10, 20 }, 0, 2, CB_ERR_CORRUPT },
		{ "a large chunk", 30, { 10, 20 }, CB_CHUNK_MAX + 1, 2, CB_ERR_CORRUPT },
		{ "a large pack", CB_PACK_MAX + 1, { CB_PACK_MAX + 1 }, 1, 1, CB_ERR_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_packset struct cb_packset set = { 0 };
		cleanup_buf struct cb_buf doc = { 0 }, again = { 0 };

		print_message("# %s\n", rows[i].name);
		cb_buf_adds(&doc, "cbpacks1");
		cb_varint_put(&doc, 1);
		put_pack(&doc, 9, rows[i].size, rows[i].frames, rows[i].n, rows[i].chunk);
		assert_code(cb_packset_read(&set, doc.data, doc.len, &err), rows[i].code);
		if (rows[i].code)
			continue;
		cb_packset_use(&set, 0);
		cb_packset_write(&set, false, &again);
		assert_int_equal(doc.len, again.len);
		assert_memory_equal(doc.data, again.data, doc.len);
		for (size_t len = 0; len < doc.len; len++) {
			cleanup_packset struct cb_packset cut = { 0 };

			assert_code(cb_packset_read(&cut, doc.data, len, &err), CB_ERR_CORRUPT);
		}
		cb_buf_addc(&doc, 'x');
		assert_code(cb_packset_read(&set, doc.data, doc.len, &err), CB_ERR_CORRUPT);
	}
}

/* Lists as a hostile writer would make them: each entry is "kind name", with a number for links. */
static void hostile_lists(void **state)
{
	static const struct {
		const char *name, *entries[6];
		int code;
	} rows[] = {
		{ "well-formed", { "D", "Da", "Fb", "U", "Hc", "U" }, 0 },
		{ "no root", { "Fa", "U" }, CB_ERR_CORRUPT },
		{ "a root with a name", { "Dx", "U" }, CB_ERR_CORRUPT },
		{ "parent", { "D", "D..", "U", "U" }, CB_ERR_CORRUPT },
		{ "itself", { "D", "F.", "U" }, CB_ERR_CORRUPT },
		{ "a path", { "D", "Fa/b", "U" }, CB_ERR_CORRUPT },
		{ "an absolute path", { "D", "L/etc", "U" }, CB_ERR_CORRUPT },
		{ "no name", { "D", "F", "U" }, CB_ERR_CORRUPT },
		{ "twice", { "D", "La", "Fa", "U" }, CB_ERR_CORRUPT },
		{ "a link, then a directory of its name", { "D", "La", "Da", "U", "U" }, CB_ERR_CORRUPT },
		{ "not in order", { "D", "Fb", "Fa", "U" }, CB_ERR_CORRUPT },
		{ "one up too many", { "D", "U", "U" }, CB_ERR_CORRUPT },
		{ "never closed", { "D", "Fa" }, CB_ERR_CORRUPT },
		{ "something after the end", { "D", "U", "D", "U" }, CB_ERR_CORRUPT },
		{ "a link to what is not there", { "D", "Hc", "U" }, CB_ERR_CORRUPT },
		{ "a small file", { "D", "Sa", "Hc", "U" }, 0 },
		{ "an unknown kind", { "D", "Ca", "U" }, CB_ERR_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_buf struct cb_buf tree = { 0 }, times = { 0 };
		CB_CLEANUP(cb_mountlist_free) struct cb_mountlist *list = NULL;
		struct cb_source_mem mem[2];
		const struct cb_mount_entry *entry;
		cleanup_err struct cb_err *err = NULL;
		int64_t last = 0;
		int r;

		for (size_t k = 0; k < ARRAY_SIZE(rows[i].entries) && rows[i].entries[k]; k++) {
			struct cb_mount_entry e = { .kind = (enum cb_mount_kind)rows[i].entries[k][0],
				.name = rows[i].entries[k] + 1,
				.target = "/etc/passwd",
				.mode = 0644 };

			cb_mountlist_put(&e, &tree, &times, &last);
		}
		mem[0] = (struct cb_source_mem){ tree.data, tree.len, 0 };
		mem[1] = (struct cb_source_mem){ times.data, times.len, 0 };
		list = cb_mountlist_new(cb_source_mem(&mem[0]), cb_source_mem(&mem[1]));
		while ((r = cb_mountlist_next(list, &entry, &err)) == 0)
			assert_non_null(entry);
		print_message("# %s: %s\n", rows[i].name, cb_err_msg(err));
		assert_int_equal(r, rows[i].code ? rows[i].code : 1);
	}
}

static void records(void **state)
{
#define REST "\"created\":\"2024-01-01T00:00:00Z\",\"files\":1,\"bytes\":2,\"tree\":[],\"times\":[],\"indexes\":[],"
#define ZEROES "0000000000000000000000000000000000000000000000000000000000000000"
	static const struct {
		const char *text;
		int code;
	} rows[] = {
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":[]}", 0 },
		{ "{\"version\":1,\"kind\":\"cache-mount\",\"new\":{}," REST "\"packs\":[]}", 0 },
		{ "{\"version\":2,\"kind\":\"cache-mount\"," REST "\"packs\":[]}", CB_ERR_UNSUPPORTED },
		{ "{\"version\":1,\"layers\":[]}", CB_ERR_CORRUPT },
		{ "[]", CB_ERR_CORRUPT },
		{ "", CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":[{}]}", CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":[7]}", CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":{}}", CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":[{\"digest\":\"sha256:" ZEROES
		  "\",\"size\":-1,\"live\":0}]}",
			CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST
		  "\"packs\":[{\"digest\":\"sha256:../../x\",\"size\":1,"
		  "\"live\":0}]}",
			CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\"," REST "\"packs\":[{\"digest\":\"sha256:" ZEROES
		  "\",\"size\":99999999999,\"live\":0}]}",
			CB_ERR_CORRUPT },
		{ "{\"version\":1,\"kind\":\"cache-mount\",\"created\":\"then\",\"files\":1,\"bytes\":2}",
			CB_ERR_CORRUPT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_mountdoc struct cb_mountdoc doc = { 0 };

		print_message("# %s\n", rows[i].text);
		assert_code(cb_mountdoc_parse(rows[i].text, strlen(rows[i].text), &doc, &err), rows[i].code);
	}
}

/* ---- there and back ------------------------------------------------------------------------------------------- */

/* A cache in a directory beside the store, and a cache mount "m" of the store. */
struct trip {
	struct fixture *fx;
	char cache_dir[96];
	struct cb_remote_cache *cache;
	struct cb_digest keys[2];
	int fd, lock;
};

static int trip_setup(void **state)
{
	struct trip *t = cb_new0(struct trip);
	void *fx = NULL;

	fixture_setup(&fx);
	t->fx = fx;
	snprintf(t->cache_dir, sizeof(t->cache_dir), "%s-cache", t->fx->dir);
	t->cache = cb_remote_dir_new(t->cache_dir);
	cb_mount_key("linux/amd64", "", "feature", "m", &t->keys[0]);
	cb_mount_key("linux/amd64", "", "main", "m", &t->keys[1]);
	assert_ok(cb_cachemount_open(t->fx->store, "m", "title", &t->fd, &t->lock, &err));
	*state = t;
	return 0;
}

static int trip_teardown(void **state)
{
	struct trip *t = *state;
	void *fx = t->fx;

	cb_remote_cache_free(t->cache);
	cb_path_remove_tree(AT_FDCWD, t->cache_dir, NULL);
	close(t->fd);
	close(t->lock);
	fixture_teardown(&fx);
	free(t);
	return 0;
}

static void put_file(int dirfd, const char *name, uint64_t seed, size_t len)
{
	cleanup_free char *data = cb_xmalloc(len + 1);
	cleanup_close int fd = openat(dirfd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	noise(data, len, seed);
	assert_true(fd >= 0);
	assert_int_equal(cb_fd_write_all(fd, data, len), 0);
}

static struct cb_mount_export_result export_as(struct trip *t, const struct cb_digest *keys, size_t n)
{
	struct cb_mount_export spec = { .cache = t->cache, .keys = keys, .n_keys = n, .id = "title", .dirfd = t->fd };
	struct cb_mount_export_result result = { 0 };

	assert_ok(cb_mount_export(&spec, &result, &err));
	print_message("# %llu files, %llu bytes, %llu new, %llu sent\n", (unsigned long long)result.files,
		(unsigned long long)result.bytes, (unsigned long long)result.fresh, (unsigned long long)result.sent);
	return result;
}

static int import_as(struct trip *t, const struct cb_digest *keys, size_t n, const char *name,
	struct cb_mount_import_result *ret, struct cb_err **err)
{
	struct cb_mount_import spec = { .store = t->fx->store,
		.cache = t->cache,
		.keys = keys,
		.n_keys = n,
		.name = name,
		.title = "title",
		.max_bytes = (uint64_t)1 << 30 };

	return cb_mount_import(&spec, ret, err);
}

static void names_of(int dirfd, struct cb_strv *ret)
{
	DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			cb_strv_add(ret, entry->d_name);
	closedir(dir);
	cb_strv_sort(ret);
}

/* Everything that can be seen of a tree, but for the times of use. */
static void describe(int dirfd, const char *prefix, struct cb_buf *out)
{
	cleanup_strv struct cb_strv names = { 0 };

	names_of(dirfd, &names);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", prefix, names.v[i]);
		char value[256] = "";
		struct stat st;
		ssize_t n;

		assert_int_equal(cb_owner_fstatat(dirfd, names.v[i], &st), 0);
		if (S_ISSOCK(st.st_mode))
			continue;
		cb_buf_addf(out, "%s %o %u:%u %lld %lld.%09ld %lu", path, st.st_mode, st.st_uid, st.st_gid,
			S_ISREG(st.st_mode) ? (long long)st.st_size : 0LL, (long long)st.st_mtim.tv_sec,
			st.st_mtim.tv_nsec, S_ISDIR(st.st_mode) ? 0 : (unsigned long)st.st_nlink);
		if (S_ISLNK(st.st_mode)) {
			n = readlinkat(dirfd, names.v[i], value, sizeof(value) - 1);
			cb_buf_addf(out, " -> %.*s", (int)n, value);
		}
		if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
			cleanup_close int fd = openat(dirfd, names.v[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
			struct cb_digest digest;

			n = fgetxattr(fd, "user.test", value, sizeof(value));
			if (n >= 0)
				cb_buf_addf(out, " [%.*s]", (int)n, value);
			if (S_ISREG(st.st_mode)) {
				assert_ok(cb_digest_of_fd(fd, &digest, NULL, &err));
				cb_buf_addf(out, " %s", digest.text);
			}
			cb_buf_addc(out, '\n');
			if (S_ISDIR(st.st_mode))
				describe(fd, path, out);
			continue;
		}
		cb_buf_addc(out, '\n');
	}
}

static void same_as_mount(struct trip *t, const char *name)
{
	cleanup_buf struct cb_buf want = { 0 }, got = { 0 };
	cleanup_close int fd = -EBADF, lock = -EBADF;

	assert_ok(cb_cachemount_open(t->fx->store, name, NULL, &fd, &lock, &err));
	describe(t->fd, "", &want);
	describe(fd, "", &got);
	assert_string_equal(cb_buf_str(&got), cb_buf_str(&want));
}

/* No temporary file or directory. */
static void nothing_left(struct trip *t)
{
	cleanup_strv struct cb_strv names = { 0 };

	names_of(cb_store_tmpfd(t->fx->store), &names);
	assert_int_equal(names.n, 0);
}

static void fill_mount(struct trip *t)
{
	const struct timespec old[2] = { { 1000000000, 5 }, { 999999999, 123456789 } };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_close int sub = -EBADF, socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (unsigned int i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "small-%03u", i);
		put_file(t->fd, name, 1000 + i, 100 + i * 50);
	}
	put_file(t->fd, "one", 4, 1);
	put_file(t->fd, "small-512", 4, CB_MOUNT_SMALL_MAX);
	put_file(t->fd, "small-513", 4, CB_MOUNT_SMALL_MAX + 1);
	put_file(t->fd, "empty", 1, 0);
	put_file(t->fd, "large", 2, (size_t)10 << 20);
	assert_int_equal(mkdirat(t->fd, "sub", 0755), 0);
	sub = openat(t->fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(sub, "a b\nc\"\xff", 3, 70000);
	assert_int_equal(fchmodat(sub, "a b\nc\"\xff", 0600, 0), 0);
	assert_int_equal(linkat(sub, "a b\nc\"\xff", t->fd, "zz-linked", 0), 0);
	assert_int_equal(linkat(sub, "a b\nc\"\xff", t->fd, "aa-linked", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", sub, "link"), 0);
	assert_int_equal(symlinkat("nowhere", t->fd, "dangling"), 0);
	assert_int_equal(mkfifoat(sub, "fifo", 0640), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/cachemounts/m/socket", t->fx->dir);
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)fsetxattr(sub, "user.test", "of a directory", 14, 0);
	{
		cleanup_close int fd = openat(t->fd, "small-007", O_RDWR | O_CLOEXEC);

		(void)fsetxattr(fd, "user.test", "of a file", 9, 0);
		if (!cb_owner_recorded())
			assert_int_equal(fchown(fd, geteuid() == 0 ? 12 : geteuid(), getegid()), 0);
		assert_int_equal(futimens(fd, old), 0);
	}
	{
		cleanup_close int fd = openat(t->fd, "sparse", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		assert_int_equal(pwrite(fd, "end", 3, (off_t)20 << 20), 3);
	}
	assert_int_equal(fchmod(sub, 0750), 0);
	assert_int_equal(futimens(sub, old), 0);
}

static void there_and_back(void **state)
{
	struct trip *t = *state;
	struct cb_mount_export_result first, second;
	struct cb_mount_import_result came = { 0 };
	struct stat st;

	fill_mount(t);
	first = export_as(t, t->keys, 1);
	assert_int_equal(first.left_out, 1);
	assert_false(first.unchanged);
	assert_ok(import_as(t, t->keys, 1, "copy", &came, &err));
	assert_int_equal(came.files, first.files);
	assert_int_equal(came.bytes, first.bytes);
	same_as_mount(t, "copy");
	{
		cleanup_close int fd = -EBADF, lock = -EBADF;

		assert_ok(cb_cachemount_open(t->fx->store, "copy", NULL, &fd, &lock, &err));
		assert_int_equal(fstatat(fd, "sparse", &st, 0), 0);
		print_message("# the sparse file takes %lld blocks\n", (long long)st.st_blocks);
		assert_in_range(st.st_blocks, 0, 2048);
	}
	/* All files were read, so their times of use changed. */
	second = export_as(t, t->keys, 1);
	assert_in_range(second.sent, 0, first.sent / 1000);
	second = export_as(t, t->keys, 1);
	assert_true(second.unchanged);
	assert_int_equal(second.sent, 0);
	nothing_left(t);
}

static void deltas(void **state)
{
	struct trip *t = *state;
	struct cb_mount_export_result first, later;
	const struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct cb_mount_import_result came = { 0 };

	fill_mount(t);
	first = export_as(t, t->keys, 1);
	/* What a compiler cache does when all is found. */
	for (unsigned int i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "small-%03u", i);
		assert_int_equal(utimensat(t->fd, name, now, 0), 0);
	}
	later = export_as(t, t->keys, 1);
	assert_in_range(later.sent, 1, first.sent / 100);
	put_file(t->fd, "small-100", 5, 5000);
	put_file(t->fd, "small-100b", 6, 20000);
	later = export_as(t, t->keys, 1);
	assert_in_range(later.sent, 25000, first.sent / 100);
	{
		cleanup_close int fd = openat(t->fd, "large", O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "changed", 7, 5000000), 7);
	}
	later = export_as(t, t->keys, 1);
	assert_in_range(later.sent, 16384, first.sent / 20);
	/* And what its counters do: 150 small files that are new. */
	for (unsigned int i = 0; i < 150; i++) {
		char name[32];

		snprintf(name, sizeof(name), "counter-%03u", i);
		put_file(t->fd, name, 5000 + i, 10);
	}
	export_as(t, t->keys, 1);
	for (unsigned int i = 0; i < 150; i++) {
		char name[32];

		snprintf(name, sizeof(name), "counter-%03u", i);
		put_file(t->fd, name, 6000 + i, 11);
	}
	later = export_as(t, t->keys, 1);
	assert_in_range(later.sent, 1, 8000);
	assert_ok(import_as(t, t->keys, 1, "copy", &came, &err));
	same_as_mount(t, "copy");
}

/* Many exports of a mount that changes: what is needed no more goes, and the record stays small. */
static void many_exports(void **state)
{
	struct trip *t = *state;
	struct cb_mount_import_result came = { 0 };
	cleanup_mountdoc struct cb_mountdoc doc = { 0 };
	uint64_t packed = 0;

	fill_mount(t);
	export_as(t, t->keys, 1);
	assert_int_equal(unlinkat(t->fd, "large", 0), 0);
	for (unsigned int i = 0; i < 40; i++) {
		put_file(t->fd, "changing", 100 + i, 100000);
		export_as(t, t->keys, 1);
	}
	assert_ok(cb_mount_find(t->cache, &t->keys[0], NULL, &doc, NULL, &err));
	for (size_t i = 0; i < doc.n_packs; i++)
		packed += doc.packs[i].size;
	print_message(
		"# %zu packs of %llu bytes, %zu indexes\n", doc.n_packs, (unsigned long long)packed, doc.n_indexes);
	assert_in_range(doc.n_packs, 1, 20);
	assert_in_range(doc.n_indexes, 1, 17);
	assert_in_range(packed, 1, 4 << 20);
	assert_true(cb_digest_is_set(&doc.parent));
	assert_ok(import_as(t, t->keys, 1, "copy", &came, &err));
	same_as_mount(t, "copy");
}

static void branches(void **state)
{
	struct trip *t = *state;
	struct cb_mount_import_result came = { 0 };
	struct cb_mount_export_result first, branch;

	fill_mount(t);
	assert_code(import_as(t, t->keys, 2, "copy", &came, &err), CB_MOUNT_NONE);
	first = export_as(t, &t->keys[1], 1); /* main */
	assert_ok(import_as(t, t->keys, 2, "copy", &came, &err));
	assert_int_equal(came.key, 1);
	put_file(t->fd, "of-the-branch", 9, 1000);
	branch = export_as(t, t->keys, 2); /* feature, built on main */
	assert_in_range(branch.sent, 1, first.sent / 100);
	assert_ok(import_as(t, t->keys, 2, "branch", &came, &err));
	assert_int_equal(came.key, 0);
	same_as_mount(t, "branch");
	/* The other one is as it was. */
	assert_ok(import_as(t, &t->keys[1], 1, "main", &came, &err));
	assert_int_equal(came.files, first.files);
}

static void size_cap(void **state)
{
	struct trip *t = *state;
	struct cb_mount_ages ages = { 0 };
	struct cb_mount_cut cut;
	struct cb_mount_export spec = { .cache = t->cache, .keys = t->keys, .n_keys = 1, .dirfd = t->fd };
	struct cb_mount_export_result result = { 0 };
	struct cb_mount_import_result came = { 0 };
	cleanup_close int fd = -EBADF, lock = -EBADF;

	for (unsigned int i = 0; i < 10; i++) {
		const struct timespec times[2] = { { 1000 + (i == 2 ? 50 : i), 0 }, { 1000 + i / 2, 0 } };
		char name[2] = { (char)('a' + i), 0 };

		put_file(t->fd, name, i + 1, 1000);
		assert_int_equal(utimensat(t->fd, name, times, 0), 0);
	}
	assert_ok(cb_mount_ages_add(&ages, t->fd, NULL, &err));
	assert_int_equal(ages.bytes, 10000);
	cut = cb_mount_ages_cut(&ages, 4500);
	spec.cuts[0] = &cut;
	assert_ok(cb_mount_export(&spec, &result, &err));
	assert_int_equal(result.dropped, 6);
	assert_int_equal(result.files, 4);
	assert_ok(import_as(t, t->keys, 1, "copy", &came, &err));
	assert_ok(cb_cachemount_open(t->fx->store, "copy", NULL, &fd, &lock, &err));
	/* c was used last, the others when they were read: h, i, j. */
	for (const char *name = "chij"; *name; name++) {
		char one[2] = { *name, 0 };

		assert_int_equal(faccessat(fd, one, F_OK, 0), 0);
	}
	cb_mount_ages_done(&ages);
	/* All of one moment: as many as there is room for. */
	for (unsigned int i = 0; i < 10; i++) {
		const struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
		char name[2] = { (char)('a' + i), 0 };

		assert_int_equal(utimensat(t->fd, name, times, 0), 0);
	}
	assert_ok(cb_mount_ages_add(&ages, t->fd, NULL, &err));
	cut = cb_mount_ages_cut(&ages, 4500);
	assert_ok(cb_mount_export(&spec, &result, &err));
	assert_int_equal(result.files, 4);
	cb_mount_ages_done(&ages);
}

static void what_is_there_stays(void **state)
{
	struct trip *t = *state;
	struct cb_mount_import_result came = { 0 };
	struct cb_mount_import spec = { .store = t->fx->store,
		.cache = t->cache,
		.keys = t->keys,
		.n_keys = 1,
		.name = "held",
		.max_bytes = 1 << 30 };
	int fd = -EBADF, lock = -EBADF;

	fill_mount(t);
	export_as(t, t->keys, 1);
	assert_ok(cb_cachemount_open(t->fx->store, "held", NULL, &fd, &lock, &err));
	/* Empty, but somebody has it. */
	assert_code(cb_mount_import(&spec, &came, &err), CB_MOUNT_KEPT);
	put_file(fd, "mine", 1, 10);
	close(lock);
	assert_code(cb_mount_import(&spec, &came, &err), CB_MOUNT_KEPT);
	assert_int_equal(faccessat(fd, "mine", F_OK, 0), 0);
	assert_code(cb_cachemount_filled(t->fx->store, "held", &err), 1);
	close(fd);
	spec.replace = true;
	assert_ok(cb_mount_import(&spec, &came, &err));
	same_as_mount(t, "held");
	nothing_left(t);
}

/* Changes one byte of each blob of the cache, in turn. */
static void other_bytes(void **state)
{
	struct trip *t = *state;
	cleanup_free char *cas = cb_xasprintf("%s/cas", t->cache_dir);
	cleanup_close int dirfd = -EBADF;
	cleanup_strv struct cb_strv names = { 0 };
	struct cb_mount_import_result came = { 0 };

	fill_mount(t);
	export_as(t, t->keys, 1);
	dirfd = open(cas, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	names_of(dirfd, &names);
	assert_in_range(names.n, 2, 100);
	for (size_t i = 0; i < names.n; i++) {
		cleanup_close int fd = openat(dirfd, names.v[i], O_RDWR | O_CLOEXEC);
		unsigned char byte;

		assert_int_equal(pread(fd, &byte, 1, 20), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, 20), 1);
		assert_code(import_as(t, t->keys, 1, "bad", &came, &err), CB_ERR_CORRUPT);
		assert_code(cb_cachemount_filled(t->fx->store, "bad", &err), 0);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, 20), 1);
	}
	nothing_left(t);
	/* What is lost is sent again. */
	for (size_t i = 0; i < names.n; i++)
		assert_int_equal(unlinkat(dirfd, names.v[i], 0), 0);
	assert_code(import_as(t, t->keys, 1, "bad", &came, &err), CB_ERR_NOT_FOUND);
	export_as(t, t->keys, 1);
	assert_ok(import_as(t, t->keys, 1, "good", &came, &err));
	same_as_mount(t, "good");
}

static void over_the_cap(void **state)
{
	struct trip *t = *state;
	struct cb_mount_import_result came = { 0 };
	struct cb_mount_import spec = { .store = t->fx->store,
		.cache = t->cache,
		.keys = t->keys,
		.n_keys = 1,
		.name = "large",
		.max_bytes = 1 << 20 };
	cleanup_mountdoc struct cb_mountdoc doc = { 0 };
	cleanup_free char *text = NULL;

	fill_mount(t);
	export_as(t, t->keys, 1);
	assert_code(cb_mount_import(&spec, &came, &err), CB_ERR_LIMIT);
	/* A record that says less than is in it. */
	assert_ok(cb_mount_find(t->cache, &t->keys[0], NULL, &doc, NULL, &err));
	doc.bytes = 100000;
	text = cb_mountdoc_write(&doc);
	assert_ok(t->cache->ops->put_record(t->cache->self, &t->keys[0], text, strlen(text), NULL, 0, NULL, &err));
	assert_code(cb_mount_import(&spec, &came, &err), CB_ERR_LIMIT);
	assert_code(cb_cachemount_filled(t->fx->store, "large", &err), 0);
	nothing_left(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_shift),
		cmocka_unit_test(chunks_stay_where_they_are),
		cmocka_unit_test(chunks_in_pieces),
		cmocka_unit_test(numbers),
		cmocka_unit_test(indexes),
		cmocka_unit_test(hostile_lists),
		cmocka_unit_test(records),
		cmocka_unit_test_setup_teardown(there_and_back, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(deltas, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(many_exports, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(branches, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(size_cap, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(what_is_there_stays, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(other_bytes, trip_setup, trip_teardown),
		cmocka_unit_test_setup_teardown(over_the_cap, trip_setup, trip_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
