#include "builder/context.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/fetch_url.h"
#include "layers/ref.h"
#include "layers/statindex.h"
#include "parser/dockerignore.h"
#include "parser/parse.h"

/* ---- the Buildfile -------------------------------------------------------------------------------------------- */

void cb_context_file_done(struct cb_context_file *file)
{
	free(file->shown);
	free(file->path);
	cb_buf_done(&file->data);
	*file = (struct cb_context_file){ 0 };
}

static const char *const default_names[] = { "Buildfile", "Dockerfile", "Containerfile", "dockerfile" };

static int find_default(const struct cb_settings *settings, char **ret, struct cb_err **err)
{
	struct stat st;

	if (cb_context_kind_of(settings->context) != CB_REMOTE_NONE)
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "the context would have to be fetched first");
	if (stat(settings->context, &st) < 0)
		return cb_err_errno(err, errno, "context %s", settings->context);
	if (!S_ISDIR(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "context %s is not a directory", settings->context);
	for (size_t i = 0; i < ARRAY_SIZE(default_names); i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", settings->context, default_names[i]);

		if (stat(path, &st) < 0 && errno != ENOENT && errno != ELOOP)
			return cb_err_errno(err, errno, "look for a Buildfile in %s", settings->context);
		if (stat(path, &st) < 0)
			continue;
		/* Reading a fifo that nobody writes would never end. */
		if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
			return cb_err_set(err, CB_ERR_INPUT, "%s is not a regular file", path);
		*ret = CB_TAKE_PTR(path);
		return 0;
	}
	cb_err_set(err, CB_ERR_NOT_FOUND, "no Buildfile, Dockerfile or Containerfile in %s", settings->context);
	return cb_err_hint(err, CB_ERR_NOT_FOUND, "name the file with -f");
}

int cb_context_read_file(const struct cb_settings *settings, struct cb_context_file *ret, struct cb_err **err)
{
	struct cb_context_file file = { 0 };
	int r;

	if (cb_str_eq(settings->file, "-")) {
		file.shown = cb_xstrdup("<stdin>");
		r = cb_fd_read_all(0, CB_BUILDFILE_MAX, "standard input", &file.data, err);
	} else {
		if (settings->file)
			file.path = cb_xstrdup(settings->file);
		r = settings->file ? 0 : find_default(settings, &file.path, err);
		if (r == 0) {
			const char *path = file.path;

			file.shown = cb_xstrdup(cb_str_starts(path, "./") ? path + 2 : path);
			r = cb_file_read_at(AT_FDCWD, path, CB_BUILDFILE_MAX, &file.data, err);
		}
	}
	if (r < 0) {
		cb_context_file_done(&file);
		return r;
	}
	*ret = file;
	return 0;
}

int cb_context_read_remote_file(const struct cb_settings *settings, struct cb_context *context,
	struct cb_context_file *ret, struct cb_err **err)
{
	struct cb_context_file file = { 0 };
	const char *const *names = settings->file ? (const char *const *)&settings->file : default_names;
	size_t n = settings->file ? 1 : ARRAY_SIZE(default_names);
	int r = 1;

	if (cb_str_eq(settings->file, "-"))
		return cb_context_read_file(settings, ret, err);
	if (context->buildfile.data && settings->file)
		return cb_err_set(err, CB_ERR_USAGE, "%s is a Buildfile, and -f names another", context->shown);
	if (context->buildfile.data) {
		file.shown = cb_xstrdup(context->remote == CB_REMOTE_STDIN ? "<stdin>" : context->shown);
		cb_buf_add(&file.data, context->buildfile.data, context->buildfile.len);
		r = 0;
	}
	for (size_t i = 0; i < n && r == 1; i++) {
		r = cb_tree_read_file(context->tree, names[i], CB_BUILDFILE_MAX, &file.data, err);
		if (r == 0)
			file.shown = cb_xstrdup(names[i]);
	}
	if (r == 1) {
		cb_err_set(err, CB_ERR_NOT_FOUND, "no %s in the context %s",
			settings->file ? settings->file : "Buildfile, Dockerfile or Containerfile", context->shown);
		r = cb_err_hint(err, CB_ERR_NOT_FOUND, "-f names a file inside of a context that is not local");
	}
	if (r < 0) {
		cb_context_file_done(&file);
		return r;
	}
	*ret = file;
	return 0;
}

