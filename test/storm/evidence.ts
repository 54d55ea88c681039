/**
 * The detectors of a storm. They record events and report contradictions, independently of each other.
 */
import {hasFlock} from '../helpers/detectors.js';

/** The time from a process reporting that it has the address until its release or its death. */
export interface Tenure {
	readonly pid: number;
	readonly began: number;
	readonly from: number;
	/** The end of the time in which it certainly had the address: the command to release it, or the kill. */
	sure: number;
	to: number;
	freed: number;
}

/** The first detector: the reports of the processes. */
export class Tenures {
	readonly #all: Tenure[] = [];
	readonly #report: (what: string) => void;
	readonly #exclusive: boolean;

	/** @param exclusive `false` if an outsider deletes lock files, because two processes can then hold a lock */
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
	 * Compares the tenure with all tenures whose end is known. A tenure that has ended but is not yet reported is
	 * compared when its end is reported.
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

	/** The second detector: a process that had the address during the whole check must have held the lock. */
	checkLocked(locked: readonly number[], from: number, to: number): void {
		for (const each of this.#all) {
			if (each.from >= from || each.sure <= to || locked.includes(each.pid)) continue;
			this.#report(
				`${each.pid} had the address and not the lock, which ${locked.join() || 'nobody'} had: ${JSON.stringify(each)}`,
			);
		}
	}

	/** The second detector: a process that answered a client must have been serving then. */
	check(pid: number, asked: number, answered: number): void {
		const serves = this.#all.some(each => each.pid === pid && each.began <= answered && each.freed >= asked);
		if (!serves) this.#report(`a client was answered by ${pid}, which does not have the address`);
	}
}

/** Returns the processes with an exclusive flock on the file at this path. Missing files and processes have none. */
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
 * Filters transient contradictions: /proc is not read atomically, and a killed process takes some time to end.
 */
export class Persistent {
	readonly #limit: number;
	#last = '';
	#times = 0;

	constructor(limit: number) {
		this.#limit = limit;
	}

	/** @returns whether this was observed the required number of times in a row */
	seen(what: string | undefined): boolean {
		this.#times = what !== undefined && what === this.#last ? this.#times + 1 : 0;
		this.#last = what ?? '';
		return what !== undefined && this.#times === this.#limit;
	}
}
