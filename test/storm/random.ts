/**
 * Reproducible random choices. Each process of a storm has its own generator, so its choices do not depend on the
 * speed of the others.
 */

/** The generator mulberry32. Its quality is sufficient to choose from short lists. */
export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	/** Returns a number in [0, 1). */
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
