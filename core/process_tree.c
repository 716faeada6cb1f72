/*
 * Process tree
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
 *   I4  What is held is found again by its own pidfd, also when the process that
 *       had started it is gone. What there is no room to hold is killed at once:
 *       it could not be found again.
 *
 * A process group is named by the pidfd of its leader, which is free of races too
 * (Linux 6.9). Before that, and where pidfd_send_signal(2) is denied, it is named by its
 * number, and only while the leader is a child of this process that nobody has reaped:
 * until then the number is taken.
 */
#include "core/process_tree.h"

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

#include "core/cleanup_private.h"
#include "core/pid_list.h"
#include "core/pidfd.h"
#include "core/private_fd.h"
#include "core/small_file.h"

#define DEPTH_MAX 64
#define HELD_MAX  64

/* pidfd_send_signal(2): to the whole group */
#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1u << 2)
#endif

struct member {
	pid_t pid;
	int pidfd;
	struct carom_private_fd private_pidfd;
};

/** struct carom_process_tree - the root is the first of @members */
struct carom_process_tree {
	struct member members[HELD_MAX];
	size_t count;
};

/* 0 if there is no such process. The name in brackets may hold anything, brackets too. */
pid_t carom_process_parent(pid_t pid)
{
	char path[32], text[512], state;
	const char *after_name;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (carom_small_file_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	after_name = strrchr(text, ')');
	return after_name && sscanf(after_name, ") %c %d", &state, &parent) == 2 ? parent : 0;
}

/* --- the children of a process ----------------------------------------- */

/* Without memory a list has not got all of them: the next pass takes the rest. */
static bool add_children_of_thread(pid_t pid, pid_t tid, struct carom_pid_list *list)
{
	CAROM_CLEANUP(carom_fclosep) FILE *file = NULL;
	char path[64];
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fscanf(file, "%d", &child) == 1)
		carom_pid_list_add(list, child);
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

static void list_children(pid_t pid, struct carom_pid_list *list)
{
	CAROM_CLEANUP(carom_closedirp) DIR *threads = NULL;
	char path[32];
	pid_t tid;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (tid = next_number(threads)))
		add_children_of_thread(pid, tid, list);
}

/* Every process there is and its parent, in turn: one look through /proc serves a whole pass. */
static void list_all(struct carom_pid_list *list)
{
	CAROM_CLEANUP(carom_closedirp) DIR *processes = opendir("/proc");
	pid_t pid;

	while (processes && (pid = next_number(processes))) {
		carom_pid_list_add(list, pid);
		carom_pid_list_add(list, carom_process_parent(pid));
	}
}

static void pick_children(const struct carom_pid_list *all, pid_t pid, struct carom_pid_list *list)
{
	for (size_t i = 0; i + 1 < all->count; i += 2)
		if (all->pids[i + 1] == pid)
			carom_pid_list_add(list, all->pids[i]);
}

static bool kernel_lists_children(void)
{
	struct carom_pid_list list = { 0 };
	bool works = add_children_of_thread(getpid(), getpid(), &list);

	carom_pid_list_deinit(&list);
	return works;
}

static bool must_scan(void)
{
	const char *way = getenv("CAROM_TREE");

	return (way && strcmp(way, "scan") == 0) || !kernel_lists_children();
}

/* --- a pass ------------------------------------------------------------ */

/**
 * struct pass - one look at a tree
 * @all:  of list_all(), where the kernel does not list children
 * @self: this process, when it is the root
 * @held: takes what is found; NULL: that is killed
 */
struct pass {
	struct carom_pid_list all;
	bool is_scan;
	pid_t self;
	struct carom_process_tree *held;
};

static void pass_init(struct pass *pass, struct carom_process_tree *held)
{
	*pass = (struct pass){ .is_scan = must_scan(), .self = getpid(), .held = held };
	if (pass->is_scan)
		list_all(&pass->all);
}

static void pass_deinit(struct pass *pass)
{
	carom_pid_list_deinit(&pass->all);
}

static void list_below(const struct pass *pass, pid_t parent, struct carom_pid_list *list)
{
	if (pass->is_scan)
		pick_children(&pass->all, parent, list);
	else
		list_children(parent, list);
}

static bool is_there(int pidfd)
{
	return carom_pidfd_signal(pidfd, 0) != -ESRCH;
}

/* takes the descriptor if there is room */
static bool hold(struct carom_process_tree *tree, pid_t pid, int *pidfd)
{
	struct member *member = &tree->members[tree->count];

	if (tree->count == HELD_MAX)
		return false;
	member->pid = pid;
	member->pidfd = carom_take_fd(*pidfd);
	carom_private_fd_add(&member->private_pidfd, member->pidfd);
	tree->count++;
	return true;
}

static void stop_below(const struct pass *pass, pid_t parent, int parent_pidfd, int depth);

