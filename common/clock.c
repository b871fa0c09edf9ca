/* SPDX-License-Identifier: MIT */
/*
 * The clock of a loop, and HTTP dates both ways.
 *
 * Owns nothing.  Invariant: `date` is that of `real_s`.
 * Here: reading, rendering and parsing.  Not here: timers (libevent's).
 * Context: one struct per loop; the functions without one are pure but for the
 * kernel's clock.
 */
#include "common/clock.h"

#include <stdbool.h>
#include <string.h>

#include "common/str.h"

#define CLOCK_DAY_S 86400

static const char clock_months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char clock_days[] = "SunMonTueWedThuFriSat";

/* A time of day and a date of the Gregorian calendar, as people write them. */
struct clock_date {
	int64_t year;
	unsigned month;		/* 1 to 12 */
	unsigned day;		/* 1 to 31 */
	unsigned hour, minute, second;
};

static uint64_t
clock_read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

int64_t
clock_now_real_ms(void)
{
	return (int64_t)(clock_read_ns(CLOCK_REALTIME) / 1000000u);
}

void
clock_init(struct clock *clk)
{
	*clk = (struct clock){.real_s = -1};
	clock_update(clk);
}

void
clock_update(struct clock *clk)
{
	struct timespec real;

	clk->mono_ns = clock_now_ns();
	clk->mono_ms = clk->mono_ns / 1000000u;
	clock_gettime(CLOCK_REALTIME_COARSE, &real);
	if (real.tv_sec == clk->real_s)
		return;
	clk->real_s = real.tv_sec;
	clock_format_date(clk->real_s, clk->date);
}

/*
 * Days since 1970-01-01 of a date, and back.  Years are counted from March, so
 * that the leap day is the last of its year and months have a regular length:
 * 153 days for each five of them.  400 years are 146097 days; 719468 days lie
 * between 0000-03-01 and 1970-01-01.
 */
static int64_t
clock_days_of(const struct clock_date *d)
{
	int64_t year = d->month <= 2 ? d->year - 1 : d->year;
	unsigned month = d->month <= 2 ? d->month + 9 : d->month - 3;
	int64_t day_of_year = (153 * month + 2) / 5 + d->day - 1;

	return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year -
	    719468;
}

static void
clock_date_of(int64_t t, struct clock_date *d)
{
	int64_t day = t / CLOCK_DAY_S + 719468;
	unsigned second = (unsigned)(t % CLOCK_DAY_S);
	int64_t era = day / 146097;
	unsigned of_era = (unsigned)(day % 146097);
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 -
	    of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	d->day = of_year - (153 * month + 2) / 5 + 1;
	d->month = month < 10 ? month + 3 : month - 9;
	d->year = era * 400 + year + (d->month <= 2);
	d->hour = second / 3600;
	d->minute = second / 60 % 60;
	d->second = second % 60;
}

/* The last `width` digits of `value`, with leading zeros. */
static char *
clock_put_digits(char *out, uint64_t value, unsigned width)
{
	for (unsigned i = width; i > 0; i--) {
		out[i - 1] = (char)('0' + value % 10);
		value /= 10;
	}
	return out + width;
}

