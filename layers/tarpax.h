/* Records of pax extended headers. Private to tarread.c and tarpax.c. */
#ifndef CB_LAYERS_TARPAX_H
#define CB_LAYERS_TARPAX_H

#include "layers/tarread.h"

struct cb_tar_region {
	uint64_t at, len;
};

/** What the extended headers before an entry said. Zero-initialise, end with cb_pax_done. */
struct cb_pax {
	char *path, *link; /* or NULL */
	bool has_size, has_uid, has_gid, has_mtime;
	uint64_t size;
	uint32_t uid, gid;
	struct timespec mtime;
	struct cb_tar_xattr *xattrs; /* owned strings */
	size_t n_xattrs, cap_xattrs;

	/* GNU.sparse.*: 0.0 and 0.1 carry the map in records, 1.0 in the data. */
	bool sparse, sparse_in_data;
	bool has_real_size;
	uint64_t real_size;
	struct cb_tar_region *regions;
	size_t n_regions, cap_regions;
	bool region_open; /* an offset without its length yet */
};

void cb_pax_done(struct cb_pax *pax);
/** Copies everything; @to was zeroed or done. */
void cb_pax_copy(struct cb_pax *to, const struct cb_pax *from);
/** Adds the records of one header; later ones win, an empty value takes a record back. */
int cb_pax_parse(struct cb_pax *pax, const char *data, size_t len, struct cb_err **err);
void cb_pax_add_region(struct cb_pax *pax, uint64_t at, uint64_t len);

#endif
