#include "layers/chown.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/span.h"
#include "base/strv.h"

/* A number, or the name root. */
static bool is_id(const char *s, size_t len, uint32_t *ret)
{
	char text[16];
	uint32_t id;

	if (len == 4 && memcmp(s, "root", 4) == 0) {
		*ret = 0;
		return true;
	}
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	/* The largest number is "leave alone" to chown(2). */
	if (!cb_num_u32(text, &id) || id == UINT32_MAX)
		return false;
	*ret = id;
	return true;
}

static struct cb_span next_field(struct cb_span *line)
{
	const char *colon = cb_span_empty(*line) ? NULL : memchr(line->p, ':', cb_span_len(*line));
	struct cb_span field = { line->p, colon ? colon : line->end };

	line->p = colon ? colon + 1 : line->end;
	return field;
}

/* Finds the line whose first field is @name; *ret begins behind the second field. */
static bool find_line(const char *data, size_t len, const char *name, size_t name_len, struct cb_span *ret)
{
	struct cb_span all = cb_span_of(data, len);

	while (!cb_span_empty(all)) {
		const char *end = memchr(all.p, '\n', cb_span_len(all));
		struct cb_span line = { all.p, end ? end : all.end }, field;

		all.p = end ? end + 1 : all.end;
		field = next_field(&line);
		if (cb_span_len(field) == name_len && memcmp(field.p, name, name_len) == 0) {
			next_field(&line);
			*ret = line;
			return true;
		}
	}
	return false;
}

static uint32_t id_field(struct cb_span *line)
{
	struct cb_span field = next_field(line);
	uint32_t id;

	return is_id(field.p, cb_span_len(field), &id) ? id : 0;
}

void cb_chown_resolve(const char *text, const char *passwd, size_t passwd_len, const char *group, size_t group_len,
	struct cb_owner *ret)
{
	const char *colon = strchr(text, ':');
	size_t user_len = colon ? (size_t)(colon - text) : strlen(text);
	struct cb_owner owner = { 0 };
	struct cb_span line;

	if (is_id(text, user_len, &owner.uid)) {
		owner.gid = owner.uid;
	} else if (user_len > 0 && find_line(passwd, passwd_len, text, user_len, &line)) {
		owner.uid = id_field(&line);
		owner.gid = id_field(&line);
	}
	if (colon && !colon[1])
		owner.gid = 0;
	else if (colon && !is_id(colon + 1, strlen(colon + 1), &owner.gid) &&
		 find_line(group, group_len, colon + 1, strlen(colon + 1), &line))
		owner.gid = id_field(&line);
	*ret = owner;
}

bool cb_chown_needs_files(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t user_len = colon ? (size_t)(colon - text) : strlen(text);
	uint32_t id;

	return (user_len > 0 && !is_id(text, user_len, &id)) ||
	       (colon && colon[1] && !is_id(colon + 1, strlen(colon + 1), &id));
}

/* A file that is missing, odd or too big knows no names. */
static int read_names(struct cb_tree *tree, const char *path, struct cb_buf *out, struct cb_err **err)
{
	cleanup_err struct cb_err *e = NULL;
	int r = cb_tree_read_file(tree, path, CB_CHOWN_FILE_MAX, out, &e);

	if (r == CB_ERR_LIMIT || r == CB_ERR_INPUT || r == CB_ERR_NOT_FOUND) {
		cb_buf_clear(out);
		return 0;
	}
	return r < 0 ? cb_err_move(err, CB_TAKE_PTR(e)) : 0;
}

int cb_chown_lookup(const char *text, struct cb_tree *tree, struct cb_owner *ret, struct cb_err **err)
{
	cleanup_buf struct cb_buf passwd = { 0 }, group = { 0 };

	if (tree && cb_chown_needs_files(text)) {
		int r = read_names(tree, "/etc/passwd", &passwd, err);

		if (r == 0)
			r = read_names(tree, "/etc/group", &group, err);
		if (r < 0)
			return r;
	}
	cb_chown_resolve(text, passwd.data, passwd.len, group.data, group.len, ret);
	return 0;
}
