#include "proxy/web/chart.h"

#include <inttypes.h>

#define WIDTH 300 // the drawing's own units; CSS makes it fit
#define HEIGHT 64
#define TOP 4 // so that the highest line is not cut

static void write_value(struct buffer *out, const struct chart *chart, uint64_t value)
{
	if (chart->unit == CHART_OCTETS) {
		view_write_octets(out, value);
	} else {
		view_write_count(out, value);
	}
}

static uint64_t highest(const uint64_t *points, size_t count)
{
	uint64_t high = 0;

	for (size_t i = 0; i < count; i++) {
		high = points[i] > high ? points[i] : high;
	}
	return high;
}

/* The newest minute is always at the right edge. */
static unsigned x_of(size_t index, size_t count)
{
	const size_t back = count - 1 - index;

	return (unsigned)(WIDTH - back * WIDTH / (HISTORY_POINTS - 1));
}

static unsigned y_of(uint64_t value, uint64_t high)
{
	const double part = high > 0 ? (double)value / (double)high : 0;

	return (unsigned)(HEIGHT - part * (HEIGHT - TOP));
}

static void write_points(struct buffer *out, const uint64_t *points, size_t count,
			 uint64_t high)
{
	for (size_t i = 0; i < count; i++) {
		buffer_printf(out, " %u,%u", x_of(i, count), y_of(points[i], high));
	}
}

/* The line, and the space below it. */
static void draw(struct buffer *out, const uint64_t *points, size_t count, uint64_t high)
{
	if (count > 1) {
		buffer_printf(out, "<polygon class=\"area\" points=\"%u,%u",
			      x_of(0, count), HEIGHT);
		write_points(out, points, count, high);
		buffer_printf(out, " %u,%u\"/><polyline class=\"line\" points=\"", WIDTH,
			      HEIGHT);
		write_points(out, points, count, high);
		buffer_printf(out, "\"/>");
	}
	buffer_printf(out,
		      "<line class=\"base\" x1=\"0\" y1=\"%u\" x2=\"%u\" y2=\"%u\"/>",
		      HEIGHT, WIDTH, HEIGHT);
}

void chart_write(const struct view *view, const struct chart *chart, struct buffer *out)
{
	uint64_t points[HISTORY_POINTS];
	const size_t count = history_points(view->history, chart->series, points);
	const uint64_t high = highest(points, count);

	buffer_printf(out,
		      "<figure class=\"%s\"><figcaption><b>%s</b> "
		      "<span>%s</span></figcaption>",
		      chart->class, chart->title, chart->per);
	buffer_printf(out, "<p class=\"now\">");
	if (count > 0) {
		write_value(out, chart, points[count - 1]);
		buffer_printf(out, " <span>last minute, highest ");
		write_value(out, chart, high);
		buffer_printf(out, "</span>");
	} else {
		buffer_printf(out, "<span>begins within a minute</span>");
	}
	buffer_printf(out,
		      "</p><svg viewBox=\"0 0 %u %u\" preserveAspectRatio=\"none\" "
		      "role=\"img\" aria-label=\"%s of the last hour\">",
		      WIDTH, HEIGHT + 1, chart->title);
	draw(out, points, count, high);
	buffer_printf(out, "</svg><p class=\"axis\"><span>an hour ago</span>"
			   "<span>now</span></p></figure>\n");
}
