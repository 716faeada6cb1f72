/*
 * Container: what kind of one this process runs in, by the traces it leaves.
 */
#ifndef CAROM_TOOLS_DOCTOR_CONTAINER_H
#define CAROM_TOOLS_DOCTOR_CONTAINER_H

enum carom_doctor_container {
	CAROM_DOCTOR_NO_CONTAINER,
	CAROM_DOCTOR_DOCKER,
	CAROM_DOCTOR_PODMAN,
	CAROM_DOCTOR_KUBERNETES,
	CAROM_DOCTOR_LXC,
	CAROM_DOCTOR_NSPAWN,
	CAROM_DOCTOR_GVISOR,
	CAROM_DOCTOR_SOME_CONTAINER, /* it is one, and does not say which */
};

/** carom_doctor_container() - which one; files are looked for below @root */
enum carom_doctor_container carom_doctor_container(const char *root);

/** carom_doctor_container_name() - "docker", "podman", ..., "none", "unknown" */
const char *carom_doctor_container_name(enum carom_doctor_container container);

#endif
