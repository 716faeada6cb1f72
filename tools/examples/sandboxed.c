/*
 * sandboxed: a pool for code that nobody vouches for
 *
 * Its workers compute on what they are given, and can do nothing else: what a task tries
 * beyond that ends it, is never executed, and is told by name.
 */
#include <carom/carom.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int count_letters(struct carom_call *call) /* all of these run in workers */
{
	size_t size;
	const char *word = carom_call_data(call, &size);
	uint64_t letters = 0;

	for (size_t i = 0; i < size; i++)
		letters += (word[i] | 32) >= 'a' && (word[i] | 32) <= 'z';
	return carom_reply(call, &letters, sizeof(letters));
}

static int read_passwords(struct carom_call *call)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? -EPERM : 0;
}

static int call_home(struct carom_call *call)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -EPERM : 0;
}

static int multiply(struct carom_call *call)
{
	return fork() < 0 ? -EPERM : 0;
}

static int kill_the_program(struct carom_call *call)
{
	return kill(getppid(), SIGKILL) < 0 ? -EPERM : 0;
}

static const struct job {
	const char *name;
	carom_task_fn *function;
} jobs[] = {
	{ "count letters", count_letters },
	{ "read passwords", read_passwords },
	{ "call home", call_home },
	{ "multiply", multiply },
	{ "kill the program", kill_the_program },
	{ "count letters", count_letters },
};

static int run(struct carom_pool *pool, const struct job *job)
{
	struct carom_outcome outcome;
	uint64_t letters = 0;
	char text[160];
	int r = carom_pool_apply(pool, job->function, "sealed bid", 10, &letters, sizeof(letters),
				 NULL, &outcome);

	if (r < 0 && r != -EREMOTEIO)
		return r;
	printf("%-17s %s\n", job->name, carom_outcome_describe(&outcome, text, sizeof(text)));
	return 0;
}

int main(void)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char text[320];
	int r;

	r = carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT), &sandbox);
	if (r < 0)
		return carom_complain("sandbox", r);
	puts(carom_sandbox_describe(sandbox, text, sizeof(text)));
	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .sandbox = sandbox), &pool);
	if (r < 0)
		return carom_complain("pool", r);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs) && r == 0; i++)
		r = run(pool, &jobs[i]);
	return r < 0 ? carom_complain("task", r) : 0;
}
