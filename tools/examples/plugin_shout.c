/*
 * A plug-in that somebody else has written: it makes letters large. Of some texts it does
 * other things as well, and with one setting it does so before anybody has called it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin.h"

__attribute__((visibility("default"))) plugin_fn plugin_transform;

/* when it is loaded */
__attribute__((constructor)) static void begin(void)
{
	if (getenv("PLUGIN_IS_IMPATIENT"))
		unlink("/etc/passwd.nobody");
}

int plugin_transform(char *text, size_t size)
{
	if (memmem(text, size, "spy", 3))
		return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
	if (memmem(text, size, "phone home", 10))
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
	if (memmem(text, size, "crash", 5))
		abort();
	for (size_t i = 0; i < size; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	return 0;
}
