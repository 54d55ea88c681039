/**
 * Keys that identify states.
 */
import type {Descriptor, Inode} from './kernel.js';
import {lockPath, path, paths} from './programs.js';
import type {Scenario, State} from './state.js';

/** Returns a text that is equal for states with equal futures. Processes with the same program are interchangeable. */
export function keyOf({scenario, kernel, locals, budget}: State): string {
	const shared = chars(kernel.names) + kernel.inodes.map(inodeKey).join('');
	const mayBeExcused = scenario.promise !== 'all';
	const own = locals.map(({place, looked, changed, misbound, refused, closing, fell}, pid) => {
		const {descriptors, dying, parent, mail} = kernel.process(pid);
		const excuses = (changed ? 1 : 0) + (misbound ? 2 : 0) + (refused ? 16 : 0);
		const flags = (mayBeExcused ? excuses : 0) + (closing ? 4 : 0) + (dying ? 8 : 0) + lookedAt(looked) * 32;
		// The kernel closes the descriptors of a dead process in any order, so their numbers are irrelevant.
		const open = dying ? descriptors.filter(Boolean).map(descriptorKey).sort() : descriptors.map(descriptorKey);
		const generation = scenario.handOver && `${fell}${parent}${JSON.stringify(mail)}`;
		return `${chars([place.id >> 15, place.id & 0x7fff, flags])}${open.join('')}${generation ?? ''}~`;
	});
	for (const [first, last] of alike(scenario)) {
		if (own[first] !== undefined) own.splice(first, last - first, ...own.slice(first, last).sort());
	}
	return `${budget.crashes}${budget.errors}${shared}~${own.join('')}`;
}

/** Returns the kernel's part of the key. */
export function kernelKeyOf({kernel}: State): string {
	const open = kernel.processes.map(({descriptors}) => descriptors.map(descriptorKey).join('')).sort();
	return `${chars(kernel.names)}${kernel.inodes.map(inodeKey).join('')}~${open.join('~')}`;
}

function lookedAt(looked: string): number {
	return looked === '' ? 0 : looked === path ? 1 : looked === lockPath ? 2 : 3 + paths.indexOf(looked);
}

/** Returns the ranges of processes with the same program, as [first, end). */
function alike(scenario: Scenario): readonly (readonly [number, number])[] {
	let runs = alikeOf.get(scenario);
	if (runs === undefined) {
		const found: [number, number][] = [];
		for (const [pid, program] of scenario.programs.entries()) {
			const last = found.at(-1);
			if (last !== undefined && program.name === scenario.programs[pid - 1]?.name) last[1] = pid + 1;
			else found.push([pid, pid + 1]);
		}
		runs = found.filter(([first, end]) => end - first > 1);
		alikeOf.set(scenario, runs);
	}
	return runs;
}

const alikeOf = new WeakMap<Scenario, readonly (readonly [number, number])[]>();

function chars(numbers: readonly number[]): string {
	return String.fromCharCode(...numbers.map(number => number + 48));
}

function inodeKey(inode: Inode | undefined): string {
	return inode === undefined ? '.' : `${inode.type[0]}${inode.nlink}${inode.precious ? '!' : ''}${inode.content}`;
}

function descriptorKey(descriptor: Descriptor | undefined): string {
	if (descriptor === undefined) return '.';
	const shared = descriptor.description === undefined ? '' : `#${descriptor.description}`;
	if (descriptor.kind === 'file') return `f${descriptor.ino}${descriptor.pin ? 'p' : descriptor.lock[0]}${shared}`;
	const where = descriptor.ino === 0 ? descriptor.path : descriptor.ino;
	return `s${where}${descriptor.listening ? 'l' : 'b'}${descriptor.full ? 'f' : ''}${shared}`;
}
