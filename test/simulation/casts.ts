/**
 * The casts of the scenarios: programs, kind of address, and the number of crashes and errors. The tests run the
 * quick casts, `npm run simulate -- --long` also runs the long ones.
 */
import {type AbstractOptions, plainAbstract} from './abstract-programs.js';
import {type GenerationOptions, serving} from './hand-over-programs.js';
import type {Kernel} from './kernel.js';
import * as outsiders from './outsiders.js';
import type {Program} from './process.js';
import {lockPath, type OwnOptions, path} from './programs.js';
import type {Scenario} from './state.js';

export interface Cast extends Partial<Pick<Scenario, 'promise' | 'prepare' | 'refused' | 'noatime'>> {
	readonly own?: readonly OwnOptions[];
	readonly ownAbstract?: readonly AbstractOptions[];
	readonly handOver?: GenerationOptions;
	readonly others?: readonly Program[];
	readonly crashes?: number;
	readonly errors?: number;
}

const {libwayland, lockCleaner, naiveServer, patientElsewhere, socketCleaner} = outsiders;

/** Variants of one program: one round, two rounds, no server, lock file removed on release, waiting. */
const once = {};
const twice = {rounds: 2};
const idle = {idle: true};
const removing = {removeLockFile: true};
const removingTwice = {...twice, ...removing};
const waiting = {waits: 'ever'} as const;
const waitingAndRemoving = {...waiting, ...removing};
const byLibuv = {byLibuv: true};
const replacing = {waits: 'replace'} as const;

/** Servers that hand over, the first of which serves from the beginning; the last of three stays. */
const twoServe = {generations: 2, serves: true};
const threeServe = {generations: 3, serves: true, stays: true};

function stale(kernel: Kernel): void {
	kernel.create(path, {type: 'socket'});
}

function crashedHolder(kernel: Kernel): void {
	stale(kernel);
	kernel.create(lockPath, {type: 'file', content: '7\n'});
}

function hardLink(kernel: Kernel): void {
	const ino = kernel.create('/precious', {type: 'file', precious: true});
	kernel.setEntry(lockPath, ino);
	kernel.setInode(ino, {nlink: 2});
}

function preciousFile(at: string): (kernel: Kernel) => void {
	return kernel => void kernel.create(at, {type: 'file', content: 'theirs', precious: true});
}

export const quick: Readonly<Record<string, Cast>> = {
	'two, a crash, an error': {own: [once, once], crashes: 1, errors: 1},
	'two, two rounds, a crash': {own: [twice, twice], crashes: 1},
	'two that remove, a crash, an error': {own: [removing, removing], crashes: 1, errors: 1},
	'two in worker threads, a crash, an error': {own: [byLibuv, byLibuv], crashes: 1, errors: 1},
	'three, a crash': {own: [once, once, once], crashes: 1},
	'three that remove': {own: [removing, removing, removing]},
	'three that only lock, two crashes': {own: [idle, idle, idle], crashes: 2},
	'three over a dead holder': {own: [idle, idle, once], prepare: crashedHolder},
	'two over a dead holder, a crash, an error': {own: [once, once], prepare: crashedHolder, crashes: 1, errors: 1},
	'one that stays, two that try': {own: [{stays: true}, once, idle]},
	'two that wait, a crash, an error': {own: [waiting, waiting], crashes: 1, errors: 1},
	'one that waits, one that removes, two rounds': {own: [{...twice, ...waiting}, removingTwice]},
	'one that waits a while, one that removes': {own: [{waits: 'while'}, removing], crashes: 1},
	'two that replace each other': {own: [replacing, replacing], prepare: crashedHolder, errors: 1},
	'one that replaces the one that stays': {own: [{stays: true}, replacing]},
	'two and a reader': {own: [once, idle], others: [outsiders.reader]},
	'two and a plain locker': {own: [once, once], others: [outsiders.plainLocker]},
	'two and libwayland': {own: [once, once], others: [libwayland]},
	'two that remove and libwayland': {own: [removing, {...removing, ...idle}], others: [libwayland], promise: 'bound'},
	'one and two libwaylands': {own: [once], others: [libwayland, libwayland], promise: 'bound', crashes: 1},
	'two and a cleaner of locks': {own: [once, once], others: [lockCleaner], promise: 'bound'},
	'one that heals, one that tries, a cleaner of locks': {
		own: [{heals: true}, once],
		others: [lockCleaner],
		promise: 'bound',
	},
	'two and both cleaners': {own: [once, idle], others: [lockCleaner, socketCleaner], promise: 'bound'},
	'two and a cleaner of sockets': {own: [once, once], others: [socketCleaner], promise: 'lock'},
	'two and a naive server': {own: [once, once], others: [naiveServer], promise: 'lock'},
	'two in worker threads and a naive server': {own: [byLibuv, byLibuv], others: [naiveServer], promise: 'lock'},
	'one and a naive server, an error': {own: [twice], others: [naiveServer], promise: 'lock', errors: 1, prepare: stale},
	'one and a naive server, over a dead holder': {own: [once], others: [naiveServer], promise: 'lock', prepare: stale},
	'one and two naive servers': {own: [once], others: [naiveServer, naiveServer], promise: 'lock', crashes: 1},
	'one in a worker thread and two naive servers': {
		own: [byLibuv],
		others: [naiveServer, naiveServer],
		promise: 'lock',
		crashes: 1,
	},
	'two and a server that renames over': {own: [once, idle], others: [outsiders.renamer], promise: 'lock'},
	'one and a naive server elsewhere': {
		own: [twice],
		others: [outsiders.naiveElsewhere],
		promise: 'lock',
		prepare: stale,
	},
	'one and a naive server elsewhere, noatime': {
		own: [twice],
		others: [outsiders.naiveElsewhere],
		promise: 'lock',
		prepare: stale,
		noatime: true,
	},
	'two and a naive server, noatime': {own: [once, once], others: [naiveServer], promise: 'lock', noatime: true},
	'one and a server that stays, noatime': {
		own: [twice],
		others: [outsiders.patientServer],
		promise: 'lock',
		errors: 1,
		noatime: true,
	},
	'one and a server that stays': {own: [twice], others: [outsiders.patientServer], promise: 'lock', errors: 1},
	'one and a server elsewhere that stays': {own: [once], others: [patientElsewhere], promise: 'lock', errors: 1},
	'one and a full server elsewhere': {own: [once], others: [outsiders.fullElsewhere], promise: 'lock', errors: 1},
	"a hard link of somebody's file as lock file": {own: [once, once], prepare: hardLink, refused: 'EMLINK'},
	"somebody's file as lock file": {
		own: [once, once],
		prepare: preciousFile(lockPath),
		refused: 'ERR_LOCK_FILE_FOREIGN',
	},
	"somebody's file at the address": {own: [once, once], prepare: preciousFile(path), refused: 'ENOTSOCK'},
	'abstract: three, a crash, an error': {ownAbstract: [once, once, once], crashes: 1, errors: 1},
	'abstract: two spellings, two rounds, a crash': {ownAbstract: [twice, {...twice, padded: true}], crashes: 1},
	'abstract: two that wait, a crash': {ownAbstract: [{...twice, ...waiting}, {waits: 'while'}], crashes: 1},
	'abstract: two and a server in the other spelling': {
		ownAbstract: [twice, twice],
		others: [plainAbstract(true)],
		crashes: 1,
		errors: 1,
	},
	'hand-over: two, an error': {handOver: {generations: 2, stays: true}, errors: 1},
	'hand-over: two, two crashes': {handOver: {generations: 2, stays: true}, crashes: 2},
	'hand-over: two, one that tries': {handOver: {...twoServe, stays: true}, own: [once], prepare: serving, errors: 1},
	'hand-over: two that stop, one that waits': {handOver: twoServe, own: [waiting], prepare: serving},
	'hand-over: two that stop and a naive server': {
		handOver: twoServe,
		others: [naiveServer],
		prepare: serving,
		promise: 'lock',
	},
	'hand-over: three, two crashes': {handOver: threeServe, prepare: serving, crashes: 2, errors: 1},
	'hand-over: three, one that waits, a crash': {handOver: threeServe, own: [waiting], prepare: serving, crashes: 1},
};

