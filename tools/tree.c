/*
 * Tree
 *
 *   I1  Nothing outside the tree is ever signalled, however fast pids are reused.
 *       A pid from a list is only a hint. It is pinned by a pidfd, and then its
 *       parent is read: that must be the process whose children are being gone
 *       through, and that one must still be there afterwards (its own pidfd
 *       tells). Whoever was pinned is a child of a member of the tree then, or
 *       is gone and cannot be signalled.
 *   I2  A process is stopped before its children are listed and killed after
 *       them, so it cannot start more in between: fork(2) fails or restarts
 *       while a signal is pending. A tree that forks as fast as it can is gone
 *       after a few passes.
 *   I3  A pass uses at most DEPTH_MAX descriptors and so many frames. What is
 *       deeper comes up when its ancestors are dead.
 */
#include "tools/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/pidfd.h"

#define DEPTH_MAX    16
#define CAPACITY_MIN 64

struct pid_list {
	pid_t *pids;
	size_t count;
	size_t capacity;
};

static void pid_list_deinit(struct pid_list *list)
{
	free(list->pids);
}

static void closedirp(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

static void fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* Without memory the list stays as it is: the next pass takes the rest. */
static void add_pid(struct pid_list *list, pid_t pid)
{
	size_t capacity = list->capacity ? list->capacity * 2 : CAPACITY_MIN;
	pid_t *pids;

	if (list->count == list->capacity) {
		pids = reallocarray(list->pids, capacity, sizeof(*pids));
		if (!pids)
			return;
		list->pids = pids;
		list->capacity = capacity;
	}
	list->pids[list->count++] = pid;
}

/* 0 if there is no such process. The name in brackets may hold anything, brackets too. */
static pid_t parent_of(pid_t pid)
{
	char path[32], text[512], state;
	CAROM_CLEANUP(carom_closep) int fd = -1;
	const char *after_name;
	ssize_t n;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	after_name = strrchr(text, ')');
	return after_name && sscanf(after_name, ") %c %d", &state, &parent) == 2 ? parent : 0;
}

/* --- the children of a process ----------------------------------------- */

static bool add_children_of_thread(pid_t pid, pid_t tid, struct pid_list *list)
{
	CAROM_CLEANUP(fclosep) FILE *file = NULL;
	char path[64];
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fscanf(file, "%d", &child) == 1)
		add_pid(list, child);
	return true;
}

static pid_t next_number(DIR *directory)
{
	const struct dirent *entry;

	while ((entry = readdir(directory))) {
		long number = strtol(entry->d_name, NULL, 10);

		if (number > 0)
			return (pid_t)number;
	}
	return 0;
}

static void list_children(pid_t pid, struct pid_list *list)
{
	CAROM_CLEANUP(closedirp) DIR *threads = NULL;
	char path[32];
	pid_t tid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (tid = next_number(threads)))
		add_children_of_thread(pid, tid, list);
}

/* Every process there is and its parent, in turn: one look through /proc serves a whole pass. */
static void list_all(struct pid_list *list)
{
	CAROM_CLEANUP(closedirp) DIR *processes = opendir("/proc");
	pid_t pid;

	while (processes && (pid = next_number(processes))) {
		add_pid(list, pid);
		add_pid(list, parent_of(pid));
	}
}

static void pick_children(const struct pid_list *all, pid_t pid, struct pid_list *list)
{
	for (size_t i = 0; i + 1 < all->count; i += 2)
		if (all->pids[i + 1] == pid)
			add_pid(list, all->pids[i]);
}

static bool must_scan(void)
{
	const char *way = getenv("CAROM_TREE");
	struct pid_list list = { 0 };
	bool works = add_children_of_thread(getpid(), getpid(), &list);

	pid_list_deinit(&list);
	return !works || (way && strcmp(way, "scan") == 0);
}

/* --- a pass ------------------------------------------------------------ */

/* @all: of list_all(), where the kernel does not list children */
struct pass {
	struct pid_list all;
	bool is_scan;
	pid_t self;
};

static bool is_there(int pidfd)
{
	return carom_pidfd_signal(pidfd, 0) != -ESRCH;
}

static void kill_below(const struct pass *pass, pid_t parent, int parent_pidfd, int depth);

static void kill_with_all_below(const struct pass *pass, pid_t pid, pid_t parent, int parent_pidfd,
				int depth)
{
	CAROM_CLEANUP(carom_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0 || parent_of(pid) != parent)
		return;
	if (parent != pass->self && !is_there(parent_pidfd)) /* I1 */
		return;
	carom_pidfd_signal(pidfd, SIGSTOP); /* I2 */
	if (depth < DEPTH_MAX)
		kill_below(pass, pid, pidfd, depth + 1);
	carom_pidfd_signal(pidfd, SIGKILL);
}

static void kill_below(const struct pass *pass, pid_t parent, int parent_pidfd, int depth)
{
	CAROM_CLEANUP(pid_list_deinit) struct pid_list list = { 0 };

	if (pass->is_scan)
		pick_children(&pass->all, parent, &list);
	else
		list_children(parent, &list);
	for (size_t i = 0; i < list.count; i++)
		kill_with_all_below(pass, list.pids[i], parent, parent_pidfd, depth);
}

void carom_tree_kill(void)
{
	struct pass pass = { .is_scan = must_scan(), .self = getpid() };

	if (pass.is_scan)
		list_all(&pass.all);
	kill_below(&pass, pass.self, -1, 0);
	pid_list_deinit(&pass.all);
}
