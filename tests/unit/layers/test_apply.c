/* layers/apply.h, layers/tarread.h, layers/tarwrite.h: good and hostile archives */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layers/apply.h"
#include "layers/tarformat.h"
#include "layers/tarread.h"
#include "layers/tarwrite.h"
#include "unit/layers/treedump.h"

/* The tables below name only what an entry has. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ENTRIES_MAX 8

/** An entry of a table: what a header says, right or wrong. */
struct entry {
	char type; /* '\0': end of the table */
	const char *path, *link, *data;
	uint32_t mode, uid, gid, major, minor;
};

static void put_field(char *field, size_t size, uint64_t v)
{
	field[--size] = '\0';
	for (; size > 0; v >>= 3)
		field[--size] = (char)('0' + (v & 7));
}

static void seal(struct cb_tar_header *h)
{
	put_field(h->checksum, 7, cb_tar_checksum(h));
	h->checksum[7] = ' ';
}

/** A header made by hand: nothing is checked. */
static void add_raw(struct cb_buf *tar, const struct entry *e)
{
	static const char zeros[CB_TAR_BLOCK];
	struct cb_tar_header h = { 0 };
	size_t len = e->data ? strlen(e->data) : 0;

	memcpy(h.name, e->path, CB_MIN(strlen(e->path), sizeof(h.name)));
	memcpy(h.link, e->link ? e->link : "", CB_MIN(strlen(e->link ? e->link : ""), sizeof(h.link)));
	put_field(h.mode, sizeof(h.mode), e->mode ? e->mode : 0644);
	put_field(h.uid, sizeof(h.uid), e->uid);
	put_field(h.gid, sizeof(h.gid), e->gid);
	put_field(h.size, sizeof(h.size), len);
	put_field(h.mtime, sizeof(h.mtime), 1000);
	put_field(h.dev_major, sizeof(h.dev_major), e->major);
	put_field(h.dev_minor, sizeof(h.dev_minor), e->minor);
	h.type = e->type;
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	seal(&h);
	cb_buf_add(tar, &h, sizeof(h));
	cb_buf_add(tar, e->data, len);
	cb_buf_add(tar, zeros, -len & (CB_TAR_BLOCK - 1));
}

static void add_end(struct cb_buf *tar)
{
	static const char zeros[2 * CB_TAR_BLOCK];

	cb_buf_add(tar, zeros, sizeof(zeros));
}

static int apply_to(int dirfd, const struct cb_apply_spec *like, const struct cb_buf *tar, struct cb_apply_stats *stats,
	struct cb_err **err)
{
	struct cb_source_mem mem = { tar->data, tar->len, 0 };
	struct cb_apply_spec spec = *like;

	spec.dirfd = dirfd;
	return cb_apply(&spec, cb_source_mem(&mem), stats, err);
}

static const struct cb_apply_spec layer = { .layer = true, .flavour = CB_FLAVOUR_TRUSTED };
static const struct cb_apply_spec plain = { .layer = false };
static const struct cb_apply_spec small = { .layer = true, .limits = { 3, 100, 50 } };

