#include "layers/contenthash.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/fd.h"
#include "base/timefmt.h"
#include "layers/digest.h"
#include "layers/visit.h"

#define READ_BYTES ((size_t)128 << 10)
#define CAPABILITY_MAX 64
#define NSEC 1000000000LL
/** A time stamp this old cannot be given again to a later change (the kernel's clock ticks every 1 to 10 ms). */
#define SETTLED_NS (NSEC / 10)
/** The same where stamps are whole seconds, or two (FAT). */
#define SETTLED_COARSE_NS (3 * NSEC)

static int64_t nsec(const struct timespec *t)
{
	return (int64_t)t->tv_sec * NSEC + t->tv_nsec;
}

void cb_file_id_of(const struct stat *st, struct cb_file_id *ret)
{
	*ret = (struct cb_file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_ns = nsec(&st->st_mtim),
		.ctime_ns = nsec(&st->st_ctim),
	};
}

/* --- Files ---------------------------------------------------------------------------------------------------------
 */

static bool settled(const struct stat *st, struct timespec now)
{
	int64_t margin = st->st_ctim.tv_nsec == 0 ? SETTLED_COARSE_NS : SETTLED_NS;

	return nsec(&st->st_ctim) + margin < nsec(&now) && nsec(&st->st_mtim) + margin < nsec(&now);
}

static int hash_data(
	int fd, const struct cb_cancel *cancel, struct cb_hasher *hasher, uint64_t *read_bytes, struct cb_err **err)
{
	cleanup_free char *data = cb_xmalloc(READ_BYTES);
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, data, READ_BYTES, at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cb_err_errno(err, errno, "read");
		if (n == 0)
			return 0;
		cb_hasher_add(hasher, data, (size_t)n);
		at += n;
		*read_bytes += (uint64_t)n;
		r = cb_cancel_check(cancel, err);
		if (r < 0)
			return r;
	}
}

/* The file system's answer about security.capability: its length, 0 for none. */
static size_t capability_of(int fd, char value[static CAPABILITY_MAX])
{
	ssize_t n = fgetxattr(fd, "security.capability", value, CAPABILITY_MAX);

	return n > 0 ? (size_t)n : 0;
}

void cb_content_remember(int fd, const struct stat *st, const struct cb_hash_index *index,
	const unsigned char digest[CB_CONTENT_DIGEST_SIZE])
{
	char capability[CAPABILITY_MAX];
	struct cb_file_id id;
	struct stat after;

	/* Nobody may have written meanwhile, and nobody may be able to write again within the same time stamp. */
	if (!index || !index->store || !settled(st, cb_time_now()) || fstat(fd, &after) < 0)
		return;
	if (nsec(&after.st_ctim) != nsec(&st->st_ctim) || after.st_size != st->st_size ||
		capability_of(fd, capability) > 0)
		return;
	cb_file_id_of(st, &id);
	index->store(index->userdata, &id, digest);
}

static int hash_file(int fd, const struct stat *st, const struct cb_hash_index *index, const struct cb_cancel *cancel,
	struct cb_hasher *hasher, unsigned char ret[CB_CONTENT_DIGEST_SIZE], uint64_t *read_bytes, struct cb_err **err)
{
	int r = hash_data(fd, cancel, hasher, read_bytes, err);

	if (r < 0)
		return r;
	cb_hasher_finish_bytes(hasher, ret);
	cb_content_remember(fd, st, index, ret);
	return 0;
}

static bool index_knows(
	const struct cb_hash_index *index, const struct stat *st, unsigned char ret[CB_CONTENT_DIGEST_SIZE])
{
	struct cb_file_id id;

	if (!index || !index->lookup)
		return false;
	cb_file_id_of(st, &id);
	return index->lookup(index->userdata, &id, ret);
}

int cb_content_file(int fd, const struct stat *st, const struct cb_hash_index *index, const struct cb_cancel *cancel,
	unsigned char ret[CB_CONTENT_DIGEST_SIZE], uint64_t *ret_read, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = NULL;
	uint64_t read_bytes = 0;
	int r = 0;

	if (!index_knows(index, st, ret)) {
		hasher = cb_hasher_new();
		r = hash_file(fd, st, index, cancel, hasher, ret, &read_bytes, err);
	}
	if (ret_read)
		*ret_read = read_bytes;
	return r;
}

/* --- Entries -------------------------------------------------------------------------------------------------------
 */

/* What one directory gathers until it is complete. */
struct gathered {
	unsigned char (*digests)[CB_CONTENT_DIGEST_SIZE]; /* of each entry of the node's list */
	struct cb_content_files *files;                   /* of each entry, when asked for; `n` 0: none */
	bool *present;                                    /* false: a directory that was only looked into */
};

