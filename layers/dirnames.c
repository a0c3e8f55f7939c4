#include "layers/dirnames.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_SIZE ((size_t)64 << 10)

void cb_dirnames_done(struct cb_dirnames *names)
{
	cb_buf_done(&names->text);
	free(names->v);
	*names = (struct cb_dirnames){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(struct cb_dirnames *names)
{
	const char *p = names->text.data;

	names->v = cb_newa0(const char *, names->n + 1);
	for (size_t i = 0; i < names->n; i++, p += strlen(p) + 1)
		names->v[i] = p;
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), compare);
}

int cb_dirnames_read(int fd, const char *what, struct cb_dirnames *ret, struct cb_err **err)
{
	cleanup_dirnames struct cb_dirnames names = { 0 };
	cleanup_free char *buf = cb_xmalloc(READ_SIZE);

	if (lseek(fd, 0, SEEK_SET) < 0)
		return cb_err_errno(err, errno, "read directory \"%s\"", what);
	for (;;) {
		ssize_t n = getdents64(fd, buf, READ_SIZE);

		if (n < 0)
			return cb_err_errno(err, errno, "read directory \"%s\"", what);
		if (n == 0)
			break;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *de = (const void *)(buf + at);

			at += de->d_reclen;
			if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
				continue;
			cb_buf_add(&names.text, de->d_name, strlen(de->d_name) + 1);
			names.n++;
		}
	}
	sort(&names);
	*ret = names;
	names = (struct cb_dirnames){ 0 };
	return 0;
}
