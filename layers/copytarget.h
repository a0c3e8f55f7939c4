/*
 * Inside of the copy: a directory of the upper that is being filled, and how one entry gets into it.
 */
#ifndef CB_LAYERS_COPYTARGET_H
#define CB_LAYERS_COPYTARGET_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "layers/copyfile.h"
#include "layers/copytree.h"
#include "layers/dest.h"

/** Shared by all threads of one copy. */
struct cb_copier {
	const struct cb_copy_spec *spec;
	struct cb_dest *dest;
	struct cb_copyfile_host host;
	pthread_mutex_t links_lock;
	struct cb_map *links; /* "dev:ino" of a file with several links -> struct link; of one source */
	pthread_mutex_t lazy_lock;
};

struct cb_copy_target {
	int fd;                    /* -EBADF while parked */
	struct cb_tree_dir *below; /* the same directory of the parents, or NULL */
	char *path;                /* in the image, canonical */
	bool sgid;                 /* what is made in it gets its group */
	pthread_mutex_t lock;      /* of what follows */
	bool listed;
	struct cb_tree_list names; /* of `below` */
};

/** Opens the directory @path, which exists in the upper. Takes @fd. */
int cb_copy_target_new(
	struct cb_copier *copier, const char *path, int fd, struct cb_copy_target **ret, struct cb_err **err);
struct cb_copy_target *cb_copy_target_free(struct cb_copy_target *target);
CB_DEFINE_CLEANUP(struct cb_copy_target *, cb_copy_target_free)
/** Closes its descriptors; cb_copy_target_fd opens them again. */
void cb_copy_target_park(struct cb_copy_target *target);

/** Makes or enters the directory @name. @by_path: the parent may be parked at any time. */
int cb_copy_target_enter(struct cb_copier *copier, struct cb_copy_target *parent, const char *name, bool by_path,
	struct cb_copy_target **ret, struct cb_err **err);
/** Gives a directory the metadata of its source @st. */
int cb_copy_target_finish(
	struct cb_copier *copier, struct cb_copy_target *target, const struct stat *st, struct cb_err **err);

/** Copies an entry that is no directory. @many: more will follow into the same target. */
int cb_copy_target_put(struct cb_copier *copier, struct cb_copy_target *target, const char *name,
	struct cb_tree_dir *dir, const struct cb_tree_ent *ent, bool many, struct cb_err **err);
/** Writes a heredoc. */
int cb_copy_target_put_data(struct cb_copier *copier, struct cb_copy_target *target, const char *name,
	const struct cb_copy_file *file, struct cb_err **err);

#endif
