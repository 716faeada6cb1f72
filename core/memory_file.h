/*
 * Memory file: a memfd, which can be sealed and is never executed
 */
#ifndef CAROM_CORE_MEMORY_FILE_H
#define CAROM_CORE_MEMORY_FILE_H

#define CAROM_MFD_NOEXEC_SEAL 0x0008U /* MFD_NOEXEC_SEAL, Linux 6.3 */

/**
 * carom_memory_file_new() - an empty one
 * @name: as /proc shows it; cut where it is too long
 *
 * A kernel before 6.3 does not know how to have it never executed; one set to
 * vm.memfd_noexec=2 insists on it.
 * Return: a descriptor, CLOEXEC; -EMFILE, -ENFILE, -ENOMEM.
 */
int carom_memory_file_new(const char *name);

/** carom_memory_file_new_huge() - of huge pages; also what memfd_create(2) says where there are none */
int carom_memory_file_new_huge(const char *name);

#endif
