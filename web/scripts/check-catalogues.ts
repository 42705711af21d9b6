/** Fails when a text of the interface is missing from a catalogue, untranslated, or no longer in the source. */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";

const files = globSync("apps/*/src/locales/*.po").toSorted();
const read = () => new Map(files.map((file) => [file, withoutDates(readFileSync(file, "utf8"))]));
const withoutDates = (text: string) => text.replace(/^"POT?-[\w-]+-Date:.*$/gm, "");

const before = read();
execFileSync("npx", ["lingui", "extract", "--clean"], { stdio: "pipe" });
const stale = [...read()].filter(([file, text]) => before.get(file) !== text).map(([file]) => file);

const untranslated = [...before].flatMap(([file, text]) =>
  [...text.matchAll(/^msgid ((?:"(?:[^"\\]|\\.)*"\n)+)msgstr ""\n(?!")/gm)]
    .map((match) => match[1]?.trim())
    .filter((id) => id !== undefined && id !== '""')
    .map((id) => `${file}: ${String(id)} has no translation`),
);

const faults = [...stale.map((file) => `${file} was not up to date: run "npm run i18n" and translate`), ...untranslated];
for (const fault of faults) console.error(fault);
process.exit(faults.length > 0 ? 1 : 0);