/* ---- contexts ------------------------------------------------------------------------------------------------- */

static struct cb_context *context_new(const char *name, const char *path)
{
	struct cb_context *context = cb_new0(struct cb_context);

	context->name = cb_xstrdup_null(name);
	context->path = cb_xstrdup(path);
	context->dirfd = -EBADF;
	return context;
}

enum cb_remote cb_context_kind_of(const char *text)
{
	struct stat st;

	if (cb_str_eq(text, "-"))
		return CB_REMOTE_STDIN;
	if (stat(text, &st) == 0)
		return CB_REMOTE_NONE;
	if (cb_git_url_is(text, true))
		return CB_REMOTE_GIT;
	if (!strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8))
		return CB_REMOTE_URL;
	return CB_REMOTE_NONE;
}

static bool is_url(const char *text)
{
	return !strncasecmp(text, "http://", 7) || !strncasecmp(text, "https://", 8);
}

bool cb_context_file_is_url(const struct cb_settings *settings)
{
	struct stat st;

	return settings->file && is_url(settings->file) && stat(settings->file, &st) < 0;
}

bool cb_context_is_remote(const char *source)
{
	return !strncasecmp(source, "http://", 7) || !strncasecmp(source, "https://", 8) ||
	       cb_git_url_is(source, false);
}

static int set_remote(struct cb_context *context, enum cb_remote remote, struct cb_err **err)
{
	context->remote = remote;
	switch (remote) {
	case CB_REMOTE_NONE:
		return 0;
	case CB_REMOTE_STDIN:
		context->shown = cb_xstrdup("from standard input");
		return 0;
	case CB_REMOTE_URL:
		context->shown = cb_http_url_redact(context->path);
		context->file_name = cb_fetch_url_name(context->path);
		return 0;
	case CB_REMOTE_GIT:
		context->shown = cb_git_url_redact(context->path);
		return cb_git_url_parse(context->path, &context->git, err);
	}
	return 0;
}

static struct cb_context *context_free(struct cb_context *context)
{
	if (!context)
		return NULL;
	free(context->name);
	free(context->path);
	free(context->ignore_file);
	free(context->shown);
	free(context->file_name);
	cb_git_url_free(context->git);
	cb_buf_done(&context->buildfile);
	cb_tree_free(context->tree);
	cb_closep(&context->dirfd);
	cb_snapshot_free(context->snapshot);
	cb_ignore_free(context->ignore);
	free(context->store);
	cb_stat_index_free(context->stats);
	free(context);
	return NULL;
}

static int add_named(struct cb_contexts *contexts, const char *pair, struct cb_err **err)
{
	struct cb_named_context *named = &contexts->named[contexts->n_named];
	const char *value = strchr(pair, '=');

	if (!value || value == pair || !value[1])
		return cb_err_set(err, CB_ERR_USAGE, "--build-context %s: expected NAME=VALUE", pair);
	value++;
	named->name = cb_str_lower(cb_xstrndup(pair, (size_t)(value - 1 - pair)));
	contexts->n_named++;
	if (cb_str_starts(value, "docker-image://")) {
		named->kind = CB_CONTEXT_IMAGE;
		named->image = cb_xstrdup(value + strlen("docker-image://"));
	} else if (cb_str_starts(value, "oci-layout://")) {
		named->kind = CB_CONTEXT_IMAGE;
		named->image = cb_xstrdup(value);
	} else {
		enum cb_remote remote = cb_context_kind_of(value);
		int r;

		if (remote == CB_REMOTE_STDIN)
			return cb_err_set(err, CB_ERR_USAGE,
				"--build-context %s: only the main context can come from standard input", pair);
		if (remote == CB_REMOTE_NONE && strstr(value, "://"))
			return cb_err_set(err, CB_ERR_USAGE, "--build-context %s: unknown kind of context", pair);
		named->kind = CB_CONTEXT_DIR;
		named->dir = context_new(named->name, value);
		named->dir->unpack = true;
		r = set_remote(named->dir, remote, err);
		return r < 0 ? cb_err_wrap(err, r, "--build-context %s", named->name) : r;
	}
	return 0;
}

