#include "layers/push.h"

#include <assert.h>
#include <string.h>

#include "base/map.h"
#include "base/parallel.h"
#include "layers/index.h"
#include "layers/manifest.h"
#include "layers/push_upload.h"

/* Indexes within indexes. */
#define DEPTH_MAX 4
#define PARALLEL_DEFAULT 4

/* A manifest or index, read. */
struct document {
	struct cb_buf text;
	char *media_type;
	struct cb_digest digest;
};

struct push {
	const struct cb_push *what;
	struct cb_map *seen;
	struct cb_descriptor *blobs; /* in order of first use */
	size_t n_blobs, cap_blobs;
	struct document *documents; /* what is referred to before what refers to it */
	size_t n_documents, cap_documents;
};

static void push_done(struct push *p)
{
	cb_map_free(p->seen);
	for (size_t i = 0; i < p->n_blobs; i++)
		cb_descriptor_done(&p->blobs[i]);
	for (size_t i = 0; i < p->n_documents; i++) {
		cb_buf_done(&p->documents[i].text);
		free(p->documents[i].media_type);
	}
	free(p->blobs);
	free(p->documents);
}

static void report(const struct push *p, const struct cb_descriptor *blob, enum cb_push_state state, uint64_t sent)
{
	if (p->what->progress)
		p->what->progress(p->what->userdata, blob, state, sent);
}

static void add_blob(struct push *p, const struct cb_descriptor *desc)
{
	if (cb_map_has(p->seen, desc->digest.text) || (desc->urls.n && cb_media_is_foreign(desc->media_type)))
		return;
	cb_map_set(p->seen, desc->digest.text, p);
	CB_GROW(p->blobs, p->cap_blobs, p->n_blobs + 1);
	memset(&p->blobs[p->n_blobs], 0, sizeof(*p->blobs));
	cb_descriptor_copy(&p->blobs[p->n_blobs++], desc);
	report(p, desc, CB_PUSH_WAITING, 0);
}

static int list_manifest(struct push *p, struct cb_buf *text, struct cb_err **err)
{
	CB_CLEANUP(cb_manifest_free) struct cb_manifest *manifest = NULL;
	int r = cb_manifest_parse(cb_buf_str(text), text->len, &manifest, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < manifest->n_layers; i++)
		add_blob(p, &manifest->layers[i]);
	add_blob(p, &manifest->config);
	return 0;
}

static int list_document(struct push *p, const struct cb_descriptor *desc, unsigned int depth, struct cb_err **err);

static int list_index(struct push *p, struct cb_buf *text, unsigned int depth, struct cb_err **err)
{
	CB_CLEANUP(cb_index_free) struct cb_index *index = NULL;
	int r;

	if (depth >= DEPTH_MAX)
		return cb_err_set(err, CB_ERR_LIMIT, "indexes are nested too deeply");
	r = cb_index_parse(cb_buf_str(text), text->len, &index, err);
	for (size_t i = 0; r == 0 && i < index->n_entries; i++)
		r = list_document(p, &index->entries[i], depth + 1, err);
	return r;
}

/* Adds the document @desc and before it all that it refers to. */
static int list_document(struct push *p, const struct cb_descriptor *desc, unsigned int depth, struct cb_err **err)
{
	cleanup_buf struct cb_buf text = { 0 };
	struct document *doc;
	enum cb_media_kind kind;
	int r;

	if (cb_map_has(p->seen, desc->digest.text))
		return 0;
	cb_map_set(p->seen, desc->digest.text, p);
	r = cb_blob_read(p->what->store, &desc->digest, CB_INDEX_BYTES_MAX, &text, err);
	if (r == CB_ERR_NOT_FOUND && depth)
		cb_err_hint(err, r, "only some platforms of this image are here");
	if (r < 0)
		return cb_err_wrap(err, r, "manifest %s", desc->digest.text);
	kind = cb_media_sniff(desc->media_type, cb_buf_str(&text), text.len);
	r = kind == CB_MEDIA_KIND_INDEX ? list_index(p, &text, depth, err) : list_manifest(p, &text, err);
	if (r < 0)
		return cb_err_wrap(err, r, "%s", desc->digest.text);
	CB_GROW(p->documents, p->cap_documents, p->n_documents + 1);
	doc = &p->documents[p->n_documents++];
	*doc = (struct document){ .media_type = cb_xstrdup(desc->media_type), .digest = desc->digest };
	doc->text = text;
	text = (struct cb_buf){ 0 };
	return 0;
}

/* Blobs */

struct blob_job {
	const struct push *push;
	const struct cb_descriptor *blob;
	struct cb_cancel *cancel;
};

static int open_blob(void *userdata, int *ret_fd, struct cb_err **err)
{
	const struct blob_job *job = userdata;
	const struct cb_push *what = job->push->what;
	int r;

	r = cb_blob_open(what->store, &job->blob->digest, ret_fd, NULL, err);
	if (r != CB_ERR_NOT_FOUND || !what->fetch)
		return r;
	r = what->fetch(what->userdata, job->blob, job->cancel, err);
	return r < 0 ? r : cb_blob_open(what->store, &job->blob->digest, ret_fd, NULL, err);
}

static void on_sent(void *userdata, uint64_t sent)
{
	const struct blob_job *job = userdata;

	if (sent < job->blob->size)
		report(job->push, job->blob, CB_PUSH_SENDING, sent);
}

static int push_blob(void *userdata, size_t at, struct cb_cancel *cancel, struct cb_err **err)
{
	struct push *p = userdata;
	struct blob_job job = { .push = p, .blob = &p->blobs[at], .cancel = cancel };
	struct cb_upload upload = { .digest = job.blob->digest,
		.size = job.blob->size,
		.open = open_blob,
		.mount_from = p->what->mount_from,
		.progress = on_sent,
		.userdata = &job };
	static const enum cb_push_state states[] = { CB_PUSH_SENT, CB_PUSH_THERE, CB_PUSH_MOUNTED };
	int r;

	report(p, job.blob, CB_PUSH_SENDING, 0);
	r = cb_registry_upload(p->what->registry, p->what->ref, &upload, cancel, err);
	if (r < 0)
		return r;
	report(p, job.blob, states[r], job.blob->size);
	return 0;
}

/* Documents */

static int put(const struct push *p, const struct document *doc, const char *name, struct cb_err **err)
{
	const struct cb_push *what = p->what;

	return cb_registry_put_manifest(
		what->registry, what->ref, name, doc->media_type, doc->text.data, doc->text.len, what->cancel, err);
}

static int push_documents(const struct push *p, struct cb_err **err)
{
	const struct document *top = &p->documents[p->n_documents - 1];
	const struct cb_strv *tags = p->what->tags;
	int r = 0;

	for (const struct document *doc = p->documents; r == 0 && doc < top; doc++)
		r = put(p, doc, doc->digest.text, err);
	if (r == 0 && (!tags || !tags->n))
		r = put(p, top, top->digest.text, err);
	for (size_t i = 0; r == 0 && tags && i < tags->n; i++)
		r = put(p, top, tags->v[i], err);
	return r;
}

int cb_push_image(const struct cb_push *what, struct cb_err **err)
{
	__attribute__((cleanup(push_done))) struct push p = { .what = what };
	int r;

	assert(what->desc && what->ref);
	p.seen = cb_map_new(NULL);
	r = list_document(&p, what->desc, 0, err);
	if (r == 0)
		r = cb_parallel_each("push", what->parallel ? what->parallel : PARALLEL_DEFAULT, p.n_blobs, push_blob,
			&p, what->cancel, err);
	return r < 0 ? r : push_documents(&p, err);
}