static char *
clock_put_text(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

static char *
clock_put_time(char *out, const struct clock_date *d)
{
	out = clock_put_digits(out, d->hour, 2);
	*out++ = ':';
	out = clock_put_digits(out, d->minute, 2);
	*out++ = ':';
	return clock_put_digits(out, d->second, 2);
}

/* Four-digit years: what both formats can say. */
static int64_t
clock_clamp(int64_t t)
{
	const int64_t last = INT64_C(253402300799);	/* 9999-12-31 */

	return t < 0 ? 0 : t > last ? last : t;
}

void
clock_format_date(int64_t t, char *out)
{
	struct clock_date d;
	size_t weekday;

	t = clock_clamp(t);
	clock_date_of(t, &d);
	weekday = (size_t)((t / CLOCK_DAY_S + 4) % 7);	/* a Thursday */
	out = clock_put_text(out, clock_days + 3 * weekday, 3);
	out = clock_put_text(out, ", ", 2);
	out = clock_put_digits(out, d.day, 2);
	*out++ = ' ';
	out = clock_put_text(out, clock_months + 3 * (d.month - 1), 3);
	*out++ = ' ';
	out = clock_put_digits(out, (uint64_t)d.year, 4);
	*out++ = ' ';
	out = clock_put_time(out, &d);
	memcpy(out, " GMT", 5);
}

void
clock_format_iso(int64_t real_ms, char *out)
{
	struct clock_date d;
	int64_t t = clock_clamp(real_ms / 1000);

	clock_date_of(t, &d);
	out = clock_put_digits(out, (uint64_t)d.year, 4);
	*out++ = '-';
	out = clock_put_digits(out, d.month, 2);
	*out++ = '-';
	out = clock_put_digits(out, d.day, 2);
	*out++ = 'T';
	out = clock_put_time(out, &d);
	*out++ = '.';
	out = clock_put_digits(out,
	    real_ms > 0 ? (uint64_t)(real_ms % 1000) : 0, 3);
	memcpy(out, "Z", 2);
}

static bool
clock_take_text(struct str *s, struct str text)
{
	if (!str_has_prefix(*s, text))
		return false;
	*s = str_from(s->p + text.len, s->len - text.len);
	return true;
}

static bool
clock_take_digits(struct str *s, size_t width, unsigned *ret_value)
{
	uint64_t value;

	if (s->len < width || str_to_u64(str_from(s->p, width), &value) == -1)
		return false;
	*ret_value = (unsigned)value;
	*s = str_from(s->p + width, s->len - width);
	return true;
}

/* One of the three-letter names; *ret_index counts from 0. */
static bool
clock_take_name(struct str *s, const char *names, unsigned *ret_index)
{
	for (unsigned i = 0; names[3 * i] != '\0'; i++) {
		if (clock_take_text(s, str_from(names + 3 * i, 3))) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static bool
clock_take_month(struct str *s, struct clock_date *d)
{
	if (!clock_take_name(s, clock_months, &d->month))
		return false;
	d->month++;
	return true;
}

static bool
clock_take_year(struct str *s, struct clock_date *d)
{
	unsigned year;

	if (!clock_take_digits(s, 4, &year))
		return false;
	d->year = year;
	return true;
}

static bool
clock_take_time(struct str *s, struct clock_date *d)
{
	return clock_take_digits(s, 2, &d->hour) &&
	    clock_take_text(s, STR(":")) &&
	    clock_take_digits(s, 2, &d->minute) &&
	    clock_take_text(s, STR(":")) &&
	    clock_take_digits(s, 2, &d->second);
}

/* RFC 9110 5.6.7: " 06 Nov 1994 08:49:37 GMT", behind "Sun,". */
static bool
clock_take_imf(struct str *s, struct clock_date *d)
{
	return clock_take_text(s, STR(", ")) &&
	    clock_take_digits(s, 2, &d->day) && clock_take_text(s, STR(" ")) &&
	    clock_take_month(s, d) && clock_take_text(s, STR(" ")) &&
	    clock_take_year(s, d) && clock_take_text(s, STR(" ")) &&
	    clock_take_time(s, d) && clock_take_text(s, STR(" GMT"));
}

/* The rest of a day's long name: RFC 850 spells it out. */
static bool
clock_take_long_day(struct str *s, unsigned weekday)
{
	static const struct str rests[] = {
		STR_INIT("day, "), STR_INIT("day, "), STR_INIT("sday, "),
		STR_INIT("nesday, "), STR_INIT("rsday, "), STR_INIT("day, "),
		STR_INIT("urday, "),
	};

	return clock_take_text(s, rests[weekday]);
}

/* RFC 9110 5.6.7: a two-digit year that seems to be more than 50 years ahead is
 * the latest year in the past with those digits. */
static int64_t
clock_full_year(unsigned two_digits)
{
	struct clock_date now;
	int64_t year;

	clock_date_of(clock_clamp(clock_now_real_ms() / 1000), &now);
	year = now.year - now.year % 100 + two_digits;
	return year > now.year + 50 ? year - 100 : year;
}

/* "06-Nov-94 08:49:37 GMT". */
static bool
clock_take_rfc850(struct str *s, struct clock_date *d)
{
	unsigned year;

	if (!clock_take_digits(s, 2, &d->day) ||
	    !clock_take_text(s, STR("-")) || !clock_take_month(s, d) ||
	    !clock_take_text(s, STR("-")) || !clock_take_digits(s, 2, &year))
		return false;
	d->year = clock_full_year(year);
	return clock_take_text(s, STR(" ")) && clock_take_time(s, d) &&
	    clock_take_text(s, STR(" GMT"));
}

/* asctime(3): "Nov  6 08:49:37 1994", the day padded with a space. */
static bool
clock_take_asctime(struct str *s, struct clock_date *d)
{
	if (!clock_take_month(s, d) || !clock_take_text(s, STR(" ")) ||
	    !clock_take_digits(s, clock_take_text(s, STR(" ")) ? 1 : 2,
	    &d->day))
		return false;
	return clock_take_text(s, STR(" ")) && clock_take_time(s, d) &&
	    clock_take_text(s, STR(" ")) && clock_take_year(s, d);
}

static bool
clock_date_is_valid(const struct clock_date *d)
{
	static const uint8_t lengths[] =
	    {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = d->year % 4 == 0 &&
	    (d->year % 100 != 0 || d->year % 400 == 0);
	unsigned last = lengths[d->month - 1] + (d->month == 2 && leap);

	/* A leap second is valid (RFC 5322 3.3) and counts as the next one. */
	return d->year >= 1970 && d->day >= 1 && d->day <= last &&
	    d->hour <= 23 && d->minute <= 59 && d->second <= 60;
}

int64_t
clock_parse_date(const char *text, size_t len)
{
	struct str s = str_from(text, len);
	struct clock_date d;
	unsigned weekday;
	bool read;

	if (!clock_take_name(&s, clock_days, &weekday))
		return -1;
	if (str_has_prefix(s, STR(",")))
		read = clock_take_imf(&s, &d);
	else if (clock_take_text(&s, STR(" ")))
		read = clock_take_asctime(&s, &d);
	else
		read = clock_take_long_day(&s, weekday) &&
		    clock_take_rfc850(&s, &d);
	if (!read || s.len != 0 || !clock_date_is_valid(&d))
		return -1;
	return clock_days_of(&d) * CLOCK_DAY_S + d.hour * 3600 + d.minute * 60 +
	    d.second;
}
