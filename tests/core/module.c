/* A shared object that a program loads while it runs. */
#include <stddef.h>

int run_in_module(const void *argument, size_t size, const int *fds, size_t fd_count);

static int status = 40;

__attribute__((constructor)) static void begin(void)
{
	status += 2;
}

/* As a carom_process_fn. */
__attribute__((visibility("default"))) int run_in_module(const void *argument, size_t size,
							 const int *fds, size_t fd_count)
{
	return status;
}
