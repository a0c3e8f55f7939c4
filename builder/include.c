#include "builder/include.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/strv.h"

/** A file that was read. */
struct included {
	char *path;  /* below the context, cleaned, relative */
	char *shown; /* as the user knows it */
	char *id;
	struct cb_buf data;
};

struct cb_includes {
	char *context, *buildfile;
	char *prefix; /* of shown names: "" or "dir/" */
	char *top;    /* directory of the Buildfile below the context, "" for the top of it */
	int rootfd;
	struct cb_includer reader;
	char *main_id;
	struct included **v;
	size_t n, cap;
	struct cb_report_source *sources;
};

static int read_include(
	void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err);

static char *id_of(const struct stat *st)
{
	return cb_xasprintf("%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
}

struct cb_includes *cb_includes_new(const char *context, const char *buildfile)
{
	struct cb_includes *includes = cb_new0(struct cb_includes);
	cleanup_free char *clean = NULL;
	struct stat st;

	assert(context);

	includes->context = cb_xstrdup(context);
	includes->buildfile = cb_xstrdup_null(buildfile);
	includes->rootfd = -EBADF;
	clean = cb_path_clean(context);
	includes->prefix = cb_str_eq(clean, ".")   ? cb_xstrdup("")
			   : cb_str_eq(clean, "/") ? cb_xstrdup("/")
						   : cb_xasprintf("%s/", clean);
	if (buildfile && stat(buildfile, &st) == 0)
		includes->main_id = id_of(&st);
	includes->reader = (struct cb_includer){ read_include, includes, includes->main_id };
	return includes;
}

struct cb_includes *cb_includes_new_at(int rootfd, const char *buildfile)
{
	struct cb_includes *includes = cb_new0(struct cb_includes);
	cleanup_free char *clean = buildfile ? cb_path_clean(buildfile) : NULL;
	cleanup_close int fd = clean ? cb_path_open_in_root(rootfd, clean, O_PATH, 0) : -EBADF;
	struct stat st;

	includes->context = cb_xstrdup(".");
	includes->prefix = cb_xstrdup("");
	includes->rootfd = cb_fd_dup(rootfd);
	includes->top = clean && strchr(clean, '/') ? cb_path_dir(clean) : cb_xstrdup("");
	if (fd >= 0 && fstat(fd, &st) == 0)
		includes->main_id = id_of(&st);
	includes->reader = (struct cb_includer){ read_include, includes, includes->main_id };
	return includes;
}

struct cb_includes *cb_includes_free(struct cb_includes *includes)
{
	if (!includes)
		return NULL;
	for (size_t i = 0; i < includes->n; i++) {
		free(includes->v[i]->path);
		free(includes->v[i]->shown);
		free(includes->v[i]->id);
		cb_buf_done(&includes->v[i]->data);
		free(includes->v[i]);
	}
	free(includes->v);
	free(includes->sources);
	free(includes->context);
	free(includes->buildfile);
	free(includes->prefix);
	free(includes->top);
	free(includes->main_id);
	cb_closep(&includes->rootfd);
	free(includes);
	return NULL;
}

const struct cb_includer *cb_includes_reader(struct cb_includes *includes)
{
	return &includes->reader;
}

void cb_includes_report(const struct cb_includes *includes, struct cb_report_source *source)
{
	if (!includes)
		return;
	source->more = includes->sources;
	source->n_more = includes->n;
}

/** Where the Buildfile is in the context: "" when it is at its top or outside. */
static char *find_top(const struct cb_includes *includes)
{
	cleanup_free char *root = realpath(includes->context, NULL), *dir = NULL, *real = NULL;

	if (!includes->buildfile || !root)
		return cb_xstrdup("");
	dir = cb_path_dir(includes->buildfile);
	real = realpath(dir, NULL);
	if (!real || cb_str_eq(real, root) || !cb_path_below(real, root))
		return cb_xstrdup("");
	return cb_xstrdup(real + strlen(root) + (root[1] != '\0'));
}

static int open_context(struct cb_includes *includes, struct cb_err **err)
{
	if (includes->rootfd >= 0)
		return 0;
	includes->rootfd = open(includes->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (includes->rootfd < 0) {
		int r = cb_err_errno(err, errno, "context %s", includes->context);

		return cb_err_hint(err, r, "INCLUDE needs a build context that is a directory");
	}
	includes->top = find_top(includes);
	return 0;
}

static const char *path_of(const struct cb_includes *includes, const char *shown)
{
	for (size_t i = 0; i < includes->n; i++)
		if (cb_str_eq(includes->v[i]->shown, shown))
			return includes->v[i]->path;
	return "";
}

/** @path of the file @from as a path below the context, not yet cleaned: symlinks count before "..". */
static char *join(const struct cb_includes *includes, const char *from, const char *path)
{
	cleanup_free char *dir = from ? cb_path_dir(path_of(includes, from)) : cb_xstrdup(includes->top);

	if (*path == '/')
		return cb_xstrdup(path + strspn(path, "/"));
	return *dir ? cb_xasprintf("%s/%s", dir, path) : cb_xstrdup(path);
}

static int read_regular(int rootfd, const char *path, struct included *file, struct cb_err **err)
{
	cleanup_close int fd = cb_path_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cb_err_errno(err, errno, "INCLUDE %s", file->shown);
	if (!S_ISREG(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "INCLUDE %s: not a regular file", file->shown);
	file->id = id_of(&st);
	return cb_fd_read_all(fd, CB_BUILDFILE_MAX, file->shown, &file->data, err);
}

/** Takes @file into the list. */
static void keep(struct cb_includes *includes, struct included *file)
{
	CB_GROW(includes->v, includes->cap, includes->n + 1);
	includes->v[includes->n++] = file;
	includes->sources = cb_xreallocarray(includes->sources, includes->n, sizeof(*includes->sources));
	includes->sources[includes->n - 1] =
		(struct cb_report_source){ .name = file->shown, .data = file->data.data, .len = file->data.len };
}

static struct included *find(const struct cb_includes *includes, const char *path)
{
	for (size_t i = 0; i < includes->n; i++)
		if (cb_str_eq(includes->v[i]->path, path))
			return includes->v[i];
	return NULL;
}

static int read_include(void *ctx, const char *from, const char *path, struct cb_include_file *ret, struct cb_err **err)
{
	struct cb_includes *includes = ctx;
	cleanup_free char *joined = NULL, *clean = NULL;
	struct included *file;
	int r = open_context(includes, err);

	if (r < 0)
		return r;
	joined = join(includes, from, path);
	clean = cb_path_clean(joined);
	if (cb_str_eq(clean, "..") || cb_str_starts(clean, "../")) {
		cb_err_set(err, CB_ERR_INPUT, "INCLUDE %s: outside of the build context", path);
		return cb_err_hint(err, CB_ERR_INPUT, "a path is relative to the file that has the INCLUDE");
	}
	file = find(includes, clean);
	if (!file) {
		file = cb_new0(struct included);
		file->path = CB_TAKE_PTR(clean);
		file->shown = cb_xasprintf("%s%s", includes->prefix, file->path);
		keep(includes, file);
		r = read_regular(includes->rootfd, joined, file, err);
		if (r < 0)
			return r;
		includes->sources[includes->n - 1].data = file->data.data;
		includes->sources[includes->n - 1].len = file->data.len;
	}
	*ret = (struct cb_include_file){ file->shown, file->id, cb_buf_str(&file->data), file->data.len };
	return 0;
}
