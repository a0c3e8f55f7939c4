#include "builder/snapfds.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/map.h"

struct entry {
	int fd;
	char *id;
};

struct cb_snapfds {
	pthread_mutex_t mutex;
	struct cb_store *store;
	struct cb_map *map; /* snapshot id or diff ID -> struct entry */
};

static void entry_free(void *value)
{
	struct entry *entry = value;

	close(entry->fd);
	free(entry->id);
	free(entry);
}

struct cb_snapfds *cb_snapfds_new(struct cb_store *store)
{
	struct cb_snapfds *set = cb_new0(struct cb_snapfds);

	pthread_mutex_init(&set->mutex, NULL);
	set->store = store;
	set->map = cb_map_new(entry_free);
	return set;
}

struct cb_snapfds *cb_snapfds_free(struct cb_snapfds *set)
{
	if (!set)
		return NULL;
	cb_map_free(set->map);
	pthread_mutex_destroy(&set->mutex);
	free(set);
	return NULL;
}

static int open_entry(struct cb_snapfds *set, const struct cb_chain *chain, struct entry **ret, struct cb_err **err)
{
	cleanup_free char *id = NULL;
	cleanup_close int fd = -EBADF;
	int r = 0;

	if (!*chain->snapshot)
		r = cb_snapshot_find(set->store, &chain->diff_id, &id, err);
	else
		id = cb_xstrdup(chain->snapshot);
	if (r == 0)
		r = cb_snapshot_open(set->store, id, &fd, err);
	if (r != 0)
		return r;
	cb_snapshot_touch(set->store, id);
	*ret = cb_new0(struct entry);
	(*ret)->fd = CB_TAKE_FD(fd);
	(*ret)->id = CB_TAKE_PTR(id);
	return 0;
}

static int get(struct cb_snapfds *set, const struct cb_chain *chain, struct entry **ret, struct cb_err **err)
{
	const char *key = *chain->snapshot ? chain->snapshot : chain->diff_id.text;
	struct entry *entry;
	int r = 0;

	pthread_mutex_lock(&set->mutex);
	entry = cb_map_get(set->map, key);
	if (!entry) {
		r = open_entry(set, chain, &entry, err);
		if (r == 0)
			cb_map_set(set->map, key, entry);
	}
	pthread_mutex_unlock(&set->mutex);
	if (r == 0)
		*ret = entry;
	return r;
}

int cb_snapfds_get(struct cb_snapfds *set, const struct cb_chain *chain, int *ret, struct cb_err **err)
{
	struct entry *entry;
	int r = get(set, chain, &entry, err);

	if (r == 0)
		*ret = entry->fd;
	return r;
}

int cb_snapfds_id(struct cb_snapfds *set, const struct cb_chain *chain, const char **ret, struct cb_err **err)
{
	struct entry *entry;
	int r = get(set, chain, &entry, err);

	if (r == 0)
		*ret = entry->id;
	return r;
}
