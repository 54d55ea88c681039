/**
 * Tests the public types. The compiler runs this file with the other tests: a line under
 * `@ts-expect-error` that compiles is an error.
 */
import type {Server} from 'node:net';
import {
	type AcquireOptions,
	acquire,
	type BindLock,
	BindLockError,
	type BindLockErrorCode,
	type Holder,
	type Inspection,
	inspect,
	type ListenOptions,
	listen,
	type ServerLock,
} from '../../src/index.js';

/** Whether type `One` is assignable to type `Other`. */
type Extends<One, Other> = One extends Other ? true : false;

/** Exactly the same type, not only assignable. */
type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;

/** Compiles only for `true`. */
function holds<_ extends true>(): void {}

export function results(): void {
	holds<Same<ReturnType<typeof acquire>, Promise<BindLock>>>();
	holds<Same<ReturnType<typeof listen>, Promise<ServerLock>>>();
	holds<Same<ReturnType<typeof inspect>, Promise<Inspection>>>();
	holds<Same<BindLock['lockPath'], string | undefined>>();
	holds<Same<BindLock['lostSignal'], AbortSignal>>();
	holds<Same<Inspection['state'], 'free' | 'stale' | 'held' | 'foreign' | 'blocked'>>();
	holds<Same<Holder['since'], Date | undefined>>();
	holds<Same<Holder['verified'], boolean>>();
	holds<Same<BindLockError['code'], BindLockErrorCode>>();
	// @ts-expect-error unknown code
	holds<Extends<'EADDRINUSED', BindLockErrorCode>>();
	holds<Extends<'EADDRINUSE' | 'ERR_LOCK_LOST', BindLockErrorCode>>();
	holds<Same<BindLockError['name'], 'BindLockError'>>();
}

export async function disposing(): Promise<void> {
	await using lock = await acquire('/run/app.sock');
	holds<Same<typeof lock, BindLock>>();
	// @ts-expect-error the release is asynchronous
	using wrong = await acquire('/run/app.sock');
	void wrong;
}

export async function options(server: Server, signal: AbortSignal): Promise<void> {
	const all: Required<ListenOptions> = {
		waitMs: Number.POSITIVE_INFINITY,
		onWait: holder => holds<Same<typeof holder, Holder | undefined>>(),
		replace: {killSignal: 'SIGTERM', timeoutMs: 1, escalate: true},
		signal,
		label: 'blue',
		backend: 'lease',
		removeLockFile: true,
		lockFileMode: 0o600,
		reclaimForeign: true,
		exclusive: true,
		backlog: 1,
		readableAll: true,
		writableAll: true,
		socketMode: 0o660,
		heal: false,
		drainMs: Number.POSITIVE_INFINITY,
	};
	await listen(server, '/run/app.sock', all);
	// An option may be undefined, also with exactOptionalPropertyTypes.
	const some: AcquireOptions = {waitMs: undefined, onWait: undefined, replace: undefined, signal: undefined};
	await acquire('/run/app.sock', some);
	// @ts-expect-error an option of listen only
	await acquire('/run/app.sock', {heal: true});
	// @ts-expect-error misspelled
	await acquire('/run/app.sock', {waitMS: 1});
	// @ts-expect-error milliseconds are a number
	await acquire('/run/app.sock', {waitMs: '1s'});
	// @ts-expect-error not the name of a signal
	await acquire('/run/app.sock', {replace: {killSignal: 'TERM'}});
	// @ts-expect-error not a backend
	await acquire('/run/app.sock', {backend: 'pid'});
	// @ts-expect-error the server is missing
	await listen('/run/app.sock');
	// @ts-expect-error this function has no options
	await inspect('/run/app.sock', {});
}

export function readonlyMembers(lock: BindLock, given: AcquireOptions, holder: Holder): void {
	// @ts-expect-error read-only, changed by release()
	lock.held = false;
	// @ts-expect-error read-only option
	given.waitMs = 1;
	// @ts-expect-error read-only field
	holder.pid = 1;
}

export function errors(thrown: unknown): void {
	if (!(thrown instanceof BindLockError)) return;
	holds<Same<typeof thrown.holder, Holder | undefined>>();
	holds<Same<typeof thrown.errno, number | undefined>>();
	const asNodes: NodeJS.ErrnoException = thrown;
	void asNodes;
}
