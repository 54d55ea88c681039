/**
 * Makes text of other users safe to print: file names, command lines, labels.
 */
import {attempt} from './attempt.js';

/** Returns an address or file name for a message: quoted if it has unprintable characters. Shows the leading NUL. */
export function printable(name: string): string {
	if (name.startsWith('\0')) return `\\0${printable(name.slice(1))}`;
	return escaped(name) === name ? name : quoted(name);
}

/** Returns any value for a message, cut to 40 characters. */
export function show(value: unknown): string {
	if (typeof value === 'string') return quoted(value.slice(0, 40));
	return attempt(() => escaped(String(value).slice(0, 40))) ?? typeof value;
}

/** Returns JSON without the unprintable characters that `JSON.stringify` leaves as they are. */
export function quoted(value: string | object): string {
	return escaped(JSON.stringify(value));
}

/** Escapes unprintable characters as JSON does, so that the text stays on one line. */
export function escaped(text: string): string {
	// The usual case.
	if (/^[ -~]*$/.test(text)) return text;
	return text.replace(unprintable, character => {
		const json = JSON.stringify(character).slice(1, -1);
		return json.startsWith('\\') ? json : character.split('').map(escapeUnit).join('');
	});
}

/**
 * Control characters (line breaks, terminal escapes), format characters (invisible, some reverse the text direction),
 * line and paragraph separators, lone surrogates.
 */
const unprintable: RegExp = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escapeUnit(unit: string): string {
	return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
