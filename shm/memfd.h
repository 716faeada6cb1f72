/*
 * Memfd
 *
 * The unnamed, sealed file beneath everything shared, and its mapping. Segments
 * and the heap are handles around these calls; nobody else needs them.
 */
#ifndef CAROM_SHM_MEMFD_H
#define CAROM_SHM_MEMFD_H

#include <stdbool.h>
#include <stdint.h>

/**
 * carom_memfd_new() - make a sealed file
 * @name:   shown in /proc/PID/maps; cut at 249 bytes
 * @size:   bytes, whole pages
 * @ret_fd: CLOEXEC; the caller's
 *
 * Return: 0, -ENOMEM, -EMFILE, -ENFILE, -EFBIG (above RLIMIT_FSIZE).
 */
int carom_memfd_new(const char *name, uint64_t size, int *ret_fd);

/**
 * carom_memfd_make() - the same, not sealed yet
 * @is_huge:   of huge pages; @size is rounded up to whole ones of those
 * @ret_size:  so many bytes it has; may be @size's
 *
 * Return: as above; with @is_huge also what memfd_create(2) says where there are none.
 */
int carom_memfd_make(const char *name, uint64_t size, bool is_huge, int *ret_fd,
		     uint64_t *ret_size);

/**
 * carom_memfd_seal() - its size is fixed from now on
 * @is_read_only: and nobody can write to it but through mappings that are there already
 *
 * Return: 0, or -EOPNOTSUPP: @is_read_only, and this kernel has not got that.
 */
int carom_memfd_seal(int fd, bool is_read_only);

/**
 * carom_memfd_reserve() - take the memory for all of it now
 *
 * Return: 0, or -ENOMEM: the machine or a control group has not so much left.
 */
int carom_memfd_reserve(int fd, uint64_t size);

/** carom_memfd_reserve_from() - the same for @size bytes from @offset on */
int carom_memfd_reserve_from(int fd, uint64_t offset, uint64_t size);

/** carom_memfd_huge_page_size() - of its pages; 0: they are ordinary ones */
uint64_t carom_memfd_huge_page_size(int fd);

/**
 * carom_memfd_check_limit() - may this process make a file of @size bytes?
 *
 * ftruncate(2) and fallocate(2) answer a size above the limit with SIGXFSZ, which ends a
 * program. Return: 0 or -EFBIG.
 */
int carom_memfd_check_limit(uint64_t size);

/**
 * carom_memfd_check() - whether a descriptor from elsewhere can be relied on
 * @fd:       stays the caller's
 * @ret_size: its size in bytes, whole pages, never 0
 *
 * Return: 0, -EBADF, or -EBADMSG (no memfd, not sealed against shrinking and
 * growing, sealed against writing, or empty).
 */
int carom_memfd_check(int fd, uint64_t *ret_size);

/** carom_memfd_check_readable() - the same for who only reads: it may be sealed against writing */
int carom_memfd_check_readable(int fd, uint64_t *ret_size);

/**
 * carom_memfd_map_readable() - map it for reading, shared, left out of core dumps
 *
 * Where the file is sealed, the mapping can never be made writable either.
 * Return: 0, -ENOMEM, -EBADMSG (a descriptor not open for reading).
 */
int carom_memfd_map_readable(int fd, uint64_t size, void **ret_data);

/**
 * carom_memfd_map() - map it for reading and writing, shared, left out of core dumps
 * @fd:       stays the caller's; the mapping does not need it
 * @wish:     where it should lie if nothing is in the way, page-aligned; NULL: anywhere
 * @size:     bytes from the start of the file
 * @ret_data: ended with munmap(2)
 *
 * Return: 0, -ENOMEM, -EBADMSG (a descriptor not open for writing).
 */
int carom_memfd_map(int fd, void *wish, uint64_t size, void **ret_data);

/**
 * carom_memfd_map_at() - the same, at @address and nowhere else
 *
 * Return: 0, -EADDRINUSE (something is mapped there, or the address is not to be
 * had), -EBADMSG.
 */
int carom_memfd_map_at(int fd, void *address, uint64_t size);

/**
 * carom_memfd_populate() - give the first @size bytes of a mapping their pages now
 * @fd:   the file mapped at @data
 *
 * What stands in the memory stays as it is, also while others write to it.
 * Return: 0, or -ENOMEM: there are not as many pages.
 */
int carom_memfd_populate(int fd, void *data, uint64_t size);

/** carom_page_ceil() - @size rounded up to whole pages; 0 if that does not fit 63 bits */
uint64_t carom_page_ceil(uint64_t size);

#endif
