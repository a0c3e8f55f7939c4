#include "builder/progress.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/timefmt.h"
#include "builder/progress_state.h"
#include "builder/redact.h"

/** A line without an end is shown in pieces of this size. */
#define LINE_PIECE (64U << 10)
/** A rate is shown once it is more than chance. */
#define RATE_AFTER UINT64_C(1000000000)
/** Vertices that a build can have at all; a promise of the plan, whose limits are lower. */
#define VERTICES_MAX (1U << 24)

uint64_t cb_progress_now(const struct cb_progress *p)
{
	return p->clock ? p->clock(p->clock_arg) : cb_time_mono();
}

static void flush(struct cb_progress *p)
{
	if (!p->out.len)
		return;
	if (p->memory)
		cb_buf_add(p->memory, p->out.data, p->out.len);
	else
		/* A closed standard error must not end a build. */
		(void)!cb_fd_write_all(p->fd, p->out.data, p->out.len);
	cb_buf_clear(&p->out);
}

static const struct cb_progress_look *look_of(enum cb_progress_mode mode)
{
	static const struct cb_progress_look nothing = { 0 };

	switch (mode) {
	case CB_PROGRESS_TTY:
		return &cb_progress_tty;
	case CB_PROGRESS_PLAIN:
	case CB_PROGRESS_AUTO:
		return &cb_progress_plain;
	case CB_PROGRESS_RAWJSON:
		return &cb_progress_json;
	case CB_PROGRESS_QUIET:
	case CB_PROGRESS_NONE:
		break;
	}
	return &nothing;
}

static struct cb_progress *new_progress(enum cb_progress_mode mode, const char *title)
{
	struct cb_progress *p = cb_new0(struct cb_progress);

	p->mode = mode;
	p->look = look_of(mode);
	p->fd = -1;
	p->title = cb_xstrdup(title);
	p->log_lines = 6;
	return p;
}

static size_t log_lines_wish(void)
{
	const char *value = getenv("BUILDKIT_TTY_LOG_LINES");
	uint32_t lines;

	return value && cb_num_u32(value, &lines) && lines <= 1000 ? lines : 6;
}

static enum cb_progress_mode settle(enum cb_progress_mode mode, int fd)
{
	const char *term = getenv("TERM");

	if (mode != CB_PROGRESS_AUTO)
		return mode;
	return isatty(fd) && term && strcmp(term, "dumb") ? CB_PROGRESS_TTY : CB_PROGRESS_PLAIN;
}

struct cb_progress *cb_progress_new(enum cb_progress_mode mode, int fd, const char *title)
{
	struct cb_progress *p = new_progress(settle(mode, fd), title);

	p->fd = fd;
	p->colour = !getenv("NO_COLOR");
	p->log_lines = log_lines_wish();
	p->begin = cb_progress_now(p);
	return p;
}

struct cb_progress *cb_progress_new_memory(enum cb_progress_mode mode, struct cb_buf *out, unsigned int width,
	unsigned int height, uint64_t (*clock)(void *arg), void *arg)
{
	struct cb_progress *p = new_progress(mode, "Building");

	p->memory = out;
	p->width = width;
	p->height = height;
	p->clock = clock;
	p->clock_arg = arg;
	p->begin = cb_progress_now(p);
	return p;
}

static void free_vertex(struct cb_vertex *v)
{
	if (!v)
		return;
	free(v->name);
	free(v->message);
	cb_buf_done(&v->partial[0]);
	cb_buf_done(&v->partial[1]);
	cb_buf_done(&v->pending);
	cb_strv_done(&v->tail);
	for (size_t i = 0; i < v->n_statuses; i++)
		free(v->statuses[i].what);
	free(v->statuses);
	free(v);
}

struct cb_progress *cb_progress_free(struct cb_progress *p)
{
	if (!p)
		return NULL;
	flush(p);
	for (size_t i = 0; i < p->n_vertices; i++)
		free_vertex(p->vertices[i]);
	free(p->vertices);
	free(p->started);
	free(p->title);
	cb_strv_done(&p->warnings);
	cb_buf_done(&p->out);
	free(p);
	return NULL;
}

void cb_progress_redact(struct cb_progress *p, const struct cb_needles *needles)
{
	p->needles = needles;
}

/** The vertex, or NULL when it was never added or everything is over. */
static struct cb_vertex *find(struct cb_progress *p, uint32_t id)
{
	return !p->finished && id < p->n_vertices ? p->vertices[id] : NULL;
}

