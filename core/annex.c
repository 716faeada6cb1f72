/*
 * Annex
 *
 *   X1  `symbols` is stored once, when all that it points to was found. Who sees it sees
 *       these, and takes no lock.
 *   X2  dlopen() is called with the lock held, and none of these libraries' constructors
 *       comes here. Who forks waits for the lock: otherwise a child could be born while
 *       another thread has put a library into the loader's list and not yet relocated it.
 *       The child would be given it as one that is loaded.
 *   X3  In a process that others of its threads' locks were copied into, or that may open no
 *       file, nothing is loaded: whoever makes such a process loads all before, and
 *       `is_settled` says in it that this is over.
 *
 * A child of the fork server loads by itself what it needs: its server has shown that the
 * loader's locks are free there (core/forkserver.h), and X2 that what it finds is whole.
 * So does a child by fork from a program that had no other threads. One that had any is of
 * X3. Of a fork() of the program's own the C library makes the loader's lock anew in the
 * child; what the program's other threads were loading at that moment is its own concern, as it
 * is for its own dlopen().
 *
 * A fork server is made anew once a library was loaded (core/service_births.c), but not for
 * these: carom_annexes_image_count() says how many they are.
 *
 *	thread A			thread B, which starts a process
 *	lock
 *	dlopen(): mapped, in the list	carom_annexes_hold(): waits
 *	relocated, initialised
 *	store symbols (X1)
 *	unlock				holds, forks: the child has it, whole
 *
 *	a constructor that somebody's dlopen() runs in thread C, holding the loader's lock,
 *	starts a process, and A waits for that lock: B, and so C, would wait for ever.
 *	Therefore B waits until a deadline, which is that of an attempt to make a server.
 */
#include "core/annex.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/fork_lock.h"
#include "core/log.h"
#include "core/timespec.h"

extern struct carom_annex __start_carom_annexes[] __attribute__((weak, visibility("hidden")));
extern struct carom_annex __stop_carom_annexes[] __attribute__((weak, visibility("hidden")));

_Static_assert(sizeof(struct carom_annex) == CAROM_ANNEX_SIZE, "an array has no gaps");

static CAROM_FORK_LOCK(lock);
static atomic_bool is_settled;
static _Atomic uint64_t image_count;

static const char *name_after(const char *name)
{
	return name + strlen(name) + 1;
}

static size_t count_names(const struct carom_annex *annex)
{
	size_t count = 0;

	for (const char *name = annex->names; *name; name = name_after(name))
		count++;
	return count;
}

static bool find_all(void *library, const struct carom_annex *annex, void **symbols)
{
	const char *name = annex->names;

	for (; *name; name = name_after(name))
		if (!(*symbols++ = dlsym(library, name)))
			return false;
	return true;
}

/* ---- how many images that brings ---- */

/** struct census - of @image, of which the loader's list has been @is_seen, and what follows it for it */
struct census {
	const struct link_map *image;
	bool is_seen;
	uint32_t count;
};

static bool needs(const struct link_map *image, const char *name)
{
	const char *strings = NULL;
	const ElfW(Dyn) * entry;

	for (entry = image->l_ld; entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_STRTAB) /* some loaders have not added where the image is */
			strings = (const char *)(entry->d_un.d_ptr < image->l_addr
							 ? image->l_addr + entry->d_un.d_ptr
							 : entry->d_un.d_ptr);
	for (entry = image->l_ld; strings && entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == DT_NEEDED && strcmp(strings + entry->d_un.d_val, name) == 0)
			return true;
	return false;
}

/* In the order in which they were loaded: what an image was the first to need comes after it. */
static int count_one(struct dl_phdr_info *info, size_t size, void *userdata)
{
	struct census *census = userdata;
	const char *slash = strrchr(info->dlpi_name, '/');

	if (info->dlpi_addr == census->image->l_addr)
		census->is_seen = true;
	else if (!census->is_seen || !needs(census->image, slash ? slash + 1 : info->dlpi_name))
		return 0;
	census->count++;
	return 0;
}

static uint32_t count_images(void *library)
{
	struct census census = { 0 };

	if (dlinfo(library, RTLD_DI_LINKMAP, &census.image) == 0)
		dl_iterate_phdr(count_one, &census);
	return census.count;
}

/* ---- loading ---- */

/* Return: all of it, or NULL and dlerror() says why; never closed */
static void **open_it(const struct carom_annex *annex)
{
	void **symbols = calloc(count_names(annex), sizeof(*symbols));
	void *older = symbols ? dlopen(annex->soname, RTLD_NOW | RTLD_NOLOAD) : NULL;
	void *library = symbols ? dlopen(annex->soname, RTLD_NOW | RTLD_LOCAL) : NULL;

	if (library && !older)
		atomic_fetch_add(&image_count, count_images(library));
	if (library && find_all(library, annex, symbols))
		return symbols;
	free(symbols);
	return NULL;
}

uint64_t carom_annexes_image_count(void)
{
	return atomic_load(&image_count);
}

static void **load(struct carom_annex *annex)
{
	/* acquire: X1; pairs with the release below */
	void **symbols = atomic_load_explicit(&annex->symbols, memory_order_acquire);

	if (symbols || atomic_load(&is_settled))
		return symbols;
	carom_fork_lock_acquire(&lock);
	/* relaxed: stored under the lock */
	symbols = atomic_load_explicit(&annex->symbols, memory_order_relaxed);
	if (!symbols)
		symbols = open_it(annex);
	/* release: X1; pairs with the acquire above */
	atomic_store_explicit(&annex->symbols, symbols, memory_order_release);
	carom_fork_lock_release(&lock);
	return symbols;
}

/* once: who lacks it may be asked for it a thousand times a second */
static void tell(struct carom_annex *annex, const char *why)
{
	if (!atomic_exchange(&annex->is_told, true))
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_LIBRARY_MISSING,
				"%s cannot be used: %s", annex->soname, why);
}

static const char *reason(void)
{
	const char *why = atomic_load(&is_settled) ? NULL : dlerror(); /* of this thread */

	return why ? why : "it was not loaded while it could be";
}

void *carom_annex_symbols(struct carom_annex *annex)
{
	void **symbols = load(annex);

	if (!symbols)
		tell(annex, reason());
	return symbols;
}

void carom_annexes_load(void)
{
	struct carom_annex *annex = NULL;

	while ((annex = carom_annex_next(annex)))
		load(annex);
}

void carom_annexes_settle(void)
{
	atomic_store(&is_settled, true);
}

void carom_annexes_end(void)
{
	carom_annexes_load();
	carom_annexes_settle();
}

static int lock_until(pthread_mutex_t *mutex, uint64_t deadline_ns)
{
#ifdef __SANITIZE_THREAD__ /* does not know pthread_mutex_clocklock() */
	int r;

	while ((r = pthread_mutex_trylock(mutex)) == EBUSY && carom_now() < deadline_ns)
		sched_yield();
	return r == EBUSY ? -ETIMEDOUT : -r;
#else
	struct timespec until = carom_timespec(deadline_ns);

	return -pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
#endif
}

int carom_annexes_hold(uint64_t deadline_ns)
{
	return lock_until(&lock.mutex, deadline_ns);
}

void carom_annexes_release(void)
{
	carom_fork_lock_release(&lock);
}

struct carom_annex *carom_annex_next(struct carom_annex *annex)
{
	annex = annex ? annex + 1 : __start_carom_annexes;
	return annex < __stop_carom_annexes ? annex : NULL;
}
