/* layers/filetable.h: what layers add up to, what was in vain, and layers that are broken. */
#include "unit/layers/tartext.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "layers/filetable.h"

#define LAYERS_MAX 3

static void show_entry(const struct cb_filetable_entry *e, struct cb_buf *out)
{
	const char *name;
	const void *value;
	size_t at = 0, len;

	cb_buf_addf(out, "%s%c%u %s", out->len ? ";" : "", e->type, e->layer, e->path);
	if (e->mode != (e->type == 'd' ? 0755u : 0644u))
		cb_buf_addf(out, " %o", e->mode);
	while (cb_filetable_xattr(e, &at, &name, &value, &len))
		cb_buf_addf(out, " +%s:%.*s", name, (int)len, (const char *)value);
	if (e->size)
		cb_buf_addf(out, " =%llu", (unsigned long long)e->size);
	if (*e->link)
		cb_buf_addf(out, " >%s", e->link);
	if (e->type == 'c')
		cb_buf_addf(out, " >%u.%u", e->major, e->minor);
	if (e->same_as)
		cb_buf_addf(out, " ~%s%s", e->same_as, e->repeated ? "!" : "");
	assert_int_equal(!e->content, e->type != '-');
}

static void show_table(struct cb_filetable *table, struct cb_buf *out)
{
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *walk = NULL;
	cleanup_free char *before = NULL;
	struct cb_filetable_entry entry;
	int r;

	assert_int_equal(cb_filetable_walk_open(table, &walk, NULL), 0);
	while ((r = cb_filetable_next(walk, &entry, NULL)) > 0) {
		if (before)
			assert_true(cb_filetable_order(before, entry.path) < 0);
		free(before);
		before = cb_xstrdup(entry.path);
		show_entry(&entry, out);
	}
	assert_int_equal(r, 0);
}

static void show_waste(void *arg, const struct cb_filetable_waste *w)
{
	struct cb_buf *out = arg;

	cb_buf_addf(out, "%s%s =%llu %u %s %u", out->len ? ";" : "", w->path, (unsigned long long)w->bytes, w->layer,
		w->deleted ? "deleted" : "overwritten", w->by);
}

static void show_same(void *arg, const struct cb_filetable_same *s)
{
	struct cb_buf *out = arg;

	cb_buf_addf(
		out, "%s%llu*%llu", out->len ? ";" : "", (unsigned long long)s->bytes, (unsigned long long)s->times);
	for (size_t i = 0; i < s->paths->n; i++)
		cb_buf_addf(out, " %s", s->paths->v[i]);
}

/* ---- what layers add up to ------------------------------------------------------------------------------------ */

