/*
 * Memory file: a memfd, which can be sealed and is never executed
 */
#ifndef CAROM_CORE_MEMORY_FILE_H
#define CAROM_CORE_MEMORY_FILE_H

/**
 * carom_memory_file_new() - an empty one
 * @name: as /proc shows it; cut where it is too long
 *
 * A kernel before 6.3 does not know how to have it never executed; one set to
 * vm.memfd_noexec=2 insists on it.
 * Return: a descriptor, CLOEXEC; -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_memory_file_new(const char *name);

#endif
