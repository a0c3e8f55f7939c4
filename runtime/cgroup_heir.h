/*
 * The process that removes our control groups when cbuild cannot: it was told what there is, and waits for the end of
 * its channel, which comes with the end of cbuild, however that ends. It is in a session of its own, so what kills a
 * process group leaves it. Where it is killed too, the next start finds the rest (cgroup_sweep.h).
 */
#ifndef CB_RUNTIME_CGROUP_HEIR_H
#define CB_RUNTIME_CGROUP_HEIR_H

#include <sys/types.h>

#include "base/err.h"
#include "runtime/cgroup_sweep.h"
#include "runtime/zygote.h"

struct cb_cgroup_heir {
	const struct cb_zygote_seed
		*seed; /* what makes it; NULL: it is forked, and the calling process has one thread */
	bool tried;
	pid_t pid; /* 0: not started */
	int sock;
};

/** Tells it one more, and starts it before the first. A failure leaves the work to the next start. */
void cb_cgroup_heir_tell(struct cb_cgroup_heir *heir, const struct cb_cgroup_place *place);
/** Ends it; what it was told is gone already. Idempotent. */
void cb_cgroup_heir_stop(struct cb_cgroup_heir *heir);

/** The process itself, with nothing open but @sock and 0 to 2. */
CB_NORETURN void cb_cgroup_heir_main(int sock);

#endif
