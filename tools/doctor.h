/*
 * Doctor: "carom doctor", which tells what the library can rest on here.
 */
#ifndef CAROM_TOOLS_DOCTOR_H
#define CAROM_TOOLS_DOCTOR_H

/** carom_doctor_main() - the command. Return: an exit status, see carom-doctor(1). */
int carom_doctor_main(int argc, char *argv[]);

#endif
