#include "builder/step_trust.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layers/dest.h"

#define TARGET "/run/cbuild/ca-certificates.crt"
#define BEGIN_MARK "\n# trusted for this build only: begin\n"
#define END_MARK "# trusted for this build only: end\n"

/* Debian, Alpine, Arch; Fedora; openSUSE; older Red Hat; OpenBSD's name, which Alpine has, too. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/var/lib/ca-certificates/ca-bundle.pem",
	"/etc/pki/tls/cacert.pem",
	"/etc/ca-certificates/extracted/tls-ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

/* OpenSSL and Go, Node, Python's requests and pip, curl, git, AWS tools, Cargo, Deno, gRPC, Nix. */
static const char *const variables[] = { "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "PIP_CERT",
	"CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "DENO_CERT",
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NIX_SSL_CERT_FILE" };

/* A bundle that was given the certificates. */
struct placed {
	char *path;
	struct stat st; /* as we left it */
};

struct cb_trust {
	struct cb_buf block, merged;
	struct placed placed[ARRAY_SIZE(bundles)];
	size_t n;
};

static int read_host_bundle(struct cb_buf *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(bundles); i++)
		if (cb_file_read_at(AT_FDCWD, bundles[i], CB_TRUST_MAX, ret, NULL) == 0)
			return 0;
	return -1;
}

int cb_trust_load(const char *value, struct cb_buf *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf pem = { 0 };
	int r = 0;

	if (strcmp(value, CB_TRUST_HOST) == 0) {
		if (read_host_bundle(&pem) < 0)
			return cb_err_set(err, CB_ERR_USAGE,
				"--ca-cert host: this host has no bundle of certificates (package ca-certificates)");
	} else {
		r = cb_file_read_at(AT_FDCWD, value, CB_TRUST_MAX, &pem, err);
	}
	if (r < 0)
		return cb_err_wrap(err, CB_ERR_USAGE, "--ca-cert");
	if (!strstr(cb_buf_str(&pem), "-----BEGIN CERTIFICATE-----") &&
		!strstr(cb_buf_str(&pem), "-----BEGIN TRUSTED CERTIFICATE-----"))
		return cb_err_set(err, CB_ERR_USAGE, "--ca-cert %s: there is no PEM certificate in it", value);
	cb_buf_adds(ret, BEGIN_MARK);
	cb_buf_add(ret, pem.data, pem.len);
	cb_buf_adds(ret, pem.data[pem.len - 1] == '\n' ? END_MARK : "\n" END_MARK);
	return 0;
}

/* ---- before ---------------------------------------------------------------------------------------------------- */

/* The image's file as it is, with the certificates behind, in the upper. */
static int place(struct cb_trust *trust, struct cb_dest *dest, const char *path, const struct stat *st,
	const struct cb_buf *content, struct cb_err **err)
{
	const struct cb_dest_attr missing = { .mode = 0755 };
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	struct placed *p = &trust->placed[trust->n];
	cleanup_free char *dir = cb_path_dir(path);
	cleanup_close int up = -EBADF, fd = -EBADF;
	int r = cb_dest_mkdirs(dest, dir, &missing, &up, err);

	if (r < 0)
		return r;
	fd = openat(up, cb_path_base(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || cb_fd_write_all(fd, content->data, content->len) < 0 ||
		cb_fd_write_all(fd, trust->block.data, trust->block.len) < 0)
		return cb_err_errno(err, errno, "write %s", path);
	/* With one user id, everything has the only owner there is. */
	(void)!fchown(fd, st->st_uid, st->st_gid);
	if (fchmod(fd, st->st_mode & 07777) < 0 || futimens(fd, times) < 0 || fstat(fd, &p->st) < 0)
		return cb_err_errno(err, errno, "write %s", path);
	p->path = cb_xstrdup(path);
	trust->n++;
	return 0;
}

static const struct placed *find_placed(const struct cb_trust *trust, const char *path)
{
	for (size_t i = 0; i < trust->n; i++)
		if (strcmp(trust->placed[i].path, path) == 0)
			return &trust->placed[i];
	return NULL;
}

/* One bundle of the image, if it has it; links lead to the same file from several places. */
static int use_bundle(
	struct cb_trust *trust, struct cb_tree *tree, struct cb_dest *dest, const char *name, struct cb_err **err)
{
	cleanup_buf struct cb_buf content = { 0 };
	cleanup_free char *path = NULL;
	struct stat st;
	int r;

	/* What leads nowhere, or around in circles, is no bundle. */
	if (cb_tree_resolve(tree, name, CB_TREE_FOLLOW, &path, NULL) < 0)
		return 0;
	r = cb_tree_stat(tree, path, &st, err);
	if (r != 0 || !S_ISREG(st.st_mode) || find_placed(trust, path))
		return r < 0 ? r : 0;
	r = cb_tree_read_file(tree, path, CB_TRUST_MAX, &content, err);
	if (r != 0)
		return r < 0 ? cb_err_wrap(err, r, "%s of the image", name) : 0;
	if (!trust->merged.len)
		cb_buf_add(&trust->merged, content.data, content.len);
	return dest ? place(trust, dest, path, &st, &content, err) : 0;
}

static int prepare(struct cb_trust *trust, struct cb_tree *tree, int upper, struct cb_err **err)
{
	CB_CLEANUP(cb_dest_free) struct cb_dest *dest = NULL;
	int r = upper >= 0 ? cb_dest_new(tree, upper, &dest, err) : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bundles); i++)
		r = use_bundle(trust, tree, dest, bundles[i], err);
	return r == 0 && dest ? cb_dest_finish(dest, err) : r;
}

