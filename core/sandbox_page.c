/*
 * Sandbox page
 *
 * One memfd for each child: the first page is the report, which both sides map shared;
 * what follows are the orders, which the child maps privately. It is made for one child and
 * never used again, so that no process that an earlier one has left behind writes to it.
 *
 * The size is sealed before the child exists: one that truncates it would have the parent
 * die when it looks. All that the parent ever reads of it is the report, a word at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/memory_file.h"
#include "core/sandbox_private.h"
#include "core/sandbox_rules.h"

#define REPORT_SIZE 65536 /* a page of any architecture; what is not touched is not there */
_Static_assert(sizeof(struct carom_sandbox_report) <= REPORT_SIZE, "it has room");

#define LEFT_NEGATIVE (UINT64_C(1) << 31) /* no system call has such a number */

struct carom_sandbox_page {
	int fd;
	struct carom_sandbox_report *report;
};

static int fill(int fd, const struct carom_sandbox_order *order)
{
	ssize_t n;

	if (ftruncate(fd, (off_t)(REPORT_SIZE + order->size)) < 0)
		return -errno;
	n = pwrite(fd, order, order->size, REPORT_SIZE);
	if (n != (ssize_t)order->size)
		return n < 0 ? -errno : -ENOMEM;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

static int map_report(int fd, struct carom_sandbox_report **ret_report)
{
	void *memory = mmap(NULL, REPORT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	madvise(memory, REPORT_SIZE, MADV_DONTFORK); /* each child maps its own, and no other's */
	*ret_report = memory;
	return 0;
}

int carom_sandbox_page_new(const struct carom_sandbox *sandbox,
			   struct carom_sandbox_page **ret_page)
{
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_file_new("carom-sandbox");
	struct carom_sandbox_page *page;
	int r = fd < 0 ? fd : carom_descriptor_lift(&fd);

	if (r == 0)
		r = fill(fd, carom_sandbox_order(sandbox));
	if (r < 0)
		return r;
	page = calloc(1, sizeof(*page));
	if (!page)
		return -ENOMEM;
	r = map_report(fd, &page->report);
	if (r < 0) {
		free(page);
		return r;
	}
	page->fd = carom_take_fd(fd);
	*ret_page = page;
	return 0;
}

int carom_sandbox_page_fd(const struct carom_sandbox_page *page)
{
	return page->fd;
}

void carom_sandbox_page_close(struct carom_sandbox_page *page)
{
	if (page)
		carom_closep(&page->fd);
}

struct carom_sandbox_page *carom_sandbox_page_free(struct carom_sandbox_page *page)
{
	if (!page)
		return NULL;
	carom_closep(&page->fd);
	munmap(page->report, REPORT_SIZE);
	free(page);
	return NULL;
}

struct carom_sandbox_report *carom_sandbox_page_report(const struct carom_sandbox_page *page)
{
	return page->report;
}

/* The kernel says that it was SIGSYS; which call it was says what the process has left. */
bool carom_sandbox_page_violation(const struct carom_sandbox_page *page,
				  const struct carom_exit *ended,
				  struct carom_violation *ret_violation)
{
	uint64_t word = atomic_load(&page->report->violation);

	if ((ended->kind != CAROM_EXIT_KILLED && ended->kind != CAROM_EXIT_DUMPED) ||
	    ended->status != SIGSYS)
		return false;
	ret_violation->number = word & CAROM_SANDBOX_VIOLATED && !(word & LEFT_NEGATIVE)
					? (int64_t)(word & INT32_MAX)
					: -1;
	carom_system_call_name(ret_violation->number, ret_violation->name,
			       sizeof(ret_violation->name));
	return true;
}

/* --- the child --------------------------------------------------------- */

static bool is_sound(const struct carom_sandbox_order *order, uint64_t size)
{
	return size >= sizeof(*order) && order->size == size &&
	       order->program_length <= BPF_MAXINSNS &&
	       order->program_length * sizeof(struct sock_filter) <= size - sizeof(*order) &&
	       (!(order->read_count + order->write_count) ||
		((const char *)order)[size - 1] == '\0');
}

int carom_sandbox_page_attach(int fd, struct carom_sandbox_report **ret_report,
			      struct carom_sandbox_order **ret_order)
{
	struct carom_sandbox_report *report = NULL;
	struct stat status;
	uint64_t size;
	void *memory;
	int r;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size <= REPORT_SIZE)
		return -EBADMSG;
	size = (uint64_t)status.st_size - REPORT_SIZE;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, REPORT_SIZE);
	if (memory == MAP_FAILED)
		return -errno;
	r = is_sound(memory, size) ? map_report(fd, &report) : -EBADMSG;
	if (r < 0)
		return r;
	*ret_report = report;
	*ret_order = memory;
	return 0;
}
