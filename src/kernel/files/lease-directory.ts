/**
 * The system calls that proper-lockfile makes on the directory of a lease.
 *
 * proper-lockfile makes them by path, so after our lease was lost it would remove the directory of the next holder. These
 * functions remove only our own.
 */
import {mkdir, rmdir, rmdirSync, type Stats, stat, statSync, utimes} from 'node:fs';
import {isSameFile} from '../../model/file-identity.js';

type Done = (error: NodeJS.ErrnoException | null) => void;

/** For one lease: proper-lockfile stores the time resolution of the filesystem in this object, too. */
export interface LeaseDirectory {
	mkdir(path: string, done: Done): void;
	stat(path: string, done: (error: NodeJS.ErrnoException | null, found: Stats) => void): void;
	utimes(path: string, accessed: Date, modified: Date, done: Done): void;
	rmdir(path: string, done: Done): void;
	rmdirSync(path: string): void;
}

/** Returns an object and not an instance of a class: proper-lockfile copies own properties only. */
export function leaseDirectory(): LeaseDirectory {
	let made = false;
	let renewed = false;
	/** As last read or written. */
	let known: LeaseIdentity | undefined;
	const isKnown = (found: Stats): boolean => known === undefined || isSameLease(leaseIdentity(found), known);
	return {
		mkdir: (path, done) =>
			mkdir(path, error => {
				if (error) return done(error);
				made = true;
				stat(path, (error, found) => {
					if (!error) known = leaseIdentity(found);
					done(error);
				});
			}),
		stat: (path, done) =>
			stat(path, (error, found) => {
				// Another directory that may be stale; or ours after its time was first set, which some filesystems round to
				// seconds.
				if (!error && !renewed) known = leaseIdentity(found);
				renewed ||= made;
				done(error, found);
			}),
		utimes: (path, accessed, modified, done) =>
			utimes(path, accessed, modified, error => {
				if (!error && known !== undefined) known = {...known, modifiedMs: modified.getTime()};
				done(error);
			}),
		rmdir: (path, done) =>
			stat(path, (error, found) => {
				if (error) done(error);
				else if (isKnown(found)) rmdir(path, done);
				else done(notOurs());
			}),
		rmdirSync(path) {
			if (!isKnown(statSync(path))) throw notOurs();
			rmdirSync(path);
		},
	};
}

/** With the time, because the kernel soon reuses the number of an inode. */
interface LeaseIdentity {
	readonly dev: number;
	readonly ino: number;
	readonly modifiedMs: number;
}

function leaseIdentity({dev, ino, mtime}: Stats): LeaseIdentity {
	return {dev, ino, modifiedMs: mtime.getTime()};
}

function isSameLease(one: LeaseIdentity, other: LeaseIdentity): boolean {
	return isSameFile(one, other) && one.modifiedMs === other.modifiedMs;
}

/** proper-lockfile ignores ENOENT: to remove a directory that does not exist is no error to it. */
function notOurs(): Error {
	return Object.assign(new Error('another lease is there'), {code: 'ENOENT'});
}
