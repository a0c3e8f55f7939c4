/*
 * The engine below layers/apply.h and layers/archive.h: tar entries into directories that its user opens.
 * Private to apply.c, archive.c and unpack*.c.
 */
#ifndef CB_LAYERS_UNPACK_H
#define CB_LAYERS_UNPACK_H

#include "base/map.h"
#include "layers/apply.h"
#include "layers/tarread.h"

/** Who knows the directories. Paths are relative, clean, "" for the root. */
struct cb_unpack_dirs {
	/**
	 * The directory @path for reading and writing entries; the descriptor is borrowed until the next call. 1 when
	 * it is missing and @make is false. Missing ones are made with `implied` told of each.
	 */
	int (*open)(void *arg, const char *path, bool make, int *ret_fd, struct cb_err **err);
	/** Another thing may be at @path now: a descriptor of it, or of what was below, is stale. */
	void (*forget)(void *arg, const char *path);
	/** May be NULL. The directory @path got these times (access, modification), and shall keep them. */
	int (*timed)(void *arg, const char *path, const struct timespec times[2], struct cb_err **err);
	void *arg;
};

struct cb_unpack {
	struct cb_unpack_dirs dirs;
	enum cb_flavour flavour;
	bool layer, no_devices;
	bool chown; /* to uid:gid, whatever the archive says */
	uint32_t uid, gid;
	struct cb_apply_limits limits;
	const struct cb_cancel *cancel;
	struct cb_apply_stats stats;

	/* Times of directories, set at the end. */
	struct cb_unpack_dir_time {
		char *path;
		struct timespec mtime;
	} * dir_times;
	size_t n_dir_times, cap_dir_times;
	struct cb_map *implied; /* paths of directories without an entry so far */
};

void cb_unpack_init(struct cb_unpack *u);
void cb_unpack_done(struct cb_unpack *u);
#define cleanup_unpack __attribute__((cleanup(cb_unpack_done)))

/** Unpacks all entries of @reader and sets the times of directories. */
int cb_unpack_all(struct cb_unpack *u, struct cb_tarreader *reader, struct cb_err **err);
/** To be called by dirs.open for each directory that it makes. */
void cb_unpack_implied(struct cb_unpack *u, const char *path);

/** One entry with its name taken apart. */
struct cb_unpack_entry {
	const struct cb_tar_item *item;
	char *path;       /* clean; "" is the root */
	char *parent;     /* clean */
	const char *name; /* last component of path; borrowed */
	int parent_fd;    /* borrowed */
};

/** Owner, xattrs, mode and (but for directories) time of a new file or directory. */
int cb_unpack_set_meta(struct cb_unpack *u, const struct cb_unpack_entry *e, int fd, bool is_dir, struct cb_err **err);
/** The same for what cannot be opened: symlinks, fifos, devices. */
int cb_unpack_set_meta_at(struct cb_unpack *u, const struct cb_unpack_entry *e, struct cb_err **err);

/**
 * Cleans a name of an archive, as text: no slash at the ends ("/" alone is the root), no ".", "..", or doubled slashes.
 * CB_ERR_CORRUPT for an empty name, for one that ".." leads out of the archive, and for too many components. Caller
 * frees.
 */
int cb_unpack_clean(const char *name, char **ret, struct cb_err **err);

#endif