int cb_contexts_new(const struct cb_settings *settings, struct cb_contexts **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_contexts_free) struct cb_contexts *contexts = cb_new0(struct cb_contexts);

	int r;

	contexts->main = context_new(NULL, settings->context);
	contexts->main->unpack = true;
	r = set_remote(contexts->main, cb_context_kind_of(settings->context), err);
	if (r < 0)
		return cb_err_wrap(err, r, "context %s", contexts->main->shown);
	if (settings->file && !cb_str_eq(settings->file, "-") && !cb_context_file_is_url(settings))
		cb_contexts_note_file(contexts, settings->file);
	contexts->named = cb_newa0(struct cb_named_context, settings->build_contexts.n + 1);
	for (size_t i = 0; i < settings->build_contexts.n; i++) {
		r = add_named(contexts, settings->build_contexts.v[i], err);
		if (r < 0)
			return r;
	}
	*ret = CB_TAKE_PTR(contexts);
	return 0;
}

struct cb_contexts *cb_contexts_free(struct cb_contexts *contexts)
{
	if (!contexts)
		return NULL;
	context_free(contexts->main);
	for (size_t i = 0; i < contexts->n_named; i++) {
		free(contexts->named[i].name);
		free(contexts->named[i].image);
		context_free(contexts->named[i].dir);
	}
	for (size_t i = 0; i < contexts->n_added; i++)
		context_free(contexts->added[i]);
	free(contexts->named);
	free(contexts->added);
	free(contexts);
	return NULL;
}

void cb_contexts_note_file(struct cb_contexts *contexts, const char *path)
{
	free(contexts->main->ignore_file);
	contexts->main->ignore_file = cb_xasprintf("%s.dockerignore", path);
}

static int set_checksum(struct cb_context *context, const char *text, struct cb_err **err)
{
	if (context->git) {
		size_t len = strlen(text);

		if (len < 7 || len > 64 || strspn(text, "0123456789abcdefABCDEF") != len)
			return cb_err_set(
				err, CB_ERR_INPUT, "--checksum of a git repository is a commit, not \"%s\"", text);
		if (context->git->checksum)
			return cb_str_ieq(context->git->checksum, text)
				       ? 0
				       : cb_err_set(err, CB_ERR_INPUT, "--checksum=%s conflicts with the URL", text);
		context->git->checksum = cb_str_lower(cb_xstrdup(text));
		return 0;
	}
	return cb_checksum_parse(text, &context->checksum, err);
}

static bool same_source(const struct cb_context *a, const struct cb_context *b)
{
	return a->remote == b->remote && cb_str_eq(a->path, b->path) && cb_str_eq(a->checksum.text, b->checksum.text) &&
	       (!a->git ||
		       (a->git->keep_git_dir == b->git->keep_git_dir && cb_str_eq(a->git->checksum, b->git->checksum)));
}

int cb_contexts_add_remote(struct cb_contexts *contexts, const struct cb_remote_source *source, struct cb_context **ret,
	struct cb_err **err)
{
	struct cb_context *context = context_new(NULL, source->text);
	bool git = cb_git_url_is(source->text, false);
	int r = set_remote(context, git ? CB_REMOTE_GIT : CB_REMOTE_URL, err);