static const struct {
	const char *name;
	const struct cb_apply_spec *spec;
	struct entry entries[ENTRIES_MAX];
	int code;
	const char *want; /* the tree, or part of the message */
} cases[] = {
	{ "empty", &layer, { { 0 } }, 0, "" },
	{ "file, directory, links", &layer,
		{ { '5', "d/", .mode = 0750 }, { '0', "d/f", .data = "hello" }, { '2', "d/s", .link = "/etc/passwd" },
			{ '1', "h", .link = "d/f" } },
		0, "d d 750\nd/f f 644 n2 5 \"hello\"\nd/s l 777 -> /etc/passwd\nh f 644 n2 5 \"hello\"\n" },
	{ "leading ./ and doubled slashes", &layer, { { '5', "./", .mode = 0755 }, { '0', ".//a/./b", .data = "x" } },
		0, "a d 755\na/b f 644 1 \"x\"\n" },
	{ "set-id bits are kept", &layer, { { '0', "su", .mode = 06755 }, { '5', "t", .mode = 01777 } }, 0,
		"su f 6755 0\nt d 1777\n" },
	{ "old directory by slash", &layer, { { '0', "old/" } }, 0, "old d 644\n" },
	{ "fifo and devices", &layer,
		{ { '6', "p" }, { '3', "null", .major = 1, .minor = 3 }, { '4', "sda", .major = 8, .minor = 0 } }, 0,
		"null c 644 1,3\np p 644\nsda b 644 8,0\n" },

	/* names */
	{ "absolute name", &layer, { { '0', "//etc//x" } }, 0, "etc d 755\netc/x f 644 0\n" },
	{ "absolute name in an added archive", &plain, { { '0', "/etc/x" } }, 0, "etc d 755\netc/x f 644 0\n" },
	{ "root as a slash", &layer, { { '5', "/", .mode = 0755 } }, 0, "" },
	{ "root as a file", &layer, { { '0', "./." } }, CB_ERR_CORRUPT, "the root is no directory" },
	{ "root as a symlink", &layer, { { '2', ".", .link = "/" } }, CB_ERR_CORRUPT, "the root is no directory" },
	{ "leading ..", &layer, { { '0', "../x" } }, CB_ERR_CORRUPT, "\"../x\": the name leads out of the archive" },
	{ "leading .. of an absolute name", &layer, { { '0', "/../x" } }, CB_ERR_CORRUPT, "leads out of the archive" },
	{ ".. out of the middle", &layer, { { '0', "a/../../x" } }, CB_ERR_CORRUPT, "leads out of the archive" },
	{ ".. inside", &layer, { { '0', "a/b/../../c/./../x" } }, 0, "x f 644 0\n" },
	{ ".. to the root as a file", &layer, { { '0', "a/.." } }, CB_ERR_CORRUPT, "the root is no directory" },
	{ "dots that are no ..", &layer, { { '0', "a/...x" } }, 0, "a d 755\na/...x f 644 0\n" },
	{ "empty name", &layer, { { '0', "" } }, CB_ERR_CORRUPT, "empty name" },
	{ "newline in a name", &layer, { { '0', "a\nb" } }, 0, "a\nb f 644 0\n" },

	/* links */
	{ "file through a symlink to outside", &layer, { { '2', "out", .link = "/tmp" }, { '0', "out/x" } },
		CB_ERR_CORRUPT, "archive entry below \"out\", which is no directory" },
	{ "file through a relative symlink", &layer, { { '2', "out", .link = "../.." }, { '0', "out/x" } },
		CB_ERR_CORRUPT, "below \"out\"" },
	{ "file through a symlink inside", &layer,
		{ { '5', "d", .mode = 0755 }, { '2', "l", .link = "d" }, { '0', "l/x" } }, CB_ERR_CORRUPT,
		"below \"l\"" },
	{ "directory through a symlink", &layer, { { '2', "out", .link = "/tmp" }, { '5', "out/x/" } }, CB_ERR_CORRUPT,
		"below \"out\"" },
	{ "file below a file", &layer, { { '0', "f" }, { '0', "f/x" } }, CB_ERR_CORRUPT, "below \"f\"" },
	{ "symlink replaced by a file is not written through", &layer,
		{ { '0', "victim", .data = "safe" }, { '2', "l", .link = "victim" }, { '0', "l", .data = "evil" } }, 0,
		"l f 644 4 \"evil\"\nvictim f 644 4 \"safe\"\n" },
	{ "directory over a symlink", &layer,
		{ { '2', "l", .link = "/tmp" }, { '5', "l", .mode = 0700 }, { '0', "l/x" } }, 0,
		"l d 700 opaque\nl/x f 644 0\n" },
	{ "directory, symlink, directory", &layer,
		{ { '5', "d", .mode = 0755 }, { '0', "d/old" }, { '2', "d", .link = "/tmp" },
			{ '5', "d", .mode = 0755 }, { '0', "d/new" } },
		0, "d d 755 opaque\nd/new f 644 0\n" },
	{ "directory replaced by a file, then used", &layer, { { '0', "d/a" }, { '0', "d" }, { '0', "d/b" } },
		CB_ERR_CORRUPT, "below \"d\"" },
	{ "hard link to outside", &layer, { { '1', "h", .link = "../../etc/passwd" } }, CB_ERR_CORRUPT,
		"leads out of the archive" },
	{ "hard link to an absolute name stays inside", &layer, { { '1', "h", .link = "/etc/passwd" } }, CB_ERR_CORRUPT,
		"hard link to something that is not in the archive" },
	{ "hard link to an absolute name that is there", &layer,
		{ { '0', "f", .data = "x" }, { '1', "h", .link = "/f" } }, 0,
		"f f 644 n2 1 \"x\"\nh f 644 n2 1 \"x\"\n" },
	{ "hard link through a symlink", &layer, { { '2', "l", .link = "/etc" }, { '1', "h", .link = "l/passwd" } },
		CB_ERR_CORRUPT, "below \"l\"" },
	{ "hard link to a symlink is the symlink", &layer,
		{ { '2', "l", .link = "/etc/passwd" }, { '1', "h", .link = "l" } }, 0,
		"h l 777 n2 -> /etc/passwd\nl l 777 n2 -> /etc/passwd\n" },
	{ "hard link to a directory", &layer, { { '5', "d" }, { '1', "h", .link = "d" } }, CB_ERR_CORRUPT,
		"hard link to a directory or a deleted file" },
	{ "hard link to the root", &layer, { { '1', "h", .link = "." } }, CB_ERR_CORRUPT, "to itself or to the root" },
	{ "hard link to nothing", &layer, { { '1', "h", .link = "" } }, CB_ERR_CORRUPT, "empty name" },
	{ "hard link to itself", &layer, { { '0', "h", .data = "x" }, { '1', "h", .link = "./h" } }, CB_ERR_CORRUPT,
		"to itself" },
	{ "hard link over a file", &layer,
		{ { '0', "a", .data = "a" }, { '0', "b", .data = "b" }, { '1', "b", .link = "a" } }, 0,
		"a f 644 n2 1 \"a\"\nb f 644 n2 1 \"a\"\n" },
	{ "hard link over the directory of its target", &layer, { { '0', "d/a" }, { '1', "d", .link = "d/a" } },
		CB_ERR_CORRUPT, "hard link into what it replaces" },
	{ "hard link to a whiteout", &layer, { { '0', ".wh.x" }, { '1', "h", .link = "x" } }, CB_ERR_CORRUPT,
		"hard link to a directory or a deleted file" },
	{ "symlink to nothing", &layer, { { '2', "s", .link = "" } }, CB_ERR_CORRUPT,
		"symbolic link without a target" },

	/* duplicates */
	{ "last file wins", &layer, { { '0', "f", .data = "1" }, { '0', "f", .data = "22", .mode = 0600 } }, 0,
		"f f 600 2 \"22\"\n" },
	{ "a hard link is cut before it is replaced", &layer,
		{ { '0', "a", .data = "a" }, { '1', "b", .link = "a" }, { '0', "b", .data = "new" } }, 0,
		"a f 644 1 \"a\"\nb f 644 3 \"new\"\n" },
	{ "directories merge", &layer, { { '5', "d", .mode = 0700 }, { '0', "d/f" }, { '5', "d", .mode = 0755 } }, 0,
		"d d 755\nd/f f 644 0\n" },

	/* nodes */
	{ "character device 0:0", &layer, { { '3', "w" } }, CB_ERR_CORRUPT, "character device 0:0" },
	{ "unknown type", &layer, { { 'Z', "z" } }, CB_ERR_UNSUPPORTED, "unknown type" },

	/* whiteouts */
	{ "whiteout", &layer, { { '0', "d/.wh.gone" } }, 0, "d d 755\nd/gone w\n" },
	{ "opaque", &layer, { { '5', "d", .mode = 0755 }, { '0', "d/.wh..wh..opq" }, { '0', "d/f" } }, 0,
		"d d 755 opaque\nd/f f 644 0\n" },
	{ "opaque after its content", &layer, { { '0', "d/f" }, { '0', "d/.wh..wh..opq" } }, 0,
		"d d 755 opaque\nd/f f 644 0\n" },
	{ "opaque root", &layer, { { '0', ".wh..wh..opq" } }, CB_ERR_UNSUPPORTED, "hides everything below" },
	{ "whiteout, then the directory", &layer, { { '0', ".wh.d" }, { '5', "d", .mode = 0755 } }, 0,
		"d d 755 opaque\n" },
	{ "the directory, then its whiteout", &layer, { { '5', "d", .mode = 0755 }, { '0', "d/f" }, { '0', ".wh.d" } },
		0, "d d 755 opaque\nd/f f 644 0\n" },
	{ "whiteout, then the file", &layer, { { '0', ".wh.f" }, { '0', "f", .data = "x" } }, 0, "f f 644 1 \"x\"\n" },
	{ "the file, then its whiteout", &layer, { { '0', "f", .data = "x" }, { '0', ".wh.f" } }, 0,
		"f f 644 1 \"x\"\n" },
	{ "whiteout of ..", &layer, { { '0', ".wh..." } }, CB_ERR_CORRUPT, "whiteout of no file" },
	{ "whiteout of .", &layer, { { '0', ".wh.." } }, CB_ERR_CORRUPT, "whiteout of no file" },
	{ "whiteout of nothing", &layer, { { '0', ".wh." } }, CB_ERR_CORRUPT, "whiteout of no file" },
	{ "whiteout through a symlink", &layer, { { '2', "l", .link = "/etc" }, { '0', "l/.wh.passwd" } },
		CB_ERR_CORRUPT, "below \"l\"" },
	{ "file below a whiteout name", &layer, { { '0', ".wh.d/f" } }, CB_ERR_CORRUPT, "file below a whiteout" },
	{ "opaque marker as a directory", &layer, { { '0', "d/.wh..wh..opq/x" } }, CB_ERR_CORRUPT,
		"file below a whiteout" },
	{ "aufs metadata is left out", &layer, { { '5', ".wh..wh.plnk" }, { '0', ".wh..wh.aufs" }, { '0', "f" } }, 0,
		"f f 644 0\n" },
	{ "reserved name in an added archive", &plain, { { '0', "a/.wh.b" } }, CB_ERR_CORRUPT,
		"reserved for deletions" },

	/* limits */
	{ "entries", &small, { { '0', "1" }, { '0', "2" }, { '0', "3" }, { '0', "4" } }, CB_ERR_LIMIT,
		"more than 3 entries" },
	{ "file size", &small, { { '0', "f", .data = "012345678901234567890123456789012345678901234567890" } },
		CB_ERR_LIMIT, "51 bytes exceed the limit" },
	{ "bytes", &small,
		{ { '0', "f", .data = "0123456789012345678901234567890123456789" },
			{ '0', "g", .data = "0123456789012345678901234567890123456789" },
			{ '0', "h", .data = "0123456789012345678901234567890123456789" } },
		CB_ERR_LIMIT, "more than 100 bytes of files" },
};

