#include "builder/context.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
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

static int find_default(const struct cb_settings *settings, char **ret, struct cb_err **err)
{
	static const char *const names[] = { "Buildfile", "Dockerfile", "Containerfile", "dockerfile" };
	struct stat st;

	if (cb_str_eq(settings->context, "-"))
		return cb_err_set(err, CB_ERR_UNSUPPORTED, "a context from standard input is not supported yet");
	if (stat(settings->context, &st) < 0)
		return cb_err_errno(err, errno, "context %s", settings->context);
	if (!S_ISDIR(st.st_mode))
		return cb_err_set(err, CB_ERR_INPUT, "context %s is not a directory", settings->context);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *path = cb_xasprintf("%s/%s", settings->context, names[i]);

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

/* ---- contexts ------------------------------------------------------------------------------------------------- */

static struct cb_context *context_new(const char *name, const char *path)
{
	struct cb_context *context = cb_new0(struct cb_context);

	context->name = cb_xstrdup_null(name);
	context->path = cb_xstrdup(path);
	return context;
}

static struct cb_context *context_free(struct cb_context *context)
{
	if (!context)
		return NULL;
	free(context->name);
	free(context->path);
	free(context->ignore_file);
	cb_tree_free(context->tree);
	cb_ignore_free(context->ignore);
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
	} else if (strstr(value, "://") || cb_str_starts(value, "git@")) {
		return cb_err_set(
			err, CB_ERR_UNSUPPORTED, "--build-context %s: remote contexts are not supported yet", pair);
	} else {
		named->kind = CB_CONTEXT_DIR;
		named->dir = context_new(named->name, value);
	}
	return 0;
}

int cb_contexts_new(const struct cb_settings *settings, struct cb_contexts **ret, struct cb_err **err)
{
	CB_CLEANUP(cb_contexts_free) struct cb_contexts *contexts = cb_new0(struct cb_contexts);

	contexts->main = context_new(NULL, settings->context);
	if (settings->file && !cb_str_eq(settings->file, "-"))
		contexts->main->ignore_file = cb_xasprintf("%s.dockerignore", settings->file);
	contexts->named = cb_newa0(struct cb_named_context, settings->build_contexts.n + 1);
	for (size_t i = 0; i < settings->build_contexts.n; i++) {
		int r = add_named(contexts, settings->build_contexts.v[i], err);

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
	free(contexts->named);
	free(contexts);
	return NULL;
}

static char *normal_name(const char *text)
{
	CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;

	if (cb_ref_parse(text, &ref, NULL) < 0)
		return cb_xstrdup(text);
	return cb_ref_familiar(ref, true);
}

const struct cb_named_context *cb_contexts_find(const struct cb_contexts *contexts, const char *name)
{
	cleanup_free char *normal = NULL;

	for (size_t i = 0; i < contexts->n_named; i++) {
		cleanup_free char *other = NULL;

		if (cb_str_ieq(contexts->named[i].name, name))
			return &contexts->named[i];
		if (!normal)
			normal = normal_name(name);
		other = normal_name(contexts->named[i].name);
		if (cb_str_eq(normal, other))
			return &contexts->named[i];
	}
	return NULL;
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

static enum cb_path_verdict verdict(void *userdata, const char *path, bool is_dir)
{
	switch (cb_ignore_match(userdata, path, is_dir)) {
	case CB_IGNORE_KEEP:
		return CB_PATH_TAKE;
	case CB_IGNORE_DROP:
		return is_dir ? CB_PATH_PEEK : CB_PATH_DROP;
	case CB_IGNORE_PRUNE:
		break;
	}
	return CB_PATH_DROP;
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
	r = cb_ignore_parse(cb_buf_str(&data), data.len, &context->ignore, err);
	if (r < 0 && err && *err && !(*err)->file)
		(*err)->file = cb_xstrdup(name);
	return r;
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
	r = cb_stat_index_open(store, full ? full : context->path, &context->stats, err);
	if (r < 0)
		return r;
	context->index = (struct cb_hash_index){ index_lookup, index_store, context->stats };
	filter.userdata = context->ignore;
	return cb_tree_new_plain(dirfd, context->ignore ? &filter : NULL, true, &context->tree, err);
}

int cb_context_flush(struct cb_context *context, struct cb_err **err)
{
	return context->stats ? cb_stat_index_flush(context->stats, false, err) : 0;
}
