/**
 * Which descriptors this process was started with (`3<file`, a readiness pipe, `<(…)`): a command
 * that it starts is to get them. Node makes them close-on-exec, as its own are, so nothing but what
 * they are tells the ones from the others.
 */
import {constants} from 'node:fs';
import {linkOrUndefined, namesIn, readProc} from '../../kernel/procfs.js';

export interface Inherited {
	/** Descriptors that this process was started with, without the standard ones. */
	readonly open: readonly number[];
	/** The number under which the command is to have the lock. */
	readonly spare: number | undefined;
}

/**
 * To be asked before this process opens anything of its own.
 *
 * The lock takes the number of one of Node's own. Above 9, because the single digits are all that a
 * POSIX shell script can redirect. Below 16, because up to there a Node server makes what it
 * inherits close-on-exec: it has the lock, and its own children do not. And one that is in use
 * here, or libuv might give it to the pipe by which it hears of a failed exec.
 */
export function inheritedDescriptors(): Inherited {
	const descriptors = openDescriptors();
	const own = openedByNode(descriptors);
	const numbers = descriptors.map(({number}) => number).filter(number => number > 2);
	return {
		open: numbers.filter(number => !own.has(number)),
		spare: numbers.filter(number => own.has(number) && number > 9 && number < 16).at(-1),
	};
}

interface Descriptor {
	readonly number: number;
	/** A path, or what has none: `pipe:[4711]`, `anon_inode:[eventpoll]`. */
	readonly target: string;
}

/** None if there is no /proc: a command that lacks some of them is better than none. */
function openDescriptors(): Descriptor[] {
	return namesIn('/proc/self/fd')
		.map(name => ({number: Number(name), target: linkOrUndefined(`/proc/self/fd/${name}`) ?? ''}))
		.filter(({target}) => target !== '') // The one that read the directory is closed.
		.sort((one, other) => one.number - other.number);
}

const epoll = 'anon_inode:[eventpoll]';

/** What Node opens that has no name. An inherited pidfd, or a timer, is none of its. */
const nameless: readonly string[] = [epoll, 'anon_inode:[eventfd]', 'anon_inode:[io_uring]'];

/**
 * Node opens an epoll first, and everything under the lowest number that is free: what is below the
 * first epoll is inherited. Above it are more of these kinds, and pipes of which both ends are in
 * this process, and once each: the first of them blocks, the others do not. /dev/null it opens only
 * in the place of a standard descriptor that was closed.
 */
function openedByNode(descriptors: readonly Descriptor[]): ReadonlySet<number> {
	const first = descriptors.find(({target}) => target === epoll)?.number ?? Number.POSITIVE_INFINITY;
	const own = new Set<number>();
	let hasBlocking = false;
	for (const {number, target} of descriptors.filter(descriptor => descriptor.number >= first)) {
		if (nameless.includes(target)) own.add(number);
		if (!target.startsWith('pipe:')) continue;
		const ends = descriptors.filter(other => other.target === target).map(other => other.number);
		const [reading = 0, writing = 0] = ends.map(flagsOf);
		if (ends.length !== 2 || ends[0] !== number || writing !== reading + constants.O_WRONLY) continue;
		const blocks = (reading & constants.O_NONBLOCK) === 0;
		if (blocks && hasBlocking) continue;
		hasBlocking ||= blocks;
		for (const end of ends) own.add(end);
	}
	return own;
}

/** How it was opened. */
function flagsOf(number: number): number {
	const [, octal = ''] = /^flags:\s*([0-7]+)$/m.exec(readProc(`/proc/self/fdinfo/${number}`) ?? '') ?? [];
	return Number.parseInt(octal, 8);
}
