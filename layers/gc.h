/*
 * Removing what is not needed: least recently used first, never what a living process uses, never what a name leads to.
 *
 * A snapshot goes only after those that were made on it. Whatever is removed can be made or fetched again. Any number
 * of processes may build meanwhile: what they hold is found out by the locks that they hold (snapshot.h, cachemount.h,
 * store.h), and what is removed under their eyes is a cache miss.
 */
#ifndef CB_LAYERS_GC_H
#define CB_LAYERS_GC_H

#include "base/cancel.h"
#include "layers/usage.h"

/** What to remove. Zero is: everything that may go. */
struct cb_gc {
	bool all;             /* the unpacked layers of named images too; their blobs stay in any case */
	int64_t keep_seconds; /* keep what was used within that time; 0: no matter when */
	bool limited;         /* stop when the two below are reached */
	uint64_t keep_bytes;  /* the store is no larger */
	uint64_t min_free;    /* the disk has that much room */
	bool dry_run;
	/** Chooses among what may go; NULL: all of it. */
	bool (*take)(void *ctx, const struct cb_usage_item *item);
	/** Told of each item that went (or would); may be NULL. */
	void (*gone)(void *ctx, const struct cb_usage_item *item);
	void *ctx;
	const struct cb_cancel *cancel;
};

struct cb_gc_result {
	uint64_t bytes, left; /* removed; in the store afterwards */
	size_t items;
};

/** Waits while another process collects. */
int cb_gc_run(struct cb_store *store, const struct cb_gc *what, struct cb_gc_result *ret, struct cb_err **err);

/** What a store keeps by itself, at the end of builds; and its quota. Recorded in the store. */
struct cb_gc_policy {
	bool off;             /* nothing goes by itself */
	uint64_t keep_bytes;  /* UINT64_MAX: no limit */
	int64_t keep_seconds; /* what was not used for longer goes; 0: no limit */
	uint64_t min_free;    /* room that is made on the disk; 0: none */
	uint64_t quota;       /* the store never grows beyond; 0: none */
};

/** The names of the settings of a policy, for cb_gc_policy_set; NULL ends. */
extern const char *const cb_gc_policy_names[];
/**
 * Reads the policy: what is recorded, else the defaults, which depend on the size of the disk: keep 60 % of it, at most
 * 100 GB, for 60 days; make room of 5 %, at most 10 GB.
 */
int cb_gc_policy_read(struct cb_store *store, struct cb_gc_policy *ret, struct cb_err **err);
/**
 * Changes one setting of @policy: "gc" (on, off), "keep-storage", "min-free", "quota" (a size, "N%" of the disk,
 * "none"), "keep-duration" (a Go duration, "Nd", "none"). CB_ERR_INPUT for what it does not know.
 */
int cb_gc_policy_apply(
	struct cb_store *store, struct cb_gc_policy *policy, const char *name, const char *value, struct cb_err **err);
/** Seconds of "48h", "30d" or "none" (0). */
bool cb_gc_parse_duration(const char *value, int64_t *ret);
/** Records a setting after checking it; "default" forgets it. */
int cb_gc_policy_set(struct cb_store *store, const char *name, const char *value, struct cb_err **err);

/**
 * The end of a build: looks quickly whether @policy asks for anything, and if so does it, unless another process is
 * about it.
 */
int cb_gc_auto(struct cb_store *store, const struct cb_gc_policy *policy, const struct cb_cancel *cancel,
	struct cb_gc_result *ret, struct cb_err **err);

/**
 * From here on this process does not let the store grow beyond @bytes: what would is CB_ERR_NO_SPACE, after what may go
 * was removed. 0: no quota. Snapshots are counted when they are committed.
 */
void cb_store_set_quota(struct cb_store *store, uint64_t bytes);

#endif
