/**
 * Mutants: the shipped protocol with one deliberate defect between the code and the kernel. The simulation must
 * catch every mutant.
 */

import type {FileStatus} from '../../src/model/system.js';
import {closeSocket} from '../../src/protocol/close.js';
import {leaveLock, releaseLock} from '../../src/protocol/held-lock.js';
import {lockInHand, reclaim} from '../../src/protocol/stale.js';
import {type AbstractParts, shippedAbstract} from './abstract-programs.js';
import {type HandOverParts, shippedHandOver} from './hand-over-programs.js';
import {address, answering, ask, type Body, lockPath, type Parts, path, shipped} from './programs.js';
import type {SimulatedCall} from './system.js';

export interface Mutant {
	/** The scenario that catches the mutant. */
	readonly caughtBy: string;
	/** The expected violation. */
	readonly breaks: RegExp;
	readonly parts?: Parts;
	readonly abstractParts?: AbstractParts;
	readonly handOverParts?: HandOverParts;
}

type Answering = (call: SimulatedCall) => Body<unknown>;

/** The shipped parts, with every call of a phase passed through `answer`. */
function changed(make: () => Answering): Parts {
	return {...shipped, intercept: calls => answering(calls, make())};
}

/** The shipped parts, with the answers to one kind of call altered. */
function altered(name: SimulatedCall['name'], alter: (answer: unknown, call: SimulatedCall) => unknown): Parts {
	return changed(
		() =>
			function* (call) {
				const answer = yield call;
				return call.name === name ? alter(answer, call) : answer;
			},
	);
}

function isLook(call: SimulatedCall, at: string): boolean {
	return call.name === 'lstat' && call.parameters[0] === at;
}

