/**
 * The invariants, checked before each call of a bindlock process and in each new state.
 */

import {runSync} from '../../src/model/driver.js';
import {codeOf} from '../../src/model/errors.js';
import {takeAbstract} from '../../src/protocol/abstract.js';
import {takePathname} from '../../src/protocol/pathname.js';
import {type Kernel, type Socket, Violation} from './kernel.js';
import type {Place} from './process.js';
import {abstractAddress, address, claim, lockPath, path} from './programs.js';
import type {Local, State} from './state.js';
import {exact, padded, SimulatedSystem} from './system.js';

/** The known races, which no system call can close. */
export const windows = {
	lookToUnlink: 'between our look at the path and our unlink of it, somebody who takes no lock put a socket there',
	bindToLook: 'between our bind and our look at what it made, somebody who takes no lock put a socket there',
	elsewhere: 'on a mount without access times, a server in another network namespace was bound and did not listen yet',
} as const;

/** @returns the window in which the next call removes an entry of another process, if it does */
export function inspectStep({scenario, kernel, locals}: State, pid: number): string | undefined {
	const local = locals[pid] as Local;
	const {call} = local.place;
	// The windows need a process that ignores the lock.
	const excused = scenario.promise !== 'all';
	switch (call?.name) {
		case 'unlink':
		case 'unlinkAsLibuv':
			return inspectUnlink(kernel, pid, local, call.parameters[0], excused);
		case 'rename':
			return inspectUnlink(kernel, pid, local, call.parameters[1], excused);
		case 'write':
		case 'truncate':
			inspectWrite(kernel, pid, call.parameters[0]);
			return undefined;
		case 'kill':
			inspectKill(locals, pid, call.parameters[0]);
			return undefined;
		default:
			return undefined;
	}
}

function inspectUnlink(
	kernel: Kernel,
	pid: number,
	local: Local,
	victim: string,
	mayBeExcused: boolean,
): string | undefined {
	const ino = kernel.entry(victim);
	if (ino === 0) return undefined;
	if (kernel.inode(ino).precious) throw new Violation(`removes ${victim}, which is somebody's file`);
	const excused = mayBeExcused && local.looked === victim && local.changed;
	if (victim === lockPath) {
		if (hasLock(kernel, pid, ino)) return undefined;
		if (excused) return windows.lookToUnlink;
		throw new Violation('unlinks a lock file without having its lock');
	}
	const servers = kernel.boundSockets(ino);
	const server = servers.find(each => !kernel.process(each.pid).dying);
	if (server === undefined || servers.some(each => each.pid === pid)) return undefined;
	// The socket has a second name and will be restored; or it was restored just now, and its owner has unlinked it since.
	if (kernel.inode(ino).nlink > 1 || (victim !== path && local.looked === victim)) return undefined;
	if (excused) return windows.lookToUnlink;
	if (mayBeExcused && local.misbound) return windows.bindToLook;
	if (mayBeExcused && local.refused && !kernel.notesAccess) return windows.elsewhere;
	throw new Violation(`unlinks ${victim}, to which ${name(server.pid)} is bound`);
}

function inspectWrite(kernel: Kernel, pid: number, descriptor: number): void {
	const {ino} = kernel.descriptor(pid, descriptor);
	if (kernel.inode(ino).precious) throw new Violation("changes somebody's file");
	if (!hasLock(kernel, pid, ino)) throw new Violation('changes a lock file without having its lock');
}

/** Checks that a predecessor does not kill the process that serves. */
function inspectKill(locals: readonly Local[], pid: number, child: number): void {
	if (!locals[child]?.place.phase?.accepts) return;
	throw new Violation(`${name(pid)} kills ${name(child)}, which has accepted connections`);
}

function hasLock(kernel: Kernel, pid: number, ino: number): boolean {
	return kernel
		.process(pid)
		.descriptors.some(each => each?.kind === 'file' && each.ino === ino && each.lock === 'exclusive');
}

/** @param from the place of the process before the step */
export function inspectState(state: State, pid: number, from: Place): void {
	const {scenario, kernel, locals} = state;
	const own = [...locals.keys()].filter(each => scenario.programs[each]?.ours && !kernel.process(each).dying);
	if (own.includes(pid)) inspectEnd(kernel, pid, locals[pid] as Local, from);
	if (scenario.promise === 'bound') return;
	const holders = own.filter(each => locals[each]?.place.phase?.holds);
	if (holders.length > 1) throw new Violation(`${holders.map(name).join(' and ')} both have the address`);
	if (holders.includes(pid) && !from.phase?.holds) inspectTaken(state, pid);
	const bound = own.filter(each => serverOf(kernel, each) !== undefined);
	const accepting = bound.filter(each => locals[each]?.place.phase?.accepts);
	if (accepting.length > 1) throw new Violation(`${accepting.map(name).join(' and ')} both accept connections`);
	if (bound.length > 1 && !isOneSocket(kernel, bound)) {
		throw new Violation(`${bound.map(name).join(' and ')} are both bound`);
	}
	if (scenario.promise === 'lock' || scenario.kind === 'abstract') return;
	const unlocked = accepting.find(each => !hasLock(kernel, each, kernel.entry(lockPath)));
	if (unlocked !== undefined) throw new Violation(`${name(unlocked)} accepts connections without the lock`);
	for (const each of bound) {
		if (!locals[each]?.closing && serverOf(kernel, each)?.ino !== kernel.entry(path)) {
			throw new Violation(`${name(each)} serves, and the path does not lead to it`);
		}
	}
}