/* A file with more names than one. */
struct linked {
	uint64_t dev, ino;
	char *path; /* with the number of its source before it */
};

struct run {
	const struct cb_content_spec *spec;
	_Atomic uint64_t entries, bytes, hashed;
	unsigned char top[CB_CONTENT_DIGEST_SIZE];
	struct cb_content_files top_files;
	size_t source; /* the one being read */
	pthread_mutex_t mutex;
	struct linked *linked; /* guarded by mutex */
	size_t n_linked, cap_linked;
};

void cb_content_files_done(struct cb_content_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct cb_content_files){ .max = files->max };
}

/* What is known of one entry. */
struct digests {
	unsigned char entry[CB_CONTENT_DIGEST_SIZE], data[CB_CONTENT_DIGEST_SIZE];
};

static void files_add(struct cb_content_files *files, size_t max, char *path, const struct stat *st,
	const unsigned char digest[CB_CONTENT_DIGEST_SIZE], const unsigned char data[CB_CONTENT_DIGEST_SIZE])
{
	struct cb_content_file *f;

	files->total++;
	if (files->n >= max) {
		free(path);
		return;
	}
	CB_GROW(files->v, files->cap, files->n + 1);
	f = &files->v[files->n++];
	*f = (struct cb_content_file){
		.path = path,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
	};
	memcpy(f->digest, digest, sizeof(f->digest));
	if (data)
		memcpy(f->data, data, sizeof(f->data));
}

/* The path in the tree of what is @rel below a source. */
static char *full_path(const char *source, const char *rel)
{
	return *source && *rel ? cb_xasprintf("%s/%s", source, rel) : cb_xstrdup(*rel ? rel : source);
}

/* Moves everything of @from behind @to. */
static void files_append(struct cb_content_files *to, size_t max, struct cb_content_files *from)
{
	to->total += from->total;
	for (size_t i = 0; i < from->n; i++) {
		if (to->n >= max) {
			free(from->v[i].path);
			continue;
		}
		CB_GROW(to->v, to->cap, to->n + 1);
		to->v[to->n++] = from->v[i];
	}
	free(from->v);
	*from = (struct cb_content_files){ 0 };
}

static void add_metadata(struct cb_hasher *hasher, const struct stat *st)
{
	cb_hasher_addn(hasher, st->st_mode);
	cb_hasher_addn(hasher, st->st_uid);
	cb_hasher_addn(hasher, st->st_gid);
}

/* Size, capability and data of a regular file. Files with a capability never come from the index. */
static int digest_regular(struct run *run, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct stat *st,
	struct cb_hasher *hasher, struct digests *ret, struct cb_err **err)
{
	const struct cb_hash_index *index = run->spec->index;
	unsigned char *data = ret->data;
	char capability[CAPABILITY_MAX];
	cleanup_close int fd = -EBADF;
	size_t capability_len = 0;
	uint64_t read_bytes = 0;
	int r;

	if (!index_knows(index, st, data)) {
		r = cb_tree_at_open(dir, ent, &fd, st, err);
		if (r != 0)
			return r;
		capability_len = capability_of(fd, capability);
		r = hash_file(fd, st, index, run->spec->cancel, hasher, data, &read_bytes, err);
		if (r < 0)
			return cb_err_wrap(err, r, "/%s/%s", cb_tree_dir_path(dir), ent->name);
	}
	run->bytes += (uint64_t)st->st_size;
	run->hashed += read_bytes;
	add_metadata(hasher, st);
	cb_hasher_addn(hasher, (uint64_t)st->st_size);
	cb_hasher_addn(hasher, capability_len);
	cb_hasher_add(hasher, capability, capability_len);
	cb_hasher_add(hasher, data, CB_CONTENT_DIGEST_SIZE);
	cb_hasher_finish_bytes(hasher, ret->entry);
	return 0;
}

/* Anything but a directory. */
static int digest_entry(struct run *run, struct cb_tree_dir *dir, const struct cb_tree_ent *ent, struct stat *st,
	struct digests *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	cleanup_free char *target = NULL;
	int r = cb_tree_at_stat(dir, ent, st, err);

	run->entries++;
	if (r == 0 && ent->type == DT_REG)
		r = digest_regular(run, dir, ent, st, hasher, ret, err);
	else if (r == 0 && ent->type == DT_LNK)
		r = cb_tree_at_readlink(dir, ent, &target, err);
	if (r > 0)
		return cb_err_set(
			err, CB_ERR_IO, "/%s/%s vanished while it was read", cb_tree_dir_path(dir), ent->name);
	if (r < 0 || ent->type == DT_REG)
		return r;
	if (target) {
		cb_hasher_add(hasher, target, strlen(target));
		cb_hasher_finish_bytes(hasher, ret->data);
	}
	add_metadata(hasher, st);
	cb_hasher_addn(hasher, ent->type == DT_CHR || ent->type == DT_BLK ? st->st_rdev : 0);
	cb_hasher_adds(hasher, target ? target : "");
	cb_hasher_finish_bytes(hasher, ret->entry);
	return 0;
}

