/*
 * Duct: who shares an end
 *
 * A process is known by its number and when it was born, a handle in it by its address; and
 * whose memory that is, by the origin: a child by fork() has its parent's addresses.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "core/origin.h"
#include "core/pid_namespace.h"
#include "core/pidfd.h"
#include "ipc/duct_private.h"

bool carom_duct_is_me(const struct carom_duct *duct, const struct duct_sharer *sharer)
{
	return !carom_duct_is_nobody(sharer) && carom_origin_is(sharer->origin) &&
	       sharer->handle == (uintptr_t)duct && sharer->pid != 0;
}

bool carom_duct_has_gone(const struct duct_sharer *sharer)
{
	return sharer->pid == 0 || !carom_pid_lives((pid_t)sharer->pid, sharer->born);
}

/* Once in each process: /proc is slow. */
static uint64_t born(void)
{
	static _Atomic uint64_t of, ticks;
	uint64_t mine = 0;

	if (atomic_load(&of) == carom_origin())
		return atomic_load(&ticks);
	if (carom_pid_born(carom_pid_outside(), &mine) < 0)
		mine = 0;
	atomic_store(&ticks, mine);
	atomic_store(&of, carom_origin());
	return mine;
}

void carom_duct_be(const struct carom_duct *duct, struct duct_sharer *sharer)
{
	sharer->handle = (uintptr_t)duct;
	sharer->pid = carom_pid_outside();
	sharer->born = born();
	/* release: whoever sees that it is somebody sees who */
	__atomic_store_n(&sharer->origin, carom_origin(), __ATOMIC_RELEASE);
}

void carom_duct_be_nobody(struct duct_sharer *sharer)
{
	__atomic_store_n(&sharer->origin, 0, __ATOMIC_RELEASE);
}

/* ---- to the other end ---- */

/* In which a pid is this process's number; once in each process. 0: it is not to be known */
static uint64_t space(void)
{
	static _Atomic uint64_t of, number;
	struct stat status;
	uint64_t mine;

	if (atomic_load(&of) == carom_origin())
		return atomic_load(&number);
	mine = stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
	atomic_store(&number, mine);
	atomic_store(&of, carom_origin());
	return mine;
}

void carom_duct_sign(struct carom_duct *duct)
{
	struct carom_ring_writer *writer = &duct->out.shared->writer;

	/* relaxed: the part that is told after it orders it; until then nobody looks */
	atomic_store_explicit(&writer->born, born(), memory_order_relaxed);
	atomic_store_explicit(&writer->space, space(), memory_order_relaxed);
	atomic_store_explicit(&writer->pid, (uint64_t)getpid(), memory_order_relaxed);
}

void carom_duct_disown(struct carom_duct *duct)
{
	atomic_store(&duct->out.shared->writer.pid, 0);
}

/* Nobody is dead for having a number elsewhere. */
bool carom_duct_has_lost_writer(const struct carom_duct *duct)
{
	const struct carom_ring_writer *writer = &duct->in.shared->writer;
	pid_t pid = (pid_t)atomic_load(&writer->pid);
	uint64_t its_space = atomic_load(&writer->space);

	if (pid == 0)
		return true;
	return its_space != 0 && its_space == space() &&
	       !carom_pid_lives(pid, atomic_load(&writer->born));
}
