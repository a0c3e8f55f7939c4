#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/spawn.h"
#include "layers/dockercfg.h"
#include "layers/dockercfg_doc.h"
#include "layers/regauth.h"

/* The file that is changed, read and locked against others who change it. */
struct file {
	char *path, *dir; /* links resolved */
	int lock;         /* of the directory */
	json_t *doc;
};

static void file_done(struct file *file)
{
	free(file->path);
	free(file->dir);
	json_decref(file->doc);
	cb_closep(&file->lock);
}
#define cleanup_file __attribute__((cleanup(file_done)))

static char *file_path(void)
{
	const char *file = getenv("REGISTRY_AUTH_FILE"), *docker = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

	if (file && *file)
		return cb_xstrdup(file);
	if (docker && *docker)
		return cb_xasprintf("%s/config.json", docker);
	return home && *home == '/' ? cb_xasprintf("%s/.docker/config.json", home) : NULL;
}

static int read_doc(struct file *file, struct cb_err **err)
{
	cleanup_buf struct cb_buf data = { 0 };
	int r = cb_file_read_at(AT_FDCWD, file->path, CB_DOCKERCFG_SIZE_MAX, &data, err);

	if (r == CB_ERR_NOT_FOUND) {
		if (err)
			*err = cb_err_free(*err);
		file->doc = json_object();
		return 0;
	}
	if (r == 0 && data.len)
		r = cb_json_parse(data.data, data.len, &file->doc, err);
	else if (r == 0)
		file->doc = json_object();
	if (data.data)
		explicit_bzero(data.data, data.len);
	if (r < 0)
		return cb_err_wrap(err, CB_ERR_INPUT, "%s", file->path);
	if (!json_is_object(file->doc))
		return cb_err_set(err, CB_ERR_INPUT, "%s: not a JSON object", file->path);
	return 0;
}

static int open_file(struct file *file, struct cb_err **err)
{
	cleanup_free char *path = file_path();
	char *real;

	file->lock = -EBADF;
	if (!path)
		return cb_err_set(err, CB_ERR_INPUT, "HOME is not set: there is no place for credentials");
	/* A link to the real file stays one. */
	real = realpath(path, NULL);
	file->path = real ? real : CB_TAKE_PTR(path);
	file->dir = cb_path_dir(file->path);
	if (cb_path_mkdirs(file->dir, 0700) < 0)
		return cb_err_errno(err, errno, "make directory %s", file->dir);
	file->lock = open(file->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->lock < 0 || flock(file->lock, LOCK_EX) < 0)
		return cb_err_errno(err, errno, "lock %s", file->dir);
	return read_doc(file, err);
}

static int write_file(struct file *file, struct cb_err **err)
{
	char *text = json_dumps(file->doc, JSON_INDENT(8));
	int r;

	if (!text)
		abort(); /* only out of memory: the document was parsed */
	r = cb_atomic_write(AT_FDCWD, file->path, text, strlen(text), 0600, err);
	explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

/* The program that keeps credentials of @host, or NULL: the file does. */
static const char *helper_of(const struct file *file, const char *host)
{
	const json_t *own = cb_dockercfg_find(json_object_get(file->doc, "credHelpers"), host, NULL);
	const char *name = json_string_value(own ? own : json_object_get(file->doc, "credsStore"));

	return name && *name ? name : NULL;
}

static int run_helper(const char *helper, const char *verb, const char *input, char **ret_where, struct cb_err **err)
{
	cleanup_free char *program = cb_xasprintf("docker-credential-%s", helper), *said = NULL;
	cleanup_buf struct cb_buf out = { 0 };
	int r = cb_dockercfg_call(helper, verb, input, &out, &said, err);

	if (r < 0)
		return r;
	if (r > 0)
		return cb_err_set(err, CB_ERR_DENIED, "%s %s: exit status %d: %.300s", program, verb, r, said);
	*ret_where = CB_TAKE_PTR(program);
	return 0;
}

/* Every spelling of @host goes. */
static void drop_auths(struct file *file, const char *host)
{
	json_t *auths = json_object_get(file->doc, "auths");
	const char *key = NULL;

	while (cb_dockercfg_find(auths, host, &key))
		json_object_del(auths, key);
}

static int save_by_helper(
	const char *helper, const char *host, const struct cb_credential *cred, char **ret_where, struct cb_err **err)
{
	cleanup_json json_t *doc = json_pack("{s:s, s:s, s:s}", "ServerURL", cb_dockercfg_server(host), "Username",
		cred->username, "Secret", cred->password);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	int r;

	if (!text)
		return cb_err_set(err, CB_ERR_INPUT, "user and password are not UTF-8");
	r = run_helper(helper, "store", text, ret_where, err);
	explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

int cb_dockercfg_save(const char *host, const struct cb_credential *cred, char **ret_where, struct cb_err **err)
{
	cleanup_file struct file file = { 0 };
	cleanup_free char *plain = cb_dockercfg_plain_key(host), *where = NULL, *basic = NULL;
	const char *helper;
	json_t *auths, *entry = json_object();
	int r = open_file(&file, err);

	if (r == 0 && (helper = helper_of(&file, plain))) {
		r = save_by_helper(helper, plain, cred, &where, err);
	} else if (r == 0) {
		basic = cb_regauth_basic(cred->username, cred->password);
		json_object_set_new(entry, "auth", json_string(basic + strlen("Basic ")));
		explicit_bzero(basic, strlen(basic));
	}
	if (r < 0) {
		json_decref(entry);
		return r;
	}
	drop_auths(&file, plain);
	auths = json_object_get(file.doc, "auths");
	if (!json_is_object(auths)) {
		auths = json_object();
		json_object_set_new(file.doc, "auths", auths);
	}
	/* An empty entry says that a helper has it. */
	json_object_set_new(auths, cb_dockercfg_server(plain), entry);
	r = write_file(&file, err);
	if (r < 0)
		return r;
	*ret_where = where ? CB_TAKE_PTR(where) : cb_xstrdup(file.path);
	return 0;
}

int cb_dockercfg_erase(const char *host, char **ret_where, struct cb_err **err)
{
	cleanup_file struct file file = { 0 };
	cleanup_free char *plain = cb_dockercfg_plain_key(host), *where = NULL;
	const char *helper, *key = NULL;
	bool any;
	int r = open_file(&file, err);

	if (r < 0)
		return r;
	helper = helper_of(&file, plain);
	any = cb_dockercfg_find(json_object_get(file.doc, "auths"), plain, &key) != NULL;
	if (!any && !helper)
		return 1;
	if (helper) {
		r = run_helper(helper, "erase", cb_dockercfg_server(plain), &where, err);
		if (r < 0)
			return r;
	}
	drop_auths(&file, plain);
	if (any)
		r = write_file(&file, err);
	if (r < 0)
		return r;
	*ret_where = where ? CB_TAKE_PTR(where) : cb_xstrdup(file.path);
	return 0;
}
