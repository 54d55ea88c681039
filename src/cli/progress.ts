/**
 * A line on the terminal about work that takes long.
 */

import {writeSync} from 'node:fs';
import {isatty} from 'node:tty';
import {attempt} from '../model/attempt.js';

/** Shorter work shows nothing. */
const patienceMs = 1000;

/** The interval between two changes of the line. */
const intervalMs = 100;

export class Progress {
	readonly #what: string;
	readonly #began: number = performance.now();
	#shownAt = 0;

	/** @param what is counted, in the plural */
	constructor(what: string) {
		this.#what = what;
	}

	/** Shows how much is done, on standard error if that is a terminal. */
	show(done: number, total: number): void {
		const now = performance.now();
		if (!isatty(2) || now - this.#began < patienceMs || now - this.#shownAt < intervalMs) return;
		this.#shownAt = now;
		write(`\r\x1b[K${done} of ${total} ${this.#what}`);
	}

	/** Removes the line. */
	end(): void {
		if (this.#shownAt > 0) write('\r\x1b[K');
	}
}

function write(text: string): void {
	attempt(() => writeSync(2, text));
}
