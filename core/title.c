/*
 * Title
 *
 * The kernel shows as command line what stands, at that time, where it put the strings
 * at exec; the strings of the environment follow them without a gap. If the last byte
 * of the command line is no longer NUL, it reads on there, up to the first NUL
 * (proc_pid_cmdline(5), since Linux 4.2). Where that memory is the dynamic linker tells
 * each constructor, which runs before a program can move anything.
 */
#include "core/title.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/cleanup.h"

/**
 * struct strings - what the kernel handed over
 * @begin, @end: its memory; NULL if there was no argv[0]
 * @moved:       nothing points there any more
 */
static struct strings {
	int argc;
	char **argv;
	char *begin;
	char *end;
	bool moved;
} strings;

static char *end_of(char **list, int count, char *end)
{
	for (int i = 0; i < count && list[i] == end; i++)
		end += strlen(list[i]) + 1;
	return end;
}

static int count_of(char **list)
{
	int count = 0;

	while (list[count])
		count++;
	return count;
}

__attribute__((constructor)) static void find_strings(int argc, char **argv, char **envp)
{
	if (argc < 1 || !argv || !argv[0] || !envp)
		return;
	strings.argc = argc;
	strings.argv = argv;
	strings.begin = argv[0];
	strings.end = end_of(argv, argc, argv[0]);
	strings.end = end_of(envp, count_of(envp), strings.end);
}

static int move(char **string)
{
	char *copy;

	if (*string < strings.begin || *string >= strings.end)
		return 0;
	copy = strdup(*string);
	if (!copy)
		return -ENOMEM;
	*string = copy;
	return 0;
}

static int move_list(char **list, int count)
{
	int r = 0;

	for (int i = 0; i < count && r == 0; i++)
		r = move(&list[i]);
	return r;
}

/* glibc's names of the program: the short one is the end of the other */
static int move_program_name(void)
{
	size_t offset = (size_t)(program_invocation_short_name - program_invocation_name);
	bool is_part = offset <= strlen(program_invocation_name);
	int r = move(&program_invocation_name);

	if (r < 0)
		return r;
	if (!is_part)
		return move(&program_invocation_short_name);
	program_invocation_short_name = program_invocation_name + offset;
	return 0;
}

static int move_strings(void)
{
	int r = move_list(strings.argv, strings.argc);

	if (r == 0 && environ)
		r = move_list(environ, count_of(environ));
	if (r == 0)
		r = move_program_name();
	strings.moved = r == 0;
	return r;
}

static void set_command_line(const char *title)
{
	size_t room = (size_t)(strings.end - strings.begin);
	size_t length = strnlen(title, room - 1);

	memmove(strings.begin, title, length);
	memset(strings.begin + length, 0, room - length);
}

/* of the main thread, from whichever this is; the kernel cuts it */
static void set_name(const char *title)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	if (getpid() == gettid()) {
		prctl(PR_SET_NAME, title);
		return;
	}
	fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, title, strlen(title)) < 0)
		return; /* the command line is there all the same */
}

int carom_title_set(const char *title)
{
	int r = 0;

	if (!title)
		return -EINVAL;
	if (strings.begin && !strings.moved)
		r = move_strings();
	if (r < 0)
		return r;
	if (strings.begin)
		set_command_line(title);
	set_name(title);
	return 0;
}
