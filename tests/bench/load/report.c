#include "tests/bench/load/report.h"

#include <stdio.h>
#include <stdlib.h>

static const char *separator = "{";

void report_number(const char *name, double value)
{
	printf("%s\"%s\": %.15g", separator, name, value);
	separator = ", ";
}

void report_text(const char *name, const char *value)
{
	printf("%s\"%s\": \"", separator, name);
	for (; *value; value++) {
		if (*value >= ' ' && *value != '"' && *value != '\\') {
			putchar(*value);
		}
	}
	putchar('"');
	separator = ", ";
}

void report_end(void)
{
	puts("}");
	fflush(stdout);
	separator = "{";
}

noreturn void report_failure(const char *what, const char *detail)
{
	report_text("error", what);
	report_text("detail", detail);
	report_end();
	exit(1);
}
