/**
 * A protocol is a generator that yields system calls as data. {@link run} makes them on the real kernel. The simulation
 * makes the same calls on a simulated kernel, interleaves those of several processes, and lets a process crash before
 * any of them.
 */
import type {System} from './system.js';

/** A system call that a protocol yields. */
type Call = {
	[Name in keyof System]: {readonly name: Name; readonly parameters: Readonly<Parameters<System[Name]>>};
}[keyof System];

/** A generator that yields calls and receives their results; their errors are thrown into it. */
export type Protocol<Result> = Generator<Call, Result, unknown>;

/** One step of a protocol: `const status = yield* call('lstat', path)`. */
export function* call<Name extends keyof System>(
	name: Name,
	...parameters: Parameters<System[Name]>
): Protocol<Awaited<ReturnType<System[Name]>>> {
	return (yield {name, parameters} as Call) as Awaited<ReturnType<System[Name]>>;
}

/**
 * Runs a protocol on a system. Synchronous unless a call returns a promise.
 *
 * @throws what the protocol throws; after a call that returned a promise, rejects with it
 */
export function run<Result>(protocol: Protocol<Result>, system: System): Result | Promise<Result> {
	return resume(protocol, system, protocol.next());
}

/** Runs a protocol none of whose calls returns a promise. */
export function runSync<Result>(protocol: Protocol<Result>, system: System): Result {
	const result = run(protocol, system);
	if (result instanceof Promise) throw new TypeError('a call of this protocol is asynchronous');
	return result;
}

function resume<Result>(
	protocol: Protocol<Result>,
	system: System,
	step: IteratorResult<Call, Result>,
): Result | Promise<Result> {
	while (!step.done) {
		let outcome: unknown;
		try {
			const {name, parameters} = step.value;
			outcome = (system as unknown as Methods)[name](...parameters);
		} catch (error) {
			step = protocol.throw(error);
			continue;
		}
		if (outcome instanceof Promise) {
			return outcome.then(
				value => resume(protocol, system, protocol.next(value)),
				error => resume(protocol, system, protocol.throw(error)),
			);
		}
		step = protocol.next(outcome);
	}
	return step.value;
}

type Methods = Readonly<Record<keyof System, (...parameters: readonly unknown[]) => unknown>>;
