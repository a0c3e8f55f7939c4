#include "builder/queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"

struct cb_queue {
	pthread_mutex_t mutex;
	pthread_cond_t room;
	struct cb_msg *first, **last;
	size_t log_bytes;
	bool gates_open;
	int event;
};

struct cb_queue *cb_queue_new(void)
{
	struct cb_queue *queue = cb_new0(struct cb_queue);

	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->room, NULL);
	queue->last = &queue->first;
	queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Without an eventfd nothing can work: as with lack of memory. */
	if (queue->event < 0)
		abort();
	return queue;
}

struct cb_queue *cb_queue_free(struct cb_queue *queue)
{
	if (!queue)
		return NULL;
	for (struct cb_msg *msg = queue->first, *next; msg; msg = next) {
		next = msg->next;
		cb_msg_free(msg);
	}
	close(queue->event);
	pthread_cond_destroy(&queue->room);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
	return NULL;
}

struct cb_msg *cb_msg_free(struct cb_msg *msg)
{
	if (!msg)
		return NULL;
	cb_err_free(msg->err);
	free(msg->data);
	free(msg);
	return NULL;
}

void cb_queue_post(struct cb_queue *queue, const struct cb_msg *msg)
{
	struct cb_msg *copy = cb_xmemdup(msg, sizeof(*msg));
	bool was_empty;

	copy->next = NULL;
	pthread_mutex_lock(&queue->mutex);
	if (copy->kind == CB_MSG_LOG) {
		while (queue->log_bytes > CB_QUEUE_LOG_MAX && !queue->gates_open)
			pthread_cond_wait(&queue->room, &queue->mutex);
		queue->log_bytes += copy->len;
	}
	was_empty = !queue->first;
	*queue->last = copy;
	queue->last = &copy->next;
	pthread_mutex_unlock(&queue->mutex);

	if (was_empty) {
		uint64_t one = 1;
		CB_UNUSED ssize_t n = write(queue->event, &one, sizeof(one));
	}
}

struct cb_msg *cb_queue_take(struct cb_queue *queue)
{
	struct cb_msg *first;
	uint64_t count;
	CB_UNUSED ssize_t n = read(queue->event, &count, sizeof(count));

	pthread_mutex_lock(&queue->mutex);
	first = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->log_bytes = 0;
	pthread_cond_broadcast(&queue->room);
	pthread_mutex_unlock(&queue->mutex);
	return first;
}

int cb_queue_fd(const struct cb_queue *queue)
{
	return queue->event;
}

void cb_queue_open_gates(struct cb_queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->gates_open = true;
	pthread_cond_broadcast(&queue->room);
	pthread_mutex_unlock(&queue->mutex);
}
