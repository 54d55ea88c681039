/**
 * A few competing processes, which are replaced after they are killed.
 */
import {type Context, sleep} from '../harness/context.js';
import type {WayName} from '../harness/ways.js';
import {Contender, surely, within} from './contender.js';

export class Contenders {
	readonly #context: Context;
	readonly #all: Contender[];
	#spare: Promise<Contender>;

	private constructor(context: Context, all: Contender[]) {
		this.#context = context;
		this.#all = all;
		this.#spare = Contender.start(context);
	}

	static async start(context: Context, count: number): Promise<Contenders> {
		return new Contenders(context, await Promise.all(Array.from({length: count}, () => Contender.start(context))));
	}

	/** Starts all processes at the same moment. Returns when each has reported its outcome, or is late. */
	async tryTogether(way: WayName, address: string): Promise<void> {
		const at = Date.now() + 5;
		for (const one of this.#all) one.order({do: 'try', way, address, at});
		const answers = this.#all.map(one => Promise.race([one.said('serving', address), one.said('refused', address)]));
		await within(2000, Promise.all(answers));
	}

	/** Lets the first process serve, and the others try to. */
	async serveAndBesiege(way: WayName, address: string): Promise<void> {
		const [first, ...others] = this.#all as [Contender, ...Contender[]];
		first.order({do: 'persist', way, address});
		await surely(first.said('serving', address), `${way} serves`);
		for (const one of others) one.order({do: 'persist', way, address});
		await sleep(30);
	}

	async killFirst(): Promise<void> {
		await this.#all[0]?.kill();
		this.#all[0] = await this.#spare;
		this.#spare = Contender.start(this.#context);
	}

	async stopFirst(way: WayName, address: string): Promise<void> {
		const [first] = this.#all as [Contender];
		first.order({do: 'stop', way, address});
		await surely(first.said('stopped', address), `${way} stops`);
	}

	/** Waits until another process than the first serves, and a moment longer, so that a second one can appear. */
	async anotherServes(address: string, milliseconds: number): Promise<void> {
		await within(milliseconds, Promise.race(this.#all.slice(1).map(one => one.said('serving', address))));
		await sleep(20);
	}

	async stopAll(way: WayName, address: string): Promise<void> {
		for (const one of this.#all) one.order({do: 'stop', way, address});
		await surely(Promise.all(this.#all.map(one => one.said('stopped', address))), `all of ${way} stop`);
	}

	async end(): Promise<void> {
		await Promise.all([...this.#all, await this.#spare].map(one => one.kill()));
	}
}