static void stop_with_all_below(const struct pass *pass, pid_t pid, pid_t parent, int parent_pidfd,
				int depth)
{
	CAROM_CLEANUP(carom_closep) int pidfd = carom_pidfd_pin(pid);

	if (pidfd < 0 || carom_process_parent(pid) != parent)
		return;
	if (parent != pass->self && !is_there(parent_pidfd)) /* I1 */
		return;
	carom_pidfd_signal(pidfd, SIGSTOP); /* I2 */
	if (depth < DEPTH_MAX)
		stop_below(pass, pid, pidfd, depth + 1);
	if (!pass->held || !hold(pass->held, pid, &pidfd)) /* I4 */
		carom_pidfd_signal(pidfd, SIGKILL);
}

static void stop_below(const struct pass *pass, pid_t parent, int parent_pidfd, int depth)
{
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list list = { 0 };

	list_below(pass, parent, &list);
	for (size_t i = 0; i < list.count; i++)
		stop_with_all_below(pass, list.pids[i], parent, parent_pidfd, depth);
}

static void stop_root(const struct pass *pass, pid_t pid, int pidfd)
{
	if (carom_pidfd_signal(pidfd, SIGSTOP) == 0)
		stop_below(pass, pid, pidfd, 0);
}

/**
 * struct visit - a pass that only looks: who has got another parent meanwhile is left out
 */
struct visit {
	const struct pass *pass;
	carom_process_visit_fn *function;
	void *userdata;
};

static void visit_below(const struct visit *visit, pid_t parent, int depth)
{
	CAROM_CLEANUP(carom_pid_list_deinit) struct carom_pid_list list = { 0 };

	list_below(visit->pass, parent, &list);
	for (size_t i = 0; i < list.count; i++) {
		if (carom_process_parent(list.pids[i]) != parent)
			continue;
		visit->function(list.pids[i], visit->userdata);
		if (depth < DEPTH_MAX)
			visit_below(visit, list.pids[i], depth + 1);
	}
}

/* --- groups ------------------------------------------------------------ */

/* false if there is none */
static bool signal_group(pid_t leader, int pidfd, int signal_number)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL,
		    PIDFD_SIGNAL_PROCESS_GROUP) == 0)
		return true;
	return errno != ESRCH && carom_pidfd_is_child(pidfd) && getpgid(leader) == leader &&
	       kill(-leader, signal_number) == 0;
}

/* --- what others call -------------------------------------------------- */

void carom_process_tree_kill_own(void)
{
	struct pass pass;

	pass_init(&pass, NULL);
	stop_below(&pass, pass.self, -1, 0);
	pass_deinit(&pass);
}

static void end(const struct pass *pass, pid_t pid, int pidfd)
{
	stop_root(pass, pid, pidfd);
	signal_group(pid, pidfd, SIGKILL);
	carom_pidfd_signal(pidfd, SIGKILL);
}

void carom_process_tree_kill_now(pid_t pid, int pidfd)
{
	struct pass pass;

	pass_init(&pass, NULL);
	end(&pass, pid, pidfd);
	pass_deinit(&pass);
}

void carom_process_tree_visit(pid_t pid, carom_process_visit_fn *visit, void *userdata)
{
	struct pass pass;

	pass_init(&pass, NULL);
	visit_below(&(struct visit){ .pass = &pass, .function = visit, .userdata = userdata }, pid,
		    0);
	pass_deinit(&pass);
}

int carom_process_tree_hold(pid_t pid, int pidfd, struct carom_process_tree **ret_tree)
{
	struct carom_process_tree *tree = calloc(1, sizeof(*tree));
	int root = tree ? fcntl(pidfd, F_DUPFD_CLOEXEC, 3) : -1;
	struct pass pass;

	if (root < 0) {
		int r = tree ? -errno : -ENOMEM;

		free(tree);
		return r;
	}
	hold(tree, pid, &root);
	pass_init(&pass, tree);
	stop_root(&pass, pid, pidfd);
	pass_deinit(&pass);
	*ret_tree = tree;
	return 0;
}

void carom_process_tree_signal(const struct carom_process_tree *tree, int signal_number)
{
	for (size_t i = 0; i < tree->count; i++) {
		signal_group(tree->members[i].pid, tree->members[i].pidfd, signal_number);
		carom_pidfd_signal(tree->members[i].pidfd, signal_number);
	}
}

bool carom_process_tree_is_there(const struct carom_process_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++)
		if (is_there(tree->members[i].pidfd) ||
		    signal_group(tree->members[i].pid, tree->members[i].pidfd, 0))
			return true;
	return false;
}

struct carom_process_tree *carom_process_tree_lose(struct carom_process_tree *tree)
{
	for (size_t i = 0; tree && i < tree->count; i++)
		carom_private_fd_remove(&tree->members[i].private_pidfd);
	free(tree);
	return NULL;
}

struct carom_process_tree *carom_process_tree_kill(struct carom_process_tree *tree)
{
	struct pass pass;

	if (!tree)
		return NULL;
	pass_init(&pass, NULL);
	for (size_t i = 0; i < tree->count; i++) {
		struct member *member = &tree->members[i];

		end(&pass, member->pid, member->pidfd);
		carom_private_fd_remove(&member->private_pidfd);
		close(member->pidfd);
	}
	pass_deinit(&pass);
	free(tree);
	return NULL;
}
