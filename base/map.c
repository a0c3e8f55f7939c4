#include "base/map.h"

#include <stdint.h>
#include <string.h>

/* Open addressing over an insertion-ordered entry array; deleted entries keep their place with key NULL. */
struct entry {
	char *key;
	void *value;
	uint64_t hash;
};

struct cb_map {
	void (*free_value)(void *value);
	struct entry *entries;
	size_t n, cap, live;
	size_t *slots; /* index into entries plus 1, 0: empty */
	size_t n_slots;
};

static uint64_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h ^ (h >> 29);
}

struct cb_map *cb_map_new(void (*free_value)(void *value))
{
	struct cb_map *map = cb_new0(struct cb_map);

	map->free_value = free_value;
	return map;
}

struct cb_map *cb_map_free(struct cb_map *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->n; i++) {
		if (map->entries[i].key && map->free_value)
			map->free_value(map->entries[i].value);
		free(map->entries[i].key);
	}
	free(map->entries);
	free(map->slots);
	free(map);
	return NULL;
}

static struct entry *find(const struct cb_map *map, const char *key, uint64_t hash)
{
	if (!map->n_slots)
		return NULL;
	for (size_t at = hash & (map->n_slots - 1); map->slots[at]; at = (at + 1) & (map->n_slots - 1)) {
		struct entry *entry = &map->entries[map->slots[at] - 1];

		if (entry->key && entry->hash == hash && !strcmp(entry->key, key))
			return entry;
	}
	return NULL;
}

static void place(struct cb_map *map, size_t index)
{
	size_t at = map->entries[index].hash & (map->n_slots - 1);

	while (map->slots[at])
		at = (at + 1) & (map->n_slots - 1);
	map->slots[at] = index + 1;
}

/* Rebuilds the slots without deleted entries, with room for one more. */
static void rehash(struct cb_map *map)
{
	size_t want = 16, kept = 0;

	while (want < (map->live + 1) * 2)
		want *= 2;
	for (size_t i = 0; i < map->n; i++)
		if (map->entries[i].key)
			map->entries[kept++] = map->entries[i];
	map->n = kept;
	free(map->slots);
	map->n_slots = want;
	map->slots = cb_newa0(size_t, want);
	for (size_t i = 0; i < map->n; i++)
		place(map, i);
}

void *cb_map_get(const struct cb_map *map, const char *key)
{
	struct entry *entry = find(map, key, hash_of(key));

	return entry ? entry->value : NULL;
}

bool cb_map_has(const struct cb_map *map, const char *key)
{
	return find(map, key, hash_of(key));
}

void cb_map_set(struct cb_map *map, const char *key, void *value)
{
	uint64_t hash = hash_of(key);
	struct entry *entry = find(map, key, hash);

	if (entry) {
		if (map->free_value && entry->value != value)
			map->free_value(entry->value);
		entry->value = value;
		return;
	}
	if ((map->n + 1) * 2 > map->n_slots)
		rehash(map);
	CB_GROW(map->entries, map->cap, map->n + 1);
	map->entries[map->n] = (struct entry){ .key = cb_xstrdup(key), .value = value, .hash = hash };
	place(map, map->n++);
	map->live++;
}

bool cb_map_del(struct cb_map *map, const char *key)
{
	struct entry *entry = find(map, key, hash_of(key));

	if (!entry)
		return false;
	if (map->free_value)
		map->free_value(entry->value);
	free(entry->key);
	*entry = (struct entry){ 0 };
	map->live--;
	return true;
}

size_t cb_map_len(const struct cb_map *map)
{
	return map->live;
}

bool cb_map_next(const struct cb_map *map, size_t *at, const char **key, void **value)
{
	while (*at < map->n) {
		const struct entry *entry = &map->entries[(*at)++];

		if (!entry->key)
			continue;
		if (key)
			*key = entry->key;
		if (value)
			*value = entry->value;
		return true;
	}
	return false;
}
