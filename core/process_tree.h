/*
 * Process tree: a process and all that descend from it, found and killed.
 *
 * Descendants are found through their parents, whatever session they are in, and in
 * the process group that one of them leads, whatever their parent. A process that lost
 * its parent and left the group too (a daemon) is found only below a subreaper.
 *
 * Reads /proc; without it only the group is found. CAROM_TREE=scan in the environment
 * makes it look through all of /proc, as it does on kernels without
 * CONFIG_PROC_CHILDREN.
 */
#ifndef CAROM_CORE_PROCESS_TREE_H
#define CAROM_CORE_PROCESS_TREE_H

#include <stdbool.h>
#include <sys/types.h>

struct carom_process_tree;

/** carom_process_parent() - the parent's pid, as /proc says; 0: there is no such process */
pid_t carom_process_parent(pid_t pid);

/**
 * carom_process_tree_kill_own() - SIGKILL to every descendant of the calling process
 *
 * One pass over what is there now: each process is stopped, what it has started
 * is looked up, then both are killed. A process born meanwhile survives the
 * pass. For a caller that is a subreaper (PR_SET_CHILD_SUBREAPER) and calls
 * again after each SIGCHLD until it has no child left, none survives: whatever
 * outlives its parent becomes the caller's child, and is found there.
 */
void carom_process_tree_kill_own(void);

/** carom_process_tree_kill_now() - SIGKILL to a process and every descendant, by one pass */
void carom_process_tree_kill_now(pid_t pid, int pidfd);

/** typedef carom_process_visit_fn - takes one process */
typedef void carom_process_visit_fn(pid_t pid, void *userdata);

/** carom_process_tree_visit() - every descendant of @pid that is there now; none is touched */
void carom_process_tree_visit(pid_t pid, carom_process_visit_fn *visit, void *userdata);

/**
 * carom_process_tree_hold() - stop a process and every descendant, and hold them all
 * @pid, @pidfd: the root; stays the caller's
 * @ret_tree:    to be ended by carom_process_tree_kill(); holds a descriptor for each
 *
 * They stay stopped: send SIGCONT, after what else they are to be sent. What is too
 * much to be held is killed.
 * Return: 0, or, with nothing stopped: -ENOMEM, -EMFILE.
 */
int carom_process_tree_hold(pid_t pid, int pidfd, struct carom_process_tree **ret_tree);

/** carom_process_tree_signal() - to all that are held, and to the groups they lead */
void carom_process_tree_signal(const struct carom_process_tree *tree, int signal_number);

/** carom_process_tree_is_there() - is any of them, or of their groups, left? A zombie counts. */
bool carom_process_tree_is_there(const struct carom_process_tree *tree);

/** carom_process_tree_lose() - its descriptors were taken away: forget it without them. Returns NULL. */
struct carom_process_tree *carom_process_tree_lose(struct carom_process_tree *tree);

/** carom_process_tree_kill() - SIGKILL to what is left of it, and what that has started since. Returns NULL. */
struct carom_process_tree *carom_process_tree_kill(struct carom_process_tree *tree);

#endif
