/* Replays a corpus through a libFuzzer target without libFuzzer: each argument is a file or a directory of files. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static void replay_file(const char *path)
{
	cleanup_buf struct cb_buf buf = { 0 };
	cleanup_err struct cb_err *err = NULL;

	if (cb_file_read_at(-100 /* AT_FDCWD */, path, (size_t)64 << 20, &buf, &err) < 0) {
		fprintf(stderr, "%s: %s\n", path, cb_err_msg(err));
		exit(1);
	}
	LLVMFuzzerTestOneInput((const uint8_t *)cb_buf_str(&buf), buf.len);
	replayed++;
}

static void replay_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		cleanup_free char *file = cb_xasprintf("%s/%s", path, entry->d_name);

		if (entry->d_name[0] != '.')
			replay_file(file);
	}
	if (dir)
		closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) < 0) {
			perror(argv[i]);
			return 1;
		}
		if (S_ISDIR(st.st_mode))
			replay_dir(argv[i]);
		else
			replay_file(argv[i]);
	}
	printf("%zu inputs replayed\n", replayed);
	return replayed ? 0 : 1;
}
