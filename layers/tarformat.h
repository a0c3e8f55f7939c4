/* The header block of a tar file, as POSIX lays it out. Private to tarwrite.c and tarread.c. */
#ifndef CB_LAYERS_TARFORMAT_H
#define CB_LAYERS_TARFORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cb_tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char dev_major[8];
	char dev_minor[8];
	char prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct cb_tar_header) == 512, "a header is one block");

/** Sum of all bytes with the checksum field taken as spaces. */
static inline uint32_t cb_tar_checksum(const struct cb_tar_header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	uint32_t sum = 8 * ' ';

	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	for (size_t i = 0; i < sizeof(h->checksum); i++)
		sum -= (unsigned char)h->checksum[i];
	return sum;
}

/** True for a block of zeros, of which two end an archive. */
bool cb_tar_is_zero(const void *block);
/** A numeric field: octal, or GNU's base 256. */
bool cb_tar_number(const char *field, size_t size, int64_t *ret);
#define CB_TAR_NUMBER(field, ret) cb_tar_number((field), sizeof(field), (ret))

#endif
