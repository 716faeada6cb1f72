/*
 * carom top: the running pools of this user, and what their workers do.
 */
#ifndef CAROM_TOOLS_TOP_H
#define CAROM_TOOLS_TOP_H

/** carom_top_main() - @argv[0] is "top". Return: the exit status. */
int carom_top_main(int argc, char *argv[]);

#endif
