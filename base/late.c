#include "base/late.h"

#include <dlfcn.h>

#include "base/log.h"

void *cb_late_find(struct cb_late *late, const char *name)
{
	void *fn = NULL;

	pthread_mutex_lock(&late->lock);
	if (!late->handle)
		late->handle = dlopen(late->soname, RTLD_NOW | RTLD_LOCAL);
	if (late->handle)
		fn = dlsym(late->handle, name);
	pthread_mutex_unlock(&late->lock);
	if (!fn)
		cb_log_debug("%s in %s: not found", name, late->soname);
	return fn;
}
