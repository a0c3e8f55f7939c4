/* library: layers */
/*
 * Unpacking: any bytes, as a plain or compressed layer, into a directory in memory. Nothing may appear beside it, and
 * what was unpacked must be removable and readable by the tar writer again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "layers/apply.h"
#include "layers/compress.h"
#include "layers/diff.h"
#include "layers/tarformat.h"
#include "layers/tarwrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];
static int topfd = -1;

static void clean_up(void)
{
	cb_path_remove_tree(AT_FDCWD, top, NULL);
}

static void set_up(void)
{
	snprintf(top, sizeof(top), "%s/cbuild-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(top))
		abort();
	topfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (topfd < 0)
		abort();
	atexit(clean_up);
}

static int discard(void *arg, const void *data, size_t len, struct cb_err **err)
{
	(void)arg;
	(void)data;
	(void)len;
	(void)err;
	return 0;
}

/** Only "in" may be there. */
static void check_top(void)
{
	struct stat st;

	if (fstat(topfd, &st) < 0 || st.st_nlink > 3)
		abort();
}

/** Gives every block that looks like a header the checksum that the unpacker asks for. */
static void repair(uint8_t *data, size_t size)
{
	for (; size >= sizeof(struct cb_tar_header); data += CB_TAR_BLOCK, size -= CB_TAR_BLOCK) {
		struct cb_tar_header *h = (void *)data;
		unsigned int sum;

		if (memcmp(h->magic, "ustar", 5) != 0)
			continue;
		sum = cb_tar_checksum(h);
		for (size_t i = 6; i > 0; i--, sum >>= 3)
			h->checksum[i - 1] = (char)('0' + (sum & 7));
		h->checksum[6] = '\0';
		h->checksum[7] = ' ';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cb_decompress_limits limits = { 4 << 20, 0 };
	struct cb_apply_spec spec = {
		.flavour = CB_FLAVOUR_USER, .no_devices = true, .limits = { 200, 4 << 20, 4 << 20 }
	};
	struct cb_source_mem mem = { 0 };
	struct cb_decompressor *d = NULL;
	cleanup_free uint8_t *copy = NULL;

	if (topfd < 0)
		set_up();
	if (size < 1 || mkdirat(topfd, "in", 0755) < 0)
		return 0;
	/* The first byte chooses how. */
	copy = cb_xmemdup(data + 1, size - 1);
	if (!(data[0] & 4))
		repair(copy, size - 1);
	mem = (struct cb_source_mem){ copy, size - 1, 0 };
	spec.layer = data[0] & 1;
	spec.dirfd = openat(topfd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spec.dirfd < 0)
		abort();
	if (cb_decompressor_open(cb_source_mem(&mem), &limits, &d, NULL) == 0 &&
		cb_apply(&spec, cb_decompressor_source(d), NULL, NULL) == 0) {
		const struct cb_diff_spec diff = { .fs_fd = spec.dirfd, .flavour = CB_FLAVOUR_USER };

		if (cb_diff_tar(&diff, (struct cb_sink){ discard, NULL }, NULL, NULL) < 0)
			abort();
	}
	cb_decompressor_free(d);
	close(spec.dirfd);
	check_top();
	if (cb_path_remove_tree(topfd, "in", NULL) < 0)
		abort();
	return 0;
}