static const struct {
	const char *name, *layers[LAYERS_MAX], *want, *waste, *same;
	struct cb_filetable_sums sums; /* of the last */
} rows[] = {
	{ "every kind", { "d a;f a/b =abc;l a/l >b;p a/p;c a/c >1.3;f a/empty" },
		"d0 /a;-0 /a/b =3;c0 /a/c >1.3;-0 /a/empty;l0 /a/l >b;p0 /a/p", "", "", { 3, 2, 6, 0 } },
	{ "modes and attributes", { "d a 1777;f a/b 4711 +user.k:v =x" }, "d0 /a 1777;-0 /a/b 4711 +user.k:v =1", "",
		"", { 1, 1, 2, 0 } },
	{ "nothing at all", { "" }, "", "", "", { 0 } },
	{ "a file is deleted", { "d a;f a/b =abc", "w a/b" }, "d0 /a", "/a/b =3 0 deleted 1", "", { .whiteouts = 1 } },
	{ "what was never there is deleted", { "f a =abc", "w b;w c/d" }, "-0 /a =3", "", "", { .whiteouts = 2 } },
	/* A dot and a letter sort around the slash. */
	{ "a directory is deleted, its neighbours are not",
		{ "d a;f a/x =1;d a/s;f a/s/y =22;f a.b =3;f ab =4;f a- =5", "w a" }, "-0 /a- =1;-0 /a.b =1;-0 /ab =1",
		"/a/s/y =2 0 deleted 1;/a/x =1 0 deleted 1", "", { .whiteouts = 1 } },
	{ "opaque: only what is below goes", { "d a;f a/x =1;f a/y =22", "d a;o a;f a/z =333" }, "d1 /a;-1 /a/z =3",
		"/a/y =2 0 deleted 1;/a/x =1 0 deleted 1", "", { 3, 1, 2, 1 } },
	{ "opaque: the mark comes last", { "d a;f a/x =1;f a/y =22", "d a;f a/z =333;o a" }, "d1 /a;-1 /a/z =3",
		"/a/y =2 0 deleted 1;/a/x =1 0 deleted 1", "", { 3, 1, 2, 1 } },
	{ "deleted and there again", { "f a =abc", "w a", "f a =de" }, "-2 /a =2", "/a =3 0 deleted 1", "",
		{ 2, 1, 1, 0 } },
	{ "overwritten", { "f a =abc", "f a =de" }, "-1 /a =2", "/a =3 0 overwritten 1", "", { 2, 1, 1, 0 } },
	{ "twice in one layer: the last counts", { "f a =abc;f a =de" }, "-0 /a =2", "", "", { 5, 2, 2, 0 } },
	{ "a directory keeps what is in it", { "d a;f a/b =abc", "d a 700" }, "d1 /a 700;-0 /a/b =3", "", "",
		{ .entries = 1 } },
	{ "a file in place of a directory", { "d a;f a/b =abc", "f a =x" }, "-1 /a =1", "/a/b =3 0 overwritten 1", "",
		{ 1, 1, 1, 0 } },
	{ "a directory in place of a file", { "f a =abc", "d a;f a/b =x" }, "d1 /a;-1 /a/b =1", "/a =3 0 overwritten 1",
		"", { 1, 1, 2, 0 } },
	{ "names of one file", { "f a =abc;h b >a;h c >b" }, "-0 /a =3 ~/a;-0 /b =3 ~/a!;-0 /c =3 ~/a!", "", "",
		{ 3, 1, 3, 0 } },
	{ "a name of several goes", { "f a =abc;h b >a", "w a" }, "-0 /b =3", "", "", { .whiteouts = 1 } },
	{ "all names go", { "f a =abc;h b >a", "w a;w b" }, "", "/b =3 0 deleted 1", "", { .whiteouts = 2 } },
	{ "a new name of a file below", { "f a =abc", "h b >a" }, "-0 /a =3 ~/a;-1 /b =3 ~/a!", "", "",
		{ .entries = 1 } },
	{ "equal files", { "f a =abc;f b =abc;f c =abc;f d =xy;f e =xy;f f =;f g =" },
		"-0 /a =3;-0 /b =3;-0 /c =3;-0 /d =2;-0 /e =2;-0 /f;-0 /g", "", "3*3 /a /b /c;2*2 /d /e",
		{ 13, 7, 7, 0 } },
	{ "names of one file are not equal files", { "f a =abc;h b >a;f c =abc" },
		"-0 /a =3 ~/a;-0 /b =3 ~/a!;-0 /c =3", "", "3*2 /a /c", { 6, 2, 3, 0 } },
};

static int add_text(struct cb_filetable *table, const char *text, struct cb_filetable_sums *sums, struct cb_err **err)
{
	cleanup_buf struct cb_buf tar = { 0 };
	struct cb_source_mem mem;

	tartext_make(text, &tar);
	mem = (struct cb_source_mem){ tar.data, tar.len, 0 };
	return cb_filetable_add_tar(table, cb_source_mem(&mem), NULL, sums, err);
}

static void check_table(struct cb_filetable *table, size_t at)
{
	cleanup_buf struct cb_buf list = { 0 }, waste = { 0 }, same = { 0 };

	show_table(table, &list);
	assert_string_equal(cb_buf_str(&list), rows[at].want);
	assert_int_equal(cb_filetable_each_waste(table, 10, show_waste, &waste, NULL), 0);
	assert_string_equal(cb_buf_str(&waste), rows[at].waste);
	assert_int_equal(cb_filetable_each_same(table, 10, show_same, &same, NULL), 0);
	assert_string_equal(cb_buf_str(&same), rows[at].same);
}

static void layers_add_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL, *copy = NULL;
		struct cb_filetable_sums sums;

		print_message("# %s\n", rows[i].name);
		assert_int_equal(cb_filetable_new(&table, NULL), 0);
		for (size_t k = 0; k < LAYERS_MAX && rows[i].layers[k]; k++)
			assert_int_equal(add_text(table, rows[i].layers[k], &sums, NULL), 0);
		assert_memory_equal(&sums, &rows[i].sums, sizeof(sums));
		assert_int_equal(cb_filetable_copy(table, &copy, NULL), 0);
		/* What comes later is not in the copy. */
		assert_int_equal(add_text(table, "f later =x", &sums, NULL), 0);
		check_table(copy, i);
	}
}

