/*
 * Small tars from one line of text, and back: for tests of what reads and writes layers.
 *
 *   d PATH [MODE]   f PATH [MODE] [+NAME:VALUE] [=DATA]   l PATH >TARGET   h PATH >EARLIER   p PATH   c PATH
 * >MAJOR.MINOR w PATH          whiteout of it        o PATH    the mark of an opaque directory, in it
 *
 * Entries are separated by ";". Modes are 755 of directories and 644 of all else where nothing is said.
 */
#ifndef CB_TEST_TARTEXT_H
#define CB_TEST_TARTEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"
#include "base/strv.h"
#include "layers/tarread.h"
#include "layers/tarwrite.h"
#include "layers/whiteout.h"

static inline void tartext_entry(struct cb_tarwriter *tar, char *text)
{
	char *data = strpbrk(text, "=>"), *save = NULL, *word, *kind, *path;
	struct cb_tar_xattr xattr = { 0 };
	struct cb_tar_entry e = { .type = CB_TAR_FILE, .mode = 0644, .mtime = 1000, .xattrs = &xattr };
	cleanup_free char *marked = NULL, *dir = NULL;

	if (data)
		*data++ = '\0';
	kind = strtok_r(text, " ", &save);
	path = strtok_r(NULL, " ", &save);
	assert_non_null(path);
	e.path = path;
	while ((word = strtok_r(NULL, " ", &save))) {
		if (*word == '+') {
			char *value = strchr(word, ':');

			*value++ = '\0';
			xattr = (struct cb_tar_xattr){ word + 1, value, strlen(value) };
			e.n_xattrs = 1;
		} else {
			e.mode = (uint32_t)strtoul(word, NULL, 8);
		}
	}
	switch (*kind) {
	case 'd':
		e.type = CB_TAR_DIR;
		e.mode = e.mode == 0644 ? 0755 : e.mode;
		break;
	case 'f':
		e.size = data ? strlen(data) : 0;
		break;
	case 'l':
	case 'h':
		e.type = *kind == 'l' ? CB_TAR_SYMLINK : CB_TAR_HARDLINK;
		e.link = data;
		break;
	case 'p':
		e.type = CB_TAR_FIFO;
		break;
	case 'c':
		e.type = CB_TAR_CHAR;
		assert_int_equal(sscanf(data, "%u.%u", &e.major, &e.minor), 2);
		break;
	case 'w':
		dir = cb_path_dir(path);
		marked = cb_xasprintf("%s/" CB_WHITEOUT_PREFIX "%s", dir, cb_path_base(path));
		e.path = strcmp(dir, ".") != 0 ? marked : marked + 2;
		break;
	case 'o':
		e.path = marked = cb_xasprintf("%s/" CB_WHITEOUT_OPAQUE, path);
		break;
	default:
		fail_msg("no kind of entry: %s", kind);
	}
	assert_int_equal(cb_tarwriter_entry(tar, &e, NULL), 0);
	if (e.size)
		assert_int_equal(cb_tarwriter_data(tar, data, e.size, NULL), 0);
}

/* Appends the tar of @text to @out. */
static inline void tartext_make(const char *text, struct cb_buf *out)
{
	CB_CLEANUP(cb_tarwriter_free) struct cb_tarwriter *tar = cb_tarwriter_new(cb_sink_buf(out));
	cleanup_strv struct cb_strv entries = { 0 };

	if (*text)
		cb_strv_split(&entries, text, ';');
	for (size_t i = 0; i < entries.n; i++)
		tartext_entry(tar, entries.v[i]);
	assert_int_equal(cb_tarwriter_finish(tar, NULL), 0);
}

static inline void tartext_show(struct cb_tarreader *tar, const struct cb_tar_item *item, struct cb_buf *out)
{
	bool dir = item->type == CB_TAR_DIR;
	const char *base = cb_path_base(item->path);
	size_t len = strlen(item->path) - (dir ? 1 : 0), head = (size_t)(base - item->path);
	const void *piece;
	uint64_t at;
	ssize_t n;

	if (out->len)
		cb_buf_addc(out, ';');
	if (!strcmp(base, CB_WHITEOUT_OPAQUE)) {
		cb_buf_addf(out, "o %.*s", (int)head - 1, item->path);
		return;
	}
	if (cb_str_starts(base, CB_WHITEOUT_PREFIX)) {
		cb_buf_addf(out, "w %.*s%s", (int)head, item->path, base + strlen(CB_WHITEOUT_PREFIX));
		return;
	}
	cb_buf_addf(out, "%c %.*s",
		dir                             ? 'd'
		: item->type == CB_TAR_SYMLINK  ? 'l'
		: item->type == CB_TAR_HARDLINK ? 'h'
		: item->type == CB_TAR_FIFO     ? 'p'
		: item->type == CB_TAR_CHAR     ? 'c'
						: 'f',
		(int)len, item->path);
	if (item->type != CB_TAR_HARDLINK && item->mode != (dir ? 0755u : 0644u))
		cb_buf_addf(out, " %o", item->mode);
	for (size_t i = 0; i < item->n_xattrs; i++)
		cb_buf_addf(out, " +%s:%.*s", item->xattrs[i].name, (int)item->xattrs[i].len,
			(const char *)item->xattrs[i].value);
	if (*item->link)
		cb_buf_addf(out, " >%s", item->link);
	if (item->type == CB_TAR_CHAR)
		cb_buf_addf(out, " >%u.%u", item->major, item->minor);
	if (item->type == CB_TAR_FILE && item->size)
		cb_buf_adds(out, " =");
	while (item->type == CB_TAR_FILE && (n = cb_tarreader_data(tar, &piece, &at, NULL)) > 0)
		cb_buf_add(out, piece, (size_t)n);
}

/* Appends the text of the tar that @source gives to @out. */
static inline void tartext_read(struct cb_source source, struct cb_buf *out)
{
	CB_CLEANUP(cb_tarreader_free) struct cb_tarreader *tar = cb_tarreader_new(source);
	const struct cb_tar_item *item;
	int r;

	while ((r = cb_tarreader_next(tar, &item, NULL)) == 0)
		tartext_show(tar, item, out);
	assert_int_equal(r, 1);
	assert_int_equal(cb_tarreader_drain(tar, NULL), 0);
}

#endif