int cb_trust_begin(struct cb_tree *tree, const struct cb_buf *block, int upper, struct cb_strv *env,
	struct cb_run_mount *ret_mount, struct cb_trust **ret, struct cb_err **err)
{
	struct cb_trust *trust = cb_new0(struct cb_trust);
	int r;

	cb_buf_add(&trust->block, block->data, block->len);
	r = prepare(trust, tree, upper, err);
	if (r < 0) {
		cb_trust_free(trust);
		return r;
	}
	/* A step that installs the usual certificates and then uses them finds them here, too. */
	if (!trust->merged.len)
		(void)read_host_bundle(&trust->merged);
	cb_buf_add(&trust->merged, block->data, block->len);
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (!cb_env_get(env, variables[i]))
			cb_env_set(env, variables[i], TARGET);
	*ret_mount = (struct cb_run_mount)CB_RUN_MOUNT_INIT;
	ret_mount->kind = CB_RUN_MOUNT_FILE;
	ret_mount->target = TARGET;
	ret_mount->readonly = true;
	ret_mount->data = trust->merged.data;
	ret_mount->len = trust->merged.len;
	ret_mount->mode = 0444;
	*ret = trust;
	return 0;
}

/* ---- after ------------------------------------------------------------------------------------------------------ */

/* Removes every @block from @content; false when there is none. */
static bool cut(struct cb_buf *content, const struct cb_buf *block)
{
	char *at = content->data;
	bool found = false;

	while ((at = memmem(at, content->len - (size_t)(at - content->data), block->data, block->len))) {
		content->len -= block->len;
		memmove(at, at + block->len, content->len - (size_t)(at - content->data));
		found = true;
	}
	return found;
}

/* The times stay as they are. */
static int rewrite(int fd, const struct stat *st, const struct cb_buf *content, const char *path, struct cb_err **err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (lseek(fd, 0, SEEK_SET) < 0 || cb_fd_write_all(fd, content->data, content->len) < 0 ||
		ftruncate(fd, (off_t)content->len) < 0 || futimens(fd, times) < 0)
		return cb_err_errno(err, errno, "take the certificates out of %s", path);
	return 0;
}

static bool untouched(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_gid == b->st_gid && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_nlink == b->st_nlink;
}

static int remove_placed(int dir, const char *path, struct cb_err **err)
{
	struct stat st;

	/* The directory has the times that it had before we came, or those of the step. */
	if (fstat(dir, &st) < 0 || unlinkat(dir, cb_path_base(path), 0) < 0)
		return cb_err_errno(err, errno, "take the certificates out of %s", path);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	return futimens(dir, times) < 0 ? cb_err_errno(err, errno, "set times") : 0;
}

struct search {
	const struct cb_trust *trust;
	int upper;
};

/* Any file of the step: it may have copied or moved the bundle to wherever it liked. */
static int take_out(
	void *userdata, const char *path, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct cb_err **err)
{
	const struct search *search = userdata;
	const struct cb_buf *block = &search->trust->block;
	const struct placed *placed = find_placed(search->trust, path);
	cleanup_free char *parent = cb_path_dir(path);
	cleanup_close int up = -EBADF, fd = -EBADF;
	cleanup_buf struct cb_buf content = { 0 };
	struct stat st;
	int r = cb_tree_at_stat(dir, ent, &st, err);

	if (r < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < block->len ||
		(uint64_t)st.st_size > 2 * (uint64_t)CB_TRUST_MAX)
		return r;
	up = cb_path_open_beneath(search->upper, parent, O_RDONLY | O_DIRECTORY, 0);
	if (up < 0)
		return cb_err_errno(err, errno, "look for certificates in %s", path);
	if (placed && untouched(&st, &placed->st))
		return remove_placed(up, path, err);
	fd = openat(up, cb_path_base(path), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cb_err_errno(err, errno, "look for certificates in %s", path);
	r = cb_fd_read_all(fd, (size_t)st.st_size, path, &content, err);
	if (r < 0)
		return r;
	return cut(&content, block) ? rewrite(fd, &st, &content, path, err) : 0;
}

int cb_trust_end(const struct cb_trust *trust, enum cb_flavour flavour, int upper, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_free) struct cb_tree *tree = NULL;
	struct search search = { trust, upper };
	int r = cb_tree_new_layers(&upper, 1, flavour, &tree, err);

	if (r == 0)
		r = cb_tree_walk(tree, "", take_out, &search, err);
	return r < 0 ? r : 0;
}

struct cb_trust *cb_trust_free(struct cb_trust *trust)
{
	if (!trust)
		return NULL;
	for (size_t i = 0; i < trust->n; i++)
		free(trust->placed[i].path);
	cb_buf_done(&trust->block);
	cb_buf_done(&trust->merged);
	free(trust);
	return NULL;
}
