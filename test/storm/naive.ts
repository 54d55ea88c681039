/**
 * A server that takes no lock: `naive.js ADDRESS`. It unlinks the path, binds, reports the time, and answers every
 * client with its pid.
 */
import {lstatSync, unlinkSync} from 'node:fs';
import {createServer} from 'node:net';

const [, , address = ''] = process.argv;

function now(): number {
	return Number(process.hrtime.bigint()) / 1e6;
}

const server = createServer(socket => void socket.on('error', () => {}).end(`${process.pid}\n`));
const began = now();
try {
	unlinkSync(address);
} catch {}
server.on('error', error => {
	process.stdout.write(`${JSON.stringify({event: 'refused', message: error.message})}\n`);
	process.exit(0);
});
server.listen(address);
const {ino} = lstatSync(address, {throwIfNoEntry: false}) ?? {};
const at = now();
server.on('listening', () => process.stdout.write(`${JSON.stringify({event: 'bound', ino, began, at})}\n`));
process.stdin.resume().on('end', () => process.exit(0));
