/*
 * Tree: every process that descends from this one, found and killed.
 */
#ifndef CAROM_TOOLS_TREE_H
#define CAROM_TOOLS_TREE_H

/**
 * carom_tree_kill() - SIGKILL to every descendant of the calling process
 *
 * One pass over what is there now: each process is stopped, what it has started
 * is looked up, then both are killed. A process born meanwhile survives the
 * pass. For a caller that is a subreaper (PR_SET_CHILD_SUBREAPER) and calls
 * again after each SIGCHLD until it has no child left, none survives: whatever
 * outlives its parent becomes the caller's child, and is found there.
 *
 * Reads /proc; without it nothing is found. CAROM_TREE=scan in the environment
 * makes it look through all of /proc, as it does on kernels without
 * CONFIG_PROC_CHILDREN.
 */
void carom_tree_kill(void);

#endif
