/*
 * What the looks of progress share. Private to builder/progress*.c.
 *
 * progress.c keeps the state of every vertex, splits output into lines and calls the look; a look only prints.
 */
#ifndef CB_BUILDER_PROGRESS_STATE_H
#define CB_BUILDER_PROGRESS_STATE_H

#include "base/strv.h"
#include "builder/progress.h"

enum cb_vertex_state {
	CB_VERTEX_ADDED,
	CB_VERTEX_RUNNING,
	/* ended: */
	CB_VERTEX_DONE,
	CB_VERTEX_CACHED,
	CB_VERTEX_ERROR,
	CB_VERTEX_CANCELED,
	CB_VERTEX_DROPPED,
};

struct cb_vertex_status {
	char *what;
	uint64_t current, total;
	uint64_t started, ended; /* ended: 0 while it goes on */
	uint64_t printed;        /* plain: when it was last shown */
};

struct cb_vertex {
	bool known;
	char *name;
	enum cb_vertex_state state;
	unsigned int number; /* "#N", from 1; 0 before it started */
	uint32_t id;
	uint64_t started, ended; /* nanoseconds of the clock */
	char *message;           /* of an error */
	struct cb_buf partial[2];
	struct cb_strv tail; /* the last lines, fit for a terminal, with their times */
	struct cb_vertex_status *statuses;
	size_t n_statuses, cap_statuses;
	struct cb_buf pending; /* plain: output that waits for its turn */
};

/** How events are shown. Any function may be NULL. All run after the state was changed. */
struct cb_progress_look {
	void (*added)(struct cb_progress *p, struct cb_vertex *v);
	void (*started)(struct cb_progress *p, struct cb_vertex *v);
	void (*ended)(struct cb_progress *p, struct cb_vertex *v);
	/* One line without its end, @at nanoseconds after the vertex's start. */
	void (*line)(struct cb_progress *p, struct cb_vertex *v, int stream, uint64_t at, const char *data, size_t len);
	void (*status)(struct cb_progress *p, struct cb_vertex *v, struct cb_vertex_status *s);
	void (*warning)(struct cb_progress *p, struct cb_vertex *v, const char *message);
	int (*tick)(struct cb_progress *p);
	void (*finish)(struct cb_progress *p, bool ok);
};

struct cb_progress {
	const struct cb_needles *needles; /* what names and messages must not show, or NULL */
	enum cb_progress_mode mode;
	const struct cb_progress_look *look;
	int fd;
	struct cb_buf *memory; /* in place of fd */
	uint64_t (*clock)(void *arg);
	void *clock_arg;
	char *title;
	struct cb_vertex **vertices; /* by id */
	size_t n_vertices, cap_vertices;
	struct cb_vertex **started; /* by number - 1 */
	size_t n_started, cap_started;
	size_t total, completed;
	struct cb_strv warnings;
	uint64_t begin;
	bool finished;
	struct cb_buf out; /* not yet written */
	/* plain */
	struct cb_vertex *current;
	uint64_t switched, printed;
	/* tty */
	unsigned int width, height; /* 0: ask the terminal */
	bool colour;
	size_t log_lines;
	uint64_t drawn;
	size_t drawn_rows;
	bool dirty;
};

extern const struct cb_progress_look cb_progress_plain, cb_progress_tty, cb_progress_json;

uint64_t cb_progress_now(const struct cb_progress *p);
static inline bool cb_vertex_ended(const struct cb_vertex *v)
{
	return v->state >= CB_VERTEX_DONE;
}
/** Appends "what 1.2MB / 3MB, 4MB/s" of a status, without its time. */
void cb_progress_status_text(struct cb_buf *out, const struct cb_vertex_status *s, uint64_t now);

#endif
