/*
 * Points
 *
 * Each CAROM_POINT() puts a pointer to its name into the section carom_points;
 * the linker gives that section's bounds, and a place's index in it is its row in
 * the shared page. Rows are all of the same name or none: who arms a name arms
 * each of its places, and they count together in the first one.
 *
 *   I1  A place decides by the shared page alone, and takes no lock: it may stand
 *       in a fresh clone, between any two instructions of a protocol.
 *   I2  `armed` becomes non-zero after the rows say what is armed (release), and
 *       the slow path reads the rows after it (acquire).
 *   I3  Who counts may have read the row before it was armed anew, with another number. So
 *       what is armed once is counted from below zero, and hits who comes to zero: were the
 *       count compared with the number that was read, it might pass by without a hit.
 */
#include "core/points.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef CAROM_POINTS

#define ROW_COUNT_MAX 500

/**
 * struct row - one place
 * @every_nth:     0 while it is not armed
 * @once:          only the one that makes @reached zero
 * @signal_number: what is sent
 * @first:         index of the first row of the same name, where the counts are kept
 * @reached:       processes that came here while it was armed; counted from -@every_nth if @once
 * @hits:          those of them that were signalled
 * @last_pid:      the last one of those; 0: none
 */
struct row {
	_Atomic uint32_t every_nth;
	uint32_t once;
	int32_t signal_number;
	uint32_t first;
	_Atomic uint32_t reached;
	_Atomic uint32_t hits;
	_Atomic int32_t last_pid;
};

/**
 * struct page - shared by all processes of the program
 * @armed:      rows that are armed
 * @spared_pid: the process that armed
 */
struct page {
	_Atomic uint32_t armed;
	_Atomic int32_t spared_pid;
	struct row rows[ROW_COUNT_MAX];
};

/* a place in a constructor that runs before ours finds this one: nothing is armed */
static _Atomic uint32_t nothing_armed;
_Atomic uint32_t *carom_points_armed = &nothing_armed;
static struct page *page;

/* weak: a program may contain no place at all */
extern const char *const __start_carom_points[] __attribute__((weak, visibility("hidden")));
extern const char *const __stop_carom_points[] __attribute__((weak, visibility("hidden")));

static size_t site_count(void)
{
	return (size_t)(__stop_carom_points - __start_carom_points);
}

static void __attribute__((constructor)) share_page(void)
{
	void *memory = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	/* a test build without its page, or with a section too large for it, tests nothing */
	if (memory == MAP_FAILED || site_count() > ROW_COUNT_MAX)
		abort();
	page = memory;
	carom_points_armed = &page->armed;
}

/* Where the counts of @name are kept; site_count() if there is none. */
static size_t first_of(const char *name)
{
	size_t i = 0;

	while (i < site_count() && strcmp(__start_carom_points[i], name) != 0)
		i++;
	return i;
}

/* I1: runs anywhere, and does not come back from a SIGKILL. */
void carom_point_reach(const char *const *site)
{
	struct row *row, *first;
	uint32_t armed, every_nth, nth;

	/* A1: pairs with R1 in arm() */
	armed = atomic_load_explicit(&page->armed, memory_order_acquire);
	row = &page->rows[site - __start_carom_points];
	every_nth = atomic_load_explicit(&row->every_nth, memory_order_relaxed);
	if (armed == 0 || every_nth == 0 || atomic_load(&page->spared_pid) == getpid())
		return;

	first = &page->rows[row->first];
	nth = atomic_fetch_add(&first->reached, 1) + 1;
	if (row->once ? nth != 0 : nth % every_nth != 0) /* I3 */
		return;
	atomic_store(&first->last_pid, getpid());
	atomic_fetch_add(&first->hits, 1);
	syscall(SYS_kill, getpid(), row->signal_number);
}

static int arm(const char *name, uint32_t nth, bool once, int signal_number)
{
	size_t first = first_of(name);
	uint32_t armed = 0;

	if (nth == 0)
		return -EINVAL;
	if (first == site_count())
		return -ENOENT;
	atomic_store(&page->spared_pid, getpid());
	atomic_store(&page->rows[first].reached, once ? -nth : 0);
	atomic_store(&page->rows[first].hits, 0);
	atomic_store(&page->rows[first].last_pid, 0);
	for (size_t i = first; i < site_count(); i++) {
		if (strcmp(__start_carom_points[i], name) != 0)
			continue;
		page->rows[i].first = (uint32_t)first;
		page->rows[i].once = once;
		page->rows[i].signal_number = signal_number;
		atomic_store(&page->rows[i].every_nth, nth);
		armed++;
	}
	/* R1: publishes the rows; pairs with A1 in carom_point_reach() */
	atomic_fetch_add_explicit(&page->armed, armed, memory_order_release);
	return 0;
}

int carom_point_arm(const char *name, uint32_t every_nth)
{
	return arm(name, every_nth, false, SIGKILL);
}

int carom_point_arm_once(const char *name, uint32_t nth, int signal_number)
{
	return arm(name, nth, true, signal_number);
}

void carom_point_disarm_all(void)
{
	atomic_store(&page->armed, 0);
	for (size_t i = 0; i < site_count(); i++) {
		atomic_store(&page->rows[i].every_nth, 0);
		atomic_store(&page->rows[i].reached, 0);
		atomic_store(&page->rows[i].hits, 0);
		atomic_store(&page->rows[i].last_pid, 0);
	}
}

uint32_t carom_point_hits(const char *name)
{
	size_t first = first_of(name);

	return first == site_count() ? 0 : atomic_load(&page->rows[first].hits);
}

int32_t carom_point_last_pid(const char *name)
{
	size_t first = first_of(name);

	return first == site_count() ? 0 : atomic_load(&page->rows[first].last_pid);
}

const char *carom_point_name(size_t index)
{
	return index < site_count() ? __start_carom_points[index] : NULL;
}

#else

int carom_point_arm(const char *name, uint32_t every_nth)
{
	return -EOPNOTSUPP;
}

int carom_point_arm_once(const char *name, uint32_t nth, int signal_number)
{
	return -EOPNOTSUPP;
}

void carom_point_disarm_all(void)
{
}

uint32_t carom_point_hits(const char *name)
{
	return 0;
}

int32_t carom_point_last_pid(const char *name)
{
	return 0;
}

const char *carom_point_name(size_t index)
{
	return NULL;
}

#endif
