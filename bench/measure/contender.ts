/**
 * One competing process, as the benchmark sees it: the commands that it gets, and its latest reports for each address.
 */
import type {Program} from '../../test/helpers/programs.js';
import {type Context, sleep} from '../harness/context.js';
import type {Order} from '../programs/contender.js';

interface Expectation {
	readonly key: string;
	readonly met: () => void;
}

export class Contender {
	readonly #program: Program;
	readonly #heard: Set<string> = new Set();
	#expectations: Expectation[] = [];

	private constructor(program: Program) {
		this.#program = program;
	}

	static async start(context: Context): Promise<Contender> {
		const program = context.start('contender', []);
		await program.expect('ready');
		const contender = new Contender(program);
		void contender.#listen();
		return contender;
	}

	async #listen(): Promise<void> {
		let ended = false;
		void this.#program.exited.then(() => {
			ended = true;
		});
		while (!ended) {
			// Silence is no failure here, nor is the end of a killed process.
			const said = await this.#program.next().catch(() => undefined);
			if (said === undefined) {
				await sleep(1);
				continue;
			}
			const key = `${said.event} ${said['address']}`;
			this.#heard.add(key);
			for (const expectation of this.#expectations.filter(one => one.key === key)) expectation.met();
			this.#expectations = this.#expectations.filter(one => one.key !== key);
		}
	}

	order(what: Order): void {
		this.#program.send(JSON.stringify(what));
	}

	/** Waits until the process has reported this event for the address. */
	said(event: 'serving' | 'refused' | 'stopped', address: string): Promise<void> {
		const key = `${event} ${address}`;
		if (this.#heard.has(key)) return Promise.resolve();
		return new Promise(resolve => this.#expectations.push({key, met: resolve}));
	}

	signal(signal: NodeJS.Signals): void {
		this.#program.signal(signal);
	}

	async kill(): Promise<void> {
		await this.#program.kill();
	}
}

/** @returns whether the report came in time */
export function within(milliseconds: number, what: Promise<unknown>): Promise<boolean> {
	return Promise.race([what.then(() => true), sleep(milliseconds).then(() => false)]);
}

/** For reports that must come: without them the results would be wrong. */
export async function surely(what: Promise<unknown>, description: string): Promise<void> {
	if (!(await within(20_000, what))) throw new Error(`never came: ${description}`);
}
