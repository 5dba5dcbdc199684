#include "proxy/cli/password.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX (16 * 1024)

static bool read_password(FILE *file, struct secret *out)
{
	char *line = memory_new(PASSWORD_MAX);

	setvbuf(file, NULL, _IONBF, 0); // stdio would keep a copy
	const bool read = fgets(line, PASSWORD_MAX, file) != NULL;

	if (read) {
		line[strcspn(line, "\r\n")] = '\0';
		secret_set(out, bytes_of(line));
	}
	memory_wipe(line, PASSWORD_MAX);
	free(line);
	return read;
}

static bool ask_terminal(struct secret *out)
{
	struct termios before;
	struct termios quiet;
	const bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	bool read;

	if (terminal) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	/* Only now: what is typed before is flushed, or seen on the screen. */
	fprintf(stderr, "Password: ");
	read = read_password(stdin, out);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	}
	fprintf(stderr, "\n");
	return read;
}

static bool get(const char *path, struct secret *out)
{
	FILE *file;
	bool read;

	if (!path) {
		return ask_terminal(out);
	}
	if (strcmp(path, "-") == 0) {
		return read_password(stdin, out);
	}
	file = fopen(path, "re");
	if (!file) {
		perror(path);
		return false;
	}
	read = read_password(file, out);
	fclose(file);
	if (!read) {
		fprintf(stderr, "%s: no password in it\n", path);
	}
	return read;
}

bool password_get(const char *path, struct secret *out)
{
	if (!get(path, out)) {
		if (!path || strcmp(path, "-") == 0) {
			fprintf(stderr, "popbridge: no password came\n");
		}
		return false;
	}
	if (out->len == 0) {
		fprintf(stderr, "popbridge: the password is empty%s%s\n",
			path ? ": the first line of " : "", path ? path : "");
		return false;
	}
	return true;
}
