/*
 * The terminal look: a table that is drawn over itself, one row a vertex, under it the last lines of what it prints.
 *
 * Live, the table fits the screen: what was completed first gives way. At the end all of it is printed once more.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "base/unicode.h"
#include "builder/progress_state.h"

#define MS UINT64_C(1000000)
#define REDRAW (100 * MS)
/** Columns that the time on the right takes. */
#define TIME_COLUMNS 8
#define WIDTH_MIN 20

struct table {
	struct cb_strv rows;
	unsigned int width;
	bool old_statuses; /* statuses of completed vertices too */
	size_t skip;       /* completed vertices to leave out */
	size_t log_lines;
};

static void terminal_size(const struct cb_progress *p, unsigned int *width, unsigned int *height)
{
	struct winsize size = { 0 };

	*width = p->width ? p->width : 80;
	*height = p->height ? p->height : 24;
	if (!p->width && !ioctl(p->fd, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		*width = size.ws_col;
		*height = size.ws_row;
	}
	*width = CB_MAX(*width, (unsigned int)WIDTH_MIN);
}

/** Appends as much of @text as fits into @columns; returns what it takes. */
static unsigned int add_clipped(struct cb_buf *out, const char *text, unsigned int columns)
{
	const char *p = text, *end = text + strlen(text);
	unsigned int used = 0;

	while (p < end) {
		uint32_t rune;
		const char *start = p;
		unsigned int w;

		p += cb_utf8_decode(p, end, &rune);
		w = rune == '\t' ? 1 : cb_rune_width(rune);
		if (used + w > columns)
			break;
		if (rune == '\t')
			cb_buf_addc(out, ' ');
		else
			cb_buf_add(out, start, (size_t)(p - start));
		used += w;
	}
	return used;
}

static const char *colour_of(const struct cb_progress *p, const struct cb_vertex *v)
{
	if (!p->colour)
		return NULL;
	switch (v->state) {
	case CB_VERTEX_DONE:
	case CB_VERTEX_CACHED:
		return "34";
	case CB_VERTEX_ERROR:
		return "31";
	case CB_VERTEX_CANCELED:
		return "33";
	case CB_VERTEX_ADDED:
	case CB_VERTEX_RUNNING:
	case CB_VERTEX_DROPPED:
		break;
	}
	return NULL;
}

/** One row: text on the left, seconds on the right. */
static void add_row(struct table *table, const char *colour, const char *text, uint64_t ns)
{
	cleanup_buf struct cb_buf row = { 0 }, time = { 0 };
	unsigned int room = table->width - TIME_COLUMNS, used;

	cb_buf_addf(&time, "%.1fs", (double)ns / 1e9);
	if (colour)
		cb_buf_addf(&row, "\033[%sm", colour);
	used = add_clipped(&row, text, room);
	cb_buf_addf(&row, "%*s", (int)(table->width - used), cb_buf_str(&time));
	if (colour)
		cb_buf_adds(&row, "\033[0m");
	cb_strv_add(&table->rows, cb_buf_str(&row));
}

static void add_vertex(const struct cb_progress *p, struct table *table, const struct cb_vertex *v, uint64_t now)
{
	static const char *const marks[] = { [CB_VERTEX_CACHED] = "CACHED ",
		[CB_VERTEX_ERROR] = "ERROR ",
		[CB_VERTEX_CANCELED] = "CANCELED ",
		[CB_VERTEX_DROPPED] = "" };
	cleanup_buf struct cb_buf text = { 0 };
	const char *mark = marks[v->state];

	cb_buf_addf(&text, " => %s%s", mark ? mark : "", v->name);
	add_row(table, colour_of(p, v), cb_buf_str(&text), (cb_vertex_ended(v) ? v->ended : now) - v->started);
	for (size_t i = 0; i < v->n_statuses && (table->old_statuses || !cb_vertex_ended(v)); i++) {
		const struct cb_vertex_status *s = &v->statuses[i];

		cb_buf_clear(&text);
		cb_buf_adds(&text, " => => ");
		cb_progress_status_text(&text, s, now);
		add_row(table, s->ended ? colour_of(p, v) : NULL, cb_buf_str(&text),
			(s->ended ? s->ended : now) - s->started);
	}
}

static void add_log(struct table *table, const struct cb_vertex *v)
{
	size_t n = CB_MIN(v->tail.n, table->log_lines);

	for (size_t i = v->tail.n - n; i < v->tail.n; i++) {
		const char *space = strchr(v->tail.v[i], ' ');
		cleanup_buf struct cb_buf row = { 0 };

		cb_buf_adds(&row, " => => # ");
		add_clipped(&row, space ? space + 1 : v->tail.v[i], table->width - 9);
		cb_strv_add(&table->rows, cb_buf_str(&row));
	}
}

static void fill(const struct cb_progress *p, struct table *table, bool finished)
{
	uint64_t now = cb_progress_now(p);
	size_t skip = table->skip;

	for (size_t i = 0; i < p->n_started; i++) {
		const struct cb_vertex *v = p->started[i];

		if (v->state == CB_VERTEX_DROPPED)
			continue;
		if (skip && cb_vertex_ended(v) && v->state != CB_VERTEX_ERROR) {
			skip--;
			continue;
		}
		add_vertex(p, table, v, now);
		if (!finished && !cb_vertex_ended(v))
			add_log(table, v);
	}
}

/** Fills @table with at most @height rows. */
static void fill_screen(const struct cb_progress *p, struct table *table, size_t height)
{
	for (int level = 0; level < 5; level++) {
		size_t excess;

		cb_strv_done(&table->rows);
		fill(p, table, false);
		if (table->rows.n <= height)
			return;
		excess = table->rows.n - height;
		if (level == 0)
			table->old_statuses = false;
		else if (level == 1)
			table->skip = excess;
		else if (level == 2)
			table->log_lines = CB_MIN(table->log_lines, (size_t)1);
		else if (level == 3)
			table->log_lines = 0;
	}
	while (table->rows.n > height)
		cb_strv_remove(&table->rows, 0);
}

static void draw(struct cb_progress *p, bool finished)
{
	struct table table = { .old_statuses = true, .log_lines = p->log_lines };
	cleanup_buf struct cb_buf header = { 0 };
	unsigned int height;

	terminal_size(p, &table.width, &height);
	if (finished)
		fill(p, &table, true);
	else
		fill_screen(p, &table, height > 3 ? height - 2 : 1);
	cb_buf_addf(&header, "[+] %s %.1fs (%zu/%zu)%s", p->title, (double)(cb_progress_now(p) - p->begin) / 1e9,
		p->completed, p->total, finished ? " FINISHED" : "");
	if (p->drawn_rows)
		cb_buf_addf(&p->out, "\r\033[%zuA", p->drawn_rows);
	add_clipped(&p->out, cb_buf_str(&header), table.width);
	cb_buf_adds(&p->out, "\033[K\n");
	for (size_t i = 0; i < table.rows.n; i++)
		cb_buf_addf(&p->out, "%s\033[K\n", table.rows.v[i]);
	cb_buf_adds(&p->out, "\033[J");
	p->drawn_rows = table.rows.n + 1;
	p->drawn = cb_progress_now(p);
	p->dirty = false;
	cb_strv_done(&table.rows);
}

static int tty_tick(struct cb_progress *p)
{
	bool running = p->completed < p->total;
	uint64_t since = cb_progress_now(p) - p->drawn;

	if (p->drawn_rows && since < REDRAW)
		return p->dirty || running ? (int)((REDRAW - since + MS - 1) / MS) : -1;
	if (p->dirty || running)
		draw(p, false);
	return running ? (int)(REDRAW / MS) : -1;
}

static void tty_finish(struct cb_progress *p, bool ok)
{
	(void)ok;
	draw(p, true);
	if (p->warnings.n)
		cb_buf_addf(&p->out, "\n%zu warning%s:\n", p->warnings.n, p->warnings.n == 1 ? "" : "s");
	for (size_t i = 0; i < p->warnings.n; i++) {
		cleanup_buf struct cb_buf clean = { 0 };

		cb_progress_sanitise(&clean, p->warnings.v[i], strlen(p->warnings.v[i]));
		cb_buf_addf(&p->out, " - %s\n", cb_buf_str(&clean));
	}
}

const struct cb_progress_look cb_progress_tty = {
	.tick = tty_tick,
	.finish = tty_finish,
};
