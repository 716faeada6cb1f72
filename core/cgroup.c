/*
 * Cgroup
 *
 * /proc/self/cgroup names the own group in each hierarchy, /proc/self/mountinfo says
 * which part of a hierarchy is mounted where. Both tell paths as seen from the root
 * of the reader's cgroup namespace, with "/.." for each step above it:
 *
 *	0::/../../batch                                  the group
 *	42 23 0:37 /.. /sys/fs/cgroup ro - cgroup2 ...   the mount's top, and its point
 *
 *   I1  Both climb from the same place, so a path names the same group in either.
 *   I2  The kernel takes the shortest way: behind its "/.." a path does not go down
 *       towards that place again. So a top that climbs further than the group holds
 *       it exactly if it is nothing but "/..", and by which names the way leads down
 *       from there, nothing says. Then the point itself is what can be seen.
 */
#include "core/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup_private.h"

static void freep(char **memory)
{
	free(*memory);
}

static int open_below(const char *root, const char *path, FILE **ret_file)
{
	CAROM_CLEANUP(freep) char *full = NULL;

	if (asprintf(&full, "%s%s", root, path) < 0)
		return -ENOMEM;
	*ret_file = fopen(full, "re");
	return *ret_file ? 0 : -errno;
}

static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (;; list++) {
		if (strncmp(list, word, length) == 0 &&
		    (list[length] == ',' || list[length] == '\0'))
			return true;
		list = strchrnul(list, ',');
		if (!*list)
			return false;
	}
}

/* --- the own group ----------------------------------------------------- */

/**
 * struct groups - the own group's path in the hierarchies that are looked at
 * @v2: NULL: there is no unified hierarchy
 * @v1: NULL: none has the controller
 */
struct groups {
	char *v2;
	char *v1;
};

static void groups_deinit(struct groups *groups)
{
	free(groups->v2);
	free(groups->v1);
}

/* A line "ID:CONTROLLERS:PATH"; v2 is hierarchy 0 and names no controllers. */
static int take_group(char *line, const char *controller, struct groups *groups)
{
	char *rest = line;
	const char *id = strsep(&rest, ":");
	const char *controllers = strsep(&rest, ":");
	char **group = NULL;

	if (!rest)
		return 0;
	if (strcmp(id, "0") == 0 && !*controllers)
		group = &groups->v2;
	else if (controller && has_word(controllers, controller))
		group = &groups->v1;
	if (!group || *group)
		return 0;
	*group = strndup(rest, strcspn(rest, "\n"));
	return *group ? 0 : -ENOMEM;
}

static int read_groups(const char *root, const char *controller, struct groups *groups)
{
	CAROM_CLEANUP(carom_fclosep) FILE *file = NULL;
	CAROM_CLEANUP(freep) char *line = NULL;
	size_t size = 0;
	int r = open_below(root, "/proc/self/cgroup", &file);

	while (r == 0 && getline(&line, &size, file) > 0)
		r = take_group(line, controller, groups);
	return r;
}

/* --- the mounts -------------------------------------------------------- */

/**
 * struct mount - what a line of mountinfo says; points into it
 * @top:     the group that is mounted
 * @point:   where
 * @type:    "cgroup" or "cgroup2", or of no interest
 * @options: of the file system; v1 lists its controllers among them
 */
struct mount {
	char *top;
	char *point;
	const char *type;
	const char *options;
};

static bool is_octal(const char *text)
{
	return strspn(text, "01234567") >= 3;
}

/* Blanks and backslashes of paths stand as three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && is_octal(from + 1)) {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* A line "ID PARENT DEVICE TOP POINT OPTIONS... - TYPE SOURCE OPTIONS". */
static bool parse_mount(char *line, struct mount *ret)
{
	char *rest = line;
	char *behind = strstr(line, " - ");

	if (!behind)
		return false;
	*behind = '\0';
	behind += 3;
	behind[strcspn(behind, "\n")] = '\0';
	for (int i = 0; i < 3; i++)
		strsep(&rest, " ");
	ret->top = strsep(&rest, " ");
	ret->point = strsep(&rest, " ");
	ret->type = strsep(&behind, " ");
	strsep(&behind, " ");
	ret->options = behind;
	if (!ret->point || !ret->options)
		return false;
	unescape(ret->top);
	unescape(ret->point);
	return true;
}

