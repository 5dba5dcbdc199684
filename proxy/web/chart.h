/*
 * A small chart of the last hour as inline SVG.
 */
#ifndef PROXY_WEB_CHART_H
#define PROXY_WEB_CHART_H

#include "proxy/web/view.h"

enum chart_unit { CHART_COUNT, CHART_OCTETS };

struct chart {
	const char *title; // "Sign-ins"
	const char *per;   // "per minute"; "" for none
	enum history_series series;
	enum chart_unit unit;
	const char *class; // of the figure, for its colour; "" for none
};

void chart_write(const struct view *view, const struct chart *chart, struct buffer *out);

#endif
