/*
 * Layers against the floor: commit (snapshot -> tar -> diff ID -> gzip -> blob) and unpack (blob -> files), beside
 * small loops that do the same necessary work without a builder around it.
 *
 *   cmake --preset release && cmake --build --preset release
 *   cc -O2 -D_GNU_SOURCE -DCB_HAVE_ISAL -I. -o layers bench/layers.c build/release/layers/libcb_layers.a \
 *      build/release/base/libcb_base.a $(pkg-config --libs libarchive libzstd zlib libcrypto libcurl sqlite3 jansson \
 *      libisal) -lpthread
 *   ./layers DIR [FILES [MIB]]      DIR on the file system to measure; 50000 files of 1024 MiB together by default
 */
#include <fcntl.h>
#include <isa-l.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "base/pool.h"
#include "layers/apply.h"
#include "layers/layercommit.h"

#define PER_DIR 100
#define CHUNK ((size_t)1 << 20)

static size_t n_files = 50000, file_size;
static int top;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/** Half text, half noise: about what binaries and sources give. */
static void fill(char *buf, size_t len, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		buf[i] = (i >> 9) & 1 ? "int static return if (x == 0) {} \n\t; void"[(x >> 16) % 40]
				      : (char)(x >> 24 & 63);
	}
}

static void make_files(void)
{
	char *buf = malloc(file_size), name[64];

	if (mkdirat(top, "fs", 0755) < 0)
		die("fs");
	for (size_t i = 0; i < n_files; i++) {
		int fd;

		snprintf(name, sizeof(name), "fs/d%zu", i / PER_DIR);
		if (i % PER_DIR == 0)
			mkdirat(top, name, 0755);
		snprintf(name, sizeof(name), "fs/d%zu/f%zu", i / PER_DIR, i);
		fd = openat(top, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		fill(buf, file_size, (unsigned int)i);
		if (fd < 0 || write(fd, buf, file_size) != (ssize_t)file_size)
			die(name);
		close(fd);
	}
	free(buf);
}

/* The floor of a commit: read everything, hash it, compress it with two threads, hash and write the result. */
struct floor_part {
	size_t from, to;
	size_t out;
};

static void *floor_compress(void *arg)
{
	struct floor_part *part = arg;
	uint8_t *in = malloc(CHUNK), *out = malloc(2 * CHUNK), *level = malloc(ISAL_DEF_LVL2_DEFAULT);
	EVP_MD_CTX *md = EVP_MD_CTX_new(), *blob = EVP_MD_CTX_new();
	struct isal_zstream *s = malloc(sizeof(*s));
	size_t have = 0;
	char name[64];
	int fd;

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	EVP_DigestInit_ex(blob, EVP_sha256(), NULL);
	snprintf(name, sizeof(name), "floor%zu.gz", part->from);
	fd = openat(top, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	for (size_t i = part->from; i < part->to; i++) {
		int src;

		snprintf(name, sizeof(name), "fs/d%zu/f%zu", i / PER_DIR, i);
		src = openat(top, name, O_RDONLY | O_CLOEXEC);
		for (size_t left = file_size; left > 0;) {
			ssize_t n = read(src, in + have, left < CHUNK - have ? left : CHUNK - have);

			if (n <= 0)
				die(name);
			EVP_DigestUpdate(md, in + have, (size_t)n);
			have += (size_t)n;
			left -= (size_t)n;
			if (have < CHUNK && (left > 0 || i + 1 < part->to))
				continue;
			isal_deflate_init(s);
			s->level = 2;
			s->level_buf = level;
			s->level_buf_size = ISAL_DEF_LVL2_DEFAULT;
			s->flush = FULL_FLUSH;
			s->next_in = in;
			s->avail_in = (uint32_t)have;
			s->next_out = out;
			s->avail_out = 2 * CHUNK;
			isal_deflate(s);
			part->out += 2 * CHUNK - s->avail_out;
			EVP_DigestUpdate(blob, out, 2 * CHUNK - s->avail_out);
			if (write(fd, out, 2 * CHUNK - s->avail_out) < 0)
				die("write");
			have = 0;
		}
		close(src);
	}
	close(fd);
	EVP_MD_CTX_free(md);
	EVP_MD_CTX_free(blob);
	free(s);
	free(in);
	free(out);
	free(level);
	return NULL;
}

static double floor_commit(void)
{
	struct floor_part parts[2] = { { 0, n_files / 2, 0 }, { n_files / 2, n_files, 0 } };
	double start = now();
	pthread_t other;

	pthread_create(&other, NULL, floor_compress, &parts[0]);
	floor_compress(&parts[1]);
	pthread_join(other, NULL);
	return now() - start;
}

static double our_commit(struct cb_store *store, enum cb_codec codec, struct cb_layer *layer)
{
	CB_CLEANUP(cb_pool_free) struct cb_pool *pool = cb_pool_new("bench", cb_cpu_count());
	struct cb_diff_spec spec = { .flavour = CB_FLAVOUR_TRUSTED };
	struct cb_compress_spec compression = { codec, CB_LEVEL_DEFAULT };
	cleanup_err struct cb_err *err = NULL;
	double start = now();

	spec.fs_fd = openat(top, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cb_layer_commit(store, &spec, &compression, pool, layer, &err) < 0) {
		fprintf(stderr, "%s\n", cb_err_msg(err));
		exit(1);
	}
	close(spec.fs_fd);
	return now() - start;
}

/* The floor of unpacking: two threads, one inflates and hashes, the other makes the files it knows of. */
struct pipe_ends {
	int in, out;
};

static void *floor_inflate(void *arg)
{
	struct pipe_ends *p = arg;
	struct inflate_state *s = malloc(sizeof(*s));
	uint8_t *in = malloc(CHUNK), *out = malloc(CHUNK);
	EVP_MD_CTX *md = EVP_MD_CTX_new(), *blob = EVP_MD_CTX_new();
	ssize_t n;

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	EVP_DigestInit_ex(blob, EVP_sha256(), NULL);
	isal_inflate_init(s);
	s->crc_flag = ISAL_GZIP;
	while ((n = read(p->in, in, CHUNK)) > 0) {
		EVP_DigestUpdate(blob, in, (size_t)n);
		s->next_in = in;
		s->avail_in = (uint32_t)n;
		do {
			s->next_out = out;
			s->avail_out = CHUNK;
			isal_inflate(s);
			EVP_DigestUpdate(md, out, CHUNK - s->avail_out);
			for (size_t at = 0; at < CHUNK - s->avail_out;)
				at += (size_t)write(p->out, out + at, CHUNK - s->avail_out - at);
		} while (s->avail_out == 0);
	}
	close(p->out);
	EVP_MD_CTX_free(md);
	EVP_MD_CTX_free(blob);
	free(s);
	free(in);
	free(out);
	return NULL;
}

static void read_all(int fd, char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, buf, len);

		if (n <= 0)
			die("pipe");
		buf += n;
		len -= (size_t)n;
	}
}

