/*
 * Which deflate for layers: ratio and speed of each library and level, one thread, on blocks of 1 MiB that each end on
 * a byte boundary (as layers/compress_gzip.c cuts them). libdeflate cannot end a block that way and stands here for
 * comparison only.
 *
 *   cc -O2 -o gzip bench/gzip.c -lisal -lz -ldeflate && ./gzip FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <isa-l.h>
#include <libdeflate.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK ((size_t)1 << 20)
#define OUT (BLOCK + BLOCK / 8)

static uint8_t out[OUT];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t with_isal(const uint8_t *in, size_t len, size_t before, int level)
{
	static const uint32_t sizes[] = { ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
		ISAL_DEF_LVL3_DEFAULT };
	static uint8_t *level_buf;
	static struct isal_zstream s;

	if (!level_buf)
		level_buf = malloc(ISAL_DEF_LVL3_DEFAULT);
	isal_deflate_init(&s);
	s.level = (uint32_t)level;
	s.level_buf = level_buf;
	s.level_buf_size = sizes[level];
	s.flush = FULL_FLUSH;
	if (before > 0)
		isal_deflate_set_dict(&s, (uint8_t *)(uintptr_t)(in - before), (uint32_t)before);
	s.next_in = (uint8_t *)(uintptr_t)in;
	s.avail_in = (uint32_t)len;
	s.next_out = out;
	s.avail_out = OUT;
	if (isal_deflate(&s) != COMP_OK || s.avail_in > 0)
		abort();
	return OUT - s.avail_out;
}

static size_t with_zlib(const uint8_t *in, size_t len, size_t before, int level)
{
	z_stream s = { 0 };
	size_t n;

	if (deflateInit2(&s, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	if (before > 0)
		deflateSetDictionary(&s, in - before, (uInt)before);
	s.next_in = (Bytef *)(uintptr_t)in;
	s.avail_in = (uInt)len;
	s.next_out = out;
	s.avail_out = OUT;
	if (deflate(&s, Z_SYNC_FLUSH) != Z_OK || s.avail_in > 0)
		abort();
	n = OUT - s.avail_out;
	deflateEnd(&s);
	return n;
}

static size_t with_libdeflate(const uint8_t *in, size_t len, size_t before, int level)
{
	static struct libdeflate_compressor *c;
	static int have = -1;

	(void)before;
	if (have != level) {
		libdeflate_free_compressor(c);
		c = libdeflate_alloc_compressor(level);
		have = level;
	}
	return libdeflate_deflate_compress(c, in, len, out, OUT);
}

static const struct {
	const char *name;
	size_t (*run)(const uint8_t *in, size_t len, size_t before, int level);
	int from, to;
} libraries[] = {
	{ "isal", with_isal, 0, 3 },
	{ "zlib", with_zlib, 1, 6 },
	{ "libdeflate", with_libdeflate, 1, 6 },
};

int main(int argc, char **argv)
{
	size_t len, dict;
	uint8_t *data;
	int fd;

	if (argc != 2 || (fd = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0) {
		fprintf(stderr, "usage: gzip FILE (%s)\n", strerror(errno));
		return 2;
	}
	len = (size_t)lseek(fd, 0, SEEK_END);
	data = malloc(len + 1);
	if (!data || len == 0 || pread(fd, data, len, 0) != (ssize_t)len) {
		perror(argv[1]);
		return 1;
	}

	printf("%-12s %5s %10s %8s %8s\n", "library", "level", "dictionary", "ratio", "MB/s");
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		for (int level = libraries[i].from; level <= libraries[i].to; level++) {
			for (dict = 0; dict <= 32768; dict += 32768) {
				double start = now(), took;
				size_t total = 0;

				if (dict > 0 && libraries[i].run == with_libdeflate)
					continue;
				for (size_t at = 0; at < len; at += BLOCK) {
					size_t n = len - at < BLOCK ? len - at : BLOCK;

					total += libraries[i].run(data + at, n, at < dict ? at : dict, level);
				}
				took = now() - start;
				printf("%-12s %5d %10s %8.3f %8.0f\n", libraries[i].name, level,
					dict ? "32 KiB" : "none", (double)len / (double)total,
					(double)len / took / 1e6);
				fflush(stdout);
			}
		}
	}
	free(data);
	close(fd);
	return 0;
}
