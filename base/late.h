/*
 * Shared libraries that few commands need, loaded when the first function of them is called. libcurl and libarchive
 * bring some forty more along: linked in the ordinary way they cost each start of the program three times what it
 * needs itself, and each clone of a sandbox their mappings. Threads may call everything.
 */
#ifndef CB_BASE_LATE_H
#define CB_BASE_LATE_H

#include <pthread.h>

struct cb_late {
	const char *soname;
	pthread_mutex_t lock;
	void *handle;
};

#define CB_LATE_INIT(name)                                                                                             \
	{                                                                                                              \
		.soname = (name), .lock = PTHREAD_MUTEX_INITIALIZER                                                    \
	}

/** The function called @name, or NULL when the library or the function is not there. It is never unloaded. */
void *cb_late_find(struct cb_late *late, const char *name);

#endif
