#include "layers/packset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "layers/chunker.h"
#include "layers/varint.h"

#define MAGIC "cbpacks1"

/* Place of a chunk; pack is one more than its number, 0 in a free slot. */
struct cb_pack_slot {
	uint32_t pack, chunk;
};

static void pack_free(struct cb_pack *pack)
{
	free(pack->frames);
	free(pack->chunks);
	free(pack->counted);
	free(pack);
}

void cb_packset_done(struct cb_packset *set)
{
	for (size_t i = 0; i < set->n; i++)
		pack_free(set->packs[i]);
	free(set->packs);
	free(set->slots);
	*set = (struct cb_packset){ 0 };
}

/* Digests in an index are whatever its writer likes: with a number of ours nobody can make them meet in one slot. */
static size_t slot_of(const struct cb_packset *set, const uint8_t digest[static CB_DIGEST_SIZE])
{
	uint64_t words[CB_DIGEST_SIZE / 8], h = 0;

	memcpy(words, digest, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		h = (h ^ words[i]) * set->keys[i];
		h ^= h >> 32;
	}
	return (size_t)h & (set->n_slots - 1);
}

/* Of chunks with one digest the first stays. */
static bool insert(struct cb_packset *set, size_t pack, size_t chunk)
{
	const struct cb_pack_chunk *c = &set->packs[pack]->chunks[chunk];
	size_t at = slot_of(set, c->digest);

	for (; set->slots[at].pack; at = (at + 1) & (set->n_slots - 1)) {
		const struct cb_pack *other = set->packs[set->slots[at].pack - 1];

		if (!memcmp(other->chunks[set->slots[at].chunk].digest, c->digest, CB_DIGEST_SIZE))
			return false;
	}
	set->slots[at] = (struct cb_pack_slot){ (uint32_t)pack + 1, (uint32_t)chunk };
	return true;
}

static void grow(struct cb_packset *set)
{
	struct cb_pack_slot *old = set->slots;
	size_t n = set->n_slots;

	if (!n) {
		/* Without randomness there are still all the other limits. */
		if (getrandom(set->keys, sizeof(set->keys), GRND_NONBLOCK) != sizeof(set->keys))
			memset(set->keys, 0x55, sizeof(set->keys));
		for (size_t i = 0; i < ARRAY_SIZE(set->keys); i++)
			set->keys[i] |= 1;
	}
	set->n_slots = n ? 2 * n : 1024;
	set->slots = cb_newa0(struct cb_pack_slot, set->n_slots);
	for (size_t i = 0; i < n; i++)
		if (old[i].pack)
			insert(set, old[i].pack - 1, old[i].chunk);
	free(old);
}

static void note(struct cb_packset *set, size_t pack, size_t chunk)
{
	if (2 * (set->n_known + 1) > set->n_slots)
		grow(set);
	set->n_known += insert(set, pack, chunk);
}

void cb_packset_use(struct cb_packset *set, size_t pack)
{
	for (size_t i = 0; !set->packs[pack]->use && i < set->packs[pack]->n_chunks; i++)
		note(set, pack, i);
	set->packs[pack]->use = true;
}

struct cb_pack *cb_packset_add(struct cb_packset *set)
{
	struct cb_pack *pack = cb_new0(struct cb_pack);

	pack->use = pack->fresh = true;
	CB_GROW(set->packs, set->cap, set->n + 1);
	set->packs[set->n++] = pack;
	return pack;
}

static void add_chunk(struct cb_pack *pack, const uint8_t digest[static CB_DIGEST_SIZE], size_t len)
{
	struct cb_pack_frame *frame = &pack->frames[pack->n_frames - 1];
	struct cb_pack_chunk *chunk;

	CB_GROW(pack->chunks, pack->cap_chunks, pack->n_chunks + 1);
	chunk = &pack->chunks[pack->n_chunks++];
	memcpy(chunk->digest, digest, CB_DIGEST_SIZE);
	chunk->frame = (uint32_t)(pack->n_frames - 1);
	chunk->at = frame->raw;
	chunk->len = (uint32_t)len;
	frame->raw += (uint32_t)len;
	pack->raw += len;
}

void cb_packset_add_chunk(struct cb_packset *set, const uint8_t digest[static CB_DIGEST_SIZE], size_t len)
{
	struct cb_pack *pack = set->packs[set->n - 1];

	add_chunk(pack, digest, len);
	note(set, set->n - 1, pack->n_chunks - 1);
	set->n_chunks++;
}

