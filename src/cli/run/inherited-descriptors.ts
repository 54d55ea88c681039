/**
 * Finds the descriptors that this process inherited (`3<file`, a readiness pipe, `<(…)`), which the
 * command must inherit too. Node sets close-on-exec on all descriptors, so its own ones can only be
 * recognized by what they refer to.
 */
import {constants} from 'node:fs';
import {linkOrUndefined, namesIn, readProc} from '../../kernel/proc/procfs.js';

export interface InheritedDescriptors {
	/** Without the standard descriptors. */
	readonly open: readonly number[];
	/** Numbers for the descriptors of locks in the command, the best first. */
	readonly spares: readonly number[];
}

/**
 * Returns the inherited descriptors. Must be called before this process opens descriptors of its own.
 *
 * The spare numbers are those of descriptors of Node. They are above 9, because a POSIX shell script can
 * redirect single digits only. They are below 16, because a Node server sets close-on-exec on inherited
 * descriptors up to 15, so that the server has the lock and its children do not. They are in use in
 * this process, because libuv may give an unused number to the pipe that reports a failed exec.
 */
export function inheritedDescriptors(): InheritedDescriptors {
	const descriptors = openDescriptors();
	const own = openedByNode(descriptors);
	const numbers = descriptors.map(({number}) => number).filter(number => number > 2);
	return {
		open: numbers.filter(number => !own.has(number)),
		spares: numbers.filter(number => own.has(number) && number > 9 && number < 16).reverse(),
	};
}

interface Descriptor {
	readonly number: number;
	/** A path, or for example `pipe:[4711]` or `anon_inode:[eventpoll]`. */
	readonly target: string;
}

/** Returns none without /proc: the command then runs without inherited descriptors. */
function openDescriptors(): Descriptor[] {
	return namesIn('/proc/self/fd')
		.map(name => ({number: Number(name), target: linkOrUndefined(`/proc/self/fd/${name}`) ?? ''}))
		.filter(({target}) => target !== '') // The descriptor that read the directory is closed now.
		.sort((one, other) => one.number - other.number);
}

const epoll = 'anon_inode:[eventpoll]';

/** Anonymous inodes that Node opens. Others, such as a pidfd or a timerfd, are inherited. */
const nameless: readonly string[] = [epoll, 'anon_inode:[eventfd]', 'anon_inode:[io_uring]'];

/**
 * Returns the descriptors that Node opened. Node first opens an epoll, and the kernel assigns the
 * lowest free number, so descriptors below the first epoll are inherited. Above it, Node opens more
 * anonymous inodes, and pipes with both ends in this process, each end once: the first pipe is
 * blocking, the others are not. Node opens /dev/null only in place of a closed standard descriptor.
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

/** Returns the flags of open(2), from the fdinfo in proc(5). */
function flagsOf(number: number): number {
	const [, octal = ''] = /^flags:\s*([0-7]+)$/m.exec(readProc(`/proc/self/fdinfo/${number}`) ?? '') ?? [];
	return Number.parseInt(octal, 8);
}
