/**
 * Recipes that bind a Unix socket despite a stale file: bindlock's, and popular ones without a lock. The detectors of
 * the race tests must catch the popular recipes.
 */
import {unlinkSync} from 'node:fs';
import {connect, type Server} from 'node:net';
import {listen} from '../../src/index.js';

/** Resolves when the server listens; rejects if the address is taken. */
export type Recipe = (server: Server, address: string) => Promise<void>;

export type RecipeName =
	| 'bindlock'
	| 'unlink, then listen'
	| 'probe on EADDRINUSE, then unlink'
	| 'probe first, then unlink';

export const recipes: Readonly<Record<RecipeName, Recipe>> = {
	bindlock: async (server, address) => void (await listen(server, address)),

	/** The recipe of Node's documentation and of most tutorials. */
	'unlink, then listen': async (server, address) => {
		remove(address);
		await bare(server, address);
	},

	/** VS Code, Neovim and others: connect on EADDRINUSE, and unlink if refused. */
	'probe on EADDRINUSE, then unlink': async (server, address) => {
		try {
			await bare(server, address);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || (await answers(address))) throw error;
			remove(address);
			await bare(server, address);
		}
	},

	'probe first, then unlink': async (server, address) => {
		if (await answers(address)) throw new Error('taken');
		remove(address);
		await bare(server, address);
	},
};

export function bare(server: Server, address: string): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen(address, () => {
			server.off('error', reject);
			resolve();
		});
	});
}

function answers(address: string): Promise<boolean> {
	return new Promise(resolve => {
		const socket = connect(address);
		socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
		socket.on('connect', () => socket.destroy());
	});
}

function remove(address: string): void {
	try {
		unlinkSync(address);
	} catch {}
}
