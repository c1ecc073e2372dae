/* RFC 3339 without a clock and without a time zone database. */

#include "inner.h"

/* Days from 1970-01-01 to a date of the Gregorian calendar; a year begins in March here, so that the leap day is its last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int digits(sl_str text, size_t at, size_t count) {
  int value = 0;
  for (size_t digit = 0; digit < count; digit++) {
    if (at + digit >= text.len) return -1;
    char c = text.ptr[at + digit];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

static bool is(sl_str text, size_t at, char c) { return at < text.len && text.ptr[at] == c; }

static bool leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int64_t sl_time(sl_str text) {
  static const int LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  bool marks = is(text, 4, '-') && is(text, 7, '-') && is(text, 13, ':') && is(text, 16, ':') &&
               (is(text, 10, 'T') || is(text, 10, 't') || is(text, 10, ' '));
  if (!marks || year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 60) {
    return -1;
  }
  if (day > LENGTHS[month - 1] + (month == 2 && leap(year))) return -1;
  size_t at = 19;
  int64_t millis = 0;
  if (is(text, at, '.')) {
    int64_t place = 100;
    size_t first = ++at;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
      millis += (text.ptr[at] - '0') * place;
      place /= 10;
      at++;
    }
    if (at == first) return -1;
  }
  int64_t offset = 0;
  if (is(text, at, 'Z') || is(text, at, 'z')) {
    at++;
  } else if (is(text, at, '+') || is(text, at, '-')) {
    int hours = digits(text, at + 1, 2), minutes = digits(text, at + 4, 2);
    if (!is(text, at + 3, ':') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return -1;
    offset = (text.ptr[at] == '-' ? -1 : 1) * (hours * 60 + minutes);
    at += 6;
  } else {
    return -1;
  }
  if (at != text.len) return -1;
  int64_t ms = (days_of(year, month, day) * 86400 + (hour * 60 + minute - offset) * 60 + second) * 1000 + millis;
  return ms < 0 ? -1 : ms;
}

sl_str sl_time_text(int64_t ms) {
  if (ms < 0) ms = 0;
  int64_t seconds = ms / 1000, days = seconds / 86400 + 719468, era = days / 146097, of_era = days % 146097;
  int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted = (5 * of_year + 2) / 153;
  int day = (int)(of_year - (153 * shifted + 2) / 5 + 1), month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
  int year = (int)(year_of_era + era * 400 + (month <= 2)), of_day = (int)(seconds % 86400);
  return sl_format("%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60);
}
