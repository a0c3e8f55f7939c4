/* Destination files, the image ID file and the metadata file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "base/fd.h"
#include "builder/output_drivers.h"

int cb_output_file_open(const char *dest, struct cb_output_file *ret, struct cb_err **err)
{
	struct cb_output_file file = { .dest = dest, .fd = STDOUT_FILENO };
	struct stat st;
	int r = 0;

	if (strcmp(dest, "-") != 0) {
		/* A fifo or a device is written to, not replaced. */
		if (stat(dest, &st) == 0 && !S_ISREG(st.st_mode)) {
			file.fd = open(dest, O_WRONLY | O_CLOEXEC);
			r = file.fd < 0 ? cb_err_errno(err, errno, "open %s", dest) : 0;
		} else {
			r = cb_atomic_open(AT_FDCWD, dest, 0644, &file.fd, &file.tmp, err);
		}
	}
	if (r < 0)
		return r;
	*ret = file;
	return 0;
}

int cb_output_file_close(struct cb_output_file *file, int r, struct cb_err **err)
{
	if (r < 0)
		cb_err_wrap(err, r, "output %s", file->fd == STDOUT_FILENO ? "to standard output" : file->dest);
	if (file->tmp) {
		if (r == 0)
			r = cb_atomic_commit(AT_FDCWD, file->fd, file->tmp, file->dest, err);
		if (r < 0)
			cb_atomic_abort(AT_FDCWD, file->tmp);
	}
	if (file->fd != STDOUT_FILENO && close(file->fd) < 0 && r == 0)
		r = cb_err_errno(err, errno, "write %s", file->dest);
	free(file->tmp);
	return r;
}

const char *cb_output_id(const json_t *meta)
{
	const char *id = json_string_value(json_object_get(meta, "containerimage.config.digest"));

	if (!id)
		id = json_string_value(json_object_get(meta, "containerimage.digest"));
	return id ? id : "";
}

int cb_output_iidfile(const char *path, const json_t *meta, struct cb_err **err)
{
	const char *id = cb_output_id(meta);

	return cb_atomic_write(AT_FDCWD, path, id, strlen(id), 0644, err);
}

int cb_output_metadata_file(const char *path, json_t *meta, struct cb_err **err)
{
	char *text = json_dumps(meta, JSON_INDENT(2) | JSON_SORT_KEYS);
	int r;

	if (!text)
		abort(); /* only out of memory: the object is ours */
	r = cb_atomic_write(AT_FDCWD, path, text, strlen(text), 0644, err);
	free(text);
	return r;
}
