/** Dates and numbers as the chosen language writes them. */
import { i18n } from "@lingui/core";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

export function formatNumber(value: number, options?: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(i18n.locale, options).format(value);
}

/** `share` is 0–1. */
export function formatPercent(share: number): string {
  return formatNumber(share, { style: "percent", maximumFractionDigits: 0 });
}

export function formatDateTime(time: string): string {
  return new Intl.DateTimeFormat(i18n.locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
}

export function formatTime(time: string): string {
  return new Intl.DateTimeFormat(i18n.locale, { timeStyle: "medium" }).format(new Date(time));
}

export function formatRelative(time: string, now = Date.now()): string {
  const seconds = (new Date(time).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  const words = new Intl.RelativeTimeFormat(i18n.locale, { numeric: "auto" });
  if (size < MINUTE) return words.format(Math.round(Math.min(0, seconds) / 10) * 10, "second");
  if (size < HOUR) return words.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return words.format(Math.round(seconds / HOUR), "hour");
  if (size < 7 * DAY) return words.format(Math.round(seconds / DAY), "day");
  return new Intl.DateTimeFormat(i18n.locale, { dateStyle: "medium" }).format(new Date(time));
}

/** Seconds as `340 ms`, `2.4 s`, `3 min`. */
export function formatDuration(seconds: number): string {
  const unit = (value: number, name: string, digits: number) =>
    formatNumber(value, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: digits });
  if (seconds < 1) return unit(seconds * 1000, "millisecond", 0);
  if (seconds < MINUTE) return unit(seconds, "second", 1);
  if (seconds < HOUR) return unit(seconds / MINUTE, "minute", 0);
  return unit(seconds / HOUR, "hour", 1);
}