bool cb_packset_pack(const struct cb_packset *set, const struct cb_digest *digest, size_t *ret)
{
	for (size_t i = 0; i < set->n; i++) {
		if (cb_digest_equal(&set->packs[i]->digest, digest)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

const struct cb_pack_chunk *cb_packset_find(
	const struct cb_packset *set, const uint8_t digest[static CB_DIGEST_SIZE], size_t *ret_pack)
{
	if (!set->n_slots)
		return NULL;
	for (size_t at = slot_of(set, digest); set->slots[at].pack; at = (at + 1) & (set->n_slots - 1)) {
		size_t pack = set->slots[at].pack - 1;
		const struct cb_pack_chunk *chunk = &set->packs[pack]->chunks[set->slots[at].chunk];

		if (!memcmp(chunk->digest, digest, CB_DIGEST_SIZE)) {
			*ret_pack = pack;
			return chunk;
		}
	}
	return NULL;
}

void cb_packset_count(struct cb_pack *pack, const struct cb_pack_chunk *chunk)
{
	size_t at = (size_t)(chunk - pack->chunks);

	/* What is written now is written because it is needed. */
	if (pack->fresh)
		return;
	if (!pack->counted)
		pack->counted = cb_xcalloc(pack->n_chunks / 8 + 1, 1);
	if (pack->counted[at / 8] & 1 << at % 8)
		return;
	pack->counted[at / 8] = (unsigned char)(pack->counted[at / 8] | 1 << at % 8);
	pack->live += chunk->len;
}

/* ---- the document --------------------------------------------------------------------------------------------- */

static void write_pack(const struct cb_pack *pack, struct cb_buf *out)
{
	uint8_t digest[CB_DIGEST_SIZE];
	size_t at = 0;

	cb_digest_to_bytes(&pack->digest, digest);
	cb_buf_add(out, digest, sizeof(digest));
	cb_varint_put(out, pack->size);
	cb_varint_put(out, pack->n_frames);
	for (size_t i = 0; i < pack->n_frames; i++) {
		size_t end = at;

		while (end < pack->n_chunks && pack->chunks[end].frame == i)
			end++;
		cb_varint_put(out, pack->frames[i].len);
		cb_varint_put(out, end - at);
		for (; at < end; at++) {
			cb_buf_add(out, pack->chunks[at].digest, CB_DIGEST_SIZE);
			cb_varint_put(out, pack->chunks[at].len);
		}
	}
}

void cb_packset_write(const struct cb_packset *set, bool fresh, struct cb_buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += set->packs[i]->use && (!fresh || set->packs[i]->fresh);
	cb_buf_adds(out, MAGIC);
	cb_varint_put(out, n);
	for (size_t i = 0; i < set->n; i++)
		if (set->packs[i]->use && (!fresh || set->packs[i]->fresh))
			write_pack(set->packs[i], out);
}

static int corrupt(struct cb_err **err, const char *what)
{
	return cb_err_set(err, CB_ERR_CORRUPT, "index of packs: %s", what);
}

static int read_frame(struct cb_pack *pack, struct cb_varint_in *in, uint64_t *at, struct cb_err **err)
{
	struct cb_pack_frame *frame;
	uint64_t size, n;

	/* A chunk takes 33 bytes at least. */
	if (!cb_varint_get(in, pack->size - *at, &size) || !size || !cb_varint_get(in, CB_PACK_FRAME_MAX, &n) || !n ||
		n > (uint64_t)(in->end - in->at) / (CB_DIGEST_SIZE + 1))
		return corrupt(err, "a frame is out of bounds");
	CB_GROW(pack->frames, pack->cap_frames, pack->n_frames + 1);
	frame = &pack->frames[pack->n_frames++];
	*frame = (struct cb_pack_frame){ .at = (uint32_t)*at, .len = (uint32_t)size };
	*at += size;
	while (n--) {
		const void *digest;
		uint64_t len;

		if (!cb_varint_take(in, CB_DIGEST_SIZE, &digest) || !cb_varint_get(in, CB_CHUNK_MAX, &len) || !len)
			return corrupt(err, "a chunk is out of bounds");
		if (frame->raw + len > CB_PACK_FRAME_MAX)
			return corrupt(err, "a frame is too large");
		add_chunk(pack, digest, (size_t)len);
		frame = &pack->frames[pack->n_frames - 1];
	}
	return 0;
}

static int read_pack(struct cb_pack *pack, struct cb_varint_in *in, struct cb_err **err)
{
	uint64_t frames, at = 0;
	const void *digest;

	if (!cb_varint_take(in, CB_DIGEST_SIZE, &digest) || !cb_varint_get(in, CB_PACK_MAX, &pack->size) ||
		!cb_varint_get(in, CB_PACK_MAX, &frames))
		return corrupt(err, "a pack is out of bounds");
	cb_digest_from_bytes(digest, &pack->digest);
	while (frames--) {
		int r = read_frame(pack, in, &at, err);

		if (r < 0)
			return r;
	}
	return at == pack->size ? 0 : corrupt(err, "a pack has a gap");
}

int cb_packset_read(struct cb_packset *set, const void *data, size_t len, struct cb_err **err)
{
	struct cb_varint_in in = { data, (const unsigned char *)data + len };
	const void *magic;
	uint64_t n;

	if (!cb_varint_take(&in, strlen(MAGIC), &magic) || memcmp(magic, MAGIC, strlen(MAGIC)) != 0 ||
		!cb_varint_get(&in, len, &n))
		return corrupt(err, "it is none, or of another version");
	while (n--) {
		struct cb_pack *pack = cb_new0(struct cb_pack);
		int r = read_pack(pack, &in, err);
		size_t known;

		if (r == 0 && (set->n_chunks + pack->n_chunks > CB_PACK_CHUNKS_MAX || set->n >= CB_PACKS_MAX))
			r = cb_err_set(err, CB_ERR_LIMIT, "more than %zu chunks or %zu packs", CB_PACK_CHUNKS_MAX,
				CB_PACKS_MAX);
		if (r < 0 || cb_packset_pack(set, &pack->digest, &known)) {
			pack_free(pack);
			if (r < 0)
				return r;
			continue;
		}
		CB_GROW(set->packs, set->cap, set->n + 1);
		set->packs[set->n++] = pack;
		set->n_chunks += pack->n_chunks;
	}
	return in.at == in.end ? 0 : corrupt(err, "something follows its end");
}
