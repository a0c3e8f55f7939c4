/* library: layers */
/* Decompression of any bytes, read in pieces whose size the first byte chooses. */
#include <stdlib.h>

#include "layers/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cb_decompress_limits limits = { 8 << 20, 0 };
	struct cb_source_mem mem = { data, size, 0 };
	struct cb_decompressor *d = NULL;
	char buf[4096];
	size_t step;

	if (size < 1)
		return 0;
	step = 1 + (size_t)data[0] * 16;
	mem.at = 1;
	if (cb_decompressor_open(cb_source_mem(&mem), &limits, &d, NULL) == 0)
		while (cb_decompressor_read(d, buf, step, NULL) > 0)
			;
	cb_decompressor_free(d);
	return 0;
}
