/*
 * JSON
 *
 * Members are only ever added; SCHEMA counts up if one is taken away or gets another
 * meaning. What is not known is null, so that every member is always there.
 *
 * A reference that was given away is gone even if that failed, and no function of
 * jansson minds a NULL: so nothing is checked on the way, and what could not be made
 * is noticed once, at the end.
 */
#include "tools/doctor_json.h"

#include <jansson.h>

#define SCHEMA 1

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

/* Whether all went well is kept in @object itself: a part that is missing makes the whole NULL. */
static void put(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) < 0) {
		json_decref(*object);
		*object = NULL;
	}
}

static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) < 0) {
		json_decref(*array);
		*array = NULL;
	}
}

/* --- parts ------------------------------------------------------------- */

static json_t *facts_of(const struct carom_doctor_finding *finding)
{
	json_t *facts = json_object();

	for (size_t i = 0; i < finding->fact_count; i++) {
		const struct carom_doctor_fact *fact = &finding->facts[i];
		bool fits = fact->is_known && fact->number <= INT64_MAX;

		put(&facts, fact->key, fits ? json_integer((json_int_t)fact->number) : json_null());
	}
	return facts;
}

static json_t *remedy_of(const struct carom_doctor_finding *finding)
{
	json_t *remedy;

	if (finding->remedy == CAROM_DOCTOR_NONE)
		return json_null();
	remedy = json_object();
	put(&remedy, "kind", json_string(carom_doctor_remedy_name(finding->remedy)));
	put(&remedy, "line", json_string(finding->line));
	put(&remedy, "note", text_or_null(finding->note));
	return remedy;
}

static json_t *finding_to_json(const struct carom_doctor_finding *finding)
{
	json_t *object = json_object();

	put(&object, "id", json_string(finding->id));
	put(&object, "group", json_string(carom_doctor_group_name(finding->group)));
	put(&object, "state", json_string(carom_doctor_state_name(finding->state)));
	put(&object, "is_mechanism", json_boolean(finding->is_mechanism));
	put(&object, "value", json_string(finding->value));
	put(&object, "reason", text_or_null(finding->reason));
	put(&object, "cost", text_or_null(finding->cost));
	put(&object, "remedy", remedy_of(finding));
	put(&object, "facts", facts_of(finding));
	return object;
}

static json_t *findings_of(const struct carom_doctor_report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < report->finding_count; i++)
		append(&array, finding_to_json(&report->findings[i]));
	return array;
}

static json_t *in_force_of(const struct carom_doctor_report *report)
{
	json_t *object = json_object();

	for (int i = 0; i < CAROM_DOCTOR_GROUP_COUNT; i++)
		if (*report->in_force[i])
			put(&object, carom_doctor_group_name(i), json_string(report->in_force[i]));
	return object;
}

static json_t *system_of(const struct carom_doctor_place *place)
{
	json_t *object = json_object();

	put(&object, "kernel", json_string(place->release));
	put(&object, "machine", json_string(place->machine));
	put(&object, "container", json_string(carom_doctor_container_name(place->container)));
	put(&object, "user", json_integer(place->user));
	put(&object, "is_filtered", json_boolean(place->is_filtered));
	return object;
}

/* --- the whole --------------------------------------------------------- */

char *carom_doctor_json(const struct carom_doctor_place *place,
			const struct carom_doctor_report *report)
{
	json_t *object = json_object();
	char *text;

	put(&object, "schema", json_integer(SCHEMA));
	put(&object, "carom", json_string(CAROM_VERSION));
	put(&object, "status", json_integer(carom_doctor_status(report)));
	put(&object, "system", system_of(place));
	put(&object, "in_force", in_force_of(report));
	put(&object, "findings", findings_of(report));
	text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
	json_decref(object);
	return text;
}
