/**
 * Random choices that a seed repeats: each process of a storm has its own, so that what it chooses
 * does not depend on how fast the others are.
 */

/** mulberry32: small, and good enough to choose from a few. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	/** From 0, less than 1. */
	next(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}

	upTo(most: number): number {
		return Math.floor(this.next() * (most + 1));
	}

	chance(probability: number): boolean {
		return this.next() < probability;
	}

	pick<Value>(values: readonly Value[]): Value {
		return values[this.upTo(values.length - 1)] as Value;
	}
}
