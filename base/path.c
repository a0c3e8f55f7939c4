/* Lexical operations; path_open.c resolves on the file system. */
#include "base/path.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"

/* Appends one component to the cleaned path in @out, of which the first @floor bytes cannot be left by "..". */
static void add_component(struct cb_buf *out, const char *name, size_t n, bool rooted, size_t *dotdot_end)
{
	if (!n || (n == 1 && name[0] == '.'))
		return;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		size_t floor = rooted ? 1 : *dotdot_end;

		if (out->len > floor) {
			while (out->len > floor && out->data[out->len - 1] != '/')
				out->len--;
			if (out->len > floor)
				out->len--;
			out->data[out->len] = '\0';
			return;
		}
		if (rooted)
			return;
		if (out->len)
			cb_buf_addc(out, '/');
		cb_buf_adds(out, "..");
		*dotdot_end = out->len;
		return;
	}
	if (out->len && out->data[out->len - 1] != '/')
		cb_buf_addc(out, '/');
	cb_buf_add(out, name, n);
}

char *cb_path_clean(const char *path)
{
	struct cb_buf out = { 0 };
	bool rooted = path[0] == '/';
	size_t dotdot_end = 0;

	if (rooted)
		cb_buf_addc(&out, '/');
	for (const char *p = path; *p;) {
		const char *end = strchrnul(p, '/');

		add_component(&out, p, (size_t)(end - p), rooted, &dotdot_end);
		p = *end ? end + 1 : end;
	}
	if (!out.len)
		cb_buf_addc(&out, '.');
	return cb_buf_take(&out);
}

char *cb_path_join(const char *a, const char *b)
{
	cleanup_free char *joined = *a ? cb_xasprintf("%s/%s", a, b) : cb_xstrdup(b);

	return cb_path_clean(joined);
}

char *cb_path_abs(const char *path)
{
	cleanup_free char *rooted = cb_xasprintf("/%s", path);

	return cb_path_clean(rooted);
}

const char *cb_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

char *cb_path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return cb_xstrdup(".");
	return slash == path ? cb_xstrdup("/") : cb_xstrndup(path, (size_t)(slash - path));
}

bool cb_path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (!strcmp(dir, "/"))
		return path[0] == '/';
	if (!strcmp(dir, "."))
		return path[0] != '/' && strcmp(path, "..") && !cb_str_starts(path, "../");
	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

int cb_path_mkdirs(const char *path, mode_t mode)
{
	cleanup_free char *copy = cb_xstrdup(path);

	for (char *p = copy + 1; *copy; p++) {
		bool last = !*p;

		if (*p != '/' && !last)
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -1;
		if (last)
			return 0;
		*p = '/';
	}
	errno = ENOENT;
	return -1;
}
