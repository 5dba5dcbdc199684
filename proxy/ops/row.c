#include "proxy/ops/row.h"

#include "proxy/base/census.h"

static bool used[METRICS_ROWS];

uint32_t row_take(void)
{
	uint32_t row = METRICS_MASTER_ROW + 1;

	while (row < METRICS_ROWS && used[row]) {
		row++;
	}
	if (row < METRICS_ROWS) {
		used[row] = true;
	}
	return row;
}

void row_claim(uint32_t row)
{
	if (row < METRICS_ROWS) {
		used[row] = true;
	}
}

void row_give_back(uint32_t row)
{
	if (row != METRICS_MASTER_ROW && row < METRICS_ROWS) {
		metrics_clear_gauges(row);
		census_clear(row);
		used[row] = false;
	}
}
