/* Inside of remotes: what the files remotes*.c share. Not for others. */
#ifndef CB_BUILDER_REMOTES_INNER_H
#define CB_BUILDER_REMOTES_INNER_H

#include <pthread.h>

#include "builder/remoteend.h"
#include "builder/remotes.h"

/** Layers of a record, as of an image below a RUN. */
#define CB_REMOTE_LAYERS_MAX 1000

struct cb_remotes {
	struct cb_build *build;
	struct cb_remote_end *from, *to;
	size_t n_from, n_to;
	bool inlined;          /* records go into the image, too */
	char *salt;            /* of all keys */
	pthread_mutex_t mutex; /* of the maps */
	pthread_cond_t answered;
	struct cb_map *asked; /* key -> struct asking */
	struct cb_map *looks; /* cache and digest -> struct looking */
	struct cb_pool *ask_pool, *look_pool;
	struct cb_cancel *cancel; /* of questions; raised when nobody wants answers any more */
	bool settling;            /* the steps are done: no question may take longer than its time */
	struct cb_map *uploads;   /* digest -> struct uploading */
	size_t running;           /* uploads under way; the coordinator's */
	struct cb_err *failed;    /* of a cache that must not fail */
};

void cb_remotes_asking_init(struct cb_remotes *remotes);
void cb_remotes_asking_done(struct cb_remotes *remotes);
/** All questions are answered. */
bool cb_remotes_asking_idle(struct cb_remotes *remotes);

/** Counts how a request ended; a warning for the first failure and for the last. Takes @err. Any thread. */
void cb_remotes_result(struct cb_remotes *remotes, struct cb_remote_end *end, int code, struct cb_err *err);
/** The key that caches know @key by. */
void cb_remotes_key(const struct cb_remotes *remotes, const char *key, struct cb_digest *ret);
/** The content key of @vertex that every store has: 1 when it is not known. */
int cb_remotes_content_key(struct cb_remotes *remotes, const struct cb_vertex *vertex, struct cb_digest *ret);

/** A record of a cache. */
struct cb_remote_record {
	struct {
		struct cb_digest diff_id;
		bool base;
		int64_t created;
		struct cb_descriptor blob;
	} * layers;
	size_t n_layers;
	json_t *inputs; /* or NULL */
	struct cb_descriptor files;
	bool has_files;
	int64_t duration_ns;
};
/** CB_ERR_CORRUPT for what is none. */
int cb_remote_record_parse(const char *data, size_t len, struct cb_remote_record *ret, struct cb_err **err);
void cb_remote_record_done(struct cb_remote_record *record);
/** The text; caller frees. */
char *cb_remote_record_write(const struct cb_remote_record *record);

/** A cb_remote_inline_fn. */
int cb_remote_inline_read(const struct cb_manifest *manifest, const char *config, size_t len, struct cb_cachedoc *ret,
	struct cb_err **err);

/** Asks @end now: 0 with *ret, or 1 when it has none. */
int cb_remotes_get_record(struct cb_remote_end *end, const struct cb_digest *key, struct cb_cancel *cancel,
	struct cb_remote_record *ret, struct cb_err **err);
/** What was answered about @vertex, which nobody had to look at: 0 with *ret and its layers (borrowed), or 1. */
int cb_remotes_peek(struct cb_remotes *remotes, const struct cb_vertex *vertex, const struct cb_remote_record **ret,
	const struct cb_chain **ret_chain);

#endif
