/*
 * Ranking
 */
#include "tools/run_ranking.h"

#include <stdio.h>
#include <string.h>

#include "tools/say.h"

void carom_run_ranking_add(struct carom_run_ranking *ranking, uint64_t value, const char *name)
{
	size_t place = ranking->count;

	while (place > 0 && ranking->jobs[place - 1].value < value)
		place--;
	if (value == 0 || place == CAROM_RUN_RANKING_MAX)
		return;
	if (ranking->count < CAROM_RUN_RANKING_MAX)
		ranking->count++;
	memmove(&ranking->jobs[place + 1], &ranking->jobs[place],
		(ranking->count - 1 - place) * sizeof(ranking->jobs[0]));
	ranking->jobs[place].value = value;
	strcpy(ranking->jobs[place].name, name);
}

void carom_run_ranking_say(const struct carom_run_ranking *ranking, const char *title,
			   struct carom_figure (*figure)(uint64_t value))
{
	char line[CAROM_RUN_RANKING_MAX * (CAROM_FIGURE_BYTES + CAROM_RUN_NAME_BYTES + 8)];
	char *to = line;

	for (size_t i = 0; i < ranking->count; i++)
		to += sprintf(to, "%s%s  %s", i ? ", " : "", figure(ranking->jobs[i].value).text,
			      ranking->jobs[i].name);
	if (ranking->count > 0)
		carom_say_more("%s: %s", title, line);
}