static void table(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		/* cmocka's skip jumps over what cleans up. */
		print_message("SKIPPED: needs root\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int dirfd = -EBADF;
		char path[64];
		int r;

		print_message("# %s\n", cases[i].name);
		for (size_t k = 0; k < ENTRIES_MAX && cases[i].entries[k].type; k++)
			add_raw(&tar, &cases[i].entries[k]);
		add_end(&tar);
		dirfd = tmp_make(path);
		assert_true(dirfd >= 0);
		r = apply_to(dirfd, cases[i].spec, &tar, NULL, &err);
		if (r != cases[i].code)
			print_message("%s\n", cb_err_msg(err));
		assert_int_equal(r, cases[i].code);
		if (r == 0) {
			dump_dir(&dump, dirfd, "", DUMP_INODES);
			assert_string_equal(cb_buf_str(&dump), cases[i].want);
		} else if (!strstr(cb_err_msg(err), cases[i].want)) {
			fail_msg("\"%s\" is not in \"%s\"", cases[i].want, cb_err_msg(err));
		}
		tmp_remove(path);
	}
}

/** Streams that are wrong below the level of entries. */
static void broken_streams(void **state)
{
	static const struct {
		const char *name;
		size_t cut;       /* bytes taken off the end */
		size_t poke;      /* offset of a byte to change, 0 for none */
		const char *tail; /* appended text */
		int code;
		const char *want;
	} broken[] = {
		{ "whole", 0, 0, NULL, 0, "" },
		{ "without end marker", 1024, 0, NULL, 0, "" },
		{ "half an end marker", 512, 0, NULL, 0, "" },
		{ "end inside padding", 1024 + 100, 0, NULL, CB_ERR_CORRUPT, "unexpected end of the archive" },
		{ "end inside data", 1024 + 510, 0, NULL, CB_ERR_CORRUPT, "unexpected end of the archive" },
		{ "end inside a header", 1024 + 512 + 100, 0, NULL, CB_ERR_CORRUPT, "unexpected end of the archive" },
		{ "checksum", 0, 3, NULL, CB_ERR_CORRUPT, "wrong checksum" },
		{ "garbage at the end", 0, 0, "garbage", CB_ERR_CORRUPT, "data after the end" },
		{ "lone zero block", 0, 1024 + 600, NULL, CB_ERR_CORRUPT, "lone block of zeros" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		cleanup_buf struct cb_buf tar = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int dirfd = -EBADF;
		char path[64];

		print_message("# %s\n", broken[i].name);
		add_raw(&tar, &(struct entry){ '0', "file", .data = "four", .uid = geteuid(), .gid = getegid() });
		add_end(&tar);
		tar.len -= broken[i].cut;
		if (broken[i].poke)
			tar.data[broken[i].poke] ^= 0x11;
		if (broken[i].tail)
			cb_buf_adds(&tar, broken[i].tail);
		dirfd = tmp_make(path);
		assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), broken[i].code);
		assert_non_null(strstr(cb_err_msg(err), broken[i].want));
		tmp_remove(path);
	}
}

