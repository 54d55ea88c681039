/**
 * The calls that proper-lockfile makes on the directory of a lease. It makes them by path, and so would remove the
 * directory of whoever has robbed us meanwhile: here only ours is removed.
 */
import {mkdir, rmdir, rmdirSync, type Stats, stat, statSync, utimes} from 'node:fs';

type Done = (error: NodeJS.ErrnoException | null) => void;

/** For one lease only: what proper-lockfile finds out about the times of a filesystem it keeps with this, too. */
export interface LeaseDirectory {
	mkdir(path: string, done: Done): void;
	stat(path: string, done: (error: NodeJS.ErrnoException | null, found: Stats) => void): void;
	utimes(path: string, accessed: Date, modified: Date, done: Done): void;
	rmdir(path: string, done: Done): void;
	rmdirSync(path: string): void;
}

/** Ours once `mkdir` has made it. Functions and no class: proper-lockfile copies what is the object's own. */
export function leaseDirectory(): LeaseDirectory {
	let made = false;
	let renewed = false;
	/** As it was when last looked at, or written. */
	let known: Identity | undefined;
	const isKnown = (found: Stats): boolean => known === undefined || isSame(identityOf(found), known);
	return {
		mkdir: (path, done) =>
			mkdir(path, error => {
				if (error) return done(error);
				made = true;
				stat(path, (error, found) => {
					if (!error) known = identityOf(found);
					done(error);
				});
			}),
		stat: (path, done) =>
			stat(path, (error, found) => {
				// Another's that may be stale, or ours right after its first time was set, of which some filesystems keep seconds.
				if (!error && !renewed) known = identityOf(found);
				renewed ||= made;
				done(error, found);
			}),
		utimes: (path, accessed, modified, done) =>
			utimes(path, accessed, modified, error => {
				if (!error && known !== undefined) known = {...known, modified: modified.getTime()};
				done(error);
			}),
		rmdir: (path, done) =>
			stat(path, (error, found) => {
				if (error) done(error);
				else if (isKnown(found)) rmdir(path, done);
				else done(gone());
			}),
		rmdirSync(path) {
			if (!isKnown(statSync(path))) throw gone();
			rmdirSync(path);
		},
	};
}

/** An inode's number is soon used again, and a time is not. */
interface Identity {
	readonly dev: number;
	readonly ino: number;
	readonly modified: number;
}

function identityOf({dev, ino, mtime}: Stats): Identity {
	return {dev, ino, modified: mtime.getTime()};
}

function isSame(one: Identity, other: Identity): boolean {
	return one.dev === other.dev && one.ino === other.ino && one.modified === other.modified;
}

/** That what we mean is not there is no error to proper-lockfile. */
function gone(): Error {
	return Object.assign(new Error('another lease is there'), {code: 'ENOENT'});
}
