/**
 * The functions of Bun and Deno that bind a Unix address without a `net.Server`.
 */

/** A server of the runtime. Each of its methods that stops it is called by one of these names. */
interface RuntimeServer {
	readonly finished?: Promise<void>;
	stop?(...parameters: unknown[]): unknown;
	shutdown?(...parameters: unknown[]): unknown;
	close?(...parameters: unknown[]): unknown;
}

const stoppingMethods = ['stop', 'shutdown', 'close'] as const;

/**
 * Binds an address that the program has asked for.
 *
 * @param bind calls the runtime's function. Throws its errors
 * @param caller such as `'Bun.serve'`, for messages
 * @throws an error if the address is taken
 */
type BindLocked = (path: string, bind: () => void, caller: string) => RuntimeServerLock;

export interface RuntimeServerLock {
	/** Stops the server by `stop`, and releases the lock. */
	end(stop: () => void): void;
}

type ServeFunction = (...parameters: unknown[]) => RuntimeServer;

/** Makes `Bun.serve`, `Bun.listen`, `Deno.serve` and `Deno.listen` bind Unix addresses by `bindLocked` from now on. */
export function patchRuntimeServers(bindLocked: BindLocked): void {
	const {Bun: bun, Deno: deno} = globalThis as {readonly Bun?: object; readonly Deno?: object};
	for (const name of ['serve', 'listen']) {
		if (bun !== undefined) patch(bun, name, `Bun.${name}`, ({unix}) => unix, bindLocked);
		if (deno !== undefined) patch(deno, name, `Deno.${name}`, ({path}) => path, bindLocked);
	}
}

function patch(
	runtime: object,
	name: string,
	caller: string,
	addressOf: (options: Readonly<Record<string, unknown>>) => unknown,
	bindLocked: BindLocked,
): void {
	const functions = runtime as Record<string, ServeFunction>;
	const original = functions[name] as ServeFunction;
	functions[name] = (...parameters) => {
		const path = addressOf((parameters[0] ?? {}) as Readonly<Record<string, unknown>>);
		if (typeof path !== 'string' || path === '') return original.apply(runtime, parameters);
		let server!: RuntimeServer;
		const locked = bindLocked(
			path,
			() => {
				server = original.apply(runtime, parameters);
			},
			caller,
		);
		onStop(server, locked);
		return server;
	};
}

/** Ends the lock with the server: by its own methods, or for any other reason that Deno reports. */
function onStop(server: RuntimeServer, locked: RuntimeServerLock): void {
	for (const name of stoppingMethods) {
		const stop = server[name];
		if (stop === undefined) continue;
		const value = (...parameters: unknown[]): unknown => {
			let result: unknown;
			locked.end(() => {
				result = stop.apply(server, parameters);
			});
			return result;
		};
		Object.defineProperty(server, name, {value, configurable: true, writable: true});
	}
	void server.finished?.finally(() => locked.end(() => {}));
}
