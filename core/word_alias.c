/*
 * Word alias
 *
 * To end another thread's futex(2) wait it does not do to wake the word: the thread
 * may have decided to sleep and not sleep yet, and the word still is what it waits
 * for. So it sleeps at a second mapping of the word's page, and that is taken from
 * under it before the word is woken. The kernel reads the word once more while it
 * holds the lock of the queue that the sleeper goes into, and the waker takes the same
 * lock after the mapping is gone:
 *
 *   - the sleeper had the lock first: it is in the queue, and woken;
 *   - the waker had it first: the sleeper finds nothing at the address, EFAULT.
 *
 * Shared memory is waited for by file and offset, so a wake at either address counts.
 * mremap(2) with an old size of 0 maps shared pages a second time, without their
 * descriptor and with the flags of the first mapping: a lane, which no child inherits,
 * is not inherited that way either.
 *
 *   I1  While somebody may sleep at the page's addresses they are ours, without access
 *       once the word has been taken away. Nobody comes to sleep on what somebody else
 *       has mapped there.
 */
#include "core/word_alias.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t offset_of(const _Atomic uint32_t *word)
{
	return (uintptr_t)word & (page_size() - 1);
}

int carom_word_alias_show(struct carom_word_alias *alias, _Atomic uint32_t *word)
{
	void *page = mremap((char *)word - offset_of(word), 0, page_size(), MREMAP_MAYMOVE);

	if (page == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	madvise(page, page_size(), MADV_DONTFORK);
	carom_word_alias_deinit(alias);
	alias->page = page;
	return 0;
}

int carom_word_alias_sleep(const struct carom_word_alias *alias, const _Atomic uint32_t *word,
			   uint32_t expected)
{
	char *at = (char *)alias->page + offset_of(word);

	return syscall(SYS_futex, at, FUTEX_WAIT, expected, NULL, NULL, 0) < 0 ? -errno : 0;
}

void carom_word_alias_take_away(struct carom_word_alias *alias, _Atomic uint32_t *word)
{
	if (!alias->page)
		return;
	mprotect(alias->page, page_size(), PROT_NONE);
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void carom_word_alias_deinit(struct carom_word_alias *alias)
{
	if (alias->page)
		munmap(alias->page, page_size());
	alias->page = NULL;
}