	if (r == 0 && source->has_keep_git_dir && !git)
		r = cb_err_set(err, CB_ERR_INPUT, "--keep-git-dir is for git repositories");
	if (r == 0 && source->has_keep_git_dir)
		context->git->keep_git_dir = source->keep_git_dir;
	if (r == 0 && source->checksum)
		r = set_checksum(context, source->checksum, err);
	context->line = source->line;
	context->col = source->col;
	for (size_t i = 0; i < contexts->n_added && r == 0; i++) {
		if (same_source(contexts->added[i], context)) {
			context_free(context);
			*ret = contexts->added[i];
			return 0;
		}
	}
	if (r < 0) {
		context_free(context);
		return r;
	}
	contexts->added = cb_xreallocarray(contexts->added, contexts->n_added + 1, sizeof(struct cb_context *));
	contexts->added[contexts->n_added++] = context;
	*ret = context;
	return 0;
}

static char *normal_name(const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	if (cb_ref_parse(text, &ref, NULL) < 0)
		return cb_xstrdup(text);
	return cb_ref_familiar(ref, true);
}

static const struct cb_named_context *find_exactly(const struct cb_contexts *contexts, const char *name)
{
	cleanup_free char *normal = NULL;

	for (size_t i = 0; i < contexts->n_named; i++)
		if (cb_str_ieq(contexts->named[i].name, name))
			return &contexts->named[i];
	for (size_t i = 0; i < contexts->n_named; i++) {
		cleanup_free char *other = normal_name(contexts->named[i].name);

		if (!normal)
			normal = normal_name(name);
		if (cb_str_eq(normal, other))
			return &contexts->named[i];
	}
	return NULL;
}

