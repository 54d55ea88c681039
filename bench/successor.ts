/** A server that waits for its address: `successor.js ADDRESS`; answers every client with its pid. */
import {createServer} from 'node:net';
import {listen} from '../src/index.js';

const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
const say = (event: string): void => console.log(JSON.stringify({event}));
await listen(server, process.argv[2] ?? '', {waitMs: Number.POSITIVE_INFINITY, onWait: () => say('waiting')});
say('serving');