static void sums_of_waste(void **state)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
	cleanup_buf struct cb_buf one = { 0 };
	struct cb_filetable_sums sums;
	uint64_t bytes, n;

	(void)state;
	assert_int_equal(cb_filetable_new(&table, NULL), 0);
	assert_int_equal(add_text(table, "f a =abc;f b =de;f c =f;f x =same;f y =same", &sums, NULL), 0);
	assert_int_equal(add_text(table, "w a;w b;f c =1", &sums, NULL), 0);
	assert_int_equal(cb_filetable_wasted(table, &bytes, &n, NULL), 0);
	assert_int_equal(bytes, 6);
	assert_int_equal(n, 3);
	assert_int_equal(cb_filetable_each_waste(table, 1, show_waste, &one, NULL), 0);
	assert_string_equal(cb_buf_str(&one), "/a =3 0 deleted 1");
	assert_int_equal(cb_filetable_repeated(table, &bytes, &n, NULL), 0);
	assert_int_equal(bytes, 4);
	assert_int_equal(n, 1);
}

/* ---- content -------------------------------------------------------------------------------------------------- */

static void content_is_kept(void **state)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
	CB_CLEANUP(cb_filetable_walk_free) struct cb_filetable_walk *walk = NULL;
	cleanup_close int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct cb_filetable_entry e;
	struct cb_filetable_sums sums;
	char got[8];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(cb_filetable_new(&table, NULL), 0);
	assert_int_equal(add_text(table, "f old =below", &sums, NULL), 0);
	cb_filetable_spool(table, fd);
	assert_int_equal(add_text(table, "f a =first;f b =second;h c >a", &sums, NULL), 0);
	assert_int_equal(cb_filetable_walk_open(table, &walk, NULL), 0);
	for (unsigned int i = 0; i < 4; i++) {
		static const char *const want[] = { "first", "second", "first", NULL };

		assert_int_equal(cb_filetable_next(walk, &e, NULL), 1);
		if (!want[i]) {
			assert_int_equal(e.spot, -1);
			continue;
		}
		assert_int_equal(pread(fd, got, e.size, e.spot), (ssize_t)strlen(want[i]));
		assert_memory_equal(got, want[i], e.size);
	}
	assert_int_equal(cb_filetable_next(walk, &e, NULL), 0);
}

/* ---- failures ------------------------------------------------------------------------------------------------- */

struct cut_source {
	struct cb_source_mem mem;
	bool fails;
};

static ssize_t cut_read(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct cut_source *s = arg;
	struct cb_source mem = cb_source_mem(&s->mem);
	ssize_t n = mem.read(mem.arg, buf, len, err);

	return n == 0 && s->fails ? cb_err_set(err, CB_ERR_NETWORK, "the line is cut") : n;
}

/* What happens to the tar of "f a =0123456789;d b;f b/c =x", whose headers and contents have 512 bytes each. */
static const struct {
	const char *name;
	size_t len;  /* of the tar, 0: all */
	size_t flip; /* a byte that is changed, 0: none */
	bool fails, canceled, full, garbage;
	int code;
	const char *message;
} faults[] = {
	{ "a header is damaged", .flip = 2 * 512 + 3, .code = CB_ERR_CORRUPT, .message = "checksum" },
	{ "ends in a header", .len = 2 * 512 + 100, .code = CB_ERR_CORRUPT, .message = "" },
	{ "ends in the content of a file", .len = 512 + 4, .code = CB_ERR_CORRUPT, .message = "a: " },
	{ "something behind the end", .garbage = true, .code = CB_ERR_CORRUPT, .message = "" },
	{ "the source fails in the content", .len = 512 + 4, .fails = true, .code = CB_ERR_NETWORK,
		.message = "a: the line" },
	{ "the source fails between two entries", .len = 2 * 512, .fails = true, .code = CB_ERR_NETWORK,
		.message = "the line" },
	{ "canceled", .canceled = true, .code = CB_ERR_CANCELED, .message = "" },
	{ "the disk is full", .full = true, .code = CB_ERR_NO_SPACE, .message = "keep the content" },
};