const struct cb_named_context *cb_contexts_find(
	const struct cb_contexts *contexts, const char *name, const struct cb_platform *platform)
{
	const struct cb_named_context *found = NULL;
	char text[CB_PLATFORM_TEXT_MAX];

	if (!contexts->n_named)
		return NULL;
	cb_platform_format(platform, text);
	for (size_t i = 0; i < contexts->n_named && !found; i++) {
		const char *suffix = strstr(contexts->named[i].name, "::");
		cleanup_free char *base = NULL, *mine = NULL, *theirs = NULL;

		if (!suffix || !cb_str_ieq(suffix + 2, text))
			continue;
		base = cb_xstrndup(contexts->named[i].name, (size_t)(suffix - contexts->named[i].name));
		mine = normal_name(base);
		theirs = normal_name(name);
		if (cb_str_ieq(base, name) || cb_str_eq(mine, theirs))
			found = &contexts->named[i];
	}
	return found ? found : find_exactly(contexts, name);
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

enum cb_path_verdict cb_context_verdict(const struct cb_ignore *ignore, const char *path, bool is_dir)
{
	switch (cb_ignore_match(ignore, path, is_dir)) {
	case CB_IGNORE_KEEP:
		return CB_PATH_TAKE;
	case CB_IGNORE_DROP:
		return is_dir ? CB_PATH_PEEK : CB_PATH_DROP;
	case CB_IGNORE_PRUNE:
		break;
	}
	return CB_PATH_DROP;
}

static enum cb_path_verdict verdict(void *userdata, const char *path, bool is_dir)
{
	const struct cb_context *context = userdata;

	if (context->store && cb_path_below(path, context->store))
		return CB_PATH_DROP;
	return cb_context_verdict(context->ignore, path, is_dir);
}

static bool index_lookup(void *userdata, const struct cb_file_id *id, unsigned char sha256[CB_CONTENT_DIGEST_SIZE])
{
	struct stat st = { .st_dev = id->dev, .st_ino = id->ino, .st_size = (off_t)id->size };

	st.st_mtim.tv_sec = id->mtime_ns / 1000000000;
	st.st_mtim.tv_nsec = id->mtime_ns % 1000000000;
	st.st_ctim.tv_sec = id->ctime_ns / 1000000000;
	st.st_ctim.tv_nsec = id->ctime_ns % 1000000000;
	return cb_stat_index_get(userdata, &st, sha256);
}

static void index_store(void *userdata, const struct cb_file_id *id, const unsigned char sha256[CB_CONTENT_DIGEST_SIZE])
{
	struct stat st = { .st_dev = id->dev, .st_ino = id->ino, .st_size = (off_t)id->size };

	st.st_mtim.tv_sec = id->mtime_ns / 1000000000;
	st.st_mtim.tv_nsec = id->mtime_ns % 1000000000;
	st.st_ctim.tv_sec = id->ctime_ns / 1000000000;
	st.st_ctim.tv_nsec = id->ctime_ns % 1000000000;
	cb_stat_index_put(userdata, &st, sha256);
}

struct cb_hash_index cb_context_stat_index(struct cb_stat_index *stats)
{
	return (struct cb_hash_index){ index_lookup, index_store, stats };
}

void cb_context_use_index(struct cb_context *context)
{
	context->index = cb_context_stat_index(context->stats);
}

static int read_ignore(struct cb_context *context, int dirfd, struct cb_err **err)
{
	cleanup_err struct cb_err *absent = NULL;
	cleanup_buf struct cb_buf data = { 0 };
	const char *name = context->ignore_file ? context->ignore_file : ".dockerignore";
	int r = CB_ERR_NOT_FOUND;

	if (context->ignore_file)
		r = cb_file_read_at(AT_FDCWD, context->ignore_file, CB_IGNORE_FILE_MAX, &data, &absent);
	if (r == CB_ERR_NOT_FOUND) {
		absent = cb_err_free(absent);
		name = ".dockerignore";
		r = cb_file_read_at(dirfd, name, CB_IGNORE_FILE_MAX, &data, &absent);
	}
	if (r == CB_ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return cb_err_move(err, CB_TAKE_PTR(absent));
	cb_digest_of(data.data, data.len, &context->ignore_digest);
	r = cb_ignore_parse(cb_buf_str(&data), data.len, &context->ignore, err);
	if (r < 0 && err && *err && !(*err)->file)
		(*err)->file = cb_xstrdup(name);
	return r;
}

/* A store below the context would be copied into itself. */
static int leave_store_out(
	struct cb_context *context, const char *full, const struct cb_store *store, struct cb_err **err)
{
	cleanup_free char *path = realpath(cb_store_path(store), NULL);
	size_t len = full ? strlen(full) : 0;

	if (!path || !len || !cb_path_below(path, full))
		return 0;
	if (path[len] == '\0') {
		cb_err_set(err, CB_ERR_INPUT, "the context %s is the store", context->path);
		return cb_err_hint(err, CB_ERR_INPUT, "choose another directory for one of them");
	}
	context->store = cb_xstrdup(path + len + (full[len - 1] != '/'));
	return 0;
}

int cb_context_open(struct cb_context *context, struct cb_store *store, struct cb_err **err)
{
	cleanup_close int dirfd = -EBADF;
	struct cb_path_filter filter = { .verdict = verdict };
	cleanup_free char *full = NULL;
	int r;

	if (context->tree)
		return 0;
	dirfd = open(context->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 && errno == ENOTDIR)
		return cb_err_set(err, CB_ERR_INPUT, "context %s is not a directory", context->path);
	if (dirfd < 0 && context->name)
		return cb_err_errno(err, errno, "build context %s in %s", context->name, context->path);
	if (dirfd < 0)
		return cb_err_errno(err, errno, "context %s", context->path);
	r = read_ignore(context, dirfd, err);
	if (r < 0)
		return r;
	full = realpath(context->path, NULL);
	r = store ? leave_store_out(context, full, store, err) : 0;
	if (r < 0)
		return r;
	r = cb_stat_index_open(store, full ? full : context->path, &context->stats, err);
	if (r < 0)
		return r;
	cb_context_use_index(context);
	filter.userdata = context;
	return cb_tree_new_plain(dirfd, context->ignore || context->store ? &filter : NULL, true, &context->tree, err);
}

int cb_context_flush(struct cb_context *context, struct cb_err **err)
{
	return context->stats ? cb_stat_index_flush(context->stats, false, err) : 0;
}