/* The own group in the hierarchy that is mounted; NULL: not one that is looked at. */
static const char *group_of(const struct mount *mount, const struct groups *groups,
			    const char *controller)
{
	if (strcmp(mount->type, "cgroup2") == 0)
		return groups->v2;
	if (controller && strcmp(mount->type, "cgroup") == 0 &&
	    has_word(mount->options, controller))
		return groups->v1;
	return NULL;
}

/* --- the one below the other -------------------------------------------- */

static bool is_end_of_name(char c)
{
	return c == '/' || c == '\0';
}

/* How often *@path begins with "/..", which is cut off. */
static size_t take_climbs(const char **path)
{
	size_t count = 0;

	for (; strncmp(*path, "/..", 3) == 0 && is_end_of_name((*path)[3]); *path += 3)
		count++;
	return count;
}

static const char *without_slash(const char *path)
{
	return strcmp(path, "/") == 0 ? "" : path;
}

/* The way from @top down to @group, as far as it is known; NULL: @group is not below. */
static const char *way_down(const char *top, const char *group, bool *ret_is_whole)
{
	size_t top_climbs = take_climbs(&top);
	size_t group_climbs = take_climbs(&group);
	size_t length;

	top = without_slash(top);
	group = without_slash(group);
	length = strlen(top);
	*ret_is_whole = top_climbs == group_climbs;
	if (top_climbs != group_climbs) /* I2 */
		return top_climbs > group_climbs && !*top ? "" : NULL;
	if (strncmp(group, top, length) != 0 || !is_end_of_name(group[length]))
		return NULL;
	return group + length;
}

/* Return: 1, 0 where the group is not seen, or a negative errno. */
static int visit_mount(const char *root, const struct mount *mount, const char *group,
		       carom_cgroup_fn *visit, void *userdata)
{
	CAROM_CLEANUP(freep) char *path = NULL;
	struct carom_cgroup_place place = { .is_v2 = strcmp(mount->type, "cgroup2") == 0 };
	const char *way = way_down(mount->top, group, &place.is_own);
	int r;

	if (!way)
		return 0;
	if (asprintf(&path, "%s%s%s", root, mount->point, way) < 0)
		return -ENOMEM;
	place.path = path;
	place.top_length = strlen(root) + strlen(mount->point);
	r = visit(&place, userdata);
	return r < 0 ? r : 1;
}

int carom_cgroup_places(const char *root, const char *controller, carom_cgroup_fn *visit,
			void *userdata)
{
	CAROM_CLEANUP(groups_deinit) struct groups groups = { 0 };
	CAROM_CLEANUP(carom_fclosep) FILE *file = NULL;
	CAROM_CLEANUP(freep) char *line = NULL;
	size_t size = 0;
	int count = 0;
	int r = read_groups(root, controller, &groups);

	if (r == 0)
		r = open_below(root, "/proc/self/mountinfo", &file);
	while (r >= 0 && file && getline(&line, &size, file) > 0) {
		struct mount mount;
		const char *group =
			parse_mount(line, &mount) ? group_of(&mount, &groups, controller) : NULL;

		r = group ? visit_mount(root, &mount, group, visit, userdata) : 0;
		count += r == 1;
	}
	return r < 0 ? r : count;
}

int carom_cgroup_check(int fd)
{
	if (faccessat(fd, "cgroup.procs", R_OK | W_OK, AT_EACCESS) < 0 ||
	    faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	return 0;
}

bool carom_cgroup_ascend(const struct carom_cgroup_place *place)
{
	char *name;

	if (strlen(place->path) <= place->top_length)
		return false;
	name = strrchr(place->path + place->top_length, '/');
	if (!name)
		return false;
	*name = '\0';
	return true;
}
