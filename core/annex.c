/*
 * Annex
 *
 *   X1  `symbols` is stored once, when all that it points to was found. Who sees it sees
 *       these, and takes no lock.
 *   X2  dlopen() is called by one of `loader_count`, and the lock is not held meanwhile; who
 *       forks has the lock, with a count of 0, from the last of the handlers before a fork()
 *       until the first after it. Otherwise a child could be born while another thread has
 *       put a library into the loader's list and not yet relocated it, and be given it as one
 *       that is loaded; or while the list is locked.
 *   X3  In a process that others of its threads' locks were copied into, or that may open no
 *       file, nothing is loaded: whoever makes such a process loads all before, and
 *       `is_settled` says in it that this is over.
 *
 * A child of the fork server loads by itself what it needs: its server has shown that the
 * loader's locks are free there (core/forkserver.h), and X2 that what it finds is whole.
 * So does a child by fork from a program that had no other threads, and one by the program's
 * own fork(); what that program's other threads load by themselves is its own concern.
 *
 * A fork server is made anew once a library was loaded (core/service_births.c), but not for
 * these: carom_annexes_image_count() says how many they are.
 *
 *	thread A			thread B, which forks
 *	counts itself
 *	dlopen(): mapped, in the list	waits for A
 *	relocated, initialised
 *	store symbols (X1)
 *	is counted no longer		has the lock, forks: the child has it, whole
 *
 *	has the program's lock L, and	its handlers take L, and this lock only then: of
 *	is to load			handlers the first that was registered is called last,
 *					and carom's is when the program begins. So who has
 *					this lock waits for nobody
 *
 *	waits for the loader's lock,	is in a constructor that the program's own dlopen()
 *	which B has			runs, and loads as well: it is counted, and goes on
 *
 *	likewise			forks there: A would be waited for, which waits for B.
 *					So only for a second, and then it forks all the same:
 *					the child is of X3. A fork server that is born so ends,
 *					and is tried again
 */
#include "core/annex.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cond_wait.h"
#include "core/log.h"
#include "core/time.h"

extern struct carom_annex __start_carom_annexes[] __attribute__((weak, visibility("hidden")));
extern struct carom_annex __stop_carom_annexes[] __attribute__((weak, visibility("hidden")));

_Static_assert(sizeof(struct carom_annex) == CAROM_ANNEX_SIZE, "an array has no gaps");

#define PATIENCE_NS CAROM_SECONDS(1) /* of who forks */

/* X2: the count is guarded by the lock, which who forks holds across it */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nobody_loads = PTHREAD_COND_INITIALIZER;
static uint32_t loader_count;
static atomic_bool is_settled;
static _Thread_local int last_error;
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

/* The loader's list is guarded by the loader, which ThreadSanitizer does not know. */
#define OF_LOADER __attribute__((no_sanitize_thread))

static OF_LOADER bool needs(const struct link_map *image, const char *name)
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
static OF_LOADER int count_one(struct dl_phdr_info *info, size_t size, void *userdata)
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

/* Of whom it lacks, the loader says so only in words, and of a descriptor not always. */
static int lack_of(int loader_error)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		return -errno;
	if (fd >= 0)
		close(fd);
	return loader_error == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
}

static int note_failure(struct carom_annex *annex, int loader_error)
{
	const char *text = dlerror(); /* of this thread */
	char *why, *first = NULL;
	int r = lack_of(loader_error);

	if (r != -EOPNOTSUPP)
		return r;
	why = strdup(text ? text : "the loader does not say why");
	if (!atomic_compare_exchange_strong(&annex->why, &first, why))
		free(why);
	return r;
}

/* Return: all of it, never closed; or NULL and last_error */
static void **open_it(struct carom_annex *annex)
{
	void **symbols = calloc(count_names(annex), sizeof(*symbols));
	void *older, *library;

	last_error = -ENOMEM;
	if (!symbols)
		return NULL;
	older = dlopen(annex->soname, RTLD_NOW | RTLD_NOLOAD);
	errno = 0;
	library = dlopen(annex->soname, RTLD_NOW | RTLD_LOCAL);
	if (library && !older && !atomic_exchange(&annex->is_counted, true))
		atomic_fetch_add(&image_count, count_images(library));
	if (library && find_all(library, annex, symbols))
		return symbols;
	last_error = note_failure(annex, errno);
	free(symbols);
	return NULL;
}

uint64_t carom_annexes_image_count(void)
{
	return atomic_load(&image_count);
}

static void **load(struct carom_annex *annex)
{
	/* acquire: X1; pairs with the exchange below */
	void **symbols = atomic_load_explicit(&annex->symbols, memory_order_acquire);
	void **first = NULL;

	if (symbols)
		return symbols;
	last_error = -EOPNOTSUPP;
	if (atomic_load(&is_settled) || atomic_load(&annex->why))
		return NULL;
	carom_annexes_enter();
	symbols = open_it(annex);
	/* X1; another thread may have come first, with the same */
	if (symbols && !atomic_compare_exchange_strong(&annex->symbols, &first, symbols)) {
		free(symbols);
		symbols = first;
	}
	carom_annexes_leave();
	return symbols;
}

/* once: who lacks it may be asked for it a thousand times a second */
static void tell(struct carom_annex *annex, const char *why)
{
	if (!atomic_exchange(&annex->is_told, true))
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_LIBRARY_MISSING,
				"%s cannot be used: %s", annex->soname, why);
}

static const char *reason(struct carom_annex *annex)
{
	const char *why = atomic_load(&annex->why);

	return why ? why : "it was not loaded while it could be";
}

void *carom_annex_symbols(struct carom_annex *annex)
{
	void **symbols = load(annex);

	if (!symbols && last_error == -EOPNOTSUPP)
		tell(annex, reason(annex));
	return symbols;
}

int carom_annex_error(void)
{
	return last_error;
}

void carom_annexes_load(void)
{
	struct carom_annex *annex = NULL;

	while ((annex = carom_annex_next(annex)))
		load(annex);
}

void carom_annexes_load_for_children(void)
{
	carom_annexes_load();
	atomic_store(&image_count, 0); /* of which a server that has them not is replaced */
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

void carom_annexes_enter(void)
{
	pthread_mutex_lock(&lock);
	loader_count++;
	pthread_mutex_unlock(&lock);
}

void carom_annexes_leave(void)
{
	pthread_mutex_lock(&lock);
	if (--loader_count == 0)
		pthread_cond_broadcast(&nobody_loads);
	pthread_mutex_unlock(&lock);
}

bool carom_annexes_are_settled(void)
{
	return atomic_load(&is_settled);
}

/* ---- forks ---- */

/* fork(2) is no cancellation point */
static void before_fork(void)
{
	uint64_t deadline_ns = carom_deadline_after(PATIENCE_NS);
	int r = 0, state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&lock);
	while (loader_count && r == 0)
		r = carom_cond_wait(&nobody_loads, &lock, deadline_ns);
	pthread_setcancelstate(state, NULL);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	static const pthread_cond_t fresh = PTHREAD_COND_INITIALIZER;

	if (loader_count)
		carom_annexes_settle(); /* X3 */
	loader_count = 0;
	nobody_loads = fresh; /* whoever waited or loaded is not here */
	pthread_mutex_unlock(&lock);
}

/* as early as that is possible: see above */
__attribute__((constructor(101))) static void follow_forks(void)
{
	pthread_atfork(before_fork, after_fork, in_child);
}

struct carom_annex *carom_annex_next(struct carom_annex *annex)
{
	annex = annex ? annex + 1 : __start_carom_annexes;
	return annex < __stop_carom_annexes ? annex : NULL;
}
