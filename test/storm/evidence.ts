/**
 * What a storm has seen, and whether it can be true: the detectors. They know nothing of each other.
 */
import {hasFlock} from '../helpers/detectors.js';

/** From the moment that a process said it has the address, to the moment that it let it go or was killed. */
export interface Tenure {
	readonly pid: number;
	readonly began: number;
	readonly from: number;
	/** Until when it certainly had the address: when it was told, or killed, to end that. */
	sure: number;
	to: number;
	freed: number;
}

/** The first detector: what the processes say. */
export class Tenures {
	readonly #all: Tenure[] = [];
	readonly #report: (what: string) => void;
	readonly #exclusive: boolean;

	/** @param exclusive `false` where somebody deletes lock files: there the lock itself can be two */
	constructor(report: (what: string) => void, exclusive = true) {
		this.#report = report;
		this.#exclusive = exclusive;
	}

	start(pid: number, began: number, from: number): Tenure {
		const open = Number.POSITIVE_INFINITY;
		const tenure = {pid, began, from, sure: open, to: open, freed: open};
		this.#all.push(tenure);
		if (this.#all.length > 500) this.#all.shift();
		return tenure;
	}

	/**
	 * Looks for one that overlaps, among those whose end is known too: one that has ended, and has not
	 * been heard of yet, is compared when it is.
	 */
	end(tenure: Tenure, to: number, freed: number): void {
		tenure.sure = Math.min(tenure.sure, to);
		tenure.to = to;
		tenure.freed = freed;
		if (!this.#exclusive) return;
		for (const other of this.#all) {
			if (other === tenure || other.to === Number.POSITIVE_INFINITY) continue;
			if (other.from >= tenure.to || tenure.from >= other.to) continue;
			this.#report(`two had the address at once: ${JSON.stringify([tenure, other])}`);
		}
	}

	/** The second detector, one half: whoever had the address during the whole look had the lock, says the kernel. */
	checkLocked(locked: readonly number[], from: number, to: number): void {
		for (const each of this.#all) {
			if (each.from >= from || each.sure <= to || locked.includes(each.pid)) continue;
			this.#report(
				`${each.pid} had the address and not the lock, which ${locked.join() || 'nobody'} had: ${JSON.stringify(each)}`,
			);
		}
	}

	/** The other half: whom a client reached was serving while it asked. */
	check(pid: number, asked: number, answered: number): void {
		const serves = this.#all.some(each => each.pid === pid && each.began <= answered && each.freed >= asked);
		if (!serves) this.#report(`a client was answered by ${pid}, which does not have the address`);
	}
}

/** Which of them have an exclusive flock of the file that is at this path: nobody has, if it or the process is gone. */
export function lockHolders(lockPath: string, pids: readonly number[]): number[] {
	return pids.filter(pid => {
		try {
			return hasFlock(lockPath, pid);
		} catch {
			return false;
		}
	});
}

/**
 * Something that is wrong only if it stays so: /proc is not read at one moment, and a killed process
 * takes a while to go.
 */
export class Persistent {
	readonly #limit: number;
	#last = '';
	#times = 0;

	constructor(limit: number) {
		this.#limit = limit;
	}

	/** @returns whether this has been seen so often in a row */
	seen(what: string | undefined): boolean {
		this.#times = what !== undefined && what === this.#last ? this.#times + 1 : 0;
		this.#last = what ?? '';
		return what !== undefined && this.#times === this.#limit;
	}
}