/** Adds a header of @type with @len bytes of content. */
static void add_meta(struct cb_buf *tar, char type, const void *data, size_t len)
{
	static const char zeros[CB_TAR_BLOCK];
	struct cb_tar_header h = { 0 };

	memcpy(h.name, "meta", 4);
	put_field(h.size, sizeof(h.size), len);
	h.type = type;
	memcpy(h.magic, "ustar", 6);
	seal(&h);
	cb_buf_add(tar, &h, sizeof(h));
	cb_buf_add(tar, data, len);
	cb_buf_add(tar, zeros, -len & (CB_TAR_BLOCK - 1));
}

static void extended_headers(void **state)
{
	static const struct {
		const char *name;
		char type;
		const char *data;
		size_t len;
		int code;
		const char *want; /* name of the file that follows, or part of the message */
	} meta[] = {
		{ "path", 'x', "16 path=a\xc3\xa4/new\n", 16, 0, "a\xc3\xa4/new" },
		{ "empty path takes it back", 'x', "12 path=new\n8 path=\n", 0, 0, "file" },
		{ "global path", 'g', "13 path=glob\n", 0, 0, "glob" },
		{ "unknown keys", 'x', "17 comment=hello\n", 0, 0, "file" },
		{ "GNU long name", 'L', "long\0", 5, 0, "long" },
		{ "NUL in a GNU long name", 'L', "lo\0ng\0", 6, CB_ERR_CORRUPT, "NUL byte" },
		{ "NUL in a path", 'x', "12 path=a\0b\n", 12, CB_ERR_CORRUPT, "\"path\"" },
		{ "no length", 'x', "path=a\n", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "length too large", 'x', "99 path=a\n", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "length too small", 'x', "5 path=a\n", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "length huge", 'x', "99999999999999999999 path=a\n", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "length zero", 'x', "0 path=a\n", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "no newline", 'x', "10 path=abc", 0, CB_ERR_CORRUPT, "\"length\"" },
		{ "no key", 'x', "6 =ab\n", 0, CB_ERR_CORRUPT, "\"key\"" },
		{ "no value", 'x', "7 path\n", 0, CB_ERR_CORRUPT, "\"key\"" },
		{ "bad size", 'x', "10 size=x\n", 0, CB_ERR_CORRUPT, "\"size\"" },
		{ "size beyond", 'x', "28 size=9223372036854775808\n", 0, CB_ERR_CORRUPT, "\"size\"" },
		{ "bad uid", 'x', "10 uid=-1\n", 0, CB_ERR_CORRUPT, "\"uid\"" },
		{ "uid that means none", 'x', "18 uid=4294967295\n", 0, CB_ERR_CORRUPT, "owner" },
		{ "bad time", 'x', "14 mtime=1.2x\n", 0, CB_ERR_CORRUPT, "\"mtime\"" },
		{ "sparse map that lies", 'x', "31 GNU.sparse.map=0,100,50,100\n", 0, CB_ERR_CORRUPT, "sparse map" },
		{ "sparse map, odd", 'x', "20 GNU.sparse.map=0\n", 0, CB_ERR_CORRUPT, "GNU.sparse.map" },
		{ "sparse, 8 EiB", 'x', "39 GNU.sparse.size=9223372036854775807\n26 GNU.sparse.map=0,0,0,4\n", 0,
			CB_ERR_LIMIT, "exceed the limit" },
		{ "sparse offset without length", 'x', "23 GNU.sparse.offset=1\n", 0, CB_ERR_CORRUPT,
			"GNU.sparse.numbytes" },
		{ "file size beyond the stream", 'x', "14 size=99999\n", 0, CB_ERR_CORRUPT, "unexpected end" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(meta); i++) {
		cleanup_buf struct cb_buf tar = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int dirfd = -EBADF;
		struct stat st;
		char path[64];
		int r;

		print_message("# %s\n", meta[i].name);
		add_meta(&tar, meta[i].type, meta[i].data, meta[i].len ? meta[i].len : strlen(meta[i].data));
		add_raw(&tar, &(struct entry){ '0', "file", .data = "four", .uid = geteuid(), .gid = getegid() });
		add_end(&tar);
		dirfd = tmp_make(path);
		r = apply_to(dirfd, &layer, &tar, NULL, &err);
		if (r != meta[i].code)
			print_message("%s\n", cb_err_msg(err));
		assert_int_equal(r, meta[i].code);
		if (r == 0)
			assert_int_equal(fstatat(dirfd, meta[i].want, &st, 0), 0);
		else if (!strstr(cb_err_msg(err), meta[i].want))
			fail_msg("\"%s\" is not in \"%s\"", meta[i].want, cb_err_msg(err));
		tmp_remove(path);
	}
}

/* Sizes that a header promises are not believed: no memory is taken for them. */
static void huge_extended_headers(void **state)
{
	static const char types[] = { 'x', 'g', 'L', 'K' };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		cleanup_buf struct cb_buf tar = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int dirfd = -EBADF;
		struct cb_tar_header h = { 0 };
		char path[64];

		put_field(h.size, sizeof(h.size), UINT64_C(5) << 30);
		h.type = types[i];
		memcpy(h.magic, "ustar", 6);
		seal(&h);
		cb_buf_add(&tar, &h, sizeof(h));
		dirfd = tmp_make(path);
		assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_LIMIT);
		tmp_remove(path);
	}
	/* Endless small ones. */
	cleanup_buf struct cb_buf tar = { 0 };
	cleanup_err struct cb_err *err = NULL;
	char path[64];
	cleanup_close int dirfd = tmp_make(path);

	for (size_t i = 0; i < 200; i++)
		add_meta(&tar, 'x', "11 path=new\n", 12);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_CORRUPT);
	cb_err_free(err);
	err = NULL;
	tar.len = 0;
	for (size_t i = 0; i < 200; i++)
		add_meta(&tar, 'x', "12 path=new\n", 12);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_LIMIT);
	assert_non_null(strstr(cb_err_msg(err), "more than 64 extended headers"));
	tmp_remove(path);
}

