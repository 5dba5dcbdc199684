/* The result: one JSON object on standard output, field by field. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdnoreturn.h>

void report_number(const char *name, double value);
void report_text(const char *name, const char *value);
void report_end(void);

/* {"error": what, "detail": ...} and exit code 1, whatever was said before. */
noreturn void report_failure(const char *what, const char *detail);

#endif
