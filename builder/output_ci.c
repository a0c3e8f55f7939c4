/* What was built, for the scripts and CI systems that go on with it: --digest-file, --output-env, --ci-output. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "builder/output_drivers.h"

#define TEKTON_DIR "/tekton/results"

static const char *fact(const json_t *meta, const char *key)
{
	const char *value = json_string_value(json_object_get(meta, key));

	return value ? value : "";
}

static char *first_name(const json_t *meta)
{
	const char *names = fact(meta, "image.name");

	return cb_xstrndup(names, strcspn(names, ","));
}

/* Digests and names have no character that a shell would take for more than it is. */
static int write_env(const char *path, const json_t *meta, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *name = first_name(meta);
	const char *digest = fact(meta, "containerimage.digest");

	cb_buf_addf(&text, "IMAGE_ID=%s\nIMAGE_DIGEST=%s\nIMAGE_NAME=%s\nIMAGE_NAMES=%s\n", cb_output_id(meta), digest,
		name, fact(meta, "image.name"));
	if (*name && *digest)
		cb_buf_addf(&text, "IMAGE_REF=%s@%s\n", name, digest);
	return cb_atomic_write(AT_FDCWD, path, text.data, text.len, 0644, err);
}

/* The outputs of docker/build-push-action. */
static int write_github(const json_t *meta, struct cb_err **err)
{
	const char *path = getenv("GITHUB_OUTPUT");
	cleanup_buf struct cb_buf text = { 0 };
	cleanup_free char *all = cb_json_dump(meta, true);
	cleanup_close int fd = -EBADF;

	assert(path); /* cb_output_ci_check saw it */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	/* JSON of one line cannot hold the line that ends it. */
	cb_buf_addf(&text, "imageid=%s\ndigest=%s\nimage=%s\nmetadata<<cbuild-metadata\n%s\ncbuild-metadata\n",
		cb_output_id(meta), fact(meta, "containerimage.digest"), fact(meta, "image.name"), all);
	if (fd < 0 || cb_fd_write_all(fd, text.data, text.len) < 0)
		return cb_err_errno(err, errno, "write GITHUB_OUTPUT %s", path);
	return 0;
}

/* The results that Tekton Chains looks for. */
static int write_tekton(const char *dir, const json_t *meta, struct cb_err **err)
{
	cleanup_free char *digest = cb_path_join(dir, "IMAGE_DIGEST"), *url = cb_path_join(dir, "IMAGE_URL");
	cleanup_free char *name = first_name(meta);
	const char *text = fact(meta, "containerimage.digest");
	int r = cb_atomic_write(AT_FDCWD, digest, text, strlen(text), 0644, err);

	return r < 0 ? r : cb_atomic_write(AT_FDCWD, url, name, strlen(name), 0644, err);
}

static const char *tekton_dir(const char *mode)
{
	return mode[strlen("tekton")] == '=' ? mode + strlen("tekton") + 1 : TEKTON_DIR;
}

static bool is_tekton(const char *mode)
{
	return !strcmp(mode, "tekton") || cb_str_starts(mode, "tekton=");
}

int cb_output_ci_check(const struct cb_settings *settings, struct cb_err **err)
{
	for (size_t i = 0; i < settings->ci_outputs.n; i++) {
		const char *mode = settings->ci_outputs.v[i], *path = getenv("GITHUB_OUTPUT");

		if (!strcmp(mode, "github") && (!path || !*path))
			return cb_err_set(err, CB_ERR_USAGE, "--ci-output github: GITHUB_OUTPUT is not set");
		if (is_tekton(mode) && access(tekton_dir(mode), W_OK) < 0)
			return cb_err_errno(err, errno, "--ci-output tekton: %s", tekton_dir(mode));
		if (strcmp(mode, "github") != 0 && !is_tekton(mode))
			return cb_err_set(err, CB_ERR_USAGE, "--ci-output is github or tekton[=DIR], not \"%s\"", mode);
	}
	return 0;
}

int cb_output_ci(const struct cb_settings *settings, const json_t *meta, struct cb_err **err)
{
	const char *digest = fact(meta, "containerimage.digest");
	int r = 0;

	if (settings->digest_file)
		r = cb_atomic_write(AT_FDCWD, settings->digest_file, digest, strlen(digest), 0644, err);
	if (r == 0 && settings->output_env)
		r = write_env(settings->output_env, meta, err);
	for (size_t i = 0; r == 0 && i < settings->ci_outputs.n; i++) {
		const char *mode = settings->ci_outputs.v[i];

		r = is_tekton(mode) ? write_tekton(tekton_dir(mode), meta, err) : write_github(meta, err);
	}
	return r;
}