static void long_names(void **state)
{
	cleanup_buf struct cb_buf name = { 0 }, tar = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&tar));
	cleanup_err struct cb_err *err = NULL;
	char path[64];
	cleanup_close int dirfd = tmp_make(path);

	(void)state;
	/* 256 bytes in one component: the file system's limit. */
	for (size_t i = 0; i < 256; i++)
		cb_buf_addc(&name, 'n');
	assert_int_equal(cb_tarwriter_file(w, cb_buf_str(&name), 0644, 0, "x", 1, NULL), 0);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_CORRUPT);
	assert_int_equal(err->errnum, ENAMETOOLONG);

	/* More directories than any walk should go down. */
	cb_buf_clear(&name);
	cb_buf_clear(&tar);
	for (size_t i = 0; i < CB_APPLY_DEPTH_MAX + 1; i++)
		cb_buf_adds(&name, "d/");
	assert_int_equal(cb_tarwriter_dir(w, cb_buf_str(&name), 0, NULL), 0);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_CORRUPT);
	assert_non_null(strstr(cb_err_msg(err), "too many directories"));

	/* A path beyond any path. */
	cb_buf_clear(&name);
	cb_buf_clear(&tar);
	for (size_t i = 0; i < 500; i++)
		cb_buf_adds(&name, "123456789/");
	assert_int_equal(cb_tarwriter_dir(w, cb_buf_str(&name), 0, NULL), 0);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), CB_ERR_LIMIT);

	/* Deep, within the limits: more directories than are kept open; and it comes off again. */
	cb_buf_clear(&name);
	cb_buf_clear(&tar);
	for (size_t i = 0; i < 1000; i++)
		cb_buf_adds(&name, "d/");
	assert_int_equal(cb_tarwriter_dir(w, cb_buf_str(&name), 7, NULL), 0);
	cb_buf_adds(&name, "f");
	assert_int_equal(cb_tarwriter_file(w, cb_buf_str(&name), 0644, 0, "x", 1, NULL), 0);
	/* Owners are not the subject: an ordinary user cannot give files to root. */
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, &err), 0);
	tmp_remove(path);
	assert_int_equal(access(path, F_OK), -1);
}

