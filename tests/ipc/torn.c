/* A shared object that is found, but not what it needs. */
int carom_nowhere(void);
int ask_nowhere(void);

int ask_nowhere(void)
{
	return carom_nowhere();
}