/* Notes a name of a file that has several; takes @path. */
static void note_linked(struct run *run, const struct stat *st, char *path)
{
	char *name = cb_xasprintf("%zu/%s", run->source, path);

	free(path);
	pthread_mutex_lock(&run->mutex);
	CB_GROW(run->linked, run->cap_linked, run->n_linked + 1);
	run->linked[run->n_linked++] = (struct linked){ st->st_dev, st->st_ino, name };
	pthread_mutex_unlock(&run->mutex);
}

/* --- Directories ---------------------------------------------------------------------------------------------------
 */

static int enter(void *userdata, struct cb_visit_node *node, struct cb_err **err)
{
	struct run *run = userdata;
	struct gathered *g = cb_new0(struct gathered);
	size_t n = CB_MAX(node->list.n, (size_t)1);

	(void)err;
	g->digests = cb_xcalloc(n, sizeof(*g->digests));
	g->present = cb_newa0(bool, n);
	if (run->spec->files)
		g->files = cb_newa0(struct cb_content_files, n);
	node->data = g;
	return 0;
}

static int entry(void *userdata, struct cb_visit_node *node, size_t i, struct cb_err **err)
{
	struct run *run = userdata;
	struct gathered *g = node->data;
	struct digests digests = { 0 };
	struct stat st;
	int r = digest_entry(run, node->dir, &node->list.ents[i], &st, &digests, err);

	if (r < 0)
		return r;
	memcpy(g->digests[i], digests.entry, sizeof(digests.entry));
	g->present[i] = true;
	if (node->list.ents[i].type == DT_REG && st.st_nlink > 1)
		note_linked(run, &st, cb_visit_path(node, i));
	if (g->files) {
		cleanup_free char *rel = cb_visit_path(node, i);

		files_add(&g->files[i], 1, full_path(run->spec->sources->v[run->source].path, rel), &st, digests.entry,
			digests.data);
	}
	return 0;
}

/* The digest of a complete directory; false when it is not there at all. */
static bool digest_dir(
	const struct cb_visit_node *node, const struct stat *st, unsigned char ret[CB_CONTENT_DIGEST_SIZE])
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	const struct gathered *g = node->data;
	bool any = node->verdict == CB_PATH_TAKE;

	if (st)
		add_metadata(hasher, st);
	for (size_t i = 0; i < node->list.n; i++) {
		if (!g->present[i])
			continue;
		any = true;
		cb_hasher_adds(hasher, node->list.ents[i].name);
		cb_hasher_add(hasher, g->digests[i], sizeof(g->digests[i]));
	}
	cb_hasher_finish_bytes(hasher, ret);
	return any;
}

static int leave(void *userdata, struct cb_visit_node *node, struct cb_err **err)
{
	struct run *run = userdata;
	struct gathered *g = node->data, *up = node->parent ? node->parent->data : NULL;
	bool metadata = up || run->spec->whole;
	unsigned char digest[CB_CONTENT_DIGEST_SIZE];
	struct cb_content_files *files;
	cleanup_free char *path = NULL;
	size_t max;

	(void)err;
	if (!digest_dir(node, metadata ? &node->st : NULL, digest))
		return 0;
	run->entries++;
	memcpy(up ? up->digests[node->at] : run->top, digest, sizeof(digest));
	if (up)
		up->present[node->at] = true;
	if (!run->spec->files)
		return 0;
	files = up ? &up->files[node->at] : &run->top_files;
	max = run->spec->files->max;
	path = full_path(run->spec->sources->v[run->source].path, node->rel);
	files_add(files, max, cb_xasprintf("%s/", path), &node->st, digest, NULL);
	for (size_t i = 0; i < node->list.n; i++)
		files_append(files, max, &g->files[i]);
	return 0;
}

static void drop(void *userdata, struct cb_visit_node *node)
{
	struct gathered *g = node->data;

	(void)userdata;
	if (!g)
		return;
	for (size_t i = 0; g->files && i < node->list.n; i++)
		cb_content_files_done(&g->files[i]);
	free(g->files);
	free(g->digests);
	free(g->present);
	free(g);
}