static void metadata(void **state)
{
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0, 4 };
	cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *w = cb_tarwriter_new(cb_sink_buf(&tar));
	const struct cb_tar_entry entries[] = {
		{ "./", CB_TAR_DIR, 0711, 4, 5, .mtime = 12 },
		{ "d", CB_TAR_DIR, 02755, 10, 20, .mtime = 100 },
		{ "d/f", CB_TAR_FILE, 04711, 1, 2, .mtime = 200, .capability = cap, .capability_len = sizeof(cap) },
		{ "d/l", CB_TAR_SYMLINK, 0777, 3, 4, .mtime = 300, .link = "x" },
		{ "big", CB_TAR_FILE, 0600, 3000000000, 2097152, .mtime = -5 },
	};
	struct cb_apply_stats stats = { 0 };
	uint8_t got[32];
	struct stat st;
	char path[64];
	cleanup_close int dirfd = tmp_make(path);
	cleanup_close int fd = -EBADF;

	(void)state;
	if (geteuid() != 0) {
		/* cmocka's skip jumps over what cleans up. */
		print_message("SKIPPED: needs root\n");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(cb_tarwriter_entry(w, &entries[i], NULL), 0);
	assert_int_equal(cb_tarwriter_finish(w, NULL), 0);
	assert_int_equal(apply_to(dirfd, &layer, &tar, &stats, NULL), 0);
	dump_dir(&dump, dirfd, "", DUMP_OWNERS | DUMP_TIMES);
	assert_string_equal(cb_buf_str(&dump), "big f 600 3000000000:2097152 @-5 0\n"
					       "d d 2755 10:20 @100\n"
					       "d/f f 4711 1:2 @200 0\n"
					       "d/l l 777 3:4 @300 -> x\n");
	assert_int_equal(stats.entries, 5);
	assert_int_equal(stats.implied, 0);
	assert_int_equal(fstat(dirfd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(st.st_gid, 5);
	assert_int_equal(st.st_mtim.tv_sec, 12);
	fd = openat(dirfd, "d/f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "security.capability", got, sizeof(got)), sizeof(cap));
	assert_memory_equal(got, cap, sizeof(cap));
	tmp_remove(path);
}

static void xattrs(void **state)
{
	cleanup_buf struct cb_buf tar = { 0 };
	char value[8], path[64];
	cleanup_close int dirfd = tmp_make(path);
	cleanup_close int fd = -EBADF;

	(void)state;
	if (geteuid() != 0) {
		/* cmocka's skip jumps over what cleans up. */
		print_message("SKIPPED: needs root\n");
		return;
	}
	cleanup_buf struct cb_buf data = { 0 };
	const char *const all[] = { "user.fine", "trusted.overlay.opaque", "trusted.evil", "security.selinux",
		"user.overlay.opaque" };
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		size_t len = strlen("12 SCHILY.xattr.=y\n") + strlen(all[i]);

		cb_buf_addf(&data, "%zu SCHILY.xattr.%s=y\n", len, all[i]);
	}
	add_meta(&tar, 'x', data.data, data.len);
	add_raw(&tar, &(struct entry){ '5', "d", .mode = 0755 });
	add_end(&tar);
	assert_int_equal(apply_to(dirfd, &layer, &tar, NULL, NULL), 0);
	fd = openat(dirfd, "d", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)), -1);
	assert_int_equal(fgetxattr(fd, "trusted.evil", value, sizeof(value)), -1);
	tmp_remove(path);
}