export const mutants: Readonly<Record<string, Mutant>> = {
	'no inode check after the lock': {
		breaks: /both have the address/,
		caughtBy: 'three that remove',
		parts: changed(() => {
			let opened: unknown;
			return function* (call) {
				if (isLook(call, lockPath) && opened !== undefined) return opened;
				const answer = yield call;
				if (call.name === 'openLockFile') opened = undefined;
				if (call.name === 'fstat') opened ??= answer;
				return answer;
			};
		}),
	},
	'the lock is given back before the socket': {
		breaks: /both bound|does not lead/,
		caughtBy: 'two, a crash, an error',
		parts: {...shipped, lockFirst: true},
	},
	'unlinks a stale socket before it has the lock': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'two over a dead holder, a crash, an error',
		parts: {
			...shipped,
			*take(claim) {
				yield* reclaim(
					address,
					claim,
					lockInHand(() => true),
				);
				return yield* shipped.take(claim);
			},
		},
	},
	'EMFILE counts as dead': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a server elsewhere that stays',
		parts: altered('connect', answer => (answer === 'EMFILE' ? 'ECONNREFUSED' : answer)),
	},
	'a connection counts as dead': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a server elsewhere that stays',
		parts: altered('connect', answer => (answer === 'CONNECTED' ? 'ECONNREFUSED' : answer)),
	},
	'a full backlog counts as dead': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a full server elsewhere',
		parts: altered('connect', answer => (answer === 'EAGAIN' ? 'ECONNREFUSED' : answer)),
	},
	'does not look who is bound (R4b)': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'two and a naive server, noatime',
		parts: altered('bound', () => undefined),
	},
	'a socket that is bound and does not listen counts as dead (R4b)': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a naive server elsewhere',
		parts: altered('connect', answer => (answer === 'BOUND' ? 'ECONNREFUSED' : answer)),
	},
	'cannot look who is bound, and goes on': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a server that stays, noatime',
		parts: changed(() => {
			let isBlind = false;
			return function* (call) {
				if (call.name !== 'bound') return yield call;
				if (isBlind) return undefined;
				try {
					return yield call;
				} catch {
					isBlind = true;
					return undefined;
				}
			};
		}),
	},
	'compares inodes after the close (R14)': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and two naive servers',
		parts: {
			...shipped,
			*stop({descriptor}, bound) {
				yield* ask('close', descriptor);
				const found = yield* ask('lstat', path);
				if (found !== undefined && found.ino === bound?.ino) yield* ask('unlink', path);
			},
		},
	},
	'no second look before the unlink': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a naive server, over a dead holder',
		parts: changed(() => {
			let found: unknown;
			let asked = false;
			return function* (call) {
				if (isLook(call, path) && asked) return found;
				const answer = yield call;
				if (isLook(call, path)) found = answer;
				if (call.name === 'connect') asked = true;
				return answer;
			};
		}),
	},
	'does not pin the inode': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one and a naive server, over a dead holder',
		parts: changed(
			() =>
				function* (call) {
					return call.name === 'pin' ? undefined : yield call;
				},
		),
	},
	'does not count links': {
		breaks: /changes somebody's file/,
		caughtBy: "a hard link of somebody's file as lock file",
		parts: altered('fstat', answer => ({...(answer as FileStatus), nlink: 1})),
	},
	'does not read the lock file first': {
		breaks: /changes somebody's file/,
		caughtBy: "somebody's file as lock file",
		parts: altered('read', () => ''),
	},
	'does not mind what lies at the address (R3)': {
		breaks: /removes \/s, which is somebody's/,
		caughtBy: "somebody's file at the address",
		parts: altered('lstat', (answer, call) =>
			answer !== undefined && isLook(call, path) ? {...(answer as FileStatus), type: 'socket'} : answer,
		),
	},
	'removes the lock file after unlocking': {
		breaks: /without having its lock/,
		caughtBy: 'two that remove, a crash, an error',
		parts: {
			...shipped,
			*giveBack(lock, removeLockFile) {
				yield* ask('close', lock.descriptor);
				if (removeLockFile) yield* ask('unlink', lockPath);
			},
		},
	},
	'truncates the lock file on opening it': {
		breaks: /without having its lock/,
		caughtBy: 'two, a crash, an error',
		parts: changed(
			() =>
				function* (call) {
					const answer = yield call;
					if (call.name === 'openLockFile') yield* ask('truncate', answer as number);
					return answer;
				},
		),
	},
	'closes without setting aside (R11)': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'two in worker threads and a naive server',
		parts: {...shipped, stop: listener => ask('closeListener', listener)},
	},
	'unlinks on closing without comparing': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'two and a naive server',
		parts: {
			...shipped,
			*stop(listener) {
				yield* ask('unlink', path);
				yield* ask('closeListener', listener);
			},
		},
	},
	'puts back by renaming over': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'one in a worker thread and two naive servers',
		parts: changed(
			() =>
				function* (call) {
					const back = call.name === 'link' && call.parameters[1] === path;
					return back ? yield* ask('rename', call.parameters[0] as string, path) : yield call;
				},
		),
	},
	'closes again after EINTR': {
		breaks: /is not open/,
		caughtBy: 'two, a crash, an error',
		parts: changed(
			() =>
				function* (call) {
					if (call.name !== 'close') return yield call;
					try {
						return yield call;
					} catch {
						return yield call;
					}
				},
		),
	},
	'keeps the descriptor when refused': {
		breaks: /has finished, and owns/,
		caughtBy: 'two, a crash, an error',
		parts: {
			...shipped,
			take: claim =>
				answering(shipped.take(claim), function* (call) {
					return call.name === 'close' ? undefined : yield call;
				}),
		},
	},
	'a shared lock is enough': {
		breaks: /both have the address|without having its lock/,
		caughtBy: 'two, a crash, an error',
		parts: changed(
			() =>
				function* (call) {
					return call.name === 'flock' ? yield* ask('flockShared', call.parameters[0]) : yield call;
				},
		),
	},
	'ENOLCK counts as locked': {
		breaks: /both have the address|without having its lock/,
		caughtBy: 'two, a crash, an error',
		parts: changed(
			() =>
				function* (call) {
					if (call.name !== 'flock') return yield call;
					try {
						return yield call;
					} catch {
						return true;
					}
				},
		),
	},
	'abstract: the lock is spelled as this Node spells names (R12)': {
		breaks: /both have the address|takes a name that/,
		caughtBy: 'abstract: two spellings, two rounds, a crash',
		abstractParts: {
			take: options =>
				answering(shippedAbstract.take(options), function* (call) {
					if (call.name !== 'bindLockSocket' || options.padded) return yield call;
					return {descriptor: yield* ask('bind', `\0${call.parameters[0]}`)};
				}),
		},
	},
	'abstract: does not look who is bound': {
		breaks: /takes a name that/,
		caughtBy: 'abstract: two and a server in the other spelling',
		abstractParts: {
			take: options =>
				answering(shippedAbstract.take(options), function* (call) {
					return call.name === 'boundAbstract' ? undefined : yield call;
				}),
		},
	},
	'hand-over: the successor does not wait until its predecessor has left': {
		breaks: /both have the address/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {...shippedHandOver, *awaitTurn() {}},
	},
	'hand-over: the predecessor says that it has left before it leaves': {
		breaks: /both accept/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {
			...shippedHandOver,
			*leave(served, successor) {
				yield* ask('send', successor, {step: 'yours'});
				yield* shippedHandOver.leave(served, successor);
			},
		},
	},
	'hand-over: the predecessor leaves before the successor is ready': {
		breaks: /nobody accepts connections, although/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {...shippedHandOver, leavesOn: 'ready'},
	},
	'hand-over: the predecessor unlocks instead of closing': {
		breaks: /without the lock|without having its lock/,
		caughtBy: 'hand-over: two, one that tries',
		handOverParts: {
			...shippedHandOver,
			*leave({listener, lock}, successor) {
				yield* ask('closeListener', listener);
				yield* ask('flockUnlock', lock.descriptor);
				yield* leaveLock(lock, undefined);
				yield* ask('send', successor, {step: 'yours'});
			},
		},
	},
	'hand-over: the predecessor removes the lock file when it leaves': {
		breaks: /accepts connections without the lock/,
		caughtBy: 'hand-over: two, one that tries',
		handOverParts: {
			...shippedHandOver,
			*leave({listener, lock}, successor) {
				yield* ask('closeListener', listener);
				yield* releaseLock(lockPath, lock, true);
				yield* ask('send', successor, {step: 'yours'});
			},
		},
	},
	'hand-over: the predecessor unlinks the socket when it leaves': {
		breaks: /the path does not lead to it/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {
			...shippedHandOver,
			*leave({listener, lock, bound}, successor) {
				yield* closeSocket(address, listener, bound);
				yield* leaveLock(lock, undefined);
				yield* ask('send', successor, {step: 'yours'});
			},
		},
	},
	'hand-over: a successor that is late is not killed': {
		breaks: /waits in a hand-over for ever/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {...shippedHandOver, *end() {}},
	},
	'hand-over: a draining predecessor serves again when its successor dies': {
		breaks: /both have the address|without the lock/,
		caughtBy: 'hand-over: three, two crashes',
		handOverParts: {
			...shippedHandOver,
			*leave({lock}, successor) {
				yield* leaveLock(lock, undefined);
				yield* ask('send', successor, {step: 'yours'});
			},
			*drain({listener}, successor) {
				const returns = (yield* ask('receive', successor, 0)) === undefined;
				if (!returns) yield* ask('closeListener', listener);
				return returns;
			},
		},
	},
	'hand-over: the successor takes a closed channel for a hand-over before it has the socket': {
		breaks: /has the lock, and nobody accepts/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {...shippedHandOver, disown: () => ask('stay')},
	},
	'hand-over: the successor keeps the inherited lock, and takes the address': {
		breaks: /has finished, and owns/,
		caughtBy: 'hand-over: two, two crashes',
		handOverParts: {...shippedHandOver, *disown() {}},
	},
	'hand-over: the successor does not compare the socket file': {
		breaks: /unlinks \/s, to which/,
		caughtBy: 'hand-over: two that stop and a naive server',
		handOverParts: {...shippedHandOver, check: () => true},
	},
};
