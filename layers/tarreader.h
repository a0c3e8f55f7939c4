/* The inside of struct cb_tarreader, shared by tarread.c and tarsparse.c. */
#ifndef CB_LAYERS_TARREADER_H
#define CB_LAYERS_TARREADER_H

#include "layers/tarformat.h"
#include "layers/tarpax.h"
#include "layers/tarread.h"

struct cb_tarreader {
	struct cb_source in;
	char *buf;
	size_t pos, end; /* what is unread in buf */
	bool eof;

	uint64_t raw_left; /* data bytes of the entry still in the stream */
	unsigned int padding;
	struct cb_pax global, pax;
	char *long_name, *long_link; /* of GNU 'L' and 'K' headers */
	char *path;                  /* of the current item */
	char *link;
	struct cb_tar_item item;
	struct cb_tar_region whole; /* the only region of a file without holes */
	const struct cb_tar_region *regions;
	size_t n_regions, region;
	uint64_t region_done;
	bool ended;
};

int cb_tarreader_truncated(struct cb_err **err);
int cb_tarreader_bad_field(struct cb_err **err, const char *field);
/** One block in place; 1 at the end of the stream. */
int cb_tarreader_block(struct cb_tarreader *r, const void **ret, struct cb_err **err);

/** Type 'S': the map is in the header and in blocks that follow it. */
int cb_tarsparse_old(struct cb_tarreader *r, const struct cb_tar_header *h, struct cb_err **err);
/** pax 1.0: the map is text at the start of the data. */
int cb_tarsparse_in_data(struct cb_tarreader *r, struct cb_err **err);
/** Regions ascend, lie within the file and have exactly the data that the archive holds. */
int cb_tarsparse_check(struct cb_tarreader *r, struct cb_err **err);

#endif
