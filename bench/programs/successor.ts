/**
 * A server that waits for its address: `successor.js WAIT ADDRESS`. Says when it listens, in nanoseconds
 * of CLOCK_MONOTONIC, and answers every client with its pid.
 */
import {createServer} from 'node:net';
import {type Wait, type WaitName, waits} from '../harness/waits.js';

const [, , name, address = ''] = process.argv;
const wait: Wait = waits[name as WaitName];
const say = (event: string, at = ''): void => console.log(JSON.stringify({event, at}));

let at = 0n;
const note = (): void => {
	at = process.hrtime.bigint();
};
// A clock that has run before: to compile it is not a part of what it measures.
note();
const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
server.on('listening', note);
process.stdin.resume().on('end', () => process.exit(0));
say('waiting');
// An argument cannot have the NUL that an abstract name begins with.
await wait.serve(server, wait.abstract ? `\0${address}` : address);
say('serving', String(at));
