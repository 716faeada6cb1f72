/*
 * Self: what this process is among the processes of its program
 *
 * The root is called MainProcess, has no identity and makes up the authkey. A child
 * is told by its parent, at its birth, and passes on to its own children what it has
 * at the time when their handles are made.
 */
#ifndef CAROM_CORE_SELF_H
#define CAROM_CORE_SELF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CAROM_NAME_MAX     256 /* of a process, with its NUL */
#define CAROM_IDENTITY_MAX 256
#define CAROM_AUTHKEY_MAX  256
#define CAROM_AUTHKEY_SIZE 32 /* of the one that the root makes up */

/** struct carom_authkey - never written anywhere but into a new child's parcel */
struct carom_authkey {
	uint32_t size;
	unsigned char bytes[CAROM_AUTHKEY_MAX];
};

/**
 * struct carom_self - what is passed on, and what a process calls itself
 * @identity: ordinals of the ancestors and its own, "2:1:4"; "" in the root
 * @parent_name, @parent_pid: of who started it; 0 in the root
 * @is_daemon: it ends with its parent's regular end, and is not waited for
 */
struct carom_self {
	char name[CAROM_NAME_MAX];
	char identity[CAROM_IDENTITY_MAX];
	char parent_name[CAROM_NAME_MAX];
	pid_t parent_pid;
	bool is_daemon;
	struct carom_authkey authkey;
};

/** carom_self_copy() - this process's own, as it is now. MT-Safe. */
void carom_self_copy(struct carom_self *ret_self);

/** carom_self_become() - in a new child: it is this one from now on, and has made none yet */
void carom_self_become(const struct carom_self *self);

/** carom_self_rename() - MT-Safe */
void carom_self_rename(const char *name);

/** carom_self_rekey() - children that are made from now on have this one. MT-Safe. */
void carom_self_rekey(const struct carom_authkey *key);

/**
 * carom_self_child() - what the next child of this process is, if nobody says otherwise
 * @type: its name begins with it: "Process-2:1", with the ordinals of its ancestors
 * @name: instead of that; NULL
 *
 * MT-Safe. Return: 0, -ENAMETOOLONG.
 */
int carom_self_child(struct carom_self *ret_child, const char *type, const char *name);

/** carom_self_directory() - how the program was started: its directory at that time. Static. */
const char *carom_self_directory(void);

#endif
