/**
 * Ways to bind a Unix socket although a stale file may lie there: bindlock's, and the popular ones
 * that it replaces. The detectors of the race tests must find the popular ones out.
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

	/** Node's documentation, and most answers on the web. */
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
