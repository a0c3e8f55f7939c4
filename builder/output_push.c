/* The image to registries. */
#include <pthread.h>
#include <string.h>

#include "builder/output_drivers.h"
#include "layers/push.h"
#include "layers/push_upload.h"

/* One repository of the names, with all its tags. */
struct target {
	struct cb_ref *ref;
	struct cb_strv tags;
};

struct targets {
	struct target *v;
	size_t n;
};

static void targets_done(struct targets *list)
{
	for (size_t i = 0; i < list->n; i++) {
		cb_ref_free(list->v[i].ref);
		cb_strv_done(&list->v[i].tags);
	}
	free(list->v);
}
#define cleanup_targets __attribute__((cleanup(targets_done)))

static bool same_repository(const struct cb_ref *a, const struct cb_ref *b)
{
	return cb_str_eq(a->registry, b->registry) && cb_str_eq(a->repository, b->repository);
}

static int find_targets(const struct cb_output_request *request, struct targets *list, struct cb_err **err)
{
	list->v = cb_newa0(struct target, CB_MAX(request->names.n, 1));
	for (size_t i = 0; i < request->names.n; i++) {
		CB_CLEANUP(cb_ref_free) struct cb_ref *ref = NULL;
		size_t at = 0;
		int r = cb_ref_parse(request->names.v[i], &ref, err);

		if (r < 0)
			return r;
		while (at < list->n && !same_repository(list->v[at].ref, ref))
			at++;
		if (!request->by_digest)
			cb_strv_add(&list->v[at].tags, ref->tag);
		if (at < list->n)
			continue;
		list->v[list->n++].ref = CB_TAKE_PTR(ref);
	}
	return 0;
}

int cb_output_may_push(const struct cb_output_request *request, struct cb_registry *registry, struct cb_cancel *cancel,
	struct cb_err **err)
{
	cleanup_targets struct targets list = { 0 };
	int r;

	if (!request->push)
		return 0;
	r = find_targets(request, &list, err);
	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = cb_registry_may_push(registry, list.v[i].ref, cancel, err);
	return r;
}

/* Repositories of @target's registry that have layers of the image: those of bases, and those pushed to before. */
static void find_base_mounts(const struct cb_result *result, const struct target *target, struct cb_strv *ret)
{
	for (size_t i = 0; i < result->n_layers; i++) {
		const struct cb_ref *ref = result->layers[i].base ? result->layers[i].image->ref : NULL;

		if (ref && cb_str_eq(ref->registry, target->ref->registry) && !cb_strv_has(ret, ref->repository))
			cb_strv_add(ret, ref->repository);
	}
}

static void find_mounts(
	const struct cb_results *results, const struct targets *list, const struct target *target, struct cb_strv *ret)
{
	for (size_t i = 0; i < results->n; i++)
		find_base_mounts(results->v[i], target, ret);
	for (const struct target *before = list->v; before < target; before++)
		if (cb_str_eq(before->ref->registry, target->ref->registry))
			cb_strv_add(ret, before->ref->repository);
}

struct pushing {
	const struct cb_results *results;
	const struct cb_output_progress *progress;
	pthread_mutex_t lock; /* of the counts */
	unsigned int sent, there, mounted;
};

/* 1 when @blob is no base layer of @result. */
static int fetch_base(
	const struct cb_result *result, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	for (size_t i = 0; i < result->n_layers; i++) {
		const struct cb_result_layer *layer = &result->layers[i];
		int r;

		if (!layer->base || !cb_digest_equal(&layer->blob.digest, &blob->digest))
			continue;
		r = cb_pull_blob(result->puller, layer->image, layer->image_at, NULL, NULL, cancel, err);
		return r < 0 ? r : 0;
	}
	return 1;
}

/* A base layer that was never needed here: 0 once it is in the store. */
static int fetch(void *userdata, const struct cb_descriptor *blob, struct cb_cancel *cancel, struct cb_err **err)
{
	const struct cb_results *results = ((const struct pushing *)userdata)->results;
	int r = 1;

	for (size_t i = 0; r > 0 && i < results->n; i++)
		r = fetch_base(results->v[i], blob, cancel, err);
	return r > 0 ? cb_err_set(err, CB_ERR_NOT_FOUND, "blob %s is not in the store", blob->digest.text) : r;
}

static void report(void *userdata, const struct cb_descriptor *blob, enum cb_push_state state, uint64_t sent)
{
	struct pushing *pushing = userdata;
	cleanup_free char *line = NULL;

	if (state == CB_PUSH_SENDING || state == CB_PUSH_SENT) {
		line = cb_xasprintf("pushing %s", blob->digest.text);
		cb_output_status(pushing->progress, line, sent, blob->size);
	}
	pthread_mutex_lock(&pushing->lock);
	pushing->sent += state == CB_PUSH_SENT;
	pushing->there += state == CB_PUSH_THERE;
	pushing->mounted += state == CB_PUSH_MOUNTED;
	pthread_mutex_unlock(&pushing->lock);
}

static int push_to(
	const struct cb_push *what, struct pushing *pushing, const struct target *target, struct cb_err **err)
{
	cleanup_free char *name = cb_ref_name(target->ref), *tags = cb_strv_join(&target->tags, ", "), *line = NULL;
	int r = cb_push_image(what, err);

	if (r < 0)
		return r;
	line = cb_xasprintf("pushed %s%s%s@%s (blobs: %u sent, %u there, %u mounted)", name, *tags ? ":" : "", tags,
		what->desc->digest.text, pushing->sent, pushing->there, pushing->mounted);
	cb_output_status(pushing->progress, line, 1, 1);
	return 0;
}

int cb_output_push(const struct cb_output_request *request, const struct cb_results *results,
	const struct cb_descriptor *desc, struct cb_cancel *cancel, const struct cb_output_progress *progress,
	struct cb_err **err)
{
	cleanup_targets struct targets list = { 0 };
	int r = find_targets(request, &list, err);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		cleanup_strv struct cb_strv mounts = { 0 };
		struct pushing pushing = { .results = results, .progress = progress };
		struct cb_push what = { .registry = results->v[0]->registry,
			.store = results->v[0]->store,
			.desc = desc,
			.ref = list.v[i].ref,
			.tags = &list.v[i].tags,
			.mount_from = &mounts,
			.fetch = fetch,
			.progress = report,
			.userdata = &pushing,
			.cancel = cancel };

		find_mounts(results, &list, &list.v[i], &mounts);
		pthread_mutex_init(&pushing.lock, NULL);
		r = push_to(&what, &pushing, &list.v[i], err);
		pthread_mutex_destroy(&pushing.lock);
	}
	return r;
}
