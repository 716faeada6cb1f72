/**
 * DOC: manager_memory
 *
 * Shared memory with names that ends with a manager's server, as that of
 * multiprocessing.managers.SharedMemoryManager does: what a program makes there it need not unlink.
 *
 *	r = carom_manager_shared_memory(manager, CAROM_MIB(1), deadline_ns, &memory);
 *	...				// elsewhere: carom_shared_memory_attach(name, 0, &memory)
 *	memory = carom_shared_memory_free(memory);
 *	manager = carom_manager_free(manager);	// now the name is gone
 *
 * The names are taken away when the server is shut down, and also when it is killed, or the
 * program that has started it is. Who has the memory mapped keeps it.
 *
 * The server makes it, and serves nobody meanwhile: a GiB takes it part of a second. It is on
 * this machine, or there is nothing to attach to.
 */
#ifndef CAROM_IPC_MANAGER_MEMORY_H
#define CAROM_IPC_MANAGER_MEMORY_H

#include "../shm/shareable_list.h"
#include "../shm/shared_memory.h"
#include "manager.h"

CAROM_BEGIN_DECLS

/**
 * carom_manager_shared_memory() - new memory that ends with the server
 * @size:       in bytes, from 1 on
 * @ret_memory: attached to; the caller's, ended with carom_shared_memory_free()
 *
 * Context: MT-Safe, AS-Unsafe heap. Usable in a forked child. Blocks.
 * Return: 0, or, with nothing left behind, as carom_manager_create() and, there,
 * carom_shared_memory_new(); or, with the memory left until the server ends, as
 * carom_shared_memory_attach(): -ENOENT: it is on another machine.
 */
CAROM_API int carom_manager_shared_memory(struct carom_manager *manager, uint64_t size,
					  uint64_t deadline_ns,
					  struct carom_shared_memory **ret_memory);

/**
 * carom_manager_shareable_list() - a new list that ends with the server
 * @items:    @count of them; copied
 * @ret_list: attached to; the caller's, ended with carom_shareable_list_free()
 *
 * Context: as carom_manager_shared_memory().
 * Return: the same, and there as carom_shareable_list_new(); -EILSEQ: a text is no UTF-8.
 */
CAROM_API int carom_manager_shareable_list(struct carom_manager *manager,
					   const struct carom_element *items, size_t count,
					   uint64_t deadline_ns,
					   struct carom_shareable_list **ret_list);

CAROM_END_DECLS

#endif