/* --- Sources -------------------------------------------------------------------------------------------------------
 */

static int digest_tree(struct run *run, const struct cb_copy_source *source, struct cb_err **err)
{
	static const struct cb_visit_ops ops = { enter, entry, NULL, leave, drop };
	struct cb_visit_spec spec = {
		.tree = run->spec->tree,
		.include = source->include,
		.exclude = run->spec->exclude,
		.pool = run->spec->pool,
		.cancel = run->spec->cancel,
		.ops = &ops,
		.userdata = run,
	};

	return cb_visit(&spec, source->path, err);
}

static int digest_single(struct run *run, const struct cb_copy_source *source, struct cb_err **err)
{
	CB_CLEANUP(cb_tree_dir_free) struct cb_tree_dir *dir = NULL;
	const char *slash = strrchr(source->path, '/');
	cleanup_free char *parent = cb_xstrndup(source->path, slash ? (size_t)(slash - source->path) : 0);
	struct digests digests = { 0 };
	struct cb_tree_ent ent;
	struct stat st;
	int r = cb_tree_dir_open(run->spec->tree, parent, &dir, err);

	if (r == 0)
		r = cb_tree_dir_find(dir, slash ? slash + 1 : source->path, &ent, err);
	if (r > 0)
		return cb_err_set(err, CB_ERR_IO, "/%s vanished while it was read", source->path);
	if (r == 0)
		r = digest_entry(run, dir, &ent, &st, &digests, err);
	if (r < 0)
		return r;
	memcpy(run->top, digests.entry, sizeof(run->top));
	if (ent.type == DT_REG && st.st_nlink > 1)
		note_linked(run, &st, cb_xstrdup(""));
	if (run->spec->files)
		files_add(&run->top_files, 1, cb_xstrdup(source->path), &st, digests.entry, digests.data);
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* Which names are one file: "first second" for each further name, sorted, so that inode numbers do not count. */
static void add_links(struct run *run, struct cb_hasher *hasher)
{
	cleanup_strv struct cb_strv pairs = { 0 };
	const struct linked *first = NULL;

	if (run->n_linked)
		qsort(run->linked, run->n_linked, sizeof(*run->linked), by_inode);
	for (size_t i = 0; i < run->n_linked; i++) {
		const struct linked *at = &run->linked[i];

		if (first && first->dev == at->dev && first->ino == at->ino)
			cb_strv_addf(&pairs, "%s\n%s", first->path, at->path);
		else
			first = at;
	}
	if (!pairs.n)
		return;
	qsort(pairs.v, pairs.n, sizeof(char *), by_text);
	cb_hasher_adds(hasher, "links");
	for (size_t i = 0; i < pairs.n; i++)
		cb_hasher_adds(hasher, pairs.v[i]);
}

static void run_done(struct run *run)
{
	for (size_t i = 0; i < run->n_linked; i++)
		free(run->linked[i].path);
	free(run->linked);
	pthread_mutex_destroy(&run->mutex);
}

int cb_content_digest(const struct cb_content_spec *spec, struct cb_content_result *ret, struct cb_err **err)
{
	CB_CLEANUP(cb_hasher_free) struct cb_hasher *hasher = cb_hasher_new();
	__attribute__((cleanup(run_done))) struct run run = { .spec = spec, .mutex = PTHREAD_MUTEX_INITIALIZER };

	for (size_t i = 0; i < spec->sources->n; i++) {
		const struct cb_copy_source *source = &spec->sources->v[i];
		int r = cb_cancel_check(spec->cancel, err);

		run.source = i;
		if (r == 0)
			r = source->is_dir ? digest_tree(&run, source, err) : digest_single(&run, source, err);
		if (r == 0 && spec->files)
			files_append(spec->files, spec->files->max, &run.top_files);
		cb_content_files_done(&run.top_files);
		if (r < 0)
			return r;
		/* The name of a literal source is in its user's key, that of a match is known only here. */
		cb_hasher_adds(hasher, source->wild ? "match" : source->is_dir ? "directory" : "file");
		cb_hasher_adds(hasher, source->wild && !source->include ? source->name : "");
		cb_hasher_addn(hasher, source->is_dir);
		cb_hasher_add(hasher, run.top, sizeof(run.top));
	}
	add_links(&run, hasher);
	cb_hasher_finish_bytes(hasher, ret->digest);
	ret->entries = run.entries;
	ret->bytes = run.bytes;
	ret->hashed = run.hashed;
	return 0;
}
