/*
 * Completion queue: how threads of the pools talk to the coordinator.
 *
 * Any thread posts; only the coordinator takes. Posting never blocks except for log text beyond CB_QUEUE_LOG_MAX bytes
 * that the coordinator has not taken yet: a step that prints faster than the terminal waits, memory does not grow.
 */
#ifndef CB_BUILDER_QUEUE_H
#define CB_BUILDER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

/** Bytes of log text on their way to the coordinator. */
#define CB_QUEUE_LOG_MAX (4u << 20)

enum cb_msg_kind {
	CB_MSG_DONE,   /* a job of the scheduler ended with @result and @err */
	CB_MSG_TASK,   /* a background task of its owner ended so */
	CB_MSG_LOG,    /* @len bytes @data that it wrote to its descriptor @fd */
	CB_MSG_STATUS, /* a line @data with @current of @total bytes */
	CB_MSG_NOTE,   /* a warning @data */
	CB_MSG_BEGIN,  /* the job really starts now, after it waited for a lock */
	CB_MSG_ANSWER, /* what the vertex waited for (CB_SCHEDULER_LATER) is there */
};

struct cb_msg {
	enum cb_msg_kind kind;
	void *subject; /* the vertex or task that the message is about; borrowed */
	int fd;
	int result;
	struct cb_err *err; /* owned */
	char *data;         /* owned, NUL-terminated after @len bytes */
	size_t len;
	uint64_t current, total;
	struct cb_msg *next;
};

struct cb_queue;

struct cb_queue *cb_queue_new(void);
/** Drops what was not taken. Nobody may post any more. */
struct cb_queue *cb_queue_free(struct cb_queue *queue);
CB_DEFINE_CLEANUP(struct cb_queue *, cb_queue_free)

/** Posts a copy of @msg, taking @msg->err and @msg->data. */
void cb_queue_post(struct cb_queue *queue, const struct cb_msg *msg);
/** Takes the whole backlog, oldest first, linked by next; NULL when empty. */
struct cb_msg *cb_queue_take(struct cb_queue *queue);
/** Readable while something is there. */
int cb_queue_fd(const struct cb_queue *queue);
/** From now on posting never waits: the coordinator is about to leave. */
void cb_queue_open_gates(struct cb_queue *queue);
struct cb_msg *cb_msg_free(struct cb_msg *msg);

#endif