static double floor_unpack(int blob)
{
	size_t padded = (file_size + 511) / 512 * 512;
	char *buf = malloc(padded), name[64], header[512];
	const struct timespec times[2] = { { 0, 0 }, { 0, 0 } };
	struct pipe_ends ends = { blob, -1 };
	double start = now();
	pthread_t other;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	fcntl(fds[0], F_SETPIPE_SZ, 1 << 20);
	ends.out = fds[1];
	pthread_create(&other, NULL, floor_inflate, &ends);
	mkdirat(top, "floor", 0755);
	for (size_t i = 0, dir = 0; i < n_files; i++) {
		int fd, dirfd = -1;

		read_all(fds[0], header, sizeof(header));
		if (header[156] == '5') {
			snprintf(name, sizeof(name), "floor/%zu", dir++);
			mkdirat(top, name, 0755);
			read_all(fds[0], header, sizeof(header));
		}
		snprintf(name, sizeof(name), "floor/%zu/%zu", dir - 1, i);
		fd = openat(top, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		(void)dirfd;
		read_all(fds[0], buf, padded);
		if (fd < 0 || write(fd, buf, file_size) != (ssize_t)file_size || fchown(fd, 0, 0) < 0 ||
			fchmod(fd, 0644) < 0 || futimens(fd, times) < 0)
			die(name);
		close(fd);
	}
	while (read(fds[0], buf, padded) > 0)
		;
	close(fds[0]);
	pthread_join(other, NULL);
	free(buf);
	return now() - start;
}

struct hashed {
	struct cb_source src;
	struct cb_hasher *hasher;
};

static ssize_t read_hashed(void *arg, void *buf, size_t len, struct cb_err **err)
{
	struct hashed *h = arg;
	ssize_t n = h->src.read(h->src.arg, buf, len, err);

	if (n > 0)
		cb_hasher_add(h->hasher, buf, (size_t)n);
	return n;
}

static double our_unpack(int blob)
{
	CB_CLEANUP(cb_decompressor_free) struct cb_decompressor *d = NULL;
	struct hashed in = { cb_source_fd(&blob), cb_hasher_new() }, out = { .hasher = cb_hasher_new() };
	struct cb_apply_spec spec = { .layer = true, .flavour = CB_FLAVOUR_TRUSTED };
	cleanup_err struct cb_err *err = NULL;
	struct cb_readahead *ahead;
	double start = now();

	mkdirat(top, "ours", 0755);
	spec.dirfd = openat(top, "ours", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cb_decompressor_open((struct cb_source){ read_hashed, &in }, NULL, &d, &err) < 0)
		goto fail;
	out.src = cb_decompressor_source(d);
	ahead = cb_readahead_new((struct cb_source){ read_hashed, &out }, 256 << 10, 8);
	if (cb_apply(&spec, cb_readahead_source(ahead), NULL, &err) < 0)
		goto fail;
	cb_readahead_free(ahead);
	cb_hasher_free(in.hasher);
	cb_hasher_free(out.hasher);
	close(spec.dirfd);
	return now() - start;
fail:
	fprintf(stderr, "%s\n", cb_err_msg(err));
	exit(1);
}

int main(int argc, char **argv)
{
	static const enum cb_codec codecs[] = { CB_CODEC_GZIP, CB_CODEC_ZSTD, CB_CODEC_NONE };
	struct cb_layer layers[3] = { 0 };
	struct cb_store *store = NULL;
	struct rusage usage;
	double base, took;
	char path[4096];
	int blob = -1;

	if (argc < 2) {
		fprintf(stderr, "usage: layers DIR [FILES [MIB]]\n");
		return 2;
	}
	if (argc > 2)
		n_files = (size_t)atol(argv[2]) / PER_DIR * PER_DIR;
	file_size = ((argc > 3 ? (size_t)atol(argv[3]) : 1024) << 20) / n_files;
	snprintf(path, sizeof(path), "%s/bench-XXXXXX", argv[1]);
	if (!mkdtemp(path) || (top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		die(path);
	make_files();
	snprintf(path + strlen(path), 64, "/store");
	if (cb_store_open(path, CB_STORE_TRUSTED, &store, NULL) < 0)
		die("store");

	printf("%zu files of %zu bytes\n", n_files, file_size);
	base = floor_commit();
	printf("%-16s %7.2f s\n", "commit, floor", base);
	for (size_t i = 0; i < 3; i++) {
		took = our_commit(store, codecs[i], &layers[i]);
		printf("%-7s%-9s %7.2f s  %.2f x  %llu -> %llu bytes\n", "commit ", cb_codec_name(codecs[i]), took,
			took / base, (unsigned long long)layers[i].size, (unsigned long long)layers[i].blob.size);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("max RSS %ld KiB\n", usage.ru_maxrss);

	cb_blob_open(store, &layers[0].blob.digest, &blob, NULL, NULL);
	base = floor_unpack(blob);
	printf("%-16s %7.2f s\n", "unpack, floor", base);
	lseek(blob, 0, SEEK_SET);
	took = our_unpack(blob);
	printf("%-16s %7.2f s  %.2f x\n", "unpack", took, took / base);
	close(blob);
	for (size_t i = 0; i < 3; i++)
		cb_layer_done(&layers[i]);
	cb_store_free(store);
	path[strlen(path) - strlen("/store")] = '\0';
	cb_path_remove_tree(AT_FDCWD, path, NULL);
	return 0;
}