/** Returns the socket of the server. The socket of an abstract lock does not count. */
function serverOf(kernel: Kernel, pid: number): Socket | undefined {
	const found = kernel
		.process(pid)
		.descriptors.find(open => open?.kind === 'socket' && !open.path.startsWith(exact(abstractAddress.lockName)));
	return found as Socket | undefined;
}

/** Whether these processes share one socket. */
function isOneSocket(kernel: Kernel, bound: readonly number[]): boolean {
	const [first, ...others] = bound.map(each => serverOf(kernel, each)?.description);
	return first !== undefined && others.every(other => other === first);
}

/** Checks that no process is bound to either spelling of an abstract name when it is taken. */
function inspectTaken({scenario, kernel}: State, pid: number): void {
	if (scenario.kind !== 'abstract') return;
	const {name: taken} = abstractAddress;
	if (kernel.boundAbstract(pid, [exact(taken), padded(taken)]) === undefined) return;
	throw new Violation(`${name(pid)} takes a name that somebody is bound to`);
}

/** Checks that a process owns nothing after it has finished or failed to take the address. */
function inspectEnd(kernel: Kernel, pid: number, {place}: Local, from: Place): void {
	if (place.crashed !== undefined) throw new Violation(`${name(pid)} ended by ${String(place.crashed)}`);
	if (place.phase === from.phase || (place.phase !== undefined && !place.phase.name.includes(': take'))) return;
	const {descriptors} = kernel.process(pid);
	if (descriptors.length > 0) throw new Violation(`${name(pid)} has finished, and owns ${JSON.stringify(descriptors)}`);
}

/** Checks that a newcomer gets the address in a final state, unless a live process has it. */
export function inspectRest({scenario, kernel: rest, locals, budget}: State): void {
	const kernel = rest.copy();
	const system = new SimulatedSystem(kernel, locals.length);
	const isAbstract = scenario.kind === 'abstract';
	if (scenario.promise === 'all') inspectWaiters(rest, locals);
	if (scenario.handOver !== undefined) inspectService(scenario.handOver, rest, locals);
	const taken = isAbstract ? kernel.allDescriptors().length > 0 : isTaken(kernel, locals.length);
	const expected = scenario.refused ?? (taken ? 'EADDRINUSE' : 'taken');
	let outcome = 'taken';
	try {
		runSync<unknown>(isAbstract ? takeAbstract(abstractAddress, claim) : takePathname(address, claim), system);
	} catch (error) {
		outcome = codeOf(error);
	}
	if (outcome !== expected) throw new Violation(`in the end, a newcomer gets ${outcome} and not ${expected}`);
	if (outcome === 'taken' && kernel.entry(path) !== 0) throw new Violation('in the end, a newcomer finds a file');
	const onlyOurs = scenario.programs.every(program => program.ours);
	const nothingWrong = budget.errors === scenario.budget.errors && !rest.processes.some(each => each.dying);
	if (onlyOurs && nothingWrong && !taken) inspectDebris(rest);
}

function isTaken(kernel: Kernel, newcomer: number): boolean {
	const there = kernel.entry(path);
	const isBound = kernel.boundSocket(there) !== undefined || kernel.bound(newcomer, path, there) !== undefined;
	return kernel.contention(kernel.entry(lockPath)).kind === 'exclusive' || (there !== 0 && isBound);
}

/** Checks that a hand-over has come to its end, and that it has not ended the service. */
function inspectService(handOver: 'stays' | 'stops', kernel: Kernel, locals: readonly Local[]): void {
	for (const [pid, {place}] of locals.entries()) {
		if (['receive', 'awaitExit'].includes(place.call?.name ?? '')) {
			throw new Violation(`${name(pid)} waits in a hand-over for ever`);
		}
	}
	if (locals.some((local, pid) => local.place.phase?.accepts && serverOf(kernel, pid) !== undefined)) return;
	const holder = kernel.locker(kernel.entry(lockPath), 'exclusive');
	if (holder !== undefined) throw new Violation(`${name(holder)} has the lock, and nobody accepts connections`);
	if (handOver === 'stays' && !locals.some(({fell}) => fell)) {
		throw new Violation('nobody accepts connections, although nothing has happened to a server');
	}
}

/** Checks that each waiter waits for the current lock file, not for an orphaned inode. */
function inspectWaiters(kernel: Kernel, locals: readonly Local[]): void {
	for (const [pid, {place}] of locals.entries()) {
		if (place.call?.name !== 'awaitFlock') continue;
		const {ino} = kernel.descriptor(pid, place.call.parameters[0]);
		if (ino !== kernel.entry(lockPath)) throw new Violation(`${name(pid)} waits for a lock file that was removed`);
	}
}

/** Checks that a run without crashes and errors leaves nothing but an empty lock file. */
function inspectDebris(kernel: Kernel): void {
	for (const place of kernel.paths) {
		const ino = kernel.entry(place);
		if (ino === 0 || kernel.inode(ino).precious) continue;
		if (place !== lockPath || kernel.inode(ino).content !== '') throw new Violation(`in the end, ${place} is left`);
	}
}

export function name(pid: number): string {
	return String.fromCharCode(65 + pid);
}
