/**
 * Text of other users made fit for a message on a terminal.
 */

/** An address or file name fit for a message: quoted if it is not fit as it is; the abstract NUL is shown. */
export function printable(name: string): string {
	if (name.startsWith('\0')) return `\\0${printable(name.slice(1))}`;
	return escaped(name) === name ? name : quoted(name);
}

/** Any value, short and fit for a message, also one that cannot be converted. */
export function show(value: unknown): string {
	if (typeof value === 'string') return quoted(value.slice(0, 40));
	try {
		return escaped(String(value).slice(0, 40));
	} catch {
		return typeof value;
	}
}

/** JSON fit for a terminal: by itself it leaves some of these characters raw. */
export function quoted(value: string | object): string {
	return escaped(JSON.stringify(value));
}

/** A text of another user or of the kernel, fit for a message: on one line, and escaped as in JSON. */
export function escaped(text: string): string {
	// Most texts are ASCII, which is sooner seen than each class of Unicode.
	if (/^[ -~]*$/.test(text)) return text;
	return text.replace(unprintable, character => {
		const json = JSON.stringify(character).slice(1, -1);
		return json.startsWith('\\') ? json : character.split('').map(escapeUnit).join('');
	});
}

/**
 * Controls, with which a text makes a line of its own or gives orders to a terminal; format characters, which cannot be
 * seen and may reverse what stands around them; separators of lines and paragraphs; halves of surrogate pairs.
 */
const unprintable: RegExp = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escapeUnit(unit: string): string {
	return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