void cb_progress_added(struct cb_progress *p, uint32_t id, const char *name)
{
	cleanup_buf struct cb_buf clean = { 0 };
	cleanup_free char *redacted = cb_redact(p->needles, name);
	struct cb_vertex *v;

	assert(id < VERTICES_MAX);
	if (p->finished || find(p, id))
		return;
	if (id >= p->n_vertices) {
		CB_GROW(p->vertices, p->cap_vertices, (size_t)id + 1);
		memset(p->vertices + p->n_vertices, 0, (id + 1 - p->n_vertices) * sizeof(*p->vertices));
		p->n_vertices = (size_t)id + 1;
	}
	v = cb_new0(struct cb_vertex);
	name = redacted ? redacted : name;
	cb_progress_sanitise(&clean, name, strlen(name));
	v->name = cb_buf_take(&clean);
	for (char *c = v->name; *c; c++) {
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	}
	v->id = id;
	p->vertices[id] = v;
	p->total++;
	p->dirty = true;
	if (p->look->added)
		p->look->added(p, v);
	flush(p);
}

static void start(struct cb_progress *p, struct cb_vertex *v)
{
	if (v->state != CB_VERTEX_ADDED)
		return;
	v->state = CB_VERTEX_RUNNING;
	v->started = cb_progress_now(p);
	CB_GROW(p->started, p->cap_started, p->n_started + 1);
	p->started[p->n_started++] = v;
	v->number = (unsigned int)p->n_started;
	p->dirty = true;
	if (p->look->started)
		p->look->started(p, v);
}

void cb_progress_started(struct cb_progress *p, uint32_t id)
{
	struct cb_vertex *v = find(p, id);

	if (!v)
		return;
	start(p, v);
	flush(p);
}

static void add_tail(struct cb_vertex *v, uint64_t at, const char *data, size_t len)
{
	cleanup_buf struct cb_buf line = { 0 };

	cb_buf_addf(&line, "%.3f ", (double)at / 1e9);
	cb_progress_sanitise(&line, data, len);
	if (v->tail.n == CB_PROGRESS_TAIL_LINES)
		cb_strv_remove(&v->tail, 0);
	cb_strv_take(&v->tail, cb_buf_take(&line));
}

static void show_line(struct cb_progress *p, struct cb_vertex *v, int stream, const char *data, size_t len)
{
	uint64_t at = cb_progress_now(p) - v->started;

	if (len && data[len - 1] == '\r')
		len--;
	add_tail(v, at, data, len);
	p->dirty = true;
	if (p->look->line)
		p->look->line(p, v, stream, at, data, len);
}

static void show_partial(struct cb_progress *p, struct cb_vertex *v, int stream)
{
	struct cb_buf *partial = &v->partial[stream - 1];

	if (partial->len)
		show_line(p, v, stream, partial->data, partial->len);
	cb_buf_clear(partial);
}

void cb_progress_log(struct cb_progress *p, uint32_t id, int stream, const void *data, size_t len)
{
	struct cb_vertex *v = find(p, id);
	const char *at = data, *end = at + len;
	struct cb_buf *partial;

	assert(stream == 1 || stream == 2);
	if (!v || cb_vertex_ended(v))
		return;
	start(p, v);
	partial = &v->partial[stream - 1];
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((stop ? stop : end) - at);

		if (stop && !partial->len) {
			show_line(p, v, stream, at, n);
			at = stop + 1;
			continue;
		}
		n = CB_MIN(n, LINE_PIECE - partial->len);
		cb_buf_add(partial, at, n);
		at += n;
		if (at == stop || partial->len == LINE_PIECE)
			show_partial(p, v, stream);
		if (at == stop)
			at++;
	}
	flush(p);
}

static void end(struct cb_progress *p, uint32_t id, enum cb_vertex_state state, const char *message)
{
	struct cb_vertex *v = find(p, id);
	bool seen;

	if (!v || cb_vertex_ended(v))
		return;
	seen = state != CB_VERTEX_CANCELED && state != CB_VERTEX_DROPPED;
	if (seen)
		start(p, v);
	show_partial(p, v, 1);
	show_partial(p, v, 2);
	seen = v->state == CB_VERTEX_RUNNING;
	v->state = state;
	v->ended = cb_progress_now(p);
	v->message = cb_redact(p->needles, message);
	if (!v->message)
		v->message = cb_xstrdup_null(message);
	if (state == CB_VERTEX_DROPPED)
		p->total--;
	else if (state != CB_VERTEX_CANCELED && state != CB_VERTEX_ERROR)
		p->completed++;
	if (state != CB_VERTEX_ERROR)
		cb_strv_done(&v->tail);
	cb_buf_done(&v->partial[0]);
	cb_buf_done(&v->partial[1]);
	p->dirty = true;
	if (seen && p->look->ended)
		p->look->ended(p, v);
	flush(p);
}

