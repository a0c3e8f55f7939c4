#include "base/cancel.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct cb_cancel {
	atomic_bool raised;
	int fd;
};

struct cb_cancel *cb_cancel_new(void)
{
	struct cb_cancel *cancel = cb_new0(struct cb_cancel);

	cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cancel->fd < 0)
		abort(); /* out of descriptors at start-up: nothing can work */
	return cancel;
}

struct cb_cancel *cb_cancel_free(struct cb_cancel *cancel)
{
	if (cancel) {
		close(cancel->fd);
		free(cancel);
	}
	return NULL;
}

void cb_cancel_raise(struct cb_cancel *cancel)
{
	const uint64_t one = 1;

	if (!atomic_exchange(&cancel->raised, true))
		if (write(cancel->fd, &one, sizeof(one)) < 0)
			return; /* the counter cannot overflow from one write */
}

bool cb_cancel_raised(const struct cb_cancel *cancel)
{
	return cancel && atomic_load_explicit(&cancel->raised, memory_order_relaxed);
}

int cb_cancel_fd(const struct cb_cancel *cancel)
{
	return cancel ? cancel->fd : -1;
}

int cb_cancel_check(const struct cb_cancel *cancel, struct cb_err **err)
{
	return cb_cancel_raised(cancel) ? cb_err_set(err, CB_ERR_CANCELED, "canceled") : 0;
}
