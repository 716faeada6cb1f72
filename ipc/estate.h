/*
 * Estate: the shared memory with names that a server has made for its clients
 *
 * It is nobody's object: it stays until the server ends, whoever uses it meanwhile.
 */
#ifndef CAROM_IPC_ESTATE_H
#define CAROM_IPC_ESTATE_H

struct carom_estate;
struct carom_request;
struct carom_server;

/** carom_estate_make_memory() - a function of the server's: of so many bytes; the result is its name */
int carom_estate_make_memory(struct carom_request *request);

/** carom_estate_make_list() - the same: a shareable list of a list's items */
int carom_estate_make_list(struct carom_request *request);

/** carom_estate_end() - unlink all of it; who has it mapped keeps it */
void carom_estate_end(struct carom_server *server);

#endif