void cb_progress_cached(struct cb_progress *p, uint32_t id)
{
	end(p, id, CB_VERTEX_CACHED, NULL);
}

void cb_progress_done(struct cb_progress *p, uint32_t id)
{
	end(p, id, CB_VERTEX_DONE, NULL);
}

void cb_progress_error(struct cb_progress *p, uint32_t id, const char *message)
{
	end(p, id, CB_VERTEX_ERROR, message);
}

void cb_progress_canceled(struct cb_progress *p, uint32_t id)
{
	end(p, id, CB_VERTEX_CANCELED, NULL);
}

void cb_progress_dropped(struct cb_progress *p, uint32_t id)
{
	end(p, id, CB_VERTEX_DROPPED, NULL);
}

static struct cb_vertex_status *find_status(struct cb_progress *p, struct cb_vertex *v, const char *what)
{
	cleanup_buf struct cb_buf clean = { 0 };
	cleanup_free char *redacted = cb_redact(p->needles, what);
	struct cb_vertex_status *s;

	what = redacted ? redacted : what;
	cb_progress_sanitise(&clean, what, strlen(what));
	for (size_t i = 0; i < v->n_statuses; i++) {
		if (!strcmp(v->statuses[i].what, cb_buf_str(&clean)))
			return &v->statuses[i];
	}
	CB_GROW(v->statuses, v->cap_statuses, v->n_statuses + 1);
	s = &v->statuses[v->n_statuses++];
	*s = (struct cb_vertex_status){ .what = cb_buf_take(&clean), .started = cb_progress_now(p) };
	return s;
}

void cb_progress_status(
	struct cb_progress *p, uint32_t id, const char *what, uint64_t current, uint64_t total, bool done)
{
	struct cb_vertex *v = find(p, id);
	struct cb_vertex_status *s;

	if (!v || cb_vertex_ended(v))
		return;
	start(p, v);
	s = find_status(p, v, what);
	if (s->ended)
		return;
	s->current = current;
	s->total = total;
	if (done)
		s->ended = CB_MAX(cb_progress_now(p), UINT64_C(1));
	p->dirty = true;
	if (p->look->status)
		p->look->status(p, v, s);
	flush(p);
}

void cb_progress_warning(struct cb_progress *p, uint32_t id, const char *message)
{
	struct cb_vertex *v = find(p, id);
	cleanup_free char *redacted = cb_redact(p->needles, message);

	message = redacted ? redacted : message;
	if (p->finished || cb_strv_has(&p->warnings, message))
		return;
	cb_strv_add(&p->warnings, message);
	if (p->look->warning)
		p->look->warning(p, v, message);
	flush(p);
}

int cb_progress_tick(struct cb_progress *p)
{
	int r = !p->finished && p->look->tick ? p->look->tick(p) : -1;

	flush(p);
	return r;
}

void cb_progress_finish(struct cb_progress *p, bool ok)
{
	if (p->finished)
		return;
	p->finished = true;
	if (p->look->finish)
		p->look->finish(p, ok);
	flush(p);
}

void cb_progress_tail(const struct cb_progress *p, uint32_t id, struct cb_buf *out)
{
	if (id >= p->n_vertices || !p->vertices[id])
		return;
	for (size_t i = 0; i < p->vertices[id]->tail.n; i++)
		cb_buf_addf(out, "%s\n", p->vertices[id]->tail.v[i]);
}

void cb_progress_status_text(struct cb_buf *out, const struct cb_vertex_status *s, uint64_t now)
{
	uint64_t elapsed = (s->ended ? s->ended : now) - s->started;

	cb_buf_adds(out, s->what);
	/* One of one is a count that is over, no size. */
	if ((!s->current && !s->total) || (s->total == 1 && s->current == 1))
		return;
	cb_buf_adds(out, s->total ? " " : ": ");
	cb_num_format_size(out, s->current);
	if (s->total) {
		cb_buf_adds(out, " / ");
		cb_num_format_size(out, s->total);
	}
	if (s->total && elapsed >= RATE_AFTER) {
		cb_buf_adds(out, ", ");
		cb_num_format_size(out, (uint64_t)((double)s->current * 1e9 / (double)elapsed));
		cb_buf_adds(out, "/s");
	}
}