/** What GNU tar writes is read the same, holes and long names and all. */
static void gnu_tar_archives(void **state)
{
	static const char *const formats[] = { "gnu", "pax", "ustar", "oldgnu", "pax --sparse", "gnu --sparse",
		"pax --sparse --sparse-version=0.0", "pax --sparse --sparse-version=0.1" };
	char src[64], path[64];
	cleanup_close int srcfd = tmp_make(src);

	(void)state;
	if (geteuid() != 0 || system("tar --version >/dev/null 2>&1") != 0)
		skip();
	cleanup_free char *make = cb_xasprintf(
		"cd %s && mkdir -p a/b && echo hi >a/b/f && ln a/b/f a/h && ln -s ../x a/s && mkfifo a/p && "
		"printf start >a/holes && for i in 1 2 3 4 5 6 7; do printf $i | dd of=a/holes bs=1M seek=$i "
		"conv=notrunc 2>/dev/null; done && truncate -s 9M a/holes && touch -d @1234567890 a/b a",
		src);
	assert_int_equal(system(make), 0);
	cleanup_buf struct cb_buf want = { 0 };
	dump_dir(&want, srcfd, "", DUMP_OWNERS | DUMP_INODES);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		cleanup_free char *cmd = cb_xasprintf("tar -C %s --format=%s -cf %s.tar .", src, formats[i], src);
		cleanup_free char *cmp = NULL;
		cleanup_free char *file = cb_xasprintf("%s.tar", src);
		cleanup_buf struct cb_buf tar = { 0 }, dump = { 0 };
		cleanup_err struct cb_err *err = NULL;
		cleanup_close int dirfd = -EBADF;
		int r;

		print_message("# %s\n", formats[i]);
		assert_int_equal(system(cmd), 0);
		assert_int_equal(cb_file_read_at(AT_FDCWD, file, 64 << 20, &tar, NULL), 0);
		dirfd = tmp_make(path);
		r = apply_to(dirfd, &layer, &tar, NULL, &err);
		assert_string_equal(cb_err_msg(err), "");
		assert_int_equal(r, 0);
		dump_dir(&dump, dirfd, "", DUMP_OWNERS | DUMP_INODES);
		assert_string_equal(cb_buf_str(&dump), cb_buf_str(&want));
		cmp = cb_xasprintf("cmp %s/a/holes %s/a/holes", src, path);
		assert_int_equal(system(cmp), 0);
		tmp_remove(path);
		unlink(file);
	}
	tmp_remove(src);
}

static void canceled(void **state)
{
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	const struct cb_apply_spec spec = { .layer = true, .cancel = cancel };
	cleanup_buf struct cb_buf tar = { 0 };
	char path[64];
	cleanup_close int dirfd = tmp_make(path);

	(void)state;
	add_raw(&tar, &(struct entry){ '0', "file" });
	cb_cancel_raise(cancel);
	assert_int_equal(apply_to(dirfd, &spec, &tar, NULL, NULL), CB_ERR_CANCELED);
	tmp_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(broken_streams),
		cmocka_unit_test(extended_headers),
		cmocka_unit_test(huge_extended_headers),
		cmocka_unit_test(long_names),
		cmocka_unit_test(metadata),
		cmocka_unit_test(xattrs),
		cmocka_unit_test(gnu_tar_archives),
		cmocka_unit_test(canceled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
