/**
 * What the types promise, and what they refuse: the compiler runs this "test" whenever the tests are
 * compiled. A line under `@ts-expect-error` that compiles is an error.
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

/** Whether a value of the one type can be used for the other. */
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
	// @ts-expect-error there is no such code
	holds<Extends<'EADDRINUSED', BindLockErrorCode>>();
	holds<Extends<'EADDRINUSE' | 'ERR_LOCK_LOST', BindLockErrorCode>>();
	holds<Same<BindLockError['name'], 'BindLockError'>>();
}

export async function disposing(): Promise<void> {
	await using lock = await acquire('/run/app.sock');
	holds<Same<typeof lock, BindLock>>();
	// @ts-expect-error it is given back asynchronously
	using wrong = await acquire('/run/app.sock');
	void wrong;
}

export async function options(server: Server, signal: AbortSignal): Promise<void> {
	const all: ListenOptions = {
		waitMs: Number.POSITIVE_INFINITY,
		onWait: holder => holds<Same<typeof holder, Holder | undefined>>(),
		replace: {killSignal: 'SIGTERM', timeoutMs: 1, escalate: true},
		signal,
		label: 'blue',
		backend: 'lease',
		removeLockFile: true,
		lockFileMode: 0o600,
		reclaimForeign: true,
		backlog: 1,
		readableAll: true,
		writableAll: true,
		socketMode: 0o660,
		heal: false,
		drainMs: Number.POSITIVE_INFINITY,
	};
	await listen(server, '/run/app.sock', all);
	// A value that may be undefined is as good as none, also with exactOptionalPropertyTypes.
	const some: AcquireOptions = {waitMs: undefined, onWait: undefined, replace: undefined, signal: undefined};
	await acquire('/run/app.sock', some);
	// @ts-expect-error an option of listen alone
	await acquire('/run/app.sock', {heal: true});
	// @ts-expect-error misspelled
	await acquire('/run/app.sock', {waitMS: 1});
	// @ts-expect-error milliseconds are a number
	await acquire('/run/app.sock', {waitMs: '1s'});
	// @ts-expect-error not a signal
	await acquire('/run/app.sock', {replace: {killSignal: 'TERM'}});
	// @ts-expect-error there are two
	await acquire('/run/app.sock', {backend: 'pid'});
	// @ts-expect-error a server comes first
	await listen('/run/app.sock');
	// @ts-expect-error it takes no options
	await inspect('/run/app.sock', {});
}

export function readonlyMembers(lock: BindLock, given: AcquireOptions, holder: Holder): void {
	// @ts-expect-error only release() changes it
	lock.held = false;
	// @ts-expect-error options are not changed after they were given
	given.waitMs = 1;
	// @ts-expect-error a report, not a handle
	holder.pid = 1;
}

export function errors(thrown: unknown): void {
	if (!(thrown instanceof BindLockError)) return;
	holds<Same<typeof thrown.holder, Holder | undefined>>();
	holds<Same<typeof thrown.errno, number | undefined>>();
	const asNodes: NodeJS.ErrnoException = thrown;
	void asNodes;
}
