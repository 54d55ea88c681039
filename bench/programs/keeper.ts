/**
 * Holds addresses, or waits for them, and does nothing else: `keeper.js hold|wait|serve|idle NAME ADDRESS COUNT`. Its
 * parent reads its cost from /proc.
 */
import {once} from 'node:events';
import {createServer} from 'node:net';
import lockProperly from 'proper-lockfile';
import {acquire, listen} from '../../src/index.js';
import {type WaitName, waits} from '../harness/waits.js';

const [, , role = '', name = '', address = '', count = '1'] = process.argv;

/** Ways to keep an address, by the name on the command line. */
const holders: Readonly<Record<string, () => Promise<unknown>>> = {
	'bindlock, acquire': () => acquire(address),
	'bindlock, listen': () => listen(createServer(), address),
	'bindlock, lease': () => acquire(address, {backend: 'lease'}),
	'proper-lockfile': () => lockProperly.lock(address, {realpath: false}),
	'bare server.listen': () => once(createServer().listen(address), 'listening'),
};

async function main(): Promise<void> {
	process.stdin.resume().on('end', () => process.exit(0));
	if (role === 'hold') await holders[name]?.();
	if (role === 'wait') {
		const wait = waits[name as WaitName];
		const target = wait.abstract ? `\0${address}` : address;
		for (let i = 0; i < Number(count); i++) void wait.take(target);
	}
	console.log(JSON.stringify({event: 'ready'}));
}

await main();