/** The quick casts that take half the time of all. `npm test` leaves them to `npm run test:rest`. */
export const slower: readonly string[] = [
	'three, a crash',
	'one that stays, two that try',
	'two that wait, a crash, an error',
	'one and two libwaylands',
	'one and a naive server, an error',
	'one and two naive servers',
	'one in a worker thread and two naive servers',
	'two and a server that renames over',
	'abstract: three, a crash, an error',
	'abstract: two and a server in the other spelling',
	'hand-over: three, one that waits, a crash',
];

export const long: Readonly<Record<string, Cast>> = {
	'two, two rounds, a crash, an error': {own: [twice, twice], crashes: 1, errors: 1},
	'two that remove, two rounds, a crash': {own: [removingTwice, removingTwice], crashes: 1},
	'three that remove, a crash': {own: [removing, removing, removing], crashes: 1},
	'three, a crash, an error': {own: [once, once, once], crashes: 1, errors: 1},
	'three over a dead holder, a crash': {own: [idle, once, once], prepare: crashedHolder, crashes: 1},
	'two that wait and one that removes': {own: [waiting, waitingAndRemoving, {...removing, ...idle}]},
	'three that wait, and remove': {own: [waitingAndRemoving, waitingAndRemoving, waitingAndRemoving]},
	'two that remove and one that waits a while': {own: [removing, removing, {waits: 'while'}]},
	'one that replaces, one that stays, one that tries': {own: [{stays: true}, replacing, idle]},
	'one that heals, one that tries, a cleaner of locks, a crash, an error': {
		own: [{heals: true}, once],
		others: [lockCleaner],
		promise: 'bound',
		crashes: 1,
		errors: 1,
	},
	'four that only lock': {own: [idle, idle, idle, idle]},
	'four: two serve, two only lock': {own: [once, once, idle, idle]},
	'two and a reader, an error': {own: [once, idle], others: [outsiders.reader], errors: 1},
	'two and both cleaners, a crash': {
		own: [once, idle],
		others: [lockCleaner, socketCleaner],
		promise: 'bound',
		crashes: 1,
	},
	'two and libwayland, a crash': {own: [once, once], others: [libwayland], crashes: 1},
	'two and two libwaylands': {own: [once, idle], others: [libwayland, libwayland], promise: 'bound'},
	'two and a naive server, a crash': {own: [once, once], others: [naiveServer], promise: 'lock', crashes: 1},
	'two and a server that renames over, a crash': {
		own: [once, idle],
		others: [outsiders.renamer],
		promise: 'lock',
		crashes: 1,
	},
	'two, a naive server and a cleaner of locks': {
		own: [once, once],
		others: [naiveServer, lockCleaner],
		promise: 'bound',
	},
	'abstract: three, two rounds, a crash, an error': {ownAbstract: [twice, twice, twice], crashes: 1, errors: 1},
	'abstract: three that wait, two rounds': {
		ownAbstract: [
			{...twice, ...waiting},
			{...twice, ...waiting},
			{...twice, waits: 'while'},
		],
	},
	'abstract: four, two crashes': {ownAbstract: [once, once, once, once], crashes: 2},
	'hand-over: three, one that tries, two crashes': {handOver: threeServe, own: [once], prepare: serving, crashes: 2},
};