static void broken_tars(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
		CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
		cleanup_close int full = open("/dev/full", O_RDWR | O_CLOEXEC);
		cleanup_buf struct cb_buf tar = { 0 };
		cleanup_err struct cb_err *err = NULL;
		struct cb_filetable_sums sums = { 7, 7, 7, 7 };
		struct cut_source source = { .fails = faults[i].fails };
		int r;

		tartext_make("f a =0123456789;d b;f b/c =x", &tar);
		if (faults[i].flip)
			tar.data[faults[i].flip] ^= 1;
		if (faults[i].garbage)
			cb_buf_adds(&tar, "more");
		source.mem = (struct cb_source_mem){ tar.data, faults[i].len ? faults[i].len : tar.len, 0 };
		if (faults[i].canceled)
			cb_cancel_raise(cancel);
		assert_int_equal(cb_filetable_new(&table, NULL), 0);
		if (faults[i].full)
			cb_filetable_spool(table, full);
		r = cb_filetable_add_tar(table, (struct cb_source){ cut_read, &source }, cancel, &sums, &err);
		print_message("# %s: %s\n", faults[i].name, cb_err_msg(err));
		assert_int_equal(r, faults[i].code);
		assert_non_null(strstr(cb_err_msg(err), faults[i].message));
		assert_int_equal(sums.files, 7);
	}
}

static const struct {
	const char *name, *layers[LAYERS_MAX], *message;
} refused[] = {
	{ "a link to nothing", { "f a =x;h b >c" }, "hard link to /c, which is not there" },
	{ "a link to a directory", { "d a;h b >a" }, "hard link to a directory" },
	{ "a link to what was deleted", { "f a =x", "w a;h b >a" }, "hard link to /a, which is not there" },
};

static void refused_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
		cleanup_err struct cb_err *err = NULL;
		struct cb_filetable_sums sums;
		int r = 0;

		print_message("# %s\n", refused[i].name);
		assert_int_equal(cb_filetable_new(&table, NULL), 0);
		for (size_t k = 0; r == 0 && k < LAYERS_MAX && refused[i].layers[k]; k++)
			r = add_text(table, refused[i].layers[k], &sums, &err);
		assert_int_equal(r, CB_ERR_CORRUPT);
		assert_non_null(strstr(cb_err_msg(err), refused[i].message));
	}
}

/* ---- directories ---------------------------------------------------------------------------------------------- */

static void a_directory(void **state)
{
	CB_CLEANUP(cb_filetable_free) struct cb_filetable *table = NULL;
	CB_CLEANUP(cb_cancel_free) struct cb_cancel *cancel = cb_cancel_new();
	cleanup_buf struct cb_buf list = { 0 };
	cleanup_close int fd = -EBADF;
	struct cb_filetable_sums sums;
	char path[] = "/tmp/cbuild-test-XXXXXX";
	cleanup_free char *script = NULL;

	(void)state;
	assert_non_null(mkdtemp(path));
	script = cb_xasprintf(
		"umask 022; chmod 755 %s; cd %s && mkdir a && printf abc >a/b && ln a/b a/c && ln -s b a/l && "
		"mkfifo a/p && touch a/e",
		path, path);
	assert_int_equal(system(script), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cb_filetable_new(&table, NULL), 0);
	assert_int_equal(cb_filetable_add_dir(table, fd, NULL, &sums, NULL), 0);
	assert_int_equal(sums.bytes, 3);
	assert_int_equal(sums.files, 2);
	show_table(table, &list);
	/* Which of the names was counted depends on the order in the directory. */
	assert_non_null(strstr(cb_buf_str(&list), "/a/b =3 ~/a/b"));
	assert_non_null(strstr(cb_buf_str(&list), "/a/c =3 ~/a/b"));
	assert_non_null(strstr(cb_buf_str(&list), ";-0 /a/e;l0 /a/l 777 >b;p0 /a/p"));
	cb_cancel_raise(cancel);
	assert_int_equal(cb_filetable_add_dir(table, fd, cancel, &sums, NULL), CB_ERR_CANCELED);
	assert_int_equal(cb_path_remove_tree(AT_FDCWD, path, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_add_up),
		cmocka_unit_test(sums_of_waste),
		cmocka_unit_test(content_is_kept),
		cmocka_unit_test(broken_tars),
		cmocka_unit_test(refused_entries),
		cmocka_unit_test(a_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
