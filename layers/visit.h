/*
 * Inside of content hash and copy: a walk of one directory of a tree by several threads.
 *
 * Each directory becomes a node that lives until everything below it is done. Entries of one directory are handed out
 * in batches, so order is only certain between a directory and what is in it: enter before its entries, leave after.
 */
#ifndef CB_LAYERS_VISIT_H
#define CB_LAYERS_VISIT_H

#include <stdatomic.h>

#include "base/cancel.h"
#include "base/pool.h"
#include "layers/match.h"
#include "layers/tree.h"

/**
 * From this depth on a directory gives up its descriptors (park) once its entries are done, so that a deep tree cannot
 * use them up.
 */
#define CB_VISIT_DEEP 64

struct cb_visit_node {
	struct cb_visit_node *parent; /* NULL at the top */
	size_t at;                    /* this directory in the list of its parent */
	size_t depth;
	struct cb_tree_dir *dir;      /* NULL once parked */
	char *path;                   /* in the tree */
	struct stat st;               /* of the directory itself */
	struct cb_tree_list list;     /* what is taken, and directories to look into */
	char *rel;                    /* below the top, "" for itself */
	enum cb_path_verdict verdict; /* TAKE, or PEEK: there only if something below it is */
	bool included;                /* an include pattern took it, and so everything below */
	void *data;                   /* the visitor's */
	_Atomic size_t pending;
	_Atomic bool aborted;
};

struct cb_visit_ops {
	int (*enter)(void *userdata, struct cb_visit_node *node, struct cb_err **err);
	/** An entry that is no directory. Different entries of one node at the same time. */
	int (*entry)(void *userdata, struct cb_visit_node *node, size_t i, struct cb_err **err);
	/** The descriptors in data should be closed; entries are done, directories below are not. May be NULL. */
	void (*park)(void *userdata, struct cb_visit_node *node);
	int (*leave)(void *userdata, struct cb_visit_node *node, struct cb_err **err);
	/** Frees data: once for each node, in the end. */
	void (*drop)(void *userdata, struct cb_visit_node *node);
};

struct cb_visit_spec {
	struct cb_tree *tree;
	const struct cb_glob *include;        /* or NULL */
	const struct cb_path_filter *exclude; /* or NULL; given paths below the top */
	struct cb_pool *pool;
	const struct cb_cancel *cancel;
	const struct cb_visit_ops *ops;
	void *userdata;
};

/** Visits the directory @path of the tree and all below. CB_ERR_IO when it has vanished. */
int cb_visit(const struct cb_visit_spec *spec, const char *path, struct cb_err **err);
/** Path of entry @i below the top; freed by the caller. */
char *cb_visit_path(const struct cb_visit_node *node, size_t i);

#endif
