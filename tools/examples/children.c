/*
 * Children: one function, run in a child by each start method
 *
 * The child is killed, fails or ends as it is told; whichever way it was started, its
 * parent is told the same.
 */
#include <carom/carom.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int obey(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	const char *order = argument;

	if (strcmp(order, "be killed") == 0)
		raise(SIGKILL);
	if (strcmp(order, "fail") == 0)
		return -ENOSPC; /* said on standard error; the exit code is 1 */
	return 7;
}
CAROM_REGISTER(obey);

static int run(const char *method, const char *order)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_context *context;
	char text[160];
	int r = carom_context_get(method, &context);

	if (r == 0)
		r = carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context, .function = obey,
							     .argument = order,
							     .argument_size = strlen(order) + 1),
				      &process);
	if (r == 0)
		r = carom_process_start(process);
	if (r == 0)
		r = carom_process_join(process, carom_deadline_after(CAROM_SECONDS(5)));
	if (r < 0)
		return r;
	carom_process_describe(process, text, sizeof(text));
	printf("%-10s  %-9s  %s\n", method, order, text);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const orders[] = { "end", "fail", "be killed" };
	const char *const *method;

	carom_main_hook(argc, argv); /* in a child by "spawn", this is where it ends */
	for (method = carom_all_start_methods(); *method; method++)
		for (int i = 0; i < 3; i++) {
			int r = run(*method, orders[i]);

			if (r < 0)
				return carom_complain(*method, r);
		}
	return EXIT_SUCCESS;
}
