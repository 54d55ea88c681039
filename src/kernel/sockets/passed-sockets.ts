/**
 * Listening sockets that this process was started with: `LISTEN_FDS` and `LISTEN_PID` of sd_listen_fds(3), as systemd's
 * `.socket` units, systemd-socket-activate(1) and Server::Starter's wrappers set them.
 */
import {fstatSync, lstatSync, statSync} from 'node:fs';
import type {Address, PathnameAddress} from '../../model/address.js';
import {attempt} from '../../model/attempt.js';
import {BindLockError} from '../../model/errors.js';
import {isSameFile} from '../../model/file-identity.js';
import {printable, show} from '../../model/text.js';
import {variable} from '../node/environment.js';
import type {BoundDescriptor} from './bound-descriptor.js';
import {nameInTable, paddedName} from './padded-name.js';
import {type SocketRow, socketWithInode} from './unix-sockets.js';

/** SD_LISTEN_FDS_START */
export const firstDescriptor = 3;

interface PassedDescriptor {
	readonly descriptor: number;
	/** Of the socket; `undefined` if the descriptor is not open, or not a socket. */
	readonly inode: number | undefined;
}

let passed: readonly PassedDescriptor[] | undefined;

/**
 * Finds the passed socket that is bound to an address: for a path by its file, for an abstract name by the name.
 *
 * @returns `undefined` if none is; a socket that the server has closed counts no more
 * @throws BindLockError `ERR_LISTEN_FDS` if the socket does not listen for streams, or if none is bound to the address
 * and a descriptor is not open, or not a socket
 */
export function passedSocket(address: Address): BoundDescriptor | undefined {
	if (variable('LISTEN_FDS') === undefined || process.platform !== 'linux') return undefined;
	passed ??= readPassed(address);
	for (const {descriptor, inode} of passed) {
		if (inode === undefined || inodeOf(descriptor) !== inode) continue;
		const row = socketWithInode(inode);
		if (row === undefined || !isBoundTo(row, address)) continue;
		if (row.type === 'stream' && row.listening) return {descriptor, inode};
		throw refuse(address, `descriptor ${descriptor} is bound to it and does not listen for streams (Accept=yes?)`);
	}
	const wrong = passed.find(({inode}) => inode === undefined);
	if (wrong === undefined) return undefined;
	throw refuse(address, `descriptor ${wrong.descriptor} is not an open socket`);
}

/** Whether the variables are for this process. It inherits those of another one with the environment. */
export function hasPassedSockets(): boolean {
	return variable('LISTEN_PID') === String(process.pid);
}

function readPassed(address: Address): readonly PassedDescriptor[] {
	if (!hasPassedSockets()) return [];
	const count = variable('LISTEN_FDS') ?? '';
	if (!/^\d{1,4}$/.test(count)) throw refuse(address, `LISTEN_FDS is ${show(count)}, not a number`);
	return Array.from({length: Number(count)}, (_, index) => {
		const descriptor = firstDescriptor + index;
		return {descriptor, inode: inodeOf(descriptor)};
	});
}

function inodeOf(descriptor: number): number | undefined {
	const found = attempt(() => fstatSync(descriptor));
	return found?.isSocket() ? found.ino : undefined;
}

function isBoundTo(row: SocketRow, address: Address): boolean {
	if (address.kind === 'pathname') return row.path.startsWith('/') && isFileOf(row.path, address);
	return [`\0${address.name}`, paddedName(address.name)].some(name => nameInTable(name) === row.path);
}

function isFileOf(bound: string, address: PathnameAddress): boolean {
	const found = attempt(() => lstatSync(address.path, {bigint: true}));
	const its = attempt(() => statSync(bound, {bigint: true}));
	return found?.isSocket() === true && isSameFile(its, found);
}

function refuse(address: Address, why: string): BindLockError {
	return new BindLockError(
		`Cannot use the sockets that this process was started with (LISTEN_FDS) for ${printable(address.given)}: ${why}`,
		{code: 'ERR_LISTEN_FDS', address: address.given},
	);
}
